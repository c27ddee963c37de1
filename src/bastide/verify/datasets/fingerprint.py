# SPDX-License-Identifier: Apache-2.0
"""Fingerprints of rows: an exact one, and sixteen minima by which similar texts are found (A. Broder, "On the resemblance of documents", 1997).

The shingles are runs of eight bytes; of those, the quarter whose hash ends in two zeros is used, which leaves the estimate unbiased. Of each
minimum 16 bits are kept (P. Li and C. König, "b-Bit minwise hashing", 2010): four times four of them are the bands by which candidates meet.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b
from typing import Any

import numpy as np

MINIMA = 16
_SHINGLE = 8
_ENOUGH = 6
"""Shingles, after the choice, from which on a text can be compared."""
_ODD = np.array(
    np.random.default_rng(20_25).integers(1 << 20, 1 << 32, size=MINIMA, dtype=np.uint64) | 1, dtype=np.uint32
)
Array = Any


def exact(texts: Sequence[str]) -> Array:
    """64 bits for each text."""
    digests = b"".join(blake2b(t.encode("utf-8", "surrogatepass"), digest_size=8).digest() for t in texts)
    return np.frombuffer(digests, dtype="<u8")


def signatures(texts: Sequence[str]) -> Array:
    """Sixteen times 16 bits for each text; zeros for one that is too short to be compared."""
    result = np.zeros((len(texts), MINIMA), dtype="<u2")
    raw = [t.lower().encode("utf-8", "surrogatepass") for t in texts]
    ends = np.cumsum([len(r) for r in raw], dtype=np.int64)
    if not len(ends) or ends[-1] < _SHINGLE:
        return result
    data = np.frombuffer(b"".join(raw) + b"\0" * _SHINGLE, dtype=np.uint8)
    # Two overlapping words of four bytes, mixed.
    words = np.lib.stride_tricks.sliding_window_view(data, 4)[:, :].copy().view("<u4").ravel()
    hashes = words[: ends[-1]] * np.uint32(0x9E3779B1) ^ (
        words[4 : ends[-1] + 4] * np.uint32(0x85EBCA77) + np.uint32(0x27D4EB2F)
    )
    hashes ^= hashes >> np.uint32(15)
    hashes *= np.uint32(0x2C1B3C6D)
    hashes ^= hashes >> np.uint32(12)
    chosen = np.flatnonzero((hashes & np.uint32(3)) == 0)
    rows = np.searchsorted(ends, chosen, side="right")
    inside = chosen + _SHINGLE <= ends[rows]
    chosen, rows = chosen[inside], rows[inside]
    counts = np.bincount(rows, minlength=len(texts))
    able = np.flatnonzero(counts >= _ENOUGH)
    if not len(able):
        return result
    kept = hashes[chosen] >> np.uint32(2)
    keep = counts[rows] >= _ENOUGH
    kept = kept[keep]
    starts = np.concatenate(([0], np.cumsum(counts[able])[:-1]))
    for index, odd in enumerate(_ODD):
        mixed = kept * odd
        mixed ^= mixed >> np.uint32(16)
        least = np.minimum.reduceat(mixed, starts)
        result[able, index] = (least * np.uint32(0x9E3779B1)) >> np.uint32(16)
    # All zero means not comparable.
    result[able, 0] |= result[able].any(axis=1) == 0
    return result
