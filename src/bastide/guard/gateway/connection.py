# SPDX-License-Identifier: Apache-2.0
"""Bounds that uvicorn, with its fast parser, doesn't have: on the size of a head, on the time that it may take, on the time to read an answer.

Whoever can connect could else fill the memory with one endless header or with answers that they don't read, or hold connections open with a
byte now and then (CWE-400).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from bastide.errors import GuardError, Malformed, TooLarge

HEAD = 65_536
"""Bytes of a request's line and headers."""
SHORT = 16_384
"""Bytes of an answer that may wait for a client unwatched, until the connection has been idle for too long."""
READ = 65_536
"""Bytes of a waiting answer that a client has to take in its time, or all that is left."""


class Connection(HttpToolsProtocol):
    """One connection of a client."""

    patience: Callable[[], float] = staticmethod(lambda: 30.0)
    """Gives the seconds in which a head has to be complete, and half of those in which a client has to have read something."""
    refused: Callable[[GuardError], object] = staticmethod(lambda _: None)
    """Told of each refusal."""
    left: Callable[[], object] = staticmethod(lambda: None)
    """Told of each client that was left because it doesn't read."""
    _in_head = False
    _size = 0
    _timer: asyncio.TimerHandle | None = None
    _reader: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        """From now on it has so long for its first head."""
        super().connection_made(transport)
        # Then `pause_writing` says when more than a short answer waits for the client, and `resume_writing` when it has taken all.
        self.transport.set_write_buffer_limits(SHORT, 0)
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """It is closed."""
        self._disarm()
        self._took()
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

    def send_400_response(self, msg: str) -> None:
        """What came isn't HTTP."""
        self.refused(Malformed("what came is no HTTP", code="no_http"))
        super().send_400_response(msg)

    def pause_writing(self) -> None:
        """Something waits for the client to read."""
        super().pause_writing()
        self._reads(self.transport.get_write_buffer_size())

    def resume_writing(self) -> None:
        """It has read all of it."""
        self._took()
        super().resume_writing()

    def timeout_keep_alive_handler(self) -> None:
        """Nothing came for long. A close alone would wait until the client has read what is left."""
        super().timeout_keep_alive_handler()
        if self.transport.get_write_buffer_size():
            self.left()
            self.transport.abort()

    def _reads(self, waiting: int) -> None:
        # Twice: a stream that waits gives up after the single time, and can say in the log why it ended.
        self._reader = self.loop.call_later(2 * self.patience(), self._check, waiting)

    def _check(self, before: int) -> None:
        waiting = self.transport.get_write_buffer_size()
        if waiting <= before - READ:
            self._reads(waiting)
        else:
            self.left()
            self.transport.abort()

    def _took(self) -> None:
        if self._reader is not None:
            self._reader.cancel()
            self._reader = None

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
        # Those that said nothing are only counted: there is no request that an answer could be to.
        self.refused(error)
        if self._size:
            self.transport.write(b"HTTP/1.1 " + status + b"\r\nconnection: close\r\ncontent-length: 0\r\n\r\n")
        self.transport.close()


def bounded(
    patience: Callable[[], float], refused: Callable[[GuardError], object], left: Callable[[], object]
) -> type[Connection]:
    """The protocol for a server."""
    hooks = {"patience": staticmethod(patience), "refused": staticmethod(refused), "left": staticmethod(left)}
    return type("Bounded", (Connection,), hooks)
