# SPDX-License-Identifier: Apache-2.0
"""Scans many files in processes with limits of their own: a file on which one runs out of time or memory is unknown, and the rest goes on."""

from __future__ import annotations

import contextlib
import multiprocessing
import signal
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from multiprocessing.connection import Connection, wait
from pathlib import Path

import msgspec

from bastide.errors import BastideError
from bastide.verify.artifacts.cache import Cache
from bastide.verify.artifacts.interface import Limits
from bastide.verify.artifacts.model import FileReport, Finding, Severity, Tier
from bastide.verify.artifacts.remote import is_remote
from bastide.verify.artifacts.scan import readable, scan_file, scan_remote
from bastide.verify.process import address_space, limit_address_space

Task = Callable[[str, int], FileReport]
"""The scan of a file in a process that had so many bytes of address space before."""
AHEAD = 256
"""Reports that wait for an earlier file before no more are begun: they come in the order of the files."""
IN_HAND = 3
"""Files that a process has been given: it is never without one while its answer travels. Few, lest a large one hold up others."""


@dataclass(frozen=True, slots=True)
class Allowance:
    """What the scan of one file may take."""

    seconds: float = 120.0
    memory: int = 2 * 1024**3
    """Bytes of address space beside the file itself and what the process had before the first one."""


def scan_files(
    paths: Iterable[Path | str],
    jobs: int = 1,
    allowance: Allowance | None = None,
    limits: Limits | None = None,
    cache: Cache | None = None,
) -> Iterator[FileReport]:
    """The reports, in the order of the paths, which may be addresses of stores too. Raises `UsageError` when the package for a store isn't there."""
    task = partial(_limited, allowance=allowance or Allowance(), limits=limits or Limits(), cache=cache)
    pool = _Pool(jobs, (allowance or Allowance()).seconds, task)
    try:
        yield from pool.reports(map(str, paths))
    finally:
        pool.close()


class _Pool:
    def __init__(self, jobs: int, seconds: float, task: Task) -> None:
        self._seconds, self._task = seconds, task
        self._workers = [_Worker(seconds, task) for _ in range(max(1, jobs))]

    def reports(self, paths: Iterator[str]) -> Iterator[FileReport]:
        numbered = enumerate(paths)
        waiting: deque[int] = deque()
        done: dict[int, FileReport] = {}
        more = True
        while more or waiting:
            more = self._hand_out(numbered, waiting)
            self._collect(done)
            while waiting and waiting[0] in done:
                yield done.pop(waiting.popleft())

    def _hand_out(self, numbered: Iterator[tuple[int, str]], waiting: deque[int]) -> bool:
        """Gives each process something to do, those with the least first; whether there may be more."""
        while len(waiting) < AHEAD:
            worker = min(self._workers, key=lambda w: len(w.in_hand))
            if len(worker.in_hand) >= IN_HAND:
                return True
            file = next(numbered, None)
            if file is None:
                return False
            worker.give(file)
            waiting.append(file[0])
        return True

    def _collect(self, done: dict[int, FileReport]) -> None:
        busy = [w for w in self._workers if w.in_hand]
        if not busy:
            return
        soonest = min(w.deadline for w in busy) - time.monotonic()
        ready = wait([w.pipe for w in busy], max(0.0, soonest))
        for at, worker in enumerate(self._workers):
            if worker.pipe in ready:
                number, report = worker.answer()
            elif worker.in_hand and time.monotonic() >= worker.deadline:
                number, report = worker.failed(f"over {self._seconds:g} seconds (--timeout)")
            else:
                continue
            done[number] = report
            if worker.broken:
                self._workers[at] = self._instead_of(worker)

    def _instead_of(self, broken: _Worker) -> _Worker:
        """A new process, which gets what the other had not come to."""
        broken.close()
        worker = _Worker(self._seconds, self._task)
        for file in broken.in_hand:
            worker.give(file)
        return worker

    def close(self) -> None:
        for worker in self._workers:
            worker.close()


class _Worker:
    """A process, and the files that it was given."""

    def __init__(self, seconds: float, task: Task) -> None:
        # Forked: a new interpreter would take longer than most files.
        context = multiprocessing.get_context("fork")
        self.pipe, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, self.pipe, task), daemon=True)
        self._process.start()
        theirs.close()
        self._seconds = seconds
        self.broken = False
        self.in_hand: deque[tuple[int, str]] = deque()
        """Number and path; it is at the first."""
        self.deadline = 0.0

    def give(self, file: tuple[int, str]) -> None:
        """One more to read."""
        if not self.in_hand:
            self.deadline = time.monotonic() + self._seconds
        self.in_hand.append(file)
        with contextlib.suppress(OSError):
            # A process that has gone is found when its answer is read.
            self.pipe.send_bytes(file[1].encode("utf-8", "surrogateescape"))

    def answer(self) -> tuple[int, FileReport]:
        """The number of the file that it has read, and the report."""
        try:
            report = msgspec.msgpack.decode(self.pipe.recv_bytes(), type=FileReport)
        except (EOFError, OSError):
            return self.failed("the scan of it ended early, most likely for want of memory (--memory)")
        self.deadline = time.monotonic() + self._seconds
        return self.in_hand.popleft()[0], report

    def failed(self, why: str) -> tuple[int, FileReport]:
        """The number of the file at which it has failed, and a report that says why."""
        self.broken = True
        number, path = self.in_hand.popleft()
        unread = Finding("scan/not-read", Tier.MALFORMED, Severity.MEDIUM, f"not read to its end: {why}")
        return number, FileReport(readable(path), "unread", "", (unread,), self._seconds)

    def close(self) -> None:
        self.pipe.close()
        self._process.kill()
        self._process.join()


def _serve(pipe: Connection, other_end: Connection, task: Task) -> None:
    """The process: a path in, a report out, until the pipe closes."""
    other_end.close()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    before = address_space()
    while True:
        try:
            path = pipe.recv_bytes().decode("utf-8", "surrogateescape")
        except (EOFError, OSError):
            return
        pipe.send_bytes(msgspec.msgpack.encode(task(path, before)))


def _limited(path: str, before: int, *, allowance: Allowance, limits: Limits, cache: Cache | None) -> FileReport:
    remote = is_remote(path)
    with contextlib.suppress(OSError):
        limit_address_space(before + allowance.memory + (0 if remote else Path(path).stat().st_size))
    try:
        return scan_remote(path, limits, cache) if remote else scan_file(Path(path), limits=limits, cache=cache)
    except MemoryError:
        why = f"over {allowance.memory >> 20} MiB of memory (--memory)"
    except RecursionError:
        why = "nested deeper than it can be read"
    except BastideError as problem:
        why = str(problem)
    except Exception as problem:  # noqa: BLE001 - the edge of the process: a defect of a reader must not end a scan of thousands of files
        why = f"a defect of this reader, please report it ({type(problem).__name__})"
    unread = Finding("scan/not-read", Tier.MALFORMED, Severity.MEDIUM, f"not read to its end: {why}")
    return FileReport(readable(path), "unread", "", (unread,))
