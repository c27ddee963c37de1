# SPDX-License-Identifier: Apache-2.0
"""Retention: old segments are deleted, and a signed stub says where the chain goes on, so that the rest still verifies."""

from __future__ import annotations

import itertools
import os
from pathlib import Path

from bastide.errors import LedgerError
from bastide.evidence import files
from bastide.evidence.line import LONGEST, Line, unseal
from bastide.evidence.signing import read_statement

_USUAL = 65_536
"""Bytes in which the last line usually is."""


def plan(folder: Path, current: int, before: int) -> Line | None:
    """The last entry that may go: of the last segment, in order, that ended before a time and isn't the current one. None: nothing may go.

    Raises `LedgerError` when a segment can't be read.
    """
    last = None
    known = files.segments(folder)
    for (first, path), (following, _) in itertools.pairwise(known):
        if first >= current:
            break
        line = _last_line(path)
        if line.time >= before or line.seq != following - 1:
            break
        last = line
    return last


def delete(folder: Path, last: int) -> int:
    """Deletes the segments that end with or before an entry; the number of their entries. Raises `OSError`, `LedgerError`."""
    known = files.segments(folder)
    count = 0
    for (first, path), (following, _) in itertools.pairwise(known):
        if following - 1 > last:
            break
        path.unlink()
        count += following - first
    files.sync_folder(folder)
    return count


def finish(folder: Path) -> None:
    """Deletes what a stub already stands for: the writer ended in the middle of it. Raises `OSError`, `LedgerError`."""
    stub = read_statement(folder / files.STUB)
    known = files.segments(folder)
    if stub is not None and known and known[0][0] <= stub.seq:
        delete(folder, stub.seq)


def _last_line(path: Path) -> Line:
    try:
        with os.fdopen(files.open_for_reading(path), "rb") as stream:
            size = os.fstat(stream.fileno()).st_size
            tail = b""
            for some in (_USUAL, LONGEST + 1):
                stream.seek(max(0, size - some))
                tail = stream.read(some)
                if tail.rfind(b"\n", 0, -1) >= 0:
                    break
        return unseal(tail[tail.rfind(b"\n", 0, -1) + 1 :])
    except (OSError, ValueError) as problem:
        raise LedgerError(f"{path}: {problem}") from None
