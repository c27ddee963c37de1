# SPDX-License-Identifier: Apache-2.0
"""Hashed features of a text: character and word n-grams of its UTF-8 bytes, a window at a time.

Everything is integer arithmetic modulo 2**64, so a text has the same features on every platform. A range of bytes is hashed from prefix
sums of a polynomial (R. Karp, M. Rabin, 1987) whose base is odd and so has an inverse; that hashes all words of a window at once.
Feature hashing: K. Weinberger et al., "Feature Hashing for Large Scale Multitask Learning" (ICML 2009).
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

import numpy as np
from numpy.typing import NDArray

BITS = 17
"""There are 2**BITS features."""
WINDOW, STEP = 640, 400
"""Bytes of a window, and from one window's start to the next one's: an attack is seen whole in one, however long the text around it."""
MOST = 4096
"""Windows of a text that are read."""
_BASE = 0x9E3779B97F4A7C15
_INVERSE = pow(_BASE, -1, 2**64)
_MIX = np.uint64(0xFF51AFD7ED558CCD)
_SHIFT = np.uint64(64 - BITS)
_FOLD = np.uint64(29)
_CHARACTERS = (4, 5)
_CHAR_SALT = tuple(np.uint64(s) for s in (0x1D8AF066, 0x2C1B3C6D))
_WORD_SALT = tuple(np.uint64(s) for s in (0x3B9ACA07, 0x4F1BBCDD, 0x5BD1E995, 0x6C078965))
_NEXT = tuple(np.uint64(s) for s in (0x2545F4914F6CDD1D, 0xD6E8FEB86659FD93))

U64 = NDArray[np.uint64]
Indexes = NDArray[np.int64]


def _table() -> bytes:
    """Maps a byte to itself in lower case where it is part of a word, else to a blank; digits become one."""
    kept = bytearray(b" " * 256)
    for byte in range(256):
        char = chr(byte)
        if byte >= 128 or (char.isascii() and char.isalpha()):
            kept[byte] = ord(char.lower()) if byte < 128 else byte
        elif char.isdigit():
            kept[byte] = ord("0")
        elif char in "<>[]{}|#":
            kept[byte] = byte
    return bytes(kept)


_TABLE = _table()


def clean(text: str) -> bytes:
    """What n-grams are taken of: lower case, one blank between words, a blank at both ends."""
    data = text.lower().encode("utf-8", "replace").translate(_TABLE)
    return b" " + b" ".join(data.split()) + b" "


def windows(data: bytes) -> Iterator[bytes]:
    """Overlapping windows of cleaned bytes; at most `MOST`."""
    if len(data) <= WINDOW:
        yield data
        return
    for count, start in enumerate(range(0, len(data) - WINDOW + STEP, STEP)):
        if count == MOST:
            return
        # From the next blank on, so that no window starts within a word.
        begin = data.find(b" ", start, start + 64) if start else 0
        yield data[begin if begin >= 0 else start : start + WINDOW]


def complete(data: bytes) -> bool:
    """Whether the windows cover everything."""
    return len(data) <= WINDOW + (MOST - 1) * STEP


@cache
def _powers() -> tuple[U64, U64]:
    """Powers of the base and of its inverse."""
    size = WINDOW + 2
    up, down = np.empty(size, np.uint64), np.empty(size, np.uint64)
    a = b = 1
    for i in range(size):
        up[i], down[i] = a, b
        a, b = a * _BASE % 2**64, b * _INVERSE % 2**64
    return up, down


def features(window: bytes) -> Indexes:
    """The distinct features of a window, sorted. Raises `ValueError` when it is longer than a window."""
    up, down = _powers()
    raw = np.frombuffer(window, np.uint8)
    size = len(raw)
    if size > WINDOW:
        raise ValueError("longer than a window")
    prefix = np.zeros(size + 1, np.uint64)
    np.cumsum((raw.astype(np.uint64) + np.uint64(1)) * up[:size], out=prefix[1:])
    hashes = []
    for n, salt in zip(_CHARACTERS, _CHAR_SALT, strict=True):
        if size >= n:
            hashes.append(((prefix[n:] - prefix[:-n]) * down[: size - n + 1]) ^ salt)
    blanks = np.flatnonzero(raw == 32)
    if len(blanks) > 1:
        words = (prefix[blanks[1:]] - prefix[blanks[:-1] + 1]) * down[blanks[:-1] + 1]
        hashes += _phrases(words)
    if not hashes:
        return np.zeros(0, np.int64)
    mixed = np.concatenate(hashes)
    mixed ^= mixed >> _FOLD
    mixed *= _MIX
    return np.unique((mixed >> _SHIFT).astype(np.int64))


def _phrases(words: U64) -> list[U64]:
    """Words, pairs, triples, and pairs with one word left out between them."""
    found = [words ^ _WORD_SALT[0]]
    if len(words) > 1:
        found.append((words[:-1] + words[1:] * _NEXT[0]) ^ _WORD_SALT[1])
    if len(words) > 2:
        found.append((words[:-2] + words[1:-1] * _NEXT[0] + words[2:] * _NEXT[1]) ^ _WORD_SALT[2])
        found.append((words[:-2] + words[2:] * _NEXT[1]) ^ _WORD_SALT[3])
    return found
