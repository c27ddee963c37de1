# SPDX-License-Identifier: Apache-2.0
"""One HTTP request on its way through the gateway."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping, MutableMapping
from functools import cached_property
from typing import Any

from bastide.guard.gateway import asgi
from bastide.guard.gateway.runtime import Runtime
from bastide.guard.model import Caller


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
        self._send = send

    @cached_property
    def headers(self) -> Mapping[str, str]:
        """Header names in lower case -> value. Raises `Malformed`."""
        return asgi.headers_of(self.scope)

    @property
    def peer(self) -> str:
        """Address of the other end of the connection, '' for a local socket."""
        client = self.scope.get("client")
        return str(client[0]) if client else ""

    async def caller(self) -> Caller:
        """Who calls. Raises `Unauthenticated`."""
        return await self.runtime.authenticator.authenticate(self.headers, self.peer)

    async def body(self) -> bytes:
        """The whole body, within the bounds. Raises `TooLarge`, `Malformed`, `Disconnected`."""
        bounds = self.runtime.engine.settings.bounds
        declared = asgi.declared_length(self.headers)
        return await asgi.read_body(self.receive, bounds.body, bounds.read_timeout, declared)

    async def send(self, message: MutableMapping[str, Any]) -> None:
        """ASGI's send; every answer names the request."""
        if message["type"] == "http.response.start":
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

        watcher = asyncio.create_task(watch())
        try:
            yield
        except asyncio.CancelledError:
            if not gone or here is None or here.uncancel():
                raise
            raise asgi.Disconnected from None
        finally:
            watcher.cancel()
