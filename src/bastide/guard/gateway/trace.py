# SPDX-License-Identifier: Apache-2.0
"""What happened to one request, gathered on the way and turned into entries for the log."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from bastide.errors import GuardError, OverLimit, Unauthenticated, UpstreamError
from bastide.guard.approvals.book import Approval, State
from bastide.guard.conversation import CallDecision
from bastide.guard.events import Path, Request, Usage
from bastide.guard.model import CLASSES, Caller, Label, Ruling, Verdict
from bastide.guard.reading import Intake, Sighting

Entry = dict[str, Any]
NOBODY = Caller(agent="")


class Trace:
    """One request. Facts are set as they become known; `take` hands over the entries that are ready, each once."""

    def __init__(self, id: str, protocol: str, version: str) -> None:
        self.id = id
        self.protocol = protocol
        self.version = version
        self.caller = NOBODY
        self.model = ""
        self.component = ""
        self.stream = False
        self.label = Label()
        self.usage = Usage()
        self.cost = 0.0
        self.reply_id = ""
        self.conversation = ""
        """The client's own name for the conversation."""
        self.approval_id = ""
        """The approval that somebody wanted to see or decide."""
        self.outcome = "allowed"
        """allowed, blocked (the guard refused), failed (something broke), aborted (the client went away)."""
        self.error: GuardError | None = None
        self.edits: Mapping[Path, Any] = {}
        self.unscanned: list[str] = []
        self.recorded = False
        self.content: list[dict[str, Any]] = []
        """Texts `{role, class, text}` of which the log keeps what its strategy for the class says."""
        self._started = time.monotonic()
        self._ruling: Ruling | None = None
        self._ready: list[Entry] = []

    def asked_for(self, request: Request) -> None:
        """The request was understood."""
        self.model, self.stream = request.model, request.stream

    def took(self, intake: Intake) -> None:
        """What was seen in what came in."""
        self.edits = intake.edits
        self.unscanned += intake.unscanned
        for sighting in intake.sightings:
            self.saw(sighting)
        for one in intake.endorsements:
            about = {
                "tool": one.tool,
                "component": one.component,
                "from": one.raised_from,
                "to": one.raised_to,
                "sha": one.digest,
            }
            self._ready.append(self._entry("endorsement", about))
        if intake.dropped:
            self._ready.append(self._entry("retrieval", {"dropped": intake.dropped}))

    def saw(self, sighting: Sighting) -> None:
        """Something was detected in a text."""
        verdict = sighting.verdict
        self._ready.append(self._entry("detection", {
            "direction": sighting.direction, "source": sighting.source, "outcome": verdict.outcome.value, "score": verdict.score,
            "scanned": verdict.scanned,
            "detections": [{"detector": d.detector, "score": d.score, "why": d.why, "spans": [[s.start, s.end] for s in d.spans]}
                           for d in verdict.detections],
        }))  # fmt: skip

    def answered(self, verdict: Verdict) -> None:
        """Something was detected in the model's answer."""
        self.saw(Sighting("assistant", self.component, verdict, self.label.confidentiality))

    def said(self, role: str, class_: int, text: str) -> None:
        """A text that the log may keep."""
        self.content.append({"role": role, "class": CLASSES[class_], "text": text})

    def began(self) -> None:
        """The first piece of a stream goes on; how it ended is in the entry of the request."""
        about: dict[str, Any] = {
            "protocol": self.protocol, "model": self.model, "component": self.component, "label": _label(self.label),
        }  # fmt: skip
        if self._ruling is not None:
            about["ruling"] = _ruling(self._ruling)
        self._ready.append(self._entry("answering", about))

    def ruled(self, ruling: Ruling) -> None:
        """The policy let the request go to the model."""
        self._ruling = ruling

    def decided(self, decision: CallDecision, asked: Approval | None) -> None:
        """A tool call was decided."""
        influence = decision.influence
        self._ready.append(self._entry("decision", {
            "tool": decision.call.name, "call": decision.call.id, "component": decision.meaning.component,
            "ruling": _ruling(decision.ruling), "label": _label(influence.label), "traced": influence.traced,
            "untraced": [{"path": u.path, "sources": sorted(u.sources)} for u in influence.untraced],
            "approval": asked.id if asked else "",
        }))  # fmt: skip

    def approval(self, approval: Approval) -> None:
        """A person decided about a call."""
        about = {
            "approval": approval.id,
            "tool": approval.binding.tool,
            "component": approval.binding.component,
            "answer": "allow" if approval.state is State.APPROVED else "deny",
            "decided_by": approval.decided_by,
            "note": approval.note[:500],
            "asked_by": approval.key,
        }
        self._ready.append(self._entry("approval", about))

    def signal(self, kind: str, subject: str, why: str) -> None:
        """Many requests together show something, or a caller went into quarantine."""
        self._ready.append(self._entry("signal", {"signal": kind, "subject": subject, "why": why}))

    def incident(self, kind: str, subject: str, why: str, *, refused: bool) -> None:
        """Something at a tool's door that no decision was asked about."""
        self._ready.append(
            self._entry("incident", {"incident": kind, "subject": subject, "why": why, "refused": refused})
        )
        if kind == "unscanned":
            self.unscanned.append(subject)

    def failed(self, error: GuardError) -> None:
        """The request ends with an error. One that the guard itself gives is a block, not a failure."""
        self.error = error
        refusal = error.status in (400, 403, 404, 413) or isinstance(error, (OverLimit, Unauthenticated))
        # What a provider refuses may have the status of a block: it isn't the guard's.
        theirs = isinstance(error, UpstreamError) or error.code.startswith("upstream_")
        self.outcome = "blocked" if refusal and not theirs else "failed"

    def aborted(self) -> None:
        """The client went away."""
        self.outcome = "aborted"

    @property
    def duration(self) -> float:
        """Seconds so far."""
        return time.monotonic() - self._started

    def take(self) -> list[Entry]:
        """The entries that are ready; they won't be handed over again."""
        ready, self._ready = self._ready, []
        return ready

    def entries(self) -> list[Entry]:
        """Everything that is left, with the entry of the request itself at the end."""
        about: dict[str, Any] = {
            "outcome": self.outcome, "protocol": self.protocol, "model": self.model, "component": self.component,
            "stream": self.stream, "label": _label(self.label), "duration": round(self.duration, 6), "cost": self.cost,
            "usage": {"input": self.usage.input, "output": self.usage.output}, "edited": len(self.edits),
        }  # fmt: skip
        if self._ruling is not None:
            about["ruling"] = _ruling(self._ruling)
        if self.error is not None:
            about["error"] = {"code": self.error.code, "status": self.error.status, "message": str(self.error)[:1000]}
        if self.unscanned:
            about["unscanned"] = sorted(set(self.unscanned))
        if self.reply_id:
            about["reply"] = self.reply_id
        if self.conversation:
            about["conversation"] = self.conversation
        if self.approval_id:
            about["approval"] = self.approval_id
        if self.content:
            about["content"] = self.content
        return [*self.take(), self._entry("request", about)]

    def _entry(self, kind: str, about: dict[str, Any]) -> Entry:
        caller = self.caller
        who = {
            "agent": caller.agent,
            "user": caller.user,
            "tenant": caller.tenant,
            "key": caller.key,
            "chain": list(caller.chain),
        }
        return {"kind": kind, "request": self.id, "caller": who, "version": self.version, **about}


def _ruling(ruling: Ruling) -> dict[str, Any]:
    return {
        "effect": ruling.effect.value, "reason": ruling.reason, "policies": list(ruling.policies), "flow": ruling.flow,
        "version": ruling.version,
    }  # fmt: skip


def _label(label: Label) -> dict[str, Any]:
    return {"integrity": label.author, "confidentiality": label.class_, "sources": sorted(label.sources)}
