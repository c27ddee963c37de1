# SPDX-License-Identifier: Apache-2.0
"""Group commit: one thread carries what was written to the disk itself, many entries with one fsync."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future

from bastide.errors import LedgerError


class Syncer:
    """Calls `flush` at most `interval` seconds after something was written, at once when somebody waits for it.

    After a failed fsync nobody knows what the disk has, and asking again would say that all is well (the kernel forgets). So the error stays.
    """

    def __init__(self, flush: Callable[[], None], interval: float) -> None:
        self._flush = flush
        self._interval = interval
        self._written = 0
        self._synced = 0
        self._waiting: list[tuple[int, Future[None]]] = []
        self._lock = threading.Lock()
        self._dirty = threading.Event()
        self._urgent = threading.Event()
        self._stopping = False
        self.failed = ""
        """Why the last fsync failed; '' when none did."""
        self._thread = threading.Thread(target=self._run, name="ledger-sync", daemon=True)
        self._thread.start()

    def written(self, seq: int) -> None:
        """Entries up to this one were handed to the operating system."""
        self._written = seq
        if not self._dirty.is_set():
            self._dirty.set()

    def synced(self, seq: int) -> Future[None]:
        """Done when the entry is on the disk. Its error is a `LedgerError`."""
        future: Future[None] = Future()
        with self._lock:
            if self.failed:
                future.set_exception(LedgerError(self.failed))
            elif self._synced >= seq:
                future.set_result(None)
            else:
                self._waiting.append((seq, future))
        self._urgent.set()
        self._dirty.set()
        return future

    def stop(self) -> None:
        """Flushes a last time and ends the thread."""
        self._stopping = True
        self._urgent.set()
        self._dirty.set()
        self._thread.join()

    def _run(self) -> None:
        while True:
            self._dirty.wait()
            if not self._stopping:
                self._urgent.wait(self._interval)
            self._urgent.clear()
            self._dirty.clear()
            stopping, target = self._stopping, self._written
            try:
                self._flush()
            except OSError as problem:
                self.failed = f"the ledger may not be on the disk: {problem.strerror or problem}"
            self._tell(target)
            if stopping:
                return

    def _tell(self, target: int) -> None:
        with self._lock:
            if not self.failed:
                self._synced = target
            ready = [one for one in self._waiting if self.failed or one[0] <= target]
            self._waiting = [one for one in self._waiting if not self.failed and one[0] > target]
        for _, future in ready:
            if future.set_running_or_notify_cancel():
                if self.failed:
                    future.set_exception(LedgerError(self.failed))
                else:
                    future.set_result(None)
