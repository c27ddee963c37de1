# SPDX-License-Identifier: Apache-2.0
"""Where a ledger goes on after its writer ended, in whatever way: finds its end, and cuts off what a crash left half written."""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bastide.errors import LedgerError
from bastide.evidence import files
from bastide.evidence.line import LONGEST, ZERO, Line, unseal
from bastide.evidence.signing import Signed, read_statement


@dataclass(frozen=True, slots=True)
class End:
    """The end of a ledger."""

    seq: int = 0
    hash: str = ZERO
    time: int = 0
    ledger: str = ""
    """Id; '' when nothing was written yet."""
    segment: int = 1
    """First entry of the segment that is written on."""
    size: int = 0
    key: str = ""
    """Id of the last key that the ledger named."""
    since: int = 0
    """Entries after the last checkpoint."""
    torn: Mapping[str, Any] | None = None
    """The entry that says what was cut off; None when nothing was."""


def find_end(folder: Path) -> End:
    """The end of the folder's ledger, after its repair. Raises `LedgerError` when it isn't what was written."""
    stub = read_statement(folder / files.STUB)
    newest = read_statement(folder / files.NEWEST)
    known = files.segments(folder)
    end = End(seq=stub.seq, hash=stub.head, ledger=stub.ledger) if stub else End()
    torn = None
    if known:
        torn = _cut(known[-1][1])
        end = _walk(known, end)
    _not_short(folder, end, newest)
    return End(end.seq, end.hash, end.time, end.ledger or (newest.ledger if newest else ""), end.segment, end.size,
               end.key, end.since, torn)  # fmt: skip


def _walk(known: list[tuple[int, Path]], before: End) -> End:
    """The end that the last segments show: the one that is written on, and the one before when that is still empty."""
    first, path = known[-1]
    size = path.stat().st_size
    for _, one in reversed(known):
        if (end := _last(one, before)) is not None:
            return End(end.seq, end.hash, end.time, end.ledger or _id_in(known[0][1]), first, size, end.key, end.since)
    return End(before.seq, before.hash, before.time, before.ledger, first, size)


def _not_short(folder: Path, end: End, newest: Signed | None) -> None:
    # A checkpoint is written out after its entries are on the disk, so no crash makes a ledger shorter than its newest checkpoint.
    if newest is not None and newest.seq > end.seq:
        raise LedgerError(
            f"{folder}: has entries up to {end.seq}, but its newest checkpoint is over {newest.seq}: entries were removed\n"
            "  = keep the folder as it is, as evidence, and let the log begin in a new one"
        )


def _last(path: Path, before: End) -> End | None:
    """The end of one segment; None when it has no entry. Its lines have to be whole and chained."""
    line: Line | None = None
    key, ledger, since = before.key, before.ledger, 0
    try:
        with os.fdopen(files.open_for_reading(path), "rb") as stream:
            for number, raw in enumerate(iter(lambda: stream.readline(LONGEST + 1), b""), 1):
                line = _next(path, number, raw, line)
                since += 1
                kind = line.entry.get("kind")
                if kind in ("ledger", "key"):
                    key, ledger = str(line.entry.get("key", "")), str(line.entry.get("ledger", ledger))
                elif kind == "checkpoint":
                    key, ledger, since = str(line.entry.get("key", "")), str(line.entry.get("ledger", ledger)), 0
    except OSError as problem:
        raise LedgerError(f"{path}: can't be read: {problem.strerror}") from None
    return End(line.seq, line.hash, line.time, ledger, key=key, since=since) if line else None


def _next(path: Path, number: int, raw: bytes, before: Line | None) -> Line:
    try:
        line = unseal(raw)
    except ValueError as problem:
        raise _changed(path, number, str(problem)) from None
    if before is not None and (line.seq != before.seq + 1 or line.prev != before.hash):
        raise _changed(path, number, "doesn't follow the line before")
    return line


def _changed(path: Path, number: int, what: str) -> LedgerError:
    return LedgerError(
        f"{path}:{number}: {what}; nothing is added to a ledger that was changed\n"
        "  = `bastide ledger verify` says more; keep the folder as evidence, and let the log begin in a new one"
    )


def id_of(folder: Path) -> str:
    """The id of a folder's ledger; '' when it can't be told."""
    with contextlib.suppress(LedgerError):
        if newest := read_statement(folder / files.NEWEST):
            return newest.ledger
        return next((_id_in(path) for _, path in files.segments(folder)), "")
    return ""


def _id_in(path: Path) -> str:
    with contextlib.suppress(OSError, ValueError), os.fdopen(files.open_for_reading(path), "rb") as stream:
        return str(unseal(stream.readline(LONGEST)).entry.get("ledger", ""))
    return ""


def _cut(path: Path) -> Mapping[str, Any] | None:
    """Cuts off what was half written, into a file of its own. The entry that says so, when it wasn't said yet."""
    try:
        handle = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            size = os.fstat(handle).st_size
            good = _whole(handle, size)
            note = path.with_name(f"{path.stem}.{good}.torn")
            if good < size:
                rest = os.pread(handle, size - good, good)
                files.replace(note, rest)
                os.ftruncate(handle, good)
                os.fsync(handle)
        finally:
            os.close(handle)
        # A crash between the cut and its entry leaves a note at exactly the end of the file: it is recorded then.
        data = note.read_bytes() if note.is_file() and not note.is_symlink() else None
    except OSError as problem:
        raise LedgerError(f"{path}: can't be repaired after a crash: {problem.strerror}") from None
    if data is None:
        return None
    return {"kind": "torn", "file": note.name, "bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}


def _whole(handle: int, size: int) -> int:
    """Bytes up to the end of the last whole line.

    After a power cut, file systems leave zeros where data was not yet written; no entry holds a zero byte, so everything from the line of
    the first one on was never on the disk.
    """
    position, good, zero = 0, 0, -1
    while position < size and zero < 0:
        chunk = os.pread(handle, 1 << 20, position)
        if not chunk:
            break
        zero = chunk.find(b"\0")
        if (line := chunk.rfind(b"\n", 0, zero if zero >= 0 else len(chunk))) >= 0:
            good = position + line + 1
        position += len(chunk)
    return good
