# SPDX-License-Identifier: Apache-2.0
"""What people see on a terminal, whole, for a fixed assessment: the shipped rules may change, these pages don't."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest

from bastide.catalog.load import load_catalog
from bastide.cli.difference import difference_table
from bastide.cli.table import assessment_table, counts_line
from bastide.cli.verdict import verdict_table
from bastide.cli.work import Work, judge
from bastide.errors import Location
from bastide.plan.diff import compare_plans
from bastide.threats.diff import compare
from bastide.threats.model import Assessment
from tests.report.factory import assessment, big_assessment, big_plan, finding, rag_agent

PLAN = replace(rag_agent(), location=Location("bastide.yaml", 1, 1))


def work(found: Assessment | None = None) -> Work:
    return Work(PLAN, load_catalog(), (), found or assessment(PLAN), date(2026, 11, 23))


@pytest.fixture(autouse=True)
def width(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "100")


def test_the_assessment(snapshot) -> None:
    assert assessment_table(work(), work().assessment, None, everything=False) == snapshot


def test_the_assessment_on_a_narrow_terminal(snapshot, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sixty columns are enough: text wraps, nothing is cut."""
    monkeypatch.setenv("COLUMNS", "60")
    assert assessment_table(work(), work().assessment, None, everything=True) == snapshot


def test_the_assessment_with_changes_and_what_ran_out(snapshot) -> None:
    found = work().assessment
    before = replace(
        found, findings=(finding(9, ("kb",), 3, 3), replace(found.findings[0], path=("kb",)), *found.findings[2:])
    )
    now = replace(found, expired=(found.findings[1].id,))
    assert assessment_table(work(now), now, compare(before, now), everything=False) == snapshot


def test_nothing_found(snapshot) -> None:
    """With questions left, the next step is to answer them."""
    quiet = replace(work().assessment, findings=(), hardening=None)
    assert assessment_table(work(quiet), quiet, None, everything=False) == snapshot


def test_the_verdicts(snapshot) -> None:
    found = work().assessment
    pages = [
        verdict_table(one, judge(one, threshold), threshold, new_only)
        for one, threshold, new_only in (
            (work(), "high", False),
            (work(), "critical", True),
            (work(replace(found, findings=())), "medium", False),
            (work(replace(found, findings=(), questions=())), "low", False),
        )
    ]
    assert "\n".join(pages) == snapshot


def test_the_difference(snapshot) -> None:
    after = replace(PLAN, exposure="internal", components={k: v for k, v in PLAN.components.items() if k != "vendor"})
    now = replace(work().assessment, findings=work().assessment.findings[1:])
    new = replace(work(now), plan=replace(after, location=Location("after.yaml", 1, 1)))
    page = difference_table(work(), new, compare_plans(PLAN, after), compare(work().assessment, now))
    assert page == snapshot


def test_lists_are_cut_unless_all_is_asked_for() -> None:
    """A system with hundreds of findings gives a page, not a scroll; `--all` gives everything."""
    plan = big_plan(60, 200)
    found = big_assessment(plan, 300)
    one = replace(work(found), plan=plan)
    short = assessment_table(one, found, None, everything=False)
    assert len(short.splitlines()) < 80
    assert "... and 292 more open findings (--all)" in short
    whole = assessment_table(one, found, None, everything=True)
    assert all(f.id in whole for f in found.findings)


def test_the_numbers_in_a_line() -> None:
    assert counts_line(work().assessment) == (
        "5 open findings 1 critical 2 high 1 medium 1 low 1 mitigated, 1 accepted, 1 false-positive, 2 open questions"
    )
