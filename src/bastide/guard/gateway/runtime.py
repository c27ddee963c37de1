# SPDX-License-Identifier: Apache-2.0
"""The running guard: the engine of the moment, and everything that outlives a reload of the policy."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bastide.errors import GuardError, LedgerError, Unavailable
from bastide.guard.approvals.browser import BrowserSessions
from bastide.guard.approvals.store import ApprovalStore
from bastide.guard.conversations import Conversations
from bastide.guard.engine import Engine
from bastide.guard.gateway.tool_gate import EngineGate
from bastide.guard.gateway.trace import Trace
from bastide.guard.gateway.upstream import Upstreams
from bastide.guard.identity.authenticate import HeaderAuthenticator
from bastide.guard.identity.credentials import Credentials
from bastide.guard.interface import Limits
from bastide.guard.limits.quarantine import Quarantine
from bastide.guard.limits.signals import Signals
from bastide.guard.mcp.book import Book
from bastide.guard.mcp.http import HttpProxy
from bastide.guard.mcp.http import Limits as McpLimits
from bastide.guard.mcp.pins import load_all
from bastide.guard.memories import MemoryLabels

if TYPE_CHECKING:
    from bastide.guard.record.metrics import Metrics
    from bastide.guard.record.recorder import LedgerRecorder

_log = logging.getLogger("bastide.guard")


@dataclass(slots=True)
class Parts:
    """What the guard works with. All of it is made in `build`."""

    authenticator: HeaderAuthenticator
    limits: Limits
    approvals: ApprovalStore
    recorder: LedgerRecorder
    metrics: Metrics
    credentials: Credentials
    memories: MemoryLabels = field(default_factory=MemoryLabels)
    close: tuple[Callable[[], Awaitable[None]], ...] = ()
    """Ends what else was opened for them, before approvals and log are closed."""


class Runtime:
    """One running guard. `engine` is replaced whole on reload, so a request sees one version from its beginning to its end."""

    def __init__(
        self,
        engine: Engine,
        parts: Parts,
        again: Callable[[], Engine],
        inputs: Callable[[Engine], Iterable[Path]] = lambda _: (),
    ) -> None:
        """again: compiles the engine anew from the same files; inputs: the files from which an engine was made."""
        self.engine = engine
        self.authenticator = parts.authenticator
        self.limits = parts.limits
        self.approvals = parts.approvals
        self.recorder = parts.recorder
        self.metrics = parts.metrics
        self.credentials = parts.credentials
        self.conversations = Conversations(time.monotonic, parts.memories)
        self.upstreams = Upstreams()
        self.browsers = BrowserSessions()
        self.signals = Signals(engine.settings.abuse)
        self.quarantine = Quarantine(engine.settings.abuse)
        self.book = Book(load_all(engine.settings.mcp))
        """What MCP servers offered, against what was reviewed."""
        self.gate = EngineGate(self)
        self.mcp = HttpProxy(
            lambda: self.upstreams.session,
            self.gate,
            self.book,
            self.credentials.get,
            McpLimits(engine.settings.bounds),
        )
        self.draining = False
        self.in_flight = 0
        self._again = again
        self._inputs = inputs
        self._close = parts.close
        self._memories = parts.memories
        self._reloading = asyncio.Lock()

    @contextlib.contextmanager
    def place(self) -> Iterator[None]:
        """A place for one request.

        Raises `Unavailable` at once when all are taken: a queue would only make everybody wait longer than their clients do.
        """
        if self.draining:
            raise self.counted(Unavailable("the guard is shutting down", code="draining", retry_after=5))
        if self.in_flight >= self.engine.settings.bounds.in_flight:
            full = "the guard has as many requests as it can take"
            raise self.counted(Unavailable(full, code="overloaded", retry_after=1))
        self.in_flight += 1
        try:
            yield
        finally:
            self.in_flight -= 1

    def counted(self, error: GuardError) -> GuardError:
        """Counts a refusal that isn't logged, since anybody can cause any number of them; the error itself."""
        trace = Trace("", "http", self.engine.version)
        trace.failed(error)
        self.metrics.request(trace)
        return error

    @staticmethod
    def new_id() -> str:
        """An id for a request."""
        return "req_" + secrets.token_hex(10)

    def record(self, entries: Iterable[Mapping[str, Any]]) -> None:
        """Writes entries into the log. Raises `Unavailable` when that fails: what isn't in the log doesn't go on."""
        try:
            self.recorder.write(entries)
        except LedgerError as error:
            _log.error("the log can't be written: %s", error)
            raise Unavailable("the log can't be written, so nothing is passed on", code="log_unavailable") from None

    def blame(self, trace: Trace, error: GuardError) -> None:
        """An attack that was stopped counts against who sent it; too many, and everything of theirs is refused for a while."""
        caller = trace.caller
        if error.code != "content_blocked" or not caller.agent:
            return
        signal = self.signals.detected(caller, " ".join(error.details.get("detectors", ())))
        if signal is not None:
            trace.signal(signal.name, signal.subject, signal.why)
        if self.quarantine.blocked(caller):
            trace.signal("quarantine", caller.user or caller.key, "too many blocked requests")

    async def start(self) -> None:
        """Says in the log that the guard starts. Raises `LedgerError` when the log can't be written: it doesn't run without."""
        self.recorder.write([{"kind": "start", "version": self.engine.version}])

    async def stop(self) -> None:
        """Closes everything, the log last. What can't be closed is logged, and the rest is closed all the same."""
        self.draining = True
        async with AsyncExitStack() as stack:
            # The one that is pushed last is closed first.
            for close in (self._end_log, self._end_stores, *self._close):
                stack.push_async_callback(_closed, close)
            stack.push_async_callback(_closed, self.authenticator.close)
            stack.push_async_callback(_closed, self.upstreams.close)
            stack.push_async_callback(_closed, self.mcp.close)

    async def _end_stores(self) -> None:
        try:
            self.approvals.close()
        finally:
            self._memories.close()

    async def _end_log(self) -> None:
        try:
            self.recorder.write([{"kind": "stop", "version": self.engine.version}])
        finally:
            self.recorder.close()

    async def reload(self) -> str:
        """Compiles plan, settings and policies anew and puts them in force at once; the version.

        Raises what is wrong with the files; the old ones stay in force then.
        """
        # One at a time, so that the files that were read last are in force at the end.
        async with self._reloading:
            engine = await asyncio.to_thread(self._again)
            pins = load_all(engine.settings.mcp)
            authenticator = HeaderAuthenticator(engine.settings)
            self.record([{"kind": "reload", "version": engine.version, "before": self.engine.version}])
            self.engine = engine
            self.book.repin(pins)
            self.signals.settings = self.quarantine.settings = engine.settings.abuse
            # A key that was taken out must not open anything any more, nor must who signed in with it.
            self.browsers.stop_all()
            before, self.authenticator = self.authenticator, authenticator
            await _closed(before.close)
            return engine.version

    def files(self) -> Iterable[Path]:
        """The files whose change means a reload."""
        return self._inputs(self.engine)


async def _closed(close: Callable[[], Awaitable[None]]) -> None:
    try:
        await close()
    except Exception:  # noqa: BLE001 - whatever it is, the others have to be closed too
        _log.exception("something could not be closed")
