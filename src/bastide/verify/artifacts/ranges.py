# SPDX-License-Identifier: Apache-2.0
"""A file elsewhere, of which only what is asked for is fetched: headers and directories of large models, not their tensors.

It can be measured, indexed and sliced like bytes, but is no buffer: a reader that needs all of it fails loudly instead of reading nothing.
"""

from __future__ import annotations

import mmap
import tempfile
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, overload

from bastide.verify.process import allow_address_space

BLOCK = 1 << 16
KEPT = 1024
"""Blocks that are kept: 64 MiB."""
AHEAD = 64
"""Blocks that are fetched at once at most, when they are asked for one after the other."""
AT_ONCE = 8 << 20
"""Longer slices are parts of which nothing has been fetched yet."""
IN_MEMORY = 64 << 20

Fetch = Callable[[int, int], bytes]
"""The bytes from an offset to another. Raises `OSError`."""


class Ranges:
    """A file, or a part of one."""

    def __init__(self, size: int, fetch: Fetch) -> None:
        self._size, self._fetch = size, fetch
        self._blocks: OrderedDict[int, bytes] = OrderedDict()
        self._next, self._run = -1, 1
        self._whole: Any = None
        self.fetched = 0
        """Bytes that came over the wire."""

    def __len__(self) -> int:
        return self._size

    @overload
    def __getitem__(self, place: int) -> int: ...
    @overload
    def __getitem__(self, place: slice) -> Any: ...
    def __getitem__(self, place: int | slice) -> Any:
        if self._whole is not None:
            return self._whole[place]
        if isinstance(place, int):
            at = place + self._size if place < 0 else place
            if not 0 <= at < self._size:
                raise IndexError(place)
            return self._block(at // BLOCK)[at % BLOCK]
        start, stop, step = place.indices(self._size)
        if step != 1:
            raise TypeError("only contiguous slices")
        if stop - start <= AT_ONCE:
            return self._bytes(start, max(start, stop))
        return Ranges(stop - start, lambda a, b: self._read(start + a, start + b))

    def __bytes__(self) -> bytes:
        return bytes(self.whole())

    def whole(self) -> Any:
        """All of it as a buffer: in memory, or in a temporary file without a name. Raises `OSError`."""
        if self._whole is None:
            self._whole = self._read(0, self._size) if self._size <= IN_MEMORY else self._downloaded()
            self._blocks.clear()
        return self._whole

    def _downloaded(self) -> Any:
        with tempfile.TemporaryFile() as file:
            for at in range(0, self._size, AT_ONCE):
                file.write(self._read(at, min(at + AT_ONCE, self._size)))
            file.flush()
            allow_address_space(self._size)
            return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)

    def _bytes(self, start: int, stop: int) -> bytes:
        first, last = start // BLOCK, (stop - 1) // BLOCK
        if start >= stop:
            return b""
        if last - first > 1:
            return self._read(start, stop)
        joined = b"".join(self._block(n) for n in range(first, last + 1))
        return joined[start - first * BLOCK : stop - first * BLOCK]

    def _block(self, number: int) -> bytes:
        if number not in self._blocks:
            self._run = min(self._run * 2, AHEAD) if number == self._next else 1
            start = number * BLOCK
            found = self._read(start, min(start + self._run * BLOCK, self._size))
            for at in range(0, len(found), BLOCK):
                self._blocks[number + at // BLOCK] = found[at : at + BLOCK]
            self._next = number + self._run
            while len(self._blocks) > KEPT:
                self._blocks.popitem(last=False)
        return self._blocks[number]

    def _read(self, start: int, stop: int) -> bytes:
        found = self._fetch(start, stop) if start < stop else b""
        if len(found) != stop - start:
            raise OSError(0, f"{len(found)} bytes came where {stop - start} were asked for")
        self.fetched += len(found)
        return found


def whole(data: Any) -> Any:
    """What is to be read as a buffer."""
    return data.whole() if isinstance(data, Ranges) else data
