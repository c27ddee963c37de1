# SPDX-License-Identifier: Apache-2.0
"""Writes what happened into the ledger, in one write for each batch, and tells metrics and spans what is written."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from bastide.errors import LedgerError
from bastide.evidence.bodies import Bodies
from bastide.evidence.ledger import Durable, Ledger, Options
from bastide.guard.record.content import ContentStrategy
from bastide.guard.record.semconv import request_attributes

if TYPE_CHECKING:
    from bastide.guard.identity.credentials import Credentials
    from bastide.guard.settings import LogSettings

Entry = Mapping[str, Any]
_DAY = 86_400.0


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
    ) -> None:
        """retention_days: 0 keeps everything."""
        self._ledger, self._bodies = ledger, bodies
        self._content = content or ContentStrategy()
        self._observers = tuple(observers)
        ledger.when_syncing(bodies.flush)
        for who in bodies.marked():
            self._erase(who)
        self._ended = threading.Event()
        self._pruner: threading.Thread | None = None
        if retention_days:
            self._pruner = threading.Thread(
                target=self._keep_short, args=(retention_days,), name="ledger-retention", daemon=True
            )
            self._pruner.start()

    def write(self, entries: Iterable[Entry], durable: Durable = "os") -> int:
        """Appends entries, all of them or none, and returns the last one's number.

        When it returns, they were handed to the operating system: killing the process can't lose them. Raises `LedgerError` otherwise; the
        caller then fails closed.
        """
        ready = [self._ready(entry) for entry in entries]
        if not ready:
            return self._ledger.seq
        last = self._ledger.append_all(ready, durable)
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
        return self._erase(self._bodies.mark(subject))

    def prune(self, days: float) -> int:
        """Deletes what is older than so many days; how many entries went. Raises `LedgerError`."""
        before = time.time_ns() - int(days * _DAY * 1e9)
        gone = self._ledger.prune(before)
        self._bodies.prune(before)
        return gone

    def close(self) -> None:
        """Signs and closes the ledger."""
        self._ended.set()
        if self._pruner is not None:
            self._pruner.join()
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

    def _erase(self, who: str) -> int:
        self._ledger.append({"kind": "erasure", "subject": who}, "disk")
        return self._bodies.destroy(who)

    def _keep_short(self, days: float) -> None:
        wait = 0.0
        while not self._ended.wait(wait):
            # A full disk or a closed ledger: tried again in an hour.
            with contextlib.suppress(LedgerError):
                self.prune(days)
            wait = 3600.0


def open_recorder(
    log: LogSettings,
    credentials: Credentials | None = None,
    observers: Iterable[Observer] = (),
    redact: Callable[[str], str] | None = None,
) -> LedgerRecorder:
    """The recorder that the settings describe. Raises `LedgerError`, `Unavailable` when the signing key can't be read.

    redact: takes secrets and personal data out of a text; without it, classes that are to be kept redacted keep only metadata.
    """
    key = credentials.get(log.signing_key).encode() if log.signing_key and credentials else None
    folder = Path(log.folder)
    ledger = Ledger(folder, Options(checkpoint_every=log.checkpoint_every, signing_key=key))
    try:
        bodies = Bodies(folder)
    except LedgerError:
        ledger.close()
        raise
    watching = list(observers)
    if log.otlp:
        from bastide.guard.record.push import OtlpPush

        watching.append(OtlpPush(log.otlp))
    return LedgerRecorder(ledger, bodies, ContentStrategy(log.content, redact), watching, log.retention_days)
