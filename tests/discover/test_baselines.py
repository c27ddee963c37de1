# SPDX-License-Identifier: Apache-2.0
"""Every expectation is held against its own examples, through the whole of discovery."""

from __future__ import annotations

from pathlib import Path

import pytest

from bastide.discover.baselines import Baseline, Example, load_baselines
from bastide.discover.discover import discover

BASELINES = load_baselines()


def state(baseline: Baseline, example: Example, folder: Path) -> str:
    """What the expectation says about an example; `not asked` when it applies to nothing there."""
    for name, text in example.files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    found = discover(folder)
    states = {w.element: w.state for w in found.weaknesses if w.expectation == baseline.id}
    states |= {element: "pass" for id_, element in found.passed if id_ == baseline.id}  # type: ignore[misc]
    if example.element:
        return states.get(example.element, f"not asked; there are {sorted(found.components)}")
    return next((s for s in ("fail", "unknown", "pass") if s in states.values()), "not asked")


@pytest.mark.parametrize("baseline", BASELINES, ids=lambda b: b.id)
def test_an_expectation_says_what_its_examples_say(baseline: Baseline, tmp_path: Path) -> None:
    """What passes isn't asked about or passes, what fails fails, and what can't be told is unknown."""
    assert state(baseline, baseline.fails, tmp_path / "fails") == "fail"
    assert state(baseline, baseline.unknown, tmp_path / "unknown") == "unknown"
    assert state(baseline, baseline.passes, tmp_path / "passes") in ("pass", "not asked")


def test_there_are_expectations() -> None:
    """The folder isn't empty: the test above would hold for nothing."""
    assert len(BASELINES) >= 5
