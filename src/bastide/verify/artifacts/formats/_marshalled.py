# SPDX-License-Identifier: Apache-2.0
"""Whether bytes are a whole Python function as `marshal` writes it, in any version of Python. Nothing is unmarshalled.

Layout after `Python/marshal.c` of CPython.
"""

from __future__ import annotations

CODE, REFERENCED = 0x63, 0x80
LAYOUTS = ((5, 2), (6, 1), (5, 1), (4, 1))
"""Of code objects in 3.11 and later, 3.8 to 3.10, 3.0 to 3.7, and 2: numbers in front, then come eight objects and a number, objects behind it."""
FIXED = dict.fromkeys(b"0NFTS.", 0) | {0x69: 4, 0x49: 8, 0x67: 8, 0x79: 16, 0x72: 4, 0x52: 4}
SHORT = {0x7A: 1, 0x5A: 1, 0x66: 1, 0x78: 2}
"""How many texts follow, each behind its length in one byte: of texts, and of floating and complex numbers that are written as such."""
LONG = frozenset(b"stuaA")
"""Texts and bytes behind their length in four bytes."""
ITEMS_OF = {0x7B: (-2,), 0x3A: (-1, -1, -1)}
"""What a dict and a slice hold."""
ITEMS = frozenset(b"([<>")
MAX_OBJECTS = 200_000


class _Broken(Exception):
    """No object, or not all of it."""


def whole(data: bytes) -> bool:
    """Whether it is one function from the first byte to the last."""
    return bool(data) and data[0] & ~REFERENCED == CODE and any(_fits(data, *layout) for layout in LAYOUTS)


def _fits(data: bytes, before: int, behind: int) -> bool:
    at = 0
    awaited: list[int] = [-1]
    """What is still to come, the next one last: -1 an object, -2 entries of a dict, else that many bytes."""
    try:
        for _ in range(MAX_OBJECTS):
            if not awaited or len(awaited) > len(data) - at:
                # Each that is awaited takes a byte at least.
                return not awaited and at == len(data)
            due = awaited.pop()
            if due >= 0:
                at = _past(data, at, due)
            elif due == -2 and data[at] & ~REFERENCED == 0x30:
                at += 1
            else:
                awaited += [-2, -1] if due == -2 else []
                kind = data[at] & ~REFERENCED
                if kind == CODE:
                    at = _past(data, at + 1, 4 * before)
                    awaited += [-1] * behind + [4] + [-1] * 8
                else:
                    at = _object(data, at + 1, kind, awaited)
    except (_Broken, IndexError):
        pass
    return False


def _object(data: bytes, at: int, kind: int, awaited: list[int]) -> int:
    """Passes what is told of an object; adds what it holds to what is awaited."""
    if kind in FIXED:
        return _past(data, at, FIXED[kind])
    if kind in SHORT:
        for _ in range(SHORT[kind]):
            at = _past(data, at + 1, data[at])
        return at
    if kind in ITEMS_OF:
        awaited += ITEMS_OF[kind]
        return at
    if kind == 0x29:  # a short tuple
        awaited += [-1] * data[at]
        return at + 1
    count = int.from_bytes(data[at : at + 4], "little", signed=True)
    if kind == 0x6C:  # a long number in pieces of 15 bits
        return _past(data, at + 4, 2 * abs(count))
    if count < 0 or (kind not in LONG and kind not in ITEMS) or count > len(data):
        raise _Broken
    if kind in ITEMS:
        awaited += [-1] * count
        return at + 4
    return _past(data, at + 4, count)


def _past(data: bytes, at: int, size: int) -> int:
    if at + size > len(data):
        raise _Broken
    return at + size
