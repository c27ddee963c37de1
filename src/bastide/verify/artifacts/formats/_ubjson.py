# SPDX-License-Identifier: Apache-2.0
"""Universal Binary JSON, draft 12 (https://ubjson.org), as XGBoost writes it: bounded, big-endian, lists of one type as arrays."""

from __future__ import annotations

import struct
import sys
from array import array
from typing import Any

from bastide.verify.artifacts.interface import Buffer

MAX_DEPTH = 100
MAX_VALUES = 20_000_000
"""Values outside of lists of one type."""
MAX_KEPT = 1 << 28
"""Bytes of lists of one type that are taken into memory."""
_NUMBERS = {
    b"i": ("b", 1),
    b"U": ("B", 1),
    b"I": ("h", 2),
    b"l": ("i", 4),
    b"L": ("q", 8),
    b"d": ("f", 4),
    b"D": ("d", 8),
}
_CONSTANTS = {b"Z": None, b"T": True, b"F": False}


class NotUbjson(Exception):
    """What can't be read on."""

    def __init__(self, why: str, offset: int) -> None:
        super().__init__(why)
        self.offset = offset


class UbjsonParser:
    """Reads one value."""

    def __init__(self, data: Buffer) -> None:
        self._data, self.at = data, 0
        self._left, self._kept = MAX_VALUES, MAX_KEPT
        self.repeated: dict[str, int] = {}
        """Keys that stand twice in an object, and where."""

    def value(self) -> Any:
        """The value that begins where the parser stands. Raises `NotUbjson`."""
        return self._value(self._marker(), 0)

    def _marker(self) -> bytes:
        """The next byte; no-ops are passed over."""
        while True:
            marker = bytes(self._data[self.at : self.at + 1])
            if not marker:
                raise NotUbjson("it ends too early", self.at)
            self.at += 1
            if marker != b"N":
                return marker

    def _value(self, marker: bytes, depth: int) -> Any:
        self._left -= 1
        if self._left < 0 or depth > MAX_DEPTH:
            raise NotUbjson("deeper or longer than is read here", self.at)
        if marker in _CONSTANTS:
            return _CONSTANTS[marker]
        if marker in _NUMBERS:
            return self._number(marker)
        if marker in (b"S", b"H"):
            return self._text()
        if marker == b"C":
            return self._take(1).decode("latin-1")
        if marker == b"[":
            return self._list(depth)
        if marker == b"{":
            return self._object(depth)
        raise NotUbjson(f"a value of the kind {marker!r}", self.at - 1)

    def _take(self, count: int) -> bytes:
        piece = bytes(self._data[self.at : self.at + count])
        if len(piece) < count:
            raise NotUbjson(f"{count} bytes are announced and {len(piece)} are left", self.at)
        self.at += count
        return piece

    def _number(self, marker: bytes) -> int | float:
        form, width = _NUMBERS[marker]
        value: int | float = struct.unpack(">" + form, self._take(width))[0]
        return value

    def _length(self) -> int:
        at = self.at
        marker = self._marker()
        if marker not in _NUMBERS or marker in (b"d", b"D"):
            raise NotUbjson(f"a length of the kind {marker!r}", at)
        length = int(self._number(marker))
        if not 0 <= length <= 1 << 48:
            raise NotUbjson(f"a length of {length}", at)
        return length

    def _text(self) -> str:
        at, length = self.at, self._length()
        if length > len(self._data) - self.at:
            raise NotUbjson(f"a text of {length} bytes, and {len(self._data) - self.at} are left", at)
        return self._take(length).decode("utf-8", "surrogateescape")

    def _header(self) -> tuple[bytes, int]:
        """The common type of what follows, and how many there are; -1 when they end with a mark."""
        kind, count = b"", -1
        if bytes(self._data[self.at : self.at + 1]) == b"$":
            self.at += 1
            kind = self._take(1)
            if bytes(self._data[self.at : self.at + 1]) != b"#":
                raise NotUbjson("a type without a count", self.at)
        if bytes(self._data[self.at : self.at + 1]) == b"#":
            self.at += 1
            count = self._length()
        if count > 0 and not kind and count > len(self._data) - self.at:
            raise NotUbjson(f"{count} values, and {len(self._data) - self.at} bytes are left", self.at)
        return kind, count

    def _list(self, depth: int) -> Any:
        kind, count = self._header()
        if kind in _NUMBERS:
            return self._numbers(kind, count)
        if kind in _CONSTANTS or kind == b"N":
            raise NotUbjson("values without content", self.at)
        made: list[Any] = []
        while len(made) != count:
            marker = kind or self._marker()
            if marker == b"]" and count < 0:
                break
            made.append(self._value(marker, depth + 1))
        return made

    def _numbers(self, kind: bytes, count: int) -> array[Any]:
        form, width = _NUMBERS[kind]
        size, start = count * width, self.at
        if size > len(self._data) - start:
            raise NotUbjson(f"a list of {count} numbers, and {len(self._data) - start} bytes are left", start)
        self._kept -= size
        if self._kept < 0:
            raise NotUbjson("more numbers than are read here", start)
        made = array(form, self._take(size))
        if sys.byteorder == "little":
            made.byteswap()
        return made

    def _object(self, depth: int) -> dict[str, Any]:
        kind, count = self._header()
        made: dict[str, Any] = {}
        seen = 0
        while seen != count:
            at = self.at
            if count < 0:
                if self._marker() == b"}":
                    break
                self.at -= 1
            key = self._text()
            if key in made and len(self.repeated) < 20:
                self.repeated[key[:200]] = at
            made[key] = self._value(kind or self._marker(), depth + 1)
            seen += 1
        return made
