# SPDX-License-Identifier: Apache-2.0
"""Local stdio servers behind the guard's HTTP: one child process for each session, or for each caller where the revision has no sessions.

Answers come as one JSON document; what a server says by itself comes on the session's stream.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

from msgspec.structs import replace

from bastide.errors import GuardError, NotFound, OverLimit, UpstreamError
from bastide.guard.gateway.asgi import EVENT_STREAM, JSON, Send, Stream, respond
from bastide.guard.mcp.book import Owner
from bastide.guard.mcp.child import Child, lines
from bastide.guard.mcp.gate import Incident
from bastide.guard.mcp.mediator import Mediator
from bastide.guard.mcp.messages import STATELESS, Kind, Message, dump, invalid, no_method, parse
from bastide.guard.mcp.party import Party
from bastide.guard.mcp.relay import Relay
from bastide.guard.mcp.sessions import Session, Sessions
from bastide.guard.mcp.sse import KEEP_ALIVE, frame

MAX_CHILDREN = 100
MAX_EVENTS = 1000
"""Messages that wait for a client to open its stream; the oldest are dropped."""
_CANCEL = "notifications/cancelled"


class Pipe:
    """A child process that several requests share. Ids on it are its own, so that two clients' ids can't meet."""

    def __init__(self, child: Child, party: Party, mediator: Mediator | None) -> None:
        self._child = child
        self._party = party
        self._mediator = mediator
        self._waiting: dict[int, tuple[Mediator, Message, asyncio.Future[Message | None]]] = {}
        self._next = 1
        self.events: asyncio.Queue[bytes] = asyncio.Queue(MAX_EVENTS)
        self._reader = asyncio.ensure_future(self._read())

    @property
    def alive(self) -> bool:
        """Whether the server still runs."""
        return not self._reader.done()

    async def ask(self, mediator: Mediator, message: Message) -> Message | None:
        """The answer to a request; None when none may pass. What is no request is sent, and has no answer."""
        if message.kind is not Kind.REQUEST:
            await self._tell(mediator, message)
            return None
        at, self._next = self._next, self._next + 1
        answer: asyncio.Future[Message | None] = asyncio.get_running_loop().create_future()
        self._waiting[at] = (mediator, message, answer)
        try:
            await self._child.write(dump({**message.document, "id": at}))
            async with asyncio.timeout(self._party.server.timeout):
                return await answer
        except TimeoutError:
            raise UpstreamError("the MCP server did not answer in time", code="upstream_timeout") from None
        finally:
            if self._waiting.pop(at, None) and not answer.done():
                await self._cancel(at)

    async def _cancel(self, at: int) -> None:
        """Nobody waits for this answer any more."""
        with contextlib.suppress(UpstreamError):
            note = {"jsonrpc": "2.0", "method": _CANCEL, "params": {"requestId": at}}
            await self._child.write(dump(note))

    async def _tell(self, mediator: Mediator, message: Message) -> None:
        if message.method == _CANCEL:
            wanted = message.body.get("requestId")
            mine = [at for at, (of, asked, _) in self._waiting.items() if of is mediator and asked.id == wanted]
            for at in mine:
                await self._cancel(at)
            return
        await self._child.write(dump(message.document))

    async def _read(self) -> None:
        try:
            async for line in lines(self._child.out):
                await self._line(line)
        finally:
            problem = UpstreamError("the MCP server ended")
            for mediator, asked, answer in self._waiting.values():
                if not answer.done():
                    answer.set_result(mediator.fail(asked.id, problem))

    async def _line(self, line: bytes | None) -> None:
        try:
            parsed = parse(line) if line is not None else []
        except GuardError:
            parsed = []
        if not parsed:
            await self._party.incident(Incident("unscanned", "line", "the server wrote a line that is no message"))
        for message in parsed if isinstance(parsed, list) else [parsed]:
            if message.kind in (Kind.RESULT, Kind.ERROR):
                await self._answered(message)
            elif self._mediator is not None:
                await self._said(self._mediator, message)

    async def _answered(self, message: Message) -> None:
        at = message.id
        mediator, asked, answer = self._waiting.get(at, _NOBODY) if isinstance(at, int) else _NOBODY
        if mediator is None or asked is None or answer is None or answer.done():
            await self._party.incident(Incident("unscanned", "response", "an answer to a request that was never sent"))
            return
        own = replace(message, id=asked.id, document={**message.document, "id": asked.id})
        step = await mediator.to_client(own)
        if not answer.done():
            answer.set_result(step.onward)

    async def _said(self, mediator: Mediator, message: Message) -> None:
        step = await mediator.to_client(message)
        if step.back:
            await self._child.write(dump(step.back))
        if step.onward:
            if self.events.full():
                self.events.get_nowait()
            self.events.put_nowait(frame(dump(step.onward.document)))

    async def stop(self) -> None:
        """Ends the server."""
        self._reader.cancel()
        await asyncio.gather(self._reader, return_exceptions=True)
        await self._child.stop()


_NOBODY = (None, None, None)


class LocalServers:
    """All child processes of the gateway."""

    def __init__(self, sessions: Sessions, later: Callable[[Awaitable[None]], None]) -> None:
        """later: runs something in the background."""
        self._sessions = sessions
        self._later = later
        self._of_session: dict[str, Pipe] = {}
        self._of_caller: dict[tuple[str, Owner], Pipe] = {}
        self._starting = asyncio.Lock()

    async def exchange(self, relay: Relay, send: Send, session: Session | None, version: str) -> None:
        """Sends the messages of one request to the server, and answers the client."""
        mediator = relay.mediator
        starts = any(m.method == "initialize" for m in relay.onward)
        if version == STATELESS:
            pipe = await self._shared(mediator.party, relay.onward[0])
        elif starts:
            session = self._sessions.open(mediator, "")
            pipe = await self._opened(session, mediator)
        elif session is None:
            raise invalid("there is no session; start one with `initialize`")
        else:
            pipe = self._running(session)
        answers = await asyncio.gather(*(self._ask(pipe, mediator, message) for message in relay.onward))
        extra = [(b"mcp-session-id", session.id.encode())] if session else []
        documents = [*(a.document for a in answers if a is not None), *relay.back]
        if not documents:
            await respond(send, 202, b"", extra)
        else:
            await respond(send, 200, dump(documents if relay.batch else documents[0]), [*JSON, *extra])

    @staticmethod
    async def _ask(pipe: Pipe, mediator: Mediator, message: Message) -> Message | None:
        try:
            return await pipe.ask(mediator, message)
        except UpstreamError as problem:
            return mediator.fail(message.id, problem) if message.kind is Kind.REQUEST else None

    async def stream(self, session: Session, send: Send, keep_alive: float) -> None:
        """What the server says by itself, until it ends."""
        pipe = self._running(session)
        stream = Stream(send, EVENT_STREAM)
        await stream.write(b": open\n\n")
        while pipe.alive or not pipe.events.empty():
            try:
                async with asyncio.timeout(keep_alive):
                    event = await pipe.events.get()
            except TimeoutError:
                event = KEEP_ALIVE
            await stream.write(event)
        await stream.end()

    def ended(self, session: Session) -> None:
        """A session was closed."""
        pipe = self._of_session.pop(session.id, None)
        if pipe is not None:
            self._later(pipe.stop())

    async def close(self) -> None:
        """Ends all servers."""
        pipes = [*self._of_session.values(), *self._of_caller.values()]
        self._of_session.clear()
        self._of_caller.clear()
        await asyncio.gather(*(pipe.stop() for pipe in pipes), return_exceptions=True)

    def _running(self, session: Session) -> Pipe:
        pipe = self._of_session.get(session.id)
        if pipe is None or not pipe.alive:
            self._sessions.close(session)
            raise NotFound("the server of this session ended; start one with `initialize`", code="no_session")
        return pipe

    async def _opened(self, session: Session, mediator: Mediator) -> Pipe:
        try:
            pipe = self._of_session[session.id] = await self._started(mediator.party, mediator)
        except BaseException:
            self._sessions.close(session)
            raise
        return pipe

    async def _shared(self, party: Party, message: Message) -> Pipe:
        if message.method == "subscriptions/listen":
            raise no_method(message.method)
        key = (party.server.component, party.owner)
        # One at a time: of two first requests only one starts the server.
        async with self._starting:
            pipe = self._of_caller.get(key)
            if pipe is None or not pipe.alive:
                if pipe is not None:
                    self._later(pipe.stop())
                pipe = self._of_caller[key] = await self._started(party, None)
        return pipe

    async def _started(self, party: Party, mediator: Mediator | None) -> Pipe:
        if len(self._of_session) + len(self._of_caller) >= MAX_CHILDREN:
            raise OverLimit("too many local MCP servers run", retry_after=60.0)
        return Pipe(await Child.start(party.server.command, party.server.env), party, mediator)
