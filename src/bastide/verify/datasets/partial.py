# SPDX-License-Identifier: Apache-2.0
"""What a process finds out about its pieces, in a form that can be sent and added up."""

from __future__ import annotations

from typing import Any

from msgspec import Struct, field

OTHER = "(others)"
DISTINCT = 1_000
"""Distinct values that are counted by themselves."""
EXAMPLES = 64


class Hit(Struct):
    """What a recogniser found in a field."""

    rows: int = 0
    """Rows with a match that holds."""
    passed: int = 0
    failed: int = 0
    """Matches that the rule's check refused."""
    whole: int = 0
    """Matches that are the whole value."""
    first: tuple[int, int] = (0, 0)
    """File and row of the first one."""
    evidence: str = ""
    last: tuple[int, int] = (-1, -1)
    """So that a row with several matches counts once."""


class Tally(Struct):
    """What a field holds."""

    types: dict[str, int] = field(default_factory=dict)
    longest: int = 0
    characters: int = 0
    """Of all texts."""
    examples: list[Any] = field(default_factory=list)
    hits: dict[str, Hit] = field(default_factory=dict)


class Sighting(Struct):
    """Something hidden or an instruction in a text."""

    id: str
    field: str
    file: int
    row: int
    line: int
    evidence: str
    score: float


class FileTally(Struct):
    """What was read of a file, or of a piece of one."""

    rows: int = 0
    troubles: dict[str, tuple[int, int]] = field(default_factory=dict)


class Sampled(Struct):
    """A row of the sample on which poisoning is tested."""

    key: int
    """Drawn from the row's place; the rows with the smallest keys are the sample."""
    file: int
    row: int
    label: str
    text: str


class Partial(Struct):
    """Everything about some pieces, in the order of their rows."""

    files: dict[int, FileTally] = field(default_factory=dict)
    fields: dict[str, Tally] = field(default_factory=dict)
    counts: dict[str, dict[str, int]] = field(default_factory=dict)
    """How often each value of `label`, `split`, `source`, `licence`, `consent` occurs; '' counts rows without one."""
    places: dict[str, tuple[int, int]] = field(default_factory=dict)
    """Where a value of `licence`, `consent` was seen first, by `role:value`; and each entry of `classified`."""
    classified: dict[str, int] = field(default_factory=dict)
    """Rows by `classification recogniser field`, with tabs between, where rows state how they are classified."""
    sightings: list[Sighting] = field(default_factory=list)
    sighted: dict[str, int] = field(default_factory=dict)
    """How often each kind of sighting was made, by `id field`; the list is bounded."""
    samples: list[Sampled] = field(default_factory=list)
    pieces: list[tuple[int, int, int]] = field(default_factory=list)
    """How files are divided: the file's number, start and end; of a plan only."""
    digests: dict[int, str] = field(default_factory=dict)
    """SHA-256 of files, hex."""
    hashes: bytes = b""
    """64 bits for each compared row."""
    signatures: bytes = b""
    """Sixteen times 16 bits for each compared row; all zero for short ones."""
    owners: bytes = b""
    """For each compared row its file, its row there, its split and its label: four times 32 bits."""


def count(counts: dict[str, int], value: str, by: int = 1) -> None:
    """Counts a value; when there are too many distinct ones, under `(others)`."""
    if value not in counts and len(counts) >= DISTINCT:
        value = OTHER
    counts[value] = counts.get(value, 0) + by
