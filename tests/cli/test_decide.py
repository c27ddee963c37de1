# SPDX-License-Identifier: Apache-2.0
"""`bastide decide`: decisions are written without touching what others wrote."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bastide.errors import StateError
from bastide.threats.decisions import read_decisions
from bastide.threats.decisions_edit import remove_decision, write_decision
from bastide.threats.model import Decision, FindingState
from tests.cli.conftest import RULE, Run

ONE = Decision("B-0000000001", FindingState.ACCEPTED, "team", "why not", "2027-01-31")
TWO = Decision("B-0000000002", FindingState.FALSE_POSITIVE, "other team", "no such thing: really")
WRITTEN = """\
# our decisions
findings:
    # the refund tool
    B-0000000001: {state: accepted, owner: team, reason: old, expires: 2026-12-31}  # until audit

    # the log
    B-0000000003:
        state: false-positive
        owner: team
        reason: >
            it is a
            managed service
# the end
"""


def said(text: str) -> dict[str, tuple[str, ...]]:
    return {d.finding: (d.state.value, d.owner, d.reason, d.expires) for d in read_decisions(text, "f")}


def test_the_first_decision_makes_the_file() -> None:
    text = write_decision("", ONE)
    assert said(text) == {ONE.finding: ("accepted", "team", "why not", "2027-01-31")}
    assert text.startswith("# ")


def test_another_one_is_added_where_the_others_are() -> None:
    """Comments, order, layout and indentation of the rest stay."""
    text = write_decision(WRITTEN, TWO)
    assert said(text) == said(WRITTEN) | {TWO.finding: ("false-positive", "other team", "no such thing: really", "")}
    assert [line for line in text.splitlines() if line in WRITTEN.splitlines()] == WRITTEN.splitlines()
    assert "    B-0000000002:\n      state: false-positive\n" in text


def test_an_earlier_one_is_replaced() -> None:
    text = write_decision(WRITTEN, ONE)
    assert said(text)[ONE.finding] == ("accepted", "team", "why not", "2027-01-31")
    assert "# the refund tool" in text
    assert "# the log" in text
    assert "managed service" in text


def test_one_is_removed() -> None:
    text = remove_decision(WRITTEN, "B-0000000003")
    assert list(said(text)) == ["B-0000000001"]
    assert "# until audit" in text
    with pytest.raises(StateError, match="no decision about `B-0000000009`"):
        remove_decision(WRITTEN, "B-0000000009")


@pytest.mark.parametrize(
    "text",
    [
        "findings: {B-0000000003: {state: false-positive, owner: o, reason: r}}",
        "{findings: {B-0000000003: {state: false-positive, owner: o, reason: r}}}",
        "findings:\n  {B-0000000003: {state: false-positive, owner: o, reason: r},\n"
        "   B-0000000004: {state: false-positive, owner: o, reason: r}}",
        "findings:\r\n  B-0000000003: {state: false-positive, owner: o, reason: r}\r\n",
        "x: &a {state: false-positive, owner: o, reason: r}\nfindings:\n  B-0000000003: *a\n".replace("x:", "bastide:"),
        "findings:\n  ? B-0000000003\n  : {state: false-positive, owner: o, reason: r}\n",
        'findings:\n  B-0000000003: {state: false-positive, owner: o, reason: "a\n\n  b"}\n',
        "findings:\n  B-0000000003: {state: false-positive, owner: o, reason: r}",
        "findings: {}",
        "findings:",
        "# nothing yet\n",
        "---\n",
    ],
)
def test_in_any_layout_no_decision_is_lost(text: str) -> None:
    """Where the layout is unusual the file is written anew, with everything that it said."""
    try:
        before = said(text)
    except StateError:
        pytest.skip("not a file of decisions")
    added = write_decision(text, ONE)
    assert said(added) == before | {ONE.finding: ("accepted", "team", "why not", "2027-01-31")}
    assert said(remove_decision(added, ONE.finding)) == before


@pytest.mark.parametrize("text", ["findings: [1]", "- a", "\x00", "findings: {B-1: {}}", "nothing: 1"])
def test_a_broken_file_is_never_overwritten(text: str) -> None:
    with pytest.raises(StateError):
        write_decision(text, ONE)


words = st.text(st.characters(blacklist_categories=["Cs", "Cc"]), min_size=1, max_size=40).filter(lambda s: s.split())


@given(st.lists(st.tuples(st.integers(0, 4), words, words), max_size=8))
def test_whatever_people_write_is_read_back(entries: list[tuple[int, str, str]]) -> None:
    """Any owner and reason survive, and the last decision about a finding counts."""
    text, wanted = "", {}
    for number, owner, reason in entries:
        decision = Decision(f"B-{number:010x}", FindingState.FALSE_POSITIVE, owner, reason)
        text = write_decision(text, decision)
        wanted[decision.finding] = ("false-positive", " ".join(owner.split()), " ".join(reason.split()), "")
    assert said(text) == wanted


def first(run: Run) -> str:
    document = json.loads(run("assess", "-f", "json").stdout)
    return next(f["id"] for f in document["findings"] if f["rule"] == RULE)


def state(run: Run, id: str) -> str:
    document = json.loads(run("assess", "-f", "json").stdout)
    return next(f["state"] for f in document["findings"] if f["id"] == id)


def test_a_decision_changes_the_state(run: Run, folder: Path) -> None:
    id = first(run)
    result = run("decide", "bastide.yaml", id, "--state", "accepted", "--owner", "team", "--reason", "low volume",
                 "--expires", "2999-01-31")  # fmt: skip
    assert result.exit_code == 0
    assert "wrote bastide.findings.yaml" in result.stderr
    assert state(run, id) == "accepted"
    assert "1 accepted" in run("assess").stdout
    assert run("decide", "bastide.yaml", id, "--remove").exit_code == 0
    assert state(run, id) == "open"


def test_a_plan_of_another_name_has_its_own_file(run: Run, folder: Path) -> None:
    (folder / "sub").mkdir()
    (folder / "bastide.yaml").rename(folder / "sub/chat.yaml")
    id = json.loads(run("assess", "sub/chat.yaml", "-f", "json").stdout)["findings"][0]["id"]
    run("decide", "sub/chat.yaml", id, "--state", "false-positive", "--owner", "team", "--reason", "no")
    assert id in (folder / "sub/chat.findings.yaml").read_text()


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (
            ["B-ffffffffff", "--state", "false-positive", "--owner", "o", "--reason", "r"],
            "has no finding `B-ffffffffff`",
        ),
        (["ID", "--state", "accepted", "--owner", "o", "--reason", "r"], "--expires is missing"),
        (["ID", "--state", "false-positive", "--owner", " ", "--reason", "r"], "--owner is missing"),
        (["ID", "--owner", "o", "--reason", "r"], "--state is missing"),
        (["ID", "--remove", "--owner", "o"], "--remove goes alone"),
        (["ID", "--remove"], "has no decision about"),
        (["ID", "--state", "accepted", "--owner", "o", "--reason", "r", "--expires", "31.1.2027"], "is no date"),
    ],
)
def test_wrong_calls_write_nothing(run: Run, folder: Path, args: list[str], says: str) -> None:
    id = first(run)
    result = run("decide", "bastide.yaml", *(id if word == "ID" else word for word in args))
    assert result.exit_code == 2
    assert says in result.stderr
    assert not (folder / "bastide.findings.yaml").exists()


def test_an_orphan_is_an_error_and_can_be_removed(run: Run, folder: Path) -> None:
    """A decision about a finding that is gone stops the assessment until somebody removes it."""
    side = folder / "bastide.findings.yaml"
    side.write_text("findings:\n  B-aaaaaaaaaa: {state: false-positive, owner: o, reason: r}\n")
    result = run("assess")
    assert result.exit_code == 2
    assert "bastide.findings.yaml:2:3: there is no finding `B-aaaaaaaaaa` any more" in result.stderr
    assert run("decide", "bastide.yaml", "B-aaaaaaaaaa", "--remove").exit_code == 0
    assert run("assess").exit_code == 0
