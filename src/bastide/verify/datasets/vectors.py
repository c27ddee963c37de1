# SPDX-License-Identifier: Apache-2.0
"""Rows as vectors of length one: hashed words and pairs of words, weighted by how rare they are (K. Weinberger et al., "Feature hashing", 2009)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from bastide.verify.datasets.corpus import Array, Corpus

_SIZE = 512
_SEED = 7


def vectors(corpus: Corpus, rows: Array, without: Sequence[int] = ()) -> Array:
    """A vector for each row. without: words that don't count."""
    lengths = np.diff(corpus.bounds)[rows]
    owner = np.repeat(np.arange(len(rows), dtype=np.int64), lengths)
    starts = np.repeat(corpus.bounds[:-1][rows] - np.concatenate(([0], np.cumsum(lengths)[:-1])), lengths)
    words = corpus.sequence[starts + np.arange(len(owner))]
    if len(without):
        kept = ~np.isin(words, np.array(without))
        words, owner = words[kept], owner[kept]
    result = np.zeros((len(rows), _SIZE), dtype=np.float32)
    if len(words):
        weight = (np.log((corpus.size + 1) / (corpus.frequency + 1)) + 0.01)[words]
        keys = np.random.default_rng(_SEED).integers(1, 1 << 61, size=len(corpus.words), dtype=np.int64)[words]
        _add(result, owner, keys, weight)
        pair = owner[:-1] == owner[1:]
        both = (keys[:-1][pair] * 31 + keys[1:][pair]) & ((1 << 62) - 1)
        _add(result, owner[:-1][pair], both, (weight[:-1] + weight[1:])[pair] / 2)
    return result / np.maximum(np.linalg.norm(result, axis=1, keepdims=True), 1e-9)


def _add(result: Array, owner: Array, keys: Array, weight: Array) -> None:
    sign = np.where(keys & 1, 1.0, -1.0) * weight
    flat = np.bincount(owner * _SIZE + (keys >> 8) % _SIZE, weights=sign, minlength=result.size)
    result += flat.reshape(result.shape).astype(np.float32)
