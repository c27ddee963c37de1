# SPDX-License-Identifier: Apache-2.0
"""Entries as OCSF events: API Activity (6003) for requests and tool calls, Detection Finding (2004) for what was detected.

Written for OCSF 1.6.0. The profile `security_control` carries what the guard did about it. The profile for AI operations is part of 1.9, so
the model and the tokens stand in `unmapped`, under OpenTelemetry's names.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from bastide import __version__
from bastide.evidence.line import Line
from bastide.guard.record.semconv import decision_attributes, request_attributes

VERSION = "1.6.0"
_ALLOWED, _DENIED, _OBSERVED, _MODIFIED = 1, 2, 3, 4
_ACTIONS = {
    "allow": (_ALLOWED, 1),
    "approve": (_DENIED, 2),
    "deny": (_DENIED, 2),
    "flag": (_OBSERVED, 17),
    "redact": (_MODIFIED, 11),
    "block": (_DENIED, 2),
    "allowed": (_ALLOWED, 1),
    "blocked": (_DENIED, 2),
}
"""Outcome -> `action_id` and `disposition_id` (1 Allowed, 2 Blocked, 11 Corrected, 17 Logged)."""
_ACTION_NAMES = {0: "Unknown", _ALLOWED: "Allowed", _DENIED: "Denied", _OBSERVED: "Observed", _MODIFIED: "Modified"}
_DISPOSITION_NAMES = {0: "Unknown", 1: "Allowed", 2: "Blocked", 11: "Corrected", 17: "Logged"}
_SUCCESS, _FAILURE = 1, 2


def event(line: Line) -> dict[str, Any] | None:
    """The event of an entry; None for kinds of which OCSF is not told."""
    make = _MAKERS.get(str(line.entry.get("kind")))
    return make(line) if make else None


def _request(line: Line) -> dict[str, Any]:
    entry = line.entry
    outcome = str(entry.get("outcome", ""))
    good = outcome == "allowed"
    error = _mapping(entry.get("error"))
    found = _base(line, 6, 6003, "API Activity", 99 if entry.get("protocol") == "mcp" else 1, 1 if good else 2)
    found |= _actor(entry) | _control(outcome)
    found |= {
        "status_id": _SUCCESS if good else _FAILURE, "status": "Success" if good else "Failure",
        "api": {"operation": request_attributes(entry)["gen_ai.operation.name"], "service": {"name": str(entry.get("component", ""))},
                "request": {"uid": str(entry.get("request", ""))}},
        "resources": [{"name": str(entry.get("model", "")), "type": "model", "uid": str(entry.get("component", ""))}],
        "duration": int(float(entry.get("duration") or 0) * 1000),
        "unmapped": request_attributes(entry) | {"bastide.unscanned": entry.get("unscanned", [])},
    }  # fmt: skip
    if error:
        found |= {"status_code": str(error.get("code", "")), "status_detail": str(error.get("message", ""))}
    return found


def _decision(line: Line) -> dict[str, Any]:
    entry = line.entry
    ruling = _mapping(entry.get("ruling"))
    effect = str(ruling.get("effect", ""))
    good = effect == "allow"
    found = _base(line, 6, 6003, "API Activity", 99, 1 if good else 3)
    found |= _actor(entry) | _control(effect)
    found |= {
        "status_id": _SUCCESS if good else _FAILURE, "status": "Success" if good else "Failure",
        "status_detail": str(ruling.get("reason", "")),
        "api": {"operation": "execute_tool", "service": {"name": str(entry.get("component", ""))},
                "request": {"uid": str(entry.get("request", ""))}},
        "resources": [{"name": str(entry.get("tool", "")), "type": "tool", "uid": str(entry.get("component", ""))}],
        "policy": {"name": ", ".join(map(str, ruling.get("policies") or ())), "version": str(ruling.get("version", "")),
                   "desc": str(ruling.get("flow", ""))},
        "unmapped": decision_attributes(entry) | {"bastide.label": entry.get("label"), "bastide.untraced": entry.get("untraced", [])},
    }  # fmt: skip
    return found


def _detection(line: Line) -> dict[str, Any]:
    entry = line.entry
    outcome = str(entry.get("outcome", ""))
    seen = [one for one in entry.get("detections") or () if isinstance(one, dict)]
    names = sorted({str(one.get("detector", "")) for one in seen})
    found = _finding(
        line, names or ["content could not be checked"], "; ".join(str(one.get("why", "")) for one in seen), outcome
    )
    score = _number(entry.get("score"))
    found["confidence_score"] = round(100 * max(0.0, min(score, 1.0)))
    found["resources"] = [{"name": str(entry.get("source", "")), "type": str(entry.get("direction", ""))}]
    found["unmapped"]["bastide.scanned"] = entry.get("scanned", True)
    return found


def _incident(line: Line) -> dict[str, Any]:
    """At a tool's door: a description that changed, a tool that poses as another, somebody else's session."""
    entry = line.entry
    found = _finding(
        line,
        [f"mcp/{entry.get('incident', '')}"],
        str(entry.get("why", "")),
        "block" if entry.get("refused") else "flag",
    )
    found["resources"] = [{"name": str(entry.get("subject", "")), "type": "mcp"}]
    return found


def _signal(line: Line) -> dict[str, Any]:
    """Of many requests together; quarantine is one that blocks."""
    entry = line.entry
    name = str(entry.get("signal", ""))
    found = _finding(line, [name], str(entry.get("why", "")), "block" if name == "quarantine" else "flag")
    found["resources"] = [{"name": str(entry.get("subject", "")), "type": "caller"}]
    return found


def _finding(line: Line, names: list[str], why: str, outcome: str) -> dict[str, Any]:
    entry = line.entry
    found = _base(line, 2, 2004, "Detection Finding", 1, {"block": 4, "redact": 3, "flag": 2}.get(outcome, 1))
    return found | _control(outcome) | {
        "finding_info": {"uid": f"{entry.get('request', '')}:{line.seq}", "title": ", ".join(names), "desc": why[:2000], "types": names,
                         "analytic": {"name": "bastide-guard", "type_id": 1, "type": "Rule"}},
        "status_id": 1, "status": "New", "is_alert": outcome == "block",
        "unmapped": {"bastide.caller": entry.get("caller")},
    }  # fmt: skip


def _approval(line: Line) -> dict[str, Any]:
    """A person decided about a call; the actor is that person."""
    entry = line.entry
    outcome = "allow" if entry.get("answer") == "allow" else "deny"
    found = _base(line, 6, 6003, "API Activity", 99, 1)
    return found | _actor(entry) | _control(outcome) | {
        "status_id": _SUCCESS, "status": "Success", "status_detail": f"the answer is {outcome}",
        "api": {"operation": "decide_approval", "service": {"name": "approvals"}, "request": {"uid": str(entry.get("request", ""))}},
        "resources": [{"name": str(entry.get("tool", "")), "type": "tool", "uid": str(entry.get("component", ""))}],
        "unmapped": {"bastide.approval": entry.get("approval", ""), "bastide.decided_by": entry.get("decided_by", "")},
    }  # fmt: skip


def _base(line: Line, category: int, class_: int, name: str, activity: int, severity: int) -> dict[str, Any]:
    activities = {1: "Create", 99: "Other"}
    severities = ("Unknown", "Informational", "Low", "Medium", "High", "Critical")
    return {
        "category_uid": category, "class_uid": class_, "class_name": name, "activity_id": activity,
        "activity_name": "Execute" if activity == 99 else activities[activity], "type_uid": class_ * 100 + activity,
        "severity_id": severity, "severity": severities[severity], "time": line.time // 1_000_000,
        "metadata": {"version": VERSION, "uid": line.hash, "sequence": line.seq, "profiles": ["security_control"],
                     "correlation_uid": str(line.entry.get("request", "")),
                     "product": {"name": "Bastide guard", "vendor_name": "Bastide", "version": __version__}},
    }  # fmt: skip


def _actor(entry: Mapping[str, Any]) -> dict[str, Any]:
    caller = _mapping(entry.get("caller"))
    agent = str(caller.get("agent", ""))
    # `src_endpoint` is required; what calls is known by its credential, not by its address.
    return {
        "actor": {"user": {"uid": str(caller.get("user", "")) or agent, "credential_uid": str(caller.get("key", ""))}, "app_name": agent},
        "src_endpoint": {"name": agent or "unknown"},
    }  # fmt: skip


def _control(outcome: str) -> dict[str, Any]:
    action, disposition = _ACTIONS.get(outcome, (0, 0))
    return {
        "action_id": action, "action": _ACTION_NAMES[action], "disposition_id": disposition,
        "disposition": _DISPOSITION_NAMES[disposition],
    }  # fmt: skip


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _number(value: Any) -> float:
    return float(value) if isinstance(value, (int, float)) else 0.0


_MAKERS: Mapping[str, Callable[[Line], dict[str, Any]]] = {
    "request": _request,
    "decision": _decision,
    "detection": _detection,
    "incident": _incident,
    "signal": _signal,
    "approval": _approval,
}
