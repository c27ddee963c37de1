# SPDX-License-Identifier: Apache-2.0
"""A provider that does what a test says: it answers each connection with raw bytes, hangs, or breaks off."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

Step = bytes | float | None
"""Bytes are written, a number is a pause in seconds, None breaks the connection."""


class FakeProvider:
    """Keeps what it was asked; answers request n with script n, the last one for ever."""

    def __init__(self, *scripts: list[Step]) -> None:
        self.scripts = scripts
        self.requests: list[tuple[str, dict[str, str], bytes]] = []
        self.url = ""
        self.hung_up = 0
        """Answers in the middle of which the other side went away."""
        self.written = 0
        """Bytes of answers."""

    @property
    def documents(self) -> list[Any]:
        """The JSON bodies that came."""
        return [json.loads(body) for _, _, body in self.requests]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        answering = False
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
                headers = {k.lower(): v.strip() for k, _, v in (line.partition(":") for line in head[1:] if line)}
                body = await reader.readexactly(int(headers.get("content-length", "0")))
                script = self.scripts[min(len(self.requests), len(self.scripts) - 1)]
                self.requests.append((head[0], headers, body))
                answering = True
                for step in script:
                    if step is None:
                        writer.transport.abort()
                        return
                    if reader.at_eof():
                        raise ConnectionResetError
                    if isinstance(step, float):
                        await asyncio.sleep(step)
                    else:
                        writer.write(step)
                        await writer.drain()
                        self.written += len(step)
                answering = False
        except (asyncio.IncompleteReadError, ConnectionError, RuntimeError):
            # A RuntimeError is uvloop's word for a write to who has gone.
            self.hung_up += answering
        finally:
            writer.close()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[FakeProvider]:
        """Listens on a free port of the loopback."""
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        try:
            yield self
        finally:
            server.close()


def answer(document: Any, status: int = 200, headers: str = "") -> bytes:
    """A whole HTTP answer with JSON."""
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    return (
        f"HTTP/1.1 {status} X\r\ncontent-type: application/json\r\n{headers}content-length: {len(body)}\r\n\r\n".encode()
        + body
    )


STREAM_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"


def chunk(data: bytes) -> bytes:
    """A chunk of a chunked body; an empty one ends it."""
    return f"{len(data):x}\r\n".encode() + data + b"\r\n"


def event(document: Any, name: str = "") -> bytes:
    """A server-sent event, as a chunk."""
    data = document if isinstance(document, str) else json.dumps(document)
    return chunk((f"event: {name}\n" if name else "").encode() + f"data: {data}\n\n".encode())


class Clock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def run(test: Callable[[], Any]) -> Any:
    """Runs an asynchronous test."""
    return asyncio.run(test())
