# SPDX-License-Identifier: Apache-2.0
"""Words for a model in texts that it will read: instructions, invisible characters, and what markup keeps from people's eyes.

MITRE ATLAS AML.T0051.001 (indirect prompt injection), AML.T0068 (obfuscation), AML.T0070 (RAG poisoning).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import cache

from bastide.errors import LimitError
from bastide.recognise.encoded import views
from bastide.recognise.normalise import normalise, printable
from bastide.recognise.rules import Matcher, builtin, matcher
from bastide.verify.datasets.partial import Partial, Sighting
from bastide.verify.datasets.sensitive import blobs, search

MOST = 200
"""Sightings of one kind in one field that are kept; all are counted."""
_UNSEEN = re.compile(
    "[\u00ad\u200b-\u200d\u202d\u202e\u2060-\u2064\ufeff\U000e0020-\U000e007f]|[\ufe00-\ufe0f\U000e0100-\U000e01ef]{4}"
)
_SHOWN = 90
_COMMENT = re.compile(r"<!--([^<]{0,4000}?)-->")
_STYLED = re.compile(
    r"""style\s*=\s*["'][^"'>]{0,200}(?:display\s*:\s*none|visibility\s*:\s*hidden|font-size\s*:\s*0|opacity\s*:\s*0(?![.\d])|color\s*:\s*(?:white|\#fff(?:fff)?|transparent)\b)[^>]{0,200}>([^<]{20,4000})""",
    re.IGNORECASE,
)
_TOOLS = re.compile(
    r"(?i)\b(?:prettier|eslint|markdownlint|toc|copyright|licen[cs]e|spdx|generated|todo|fixme|begin|end|start|stop|google|cookie|translat|template|sphinx|doctest|badge|hugo|jekyll|vale|pylint|noqa)\b"
)
"""Words of comments that tools and authors leave."""


@cache
def rules() -> Matcher:
    """The rules for instructions in what a model reads."""
    return matcher(tuple(r for r in builtin("injection/**/*") if "retrieved" in r.directions))


def look(
    partial: Partial, field: str, file: int, first: int, values: Sequence[tuple[int, str]], documents: bool
) -> None:
    """Adds what is seen in some values of a field. values: with their rows. documents: also markup and encoded parts."""
    for id, row, text, at, score, words in _seen(values, documents):
        key = f"{id} {field}"
        partial.sighted[key] = partial.sighted.get(key, 0) + 1
        if partial.sighted[key] <= MOST:
            line = text.count("\n", 0, at) + 1 if documents else 0
            partial.sightings.append(Sighting(id, field, file, first + row, line, printable(words, _SHOWN), score))


_Item = tuple[str, int, str, int, float, str]


def _seen(values: Sequence[tuple[int, str]], documents: bool) -> Iterator[_Item]:
    for blob in blobs(values):
        done: set[tuple[int, str]] = set()
        for seen in search(rules(), blob):
            found, row = seen.finding, blob.rows[seen.at]
            # Of one value each rule counts once.
            if found.valid and (row, found.rule.id) not in done:
                done.add((row, found.rule.id))
                yield found.rule.id, row, seen.value, seen.start, found.rule.weight, _around(seen.value, seen.start)
    for row, value in values:
        if not value.isascii() and _UNSEEN.search(value):
            yield from _invisible(row, value)
        if documents:
            yield from _markup(row, value)
            yield from _encoded(row, value)


def _around(value: str, at: int) -> str:
    return value[max(0, at - 10) : at + _SHOWN]


def _invisible(row: int, value: str) -> Iterator[_Item]:
    try:
        found = normalise(value).hidden
    except LimitError:
        return
    for detection in found:
        at = detection.spans[0].start if detection.spans else 0
        yield detection.detector, row, value, at, detection.score, detection.why


def _markup(row: int, value: str) -> Iterator[_Item]:
    """Sentences that a browser doesn't show; comments of tools are none."""
    for match in _COMMENT.finditer(value):
        words = match[1].split()
        if len(words) >= 8 and not _TOOLS.search(match[1]):
            yield "hidden/comment", row, value, match.start(), 0.3, " ".join(words)
    for match in _STYLED.finditer(value):
        words = match[1].split()
        if len(words) >= 4:
            yield "hidden/styled", row, value, match.start(), 0.6, " ".join(words)


def _encoded(row: int, value: str) -> Iterator[_Item]:
    try:
        text = normalise(value)
        for view in views(text):
            # What is read backwards or shifted as a whole matches by chance too; only what was encoded as a part counts.
            if view.how in ("leet", "reversed", "rot13") and len(value) > 5_000:
                continue
            for _, found in rules().find(normalise(view.text)):
                yield (
                    f"{found.rule.id}",
                    row,
                    value,
                    view.span.start,
                    found.rule.weight,
                    f"{view.how}: {view.text[found.start : found.end]}",
                )
                break
    except LimitError:
        return
