# SPDX-License-Identifier: Apache-2.0
"""The sample as numbers: which words stand in which row, and how much each speaks for each label.

The model is naive Bayes over the words of a row, with shrunken ratios of observed to expected counts; each row is judged by the others only
(leave one out), which for counts is a subtraction.
"""

from __future__ import annotations

import copy
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from bastide.verify.datasets.partial import Sampled

Array = Any
LABELS = 40
"""Labels that are told apart; rows of rarer ones are left out."""
_FEW = 8
"""Rows that a label must have."""
ROWS = 100
"""Rows from which on anything is tested."""
_WORD = re.compile(r"\w+|[^\w\s]")
_CHUNK = 2_000_000
"""Numbers in memory at a time."""


@dataclass(frozen=True, slots=True)
class Corpus:
    """Rows with a label, and their words."""

    rows: tuple[Sampled, ...]
    labels: tuple[str, ...]
    words: tuple[str, ...]
    label: Array
    """The number of each row's label."""
    sequence: Array
    """The words of all rows, one row after the other."""
    bounds: Array
    """Where each row starts in `sequence`; one more than there are rows."""
    pair_row: Array
    pair_word: Array
    """Each word once for each row that has it, by row."""
    frequency: Array
    """Rows that have a word."""

    @property
    def size(self) -> int:
        """Rows."""
        return len(self.rows)

    @property
    def share(self) -> Array:
        """Of each label the share of rows."""
        return np.bincount(self.label, minlength=len(self.labels)) / max(self.size, 1)


def read(samples: Sequence[Sampled]) -> Corpus | str:
    """The rows with a label that is frequent enough; or why there is nothing to test."""
    counts = Counter(s.label for s in samples if s.label)
    labels = tuple(label for label, n in counts.most_common(LABELS) if n >= _FEW)
    if len(labels) < 2:
        return "no two labels with rows enough" if counts else "no field with a label"
    number = {label: i for i, label in enumerate(labels)}
    rows = tuple(s for s in samples if s.label in number)
    if len(rows) < ROWS:
        return f"only {len(rows)} rows with a label"
    vocabulary: dict[str, int] = {}
    lists = [[vocabulary.setdefault(w, len(vocabulary)) for w in _WORD.findall(row.text.lower())] for row in rows]
    bounds = np.concatenate(([0], np.cumsum([len(words) for words in lists]))).astype(np.int64)
    sequence = np.fromiter((w for words in lists for w in words), dtype=np.int64, count=int(bounds[-1]))
    owner = np.repeat(np.arange(len(rows), dtype=np.int64), np.diff(bounds))
    pairs = np.unique(owner * len(vocabulary) + sequence) if vocabulary else np.zeros(0, dtype=np.int64)
    pair_row, pair_word = pairs // max(len(vocabulary), 1), pairs % max(len(vocabulary), 1)
    frequency = np.bincount(pair_word, minlength=len(vocabulary))
    label = np.array([number[r.label] for r in rows], dtype=np.int64)
    return Corpus(rows, labels, tuple(vocabulary), label, sequence, bounds, pair_row, pair_word, frequency)


class Evidence:
    """Adds up what words say about the labels of the rows, some words at a time."""

    def __init__(self, corpus: Corpus) -> None:
        self._corpus = corpus
        many = len(corpus.labels)
        self._rows = np.bincount(corpus.label, minlength=many).astype(np.float64)
        joint = corpus.pair_word * many + corpus.label[corpus.pair_row]
        self._counts = np.bincount(joint, minlength=len(corpus.words) * many).reshape(-1, many).astype(np.float64)
        self.scores = np.tile(np.log(np.maximum(self._rows, 1.0) / corpus.size), (corpus.size, 1))

    def copy(self) -> Evidence:
        """One that goes on from here."""
        other = copy.copy(self)
        other.scores = self.scores.copy()
        return other

    def without(self, rows: Array) -> Array:
        """The scores of some rows by those of their words that mostly stand in other rows."""
        corpus = self._corpus
        first, last = np.searchsorted(corpus.pair_row, rows), np.searchsorted(corpus.pair_row, rows, side="right")
        lengths = last - first
        pairs = np.repeat(first - np.concatenate(([0], np.cumsum(lengths)[:-1])), lengths) + np.arange(
            int(lengths.sum())
        )
        word = corpus.pair_word[pairs]
        own, here = np.unique(word, return_inverse=True)
        elsewhere = corpus.frequency[own] >= 2 * np.bincount(here, minlength=len(own))
        kept = elsewhere[here]
        owner = np.repeat(np.arange(len(rows)), lengths)[kept]
        scores = np.tile(np.log(np.maximum(self._rows, 1.0) / corpus.size), (len(rows), 1))
        np.add.at(scores, owner, self._ratios(rows[owner], word[kept]))
        return scores

    def add(self, words: Array) -> None:
        """Adds the evidence of some words. words: whether each is meant."""
        corpus = self._corpus
        chosen = np.flatnonzero(words[corpus.pair_word])
        step = max(1, _CHUNK // len(corpus.labels))
        for start in range(0, len(chosen), step):
            part = chosen[start : start + step]
            np.add.at(self.scores, corpus.pair_row[part], self._ratios(corpus.pair_row[part], corpus.pair_word[part]))

    def _ratios(self, row: Array, word: Array) -> Array:
        """Of each row's word the logarithm of observed over expected rows, by label, without the row itself; both a little shrunken."""
        corpus = self._corpus
        own = corpus.label[row]
        seen = self._counts[word]
        here = np.arange(len(row))
        seen[here, own] -= 1
        others = np.tile(self._rows, (len(row), 1))
        others[here, own] -= 1
        expected = others * ((corpus.frequency[word] - 1) / max(corpus.size - 1, 1))[:, None]
        return np.log((seen + 1) / (expected + 1))

    def margins(self) -> tuple[Array, Array]:
        """Of each row the label that the words speak for, and by how much more than for its own (or, where it is its own, than for the next)."""
        scores = self.scores
        here = np.arange(len(scores))
        best = scores.argmax(axis=1)
        own = self._corpus.label
        ordered = np.partition(scores, -2, axis=1)
        margin = np.where(best == own, ordered[:, -1] - ordered[:, -2], scores[here, best] - scores[here, own])
        return best, margin
