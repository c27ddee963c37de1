# SPDX-License-Identifier: Apache-2.0
"""The few words of ASGI that the gateway needs. No framework: it would cost more than the checks.

Source: ASGI specification 3.0, HTTP connection scope.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, MutableMapping
from typing import Any

from bastide.errors import Malformed, TooLarge, Unavailable

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Headers = Iterable[tuple[bytes, bytes]]

JSON: tuple[tuple[bytes, bytes], ...] = ((b"content-type", b"application/json"),)
EVENT_STREAM: tuple[tuple[bytes, bytes], ...] = (
    (b"content-type", b"text/event-stream"),
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),
)


class Disconnected(Exception):
    """The client went away."""


def headers_of(scope: Scope, certificate: str = "") -> Mapping[str, str]:
    """Header names in lower case -> value; certificate: name of the header in which a proxy passes on a client's certificate, in lower case.

    Raises `Malformed` when a header that identifies somebody occurs twice: two readers could take different ones.
    """
    found: dict[str, str] = {}
    for raw, value in scope["headers"]:
        name = raw.decode("latin-1")
        if name in found:
            if name in _ONCE or name == certificate or name.startswith("x-bastide-"):
                raise Malformed(f"the header `{name}` occurs twice")
            found[name] += ", " + value.decode("latin-1")
        else:
            found[name] = value.decode("latin-1")
    return found


_ONCE = frozenset({"authorization", "x-api-key", "api-key", "host", "content-length", "content-type", "mcp-session-id"})


def declared_length(headers: Mapping[str, str]) -> int:
    """The length that the client announced, or -1."""
    text = headers.get("content-length", "")
    return int(text) if text.isdigit() and len(text) < 16 else -1


async def read_body(receive: Receive, limit: int, timeout: float, declared: int = -1) -> bytes:
    """The whole body.

    Parameters: `limit` in bytes, `timeout` in seconds for all of it (a slow client holds a place, so it must not do so for ever),
    `declared` as the client announced it, so that too much is refused before it is read.

    Raises `TooLarge`, `Malformed` when it doesn't arrive in time, `Disconnected`.
    """
    if declared > limit:
        raise TooLarge(f"the body has {declared} bytes; at most {limit} are read")
    message = await _first(receive, timeout)
    if message["type"] == "http.disconnect":
        raise Disconnected
    body: bytes = message.get("body", b"")
    if not message.get("more_body"):
        return _within(body, limit)
    parts, size = [body], len(body)
    try:
        async with asyncio.timeout(timeout):
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise Disconnected
                parts.append(message.get("body", b""))
                size += len(parts[-1])
                if size > limit:
                    raise TooLarge(f"the body has over {limit} bytes")
                if not message.get("more_body"):
                    return b"".join(parts)
    except TimeoutError:
        raise Malformed(f"the body did not arrive within {timeout:g} s", code="request_timeout") from None


async def _first(receive: Receive, timeout: float) -> MutableMapping[str, Any]:
    try:
        async with asyncio.timeout(timeout):
            return await receive()
    except TimeoutError:
        raise Malformed(f"the body did not arrive within {timeout:g} s", code="request_timeout") from None


def _within(body: bytes, limit: int) -> bytes:
    if len(body) > limit:
        raise TooLarge(f"the body has over {limit} bytes")
    return body


async def respond(send: Send, status: int, body: bytes, headers: Headers = JSON) -> None:
    """A whole answer."""
    length = (b"content-length", str(len(body)).encode())
    await send({"type": "http.response.start", "status": status, "headers": [*headers, length]})
    await send({"type": "http.response.body", "body": body})


class Stream:
    """An answer that is sent piece by piece; it starts with the first piece."""

    def __init__(
        self, send: Send, headers: Headers = EVENT_STREAM, status: int = 200, write_timeout: float = 30.0
    ) -> None:
        self._send = send
        self._headers = headers
        self._status = status
        self._timeout = write_timeout
        self.started = False

    async def write(self, data: bytes) -> None:
        """Sends a piece.

        Raises `Unavailable` when the client doesn't take it in time: what waits for a reader that doesn't read would fill the memory.
        """
        if not self.started:
            self.started = True
            start = {"type": "http.response.start", "status": self._status, "headers": list(self._headers)}
            await self._in_time(start)
        if data:
            await self._in_time({"type": "http.response.body", "body": data, "more_body": True})

    async def end(self) -> None:
        """Ends it. Raises `Unavailable` as `write` does."""
        await self.write(b"")
        await self._in_time({"type": "http.response.body", "body": b""})

    async def _in_time(self, message: MutableMapping[str, Any]) -> None:
        # Each waits for what was sent before it: the first one too, when an earlier answer on this connection isn't read.
        try:
            async with asyncio.timeout(self._timeout):
                await self._send(message)
        except TimeoutError:
            raise Unavailable("the client reads too slowly", code="slow_client") from None
