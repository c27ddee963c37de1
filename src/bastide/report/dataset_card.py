# SPDX-License-Identifier: Apache-2.0
"""A data card in Markdown: what was measured, and `unknown` where nothing was."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from bastide import __version__
from bastide.report.text import clean
from bastide.verify.datasets.model import Report, Severity

UNKNOWN = "unknown"
_ROWS = 20


def data_card(report: Report) -> str:
    """The card."""
    return "\n".join(_lines(report)) + "\n"


def _lines(report: Report) -> Iterator[str]:
    card = report.card
    yield "# Data card"
    yield f"Measured by Bastide {__version__}. Where nothing was stated or measured, it says {UNKNOWN}."
    if report.unread:
        yield ""
        yield f"**Not complete**: {len(report.unread)} things were not read; what they hold is {UNKNOWN}."
        yield from (f"- {_cell(why)}" for why in report.unread[:_ROWS])
    yield from _table("What it is", ("", ""), [
        ("purpose", card.purpose or UNKNOWN),
        ("classification", card.classification or UNKNOWN),
        ("licence", ", ".join(card.licences) or UNKNOWN),
        ("rows", f"{report.rows:,}"),
        ("duplicates", _number(card.duplicates)),
        ("near duplicates", _number(card.near_duplicates)),
        ("rows of one split in another", _number(card.leaked)),
        ("rows without a source", _number(card.without_source)),
    ])  # fmt: skip
    files = [
        (f.path, f.format, f"{f.size:,}", f"{f.rows:,}", f.split or "", f"`{f.sha256[:16]}`" if f.sha256 else UNKNOWN)
        for f in report.files
    ]
    yield from _table("Files", ("file", "format", "bytes", "rows", "split", "SHA-256 begins"), files)
    rows = [
        (
            f.name,
            f.role,
            ", ".join(f"{k} {n:,}" for k, n in f.types.items()),
            ", ".join(f"{k} {n:,}" for k, n in f.found.items()),
        )
        for f in report.fields
    ]
    yield from _table("Fields", ("field", "role", "values", "sensitive"), rows)
    for heading, counts in (
        ("Splits", card.splits),
        ("Labels", card.labels),
        ("Sources", card.sources),
        ("Consent", card.consent),
        ("Sensitive data", card.categories),
    ):
        yield from _shares(heading, counts, report.rows)
    tests = [(test, result) for test, result in card.poisoning.items()]
    yield from _table("Tests for poisoning", ("test", "result"), tests)
    found = [(f.severity.value, f.id, f.field, str(f.place), f"{f.count:,}", f.message) for f in report.findings]
    worst = sum(f.severity.rank >= Severity.HIGH.rank for f in report.findings)
    yield from _table(
        f"Findings ({worst} high or critical)",
        ("severity", "finding", "field", "first at", "count", "what to do"),
        found[:100],
    )


def _number(value: int | None) -> str:
    return UNKNOWN if value is None else f"{value:,}"


def _shares(heading: str, counts: Mapping[str, int], rows: int) -> Iterator[str]:
    shown = [
        (value or "(none)", f"{n:,}", f"{n / rows:.1%}" if rows else "") for value, n in list(counts.items())[:_ROWS]
    ]
    yield from _table(heading, ("", "rows", "share"), shown)


def _table(heading: str, titles: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> Iterator[str]:
    yield ""
    yield f"## {heading}"
    if not rows:
        yield UNKNOWN
        return
    yield f"| {' | '.join(titles)} |"
    yield "|" + "---|" * len(titles)
    for row in rows:
        yield f"| {' | '.join(map(_cell, row))} |"


def _cell(words: str) -> str:
    """Text of a data set in a cell: nothing in it is markup."""
    flat = " ".join(clean(words).split())
    return re.sub(r"([\\|<>\[\]*_!#])", r"\\\1", flat) if not flat.startswith("`") else flat
