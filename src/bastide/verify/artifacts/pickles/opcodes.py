# SPDX-License-Identifier: Apache-2.0
"""The opcodes of pickle, protocols 0 to 5, as CPython's two readers take them.

Sources: PEP 307, 3154 and 574; `Lib/pickle.py` and `Modules/_pickle.c` of CPython 3.11 to 3.14. `pickletools` is no source: it refuses
what the readers accept.
"""

from __future__ import annotations

FIXED = {0x4E: 0, 0x88: 0, 0x89: 0, 0x4B: 1, 0x4D: 2, 0x4A: 4, 0x47: 8}
"""Literals of a fixed width: NONE, NEWTRUE, NEWFALSE, BININT1, BININT2, BININT, BINFLOAT."""

SIZED: dict[int, tuple[int, str]] = {
    0x8C: (1, "text"), 0x58: (4, "text"), 0x8D: (8, "text"),
    0x43: (1, "bytes"), 0x42: (4, "bytes"), 0x8E: (8, "bytes"), 0x96: (8, "bytes"),
    0x55: (1, "string"), 0x54: (4, "string"),
    0x8A: (1, "int"), 0x8B: (4, "int"),
}  # fmt: skip
"""Literals that say their size first: opcode -> width of the size in bytes, kind."""

SIGNED = frozenset({0x54, 0x8B})
"""Those whose size is signed: a negative one ends the reading."""

LINES = frozenset({0x49, 0x4C, 0x46, 0x53, 0x56})
"""Literals that end with a line feed: INT, LONG, FLOAT, STRING, UNICODE."""

NAMES = {
    0x28: "MARK", 0x2E: "STOP", 0x30: "POP", 0x31: "POP_MARK", 0x32: "DUP", 0x46: "FLOAT", 0x49: "INT", 0x4A: "BININT",
    0x4B: "BININT1", 0x4C: "LONG", 0x4D: "BININT2", 0x4E: "NONE", 0x50: "PERSID", 0x51: "BINPERSID", 0x52: "REDUCE",
    0x53: "STRING", 0x54: "BINSTRING", 0x55: "SHORT_BINSTRING", 0x56: "UNICODE", 0x58: "BINUNICODE", 0x61: "APPEND",
    0x62: "BUILD", 0x63: "GLOBAL", 0x64: "DICT", 0x7D: "EMPTY_DICT", 0x65: "APPENDS", 0x67: "GET", 0x68: "BINGET",
    0x69: "INST", 0x6A: "LONG_BINGET", 0x6C: "LIST", 0x5D: "EMPTY_LIST", 0x6F: "OBJ", 0x70: "PUT", 0x71: "BINPUT",
    0x72: "LONG_BINPUT", 0x73: "SETITEM", 0x74: "TUPLE", 0x29: "EMPTY_TUPLE", 0x75: "SETITEMS", 0x47: "BINFLOAT",
    0x80: "PROTO", 0x81: "NEWOBJ", 0x82: "EXT1", 0x83: "EXT2", 0x84: "EXT4", 0x85: "TUPLE1", 0x86: "TUPLE2",
    0x87: "TUPLE3", 0x88: "NEWTRUE", 0x89: "NEWFALSE", 0x8A: "LONG1", 0x8B: "LONG4", 0x42: "BINBYTES",
    0x43: "SHORT_BINBYTES", 0x8C: "SHORT_BINUNICODE", 0x8D: "BINUNICODE8", 0x8E: "BINBYTES8", 0x8F: "EMPTY_SET",
    0x90: "ADDITEMS", 0x91: "FROZENSET", 0x92: "NEWOBJ_EX", 0x93: "STACK_GLOBAL", 0x94: "MEMOIZE", 0x95: "FRAME",
    0x96: "BYTEARRAY8", 0x97: "NEXT_BUFFER", 0x98: "READONLY_BUFFER",
}  # fmt: skip
HIGHEST_PROTOCOL = 5
