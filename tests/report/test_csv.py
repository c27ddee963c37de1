# SPDX-License-Identifier: Apache-2.0
"""CSV: one line a finding, and nothing that a spreadsheet runs."""

from __future__ import annotations

import csv
import io
import re
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st
from tests.report.factory import assessment

from bastide.report.csv_ import COLUMNS, cell, render_csv

ASSESSMENT = assessment()
BREAKS = re.compile("[\r\n\v\f\x1c-\x1e\x85\u2028\u2029]+")


def rows(text: str) -> list[list[str]]:
    return list(csv.reader(io.StringIO(text)))


def test_the_whole_table(snapshot) -> None:
    assert render_csv(ASSESSMENT) == snapshot


def test_every_line_has_every_column() -> None:
    table = rows(render_csv(ASSESSMENT))
    assert tuple(table[0]) == COLUMNS
    assert len(table) == 1 + len(ASSESSMENT.findings)
    assert {len(row) for row in table} == {len(COLUMNS)}


def test_decisions_are_in_it() -> None:
    table = [dict(zip(COLUMNS, row, strict=True)) for row in rows(render_csv(ASSESSMENT))]
    accepted = next(row for row in table if row["state"] == "accepted")
    assert (accepted["owner"], accepted["expires"]) == ("support-eng", "2027-03-31")


@given(st.text(max_size=30))
def test_no_text_is_a_formula(text: str) -> None:
    """Whatever a plan calls things, no cell begins like a formula, and the text is kept behind the apostrophe."""
    found = replace(ASSESSMENT.findings[0], title=text, message="=" + text)
    (_, row) = rows(render_csv(replace(ASSESSMENT, findings=(found,))))
    assert not any(value.lstrip(" ").startswith(("=", "+", "-", "@", "\t", "\r", "\n")) for value in row)
    assert row[COLUMNS.index("message")] == "'=" + BREAKS.sub(" ", text.replace("\0", "\ufffd"))


def test_the_known_attacks() -> None:
    for text in ("=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "  =1", "\n=1", "\u2028=1"):
        assert str(cell(text)).startswith("'")
    assert cell("plain = text") == "plain = text"
    assert cell(-5) == -5
