# SPDX-License-Identifier: Apache-2.0
"""Labels that all neighbours contradict: of each sampled row the ten most similar ones, and what its words say about its label.

A label counts as contradicted when eight of ten neighbours agree on another one, and the words speak
for that one as strongly as they speak for the label of the typical row whose label they confirm: rows on the border between labels don't.
How many of the flipped labels that finds is measured on the rows that agree, as in confident learning (C. Northcutt et al., 2021).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bastide.verify.datasets.corpus import Array, Corpus, Evidence
from bastide.verify.datasets.vectors import vectors

ROWS = 8_000
_NEAREST = 10
_AGREE = 8
_POWER = 0.1
"""Share of flipped labels that would have to be found for the test to say anything."""


@dataclass(frozen=True, slots=True)
class Flips:
    """Rows whose label is contradicted."""

    rows: int
    """That were tested."""
    found: tuple[int, ...]
    """Numbers of the rows in the corpus."""
    power: float
    """Share of flipped labels that the test finds."""
    towards: str
    """The label that most of them have; '' when they have no one label."""

    @property
    def able(self) -> bool:
        """Whether labels can be judged by neighbours at all."""
        return self.power >= _POWER

    @property
    def rate(self) -> float:
        """Estimated share of flipped labels."""
        return min(1.0, len(self.found) / self.rows / self.power) if self.rows and self.able else 0.0


def find(corpus: Corpus) -> Flips:
    """The rows whose labels neighbours and words contradict."""
    many = min(corpus.size, ROWS)
    evidence = Evidence(corpus)
    evidence.add(np.ones(len(corpus.words), dtype=bool))
    best, margin = evidence.margins()
    right = best == corpus.label
    if not right.any():
        return Flips(many, (), 0.0, "")
    usual = float(np.median(margin[right]))
    winner, votes = _votes(vectors(corpus, np.arange(many)), corpus.label[:many], len(corpus.labels))
    own, best, margin = corpus.label[:many], best[:many], margin[:many]
    strong = (votes >= _AGREE) & (margin >= usual) & (winner == best)
    found = np.flatnonzero(strong & (winner != own))
    power = float((strong & (winner == own)).mean())
    labels = np.bincount(own[found], minlength=len(corpus.labels))
    most = int(labels.argmax())
    towards = corpus.labels[most] if len(found) >= 5 and labels[most] >= 0.8 * len(found) else ""
    return Flips(many, tuple(int(i) for i in found), power, towards)


def _votes(points: Array, label: Array, many: int) -> tuple[Array, Array]:
    """Of each row the label that most of its nearest have, and how many have it."""
    winner = np.zeros(len(points), dtype=np.int64)
    votes = np.zeros(len(points), dtype=np.int64)
    nearest = min(_NEAREST, len(points) - 1)
    for start in range(0, len(points), 500):
        part = points[start : start + 500] @ points.T
        here = np.arange(len(part))
        part[here, start + here] = -2
        close = np.argpartition(part, -nearest, axis=1)[:, -nearest:]
        of = np.zeros((len(part), many), dtype=np.int64)
        np.add.at(of, (np.repeat(here, nearest), label[close].ravel()), 1)
        winner[start : start + 500], votes[start : start + 500] = of.argmax(axis=1), of.max(axis=1)
    return winner, votes
