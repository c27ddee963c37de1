# SPDX-License-Identifier: Apache-2.0
"""FlatBuffers without their schema: tables, vectors and texts, bounded (https://flatbuffers.dev/internals/)."""

from __future__ import annotations

import struct
from array import array
from collections.abc import Iterator

from bastide.verify.artifacts.interface import Buffer

MAX_ITEMS = 1_000_000
MAX_NUMBERS = 50_000_000


class NotFlatbuffer(Exception):
    """What points outside of the file, or is too much."""

    def __init__(self, why: str, offset: int) -> None:
        super().__init__(why)
        self.offset = offset


class Table:
    """A table at an offset."""

    def __init__(self, data: Buffer, at: int) -> None:
        self.data, self.at = data, at
        self._fields = at - self._number("<i", at)
        self._size = self._number("<H", self._fields)

    def field(self, index: int) -> int:
        """Where a field stands; 0 when it isn't there."""
        place = 4 + 2 * index
        if place + 2 > self._size:
            return 0
        offset = self._number("<H", self._fields + place)
        return self.at + offset if offset else 0

    def number(self, index: int, form: str = "<i") -> int:
        """A number; 0 when it isn't there."""
        at = self.field(index)
        return self._number(form, at) if at else 0

    def text(self, index: int) -> str:
        """A text, at most 1000 bytes of it."""
        at = self.field(index)
        if not at:
            return ""
        begin, count = self._vector(at, 1)
        return bytes(self.data[begin : begin + min(count, 1000)]).decode("utf-8", "replace")

    def table(self, index: int) -> Table | None:
        """A table in a field."""
        at = self.field(index)
        return Table(self.data, at + self._number("<I", at)) if at else None

    def tables(self, index: int) -> Iterator[Table]:
        """The tables of a vector."""
        at = self.field(index)
        if not at:
            return
        begin, count = self._vector(at, 4)
        for item in range(begin, begin + 4 * count, 4):
            yield Table(self.data, item + self._number("<I", item))

    def texts(self, index: int) -> list[str]:
        """The texts of a vector, at most 1000 bytes of each."""
        at = self.field(index)
        found: list[str] = []
        if at:
            begin, count = self._vector(at, 4)
            for item in range(begin, begin + 4 * count, 4):
                start, size = self._vector(item, 1)
                found.append(bytes(self.data[start : start + min(size, 1000)]).rstrip(b"\0").decode("utf-8", "replace"))
        return found

    def integers(self, index: int) -> array[int]:
        """The 32-bit numbers of a vector."""
        at = self.field(index)
        begin, count = self._vector(at, 4, MAX_NUMBERS) if at else (0, 0)
        return array("i", bytes(self.data[begin : begin + 4 * count]))

    def _vector(self, at: int, width: int, most: int = MAX_ITEMS) -> tuple[int, int]:
        begin = at + self._number("<I", at)
        count = self._number("<I", begin)
        if count > most and width > 1:
            raise NotFlatbuffer(f"{count} items", begin)
        if begin + 4 + count * width > len(self.data):
            raise NotFlatbuffer("a list ends behind the end of the file", begin)
        return begin + 4, count

    def _number(self, form: str, at: int) -> int:
        try:
            if at < 0:
                raise NotFlatbuffer("points before the beginning of the file", 0)
            (value,) = struct.unpack_from(form, self.data, at)
        except struct.error:
            raise NotFlatbuffer("points behind the end of the file", min(at, len(self.data))) from None
        return int(value)


def root(data: Buffer) -> Table:
    """The table at which a file begins."""
    if len(data) < 8:
        raise NotFlatbuffer("cut off", 0)
    return Table(data, struct.unpack_from("<I", data)[0])
