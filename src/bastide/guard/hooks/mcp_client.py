# SPDX-License-Identifier: Apache-2.0
"""The guard around a client session of the official MCP package (2.x).

::

    crm = GuardedClient(client.session, guard.session(agent="assistant", user="ann"), "crm")
    tools = await crm.list_tools()
    result = await crm.call_tool("read_customer", {"id": "7"})
"""

from __future__ import annotations

from typing import Any

from bastide.errors import GuardError, OverLimit
from bastide.guard.events import ToolCall
from bastide.guard.hooks.server import ServerGuard
from bastide.guard.hooks.transcript import Transcript
from bastide.guard.library import Session
from bastide.guard.mcp.pins import Pins

try:
    from mcp import ClientSession, types
except ImportError as problem:
    raise ImportError("this hook needs the MCP package: pip install 'mcp>=2'") from problem


class GuardedClient:
    """The calls of a client session that an agent makes. What this class doesn't have isn't guarded, so give the agent only this."""

    def __init__(self, client: ClientSession, session: Session | Transcript, server: str, *, pins: Pins | None = None):
        """session: of the conversation; give clients that share a conversation the same one. server: its component in the plan."""
        self._client = client
        self._guard = ServerGuard(session if isinstance(session, Transcript) else Transcript(session), server, pins)

    async def list_tools(self, *, params: types.PaginatedRequestParams | None = None) -> types.ListToolsResult:
        """The tools without those that changed, pose as others or give orders to the model. Raises `Denied`, `Malformed`."""
        listed = await self._client.list_tools(params=params)
        offered = self._guard.listed([dumped(tool) for tool in listed.tools])
        return listed.model_copy(update={"tools": [tool for tool in listed.tools if tool.name in offered]})

    async def call_tool(
        self, name: str, arguments: dict[str, Any] | None = None, read_timeout_seconds: float | None = None
    ) -> types.CallToolResult:
        """The call's result; for a refused one, which isn't made, a result with `is_error` and the reason. Raises `OverLimit`."""
        call = ToolCall("", name, arguments or {})
        try:
            call = self._guard.decide(name, arguments).call
            result = await self._client.call_tool(name, call.arguments, read_timeout_seconds)
            return types.CallToolResult.model_validate(self._guard.result(call, dumped(result)))
        except OverLimit:
            raise
        except GuardError as problem:
            return types.CallToolResult.model_validate(self._guard.refused(call, problem))

    async def read_resource(self, uri: str) -> types.ReadResourceResult:
        """A resource, attacks cut out. Raises `Denied` for what can't be scanned."""
        found = await self._client.read_resource(uri)
        return types.ReadResourceResult.model_validate(self._guard.document("resource", dumped(found)))

    async def get_prompt(self, name: str, arguments: dict[str, str] | None = None) -> types.GetPromptResult:
        """A prompt of the server's, attacks cut out: it is text from outside, not an instruction of the developer's."""
        found = await self._client.get_prompt(name, arguments)
        return types.GetPromptResult.model_validate(self._guard.document("prompt", dumped(found)))


def dumped(model: Any) -> dict[str, Any]:
    """A document of the protocol's, with its own keys."""
    document: dict[str, Any] = model.model_dump(mode="json", by_alias=True, exclude_none=True)
    return document
