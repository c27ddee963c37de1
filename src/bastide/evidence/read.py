# SPDX-License-Identifier: Apache-2.0
"""Reads a ledger's entries, for showing and exporting. What isn't whole is left out: `verify` says what that was."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

from bastide.errors import LedgerError
from bastide.evidence import files
from bastide.evidence.line import LONGEST, Line, unseal


def entries(folder: Path, left_out: Callable[[str], None] = lambda _: None) -> Iterator[Line]:
    """All entries in order. `left_out` is told the place of each line that isn't one. Raises `LedgerError`."""
    if not folder.is_dir():
        raise LedgerError(f"{folder}: is no folder")
    known = files.segments(folder)
    if not known and not (folder / files.STUB).exists():
        raise LedgerError(f"{folder}: holds no ledger")
    for _, path in known:
        try:
            with os.fdopen(files.open_for_reading(path), "rb") as stream:
                number = 0
                while raw := stream.readline(LONGEST + 1):
                    number += 1
                    try:
                        line = unseal(raw)
                    except ValueError as problem:
                        left_out(f"{path.name}:{number}: {problem}")
                        continue
                    yield line
        except OSError as problem:
            raise LedgerError(f"{path}: can't be read: {problem.strerror}") from None
