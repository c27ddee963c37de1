# SPDX-License-Identifier: Apache-2.0
"""Entries as OpenTelemetry spans in OTLP's JSON encoding (opentelemetry-proto 1.x: ids in hex, 64-bit integers as strings)."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from bastide import __version__
from bastide.guard.record.semconv import decision_attributes, request_attributes

_CLIENT, _INTERNAL = 3, 1
_ERROR = 2


def span(entry: Mapping[str, Any], time: int) -> dict[str, Any] | None:
    """The span of an entry that was written at a time (nanoseconds since 1970); None for kinds that are no operation."""
    kind = entry.get("kind")
    if kind == "request":
        return _request(entry, time)
    if kind == "decision":
        return _decision(entry, time)
    return None


def document(spans: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """The body of a request to `/v1/traces`."""
    resource = {"attributes": _attributes({"service.name": "bastide-guard", "service.version": __version__})}
    scope = {"name": "bastide.guard", "version": __version__}
    return {"resourceSpans": [{"resource": resource, "scopeSpans": [{"scope": scope, "spans": list(spans)}]}]}


def _request(entry: Mapping[str, Any], time: int) -> dict[str, Any]:
    attributes = request_attributes(entry)
    attributes |= {"bastide.outcome": entry.get("outcome", ""), "bastide.policy.version": entry.get("version", "")}
    if label := entry.get("label"):
        attributes["bastide.label.integrity"] = label.get("integrity", "")
        attributes["bastide.label.confidentiality"] = label.get("confidentiality", "")
    if unscanned := entry.get("unscanned"):
        attributes["bastide.unscanned"] = list(unscanned)
    error = entry.get("error")
    start = time - int(float(entry.get("duration") or 0) * 1e9)
    name = f"{attributes['gen_ai.operation.name']} {entry.get('model', '')}".strip()
    found = _span(entry, name, _CLIENT, (start, time), attributes)
    found["spanId"] = _id(entry, "request", 16)
    if error:
        found["status"] = {"code": _ERROR, "message": str(error.get("message", ""))}
    return found


def _decision(entry: Mapping[str, Any], time: int) -> dict[str, Any]:
    ruling = entry.get("ruling") or {}
    attributes = decision_attributes(entry)
    attributes |= {
        "bastide.effect": ruling.get("effect", ""),
        "bastide.reason": ruling.get("reason", ""),
        "bastide.policies": list(ruling.get("policies", ())),
        "bastide.flow": ruling.get("flow", ""),
        "bastide.policy.version": ruling.get("version", ""),
        "bastide.traced": bool(entry.get("traced")),
    }
    found = _span(entry, f"execute_tool {entry.get('tool', '')}".strip(), _INTERNAL, (time, time), attributes)
    found["spanId"] = _id(entry, f"decision:{entry.get('call', '')}:{time}", 16)
    found["parentSpanId"] = _id(entry, "request", 16)
    if ruling.get("effect") == "deny":
        found["status"] = {"code": _ERROR, "message": str(ruling.get("reason", ""))}
    return found


def _span(
    entry: Mapping[str, Any], name: str, kind: int, times: tuple[int, int], attributes: Mapping[str, Any]
) -> dict[str, Any]:
    return {
        "traceId": _id(entry, "trace", 32), "spanId": "", "name": name, "kind": kind, "startTimeUnixNano": str(times[0]),
        "endTimeUnixNano": str(times[1]), "attributes": _attributes({**attributes, "bastide.request": entry.get("request", "")}),
    }  # fmt: skip


def _id(entry: Mapping[str, Any], what: str, digits: int) -> str:
    # From the request's random id, so that a span that is sent twice is the same span.
    return hashlib.sha256(f"{what}\n{entry.get('request', '')}".encode("utf-8", "replace")).hexdigest()[:digits]


def _attributes(values: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [{"key": key, "value": _value(value)} for key, value in values.items()]


def _value(value: Any) -> dict[str, Any]:
    if isinstance(value, bool):
        return {"boolValue": value}
    if isinstance(value, int):
        return {"intValue": str(value)}
    if isinstance(value, float):
        return {"doubleValue": value}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return {"arrayValue": {"values": [_value(one) for one in value]}}
    return {"stringValue": str(value)}
