# SPDX-License-Identifier: Apache-2.0
"""What many requests together show, and quarantine."""

from __future__ import annotations

import random

import pytest

from bastide.errors import OverLimit
from bastide.guard.limits import signals
from bastide.guard.limits.quarantine import Quarantine
from bastide.guard.limits.signals import Signal, Signals
from bastide.guard.model import Caller
from bastide.guard.settings import Abuse

WINDOW = Abuse().window
ANN = Caller("assistant", user="ann", tenant="acme")


class Clock:
    """A clock that moves when it is told to."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def names(found: list[Signal | None]) -> list[str]:
    return [one.name for one in found if one]


@pytest.mark.parametrize(
    "template",
    [
        "Classify the sentiment of the following product review as positive or negative: {}",
        "{} - is the review that stands here before this sentence positive or is it negative?",
        "Please tell me for the word {} whether it is positive or negative and nothing else",
    ],
)
def test_a_template_with_one_slot(template: str) -> None:
    """Many prompts that differ in one place, wherever it is, are a signal with its numbers, once in a window."""
    clock = Clock()
    one = Signals(clock=clock)
    found = [one.prompted(ANN, template.format(f"word{n}")) for n in range(200)]
    assert names(found) == ["extraction/template"]
    assert "49 of 50 different prompts within 60 min" in next(s.why for s in found if s)
    clock.now = WINDOW * 2
    assert names([one.prompted(ANN, template.format(f"x{n}")) for n in range(60)]) == ["extraction/template"]


def test_ordinary_use_is_none() -> None:
    """Different questions, the same one again and again, and short ones are no extraction."""
    words, draw = [f"w{n}" for n in range(500)], random.Random(1)
    one = Signals(clock=Clock())
    assert names([one.prompted(ANN, " ".join(draw.choices(words, k=20))) for _ in range(300)]) == []
    assert (
        names([one.prompted(ANN, "the same long question that is asked every time by somebody") for _ in range(300)])
        == []
    )
    assert names([Signals(clock=Clock()).prompted(ANN, f"where is order {n}") for n in range(100)]) == []
    spread = Signals(clock=Clock())
    same = [
        spread.prompted(Caller("a", user=f"u{n}"), f"a template that all users of one form share with the slot {n}")
        for n in range(100)
    ]
    assert names(same) == []


def test_volume_against_ones_own() -> None:
    """Ten times as much as usual is a signal, once in a window; a steady heavy user is none, and a new one has no usual yet."""
    clock = Clock()
    one = Signals(clock=clock)
    usual = []
    for hour in range(10):
        clock.now = hour * WINDOW
        usual.append(one.answered(ANN, 30_000))
    assert names(usual) == []
    clock.now += WINDOW
    burst = [one.answered(ANN, 50_000) for _ in range(20)]
    assert names(burst) == ["extraction/volume"]
    assert "usually 30000" in next(s.why for s in burst if s)
    assert names([one.answered(Caller("new"), 10**7)]) == []


def test_campaigns() -> None:
    """The same attack by many callers, and many attacks by one."""
    one = Signals(clock=Clock())
    assert names([one.detected(Caller("a", user=f"u{n}"), "injection/rules:1f") for n in range(9)]) == [
        "campaign/spread"
    ]
    assert names([one.detected(ANN, f"injection/rules:{n}") for n in range(30)]) == ["campaign/persistence"]


def test_seldom_is_no_campaign() -> None:
    """One attack an hour never adds up."""
    clock, found = Clock(), []
    one = Signals(clock=clock)
    for n in range(50):
        clock.now = n * WINDOW
        found.append(one.detected(Caller("a", user=f"u{n}"), "same"))
        found.append(one.detected(ANN, f"f{n}"))
    assert names(found) == []


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of more callers than are remembered the oldest are forgotten."""
    monkeypatch.setattr(signals, "SUBJECTS", 10)
    one = Signals(clock=Clock())
    for n in range(100):
        one.detected(Caller("a", user=f"u{n}"), f"f{n}")
        one.prompted(Caller("a", user=f"u{n}"), "hello")
        one.answered(Caller("a", user=f"u{n}"), 1)
    assert [len(m) for m in (one._prompts, one._volumes, one._by_caller, one._by_fingerprint)] == [10, 10, 10, 10]


def test_quarantine() -> None:
    """After so many blocks in a window a caller is refused for a time; others aren't."""
    clock = Clock()
    one = Quarantine(Abuse(blocks=3, blocks_within=60, quarantine=100), clock)
    assert [one.blocked(ANN) for _ in range(3)] == [False, False, True]
    clock.now = 40
    with pytest.raises(OverLimit) as caught:
        one.check(ANN)
    assert (caught.value.code, caught.value.retry_after) == ("quarantined", 60)
    one.check(Caller("assistant", user="ann", tenant="other"))
    clock.now = 101
    one.check(ANN)
    assert not one.blocked(ANN), "and counts from nothing again"


def test_blocks_far_apart() -> None:
    """Blocks that don't fall into one window lead to nothing."""
    clock = Clock()
    one = Quarantine(Abuse(blocks=3, blocks_within=60, quarantine=100), clock)
    for n in range(20):
        clock.now = n * 30
        assert not one.blocked(ANN)


def test_the_thresholds_are_settings() -> None:
    """Another threshold is another signal, and no blocks at all lead to quarantine when none is set."""
    one = Signals(Abuse(callers=2, attacks=1), Clock())
    assert names([one.detected(Caller("a", user="u"), "x"), one.detected(Caller("a", user="v"), "x")]) == [
        "campaign/persistence", "campaign/spread",
    ]  # fmt: skip
    none = Quarantine(Abuse(blocks=0), Clock())
    assert not any(none.blocked(ANN) for _ in range(50))
    none.check(ANN)
