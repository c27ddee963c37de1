# SPDX-License-Identifier: Apache-2.0
"""The fields of a GGUF file, in its order of bytes and none behind its end."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass

from bastide.verify.artifacts.interface import Buffer

SIZES: Mapping[int, tuple[int, int]] = {
    0: (1, 4), 1: (1, 2), 2: (32, 18), 3: (32, 20), 6: (32, 22), 7: (32, 24), 8: (32, 34), 9: (32, 36), 10: (256, 84), 11: (256, 110),
    12: (256, 144), 13: (256, 176), 14: (256, 210), 15: (256, 292), 16: (256, 66), 17: (256, 74), 18: (256, 98), 19: (256, 50), 20: (32, 18),
    21: (256, 110), 22: (256, 82), 23: (256, 136), 24: (1, 1), 25: (1, 2), 26: (1, 4), 27: (1, 8), 28: (1, 8), 29: (256, 56), 30: (1, 2),
    34: (256, 54), 35: (256, 66), 39: (32, 17), 40: (64, 36), 41: (128, 18),
}  # fmt: skip
"""Of each type of tensor: elements in a block, bytes of a block."""
STRING, ARRAY, BOOL = 8, 9, 7
WIDTHS = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, BOOL: 1, 10: 8, 11: 8, 12: 8}
"""Bytes of a value of each type of metadata."""
MAX_ARRAYS = 8
"""Arrays in arrays."""


class Broken(Exception):
    """What can't be read on."""

    def __init__(self, why: str, offset: int, *, hostile: bool = False) -> None:
        super().__init__(why)
        self.offset, self.hostile = offset, hostile


@dataclass(frozen=True, slots=True)
class Value:
    """A value of the metadata."""

    type: int
    offset: int
    text: bytes | None = None
    number: int | None = None


class Fields:
    """Reads one after the other; raises `Broken`."""

    def __init__(self, data: Buffer) -> None:
        self._data, self._size = data, len(data)
        if self._size < 8:
            raise Broken("cut off in the header", 4)
        (little,) = struct.unpack("<I", data[4:8])
        # A version has small numbers: in the wrong order its low half is empty.
        self._order = ">" if little and not little & 0xFFFF else "<"
        (self.version,) = struct.unpack(f"{self._order}I", data[4:8])
        self.offset = 8
        wide = struct.Struct(f"{self._order}Q")
        self._formats = {
            4: struct.Struct(f"{self._order}I"),
            8: wide,
            1: struct.Struct("B"),
            2: struct.Struct(f"{self._order}H"),
        }

    def number(self, width: int) -> int:
        """An unsigned one."""
        if self.offset + width > self._size:
            raise Broken("cut off", self.offset)
        (value,) = self._formats[width].unpack(self._data[self.offset : self.offset + width])
        self.offset += width
        return int(value)

    def count(self, what: str, least: int) -> int:
        """How many there are of something that takes at least so many bytes."""
        at = self.offset
        value = self.number(4 if self.version == 1 else 8)
        if value >= 1 << 58:
            raise Broken(f"says that it has {value} {what}", at, hostile=True)
        if value * (least - (4 if self.version == 1 else 0)) > self._size:
            raise Broken(f"says that it has {value} {what}, more than fit into it", at)
        return value

    def _length(self) -> int:
        at = self.offset
        length = self.number(4 if self.version == 1 else 8)
        if length >= 1 << 62:
            raise Broken(f"a text or list is said to have the length {length}", at, hostile=True)
        if length > self._size - self.offset:
            raise Broken(f"a text or list of the length {length} ends behind the end of the file", at)
        return length

    def text(self) -> bytes:
        """A text with its length before it."""
        length = self._length()
        begin = self.offset
        self.offset += length
        return bytes(self._data[begin : self.offset])

    def value(self) -> Value:
        """A type, and a value of it; of arrays only the end is found."""
        at = self.offset
        kind = self.number(4)
        begin = self.offset
        if kind == STRING:
            text = self.text()
            return Value(kind, self.offset - len(text), text=text)
        if kind == ARRAY:
            self._array(MAX_ARRAYS)
            return Value(kind, begin)
        if kind not in WIDTHS:
            raise Broken(f"a metadata value of the type {kind}, which isn't known here", at)
        number = self.number(WIDTHS[kind])
        if kind == BOOL and number > 1:
            raise Broken(f"a truth value of {number}", begin)
        return Value(kind, begin, number=number)

    def _array(self, depth: int) -> None:
        at = self.offset
        if not depth:
            raise Broken("lists nested deeper than is read", at)
        kind = self.number(4)
        length = self._length()
        if kind == STRING:
            self._skip_texts(length)
        elif kind == ARRAY:
            for _ in range(length):
                self._array(depth - 1)
        elif kind in WIDTHS:
            self.offset += length * WIDTHS[kind]
            if self.offset > self._size:
                raise Broken("a list ends behind the end of the file", at)
        else:
            raise Broken(f"a list of the type {kind}, which isn't known here", at)

    def _skip_texts(self, count: int) -> None:
        """Hundreds of thousands of tokens: in one loop without calls."""
        form = self._formats[4 if self.version == 1 else 8]
        width, unpack, data, size = form.size, form.unpack, self._data, self._size
        at = self.offset
        for _ in range(count):
            if at + width > size:
                raise Broken("cut off in a list of texts", at)
            (length,) = unpack(data[at : at + width])
            if length > size - at - width:
                raise Broken(f"a text of {length} bytes ends behind the end of the file", at, hostile=length >= 1 << 62)
            at += width + length
        self.offset = at
