# SPDX-License-Identifier: Apache-2.0
"""The engine's side of MCP: decides about tools and their calls at the tools' own door.

A call that the guard has let a model propose was decided with the whole conversation in view and passes here once. Any other call is judged
by what this conversation has shown the guard; where it has shown it no request to a model, whoever made the model propose the call is unknown.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from bastide.errors import Denied
from bastide.guard.conversation import Conversation
from bastide.guard.engine import denied
from bastide.guard.events import Role, Text, Tool, ToolCall, ToolResult, Turn
from bastide.guard.gateway.consent import Consent
from bastide.guard.gateway.trace import Trace
from bastide.guard.mcp.gate import OUTBOUND, Incident, TextKind
from bastide.guard.model import Caller, Effect, Outcome, Question
from bastide.guard.settings import McpServer

if TYPE_CHECKING:
    from bastide.guard.gateway.runtime import Runtime


class EngineGate:
    """A `mcp.gate.ToolGate` on the running guard."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    async def offer(self, caller: Caller, server: McpServer, tools: Sequence[Tool]) -> Sequence[Tool]:
        """Those of the tools of which the policy lets the agent use any at all."""
        engine = self._runtime.engine
        found = []
        for tool in tools:
            meaning = engine.meaning(tool.name, server.component)
            question = Question(caller, meaning.action, meaning.component, tool.name, approved=True)
            if engine.policy.decide(question).effect is Effect.ALLOW:
                found.append(tool)
        self._conversation(caller, "").session.observe_tools(found)
        return found

    async def call(self, caller: Caller, conversation: str, server: McpServer, call: ToolCall) -> dict[str, Any]:
        """The arguments to send. Raises `Denied`, with the id of the approval that was asked for in `details`."""
        of = self._conversation(caller, conversation)
        trace = self._trace(caller, of)
        consent = Consent(self._runtime, of)
        before = self._runtime.conversations.redeem(caller, call, self._runtime.engine.version)
        decision = of.decided(call, before, server.component) if before else consent.decide(call, server.component)
        asked = consent.ask(decision)
        trace.decided(decision, asked)
        if not decision.allowed:
            error = denied(decision.ruling, approval=asked.id if asked else "")
            trace.failed(error)
            await self._runtime.recorder.record(trace.entries())
            raise error
        await self._runtime.recorder.record(trace.entries())
        of.made(decision)
        return decision.call.arguments or {}

    async def result(
        self, caller: Caller, conversation: str, server: McpServer, call: ToolCall, result: ToolResult
    ) -> ToolResult:
        """What the caller may have of the result."""
        of = self._conversation(caller, conversation)
        checked, intake = of.result(replace(result, name=call.name), server.component)
        if intake.sightings or intake.unscanned or intake.endorsements or intake.dropped:
            trace = self._trace(caller, of)
            trace.took(intake)
            await self._runtime.recorder.record(trace.entries())
        return replace(checked, name=result.name)

    async def text(self, caller: Caller, conversation: str, server: McpServer, kind: TextKind, text: str) -> str:
        """The text to pass on. Raises `Denied` when it is an attack, or more than the server may have."""
        of = self._conversation(caller, conversation)
        if kind in OUTBOUND:
            self._may_send(of, server)
            return of.outgoing(text)
        result = ToolResult(f"mcp:{kind}", (Text(text, ("text",)),), server.component)
        checked, intake = of.result(result, server.component)
        if intake.sightings:
            trace = self._trace(caller, of)
            trace.took(intake)
            await self._runtime.recorder.record(trace.entries())
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

    async def opaque(self, caller: Caller, conversation: str, server: McpServer, kind: TextKind, type: str) -> None:
        """Content that can't be scanned."""
        of = self._conversation(caller, conversation)
        of.session.observe(Turn(Role.TOOL, (ToolResult(f"mcp:{kind}", (), server.component),)))
        if self._runtime.engine.settings.content.unscanned == "deny":
            raise Denied(f"`{type[:80]}` of `{server.component}` can't be scanned", code="unscanned")
        await self.incident(caller, conversation, server, Incident("unscanned", type, kind, refused=False))

    async def incident(self, caller: Caller, conversation: str, server: McpServer, incident: Incident) -> None:
        """Records it."""
        trace = self._trace(caller, self._conversation(caller, conversation))
        trace.component = server.component
        trace.incident(incident.kind, incident.subject, incident.why, refused=incident.refused)
        await self._runtime.recorder.record(trace.entries())

    def _may_send(self, of: Conversation, server: McpServer) -> None:
        engine = self._runtime.engine
        meaning = engine.meaning(server.component)
        ruling = engine.policy.decide(
            Question(of.caller, meaning.action, meaning.component, label=of.session.label, traced=False)
        )
        if ruling.effect is not Effect.ALLOW:
            raise denied(ruling)

    def _conversation(self, caller: Caller, name: str) -> Conversation:
        return self._runtime.conversations.named(self._runtime.engine, caller, name or "mcp")

    def _trace(self, caller: Caller, of: Conversation) -> Trace:
        trace = Trace(self._runtime.new_id(), "mcp", self._runtime.engine.version)
        trace.caller, trace.label = caller, of.session.label
        return trace
