# SPDX-License-Identifier: Apache-2.0
"""Writes what happened into the ledger, in one write for each batch, and tells metrics and spans what is written."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from bastide.errors import LedgerError
from bastide.evidence.bodies import Bodies
from bastide.evidence.erase import erase
from bastide.evidence.ledger import Durable, Ledger, Options
from bastide.evidence.parts import claim, prune, prune_idle
from bastide.guard.record.content import ContentStrategy
from bastide.guard.record.semconv import request_attributes

if TYPE_CHECKING:
    from bastide.guard.identity.credentials import Credentials
    from bastide.guard.record.metrics import Metrics
    from bastide.guard.settings import LogSettings

Entry = Mapping[str, Any]
_DAY = 86_400.0
_LOOK, _PRUNE = 1.0, 3600.0
"""Seconds between two looks for erasures that were asked for, and for what is too old."""
_SIGN = 60.0
"""Seconds that an entry waits for a signature at most, also when few come."""


class Observer(Protocol):
    """Somebody who is told of entries that are written; must neither fail nor wait."""

    def entry(self, entry: Entry) -> None:
        """One entry."""
        ...


class LedgerRecorder:
    """The guard's log."""

    def __init__(
        self,
        ledger: Ledger,
        bodies: Bodies,
        content: ContentStrategy | None = None,
        observers: Iterable[Observer] = (),
        retention_days: float = 0,
        beside: Callable[[int], None] = lambda _: None,
    ) -> None:
        """retention_days: 0 keeps everything; beside: deletes what was before a time in logs that nobody writes now."""
        self._ledger, self._bodies = ledger, bodies
        self._content = content or ContentStrategy()
        self._observers = tuple(observers)
        self._retention_days, self._beside = retention_days, beside
        self._lock = threading.Lock()
        ledger.when_syncing(bodies.flush)
        self._end_erasures()
        self._ended = threading.Event()
        self._keeper = threading.Thread(target=self._keep_house, name="ledger-keeper", daemon=True)
        self._keeper.start()

    def write(self, entries: Iterable[Entry], durable: Durable = "os") -> int:
        """Appends entries, all of them or none, and returns the last one's number.

        When it returns, they were handed to the operating system: killing the process can't lose them. Raises `LedgerError` otherwise; the
        caller then fails closed.
        """
        # One at a time from body to entry, so that an erasure never comes between the two.
        with self._lock:
            ready = [self._ready(entry) for entry in entries]
            last = self._ledger.append_all(ready)
        if durable == "disk":
            self._ledger.synced(last).result()
        for observer in self._observers:
            for entry in ready:
                observer.entry(entry)
        return last

    async def record(self, entries: Entry | Iterable[Entry]) -> None:
        """The same, for one entry or several."""
        self.write((entries,) if isinstance(entries, Mapping) else entries)

    def erase(self, subject: str) -> int:
        """Erases all bodies of a subject and its key; the chain stays whole, and has an entry of it. How many files went.

        Raises `LedgerError`; begun erasures are ended at the next start.
        """
        return erase(self._ledger, self._bodies, self._bodies.mark(subject), self._lock)

    def prune(self, days: float) -> int:
        """Deletes what is older than so many days; how many entries went. Raises `LedgerError`."""
        before = time.time_ns() - int(days * _DAY * 1e9)
        gone = prune(self._ledger, self._bodies, before)
        self._beside(before)
        return gone

    def close(self) -> None:
        """Signs and closes the ledger."""
        self._ended.set()
        self._keeper.join()
        self._ledger.close()
        self._bodies.close()
        for observer in self._observers:
            if (close := getattr(observer, "close", None)) is not None:
                close()

    def _ready(self, entry: Entry) -> Entry:
        kind = entry.get("kind")
        if kind == "request":
            entry = {**entry, "attributes": request_attributes(entry)}
        if "content" in entry:
            caller = entry.get("caller") or {}
            # Whose text it is: the person's, else of the one who calls.
            subject = str(entry.get("subject") or caller.get("user") or caller.get("agent") or "")
            entry = {**entry, "content": self._content.keep(self._bodies, subject, entry["content"])}
        return entry

    def _end_erasures(self) -> None:
        """Those that a crash stopped, and those that another process asks for while this one writes."""
        for who in self._bodies.marked():
            erase(self._ledger, self._bodies, who, self._lock)

    def _keep_house(self) -> None:
        next_prune = 0.0
        while not self._ended.wait(_LOOK):
            # A full disk: tried again.
            with contextlib.suppress(LedgerError):
                self._end_erasures()
                self._ledger.sign_older(_SIGN)
                if self._retention_days and time.monotonic() >= next_prune:
                    next_prune = time.monotonic() + _PRUNE
                    self.prune(self._retention_days)


def open_recorder(
    log: LogSettings,
    credentials: Credentials | None = None,
    metrics: Metrics | None = None,
    redact: Callable[[str], str] | None = None,
    *,
    part: bool = False,
) -> LedgerRecorder:
    """The recorder that the settings describe. Raises `LedgerError`, `UsageError`, `Unavailable` when the signing key can't be read.

    redact: takes secrets and personal data out of a text; without it, classes that are to be kept redacted keep only metadata.
    part: for a process beside those that write the folder's own ledger and its other parts.
    """
    key = credentials.get(log.signing_key).encode() if log.signing_key and credentials else None
    observers: list[Observer] = [metrics] if metrics else []
    if log.otlp:
        from bastide.guard.record.push import OtlpPush

        push = OtlpPush(log.otlp)
        observers.append(push)
        if metrics:
            metrics.spans(push)
    options = Options(checkpoint_every=log.checkpoint_every, signing_key=key, key_folder=log.folder)
    ledger = claim(log.folder, options) if part else Ledger(log.folder, options)
    try:
        kept, bodies = ContentStrategy(log.content, redact), Bodies(ledger.folder)
        idle = partial(prune_idle, log.folder, options=options)
        return LedgerRecorder(ledger, bodies, kept, observers, log.retention_days, idle)
    except BaseException:
        ledger.close()
        raise
