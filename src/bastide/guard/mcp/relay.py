# SPDX-License-Identifier: Apache-2.0
"""Brings a server's answer back to the client, message by message: one JSON document, or a stream of events."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from typing import Any

import aiohttp

from bastide.errors import GuardError, Malformed, NotFound, UpstreamError
from bastide.guard.gateway.asgi import EVENT_STREAM, JSON, Send, Stream, respond
from bastide.guard.mcp.gate import Incident
from bastide.guard.mcp.mediator import Mediator
from bastide.guard.mcp.messages import Kind, Message, dump, parse
from bastide.guard.mcp.sessions import Session
from bastide.guard.mcp.sse import KEEP_ALIVE, Event, Reader, frame

_PASSED_STATUS = frozenset({400, 404, 405, 406})
"""Errors of a server whose status a client may have; it falls back to an older revision by them."""


class Relay:
    """The way back of one HTTP request.

    Parameters: `onward` are the messages that were sent on, `back` the documents that the guard itself answers, `batch` whether the client
    sent a batch.
    """

    def __init__(self, mediator: Mediator, onward: list[Message], back: list[dict[str, Any]], batch: bool) -> None:
        self.mediator = mediator
        self.onward = onward
        self.back = back
        self.batch = batch
        self._waiting = [m.id for m in onward if m.kind is Kind.REQUEST]
        self._stream: Stream | None = None
        self._events_of: deque[bytes] = deque(maxlen=1)
        self.ask_back: Callable[[dict[str, Any]], None] = _ignore

    async def bring(
        self, response: aiohttp.ClientResponse, send: Send, session: Session | None, limit: int, keep_alive: float
    ) -> None:
        """Answers the client with what the server answers. Raises `UpstreamError` when that is no MCP."""
        extra = [(b"mcp-session-id", session.id.encode())] if session else []
        kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind == "text/event-stream" and response.status == 200:
            self._stream = Stream(send, [*EVENT_STREAM, *extra])
            self._events_of = session.events if session else self._events_of
            await self._events(response, keep_alive)
        elif response.status in (200, 202, 204) and not self._waiting:
            await self._accepted(send)
        elif kind == "application/json" and (response.status == 200 or response.status in _PASSED_STATUS):
            await self._document(await _read(response, limit), response.status, send, extra)
        else:
            await self._unusable(response.status, send)

    @property
    def started(self) -> bool:
        """Whether the client has got a part of a stream."""
        return self._stream is not None and self._stream.started

    async def _accepted(self, send: Send) -> None:
        """The server took notifications or answers, for which it owes nothing."""
        if self.back:
            await respond(send, 200, dump(self.back))
        else:
            await respond(send, 202, b"", ())

    async def _document(self, data: bytes, status: int, send: Send, extra: list[tuple[bytes, bytes]]) -> None:
        try:
            parsed = parse(data)
        except GuardError:
            await self._unusable(status, send)
            return
        answers = []
        for message in parsed if isinstance(parsed, list) else [parsed]:
            answers += await self._judged(self._addressed(message))
        answers += [self.mediator.fail(at, _silent()) for at in self._waiting]
        documents = [*(m.document for m in answers), *self.back]
        if not documents:
            await respond(send, 202 if status == 200 else status, b"", ())
        else:
            # A refused call is a result, which is read under the status 200 alone.
            shown = 200 if "result" in documents[0] else status
            await respond(send, shown, dump(documents if self.batch else documents[0]), [*JSON, *extra])

    def _addressed(self, message: Message) -> Message:
        """An error without an id, by which servers refuse what they didn't read, answers the only request that was sent."""
        if message.kind is Kind.ERROR and len(self._waiting) == 1 and message.id != self._waiting[0]:
            at = self._waiting[0]
            return Message(Kind.ERROR, at, "", message.body, {**message.document, "id": at})
        return message

    async def _judged(self, message: Message) -> list[Message]:
        step = await self.mediator.to_client(message)
        if step.back:
            self.ask_back(step.back)
        if message.id in self._waiting and message.kind in (Kind.RESULT, Kind.ERROR):
            self._waiting.remove(message.id)
        return [step.onward] if step.onward else []

    async def _unusable(self, status: int, send: Send) -> None:
        """An answer that is no MCP. Its text stays here: a server could write anything into it."""
        problem: GuardError = UpstreamError(f"the MCP server answered with the status {status}")
        if status in (404, 405):
            problem = NotFound("the MCP server has no such thing at this address")
        made = [self.mediator.fail(at, problem).document for at in self._waiting] + self.back
        shown = status if status in _PASSED_STATUS else 502
        body = dump((made if self.batch else made[0]) if made else {"error": str(problem)})
        # A refused tool call is a result, which is read under the status 200 alone.
        await respond(send, 200 if made and "result" in made[0] else shown, body)

    async def _events(self, response: aiohttp.ClientResponse, keep_alive: float) -> None:
        assert self._stream is not None
        await self._stream.write(b": open\n\n")
        for document in self.back:
            await self._stream.write(frame(dump(document)))
        reader, resumable = Reader(), False
        async for data in _pieces(response, keep_alive):
            if not data:
                await self._stream.write(KEEP_ALIVE)
                continue
            for event in reader.feed(data):
                resumable = resumable or event.id is not None
                await self._event(event)
        if self._waiting and not resumable:
            await self._rest(_silent())
        await self._stream.end()

    async def _event(self, event: Event) -> None:
        assert self._stream is not None
        if event.name not in (b"", b"message"):
            await self._incident("an event that MCP doesn't have")
            return
        if not event.data:
            if event.id is not None:
                # Only says from where to take the stream up.
                await self._write(_mark(event), event)
            return
        try:
            parsed = parse(event.data)
        except Malformed:
            await self._incident("an event that is no message")
            return
        for message in parsed if isinstance(parsed, list) else [parsed]:
            for made in await self._judged(message):
                await self._write(frame(dump(made.document), event), event)

    async def _write(self, data: bytes, event: Event) -> None:
        assert self._stream is not None
        if event.id is not None:
            self._events_of.append(event.id)
        await self._stream.write(data)

    async def _incident(self, why: str) -> None:
        await self.mediator.party.incident(Incident("unscanned", "event", why))

    async def _rest(self, problem: GuardError) -> None:
        assert self._stream is not None
        for at in self._waiting:
            await self._stream.write(frame(dump(self.mediator.fail(at, problem).document)))
        self._waiting = []

    async def fail(self, send: Send, problem: UpstreamError) -> None:
        """Tells the client that no answer, or no more of it, will come."""
        if self._stream is not None:
            await self._rest(problem)
            await self._stream.end()
            return
        made = [self.mediator.fail(at, problem).document for at in self._waiting] + self.back
        if not made:
            await respond(send, 502, dump({"error": str(problem)}))
            return
        status = 200 if "result" in made[0] or self.batch else problem.status
        await respond(send, status, dump(made if self.batch else made[0]))


def _ignore(document: dict[str, Any]) -> None:
    """No way back to the server is open."""


def _silent() -> UpstreamError:
    return UpstreamError("the MCP server ended without an answer")


def _mark(event: Event) -> bytes:
    retry = b"retry: " + event.retry + b"\n" if event.retry else b""
    return b"id: " + (event.id or b"") + b"\n" + retry + b"data:\n\n"


async def _read(response: aiohttp.ClientResponse, limit: int) -> bytes:
    parts, size = [], 0
    async for data in response.content.iter_any():
        parts.append(data)
        size += len(data)
        if size > limit:
            raise UpstreamError(f"the MCP server's answer has over {limit} bytes")
    return b"".join(parts)


async def _pieces(response: aiohttp.ClientResponse, keep_alive: float) -> AsyncIterator[bytes]:
    """What comes, and b'' after each time of silence."""
    pending: asyncio.Task[bytes] | None = None
    try:
        while True:
            pending = pending or asyncio.ensure_future(response.content.readany())
            done, _ = await asyncio.wait((pending,), timeout=keep_alive)
            if not done:
                yield b""
                continue
            data, pending = pending.result(), None
            if not data:
                return
            yield data
    finally:
        if pending is not None:
            pending.cancel()
            await asyncio.gather(pending, return_exceptions=True)
