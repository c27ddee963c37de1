# SPDX-License-Identifier: Apache-2.0
"""Who talks to which server, and in which conversation; with the gate that judges it."""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from bastide.errors import Denied
from bastide.guard.mcp.book import Book, Owner, owner_of
from bastide.guard.mcp.content import replace, texts
from bastide.guard.mcp.gate import Incident, TextKind, ToolGate
from bastide.guard.model import Caller
from bastide.guard.settings import McpServer

CONVERSATION = "mcp"
"""The conversation of calls that name none: one for each caller, over all servers. What one server returned may have shaped a call to
another, so labels that are kept by MCP session would lose it."""
_WORD = 24


class Party(Struct, frozen=True):
    """One caller at one server."""

    caller: Caller
    conversation: str
    server: McpServer
    gate: ToolGate
    book: Book
    session: str = ""
    """The MCP session, in which loops are counted; '' where there are none."""

    @property
    def owner(self) -> Owner:
        """Who its sessions belong to."""
        return owner_of(self.caller)

    async def texts(self, kind: TextKind, document: Any) -> Any:
        """The document with every text in it judged. Raises what the gate raises."""
        found, opaque = texts(document)
        for blob in opaque:
            await self.gate.opaque(self.caller, self.conversation, self.server, kind, blob.type)
        changes = {}
        for one in found:
            if (
                not (kind == "listing" and _is_word(one.text))
                and (passed := await self.text(kind, one.text)) != one.text
            ):
                changes[one.path] = passed
        return replace(document, changes)

    async def text(self, kind: TextKind, text: str) -> str:
        """One text, judged."""
        return await self.gate.text(self.caller, self.conversation, self.server, kind, text)

    async def incident(self, incident: Incident) -> None:
        """Records something."""
        await self.gate.incident(self.caller, self.conversation, self.server, incident)

    async def refuse(self, incident: Incident) -> Denied:
        """Records something that was refused, and makes the error for it."""
        await self.incident(incident)
        details = {"incident": incident.kind, "subject": incident.subject}
        return Denied(incident.why, code=f"mcp_{incident.kind}", details=details)

    def allows(self, ask: str) -> bool:
        """Whether the server may ask the client for this."""
        return ask in self.server.client_requests


def _is_word(text: str) -> bool:
    """Whether it is a single short word or number, of which schemas are full: too short to say anything."""
    return (len(text) <= _WORD and text.isascii() and text.translate(_JOINTS).isalnum()) or not text


_JOINTS = str.maketrans("_-./", "0000")
