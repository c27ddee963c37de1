# SPDX-License-Identifier: Apache-2.0
"""Adds up what processes found, in the order of the rows, so that a row's number is that in its file."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from bastide.verify.datasets.interface import Limits
from bastide.verify.datasets.partial import EXAMPLES, FileTally, Hit, Partial, Sampled, Tally, count


class Sum:
    """The sum of partials that are added in the order of the pieces."""

    def __init__(self, limits: Limits) -> None:
        self.total = Partial()
        self.compared = 0
        self.uncompared = 0
        """Rows beyond those that are compared."""
        self._limits = limits
        self._parts: list[tuple[bytes, bytes, bytes]] = []

    def add(self, part: Partial) -> None:
        """Adds the next one."""
        base = {file: self.total.files[file].rows for file in part.files if file in self.total.files}
        self._counts(part, base)
        self._fields(part, base)
        for sighting in part.sightings:
            sighting.row += base.get(sighting.file, 0)
        self.total.sightings += part.sightings
        for sampled in part.samples:
            sampled.row += base.get(sampled.file, 0)
        self.total.samples += part.samples
        self._compared(part, base)
        for file, tally in part.files.items():
            have = self.total.files.setdefault(file, FileTally())
            for why, (times, row) in tally.troubles.items():
                before, first = have.troubles.get(why, (0, row + have.rows if row else 0))
                have.troubles[why] = (before + times, first)
            have.rows += tally.rows

    def _counts(self, part: Partial, base: dict[int, int]) -> None:
        for role, counts in part.counts.items():
            have = self.total.counts.setdefault(role, {})
            for value, times in counts.items():
                count(have, value, times)
        for key, times in part.classified.items():
            self.total.classified[key] = self.total.classified.get(key, 0) + times
        for key, times in part.sighted.items():
            self.total.sighted[key] = self.total.sighted.get(key, 0) + times
        for key, (file, row) in part.places.items():
            self.total.places.setdefault(key, (file, row + base.get(file, 0)))

    def _fields(self, part: Partial, base: dict[int, int]) -> None:
        for name, tally in part.fields.items():
            if name not in self.total.fields and len(self.total.fields) >= self._limits.fields:
                file = next(iter(part.files), 0)
                self.total.files.setdefault(file, FileTally()).troubles.setdefault(
                    "fields beyond those that are kept", (1, 0)
                )
                continue
            _tally(self.total.fields.setdefault(name, Tally()), tally, base)

    def _compared(self, part: Partial, base: dict[int, int]) -> None:
        room = self._limits.rows - self.compared
        rows = len(part.hashes) // 8
        if rows > room:
            self.uncompared += rows - room
            rows = room
        if not rows:
            return
        owners = np.frombuffer(part.owners, dtype="<u4").reshape(-1, 4)[:rows].copy()
        for file, shift in base.items():
            owners[owners[:, 0] == file, 1] += shift
        self._parts.append((part.hashes[: rows * 8], part.signatures[: rows * 32], owners.tobytes()))
        self.compared += rows

    def end(self) -> Partial:
        """The sum, with the sample cut to its bounds."""
        total, limits = self.total, self._limits
        total.hashes, total.signatures, total.owners = (
            (b"".join(part) for part in zip(*self._parts, strict=True)) if self._parts else (b"", b"", b"")
        )
        self._parts = []
        size = 0
        kept: list[Sampled] = []
        for row in sorted(total.samples, key=lambda r: (r.key, r.file, r.row)):
            size += len(row.text)
            if size > limits.sample or len(kept) >= limits.sampled_rows:
                break
            kept.append(row)
        total.samples = kept
        return total


def _tally(have: Tally, tally: Tally, base: dict[int, int]) -> None:
    for kind, times in tally.types.items():
        have.types[kind] = have.types.get(kind, 0) + times
    have.longest = max(have.longest, tally.longest)
    have.characters += tally.characters
    have.examples = (have.examples + tally.examples)[:EXAMPLES]
    for rule, hit in tally.hits.items():
        _hit(have.hits.setdefault(rule, Hit()), hit, base)


def _hit(have: Hit, hit: Hit, base: dict[int, int]) -> None:
    if not have.rows and hit.rows:
        file, row = hit.first
        have.first, have.evidence = (file, row + base.get(file, 0)), hit.evidence
    have.rows += hit.rows
    have.passed += hit.passed
    have.failed += hit.failed
    have.whole += hit.whole


def merged(parts: Iterable[Partial | None], limits: Limits) -> tuple[Partial, int]:
    """The sum, and how many rows were not compared with the others."""
    total = Sum(limits)
    for part in parts:
        if part is not None:
            total.add(part)
    return total.end(), total.uncompared
