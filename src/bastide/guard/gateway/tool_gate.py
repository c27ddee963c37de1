# SPDX-License-Identifier: Apache-2.0
"""The engine's side of MCP: decides about tools and their calls at the tools' own door.

A call that the guard has let a model propose was decided with the whole conversation in view and passes here once. Any other call is judged
by what this conversation has shown the guard; where it has shown it no request to a model, whoever made the model propose the call is unknown.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from bastide.errors import Denied, GuardError
from bastide.guard.conversation import CallDecision, Conversation
from bastide.guard.engine import denied
from bastide.guard.events import Role, Text, Tool, ToolCall, ToolResult, Turn
from bastide.guard.gateway.consent import Consent
from bastide.guard.gateway.trace import Trace
from bastide.guard.mcp.gate import OUTBOUND, Incident, TextKind
from bastide.guard.mcp.party import CONVERSATION
from bastide.guard.model import Caller, Effect, Outcome, Question
from bastide.guard.settings import McpServer

if TYPE_CHECKING:
    from bastide.guard.gateway.runtime import Runtime


class EngineGate:
    """A `mcp.gate.ToolGate` on the running guard."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    async def offer(
        self, caller: Caller, conversation: str, server: McpServer, tools: Sequence[Tool]
    ) -> Sequence[Tool]:
        """Those of the tools of which the policy lets the agent use any at all."""
        engine = self._runtime.engine
        found = []
        for tool in tools:
            meaning = engine.meaning(tool.name, server.component)
            question = Question(caller, meaning.action, meaning.component, tool.name, approved=True)
            if engine.policy.decide(question).effect is Effect.ALLOW:
                found.append(tool)
        self._conversation(caller, conversation).described(found)
        return found

    async def call(
        self, caller: Caller, conversation: str, server: McpServer, call: ToolCall, session: str
    ) -> dict[str, Any]:
        """The arguments to send. Raises `Denied`, with the id of the approval that was asked for in `details`; `OverLimit`."""
        runtime = self._runtime
        of = self._conversation(caller, conversation)
        if conversation == CONVERSATION:
            of = runtime.conversations.at_door(of.engine, caller, conversation, session)
        trace = self._trace(caller, of, server)
        try:
            runtime.quarantine.check(caller)
            await runtime.limits.reserve(caller, 0, 0.0)
            decision = self._decided(of, call, server, trace)
        except GuardError as error:
            trace.failed(error)
            raise
        except BaseException:
            trace.aborted()
            raise
        finally:
            # What is let go, and what is refused, is in the log before anybody hears of it.
            self._record(trace)
            runtime.metrics.request(trace)
        of.made(decision)
        return decision.call.arguments or {}

    def _decided(self, of: Conversation, call: ToolCall, server: McpServer, trace: Trace) -> CallDecision:
        consent = Consent(self._runtime, of)
        component = of.engine.meaning(call.name, server.component).component
        before = self._runtime.conversations.redeem(of.caller, call, of.engine.version, component)
        decision = of.decided(call, before, server.component) if before else consent.decide(call, server.component)
        asked = consent.ask(decision)
        if decision.seen.detections:
            trace.answered(decision.seen)
        trace.decided(decision, asked)
        if not decision.allowed:
            raise denied(decision.ruling, approval=asked.id if asked else "")
        return decision

    async def result(
        self, caller: Caller, conversation: str, server: McpServer, call: ToolCall, result: ToolResult
    ) -> ToolResult:
        """What the caller may have of the result."""
        of = self._conversation(caller, conversation)
        checked, intake = of.result(replace(result, name=call.name), server.component, outside=self._outside)
        if intake.sightings or intake.unscanned or intake.endorsements or intake.dropped:
            trace = self._trace(caller, of, server)
            trace.took(intake)
            self._record(trace)
        return replace(checked, name=result.name)

    async def text(self, caller: Caller, conversation: str, server: McpServer, kind: TextKind, text: str) -> str:
        """The text to pass on. Raises `Denied` when it is an attack, or more than the server may have."""
        of = self._conversation(caller, conversation)
        if kind in OUTBOUND:
            return self._outgoing(of, server, text)
        result = ToolResult(f"mcp:{kind}", (Text(text, ("text",)),), server.component)
        checked, intake = of.result(result, server.component, outside=self._outside)
        if intake.sightings:
            trace = self._trace(caller, of, server)
            trace.took(intake)
            self._record(trace)
        if any(s.verdict.outcome is Outcome.BLOCK for s in intake.sightings) and kind in (
            "instructions",
            "sampling",
            "elicitation",
        ):
            raise Denied(
                f"the {kind} of `{server.component}` look like an attack: {intake.sightings[0].verdict.reason}",
                code="content_blocked",
            )
        [part] = checked.content
        return part.text if isinstance(part, Text) else ""

    @property
    def _outside(self) -> bool:
        """Whether personal data have to be taken out here: not when the agent's models are behind this guard too, whose door does it."""
        return not self._runtime.engine.settings.models

    async def opaque(self, caller: Caller, conversation: str, server: McpServer, kind: TextKind, type: str) -> None:
        """Content that can't be scanned."""
        of = self._conversation(caller, conversation)
        of.session.observe(Turn(Role.TOOL, (ToolResult(f"mcp:{kind}", (), server.component),)))
        if self._runtime.engine.settings.content.unscanned == "deny":
            raise Denied(f"`{type[:80]}` of `{server.component}` can't be scanned", code="unscanned")
        await self.incident(caller, conversation, server, Incident("unscanned", type, kind, refused=False))

    async def incident(self, caller: Caller, conversation: str, server: McpServer, incident: Incident) -> None:
        """Records it."""
        trace = self._trace(caller, self._conversation(caller, conversation), server)
        trace.incident(incident.kind, incident.subject, incident.why, refused=incident.refused)
        self._record(trace)

    def _outgoing(self, of: Conversation, server: McpServer, text: str) -> str:
        try:
            self._runtime.quarantine.check(of.caller)
            self._may_send(of, server)
            return of.outgoing(text)
        except GuardError as error:
            trace = self._trace(of.caller, of, server)
            trace.failed(error)
            self._runtime.blame(trace, error)
            self._record(trace)
            raise

    def _may_send(self, of: Conversation, server: McpServer) -> None:
        engine = self._runtime.engine
        meaning = engine.meaning(server.component)
        ruling = engine.policy.decide(
            Question(of.caller, meaning.action, meaning.component, label=of.session.label, traced=False)
        )
        if ruling.effect is not Effect.ALLOW:
            raise denied(ruling)

    def _conversation(self, caller: Caller, name: str) -> Conversation:
        return self._runtime.conversations.named(self._runtime.engine, caller, name)

    def _trace(self, caller: Caller, of: Conversation, server: McpServer) -> Trace:
        trace = Trace(self._runtime.new_id(), "mcp", self._runtime.engine.version)
        trace.caller, trace.label, trace.component = caller, of.session.label, server.component
        return trace

    def _record(self, trace: Trace) -> None:
        self._runtime.record(trace.entries())
