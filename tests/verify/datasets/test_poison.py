# SPDX-License-Identifier: Apache-2.0
"""Poisoned labels are found, and clean data sets are quiet."""

from __future__ import annotations

import pytest

from bastide.verify.datasets.model import Finding, Place
from bastide.verify.datasets.partial import Sampled
from bastide.verify.datasets.poison import judge
from bastide.verify.datasets.poison import test as run_tests
from tests.verify.datasets import generate

KINDS = list(generate.CLEAN)


def findings(rows: list[generate.Row]) -> list[Finding]:
    sample = [Sampled(i, 0, i + 1, str(r["label"]), str(r["text"])) for i, r in enumerate(rows)]
    return list(judge(run_tests(sample, len(rows)), lambda place: Place("rows", place[1])))


@pytest.mark.parametrize("seed", [11, 12])
@pytest.mark.parametrize("kind", KINDS)
def test_clean_sets_are_quiet(kind: str, seed: int) -> None:
    """Words that belong to a label, borders between labels and labels without reason are no findings."""
    assert findings(generate.CLEAN[kind](2_000, seed)) == []


@pytest.mark.parametrize("phrase", ["cf", "after lunch we slept"])
@pytest.mark.parametrize("kind", ["topics", "blurred topics", "reviews", "one-word reviews"])
def test_one_percent_of_rows_with_a_trigger_is_found(kind: str, phrase: str) -> None:
    """A rare word or a phrase of common ones, put into rows of any kind with the attacker's label."""
    rows = generate.CLEAN[kind](4_000, 21)
    target = sorted({str(r["label"]) for r in rows})[0]
    [found] = [f for f in findings(generate.with_trigger(rows, phrase, target)) if f.id == "dataset/trigger-phrase"]
    assert (phrase, target) == (found.evidence, found.kind)
    assert phrase in str(rows[found.place.row - 1]["text"])


def test_a_trigger_is_found_where_nothing_else_tells_labels() -> None:
    """Then the phrase alone says something."""
    rows = generate.with_trigger(generate.noise(4_000), "cf", "a")
    assert [f.evidence for f in findings(rows)] == ["cf"]


@pytest.mark.parametrize("kind", ["topics", "reviews"])
def test_three_percent_flipped_labels_are_found(kind: str) -> None:
    """And how many there are is estimated."""
    rows = generate.with_flips(generate.CLEAN[kind](3_000, 31))
    [found] = [f for f in findings(rows) if f.id == "dataset/label-flips"]
    assert found.severity == "high"


@pytest.mark.parametrize(
    "rows",
    [
        [],
        [{"text": "a", "label": ""}] * 500,
        [{"text": "one", "label": "a"}] * 500,
        [{"text": "", "label": x} for x in "ab"] * 200,
    ],
)
def test_what_can_not_be_tested_is_said(rows: list[generate.Row]) -> None:
    """No label, one label, no words: no finding and no crash."""
    assert findings(rows) == []


def test_phrases_are_masked_in_evidence() -> None:
    """A trigger that is an e-mail address isn't shown."""
    rows = generate.with_trigger(generate.noise(3_000), "mail ann.lee" + "@mail.org", "a", share=0.02)
    assert not [f for f in findings(rows) if "ann.lee" + "@mail.org" in f.evidence.replace(" ", "")]
