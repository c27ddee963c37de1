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
from bastide.verify.artifacts.scan import scan_file, scan_remote
from bastide.verify.process import address_space, limit_address_space

Task = Callable[[str, int], FileReport]
"""The scan of a file in a process that had so many bytes of address space before."""
AHEAD = 256
"""Reports that wait for an earlier file before no more are begun: they come in the order of the files."""


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
        waiting: deque[int] = deque()
        done: dict[int, FileReport] = {}
        begun = 0
        more = True
        while more or waiting:
            for worker in self._workers:
                if worker.idle and more and len(waiting) < AHEAD:
                    path = next(paths, None)
                    more = path is not None
                    if path is not None:
                        worker.begin(begun, path)
                        waiting.append(begun)
                        begun += 1
            self._collect(done)
            while waiting and waiting[0] in done:
                yield done.pop(waiting.popleft())

    def _collect(self, done: dict[int, FileReport]) -> None:
        busy = [w for w in self._workers if not w.idle]
        if not busy:
            return
        soonest = min(w.deadline for w in busy) - time.monotonic()
        ready = wait([w.pipe for w in busy], max(0.0, soonest))
        for at, worker in enumerate(self._workers):
            if worker.idle:
                continue
            if worker.pipe in ready:
                number, report = worker.end()
            elif time.monotonic() >= worker.deadline:
                number, report = worker.number, worker.failed(f"over {self._seconds:g} seconds (--timeout)")
            else:
                continue
            done[number] = report
            if worker.broken:
                worker.close()
                self._workers[at] = _Worker(self._seconds, self._task)

    def close(self) -> None:
        for worker in self._workers:
            worker.close()


class _Worker:
    """A process, and the file that it is at."""

    def __init__(self, seconds: float, task: Task) -> None:
        # Forked: a new interpreter would take longer than most files.
        context = multiprocessing.get_context("fork")
        self.pipe, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, self.pipe, task), daemon=True)
        self._process.start()
        theirs.close()
        self._seconds = seconds
        self.idle, self.broken = True, False
        self.number, self.path, self.deadline = 0, "", 0.0

    def begin(self, number: int, path: str) -> None:
        self.number, self.path, self.idle = number, path, False
        self.deadline = time.monotonic() + self._seconds
        with contextlib.suppress(OSError):
            # A process that has gone is found when its answer is read.
            self.pipe.send_bytes(path.encode("utf-8", "surrogateescape"))

    def end(self) -> tuple[int, FileReport]:
        self.idle = True
        try:
            return self.number, msgspec.msgpack.decode(self.pipe.recv_bytes(), type=FileReport)
        except (EOFError, OSError):
            return self.number, self.failed("the scan of it ended early, most likely for want of memory (--memory)")

    def failed(self, why: str) -> FileReport:
        self.idle, self.broken = True, True
        unread = Finding("scan/not-read", Tier.MALFORMED, Severity.MEDIUM, f"not read to its end: {why}")
        return FileReport(self.path, "unread", "", (unread,), self._seconds)

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
    return FileReport(path, "unread", "", (unread,))
