# SPDX-License-Identifier: Apache-2.0
"""Bounds on the head of a request: uvicorn, with its fast parser, has none on its size and none on the time that it may take.

Whoever can connect could else fill the memory with one endless header, or hold connections open with a byte now and then (CWE-400).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from bastide.errors import GuardError, Malformed, TooLarge

HEAD = 65_536
"""Bytes of a request's line and headers."""


class Connection(HttpToolsProtocol):
    """One connection of a client."""

    patience: Callable[[], float] = staticmethod(lambda: 30.0)
    """Gives the seconds in which a head has to be complete."""
    refused: Callable[[GuardError], object] = staticmethod(lambda _: None)
    """Told of each refusal."""
    _in_head = False
    _size = 0
    _timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        """From now on it has so long for its first head."""
        super().connection_made(transport)
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """It is closed."""
        self._disarm()
        super().connection_lost(exc)

    def on_message_begin(self) -> None:
        """A head begins."""
        self._in_head, self._size = True, 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """It is complete."""
        self._in_head = False
        self._disarm()
        super().on_headers_complete()

    def data_received(self, data: bytes) -> None:
        """What comes; a head that is still not complete has grown."""
        super().data_received(data)
        if self._in_head:
            self._wait()
            self._size += len(data)
            if self._size > HEAD:
                self._hang_up(b"431 Request Header Fields Too Large", TooLarge("the head is too large"))

    def _wait(self) -> None:
        if self._timer is None:
            late = Malformed("the head did not arrive in time", code="request_timeout")
            self._timer = self.loop.call_later(self.patience(), self._hang_up, b"408 Request Timeout", late)

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _hang_up(self, status: bytes, error: GuardError) -> None:
        self._disarm()
        if self.transport.is_closing():
            return
        if self._size:
            self.refused(error)
            self.transport.write(b"HTTP/1.1 " + status + b"\r\nconnection: close\r\ncontent-length: 0\r\n\r\n")
        self.transport.close()


def bounded(patience: Callable[[], float], refused: Callable[[GuardError], object]) -> type[Connection]:
    """The protocol for a server."""
    return type("Bounded", (Connection,), {"patience": staticmethod(patience), "refused": staticmethod(refused)})
