# SPDX-License-Identifier: Apache-2.0
"""Server-sent events, read from bytes that are cut anywhere (WHATWG HTML, "Server-sent events", 9.2)."""

from __future__ import annotations

from bastide.errors import UpstreamError

MAX_EVENT = 8 << 20
"""Bytes of one event; a longer one ends the stream."""


class Parser:
    """Cuts a stream into events. Comments, ids and retry times are dropped; only data counts."""

    __slots__ = ("_data", "_event", "_line", "_size", "_skip_feed", "_started")

    def __init__(self) -> None:
        self._line: list[
            bytes
        ] = []  # pieces of a line that hasn't ended; joined once, so that tiny pieces cost linear time
        self._size = 0
        self._data: list[bytes] = []
        self._event = b""
        self._skip_feed = False  # the last piece ended with CR; a LF that follows belongs to it
        self._started = False

    def feed(self, data: bytes) -> list[tuple[bytes, bytes]]:
        """The events that are now complete, as (name, data). Raises `UpstreamError` when one is too large."""
        if self._skip_feed and data:
            self._skip_feed = False
            if data[:1] == b"\n":
                data = data[1:]
        if not data:
            return []
        if not self._size and not self._event and data[-2:] == b"\n\n" and (events := _simple(data)) is not None:
            self._started = True
            return events
        self._size += len(data)
        if b"\n" not in data and b"\r" not in data:
            self._line.append(data)
            self._check_size()
            return []
        if self._line:
            self._line.append(data)
            data = b"".join(self._line)
        lines = data.splitlines(keepends=True)
        self._line = [] if lines[-1][-1:] in b"\r\n" else [lines.pop()]
        self._skip_feed = not self._line and lines[-1][-1:] == b"\r"
        return self._lines(lines)

    def _lines(self, lines: list[bytes]) -> list[tuple[bytes, bytes]]:
        events: list[tuple[bytes, bytes]] = []
        for raw in lines:
            line = raw.rstrip(b"\r\n")
            if not self._started:
                self._started = True
                line = line.removeprefix(b"\xef\xbb\xbf")
            if line:
                self._field(line)
            else:
                self._dispatch(events)
        self._size = sum(map(len, self._line)) + sum(map(len, self._data))
        self._check_size()
        return events

    def _field(self, line: bytes) -> None:
        name, _, value = line.partition(b":")
        if name == b"data":
            self._data.append(value[1:] if value[:1] == b" " else value)
        elif name == b"event":
            self._event = value[1:] if value[:1] == b" " else value

    def _dispatch(self, events: list[tuple[bytes, bytes]]) -> None:
        if self._data:
            events.append((self._event, b"\n".join(self._data)))
        self._data, self._event = [], b""

    def _check_size(self) -> None:
        if self._size > MAX_EVENT:
            raise UpstreamError(f"an event of the stream is larger than {MAX_EVENT >> 20} MiB")

    def close(self) -> list[tuple[bytes, bytes]]:
        """The last event, when the stream ended without the empty line after it; the official clients take it too."""
        return self.feed(b"\n\n") if self._line or self._data else []


def _simple(data: bytes) -> list[tuple[bytes, bytes]] | None:
    """The events of a piece with whole events only, in the form that providers use; None when it has any other form."""
    if b"\r" in data or len(data) > MAX_EVENT:
        return None
    events = []
    for block in data[:-2].split(b"\n\n"):
        name, line = b"", block
        if block[:7] == b"event: ":
            name, _, line = block[7:].partition(b"\n")
        if line[:6] != b"data: " or b"\n" in line:
            return None
        events.append((name, line[6:]))
    return events


def frame(data: bytes, event: str = "") -> bytes:
    """One event as bytes. `data` must have no line break (JSON has none) and `event` must be a plain name."""
    if event:
        return b"event: %s\ndata: %s\n\n" % (event.encode(), data)
    return b"data: %s\n\n" % data
