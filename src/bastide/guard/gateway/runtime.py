# SPDX-License-Identifier: Apache-2.0
"""The running guard: the engine of the moment, and everything that outlives a reload of the policy."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bastide.errors import GuardError, LedgerError, Unavailable
from bastide.guard.approvals.browser import BrowserSessions
from bastide.guard.approvals.store import ApprovalStore
from bastide.guard.conversations import Conversations
from bastide.guard.engine import Engine
from bastide.guard.gateway.tool_gate import EngineGate
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

if TYPE_CHECKING:
    from bastide.guard.gateway.trace import Trace
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


class Runtime:
    """One running guard. `engine` is replaced whole on reload, so a request sees one version from its beginning to its end."""

    def __init__(self, engine: Engine, parts: Parts, again: Callable[[], Engine]) -> None:
        """again: compiles the engine anew from the same files."""
        self.engine = engine
        self.authenticator = parts.authenticator
        self.limits = parts.limits
        self.approvals = parts.approvals
        self.recorder = parts.recorder
        self.metrics = parts.metrics
        self.credentials = parts.credentials
        self.conversations = Conversations(time.monotonic)
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

    @contextlib.contextmanager
    def place(self) -> Iterator[None]:
        """A place for one request.

        Raises `Unavailable` at once when all are taken: a queue would only make everybody wait longer than their clients do.
        """
        if self.draining:
            raise Unavailable("the guard is shutting down", code="draining", retry_after=5)
        if self.in_flight >= self.engine.settings.bounds.in_flight:
            raise Unavailable("the guard has as many requests as it can take", code="overloaded", retry_after=1)
        self.in_flight += 1
        try:
            yield
        finally:
            self.in_flight -= 1

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
        """Closes everything; the log last."""
        self.draining = True
        await self.mcp.close()
        await self.upstreams.close()
        self.recorder.write([{"kind": "stop", "version": self.engine.version}])
        self.recorder.close()
        self.approvals.close()

    async def reload(self) -> str:
        """Compiles plan, settings and policies anew and puts them in force at once; the version.

        Raises what is wrong with the files; the old ones stay in force then.
        """
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
        await before.close()
        return engine.version

    def files(self) -> Iterable[Path]:
        """The files whose change means a reload."""
        settings = self.engine.settings
        own = (settings.file,) if settings.file else ()
        return (settings.plan, *own, *settings.policies)
