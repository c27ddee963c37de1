# SPDX-License-Identifier: Apache-2.0
"""Judges what a model answers, whole or as a stream: its texts, and the calls that it proposes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from bastide.errors import Denied
from bastide.guard.approvals.book import Approval
from bastide.guard.content.schema import Unjudged, problem
from bastide.guard.content.stream import StreamScanner
from bastide.guard.conversation import CallDecision, Conversation
from bastide.guard.events import Opaque, Reply, Text, ToolCall
from bastide.guard.gateway.consent import Consent, explain
from bastide.guard.gateway.trace import Trace
from bastide.guard.protocol.interface import Codec, Decision

if TYPE_CHECKING:
    from bastide.guard.gateway.runtime import Runtime

Judged = tuple[ToolCall, CallDecision, Approval | None]
"""A call as the model wrote it, what was decided, and the approval that was asked for."""


class Judge:
    """The guard of one answer; a `StreamGuard`."""

    def __init__(self, runtime: Runtime, conversation: Conversation, trace: Trace) -> None:
        self._runtime = runtime
        self._of = conversation
        self._trace = trace
        self._consent = Consent(runtime, conversation)
        self._scanners: dict[str, StreamScanner] = {}
        self._released: list[str] = []
        self._held: dict[str, list[str]] = {}
        self.size = 0
        """Characters of text and arguments that the model has written."""

    def text(self, channel: str, delta: str) -> str:
        """What of the channel may go on now. Raises `Denied` when the answer has to end here."""
        scanner = self._scanners.get(channel)
        if scanner is None:
            scanner = self._scanners[channel] = self._of.answering()
        self.size += len(delta)
        released = scanner.push(delta)
        self._look(scanner)
        if self._schema(channel) is not None:
            # Whether it satisfies the schema is known at its end.
            self._held.setdefault(channel, []).append(released)
            return ""
        self._released.append(released)
        return released

    def text_end(self, channel: str) -> str:
        """The rest of it."""
        scanner = self._scanners.pop(channel, None)
        if scanner is None:
            return ""
        released = "".join([*self._held.pop(channel, ()), scanner.finish()])
        self._look(scanner)
        if scanner.verdict.detections:
            self._trace.answered(scanner.verdict)
        if (schema := self._schema(channel)) is not None:
            _satisfies(released, schema)
        self._released.append(released)
        return released

    def _schema(self, channel: str) -> Any:
        """What the texts of the component that answers have to be; None where nothing is demanded."""
        schemas = self._of.engine.answer_schemas
        return schemas.get(self._trace.component) if schemas and channel.startswith("text:") else None

    @property
    def said(self) -> str:
        """What of the answer went on."""
        return "".join(self._released)

    def call(self, call: ToolCall) -> Decision:
        """None when the call may be made, the arguments with which it may, or what the client is told instead."""
        [answer] = self._settled([self._decided(call)])
        return answer

    def _decided(self, call: ToolCall) -> Judged:
        self.size += len(call.raw)
        decision = self._consent.decide(call)
        return call, decision, self._consent.ask(decision)

    def _settled(self, judged: Sequence[Judged]) -> list[Decision]:
        """The answers to calls of which nothing can be refused any more."""
        for _, decision, asked in judged:
            if decision.seen.detections:
                self._trace.answered(decision.seen)
            self._trace.decided(decision, asked)
        # What is let go has to be in the log before it is gone.
        self._runtime.record(self._trace.take())
        return [self._let_go(*one) for one in judged]

    def _let_go(self, call: ToolCall, decision: CallDecision, asked: Approval | None) -> Decision:
        if not decision.allowed:
            return explain(decision, asked)
        self._of.made(decision)
        self._runtime.conversations.proposed(
            self._of.caller, decision.call, decision.ruling, decision.meaning.component
        )
        return None if decision.call.arguments == call.arguments else decision.call.arguments

    def opaque(self, type: str, known: bool) -> bool:
        """Whether what can't be read may pass."""
        allowed = known and self._of.engine.settings.content.unscanned == "allow"
        self._trace.unscanned.append(type)
        return allowed

    def whole(self, codec: Codec, reply: Reply) -> object:
        """The document of a whole answer, with its edits."""
        edits: dict[tuple[str | int, ...], object] = {}
        refusals: dict[str, str] = {}
        for opaque in (*reply.opaque, *(p for p in reply.parts if isinstance(p, Opaque))):
            if not self.opaque(opaque.type, opaque.known):
                raise Denied(f"the answer holds `{opaque.type[:80]}`, which can't be scanned", code="unscanned")
        for number, part in enumerate(reply.parts):
            if isinstance(part, Text):
                channel = f"{'text' if _says(reply.document, part) else 'other'}:{number}"
                text = self.text(channel, part.text) + self.text_end(channel)
                if text != part.text:
                    edits[part.path] = text
        # A text that ends the answer must leave no call behind that counts as proposed.
        calls = [part for part in reply.parts if isinstance(part, ToolCall)]
        for call, answer in zip(calls, self._settled([self._decided(c) for c in calls]), strict=True):
            if isinstance(answer, str):
                refusals[call.id] = answer
            elif answer is not None:
                edits[call.path] = answer
        document = codec.rewrite(reply.document, edits) if edits else reply.document
        return codec.refuse_calls(document, refusals) if refusals else document

    def _look(self, scanner: StreamScanner) -> None:
        if scanner.blocked:
            self._trace.answered(scanner.verdict)
            detectors = sorted({d.detector for d in scanner.verdict.detections})
            why = f"the answer was stopped: {scanner.verdict.reason}"
            raise Denied(why, code="content_blocked", details={"detectors": detectors})


def _says(document: Any, part: Text) -> bool:
    """Whether a text is what a whole answer says, and not its reasoning, a refusal or a citation."""
    path = part.path
    if path[-1] not in ("content", "text") or not _BESIDE.isdisjoint(path):
        return False
    return path[0] != "output" or document["output"][path[1]].get("type") == "message"


_BESIDE = frozenset({"annotations", "citations", "summary"})


def _satisfies(text: str, schema: Any) -> None:
    """Nothing, when an answer is what its schema says. Raises `Denied`, also where that can't be told."""
    try:
        wrong = problem(text, schema)
    except Unjudged as bound:
        wrong = str(bound)
    if wrong:
        raise Denied(f"the answer isn't what its schema demands: {wrong}", code="answer_schema")
