# SPDX-License-Identifier: Apache-2.0
"""Judges what a model answers, whole or as a stream: its texts, and the calls that it proposes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bastide.errors import Denied
from bastide.guard.content.stream import StreamScanner
from bastide.guard.conversation import Conversation
from bastide.guard.events import Opaque, Reply, Text, ToolCall
from bastide.guard.gateway.consent import Consent, explain
from bastide.guard.gateway.trace import Trace
from bastide.guard.protocol.interface import Codec, Decision

if TYPE_CHECKING:
    from bastide.guard.gateway.runtime import Runtime


class Judge:
    """The guard of one answer; a `StreamGuard`."""

    def __init__(self, runtime: Runtime, conversation: Conversation, trace: Trace) -> None:
        self._runtime = runtime
        self._of = conversation
        self._trace = trace
        self._consent = Consent(runtime, conversation)
        self._scanners: dict[str, StreamScanner] = {}
        self._released: list[str] = []
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
        self._released.append(released)
        return released

    def text_end(self, channel: str) -> str:
        """The rest of it."""
        scanner = self._scanners.pop(channel, None)
        if scanner is None:
            return ""
        released = scanner.finish()
        self._look(scanner)
        if scanner.verdict.detections:
            self._trace.answered(scanner.verdict)
        self._released.append(released)
        return released

    @property
    def said(self) -> str:
        """What of the answer went on."""
        return "".join(self._released)

    def call(self, call: ToolCall) -> Decision:
        """None when the call may be made, the arguments with which it may, or what the client is told instead."""
        self.size += len(call.raw)
        decision = self._consent.decide(call)
        asked = self._consent.ask(decision)
        # What is let go has to be in the log before it is gone.
        self._trace.decided(decision, asked)
        self._runtime.record(self._trace.take())
        if not decision.allowed:
            return explain(decision, asked)
        self._of.made(decision)
        self._runtime.conversations.proposed(self._of.caller, decision.call, decision.ruling)
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
                text = self.text(f"text:{number}", part.text) + self.text_end(f"text:{number}")
                if text != part.text:
                    edits[part.path] = text
            elif isinstance(part, ToolCall):
                answer = self.call(part)
                if isinstance(answer, str):
                    refusals[part.id] = answer
                elif answer is not None:
                    edits[part.path] = answer
        document = codec.rewrite(reply.document, edits) if edits else reply.document
        return codec.refuse_calls(document, refusals) if refusals else document

    def _look(self, scanner: StreamScanner) -> None:
        if scanner.blocked:
            self._trace.answered(scanner.verdict)
            detectors = sorted({d.detector for d in scanner.verdict.detections})
            why = f"the answer was stopped: {scanner.verdict.reason}"
            raise Denied(why, code="content_blocked", details={"detectors": detectors})
