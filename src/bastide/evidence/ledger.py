# SPDX-License-Identifier: Apache-2.0
"""The ledger's writer: an append-only, hash-chained log in a folder of segments, with signed checkpoints.

An entry that was acknowledged has been handed to the operating system, so killing the process loses nothing; a power cut can lose what was
written in the last few hundredths of a second, unless the writer waited for the disk.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from bastide.errors import LedgerError
from bastide.evidence import files, retain
from bastide.evidence.line import encode, seal
from bastide.evidence.recover import End, find_end
from bastide.evidence.signing import Signed, Signer, random_id, write_statement
from bastide.evidence.sync import Syncer

Durable = Literal["os", "disk"]


@dataclass(frozen=True, slots=True)
class Options:
    """How a ledger is written."""

    segment_bytes: int = 64 * 1024 * 1024
    """A new segment begins when one is larger,"""
    segment_seconds: float = 86_400.0
    """or holds more than this time: retention deletes whole segments."""
    checkpoint_every: int = 1000
    """Entries between two signed checkpoints."""
    sync_interval: float = 0.02
    """Seconds until what was written goes to the disk."""
    signing_key: bytes | None = None
    """PEM of an Ed25519 private key; None: the folder's own, made when it is missing."""
    key_folder: Path | None = None
    """Where that one is, when it isn't in the ledger's own folder."""
    clock: Callable[[], int] = time.time_ns
    monotonic: Callable[[], int] = time.monotonic_ns
    write: Callable[[int, bytes], int] = os.write


class Ledger:
    """The one writer of a folder. All methods may be called from any thread."""

    _closed: bool
    _syncer: Syncer

    def __init__(self, folder: Path, options: Options | None = None) -> None:
        """Takes the folder, repairs what a crash left, and goes on. Raises `LedgerError`."""
        self.folder = folder
        self._options = options or Options()
        self._lock = threading.RLock()
        self._held = files.lock(folder)
        try:
            self._start(find_end(folder))
        except OSError as problem:
            os.close(self._held)
            raise LedgerError(f"{problem.filename or folder}: {problem.strerror or problem}") from None
        except BaseException:
            os.close(self._held)
            raise

    def __enter__(self) -> Ledger:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def seq(self) -> int:
        """The last entry's number."""
        return self._seq

    @property
    def id(self) -> str:
        """The ledger's random id."""
        return self._id

    def append(self, entry: Mapping[str, Any], durable: Durable = "os") -> int:
        """Appends one entry and returns its number, when it was handed to the operating system (`os`) or is on the disk (`disk`).

        Raises `LedgerError` when that isn't so. An entry that could not be written isn't there, not even in part.
        """
        return self.append_all((entry,), durable)

    def append_all(self, entries: Iterable[Mapping[str, Any]], durable: Durable = "os") -> int:
        """Appends entries with one write: all of them or none. Returns the number of the last one. Raises `LedgerError`."""
        bodies = [encode(entry) for entry in entries]
        with self._lock:
            if self._closed:
                raise LedgerError("the ledger is closed")
            if self._syncer.failed:
                raise LedgerError(self._syncer.failed)
            if bodies:
                self._extend(bodies)
            last = self._seq
            self._keep_up()
        if durable == "disk":
            self._syncer.synced(last).result()
        return last

    def synced(self, seq: int) -> Future[None]:
        """Done when an entry is on the disk (`asyncio.wrap_future` makes it awaitable). Its error is a `LedgerError`."""
        return self._syncer.synced(seq)

    def checkpoint(self) -> Signed:
        """Signs the present head and appends the statement. Raises `LedgerError`."""
        with self._lock:
            signed = self._sign()
            self._syncer.written(self._seq)
        return signed

    def sign_older(self, seconds: float) -> bool:
        """Signs the head when entries have waited for a signature longer than that; whether it did. Raises `LedgerError`."""
        with self._lock:
            waited = self._options.monotonic() - self._unsigned_from
            if self._closed or not self._since or waited < seconds * 1e9:
                return False
            self.checkpoint()
            return True

    def prune(self, before: int) -> int:
        """Deletes segments that were complete before a time (nanoseconds since 1970), leaving a signed stub.

        Returns how many entries went. The segment that is written on stays, unless all of it is older: then a new one begins.
        Raises `LedgerError`.
        """
        with self._lock:
            if self._size and self._time < before:
                self._rotate()
        gone = retain.plan(self.folder, self._segment, before)
        if gone is None:
            return 0
        self.append({"kind": "retention", "last": gone.seq, "head": gone.hash, "before": before}, "disk")
        stub = self._signer.sign("stub", self._id, gone.seq, gone.hash, self._options.clock())
        try:
            write_statement(self.folder / files.STUB, stub)
            return retain.delete(self.folder, gone.seq)
        except OSError as problem:
            raise LedgerError(f"{self.folder}: can't be pruned: {problem.strerror}") from None

    def when_syncing(self, flush: Callable[[], None]) -> None:
        """Has something else flushed too, before the entries that speak of it."""
        self._others.append(flush)

    def close(self) -> None:
        """Signs the head, carries everything to the disk and lets go of the folder. A second call does nothing."""
        with self._lock:
            if self._closed:
                return
            if self._since:
                # Full disk: without its last checkpoint the ledger is still whole.
                with contextlib.suppress(LedgerError):
                    self._sign()
            self._closed = True
        self._syncer.written(self._seq)
        self._syncer.stop()
        os.close(self._handle)
        os.close(self._held)

    def _start(self, end: End) -> None:
        pem = self._options.signing_key
        self._signer = Signer.of(pem) if pem else Signer.in_folder(self._options.key_folder or self.folder)
        self._signer.publish(self.folder)
        retain.finish(self.folder)
        self._seq, self._prev, self._time, self._since = end.seq, end.hash, end.time, end.since
        self._began = end.time or self._options.clock()
        self._unsigned_from = self._options.monotonic()
        self._id = end.ledger or random_id()
        self._segment, self._size = end.segment if end.size else end.seq + 1, end.size
        self._handle = files.open_for_appending(files.segment(self.folder, self._segment))
        self._partial = self._closed = False
        self._retired: list[int] = []
        self._others: list[Callable[[], None]] = []
        self._newest: Signed | None = None
        files.sync_folder(self.folder)
        self._syncer = Syncer(self._flush, self._options.sync_interval)
        try:
            self._open_entries(end)
        except BaseException:
            self._syncer.stop()
            os.close(self._handle)
            raise

    def _open_entries(self, end: End) -> None:
        """What the ledger says of itself when it begins, changes its key or was repaired."""
        entries: list[Mapping[str, Any]] = []
        if not end.seq:
            entries.append({"kind": "ledger", "ledger": self._id, "format": 1, "key": self._signer.id})
        elif end.key != self._signer.id:
            entries.append({"kind": "key", "ledger": self._id, "key": self._signer.id, "before": end.key})
        if end.torn is not None:
            entries.append(end.torn)
        self.append_all(entries)

    def _extend(self, bodies: list[bytes], *, may_note: bool = True) -> None:
        now, mono = self._options.clock(), self._options.monotonic()
        if now < self._time and may_note:
            # The order is that of `seq`, so a clock that was set back changes nothing; but a reader should know.
            bodies = [encode({"kind": "clock", "before": self._time, "after": now}), *bodies]
        seq, prev, lines = self._seq, self._prev, []
        for body in bodies:
            seq += 1
            line, prev = seal(seq, now, mono, prev, body)
            lines.append(line)
        self._put(lines[0] if len(lines) == 1 else b"".join(lines))
        self._seq, self._prev, self._time = seq, prev, now if may_note else max(now, self._time)
        if not self._since:
            self._unsigned_from = mono
        self._since += len(bodies)
        self._syncer.written(seq)

    def _put(self, data: bytes) -> None:
        """Writes all of it, or nothing."""
        try:
            self._trim()
            done = self._options.write(self._handle, data)
            while done < len(data):
                more = self._options.write(self._handle, data[done:])
                if not more:
                    raise OSError(0, "the system takes no more")
                done += more
        except OSError as problem:
            self._partial = True
            with contextlib.suppress(OSError):
                self._trim()
            raise LedgerError(f"{self.folder}: the ledger can't be written: {problem.strerror}") from None
        self._size += len(data)

    def _trim(self) -> None:
        if self._partial:
            os.ftruncate(self._handle, self._size)
            self._partial = False

    def _keep_up(self) -> None:
        """Checkpoints and segments. The entries are written, so what fails here is tried again with the next ones."""
        with contextlib.suppress(LedgerError, OSError):
            if self._since >= self._options.checkpoint_every:
                self._sign()
            old = self._time - self._began >= self._options.segment_seconds * 1e9
            if self._size >= self._options.segment_bytes or old:
                if self._since:
                    self._sign()
                self._rotate()

    def _sign(self) -> Signed:
        signed = self._signer.sign("checkpoint", self._id, self._seq, self._prev, self._options.clock())
        # It speaks of the entry right before it, so nothing may come between.
        self._extend([encode({"kind": "checkpoint", **signed.document()})], may_note=False)
        self._since = 0
        self._newest = signed
        return signed

    def _rotate(self) -> None:
        handle = files.open_for_appending(files.segment(self.folder, self._seq + 1))
        self._retired.append(self._handle)
        self._handle, self._segment, self._size, self._began = handle, self._seq + 1, 0, self._time

    def _flush(self) -> None:
        """Runs in the syncer's thread. Only it closes segments, so none is closed while it is being synced."""
        with self._lock:
            retired, self._retired = self._retired, []
            handle, newest, self._newest = self._handle, self._newest, None
        for other in self._others:
            other()
        for old in retired:
            os.fsync(old)
            os.close(old)
        os.fsync(handle)
        if retired:
            files.sync_folder(self.folder)
        if newest is not None:
            # On a full disk the old one stays; the checkpoint itself is in the chain.
            with contextlib.suppress(OSError):
                write_statement(self.folder / files.NEWEST, newest)
