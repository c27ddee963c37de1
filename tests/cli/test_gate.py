# SPDX-License-Identifier: Apache-2.0
"""`bastide gate`: what passes, what doesn't, and what isn't known."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date
from pathlib import Path

import jsonschema
import pytest

from bastide.cli.work import Work, judge
from bastide.report.document import schema
from bastide.threats.model import Assessment, Decision, Finding, FindingState, Question, Rating, Severity
from tests.cli.conftest import Run

SCORES = {"low": (1, 2), "medium": (2, 3), "high": (4, 3), "critical": (5, 5)}


def finding(id: str, severity: str, state: FindingState = FindingState.OPEN) -> Finding:
    from bastide.errors import Location

    impact, likelihood = SCORES[severity]
    rating = Rating(impact, likelihood, (), ())
    assert rating.severity == severity
    return Finding(id, "a/b", "t", "m", rating, state, {}, (), (), (), {}, Location())


def question(severity: str, *could_open: str) -> Question:
    from bastide.errors import Location

    return Question("Q", "e", "a", "ask", "why", could_open, Severity(severity), 1, Location())


def assessment(findings: list[Finding], questions: list[Question]) -> Assessment:
    return Assessment("p", "d", tuple(findings), tuple(questions), None)


def verdict(findings: list, questions: list, decisions: list[Decision] = [], **options) -> int:  # noqa: B006
    work = Work(None, None, tuple(decisions), assessment(findings, questions), date(2026, 11, 23))  # type: ignore[arg-type]
    return judge(work, "high", **options).code


@pytest.mark.parametrize(("severity", "code"), [("critical", 1), ("high", 1), ("medium", 0), ("low", 0)])
def test_open_findings_at_or_over_the_threshold_fail(severity: str, code: int) -> None:
    assert verdict([finding("B-1", severity)], []) == code


@pytest.mark.parametrize("state", [s for s in FindingState if s is not FindingState.OPEN])
def test_other_states_pass(state: FindingState) -> None:
    assert verdict([finding("B-1", "critical", state)], []) == 0


def test_a_question_that_could_open_such_a_finding_is_no_pass() -> None:
    """Unknown never counts as pass, unless the caller says so; a finding goes before it."""
    assert verdict([], [question("high", "B-1")]) == 3
    assert verdict([], [question("medium", "B-1")]) == 0
    assert verdict([], [question("high", "B-1")], allow_unknown=True) == 0
    assert verdict([finding("B-2", "high")], [question("high", "B-1")]) == 1


def test_a_decision_settles_a_question_while_it_holds() -> None:
    """A finding that was accepted before it could open is settled, until the acceptance runs out."""
    accepted = Decision("B-1", FindingState.ACCEPTED, "o", "r", "2026-11-24")
    assert verdict([], [question("high", "B-1")], [accepted]) == 0
    assert verdict([], [question("high", "B-1", "B-2")], [accepted]) == 3
    assert verdict([], [question("high", "B-1")], [replace(accepted, expires="2026-11-23")]) == 3


def test_only_new_findings_and_questions_count_against_a_baseline() -> None:
    known = assessment([finding("B-1", "high")], [question("high", "B-3")])
    assert verdict([finding("B-1", "critical")], [], known=known) == 0
    assert verdict([finding("B-2", "high")], [], known=known) == 1
    assert verdict([], [question("high", "B-3")], known=known) == 0
    assert verdict([], [question("high", "B-3", "B-4")], known=known) == 3


def test_a_known_finding_that_rises_over_the_threshold_is_new() -> None:
    """What the baseline had below the threshold was never let through."""
    known = assessment([finding("B-1", "medium")], [question("medium", "B-3")])
    assert verdict([finding("B-1", "high")], [], known=known) == 1
    assert verdict([], [question("high", "B-3")], known=known) == 3


def test_a_known_finding_that_was_closed_is_new_again() -> None:
    """Only what was open in the baseline is old."""
    known = assessment([finding("B-1", "high", FindingState.MITIGATED)], [])
    assert verdict([finding("B-1", "high")], [], known=known) == 1


def test_the_command_says_what_stops(run: Run) -> None:
    result = run("gate", "bastide.yaml")
    assert result.exit_code == 1
    assert "FAIL bastide.yaml: 1 open finding of severity high or worse" in result.stdout
    assert "Text from outsiders can make an agent use a tool" in result.stdout


def test_json_and_exit_code_agree(run: Run) -> None:
    """The document fits its schema; `verdict` says in a word what the exit code says."""
    for args, code, word in (
        ([], 1, "fail"),
        (["--threshold", "low", "--allow-unknown"], 1, "fail"),
        (["--threshold", "critical", "--allow-unknown"], 0, "pass"),
    ):
        result = run("gate", "--format", "json", *args)
        document = json.loads(result.stdout)
        jsonschema.validate(document, schema("gate"))
        assert (result.exit_code, document["verdict"]) == (code, word)


def test_new_only_end_to_end(run: Run, folder: Path) -> None:
    """With its own assessment as baseline a plan passes; a new way to the same tool doesn't."""
    run("assess", "-q", "-o", "main.json")
    assert run("gate", "--baseline", "main.json", "--new-only").exit_code == 0
    plan = folder / "bastide.yaml"
    text = plan.read_text().replace("flows:\n", "flows:\n  - assistant -> payout: {data: orders, verb: invoke}\n")
    plan.write_text(
        text.replace("flows:\n", "  payout:    {kind: ai.tool, zone: app, side-effect: irreversible}\nflows:\n")
    )
    assert run("gate", "--baseline", "main.json", "--new-only").exit_code == 1


def test_unknown_end_to_end(run: Run, folder: Path) -> None:
    """Whether the tool is irreversible isn't said: no finding, but no pass."""
    plan = folder / "bastide.yaml"
    plan.write_text(plan.read_text().replace("side-effect: irreversible", "side-effect: unknown"))
    result = run("gate")
    assert result.exit_code == 3
    assert "refund: side-effect" in result.stdout
    assert "UNKNOWN" in result.stdout
    assert run("gate", "--allow-unknown").exit_code == 0
    assert run("gate", "--allow-unknown", "--quiet").output == ""


def test_wrong_calls(run: Run) -> None:
    assert run("gate", "--new-only").exit_code == 2
    assert run("gate", "nothing.yaml").exit_code == 2
    assert run("gate", "--threshold", "worst").exit_code == 2


def test_a_baseline_that_says_too_little_is_refused(run: Run) -> None:
    """A baseline without the medium findings would make old ones look new."""
    run("assess", "-q", "-o", "high.json", "--severity-min", "high")
    assert run("gate", "--baseline", "high.json", "--new-only", "--threshold", "high").exit_code == 0
    result = run("gate", "--baseline", "high.json", "--new-only", "--threshold", "medium")
    assert result.exit_code == 2
    assert "only findings of severity high and worse" in result.stderr


def test_an_acceptance_that_ran_out_fails_again(run: Run) -> None:
    found = json.loads(run("gate", "-f", "json").stdout)["findings"]
    for one in found:
        words = ("--state", "accepted", "--owner", "team", "--reason", "for now", "--expires", "2027-01-31")
        assert run("decide", "bastide.yaml", one["id"], *words).exit_code == 0
    assert run("gate", "--allow-unknown", "--today", "2027-01-30").exit_code == 0
    assert run("gate", "--allow-unknown", "--today", "2027-01-31").exit_code == 1
