# SPDX-License-Identifier: Apache-2.0
"""A cache for what is made from callers' texts: bounded by the size of the texts, not by their number, and it keeps none of them."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from hashlib import blake2b
from threading import Lock
from typing import Generic, TypeVar

V = TypeVar("V")


class ByDigest(Generic[V]):
    """What a function makes of a text, the most recently used first. Safe for several threads."""

    def __init__(self, make: Callable[[bytes], V], most: int) -> None:
        """most: bytes of all texts together. One of over a quarter of that is made anew each time."""
        self._make = make
        self._most = most
        self._size = 0
        self._kept: OrderedDict[bytes, tuple[int, V]] = OrderedDict()
        self._lock = Lock()

    def __len__(self) -> int:
        return len(self._kept)

    def __call__(self, text: bytes) -> V:
        """The value for a text."""
        key = blake2b(text, digest_size=16).digest()
        with self._lock:
            found = self._kept.get(key)
            if found is not None:
                self._kept.move_to_end(key)
                return found[1]
        value = self._make(text)
        if len(text) <= self._most // 4:
            with self._lock:
                if key not in self._kept:
                    self._kept[key] = (len(text), value)
                    self._size += len(text)
                while self._size > self._most:
                    _, (size, _) = self._kept.popitem(last=False)
                    self._size -= size
        return value
