# SPDX-License-Identifier: Apache-2.0
"""Wraps a local stdio server: to the client the guard is the server, to the server it is the client.

Source: MCP, "Transports: stdio".
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import stat
import sys
import time
from collections.abc import Awaitable, Callable
from typing import IO, TextIO

from bastide.errors import GuardError, UpstreamError
from bastide.guard.mcp.child import MAX_LINE, Child, lines
from bastide.guard.mcp.gate import Incident
from bastide.guard.mcp.mediator import Mediator, Step
from bastide.guard.mcp.messages import BATCHES, Kind, Message, dump, error, invalid, parse
from bastide.guard.mcp.party import Party

Write = Callable[[bytes], Awaitable[None]]
"""Sends one line to the client."""
_TICK = 0.25


class Wrapper:
    """Between one client and one child process.

    Parameters: `write` sends a document without its line end to the client; `clock` is in seconds.
    """

    def __init__(self, party: Party, child: Child, write: Write, clock: Callable[[], float] = time.monotonic) -> None:
        self._party = party
        self._child = child
        self._write = write
        self._clock = clock
        self._mediator = Mediator(party)
        self._heard = clock()

    async def run(self, client: asyncio.StreamReader, stop: asyncio.Event) -> int:
        """Relays until the client closes its side or `stop` is set (0), or the server ends by itself (2).

        Requests that wait then are answered with an error. The server is ended in any case.
        """
        works = (self._from_client(client), _wait(stop), self._from_server(), self._watch())
        tasks = [asyncio.ensure_future(work) for work in works]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            if _broken(tasks) or tasks[0].done() or tasks[1].done():
                return 0
            await self._bury()
            return 2
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await self._child.stop()

    async def _bury(self) -> None:
        status: int | None = None
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(1):
                status = await self._child.ended()
        how = "" if status is None else f" with the status {status}"
        await self._fail(UpstreamError(f"the MCP server ended{how}"))

    async def _fail(self, problem: UpstreamError) -> None:
        """Every request that waits gets this answer."""
        for at in self._mediator.waiting:
            await self._write(dump(self._mediator.fail(at, problem).document))

    async def _from_client(self, client: asyncio.StreamReader) -> None:
        async for line in lines(client, MAX_LINE):
            messages = await self._read(line)
            for message in messages:
                await self._to_server(message)

    async def _read(self, line: bytes | None) -> list[Message]:
        """The messages in a line of the client; none, and the client is told, when it can't be read."""
        try:
            if line is None:
                raise invalid(f"the message has over {MAX_LINE} bytes")
            parsed = parse(line, 64)
            if not isinstance(parsed, list):
                return [parsed]
            if self._mediator.version not in BATCHES:
                raise invalid("this revision has no batches")
            return parsed
        except GuardError as problem:
            await self._write(dump(error(None, problem)))
            return []

    async def _to_server(self, message: Message) -> None:
        step = await self._mediator.to_server(message)
        try:
            await self._send(step, self._child.write, self._write)
        except UpstreamError as problem:
            if message.kind is Kind.REQUEST:
                await self._write(dump(self._mediator.fail(message.id, problem).document))

    async def _from_server(self) -> None:
        async for line in lines(self._child.out, MAX_LINE):
            self._heard = self._clock()
            try:
                parsed = parse(line, 64) if line is not None else []
            except GuardError:
                parsed = []
            if not parsed:
                await self._party.incident(Incident("unscanned", "line", "the server wrote a line that is no message"))
            for message in parsed if isinstance(parsed, list) else [parsed]:
                step = await self._mediator.to_client(message)
                with contextlib.suppress(UpstreamError):
                    await self._send(step, self._write, self._child.write)

    @staticmethod
    async def _send(step: Step, onward: Write, back: Write) -> None:
        if step.onward is not None:
            await onward(dump(step.onward.document))
        if step.back is not None:
            await back(dump(step.back))

    async def _watch(self) -> None:
        """A server that says nothing at all for too long, while it owes an answer, is not waited for."""
        idle_since: float | None = None
        while True:
            await asyncio.sleep(_TICK)
            if not self._mediator.owed:
                idle_since = None
                continue
            idle_since = self._clock() if idle_since is None else idle_since
            if self._clock() - max(self._heard, idle_since) > self._party.server.timeout:
                await self._fail(UpstreamError("the MCP server did not answer in time", code="upstream_timeout"))


async def _wait(stop: asyncio.Event) -> None:
    await stop.wait()


def _broken(tasks: list[asyncio.Task[None]]) -> bool:
    """Whether the client's side broke off. Raises what nobody foresaw."""
    problems = [task.exception() for task in tasks if task.done()]
    for problem in problems:
        if problem is not None and not isinstance(problem, ConnectionError):
            raise problem
    return any(problems)


async def wrap(party: Party) -> int:
    """Wraps the local server of the party, with this process's stdin and stdout as the client's side, until the client or a signal ends it.

    Returns 0, or 2 when the server ended by itself. Raises `UpstreamError` when it can't be started.
    """
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        with contextlib.suppress(NotImplementedError):
            loop.add_signal_handler(number, stop.set)
    child = await Child.start(party.server.command, party.server.env)
    return await Wrapper(party, child, await _stdout()).run(await _stdin(), stop)


async def _stdin() -> asyncio.StreamReader:
    reader = asyncio.StreamReader()
    mode = os.fstat(sys.stdin.fileno()).st_mode
    if stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode) or sys.stdin.isatty():
        loop = asyncio.get_running_loop()
        await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), _own(sys.stdin, "rb"))
        return reader
    # A file can't be waited for, and never makes anybody wait.
    while data := sys.stdin.buffer.read(1 << 16):
        reader.feed_data(data)
    reader.feed_eof()
    return reader


async def _stdout() -> Write:
    if stat.S_ISREG(os.fstat(sys.stdout.fileno()).st_mode):

        async def to_file(data: bytes) -> None:
            sys.stdout.buffer.write(data + b"\n")
            sys.stdout.buffer.flush()

        return to_file
    loop = asyncio.get_running_loop()
    transport, protocol = await loop.connect_write_pipe(asyncio.streams.FlowControlMixin, _own(sys.stdout, "wb"))
    writer = asyncio.StreamWriter(transport, protocol, None, loop)

    async def write(data: bytes) -> None:
        writer.write(data + b"\n")
        await writer.drain()

    return write


def _own(stream: TextIO, mode: str) -> IO[bytes]:
    """The same pipe as a file of ours: asyncio closes what it was given, and Python still wants its own."""
    return os.fdopen(os.dup(stream.fileno()), mode, buffering=0)
