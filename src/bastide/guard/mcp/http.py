# SPDX-License-Identifier: Apache-2.0
"""The proxy for remote MCP servers (Streamable HTTP, with and without sessions).

No token passes through: the client's credentials are the guard's business, the server gets the credential of the settings. No other header
of the client passes either; those that MCP needs are made anew. The older HTTP+SSE transport (2024-11-05) is refused.

Source: MCP 2025-03-26 to 2026-07-28, "Transports", "Authorization" and "Security Best Practices" (token passthrough, session hijacking).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from typing import Any

import aiohttp
from msgspec import Struct

from bastide.errors import GuardError, Malformed, NotFound, OverLimit, UpstreamError
from bastide.guard.gateway.asgi import (
    JSON,
    Disconnected,
    Receive,
    Scope,
    Send,
    declared_length,
    headers_of,
    read_body,
    respond,
)
from bastide.guard.mcp import headers as head
from bastide.guard.mcp.book import Book
from bastide.guard.mcp.gate import ToolGate
from bastide.guard.mcp.local import LocalServers
from bastide.guard.mcp.mediator import Mediator
from bastide.guard.mcp.messages import (
    ASSUMED,
    BATCHES,
    METHOD_NOT_FOUND,
    STATELESS,
    VERSIONS,
    Message,
    dump,
    error,
    invalid,
    parse,
    unsupported,
)
from bastide.guard.mcp.party import CONVERSATION, Party
from bastide.guard.mcp.relay import Relay
from bastide.guard.mcp.sessions import MAX_STREAMS, Session, Sessions
from bastide.guard.model import Caller
from bastide.guard.settings import Bounds, McpServer, Secret

CONNECT = 10.0
"""Seconds to connect to a server."""


class Limits(Struct, frozen=True):
    """How the proxy is to behave."""

    bounds: Bounds = Bounds()
    keep_alive: float = 15.0
    """Seconds of silence after which a stream gets a comment, so that nothing between here and the client closes it."""


class HttpProxy:
    """Remote MCP servers, for authenticated callers.

    Parameters: `http` must neither keep cookies nor follow redirects on its own (`DummyCookieJar`); `secret` reads a credential, `clock`
    is in seconds and only goes forward.
    """

    def __init__(
        self,
        http: Callable[[], aiohttp.ClientSession],
        gate: ToolGate,
        book: Book,
        secret: Callable[[Secret], str],
        limits: Limits | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._http = http
        self._gate = gate
        self._book = book
        self._secret = secret
        self._limits = limits or Limits()
        self._background: set[asyncio.Task[None]] = set()
        self.sessions = Sessions(clock, self._ended)
        self._local = LocalServers(self.sessions, self._later)

    async def handle(
        self, scope: Scope, receive: Receive, send: Send, caller: Caller, server: McpServer, conversation: str = ""
    ) -> None:
        """Serves one HTTP request of an authenticated caller. Answers every GuardError itself, as JSON-RPC.

        Parameters: `conversation` is what the labels are kept by; '' means one for each caller, over all servers.
        """
        party = Party(caller, conversation or CONVERSATION, server, self._gate, self._book)
        try:
            headers = headers_of(scope)
            head.check_origin(headers)
            handler = {"POST": self._post, "GET": self._get, "DELETE": self._delete}.get(scope["method"])
            if handler is None:
                raise Malformed("MCP has POST, GET and DELETE", code="method_not_allowed")
            await handler(_Request(headers, receive, send, party))
        except Disconnected:
            return
        except GuardError as problem:
            await _refuse(send, problem)

    async def close(self) -> None:
        """Ends what runs in the background, local servers too."""
        await self._local.close()
        if self._background:
            # Servers that are being ended are ended in this time.
            await asyncio.wait(self._background, timeout=3.0)
        for task in list(self._background):
            task.cancel()
        await asyncio.gather(*self._background, return_exceptions=True)

    async def _post(self, request: _Request) -> None:
        headers, bounds = request.headers, self._limits.bounds
        if not headers.get("content-type", "").partition(";")[0].strip().lower() == "application/json":
            raise Malformed("the body of a message is application/json", code="content_type")
        body = await read_body(request.receive, bounds.body, bounds.read_timeout, declared_length(headers))
        parsed = parse(body, bounds.depth)
        messages = parsed if isinstance(parsed, list) else [parsed]
        version = _version(headers)
        session = await self._session(request, messages, version)
        starts = any(m.method == "initialize" for m in messages)
        mediator = session.mediator if session else Mediator(request.party, "" if starts else version)
        if isinstance(parsed, list) and (mediator.version or version or ASSUMED) not in BATCHES:
            raise invalid("this revision has no batches")
        if version == STATELESS:
            head.check_stateless(headers, messages[0])
        onward, back = [], []
        for message in messages:
            step = await mediator.to_server(message)
            if step.onward:
                onward.append(step.onward)
            if step.back:
                back.append(step.back)
        if not onward:
            await _answered(request.send, back, isinstance(parsed, list), version)
            return
        sent = dump([m.document for m in onward] if isinstance(parsed, list) else onward[0].document)
        extra = head.stateless_headers(headers, messages[0], onward[0]) if version == STATELESS else {}
        relay = Relay(mediator, onward, back, isinstance(parsed, list))
        if request.party.server.command:
            await _unless_gone(request, relay, self._local.exchange(relay, request.send, session, version))
            return
        call = _Call("POST", sent, extra, session, version)
        await _unless_gone(request, relay, self._exchange(request, call, relay))

    async def _session(self, request: _Request, messages: list[Message], version: str) -> Session | None:
        """The session that a request belongs to; None where it starts one, or where the revision or server has none."""
        at = request.headers.get(head.SESSION)
        starts = any(m.method == "initialize" for m in messages)
        if starts and (at is not None or len(messages) > 1):
            raise invalid("`initialize` starts a session: it belongs to none, and stands alone")
        if at is None or version == STATELESS:
            return None
        session = await self.sessions.find(at, request.party)
        if version and session.mediator.version and version != session.mediator.version:
            raise invalid("the header MCP-Protocol-Version is not what the session agreed on")
        return session

    async def _get(self, request: _Request) -> None:
        session = await self._existing(request)
        if session.streams >= MAX_STREAMS:
            raise OverLimit(f"this session has {MAX_STREAMS} open streams already", retry_after=1.0)
        last = head.last_event(request.headers)
        if last and last["Last-Event-ID"].encode("latin-1", "replace") not in session.events:
            raise Malformed("this session has got no such event lately, so no stream can be taken up after it")
        call = _Call("GET", None, last, session, session.mediator.version)
        relay = Relay(session.mediator, [], [], False)
        session.streams += 1
        try:
            if request.party.server.command:
                await _unless_gone(request, relay, self._local.stream(session, request.send, self._limits.keep_alive))
            else:
                await _unless_gone(request, relay, self._exchange(request, call, relay))
        finally:
            session.streams -= 1

    async def _delete(self, request: _Request) -> None:
        session = await self._existing(request)
        self.sessions.close(session)
        if request.party.server.command:
            await respond(request.send, 200, b"", ())
            return
        call = _Call("DELETE", None, {}, session, session.mediator.version)
        try:
            async with self._open(request.party.server, call) as response:
                status = response.status if response.status in (200, 202, 204, 405) else 200
        except (aiohttp.ClientError, TimeoutError, OSError):
            # Here it is ended in any case.
            status = 200
        await respond(request.send, status, b"", ())

    async def _existing(self, request: _Request) -> Session:
        at = request.headers.get(head.SESSION)
        if at is None or _version(request.headers) == STATELESS:
            raise Malformed(
                "there is no stream here without a session; the HTTP+SSE transport of 2024-11-05 is not spoken",
                code="method_not_allowed",
            )
        return await self.sessions.find(at, request.party)

    def _ended(self, session: Session) -> None:
        self._local.ended(session)

    async def _exchange(self, request: _Request, call: _Call, relay: Relay) -> None:
        try:
            async with self._open(request.party.server, call) as response:
                opened = self._opened(call, relay, response)
                relay.ask_back = lambda document: self._later(self._tell(request.party, call, opened, document))
                if call.session and response.status == 404:
                    self.sessions.close(call.session)
                await relay.bring(response, request.send, opened, self._limits.bounds.reply, self._limits.keep_alive)
        except (aiohttp.ClientError, TimeoutError, OSError, UpstreamError) as problem:
            await relay.fail(request.send, _upstream_error(problem))
        except GuardError:
            if not relay.started:
                raise
            # In the middle of a stream nothing can be said any more; it ends here.

    def _opened(self, call: _Call, relay: Relay, response: aiohttp.ClientResponse) -> Session | None:
        """The session, made when the server just opened one."""
        upstream = response.headers.get(head.SESSION)
        starts = any(message.method == "initialize" for message in relay.onward)
        if call.session or not upstream or not starts or response.status != 200:
            return call.session
        if len(upstream) > 1024 or not upstream.isprintable():
            raise UpstreamError("the server's session id is none")
        return self.sessions.open(relay.mediator, upstream)

    async def _tell(self, party: Party, call: _Call, session: Session | None, document: dict[str, Any]) -> None:
        """Answers a question of the server in the client's place."""
        version = _spoken(session, call.version)
        answer = _Call("POST", dump(document), {}, session, version)
        try:
            async with self._open(party.server, answer):
                pass
        except (aiohttp.ClientError, TimeoutError, OSError):
            return

    def _later(self, work: Awaitable[None]) -> None:
        task = asyncio.ensure_future(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)

    def _open(self, server: McpServer, call: _Call) -> Any:
        """The request to the server. Only what MCP needs stands in its headers."""
        headers = {"Accept-Encoding": "identity", **call.extra}
        headers["Accept"] = "text/event-stream" if call.method == "GET" else "application/json, text/event-stream"
        if call.body is not None:
            headers["Content-Type"] = "application/json"
        if call.session:
            headers["Mcp-Session-Id"] = call.session.upstream
        if call.version:
            headers["MCP-Protocol-Version"] = call.version
        if server.key is not None:
            headers["Authorization"] = f"Bearer {self._secret(server.key)}"
        # A stream that the server only opens to have it may be silent for hours.
        silence = None if call.method == "GET" else server.timeout
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT, sock_read=silence)
        return self._http().request(
            call.method, server.url, data=call.body, headers=headers, timeout=timeout, allow_redirects=False
        )


class _Request(Struct, frozen=True):
    headers: Mapping[str, str]
    receive: Receive
    send: Send
    party: Party


class _Call(Struct, frozen=True):
    method: str
    body: bytes | None
    extra: Mapping[str, str]
    session: Session | None
    version: str


def _spoken(session: Session | None, stated: str) -> str:
    """The revision for a message of the guard's own."""
    return session.mediator.version if session else stated


def _version(headers: Mapping[str, str]) -> str:
    """The revision that the client states; '' when none. Raises `Malformed` with -32022 when it is unknown."""
    stated = headers.get(head.VERSION, "")
    if stated and stated not in VERSIONS:
        raise unsupported(stated)
    return stated


def _upstream_error(problem: BaseException) -> UpstreamError:
    if isinstance(problem, UpstreamError):
        return problem
    if isinstance(problem, TimeoutError):
        return UpstreamError("the MCP server did not answer in time", code="upstream_timeout")
    return UpstreamError("the MCP server can't be reached, or broke off")


async def _unless_gone(request: _Request, relay: Relay, exchange: Coroutine[Any, Any, None]) -> None:
    """Runs an exchange, and stops it when the client goes away. Raises `Disconnected` then."""
    work = asyncio.ensure_future(exchange)
    gone = asyncio.ensure_future(_disconnect(request.receive))
    try:
        await asyncio.wait((work, gone), return_when=asyncio.FIRST_COMPLETED)
    finally:
        # Closing the connection is how the stateless revision cancels, and harmless in the others.
        for task in (work, gone):
            task.cancel()
        await asyncio.gather(work, gone, return_exceptions=True)
    try:
        await work
    except asyncio.CancelledError:
        for message in relay.onward:
            relay.mediator.forget(message.id)
        raise Disconnected from None


async def _disconnect(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _answered(send: Send, back: list[dict[str, Any]], batch: bool, version: str) -> None:
    """What the guard says itself."""
    if not back:
        await respond(send, 202, b"", ())
        return
    status = 200
    code = back[0].get("error", {}).get("code")
    if version == STATELESS and not batch and code is not None:
        # The stateless revision wants the status too, and clients fall back to older revisions by it.
        status = 404 if code == METHOD_NOT_FOUND else 400
    await respond(send, status, dump(back if batch else back[0]))


async def _refuse(send: Send, problem: GuardError) -> None:
    status = {"method_not_allowed": 405, "content_type": 415}.get(problem.code, problem.status)
    headers = [*JSON, (b"allow", b"POST")] if status == 405 else list(JSON)
    if isinstance(problem, NotFound):
        status = 404
    await respond(send, status, dump(error(None, problem)), headers)
