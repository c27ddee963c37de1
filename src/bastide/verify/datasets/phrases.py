# SPDX-License-Identifier: Apache-2.0
"""Runs of words that enough rows of a sample have."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bastide.verify.datasets.corpus import Array, Corpus


@dataclass(frozen=True, slots=True)
class Phrases:
    """The phrases of one length that are frequent enough."""

    row: Array
    phrase: Array
    """Each phrase once for each row that has it, by phrase."""
    rows: Array
    """Rows of each phrase."""
    start: Array
    """Where in the corpus' sequence each phrase stands first."""
    length: int

    def words(self, corpus: Corpus, number: int) -> Sequence[int]:
        """The words of a phrase."""
        start = int(self.start[number])
        return [int(w) for w in corpus.sequence[start : start + self.length]]

    def rows_of(self, number: int) -> Array:
        """The rows that have a phrase."""
        first, last = np.searchsorted(self.phrase, [number, number + 1])
        return self.row[first:last]


def phrases(corpus: Corpus, length: int, least: int) -> Phrases:
    """The phrases of a length in at least so many rows; runs with a rare word are left out before they are counted."""
    count = len(corpus.sequence) - length + 1
    if count <= 0:
        empty = np.zeros(0, dtype=np.int64)
        return Phrases(empty, empty, empty, empty, length)
    owner = np.repeat(np.arange(corpus.size, dtype=np.int64), np.diff(corpus.bounds))
    fits = owner[:count] == owner[length - 1 :]
    key = np.zeros(count, dtype=np.uint64)
    for offset in range(length):
        word = corpus.sequence[offset : offset + count]
        fits &= corpus.frequency[word] >= least
        key = (key ^ word.astype(np.uint64)) * np.uint64(0x9E3779B97F4A7C15)
        key ^= key >> np.uint64(29)
    at = np.flatnonzero(fits)
    key, row = key[at], owner[:count][at]
    order = np.lexsort((row, key))
    at, key, row = at[order], key[order], row[order]
    new, fresh = _changes(key), _changes(key, row)
    number = np.cumsum(new) - 1
    rows = np.bincount(number[fresh], minlength=int(new.sum()))
    keep = rows >= least
    chosen = keep[number] & fresh
    return Phrases(row[chosen], (np.cumsum(keep) - 1)[number[chosen]], rows[keep], at[new][keep], length)


def _changes(*keys: Array) -> Array:
    """Where one of the sorted keys differs from the one before."""
    found = np.ones(len(keys[0]), dtype=bool)
    found[1:] = np.any([key[1:] != key[:-1] for key in keys], axis=0)
    return found
