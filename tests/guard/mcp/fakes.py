# SPDX-License-Identifier: Apache-2.0
"""A gate that does what a test says, and servers in threads."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import Iterator, Sequence
from typing import Any

import aiohttp
import msgspec
import uvicorn

from bastide.errors import Denied
from bastide.guard.events import Text, Tool, ToolCall, ToolResult
from bastide.guard.mcp.book import Book
from bastide.guard.mcp.gate import Incident
from bastide.guard.mcp.http import HttpProxy, Limits
from bastide.guard.model import Caller
from bastide.guard.settings import McpServer, Secret

ALICE = Caller(agent="assistant", user="alice", key="k1")
BOB = Caller(agent="assistant", user="bob", key="k1")
CRM = McpServer("crm", url="http://127.0.0.1:9/mcp")


class FakeGate:
    """Refuses the tools in `denied`, hides those in `hidden`, and blanks the word SECRET in every text."""

    def __init__(self, denied: Sequence[str] = (), hidden: Sequence[str] = ()) -> None:
        self.denied, self.hidden = set(denied), set(hidden)
        self.calls: list[tuple[str, str, str, dict[str, Any]]] = []
        self.results: list[tuple[str, ToolResult]] = []
        self.texts: list[tuple[str, str]] = []
        self.incidents: list[Incident] = []
        self.opaques: list[str] = []
        self.extra: dict[str, Any] = {}
        self.sessions: list[str] = []

    async def offer(
        self, caller: Caller, conversation: str, server: McpServer, tools: Sequence[Tool]
    ) -> Sequence[Tool]:
        return [tool for tool in tools if tool.name not in self.hidden]

    async def call(
        self, caller: Caller, conversation: str, server: McpServer, call: ToolCall, session: str
    ) -> dict[str, Any]:
        self.sessions.append(session)
        self.calls.append((caller.user, conversation, call.name, dict(call.arguments or {})))
        if call.name in self.denied:
            raise Denied("no flow permits it", details={"flow": "", "approval": "ap-1"})
        return {**(call.arguments or {}), **self.extra}

    async def result(
        self, caller: Caller, conversation: str, server: McpServer, call: ToolCall, result: ToolResult
    ) -> ToolResult:
        self.results.append((call.name, result))
        if any(isinstance(p, Text) and "POISON" in p.text for p in result.content):
            raise Denied("the result holds an attack")
        parts = tuple(Text(clean(p.text), p.path) if isinstance(p, Text) else p for p in result.content)
        structured = result.structured
        if structured is not None:
            structured = msgspec.json.decode(clean(msgspec.json.encode(structured).decode()))
        return msgspec.structs.replace(result, content=parts, structured=structured)

    async def text(self, caller: Caller, conversation: str, server: McpServer, kind: str, text: str) -> str:
        self.texts.append((kind, text))
        if "POISON" in text:
            raise Denied("an attack")
        return clean(text)

    async def opaque(self, caller: Caller, conversation: str, server: McpServer, kind: str, type: str) -> None:
        self.opaques.append(type)
        raise Denied("can't be scanned")

    async def incident(self, caller: Caller, conversation: str, server: McpServer, incident: Incident) -> None:
        self.incidents.append(incident)

    @property
    def seen(self) -> set[tuple[str, str]]:
        return {(one.kind, one.subject) for one in self.incidents}


def clean(text: str) -> str:
    return text.replace("SECRET", "[redacted]")


def free_socket() -> socket.socket:
    made = socket.socket()
    made.bind(("127.0.0.1", 0))
    return made


@contextlib.contextmanager
def serving(app: Any) -> Iterator[str]:
    """The address of an ASGI app that runs in a thread."""
    listener = free_socket()
    config = uvicorn.Config(app, log_level="critical", lifespan="auto", timeout_graceful_shutdown=1, ws="none")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    while not server.started:
        if not thread.is_alive():
            raise RuntimeError("the server did not start")
        threading.Event().wait(0.005)
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(5)
        listener.close()


class ProxyApp:
    """The proxy as an app; who calls stands in a header, for tests."""

    def __init__(
        self, gate: FakeGate, server: McpServer, book: Book | None = None, limits: Limits | None = None
    ) -> None:
        self.http: aiohttp.ClientSession | None = None
        self._made: list[HttpProxy] = []
        self.set(gate, server, book, limits)

    def set(self, gate: FakeGate, server: McpServer, book: Book | None = None, limits: Limits | None = None) -> None:
        """Begins anew with another gate, so that tests can share the servers, which take longer to start than most tests."""
        self.gate, self.server, self.now = gate, server, 1000.0
        self.caller: Caller | None = None
        self.proxy = HttpProxy(self._session, gate, book or Book(), _secret, limits, lambda: self.now)
        self._made.append(self.proxy)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
            return
        user = dict(scope["headers"]).get(b"x-user", b"alice").decode()
        caller = self.caller or Caller(agent="assistant", user=user, key="k1")
        await self.proxy.handle(scope, receive, send, caller, self.server)

    async def _lifespan(self, receive: Any, send: Any) -> None:
        await receive()
        self.http = aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar())
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await asyncio.gather(*(proxy.close() for proxy in self._made))
        await self.http.close()
        await send({"type": "lifespan.shutdown.complete"})

    def _session(self) -> aiohttp.ClientSession:
        assert self.http is not None
        return self.http


def _secret(secret: Secret) -> str:
    return "upstream-token"
