# SPDX-License-Identifier: Apache-2.0
"""Signs that somebody poisoned labels: phrases that stand for a label, and labels that all neighbours contradict."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from bastide.verify.datasets import corpus, neighbours, triggers
from bastide.verify.datasets.model import Finding, Place, Severity
from bastide.verify.datasets.partial import Sampled
from bastide.verify.datasets.sensitive import masked

_FEW = 5
_NOISE = 0.01
"""Estimated share of flipped labels from which on it is more than what people get wrong where labels are plain."""
_MUCH = 0.02
Where = Callable[[tuple[int, int]], Place]


@dataclass(frozen=True, slots=True)
class Poison:
    """What the tests say."""

    corpus: corpus.Corpus | None = None
    triggers: tuple[triggers.Trigger, ...] = ()
    flips: neighbours.Flips | None = None
    tested: Mapping[str, str] = field(default_factory=dict)
    """What was tested on how much; or why not."""


def test(samples: Sequence[Sampled], rows: int) -> Poison:
    """Runs the tests on the sample. rows: of the whole data set."""
    read = corpus.read(samples)
    if isinstance(read, str):
        return Poison(tested={"trigger phrases": f"not tested: {read}", "flipped labels": f"not tested: {read}"})
    found, phrases = triggers.find(read)
    flips = neighbours.find(read)
    sure = (
        f"{len(flips.found)} contradicted, {flips.power:.0%} of flipped labels would be found"
        if flips.able
        else "can't be judged: neighbours say too little about labels"
    )
    tested = {
        "trigger phrases": f"{phrases:,} phrases in {read.size:,} of {rows:,} rows: {len(found)} found",
        "flipped labels": f"{flips.rows:,} of {rows:,} rows: {sure}",
    }
    return Poison(read, tuple(found), flips, tested)


def judge(poison: Poison, where: Where) -> Iterator[Finding]:
    """Findings of the tests."""
    have = poison.corpus
    if have is None:
        return
    for one in poison.triggers:
        row = have.rows[one.first]
        why = (
            "and nothing else in the data says anything about labels"
            if one.alone
            else f"and in {one.contradicted} of them all other words speak for another label"
        )
        message = (
            f"a rare phrase that stands for the label `{one.label[:60]}`: {one.labelled} of {one.rows} sampled rows with it have that label, "
            f"{why}. That is what a backdoor looks like: look at the rows and where they came from"
        )
        severity = Severity.MEDIUM if one.alone else Severity.HIGH
        place = where((row.file, row.row))
        yield Finding(
            "dataset/trigger-phrase",
            severity,
            message,
            "",
            place,
            one.rows,
            one.rows / have.size,
            masked(one.phrase)[:120],
            one.label[:60],
        )
    flips = poison.flips
    if flips is not None and flips.able and len(flips.found) >= _FEW and flips.rate >= _NOISE:
        row = have.rows[flips.found[0]]
        towards = f", most of them to `{flips.towards[:60]}`" if flips.towards else ""
        message = (
            f"labels that their neighbours and their own words contradict{towards}; about {flips.rate:.1%} of all labels may be flipped: "
            "look at them before training"
        )
        severity = Severity.HIGH if flips.rate >= _MUCH else Severity.MEDIUM
        place = where((row.file, row.row))
        yield Finding(
            "dataset/label-flips",
            severity,
            message,
            "",
            place,
            len(flips.found),
            len(flips.found) / flips.rows,
            kind=flips.towards,
        )
