# SPDX-License-Identifier: Apache-2.0
"""What the MCP part needs from the engine: who decides about tools, their calls and results, and every other text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, Protocol

from msgspec import Struct

from bastide.guard.events import Tool, ToolCall, ToolResult
from bastide.guard.model import Caller
from bastide.guard.settings import McpServer

TextKind = Literal[
    "instructions", "listing", "resource", "prompt", "completion", "log", "error",
    "sampling", "elicitation", "roots", "answer", "request",
]  # fmt: skip
"""Where a text stands. From the server: its instructions, descriptions of resources and prompts (`listing`), the content of a resource or
prompt, completions, log and progress messages, error messages, and what it asks of the client's model (`sampling`), user (`elicitation`) or
file system (`roots`). To the server: what the client answers to such a question (`answer`) and the parameters of requests that are no tool
calls, such as the address of a resource (`request`)."""

OUTBOUND: frozenset[str] = frozenset({"answer", "request"})
"""Kinds of texts that go to the server."""


class Incident(Struct, frozen=True):
    """Something that the log has to know although no decision of the engine was asked for."""

    kind: Literal["unscanned", "pin", "shadowing", "hidden", "session"]
    """unscanned: something wasn't understood; pin: a tool or the instructions differ from what was reviewed; shadowing: a tool poses as
    another server's; hidden: a description with invisible characters or orders to the model; session: somebody else's session id."""
    subject: str
    """The method, tool or message."""
    why: str
    refused: bool = True


class ToolGate(Protocol):
    """Decides. Every method may raise a `GuardError`; what was asked about then doesn't happen.

    `conversation` names what the labels are kept by: calls of one conversation may have influenced each other, also across servers. Names are
    the caller's own: two callers that use the same name have two conversations.
    """

    async def offer(
        self, caller: Caller, conversation: str, server: McpServer, tools: Sequence[Tool]
    ) -> Sequence[Tool]:
        """Those of the tools that the caller may see. A tool may be left out; its description is as the server wrote it."""
        ...

    async def call(
        self, caller: Caller, conversation: str, server: McpServer, call: ToolCall, session: str
    ) -> dict[str, Any]:
        """The arguments to send, perhaps edited (a tenant filter). Raises `Denied` with the approval id in `details`.

        session: in which the call is made; '' where there are none. Limits on loops are counted by it.
        """
        ...

    async def result(
        self, caller: Caller, conversation: str, server: McpServer, call: ToolCall, result: ToolResult
    ) -> ToolResult:
        """What the caller may have of the result. Texts may differ, parts may be missing; paths stay as they are."""
        ...

    async def text(self, caller: Caller, conversation: str, server: McpServer, kind: TextKind, text: str) -> str:
        """The text to pass on."""
        ...

    async def opaque(self, caller: Caller, conversation: str, server: McpServer, kind: TextKind, type: str) -> None:
        """Asked about content that can't be scanned (a blob, an image) outside of tool results. Raises `Denied` when it may not pass."""
        ...

    async def incident(self, caller: Caller, conversation: str, server: McpServer, incident: Incident) -> None:
        """Records it."""
        ...
