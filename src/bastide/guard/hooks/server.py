# SPDX-License-Identifier: Apache-2.0
"""One MCP server as a session sees it: its tools, calls to it, and what it answers, whatever client speaks with it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bastide.errors import Denied, GuardError
from bastide.guard.conversation import CallDecision
from bastide.guard.engine import denied
from bastide.guard.events import Role, Text, Tool, ToolCall
from bastide.guard.hooks.transcript import Heard, Transcript
from bastide.guard.library import Ask
from bastide.guard.mcp.answers import refused_call
from bastide.guard.mcp.book import Book, owner_of
from bastide.guard.mcp.content import replace as written_at
from bastide.guard.mcp.content import texts, tool_result, written
from bastide.guard.mcp.pins import Pins


class ServerGuard:
    """Documents in, documents out; they have MCP's own keys (`inputSchema`)."""

    def __init__(self, transcript: Transcript, server: str, pins: Pins | None = None) -> None:
        """server: its component in the plan; pins: its tools as people reviewed them."""
        self.transcript = transcript
        self.server = server
        self._book = Book({server: pins} if pins is not None else None)
        self._owner = owner_of(transcript.session.conversation.caller)

    def listed(self, tools: Sequence[dict[str, Any]]) -> list[str]:
        """Names of those tools that the model may be told of: not changed, not posing as others, without orders in them.

        Raises `Denied` when the tools of the conversation pose as each other, `Malformed`.
        """
        with self.transcript.lock:
            offered, _ = self._book.judge(self.server, self._owner, tools)
            described = [
                Tool(t["name"], str(t.get("description") or ""), t.get("inputSchema"), self.server) for t in offered
            ]
            self.transcript.session.tools(described)
        return [tool.name for tool in described]

    def decide(self, name: str, arguments: dict[str, Any] | None, id: str = "", ask: Ask | None = None) -> CallDecision:
        """The decision about a call that may be made. Raises `Denied` for one that may not, `OverLimit`."""
        if incident := self._book.refusal(self.server, self._owner, name):
            raise Denied(incident.why, code="tool_definition")
        with self.transcript.lock:
            decision = self.transcript.session.call(name, arguments or {}, id, component=self.server, ask=ask)
        if not decision.allowed:
            raise denied(decision.ruling)
        return decision

    def refused(self, call: ToolCall, problem: GuardError) -> dict[str, Any]:
        """The result that tells the model why there is none."""
        self.transcript.refused(call, str(problem))
        return refused_call(problem)

    def result(self, call: ToolCall, body: dict[str, Any]) -> dict[str, Any]:
        """What a call came to, as the model may have it. Raises `Denied`, `Malformed`."""
        before = tool_result(call, body)
        with self.transcript.lock:
            after, _ = self.transcript.session.conversation.result(before, self.server)
            made = written(body, before, after)
            said = [block["text"] for block in made.get("content", []) if isinstance(block.get("text"), str)]
            for text in said:
                self.transcript.known(Heard(Role.TOOL, text, call.id, call.name))
        return made

    def document(self, kind: str, body: dict[str, Any]) -> dict[str, Any]:
        """A resource or a prompt of the server's. Raises `Denied` for what can't be scanned, `Malformed`, `TooLarge`."""
        found, opaque = texts(body)
        call = ToolCall(f"mcp:{kind}", self.server, None)
        with self.transcript.lock:
            for part in opaque:
                self.transcript.opaque(part.type, Role.TOOL)
            return self._passed(call, body, found)

    def _passed(self, call: ToolCall, body: dict[str, Any], found: list[Text]) -> dict[str, Any]:
        changes = {}
        for part in found:
            checked = self.transcript.result(Heard(Role.TOOL, part.text, call.id, call.name), self.server)
            if checked != part.text:
                changes[part.path] = checked
        made: dict[str, Any] = written_at(body, changes)
        return made
