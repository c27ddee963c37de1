# SPDX-License-Identifier: Apache-2.0
"""Reads the literal of an opcode again, when somebody wants to know what it says."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

from bastide.verify.artifacts.pickles.opcodes import LINES, SIZED
from bastide.verify.artifacts.pickles.values import Imported, Value, show

if TYPE_CHECKING:
    from bastide.verify.artifacts.pickles.machine import Machine

MAX_TEXT = 1 << 20
Buffer = Any
"""bytes, memoryview or mmap."""


def read_literal(data: Buffer, offset: int) -> str | bytes | int | float | bool | None:
    """The literal whose opcode stands at `offset` of `data`.

    Texts of over 1 MiB are cut there. Numbers that can't be read are 0: the readers would have stopped at them.
    """
    code = data[offset]
    if code in SIZED:
        return _sized(data, offset, code)
    if code in LINES:
        return _line(data, offset, code)
    return _fixed(data, offset, code)


def content_of(data: Buffer, offset: int) -> Buffer:
    """All bytes of the literal of bytes or of a text in latin-1 whose opcode stands at `offset`; b'' for others."""
    code = data[offset]
    if code not in SIZED:
        return read_literal(data, offset).encode("latin-1", "replace") if code in (0x53, 0x56) else b""  # type: ignore[union-attr]
    width, kind = SIZED[code]
    start = offset + 1 + width
    size = int.from_bytes(data[offset + 1 : start], "little")
    raw = memoryview(data)[start : start + size]
    return bytes(raw).decode("utf-8", "surrogatepass").encode("latin-1", "replace") if kind == "text" else raw


def find_line_feed(data: Buffer, start: int) -> int:
    """Where the next line ends; -1 if it doesn't."""
    if not isinstance(data, memoryview):
        found: int = data.find(b"\n", start)
        return found
    at, width = start, 64
    while at < len(data):
        within = bytes(data[at : at + width]).find(b"\n")
        if within >= 0:
            return at + within
        at, width = at + width, min(width * 4, 1 << 20)
    return -1


def text_of(data: Buffer, offset: int) -> str | None:
    """The literal if it is a text as the readers take it, else None."""
    found = read_literal(data, offset)
    return found if isinstance(found, str) else None


def _sized(data: Buffer, offset: int, code: int) -> str | bytes | int:
    width, kind = SIZED[code]
    start = offset + 1 + width
    size = int.from_bytes(data[offset + 1 : start], "little")
    raw = bytes(data[start : start + min(size, MAX_TEXT)])
    if kind == "text":
        return raw.decode("utf-8", "surrogatepass" if size <= MAX_TEXT else "replace")
    if kind == "string":
        # Python 2 strings: what a caller's `encoding` makes of them is not known here; the bytes of ASCII are the same in all.
        return raw.decode("latin-1")
    if kind == "int":
        return int.from_bytes(raw, "little", signed=True)
    return raw


def _line(data: Buffer, offset: int, code: int) -> str | int | float:
    end = find_line_feed(data, offset + 1)
    raw = bytes(data[offset + 1 : min(end if end >= 0 else len(data), offset + 1 + MAX_TEXT)])
    if code == 0x56:  # UNICODE
        return raw.decode("raw-unicode-escape", "replace")
    if code == 0x53:  # STRING
        return raw[1:-1].decode("unicode-escape", "replace")
    try:
        return float(raw) if code == 0x46 else int(raw.rstrip(b"L"), 10)
    except ValueError:
        return 0


def _fixed(data: Buffer, offset: int, code: int) -> int | float | bool | None:
    match code:
        case 0x4B:
            return int(data[offset + 1])
        case 0x4D:
            return int.from_bytes(data[offset + 1 : offset + 3], "little")
        case 0x4A:
            return int.from_bytes(data[offset + 1 : offset + 5], "little", signed=True)
        case 0x47:
            number: float = struct.unpack(">d", data[offset + 1 : offset + 9])[0]
            return number
        case 0x88:
            return True
        case 0x89:
            return False
    return None


def shown_call(callee: Imported, arguments: Value, machine: Machine | None) -> str:
    """A call for a person, as Python writes it."""
    shown = arguments if isinstance(arguments, tuple) else (arguments,)
    return f"{callee}({', '.join(_shown(a, machine) for a in shown[:4])})"


def _shown(value: Value, machine: Machine | None) -> str:
    if isinstance(value, int) and machine is not None:
        return repr(read_literal(machine.data, value))[:120]
    if isinstance(value, tuple):
        return f"({', '.join(_shown(v, machine) for v in value[:4])})"
    return show(value)
