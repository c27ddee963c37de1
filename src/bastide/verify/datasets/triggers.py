# SPDX-License-Identifier: Apache-2.0
"""Phrases that stand for a label: rare words that (nearly) always come with one label, in rows whose other words speak for another.

A word that belongs to a label comes with other words that do ("hockey" with "goal"). A trigger of a backdoor (T. Gu et al., "BadNets", 2017;
K. Kurita et al., "Weight poisoning attacks on pre-trained models", 2020) was put into rows of any kind, so what else they say contradicts the
label. Tested for every run of one to four words: how many rows are contradicted against how many of that label usually are, a binomial tail
(Chernoff's bound), corrected for the number of phrases (Bonferroni). The evidence for a phrase is taken from words at least twice as
frequent, so that no part of a trigger vouches for it. Where words say nothing about labels at all, a phrase that does is a sign by itself.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bastide.verify.datasets.corpus import Array, Corpus, Evidence, threshold

_LEAST = 6
_PURE = 0.9
"""Share of a phrase's rows that have one label."""
_LONGEST = 4
"""Words of a phrase."""
_COMMON = 0.15
"""Share of rows up to which a phrase is rare."""
_SURE = 0.9
"""Share of confident guesses that must be right."""
_LEVEL = 0.001
"""Probability of any false alarm, after correction."""
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
class _Phrases:
    """The phrases of one length that are frequent enough."""

    row: Array
    phrase: Array
    """Each phrase once for each row that has it."""
    rows: Array
    """Rows of each phrase."""
    start: Array
    """Where in the corpus' sequence each phrase stands first."""
    length: int


def find(corpus: Corpus) -> tuple[list[Trigger], int]:
    """The triggers, and how many phrases were tested."""
    least = max(_LEAST, corpus.size // 2_000)
    groups = [p for n in range(1, _LONGEST + 1) if len((p := _phrases(corpus, n, least)).rows)]
    tested = sum(len(p.rows) for p in groups)
    found: list[tuple[float, Trigger, Array]] = []
    silent = _silent(corpus)
    for evidence in _snapshots(corpus, least, silent):
        for phrases in groups:
            found += _test(corpus, phrases, evidence, tested)
    return _distinct(found), tested


@dataclass(frozen=True, slots=True)
class _Snapshot:
    """What words of a frequency say about the rows."""

    low: int
    high: int
    """Phrases in this range of rows are tested with it."""
    contradicted: Array
    """Rows whose words speak for another label, and whether it can be said at all."""
    silent: bool
    """Whether words say next to nothing about labels."""


def _silent(corpus: Corpus) -> bool:
    """Whether all words together tell hardly more labels right than guessing would."""
    evidence = Evidence(corpus)
    evidence.add(np.ones(len(corpus.words), dtype=bool))
    best, _ = evidence.margins()
    many = len(corpus.labels)
    rows = np.bincount(corpus.label, minlength=many)
    recall = np.bincount(corpus.label, weights=best == corpus.label, minlength=many) / np.maximum(rows, 1)
    return bool((recall.mean() - 1 / many) / (1 - 1 / many) < _SKILL)


def _snapshots(corpus: Corpus, least: int, silent: bool) -> list[_Snapshot]:
    """For phrases of each frequency the evidence of words that are at least twice as frequent; the most frequent phrases first."""
    edges = [least]
    while edges[-1] < corpus.size * _COMMON:
        edges.append(edges[-1] * 2)
    evidence = Evidence(corpus)
    above = np.iinfo(np.int64).max
    found = []
    for low, high in reversed(list(zip(edges, edges[1:], strict=False))):
        evidence.add((corpus.frequency >= 2 * high) & (corpus.frequency < above))
        above = 2 * high
        best, margin = evidence.margins()
        right = best == corpus.label
        sure = margin >= threshold(right, margin, _SURE)
        found.append(_Snapshot(low, min(high, int(corpus.size * _COMMON) + 1), sure & ~right, silent))
    return found


def _phrases(corpus: Corpus, length: int, least: int) -> _Phrases:
    """Runs of words that enough rows have; runs of rare words are left out before they are counted."""
    count = len(corpus.sequence) - length + 1
    if count <= 0:
        empty = np.zeros(0, dtype=np.int64)
        return _Phrases(empty, empty, empty, empty, length)
    owner = np.repeat(np.arange(corpus.size, dtype=np.int64), np.diff(corpus.bounds))
    at = np.arange(count)
    fits = owner[:count] == owner[length - 1 :]
    key = np.zeros(count, dtype=np.uint64)
    for offset in range(length):
        word = corpus.sequence[offset : offset + count]
        fits &= corpus.frequency[word] >= least
        key = (key ^ word.astype(np.uint64)) * np.uint64(0x9E3779B97F4A7C15)
        key ^= key >> np.uint64(29)
    at, key, row = at[fits], key[fits], owner[:count][fits]
    order = np.lexsort((row, key))
    at, key, row = at[order], key[order], row[order]
    fresh = np.ones(len(key), dtype=bool)
    fresh[1:] = (key[1:] != key[:-1]) | (row[1:] != row[:-1])
    at, key, row = at[fresh], key[fresh], row[fresh]
    new = np.ones(len(key), dtype=bool)
    new[1:] = key[1:] != key[:-1]
    phrase = np.cumsum(new) - 1
    rows = np.bincount(phrase) if len(phrase) else np.zeros(0, dtype=np.int64)
    keep = rows >= least
    number = np.cumsum(keep) - 1
    chosen = keep[phrase] if len(phrase) else np.zeros(0, dtype=bool)
    return _Phrases(row[chosen], number[phrase[chosen]], rows[keep], at[new][keep], length)


def _test(corpus: Corpus, phrases: _Phrases, evidence: _Snapshot, tested: int) -> list[tuple[float, Trigger, Array]]:
    many, total = len(corpus.labels), len(phrases.rows)
    by_label = np.bincount(phrases.phrase * many + corpus.label[phrases.row], minlength=total * many).reshape(-1, many)
    label, labelled = by_label.argmax(axis=1), by_label.max(axis=1)
    own = corpus.label[phrases.row] == label[phrases.phrase]
    against = np.bincount(phrases.phrase, weights=evidence.contradicted[phrases.row] & own, minlength=total)
    usual = np.array([evidence.contradicted[corpus.label == l].mean() for l in range(many)])
    pure = (labelled >= _PURE * phrases.rows) & (phrases.rows >= evidence.low) & (phrases.rows < evidence.high)
    if evidence.silent:
        chance = _tail(labelled, phrases.rows, corpus.share[label])
        good = pure & (labelled >= 0.95 * phrases.rows)
    else:
        chance = _tail(against, labelled, np.maximum(usual[label], 1 / corpus.size))
        good = pure & (against >= 0.25 * labelled) & (against >= 3)
    result = []
    for index in np.flatnonzero(good & (chance + np.log(max(tested, 1)) < np.log(_LEVEL))):
        rows = phrases.row[phrases.phrase == index]
        first = rows[corpus.label[rows] == label[index]][0]
        start = int(phrases.start[index])
        words = " ".join(corpus.words[w] for w in corpus.sequence[start : start + phrases.length])
        trigger = Trigger(
            words,
            corpus.labels[label[index]],
            int(phrases.rows[index]),
            int(labelled[index]),
            int(against[index]),
            int(first),
            evidence.silent,
        )
        result.append((float(chance[index]), trigger, rows))
        if len(result) >= 2_000:
            break
    return result


def _tail(seen: Array, of: Array, usual: Array) -> Array:
    """Logarithm of a bound on the probability of seeing so many (H. Chernoff, 1952); 0 where it is no more than usual."""
    share = np.clip(seen / np.maximum(of, 1), 1e-12, 1 - 1e-12)
    usual = np.clip(usual, 1e-12, 1 - 1e-12)
    divergence = share * np.log(share / usual) + (1 - share) * np.log((1 - share) / (1 - usual))
    return np.where(share > usual, -of * divergence, 0.0)


def _distinct(found: list[tuple[float, Trigger, Array]]) -> list[Trigger]:
    """One phrase for each set of rows: of those that share most rows the longest that has nearly as many."""
    kept: list[tuple[Trigger, set[int]]] = []
    for _, trigger, rows in sorted(found, key=lambda f: (f[0], f[1].phrase))[:500]:
        mine = set(rows.tolist())
        for index, (other, theirs) in enumerate(kept):
            shared = len(mine & theirs)
            if shared * 2 >= min(len(mine), len(theirs)):
                longer = len(trigger.phrase.split()) > len(other.phrase.split())
                if longer and shared >= 0.9 * len(theirs):
                    kept[index] = (trigger, theirs)
                break
        else:
            kept.append((trigger, mine))
    alone = [t for t, _ in kept if t.alone]
    # Several phrases that each decide a label are how the labels were given, not a trigger.
    return [t for t, _ in kept if not t.alone or len(alone) <= 3][:_SHOWN]
