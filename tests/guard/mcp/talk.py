# SPDX-License-Identifier: Apache-2.0
"""A server that answers as a test says, and a client that says exactly what a test wants."""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp

from tests.guard.mcp.fakes import FakeGate, ProxyApp

TOOL = {"name": "echo", "description": "Says it again.", "inputSchema": {"type": "object"}}
HEADERS = {"content-type": "application/json", "accept": "application/json, text/event-stream"}
Pieces = list[bytes | float]
"""Bytes are sent, numbers are waited for."""


class Upstream:
    """A server that answers by method; remembers what it was sent."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        self.seen: list[tuple[str, dict[str, str], Any]] = []
        self.tools: list[dict[str, Any]] = [TOOL]
        self.call: Pieces | None = None
        self.status = 200
        self.type = b"application/json"
        self.get: Pieces = []
        self.left = threading.Event()
        self.location = b""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        body = b""
        while True:
            message = await receive()
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        document = json.loads(body) if body else None
        headers = {k.decode(): v.decode() for k, v in scope["headers"]}
        self.seen.append((scope["method"], headers, document))
        status, kind, pieces = self.answer(scope["method"], document)
        extra = [(b"mcp-session-id", b"upstream-1"), (b"x-inside", b"secret"), (b"set-cookie", b"a=b")]
        if self.location:
            extra.append((b"location", self.location))
        await send({"type": "http.response.start", "status": status, "headers": [(b"content-type", kind), *extra]})
        for piece in pieces:
            if isinstance(piece, bytes):
                await send({"type": "http.response.body", "body": piece, "more_body": True})
            elif await self._left(receive, piece):
                return
        await send({"type": "http.response.body", "body": b""})

    async def _left(self, receive: Any, seconds: float) -> bool:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while (await receive())["type"] != "http.disconnect":
                    pass
                self.left.set()
                return True
        return False

    def answer(self, method: str, document: Any) -> tuple[int, bytes, Pieces]:
        if method == "GET":
            return 200, b"text/event-stream", self.get
        if isinstance(document, list):
            return 200, self.type, [json.dumps([result(d["id"], {}) for d in document if "id" in d]).encode()]
        if method == "DELETE" or "id" not in document or "method" not in document:
            return 202, b"text/plain", []
        at, asked = document["id"], document["method"]
        if asked == "initialize":
            version = document["params"]["protocolVersion"]
            about = {
                "protocolVersion": version,
                "capabilities": {"tools": {}, "tasks": {}},
                "serverInfo": {"name": "x"},
            }
            return 200, b"application/json", [json.dumps(result(at, about)).encode()]
        if asked == "tools/list":
            return 200, b"application/json", [json.dumps(result(at, {"tools": self.tools})).encode()]
        if asked == "tools/call" and self.call is not None:
            return self.status, self.type, self.call
        return 200, b"application/json", [json.dumps(result(at, {"content": [text("ok")]})).encode()]


def result(at: Any, body: Any) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": at, "result": body}


def text(words: str) -> dict[str, str]:
    return {"type": "text", "text": words}


def event(document: Any, at: str = "") -> bytes:
    return (f"id: {at}\n" if at else "").encode() + b"data: " + json.dumps(document).encode() + b"\n\n"


class Caller:
    """A client that says exactly what a test wants."""

    def __init__(self, http: aiohttp.ClientSession, url: str) -> None:
        self.http, self.url, self.headers = http, url, dict(HEADERS)

    async def send(self, document: Any, **headers: str) -> tuple[int, Any, Any]:
        data = document if isinstance(document, bytes) else json.dumps(document).encode()
        sent = {**self.headers, **{k.replace("_", "-"): v for k, v in headers.items()}}
        async with self.http.post(self.url, data=data, headers=sent) as response:
            body = await response.read()
            return response.status, response.headers, read(body, response.content_type)

    async def ask(self, method: str, params: Any = None, at: Any = 5, **headers: str) -> Any:
        _, _, body = await self.send({"jsonrpc": "2.0", "id": at, "method": method, "params": params or {}}, **headers)
        return body

    async def start(self, version: str = "2025-06-18") -> Any:
        asked = {"protocolVersion": version, "capabilities": {"sampling": {}, "roots": {}}, "clientInfo": {"name": "c"}}
        start = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": asked}
        _, headers, body = await self.send(start)
        self.headers["mcp-session-id"] = headers["mcp-session-id"]
        self.headers["mcp-protocol-version"] = version
        return body


def read(body: bytes, kind: str) -> Any:
    if kind == "text/event-stream":
        return [json.loads(line[6:]) for line in body.split(b"\n") if line.startswith(b"data: ")]
    return json.loads(body) if body else None


Test = Callable[[Caller, Upstream, ProxyApp], Awaitable[None]]


Run = Callable[..., FakeGate]
