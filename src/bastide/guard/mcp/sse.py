# SPDX-License-Identifier: Apache-2.0
"""Server-sent events with their ids, by which a client of MCP takes up a stream that broke (WHATWG HTML, 9.2; MCP, "Resumability")."""

from __future__ import annotations

import re

from msgspec import Struct

from bastide.errors import UpstreamError

MAX_EVENT = 16 << 20
KEEP_ALIVE = b": keep-alive\n\n"
_LINE_END = re.compile(rb"\r\n|\n|\r")


class Event(Struct, frozen=True):
    """One event. MCP's have no data when they only set the id."""

    data: bytes
    id: bytes | None = None
    name: bytes = b""
    retry: bytes = b""


class Reader:
    """Cuts bytes that come in any pieces into events."""

    __slots__ = ("_event", "_fields", "_held", "_limit", "_size")

    def __init__(self, limit: int = MAX_EVENT) -> None:
        self._held: list[bytes] = []
        self._size = 0
        self._limit = limit
        self._event: list[tuple[bytes, bytes]] = []
        self._fields = 0

    def feed(self, data: bytes) -> list[Event]:
        """The events that are complete now. Raises `UpstreamError` when one is larger than the limit."""
        self._size += len(data)
        if self._size > self._limit:
            raise UpstreamError(f"an event of the server is larger than {self._limit} bytes")
        self._held.append(data)
        if b"\n" not in data and b"\r" not in data:
            return []
        text = b"".join(self._held)
        # A CR at the end may be half of a CRLF; it waits for what follows.
        end = len(text) - 1 if text.endswith(b"\r") else len(text)
        lines = _LINE_END.split(text[:end])
        rest = lines.pop() + text[end:]
        self._held = [rest]
        events = [made for line in lines if (made := self._line(line))]
        self._size = len(rest) + self._fields
        return events

    def _line(self, line: bytes) -> Event | None:
        if line:
            self._fields += len(line)
            name, _, value = line.partition(b":")
            if name:
                self._event.append((name, value.removeprefix(b" ")))
            return None
        fields, self._event, self._fields = self._event, [], 0
        if not fields:
            return None
        last = dict(fields)
        identity = last.get(b"id")
        if identity is not None and not _is_id(identity):
            identity = None
        data = b"\n".join(value for name, value in fields if name == b"data")
        retry = last.get(b"retry", b"")
        return Event(data, identity, last.get(b"event", b""), retry if retry.isdigit() and len(retry) < 10 else b"")


def _is_id(identity: bytes) -> bool:
    return len(identity) <= 1024 and b"\0" not in identity


def frame(data: bytes, event: Event | None = None) -> bytes:
    """A message as an event, with the id and the retry time of the one that it came in. `data` is JSON in one line."""
    parts = [b"event: message\n"]
    if event and event.id is not None:
        parts.append(b"id: " + event.id + b"\n")
    if event and event.retry:
        parts.append(b"retry: " + event.retry + b"\n")
    return b"".join((*parts, b"data: ", data, b"\n\n"))
