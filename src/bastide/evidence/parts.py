# SPDX-License-Identifier: Apache-2.0
"""Ledgers below a ledger: a ledger has one writer, so each process beside it takes a numbered folder of its own, and they are read as one.

A process takes the first number that no other process has, so that there are as many parts as ever ran at a time, and each goes on.
"""

from __future__ import annotations

import contextlib
import heapq
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from bastide.errors import LedgerError, LedgerHeld
from bastide.evidence import files
from bastide.evidence.bodies import Bodies, old_days
from bastide.evidence.ledger import Ledger, Options
from bastide.evidence.line import Line
from bastide.evidence.read import entries
from bastide.evidence.recover import id_of
from bastide.evidence.report import Report
from bastide.evidence.signing import read_statement
from bastide.evidence.verify import verify

_NAME = re.compile(r"^part-[1-9][0-9]{0,2}$")
_MOST = 999


def claim(folder: Path, options: Options) -> Ledger:
    """A part of the folder's ledger for this process. Raises `LedgerError`."""
    files.make(folder)
    for number in range(1, _MOST + 1):
        with contextlib.suppress(LedgerHeld):
            return Ledger(folder / f"part-{number}", options)
    raise LedgerError(f"{folder}: {_MOST} processes write parts of this ledger; no more can")


def parts(folder: Path) -> list[Path]:
    """The parts below a folder, by number."""
    try:
        found = [one for one in folder.iterdir() if _NAME.match(one.name) and one.is_dir() and not one.is_symlink()]
    except OSError:
        return []
    return sorted(found, key=lambda part: int(part.name[5:]))


def ledgers(folder: Path) -> list[Path]:
    """The folder, when it holds a ledger or has no parts, and its parts."""
    below = [part for part in parts(folder) if holds_ledger(part)]
    return [folder, *below] if holds_ledger(folder) or not below else below


def holds_ledger(folder: Path) -> bool:
    """Whether there is one."""
    return folder.is_dir() and bool(files.segments(folder) or (folder / files.STUB).exists())


def every_entry(folder: Path, left_out: Callable[[str], None] = lambda _: None) -> Iterator[Line]:
    """The entries of a ledger and its parts, by their time. Raises `LedgerError`."""
    return heapq.merge(*(entries(one, left_out) for one in ledgers(folder)), key=lambda line: line.time)


def verify_all(folder: Path, public_keys: Iterable[bytes] | None = None, anchors: Iterable[Path] = ()) -> list[Report]:
    """What is true of a ledger and of each of its parts; as `verify`. Each checkpoint from elsewhere is held against the ledger that it names."""
    found, pems, outside = ledgers(folder), None if public_keys is None else list(public_keys), list(anchors)
    ids = [id_of(one) for one in found]

    def of(path: Path) -> int:
        # One that is of none of them is held against the first, which says so.
        signed = read_statement(path)
        return ids.index(signed.ledger) if signed and signed.ledger in ids else 0

    return [verify(one, pems, [path for path in outside if of(path) == n]) for n, one in enumerate(found)]


def prune(ledger: Ledger, bodies: Bodies, before: int) -> int:
    """Deletes what is older than a time (nanoseconds since 1970); how many entries went. Raises `LedgerError`."""
    if old := bodies.old(before):
        ledger.append({"kind": "retention", "bodies_before": before}, "disk")
        bodies.prune(old)
    return ledger.prune(before)


def prune_idle(folder: Path, before: int, options: Options) -> None:
    """Does so in the parts that no process has. What isn't what was written stays, as evidence."""
    for part in parts(folder):
        with contextlib.suppress(LedgerError):
            if _has_old(part, before):
                with Ledger(part, options) as ledger:
                    bodies = Bodies(part)
                    prune(ledger, bodies, before)
                    bodies.close()


def _has_old(part: Path, before: int) -> bool:
    """Whether it is worth taking: a part that is held for a moment makes another process take the next one."""
    known = files.segments(part)
    with contextlib.suppress(OSError):
        return bool(old_days(part, before)) or (bool(known) and known[0][1].stat().st_mtime_ns < before)
    return False
