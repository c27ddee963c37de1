# SPDX-License-Identifier: Apache-2.0
"""What a reader of a format has to be, and what passes between the parts of a check."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Protocol


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds. Reaching one makes the check incomplete, never clean."""

    files: int = 100_000
    line: int = 32 << 20
    """Bytes of one line or record."""
    document: int = 64 << 20
    """Bytes of a file that has to be read as a whole (text, description, image)."""
    unpacked: int = 64 << 30
    """Bytes unpacked from one compressed file."""
    ratio: int = 300
    """Unpacked by packed bytes, from 64 MiB unpacked on."""
    fields: int = 2_000
    values: int = 4_096
    """Values of one record, with all that is nested in it."""
    depth: int = 32
    rows: int = 8_000_000
    """Rows that are compared with each other for duplicates and leakage."""
    sample: int = 12 << 20
    """Characters of the sample on which poisoning is tested."""
    sampled_rows: int = 20_000
    text: int = 4_000
    """Characters of one row in the sample: its beginning and its end."""
    piece: int = 48 << 20
    """Bytes that one process reads at a time."""
    memory: int = 3 << 30
    """Bytes of address space of one process beside what it starts with."""
    seconds: float = 900.0
    """For one piece."""


class Column(NamedTuple):
    """The values of one field in a batch, each with the number of its row there; a row may have several (lists) or none."""

    rows: Sequence[int]
    values: Sequence[Any]
    """Scalars: str, int, float, bool or None."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Some rows."""

    size: int
    columns: Mapping[str, Column]


@dataclass(slots=True)
class Trouble:
    """What a reader could not read, by reason: how often, and in which row first."""

    reasons: dict[str, tuple[int, int]]

    def add(self, why: str, row: int = 0) -> None:
        """Something was not read."""
        count, first = self.reasons.get(why, (0, row))
        self.reasons[why] = (count + 1, first)


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a file that one process reads: bytes of lines, or row groups, from `start` to before `end`; -1 is the end of the file."""

    file: int
    """Number of the file in the check."""
    path: Path
    format: str
    start: int = 0
    end: int = -1


class Reader(Protocol):
    """Reads one format."""

    format: str

    def pieces(self, path: Path, limits: Limits) -> Sequence[tuple[int, int]]:
        """How the file can be divided among processes, in order."""

    def batches(self, piece: Piece, limits: Limits, trouble: Trouble) -> Iterator[Batch]:
        """The rows, in order. Never raises for anything that the content does but `OSError`; what isn't read goes into `trouble`."""
