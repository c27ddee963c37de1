# SPDX-License-Identifier: Apache-2.0
"""Findings about words for a model in the texts: instructions, hidden characters, hidden markup."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from bastide.verify.datasets.model import FileFacts, Finding, Place, Severity
from bastide.verify.datasets.partial import Partial, Sighting

_MESSAGES = {
    "instructions": "reads like instructions for a model, and who retrieves it or trains on it lets its writer steer: look at it and take it out",
    "hidden-characters": "characters that people don't see carry text that models read: take them out and look at where the row came from",
    "hidden-markup": "a sentence that a browser doesn't show but a model reads: look at it, and strip comments and hidden elements before indexing",
}
_SURE = 0.9
Where = Callable[[tuple[int, int]], Place]


def judge(total: Partial, where: Where, files: Sequence[FileFacts], rows: int) -> Iterator[Finding]:
    """A finding for each kind and field in tables, for each kind and file among documents."""
    groups: dict[tuple[str, str, int], list[Sighting]] = {}
    for sighting in total.sightings:
        document = files[sighting.file].format in ("text", "image")
        key = (_kind(sighting.id), sighting.field, sighting.file if document else -1)
        groups.setdefault(key, []).append(sighting)
    for (kind, name, file), seen in groups.items():
        best = max(seen, key=lambda s: s.score)
        affected = {(s.file, s.row) for s in seen}
        counted = len(affected)
        if file < 0:
            ids = {s.id for s in seen}
            counted = max([counted, *(total.sighted.get(f"{id} {name}", 0) for id in ids)])
        place = Place(files[best.file].path, best.line) if best.line else where((best.file, best.row))
        if file >= 0 and not place.file:
            place = Place(files[best.file].path)
        score = 1 - _not(seen, best)
        severity = _severity(kind, best, score)
        yield Finding(
            f"dataset/{kind}", severity, _MESSAGES[kind], "" if name == "document" else name, place,
            counted, counted / rows if rows and file < 0 else None, best.evidence, best.id,
        )  # fmt: skip


def _not(seen: Sequence[Sighting], best: Sighting) -> float:
    """The probability that none of the rules that fired in the same row is right, taking them as independent."""
    result = 1.0
    for id in {s.id for s in seen if (s.file, s.row) == (best.file, best.row)}:
        result *= 1 - max(s.score for s in seen if s.id == id)
    return result


def _kind(id: str) -> str:
    if id.startswith("injection/"):
        return "instructions"
    return "hidden-markup" if id in ("hidden/comment", "hidden/styled") else "hidden-characters"


def _severity(kind: str, best: Sighting, score: float) -> Severity:
    if kind == "hidden-markup":
        return Severity.MEDIUM if best.id == "hidden/styled" else Severity.LOW
    if score >= _SURE:
        return Severity.HIGH
    return Severity.MEDIUM if score >= 0.6 else Severity.LOW
