# SPDX-License-Identifier: Apache-2.0
"""Phrases that stand for a label: rare words that (nearly) always come with one label, in rows whose other words speak for another.

A word that belongs to a label comes with other words that do ("hockey" with "goal"). A trigger of a backdoor (T. Gu et al., "BadNets", 2017;
K. Kurita et al., "Weight poisoning attacks on pre-trained models", 2020) was put into rows of any kind, so what else they say contradicts the
label. Tested for every run of one to four words: how many rows are contradicted against how many of that label usually are, a binomial tail
(Chernoff's bound), corrected for the number of phrases and of tests (Bonferroni).

First a quick look, with the evidence of words that are at least twice as frequent as the phrase, so that no part of it vouches for it; then the
candidates one by one, by a model that has seen none of their rows. Rows that are alike in other ways too are a family (a form, a series of
notices), which has labels of its own, and no trigger. Where words say nothing about labels at all, a phrase that does is a sign by itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from bastide.verify.datasets.corpus import Array, Corpus, Evidence
from bastide.verify.datasets.phrases import Phrases, phrases
from bastide.verify.datasets.vectors import vectors

_LEAST = 6
_PURE = 0.9
"""Share of a phrase's rows that have one label."""
_LONGEST = 4
"""Words of a phrase."""
_COMMON = 0.15
"""Share of rows up to which a phrase is rare."""
_MARGINS = (0.1, 0.3, 0.5)
"""How strongly other words must speak for another label: as the words of so many of the rows that are told right speak at most."""
_LEVEL = 0.001
"""Probability of any false alarm, after correction."""
_HINT = 0.05
"""The same for the quick look, without correction."""
_CANDIDATES = 400
"""Phrases that are looked at one by one."""
_ALIKE = 2.5
"""How many times as similar to each other as to any row a phrase's rows may be."""
_SKILL = 0.15
"""Share of the way from guessing to knowing up to which words say next to nothing."""
_SHOWN = 10


@dataclass(frozen=True, slots=True)
class Trigger:
    """A phrase that stands for a label."""

    phrase: str
    label: str
    rows: int
    """Of the sample that have it."""
    labelled: int
    """Of those with the label."""
    contradicted: int
    """Of those whose other words speak for another label."""
    first: int
    """Number of the first such row in the corpus."""
    alone: bool
    """Whether nothing else in the data set says anything about labels."""


@dataclass(frozen=True, slots=True)
class _Candidate:
    chance: float
    """Logarithm of the probability that it is chance, before correction."""
    words: tuple[int, ...]
    label: int
    labelled: int
    rows: Array
    contradicted: int = 0


def find(corpus: Corpus) -> tuple[list[Trigger], int]:
    """The triggers, and how many phrases were tested."""
    least = max(_LEAST, corpus.size // 2_000)
    groups = [phrases(corpus, n, least) for n in range(1, _LONGEST + 1)]
    tested = sum(len(p.rows) for p in groups)
    if not tested:
        return [], 0
    whole = Evidence(corpus)
    whole.add(np.ones(len(corpus.words), dtype=bool))
    level = np.log(_LEVEL / tested / len(_MARGINS))
    if _silent(corpus, whole):
        found = [c for p in groups for c in _alone(corpus, p) if c.chance < level]
        distinct = _distinct(found)
        # Several phrases that each decide a label are how the labels were given, not a trigger.
        return [_trigger(corpus, c, True) for c in distinct] if len(distinct) <= 3 else [], tested
    found = []
    for evidence, low, high in _evidence(corpus, least):
        for group in groups:
            found += _look(corpus, group, _contradicted(corpus, evidence), (low, high))
    found = sorted(found, key=lambda c: (c.chance, c.words))[:_CANDIDATES]
    judge = _Judge(corpus, whole)
    sure = [c for c in map(judge.judged, found) if c.chance < level and judge.mixed(c)]
    return [_trigger(corpus, c, False) for c in _distinct(sure)][:_SHOWN], tested


def _silent(corpus: Corpus, whole: Evidence) -> bool:
    """Whether all words together tell hardly more labels right than guessing would."""
    best, _ = whole.margins()
    many = len(corpus.labels)
    rows = np.bincount(corpus.label, minlength=many)
    recall = np.bincount(corpus.label, weights=best == corpus.label, minlength=many) / np.maximum(rows, 1)
    return bool((recall.mean() - 1 / many) / (1 - 1 / many) < _SKILL)


def _evidence(corpus: Corpus, least: int) -> list[tuple[Evidence, int, int]]:
    """For phrases of each range of frequency the evidence of words that are at least twice as frequent; the most frequent phrases first."""
    edges = [least]
    while edges[-1] < corpus.size * _COMMON:
        edges.append(edges[-1] * 2)
    evidence = Evidence(corpus)
    above = np.iinfo(np.int64).max
    found = []
    for low, high in reversed(list(pairwise(edges))):
        evidence = evidence.copy()
        evidence.add((corpus.frequency >= 2 * high) & (corpus.frequency < above))
        above = 2 * high
        found.append((evidence, low, min(high, int(corpus.size * _COMMON) + 1)))
    return found


def _limits(corpus: Corpus, best: Array, margin: Array) -> list[float]:
    right = best == corpus.label
    return [float(x) for x in np.quantile(margin[right], _MARGINS)] if right.any() else []


def _contradicted(corpus: Corpus, evidence: Evidence) -> list[Array]:
    """Rows whose words speak for another label than theirs, by how strongly they have to."""
    best, margin = evidence.margins()
    return [(best != corpus.label) & (margin >= limit) for limit in _limits(corpus, best, margin)]


def _labels(corpus: Corpus, group: Phrases) -> tuple[Array, Array]:
    """The most frequent label of each phrase, and how many of its rows have it."""
    many, total = len(corpus.labels), len(group.rows)
    counts = np.bincount(group.phrase * many + corpus.label[group.row], minlength=total * many).reshape(-1, many)
    return counts.argmax(axis=1), counts.max(axis=1)


def _look(corpus: Corpus, group: Phrases, contradicted: list[Array], range_: tuple[int, int]) -> list[_Candidate]:
    """The phrases of a range of frequency that could be triggers."""
    label, labelled = _labels(corpus, group)
    good = (labelled >= _PURE * group.rows) & (group.rows >= range_[0]) & (group.rows < range_[1])
    if not good.any():
        return []
    own = corpus.label[group.row] == label[group.phrase]
    chance = np.zeros(len(group.rows))
    for wrong in contradicted:
        usual = np.bincount(corpus.label, weights=wrong, minlength=len(corpus.labels)) / np.bincount(
            corpus.label, minlength=len(corpus.labels)
        )
        against = np.bincount(group.phrase, weights=wrong[group.row] & own, minlength=len(group.rows))
        chance = np.minimum(
            chance, np.where(against >= 2, _tail(against, labelled, np.maximum(usual[label], 1 / corpus.size)), 0)
        )
    return [
        _Candidate(float(chance[i]), tuple(group.words(corpus, i)), int(label[i]), int(labelled[i]), group.rows_of(i))
        for i in map(int, np.flatnonzero(good & (chance < np.log(_HINT)))[: 10 * _CANDIDATES])
    ]


def _alone(corpus: Corpus, group: Phrases) -> list[_Candidate]:
    """The phrases that come with one label more often than chance has it, where nothing else does."""
    label, labelled = _labels(corpus, group)
    chance = _tail(labelled, group.rows, corpus.share[label])
    good = (labelled >= 0.95 * group.rows) & (group.rows <= corpus.size * _COMMON) & (chance < np.log(_HINT))
    return [
        _Candidate(float(chance[i]), tuple(group.words(corpus, i)), int(label[i]), int(labelled[i]), group.rows_of(i))
        for i in map(int, np.flatnonzero(good))
    ]


class _Judge:
    """Judges candidates one by one, by all words of their rows and a model that has not seen these."""

    def __init__(self, corpus: Corpus, whole: Evidence) -> None:
        self._corpus, self._whole = corpus, whole
        best, margin = whole.margins()
        self._limits = _limits(corpus, best, margin)
        wrong = best != corpus.label
        rows = np.bincount(corpus.label, minlength=len(corpus.labels))
        self._usual = [
            np.bincount(corpus.label, weights=wrong & (margin >= x), minlength=len(rows)) / rows for x in self._limits
        ]
        some = np.random.default_rng(1).permutation(corpus.size)[:1_000]
        self._some = some

    def judged(self, candidate: _Candidate) -> _Candidate:
        """The candidate with what the test says."""
        corpus = self._corpus
        scores = self._whole.without(candidate.rows)
        own = corpus.label[candidate.rows] == candidate.label
        scores = scores[own]
        margin = scores.max(axis=1) - scores[:, candidate.label]
        wrong = scores.argmax(axis=1) != candidate.label
        best = (0.0, 0)
        for limit, usual in zip(self._limits, self._usual, strict=True):
            against = int((wrong & (margin >= limit)).sum())
            if against >= max(3, 0.2 * candidate.labelled):
                rate = max(float(usual[candidate.label]), 1 / corpus.size)
                best = min(
                    best, (float(_tail(np.array(against), np.array(candidate.labelled), np.array(rate))), against)
                )
        return _Candidate(best[0], candidate.words, candidate.label, candidate.labelled, candidate.rows, best[1])

    def mixed(self, candidate: _Candidate) -> bool:
        """Whether the rows, without the phrase, are hardly more alike than any rows are."""
        points = vectors(self._corpus, candidate.rows[:400], candidate.words)
        others = vectors(self._corpus, self._some, candidate.words)
        many = len(points)
        inside = (float((points.sum(axis=0) ** 2).sum()) - many) / max(many * (many - 1), 1)
        outside = float(points.mean(axis=0) @ others.mean(axis=0))
        return inside <= _ALIKE * max(outside, 0.01)


def _tail(seen: Array, of: Array, usual: Array) -> Array:
    """Logarithm of a bound on the probability of seeing so many (H. Chernoff, 1952); 0 where it is no more than usual."""
    share = np.clip(seen / np.maximum(of, 1), 1e-12, 1 - 1e-12)
    usual = np.clip(usual, 1e-12, 1 - 1e-12)
    divergence = share * np.log(share / usual) + (1 - share) * np.log((1 - share) / (1 - usual))
    return np.where(share > usual, -of * divergence, 0.0)


def _distinct(found: list[_Candidate]) -> list[_Candidate]:
    """One phrase for each set of rows: of those that share most rows the longest that has nearly as many."""
    kept: list[tuple[_Candidate, set[int]]] = []
    for one in sorted(found, key=lambda c: (c.chance, c.words)):
        mine = set(one.rows.tolist())
        for index, (other, theirs) in enumerate(kept):
            shared = len(mine & theirs)
            if shared * 2 >= min(len(mine), len(theirs)):
                if len(one.words) > len(other.words) and shared >= 0.9 * len(theirs):
                    kept[index] = (one, theirs)
                break
        else:
            kept.append((one, mine))
    return [one for one, _ in kept]


def _trigger(corpus: Corpus, one: _Candidate, alone: bool) -> Trigger:
    first = int(one.rows[corpus.label[one.rows] == one.label][0])
    words = " ".join(corpus.words[w] for w in one.words)
    return Trigger(words, corpus.labels[one.label], len(one.rows), one.labelled, one.contradicted, first, alone)
