# SPDX-License-Identifier: Apache-2.0
"""Personal data and secrets in a column. The values of many rows are looked at as one text: that is what makes it quick.

The recognisers' rules go by context (`phone: 030 1234567`), and in a table the context is the field's name, so short values are read behind it.
"""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from typing import Any, NamedTuple

from bastide.errors import LimitError
from bastide.recognise.normalise import normalise
from bastide.recognise.rules import Finding, Matcher, builtin, matcher
from bastide.verify.datasets.interface import Column
from bastide.verify.datasets.knowledge import words
from bastide.verify.datasets.partial import Hit, Tally

_BLOB = 1 << 18
"""Characters that are matched at a time."""
_SHORT = 100
"""Characters up to which a value is read together with the name of its field."""
_GAP = "\n\n~~~~~~~~~~~~~~~~~~~~\n"
"""Between values: longer than what rules allow between a word and a number."""
_UNSEEN = re.compile("[\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufe00-\ufe0f\ufeff\U000e0000-\U000e01ef]")
_NUMBERED = 7
"""Digits from which on an integer could be a number that names somebody."""


class Seen(NamedTuple):
    """A match in a value."""

    finding: Finding
    at: int
    """Of the value."""
    value: str
    start: int
    """Where in the value it starts."""
    whole: bool
    """Whether the match is all of the value."""


@cache
def rules() -> Matcher:
    """The rules for personal data and secrets."""
    return matcher(
        tuple(r for r in builtin() if r.id.partition("/")[0] in ("personal", "secret") and "retrieved" in r.directions)
    )


def plain(text: str) -> str:
    """The text in NFKC, without invisible characters; ASCII is its own."""
    return text if text.isascii() else _UNSEEN.sub("", unicodedata.normalize("NFKC", text))


class At(NamedTuple):
    """Where a column stands."""

    file: int
    first: int
    """Number of the batch's first row."""
    documents: bool = False
    """Whether a value is a document, whose lines are what people look for."""


def look(
    name: str, column: Column, tally: Tally, at: At, further: Callable[[str], Any] | None = None
) -> set[tuple[str, int]]:
    """Adds what is found in a column to the field's tally, and gives each recogniser with the rows. further: Presidio, when it is asked."""
    picked = list(_picked(column))
    found: set[tuple[str, int]] = set()
    for blob in _blobs(words(name), picked):
        for seen in search(rules(), blob):
            hit = tally.hits.setdefault(seen.finding.rule.id, Hit())
            hit.whole += seen.whole
            if seen.finding.valid:
                what = f"[{seen.finding.rule.label or 'SECRET'}, {seen.finding.end - seen.finding.start} characters]"
                found.add((seen.finding.rule.id, blob.rows[seen.at]))
                _count(hit, at, blob.rows[seen.at], seen.value.count("\n", 0, max(seen.start, 0)) + 1, what)
            else:
                hit.failed += 1
    if further is not None:
        for row, value in picked:
            for one in further(value):
                line = value.count("\n", 0, one.spans[0].start if one.spans else 0) + 1
                found.add((one.detector, row))
                _count(tally.hits.setdefault(one.detector, Hit()), at, row, line, f"[{one.detector}]")
    return found


def _count(hit: Hit, at: At, row: int, line: int, evidence: str) -> None:
    hit.passed += 1
    number = at.first + row
    if not hit.rows:
        hit.first, hit.evidence = (at.file, line if at.documents else number), evidence
    if (at.file, number) != hit.last:
        hit.rows += 1
        hit.last = (at.file, number)


def _picked(column: Column) -> Iterator[tuple[int, str]]:
    """The values that could hold something, each with its row."""
    for row, value in zip(column.rows, column.values, strict=True):
        if isinstance(value, str):
            if len(value) >= 6:
                yield row, value
        elif isinstance(value, int) and not isinstance(value, bool) and abs(value) >= 10**_NUMBERED:
            yield row, str(value)


class Blob(NamedTuple):
    """Values as one text."""

    text: str
    starts: Sequence[int]
    """Where each value starts."""
    values: Sequence[str]
    rows: Sequence[int]


def _blobs(context: str, picked: Sequence[tuple[int, str]]) -> Iterator[Blob]:
    parts: list[str] = []
    starts: list[int] = []
    values: list[str] = []
    rows: list[int] = []
    length = 0
    for row, raw in picked:
        value = plain(raw)
        head = f"{_GAP}{context}: " if len(value) <= _SHORT else _GAP
        parts += (head, value)
        starts.append(length + len(head))
        values.append(value)
        rows.append(row)
        length += len(head) + len(value)
        if length >= _BLOB:
            yield Blob("".join(parts), starts, values, rows)
            parts, starts, values, rows, length = [], [], [], [], 0
    if values:
        yield Blob("".join(parts), starts, values, rows)


def blobs(picked: Sequence[tuple[int, str]]) -> Iterator[Blob]:
    """Texts of many rows as one, without the name of a field before each."""
    return _blobs("", [(row, value) for row, value in picked])


def search(rules: Matcher, blob: Blob) -> Iterator[Seen]:
    """The matches, each in its value; those across two values are looked for again in each."""
    again: set[int] = set()
    try:
        found = rules.find(normalise(blob.text), after=_NOWHERE)
    except LimitError:
        # Very many matches: value by value there are fewer.
        again, found = set(range(len(blob.values))), []
    for _, finding in found:
        index = max(0, bisect_right(blob.starts, finding.start) - 1)
        start = blob.starts[index]
        if finding.start < start or finding.end > start + len(blob.values[index]):
            again |= {index, min(index + 1, len(blob.values) - 1)}
            continue
        value = blob.values[index]
        yield Seen(finding, index, value, finding.start - start, finding.end - finding.start >= len(value.strip()))
    for index in sorted(again):
        yield from _alone(rules, blob, index)


def _alone(rules: Matcher, blob: Blob, index: int) -> Iterator[Seen]:
    value = blob.values[index]
    try:
        found = rules.find(normalise(value), after=_NOWHERE)
    except LimitError:
        # So many that counting them is no use; the first part says what they are.
        found = rules.find(normalise(value[:20_000]), after=_NOWHERE)
    for _, finding in found:
        yield Seen(finding, index, value, finding.start, finding.end - finding.start >= len(value.strip()))


def masked(text: str) -> str:
    """The text with placeholders for personal data and secrets."""
    clean = plain(text)
    try:
        found = [f for _, f in rules().find(normalise(clean))]
    except LimitError:
        return f"[{len(text):,} characters]"
    for finding in sorted(found, key=lambda f: -f.start):
        clean = f"{clean[: finding.start]}[{finding.rule.label or 'SECRET'}]{clean[finding.end :]}"
    return clean


_NOWHERE: dict[int, int] = {}
"""Asks for the matches that fail their check too: in a column of numbers, how many fail tells whether the others are chance."""
