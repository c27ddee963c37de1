# SPDX-License-Identifier: Apache-2.0
"""Decisions about findings: kept, expired, orphaned, malformed."""

from __future__ import annotations

from datetime import date

import pytest

from bastide.errors import PlanError, StateError
from bastide.threats.assess import assess
from bastide.threats.decisions import read_decisions
from bastide.threats.diff import compare
from bastide.threats.explain import finding_id
from tests.threats.conftest import claimed

RULE = """
roles: {tool: {kind: ai.tool, side-effect: irreversible}}
sink: tool
finding: "{tool} can't be undone"
breaks: {isolation: [tool], approval: [tool]}
impact: {effect: [tool], at-least: 2}
"""
PARTS = "components:\n  pay: {kind: ai.tool, side-effect: irreversible}\n"
ID = finding_id("test/rule", "pay")


@pytest.fixture
def catalog(make_threat, make_catalog):
    """One rule about one element."""
    return make_catalog(make_threat(RULE))


def decided(text: str):
    """The decisions of a side file."""
    return read_decisions(f"findings:\n  {ID}: {text}\n", "bastide.findings.yaml")


def test_an_acceptance_holds_until_it_expires(catalog, make_plan) -> None:
    """On the day of expiry the finding is open again, and that is said."""
    plan, decisions = (
        make_plan(PARTS),
        decided("{state: accepted, owner: team, reason: low volume, expires: 2027-01-31}"),
    )
    before = assess(plan, catalog, decisions=decisions, today=date(2027, 1, 30))
    assert [f.state for f in before.findings] == ["accepted"]
    after = assess(plan, catalog, decisions=decisions, today=date(2027, 1, 31))
    assert [f.state for f in after.findings] == ["open"]
    assert after.expired == (ID,)


def test_a_false_positive_needs_no_expiry(catalog, make_plan) -> None:
    """It needs an owner and a reason."""
    result = assess(
        make_plan(PARTS), catalog, decisions=decided("{state: false-positive, owner: team, reason: test system}")
    )
    assert [f.state for f in result.findings] == ["false-positive"]


def test_an_orphan_is_an_error(catalog, make_plan) -> None:
    """A decision about nothing would hide the next finding that someone mistakes for it."""
    decisions = decided("{state: false-positive, owner: team, reason: r}")
    with pytest.raises(StateError, match="there is no finding"):
        assess(make_plan("components:\n  pay: {kind: ai.tool, side-effect: read}\n"), catalog, decisions=decisions)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{state: accepted, owner: team, reason: r}", "`expires` is missing"),
        ("{state: accepted, owner: team, reason: r, expires: soon}", "`soon` is no date"),
        ("{state: fixed, owner: team, reason: r}", "`fixed` is no state"),
        ("{state: false-positive, reason: r}", "`owner` is missing"),
        ("{state: false-positive, owner: team}", "`reason` is missing"),
        ("{state: false-positive, owner: team, reason: r, until: x}", "unknown key `until`"),
        ("accepted", "expected a decision"),
    ],
)
def test_malformed_decisions_are_named(text, message) -> None:
    """With the line."""
    with pytest.raises(StateError, match=message) as caught:
        decided(text)
    assert "bastide.findings.yaml:2" in str(caught.value)


def test_a_claim_against_the_facts_is_an_error(catalog, make_plan) -> None:
    """The plan must not say two things about one element."""
    parts = PARTS + "  user: {kind: actor.user}\nflows:\n  - user -> pay: {approval: none}\n"
    plan = claimed(make_plan(parts), "approval", "user->pay")
    with pytest.raises(PlanError, match="claimed on `user->pay`, but `user->pay` says approval: none"):
        assess(plan, catalog)


def test_diff_names_what_opened_and_closed(catalog, make_plan) -> None:
    """By finding id."""
    weak, strong = make_plan(PARTS), claimed(make_plan(PARTS), "isolation", "pay")
    before, after = assess(weak, catalog), assess(strong, catalog)
    assert [f.id for f in compare(before, after).closed] == [ID]
    assert [f.id for f in compare(after, before).opened] == [ID]
    assert compare(before, before).opened == compare(before, before).closed == compare(before, before).changed == ()
