# SPDX-License-Identifier: Apache-2.0
"""Processes for pieces of a data set, with bounds on time and memory: one that fails leaves its pieces unread, and the rest goes on."""

from __future__ import annotations

import contextlib
import multiprocessing
import signal
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from typing import Any

import msgspec

from bastide.errors import BastideError, UsageError
from bastide.verify.datasets.interface import Limits
from bastide.verify.datasets.partial import Partial
from bastide.verify.process import address_space, limit_address_space


@dataclass(frozen=True, slots=True)
class Done:
    """What came of a task: a result, or why there is none."""

    task: int
    partial: Partial | None
    why: str = ""


@dataclass(slots=True)
class _Running:
    task: int
    process: Any
    pipe: Connection
    deadline: float


def each(tasks: Sequence[Callable[[], Partial]], jobs: int, limits: Limits) -> Iterator[Done]:
    """Runs the tasks, some at a time; results come as they are done. Raises `UsageError` when one raises it."""
    waiting = deque(enumerate(tasks))
    running: list[_Running] = []
    try:
        while waiting or running:
            while waiting and len(running) < max(1, jobs):
                running.append(_begin(*waiting.popleft(), limits))
            soonest = min(r.deadline for r in running) - time.monotonic()
            ready = wait([r.pipe for r in running], max(0.0, soonest))
            for one in list(running):
                if one.pipe in ready:
                    yield _end(one)
                elif time.monotonic() >= one.deadline:
                    yield Done(one.task, None, f"it takes more than {limits.seconds:g} seconds")
                else:
                    continue
                running.remove(one)
                _close(one)
    finally:
        for one in running:
            _close(one)


def _begin(number: int, task: Callable[[], Partial], limits: Limits) -> _Running:
    # Forked: what was imported and what is to be done is there, and nothing has to be sent.
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(task, theirs, ours, limits), daemon=True)
    process.start()
    theirs.close()
    return _Running(number, process, ours, time.monotonic() + limits.seconds)


def _end(one: _Running) -> Done:
    try:
        kind, body = one.pipe.recv_bytes(1), one.pipe.recv_bytes()
    except (EOFError, OSError):
        return Done(one.task, None, "reading it ended early, most likely for want of memory or on damaged content")
    return done_of(one.task, kind, body)


def done_of(task: int, kind: bytes, body: bytes) -> Done:
    """What an `answer` says. Raises `UsageError` when the task raised one."""
    if kind == b"!":
        raise UsageError(body.decode("utf-8", "replace"))
    if kind == b"?":
        return Done(task, None, body.decode("utf-8", "replace"))
    return Done(task, msgspec.msgpack.decode(body, type=Partial))


def _close(one: _Running) -> None:
    one.pipe.close()
    one.process.kill()
    one.process.join()
    one.process.close()


def _serve(task: Callable[[], Partial], pipe: Connection, other_end: Connection, limits: Limits) -> None:
    other_end.close()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    limit_address_space(address_space() + limits.memory)
    kind, body = answer(task, limits)
    with contextlib.suppress(OSError):
        pipe.send_bytes(kind)
        pipe.send_bytes(body)
    pipe.close()


def answer(task: Callable[[], Partial], limits: Limits) -> tuple[bytes, bytes]:
    """What comes of a task, encoded: `=` a result, `!` a wrong call, `?` why there is none."""
    try:
        return b"=", msgspec.msgpack.encode(task())
    except BastideError as problem:
        return b"!", str(problem).encode("utf-8", "replace")
    except MemoryError:
        return b"?", f"it takes more than {limits.memory >> 20} MiB of memory".encode()
    except RecursionError:
        return b"?", b"it is nested deeper than it can be read"
    except Exception as problem:  # noqa: BLE001 - the edge of the process: a defect of a reader must not end the whole check
        return b"?", f"a defect of Bastide's reader, please report it ({type(problem).__name__})".encode()
