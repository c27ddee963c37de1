# SPDX-License-Identifier: Apache-2.0
"""Model files by hand: the bytes that the formats' own writers make, and what attackers change in them."""

import base64
import json
import marshal
import struct
from typing import Any

from bastide.verify.artifacts.model import FileReport, Severity, Verdict
from bastide.verify.artifacts.scan import scan_bytes


def ids(report: FileReport) -> set[str]:
    """The ids of findings that aren't only notes."""
    return {f.id for f in report.findings if f.severity is not Severity.LOW}


def judged(data: bytes, name: str) -> tuple[Verdict, set[str]]:
    report = scan_bytes(data, name)
    return report.verdict, ids(report)


def code_of(source: str) -> str:
    """An expression as Keras writes the code of functions."""
    return base64.b64encode(marshal.dumps(compile(source, "f", "eval"))).decode()


def safetensors(header: Any, data: bytes = b"", length: int | None = None) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + data


def tensor(begin: int, end: int, dtype: str = "U8", shape: list[int] | None = None) -> dict[str, Any]:
    return {"dtype": dtype, "shape": [end - begin] if shape is None else shape, "data_offsets": [begin, end]}


class Gguf:
    """A GGUF file of some version and order of bytes."""

    def __init__(self, version: int = 3, order: str = "<") -> None:
        self.version, self.order = version, order
        self.pairs: list[bytes] = []
        self.tensors: list[bytes] = []
        self.data = b""

    def number(self, value: int, width: int = 4) -> bytes:
        return struct.pack(self.order + {1: "B", 4: "I", 8: "Q"}[width], value)

    def length(self, value: int) -> bytes:
        return self.number(value, 4 if self.version == 1 else 8)

    def text(self, value: str | bytes) -> bytes:
        raw = value.encode() if isinstance(value, str) else value
        return self.length(len(raw)) + raw

    def pair(self, key: str, type: int, value: bytes) -> "Gguf":
        self.pairs.append(self.text(key) + self.number(type) + value)
        return self

    def string(self, key: str, value: str | bytes) -> "Gguf":
        return self.pair(key, 8, self.text(value))

    def strings(self, key: str, values: list[str]) -> "Gguf":
        return self.pair(key, 9, self.number(8) + self.length(len(values)) + b"".join(map(self.text, values)))

    def tensor(
        self, name: str, shape: list[int], type: int = 0, offset: int | None = None, size: int | None = None
    ) -> "Gguf":
        at = len(self.data) if offset is None else offset
        extents = b"".join(map(self.length, shape))
        self.tensors.append(
            self.text(name) + self.number(len(shape)) + extents + self.number(type) + self.number(at, 8)
        )
        count = 4
        for extent in shape:
            count *= extent
        bytes_ = count if size is None else size
        self.data += b"\1" * bytes_ + b"\0" * (-bytes_ % 32)
        return self

    def bytes(self, pairs: int | None = None, tensors: int | None = None) -> bytes:
        head = b"GGUF" + self.number(self.version)
        head += self.length(len(self.tensors) if tensors is None else tensors)
        head += self.length(len(self.pairs) if pairs is None else pairs)
        head += b"".join(self.pairs) + b"".join(self.tensors)
        if self.tensors:
            head += b"\0" * (-len(head) % 32)
        return head + self.data


def varint(value: int) -> bytes:
    out = b""
    while value > 0x7F:
        out += bytes([value & 0x7F | 0x80])
        value >>= 7
    return out + bytes([value])


def field(number: int, value: "int | bytes | str") -> bytes:
    """A field of a protocol buffer."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    raw = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(raw)) + raw


class Flat:
    """A FlatBuffer: a table is a dict from field to number, text, table, list of texts and tables, or bytes (a list of numbers)."""

    def __init__(self, content: dict[int, Any], mark: bytes = b"") -> None:
        self.out = bytearray(4 + len(mark)) + bytearray(-len(mark) % 4)
        self.out[4 : 4 + len(mark)] = mark
        struct.pack_into("<I", self.out, 0, self._table(content))

    def _table(self, content: dict[int, Any]) -> int:
        count = max(content, default=-1) + 1
        start = len(self.out) + 4 + 2 * count
        start += -start % 4
        shape = struct.pack(
            f"<HH{count}H", 4 + 2 * count, 4 + 8 * count, *(4 + 8 * at if at in content else 0 for at in range(count))
        )
        self.out += bytes(start - len(self.out) - len(shape)) + shape + struct.pack("<i", len(shape)) + bytes(8 * count)
        for at, value in content.items():
            slot = start + 4 + 8 * at
            if isinstance(value, int):
                struct.pack_into("<Q", self.out, slot, value)
            else:
                struct.pack_into("<I", self.out, slot, self._put(value) - slot)
        return start

    def _put(self, value: Any) -> int:
        if isinstance(value, dict):
            return self._table(value)
        self.out += bytes(-len(self.out) % 4)
        start = len(self.out)
        if isinstance(value, str):
            self.out += struct.pack("<I", len(value.encode())) + value.encode() + b"\0"
        elif isinstance(value, bytes):
            self.out += struct.pack("<I", len(value) // 4) + value
        else:
            self.out += struct.pack("<I", len(value)) + bytes(4 * len(value))
            for at, part in enumerate(value):
                slot = start + 4 + 4 * at
                struct.pack_into("<I", self.out, slot, self._put(part) - slot)
        return start
