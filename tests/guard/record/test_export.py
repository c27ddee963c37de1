# SPDX-License-Identifier: Apache-2.0
"""Exports: OpenTelemetry's and OCSF's own names and numbers, checked against their published tables."""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from bastide.errors import UsageError
from bastide.evidence.line import Line
from bastide.guard.record.ocsf import event
from bastide.guard.record.otlp import document, span
from bastide.guard.record.push import OtlpPush
from bastide.guard.record.semconv import decision_attributes, request_attributes

CALLER = {"agent": "assistant", "user": "ada", "key": "k1"}
REQUEST: dict[str, Any] = {
    "kind": "request", "request": "r1", "caller": CALLER, "version": "v1", "outcome": "blocked", "protocol": "anthropic.messages",
    "model": "claude", "component": "llm", "stream": True, "duration": 0.5, "usage": {"input": 3, "output": 4}, "reply": "msg_1",
    "conversation": "conv", "error": {"code": "denied_by_policy", "status": 403, "message": "no"}, "unscanned": ["image"],
}  # fmt: skip
DECISION: dict[str, Any] = {
    "kind": "decision", "request": "r1", "caller": CALLER, "tool": "send_mail", "call": "c1", "component": "mail", "traced": False,
    "ruling": {"effect": "deny", "reason": "no flow", "policies": ["p1"], "flow": "", "version": "v1"}, "untraced": [],
}  # fmt: skip
DETECTION: dict[str, Any] = {
    "kind": "detection", "request": "r1", "caller": CALLER, "direction": "tool", "source": "mail", "outcome": "block", "score": 0.93,
    "scanned": True, "detections": [{"detector": "injection/rules", "score": 0.93, "why": "asks to ignore", "spans": []}],
}  # fmt: skip

INCIDENT: dict[str, Any] = {
    "kind": "incident", "request": "r1", "caller": CALLER, "incident": "pin", "subject": "echo", "why": "it changed", "refused": True,
}  # fmt: skip
SIGNAL = {
    "kind": "signal",
    "request": "r1",
    "caller": CALLER,
    "signal": "quarantine",
    "subject": "ada",
    "why": "too many",
}
APPROVAL = {
    "kind": "approval", "request": "r1", "caller": CALLER, "approval": "apr_1", "tool": "refund", "component": "payments", "answer": "deny",
    "decided_by": "bea", "note": "no", "asked_by": "k1",
}  # fmt: skip
ALL = (REQUEST, DECISION, DETECTION, INCIDENT, SIGNAL, APPROVAL)


def line(entry: dict[str, Any]) -> Line:
    return Line(5, 1_700_000_000_123_456_789, 1, "0" * 64, entry, "f" * 64)


def test_attributes_are_in_the_registry(framework_data: Path) -> None:
    """Every `gen_ai` attribute is one of the semantic conventions'."""
    text = "".join(path.read_text() for path in sorted((framework_data / "telemetry/otel_genai/model").rglob("*.yaml")))
    known = set(re.findall(r"(?:key|id|ref): (gen_ai\.[a-z_.]+)", text))
    used = {*request_attributes(REQUEST), *decision_attributes(DECISION)}
    assert not {name for name in used if name.startswith("gen_ai.")} - known
    assert "error.type" in used


def test_operations_are_in_the_registry(framework_data: Path) -> None:
    """Operations and providers are values that the conventions name."""
    from bastide.guard.record.semconv import OPERATIONS

    text = (framework_data / "telemetry/otel_genai/model/gen-ai/registry.yaml").read_text()
    known = set(re.findall(r"value: \"?([a-z_.]+)\"?", text))
    assert not {value for pair in OPERATIONS.values() for value in pair if value} - known


@pytest.mark.parametrize(
    ("entry", "class_", "folder"),
    [
        (REQUEST, 6003, "application/api_activity"),
        (DECISION, 6003, "application/api_activity"),
        (DETECTION, 2004, "findings/detection_finding"),
        (INCIDENT, 2004, "findings/detection_finding"),
        (SIGNAL, 2004, "findings/detection_finding"),
        (APPROVAL, 6003, "application/api_activity"),
    ],
)
def test_ocsf_has_what_is_required(framework_data: Path, entry: dict[str, Any], class_: int, folder: str) -> None:
    """An event has its class's numbers and every attribute that the class, or the one above it, requires."""
    events = framework_data / "telemetry/ocsf/events"
    files = [events / "base_event.json", events / f"{folder}.json", events / "findings/finding.json"]
    if class_ == 6003:
        files.pop()
    required = {
        name
        for file in files
        for name, about in json.loads(file.read_text())["attributes"].items()
        if isinstance(about, dict) and about.get("requirement") == "required"
    }
    found = event(line(entry))
    assert found is not None
    assert not required - set(found)
    assert (found["class_uid"], found["type_uid"]) == (class_, class_ * 100 + found["activity_id"])
    assert found["category_uid"] == class_ // 1000
    assert found["time"] == 1_700_000_000_123


NESTED = {
    "metadata": ("version", "product"), "metadata.product": ("name",), "api": ("operation",), "api.request": ("uid",),
    "finding_info": ("uid",), "finding_info.analytic": ("type_id", "name"), "actor.user": ("uid",), "src_endpoint": ("name",),
}  # fmt: skip
"""Object -> what its definition in OCSF 1.6 requires, or one of those of which it requires one."""


@pytest.mark.parametrize("entry", ALL, ids=lambda entry: entry["kind"])
def test_ocsf_objects_are_whole(entry: dict[str, Any]) -> None:
    """The objects inside of an event have what they need, and every number has its name beside it."""
    found = event(line(entry)) or {}
    for path, required in NESTED.items():
        one: Any = found
        for key in path.split("."):
            one = one.get(key, {}) if isinstance(one, dict) else {}
        assert not one or all(one.get(name) not in (None, "") for name in required), path
    assert {"class_uid", "category_uid", "activity_id", "type_uid", "time", "severity_id", "metadata"} <= set(found)
    assert all(
        found[f"{name}_id"] is not None and found[name] for name in ("severity", "status", "action", "disposition")
    )
    assert found["severity_id"] in range(7)


def test_ocsf_says_what_was_done() -> None:
    """What was blocked is denied and blocked; kinds that are no event give none."""
    for entry in ALL:
        found = event(line(entry)) or {}
        assert (found["action"], found["disposition"]) == ("Denied", "Blocked")
    assert (event(line(DETECTION)) or {})["confidence_score"] == 93
    assert event(line({"kind": "start"})) is None


def test_spans_form_a_trace() -> None:
    """A tool call's span hangs under its request's; ids are hex, times are strings of nanoseconds."""
    request, decision = span(REQUEST, 10**18), span(DECISION, 10**18)
    assert request is not None
    assert decision is not None
    assert (request["name"], decision["name"]) == ("chat claude", "execute_tool send_mail")
    assert decision["parentSpanId"] == request["spanId"] != decision["spanId"]
    assert request["traceId"] == decision["traceId"]
    assert (len(request["traceId"]), len(request["spanId"])) == (32, 16)
    assert int(request["endTimeUnixNano"]) - int(request["startTimeUnixNano"]) == 500_000_000
    values = {one["key"]: one["value"] for one in request["attributes"]}
    assert values["gen_ai.usage.input_tokens"] == {"intValue": "3"}
    assert values["gen_ai.request.stream"] == {"boolValue": True}
    assert values["bastide.unscanned"] == {"arrayValue": {"values": [{"stringValue": "image"}]}}
    assert request["status"]["code"] == 2
    assert span({"kind": "start"}, 1) is None


class Collector(BaseHTTPRequestHandler):
    received: list[Any]
    status = 200

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        self.received.append((self.path, json.loads(body)))
        self.send_response(self.status)
        self.send_header("location", "http://127.0.0.1:1/")
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Says nothing."""


@pytest.fixture
def collector() -> Iterator[tuple[str, type[Collector]]]:
    class One(Collector):
        received: list[Any] = []  # noqa: RUF012 - one list for each test

    server = HTTPServer(("127.0.0.1", 0), One)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", One
    server.shutdown()
    thread.join()
    server.server_close()


class TestPush:
    def test_sends(self, collector: tuple[str, type[Collector]]) -> None:
        """Requests and decisions arrive as one document, other kinds don't."""
        address, seen = collector
        push = OtlpPush(address, interval=0.01)
        for entry in (REQUEST, DECISION, DETECTION):
            push.entry(entry)
        push.close()
        spans = [s for _, d in seen.received for s in d["resourceSpans"][0]["scopeSpans"][0]["spans"]]
        assert [path for path, _ in seen.received][:1] == ["/v1/traces"]
        assert (len(spans), push.sent, push.dropped) == (2, 2, 0)

    @pytest.mark.parametrize("status", [307, 400, 503])
    def test_refused_spans_are_counted(self, collector: tuple[str, type[Collector]], status: int) -> None:
        """What a collector refuses, or sends elsewhere, is counted as dropped; nothing fails."""
        address, seen = collector
        seen.status = status
        push = OtlpPush(address, interval=0.01)
        push.entry(REQUEST)
        push.close()
        assert (push.sent, push.dropped) == (0, 1)

    def test_nobody_there(self) -> None:
        """Without a collector spans are dropped, and telling of them takes no time."""
        push = OtlpPush("http://127.0.0.1:1", interval=60, room=10)
        began = time.perf_counter()
        for _ in range(1000):
            push.entry(REQUEST)
        assert time.perf_counter() - began < 1
        push.close()
        assert push.dropped == 1000

    @pytest.mark.parametrize("address", ["", "localhost:4318", "file:///etc/passwd", "http://"])
    def test_no_address(self, address: str) -> None:
        """What is no http address is refused at the start."""
        with pytest.raises(UsageError):
            OtlpPush(address)


def test_document_of_nothing() -> None:
    """A document without spans is one too."""
    assert document([])["resourceSpans"][0]["scopeSpans"][0]["spans"] == []
