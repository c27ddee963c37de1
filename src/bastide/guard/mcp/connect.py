# SPDX-License-Identifier: Apache-2.0
"""Asks a server what it offers, to review and pin it: no tool is called."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, Protocol

import aiohttp
from msgspec import Struct

from bastide.errors import GuardError, UpstreamError
from bastide.guard.mcp.book import MAX_TOOLS
from bastide.guard.mcp.child import Child, lines
from bastide.guard.mcp.messages import CAPABILITIES_META, HANDSHAKE, STATELESS, VERSION_META, Kind, Message, dump, parse
from bastide.guard.mcp.sse import Reader

MAX_PAGES = 200
MAX_ANSWER = 32 << 20
_CLIENT = {"name": "bastide-guard-pin", "version": "1"}


class Offer(Struct, frozen=True):
    """What a server says about itself."""

    tools: list[dict[str, Any]]
    instructions: str = ""


class _Line(Protocol):
    """A way to a server."""

    async def ask(self, document: dict[str, Any]) -> Message: ...

    async def tell(self, document: dict[str, Any]) -> None: ...


async def ask_http(url: str, token: str = "", timeout: float = 30.0) -> Offer:
    """What a remote server offers.

    Parameters: `token` is sent as a bearer token; `timeout` in seconds for everything. Raises `UpstreamError`.
    """
    async with _in_time(timeout), aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as http:
        line = _HttpLine(http, url, token)
        try:
            return await _interview(line)
        except (aiohttp.ClientError, OSError) as problem:
            raise UpstreamError(f"the MCP server at {url} can't be reached: {problem}") from None
        finally:
            await line.close()


async def ask_stdio(command: Sequence[str], env: Mapping[str, str], timeout: float = 30.0) -> Offer:
    """What a local server offers. Parameters and errors as in `ask_http`."""
    child = await Child.start(command, env)
    try:
        async with _in_time(timeout):
            return await _interview(_StdioLine(child))
    finally:
        await child.stop()


@contextlib.asynccontextmanager
async def _in_time(timeout: float) -> AsyncIterator[None]:
    try:
        async with asyncio.timeout(timeout):
            yield
    except TimeoutError:
        raise UpstreamError(f"the MCP server did not answer within {timeout:g} s", code="upstream_timeout") from None


async def _interview(line: _Line) -> Offer:
    asked = {"protocolVersion": HANDSHAKE[-1], "capabilities": {}, "clientInfo": _CLIENT}
    answer = await line.ask(_request(1, "initialize", asked))
    extra: dict[str, Any] = {}
    if answer.kind is Kind.ERROR:
        # A server of the stateless revision has no handshake.
        extra = {"_meta": {VERSION_META: STATELESS, CAPABILITIES_META: {}}}
        answer = await line.ask(_request(2, "server/discover", extra))
    else:
        await line.tell({"jsonrpc": "2.0", "method": "notifications/initialized"})
    about = _result(answer)
    instructions = about.get("instructions") or ""
    tools = await _tools(line, extra) if "tools" in (about.get("capabilities") or {}) else []
    return Offer(tools, instructions if isinstance(instructions, str) else "")


async def _tools(line: _Line, extra: dict[str, Any]) -> list[dict[str, Any]]:
    tools: list[dict[str, Any]] = []
    params = dict(extra)
    for page in range(MAX_PAGES):
        body = _result(await line.ask(_request(10 + page, "tools/list", params)))
        listed = body.get("tools")
        if not isinstance(listed, list) or not all(
            isinstance(t, dict) and isinstance(t.get("name"), str) for t in listed
        ):
            raise UpstreamError("the MCP server's list of tools is none")
        tools += listed
        if len(tools) > MAX_TOOLS:
            break
        if not (cursor := body.get("nextCursor")):
            return tools
        params = {**extra, "cursor": cursor}
    raise UpstreamError("the MCP server's list of tools has no end")


def _request(at: int, method: str, params: dict[str, Any]) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": at, "method": method, "params": params}


def _result(message: Message) -> dict[str, Any]:
    if message.kind is Kind.ERROR:
        raise UpstreamError(f"the MCP server refuses: {str(message.body.get('message'))[:300]}")
    return message.body


def _answer(data: bytes, at: Any) -> Message | None:
    """The answer to a request, if it is in these bytes."""
    try:
        parsed = parse(data)
    except GuardError:
        return None
    for message in parsed if isinstance(parsed, list) else [parsed]:
        if message.kind is Kind.RESULT and message.id == at:
            return message
        if message.kind is Kind.ERROR and message.id in (at, None, "server-error"):
            return message
    return None


class _StdioLine:
    def __init__(self, child: Child) -> None:
        self._child = child
        self._lines = lines(child.out, MAX_ANSWER)

    async def ask(self, document: dict[str, Any]) -> Message:
        await self.tell(document)
        async for line in self._lines:
            if line is not None and (answer := _answer(line, document["id"])) is not None:
                return answer
        raise UpstreamError("the MCP server ended without an answer")

    async def tell(self, document: dict[str, Any]) -> None:
        await self._child.write(dump(document))


class _HttpLine:
    def __init__(self, http: aiohttp.ClientSession, url: str, token: str) -> None:
        self._http, self._url = http, url
        self._session = ""
        self._fixed = {"Accept": "application/json, text/event-stream", "Content-Type": "application/json"}
        if token:
            self._fixed["Authorization"] = f"Bearer {token}"

    async def ask(self, document: dict[str, Any]) -> Message:
        async with self._send(document) as response:
            self._session = response.headers.get("mcp-session-id", self._session)
            if response.content_type == "text/event-stream":
                found = await self._event(response, document["id"])
            else:
                found = _answer(await self._body(response), document["id"])
        if found is None:
            raise UpstreamError(f"the MCP server at {self._url} did not answer as one (status {response.status})")
        return found

    async def _event(self, response: aiohttp.ClientResponse, at: Any) -> Message | None:
        reader = Reader()
        async for data in response.content.iter_any():
            for event in reader.feed(data):
                if (found := _answer(event.data, at)) is not None:
                    return found
        return None

    @staticmethod
    async def _body(response: aiohttp.ClientResponse) -> bytes:
        parts, size = [], 0
        async for data in response.content.iter_any():
            parts.append(data)
            size += len(data)
            if size > MAX_ANSWER:
                raise UpstreamError(f"the MCP server's answer has over {MAX_ANSWER} bytes")
        return b"".join(parts)

    async def tell(self, document: dict[str, Any]) -> None:
        async with self._send(document):
            pass

    def _send(self, document: dict[str, Any]) -> Any:
        headers = dict(self._fixed)
        stateless = VERSION_META in ((document.get("params") or {}).get("_meta") or {})
        if stateless:
            headers |= {"MCP-Protocol-Version": STATELESS, "Mcp-Method": document["method"]}
        elif self._session and document["method"] != "initialize":
            headers |= {"MCP-Protocol-Version": HANDSHAKE[-1], "Mcp-Session-Id": self._session}
        return self._http.post(self._url, data=dump(document), headers=headers, allow_redirects=False)

    async def close(self) -> None:
        """Ends the session, where there is one."""
        if self._session:
            with contextlib.suppress(aiohttp.ClientError, OSError):
                headers = {**self._fixed, "Mcp-Session-Id": self._session}
                async with self._http.delete(self._url, headers=headers, allow_redirects=False):
                    pass
