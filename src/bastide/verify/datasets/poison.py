# SPDX-License-Identifier: Apache-2.0
"""Signs that somebody poisoned labels: phrases that stand for a label, and labels that all neighbours contradict."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from bastide.verify.datasets.model import Finding, Place
from bastide.verify.datasets.partial import Sampled

Where = Callable[[tuple[int, int]], Place]


@dataclass(frozen=True, slots=True)
class Poison:
    """What the tests say."""

    tested: Mapping[str, str] = field(default_factory=dict)
    """What was tested on how much; or why not."""


def test(samples: Sequence[Sampled], rows: int) -> Poison:
    """Runs the tests on the sample."""
    return Poison({})


def judge(poison: Poison, where: Where) -> Iterator[Finding]:
    """Findings of the tests."""
    yield from ()
