# SPDX-License-Identifier: Apache-2.0
"""One HTTP request on its way through the gateway."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator, Mapping, MutableMapping
from functools import cached_property
from typing import Any

from bastide.errors import GuardError
from bastide.guard.gateway import asgi
from bastide.guard.gateway.runtime import Runtime
from bastide.guard.gateway.trace import Trace
from bastide.guard.model import Caller

_EMPTIED = 65_536
"""Bytes of an unread body that are read and dropped, so that the connection can be used again."""


PATIENCE = 0.05
"""Seconds after which it is watched whether the client is still there."""


class Exchange:
    """What came, where the answer goes, and the id under which the log has it."""

    def __init__(self, runtime: Runtime, scope: asgi.Scope, receive: asgi.Receive, send: asgi.Send, id: str) -> None:
        self.runtime = runtime
        self.scope = scope
        self.receive = receive
        self.id = id
        self.started = False
        """Whether the answer has begun: from then on an error can only end it."""
        self._ended = False
        self._read = False
        self._send = send

    @cached_property
    def headers(self) -> Mapping[str, str]:
        """Header names in lower case -> value. Raises `Malformed`."""
        certificates = self.runtime.engine.settings.certificates
        return asgi.headers_of(self.scope, certificates.header.lower() if certificates else "")

    @property
    def peer(self) -> str:
        """Address of the other end of the connection, '' for a local socket."""
        client = self.scope.get("client")
        return str(client[0]) if client else ""

    async def caller(self) -> Caller:
        """Who calls. Raises `Unauthenticated`."""
        return await self.runtime.authenticator.authenticate(self.headers, self.peer)

    @contextlib.contextmanager
    def logged(self, protocol: str) -> Iterator[Trace]:
        """Whoever is refused within the block is in the log, as those are whom a model is refused."""
        trace = Trace(self.id, protocol, self.runtime.engine.version)
        try:
            yield trace
        except GuardError as error:
            trace.failed(error)
            self.runtime.record(trace.entries())
            self.runtime.metrics.request(trace)
            raise

    async def body(self) -> bytes:
        """The whole body, within the bounds. Raises `TooLarge`, `Malformed`, `Disconnected`."""
        bounds = self.runtime.engine.settings.bounds
        declared = asgi.declared_length(self.headers)
        body = await asgi.read_body(self.receive, bounds.body, bounds.read_timeout, declared)
        self._read = True
        return body

    @property
    def rest(self) -> bool:
        """Whether so much of the request may still be to come that the connection is better closed than emptied."""
        found = dict(self.scope["headers"])
        length = found.get(b"content-length", b"0")
        return not self._read and (b"transfer-encoding" in found or not length.isdigit() or int(length[:16]) > _EMPTIED)

    async def send(self, message: MutableMapping[str, Any]) -> None:
        """ASGI's send; every answer names the request. Raises `Disconnected` for a second start: what fails in an answer can only end it."""
        if message["type"] == "http.response.start":
            if self.started:
                raise asgi.Disconnected
            self.started = True
            message["headers"] = [*message["headers"], (b"x-request-id", self.id.encode())]
        else:
            self._ended = not message.get("more_body")
        await self._send(message)

    @contextlib.asynccontextmanager
    async def attended(self) -> AsyncIterator[None]:
        """Ends the block with `Disconnected` when the client goes away before its answer is complete.

        For after the body: the server says that a client went only to who waits for it, and nobody needs an answer that nobody takes.
        """
        here = asyncio.current_task()
        gone = False

        async def watch() -> None:
            nonlocal gone
            while (await self.receive())["type"] != "http.disconnect":
                pass
            if here is not None and not self._ended:
                gone = True
                here.cancel()

        watcher: asyncio.Task[None] | None = None

        def start() -> None:
            nonlocal watcher
            watcher = asyncio.create_task(watch())

        # Most answers are there before a client could lose its patience; a task for each would cost more than it saves.
        timer = asyncio.get_running_loop().call_later(PATIENCE, start)
        try:
            yield
        except asyncio.CancelledError:
            if not gone or here is None or here.uncancel():
                raise
            raise asgi.Disconnected from None
        finally:
            timer.cancel()
            if watcher is not None:
                watcher.cancel()
