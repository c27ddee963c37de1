# SPDX-License-Identifier: Apache-2.0
"""safetensors: a header in JSON and the bytes of the tensors, which can't run anything when all of the format's rules hold.

The rules are those of the reference reader (huggingface/safetensors, `tensor.rs`).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from math import prod
from typing import Any

from bastide.verify.artifacts.formats._json import NotJson, parse_json
from bastide.verify.artifacts.interface import Scan, Source
from bastide.verify.artifacts.model import Severity, Tier

MAX_HEADER = 100_000_000
"""The reference reader refuses longer ones."""
READ_HEADER = 32 * 1024**2
"""Longer ones aren't read here; those of the largest models have a tenth of it."""
BITS: Mapping[str, int] = {
    "F4": 4, "F6_E2M3": 6, "F6_E3M2": 6,
    "BOOL": 8, "U8": 8, "I8": 8, "F8_E5M2": 8, "F8_E4M3": 8, "F8_E8M0": 8, "F8_E4M3FNUZ": 8, "F8_E5M2FNUZ": 8,
    "I16": 16, "U16": 16, "F16": 16, "BF16": 16, "I32": 32, "U32": 32, "F32": 32,
    "C64": 64, "F64": 64, "I64": 64, "U64": 64,
}  # fmt: skip
"""Size of one element."""
FIELDS = frozenset({"dtype", "shape", "data_offsets"})
REPORTED = 20
"""Findings of one kind that are worth reading."""


class SafetensorsReader:
    """Reads safetensors files."""

    format = "safetensors"

    def claims(self, source: Source) -> bool:
        """A length that the file can hold, and `{`; or the extension."""
        head = source.head(9)
        if source.extension == "safetensors":
            return True
        if len(head) < 9 or head[8:] != b"{":
            return False
        (length,) = struct.unpack_from("<Q", head)
        return bool(2 <= length <= MAX_HEADER and source.data[8 + length - 1 : 8 + length] in (b"}", b" "))

    def read(self, source: Source, scan: Scan) -> None:
        """The header; the bytes of tensors are numbers, whatever they are."""
        if source.size < 8:
            scan.malformed("safetensors/no-header", "shorter than the length of its header: loaders refuse it", 0)
            return
        (length,) = struct.unpack_from("<Q", source.head(8))
        if length > min(MAX_HEADER, source.size - 8):
            scan.malformed(
                "safetensors/no-header",
                "says that its header is longer than it can be: it is cut off, or no safetensors file",
                0,
                str(length),
            )
        elif length > READ_HEADER:
            scan.unread(f"a header of {length} bytes; at most {READ_HEADER} are read", 8)
        else:
            _Header(scan, source.size - 8 - length).read(bytes(source.data[8 : 8 + length]))


class _Header:
    def __init__(self, scan: Scan, room: int) -> None:
        self._scan, self._room = scan, room
        self._text = b""
        self._reported: dict[str, int] = {}

    def read(self, text: bytes) -> None:
        self._text = text
        if not text.startswith(b"{"):
            self._bad("not-an-object", "the header does not begin with `{`, as it has to")
        try:
            document = parse_json(text, READ_HEADER)
        except NotJson as problem:
            self._scan.malformed(
                "safetensors/no-header", f"the header is no JSON ({problem.why}): loaders refuse it", 8 + problem.at
            )
            return
        for key in document.repeated[:REPORTED]:
            self._scan.add(
                "safetensors/repeated-key",
                Tier.MALFORMED,
                Severity.HIGH,
                "the header has a key twice, of which loaders take different ones: they see different contents. Write the file anew",
                self._where(key),
                key,
            )
        if document.constants or not isinstance(document.value, dict):
            self._bad("not-an-object", "the header is no object of JSON's standard")
        if isinstance(document.value, dict):
            self._tensors(document.value)

    def _tensors(self, header: dict[str, Any]) -> None:
        self._metadata(header.get("__metadata__", {}))
        spans: list[tuple[int, int, str]] = []
        for name, tensor in header.items():
            if name != "__metadata__":
                spans += self._tensor(name, tensor)
        self._layout(sorted(spans))

    def _metadata(self, metadata: Any) -> None:
        if metadata is None:
            return
        if not isinstance(metadata, dict):
            self._bad("metadata", "`__metadata__` is no object", "__metadata__")
            return
        for key, value in metadata.items():
            if not isinstance(value, str):
                self._bad("metadata", "`__metadata__` holds something else than texts: loaders refuse the file", key)

    def _tensor(self, name: str, tensor: Any) -> Iterator[tuple[int, int, str]]:
        if not isinstance(tensor, dict) or not tensor.keys() >= FIELDS:
            self._bad("tensor", "has no dtype, shape and data_offsets: loaders refuse the file", name)
            return
        if extra := tensor.keys() - FIELDS:
            self._bad("tensor", f"has fields that the format does not know ({', '.join(sorted(extra))[:100]})", name)
        if "\0" in name:
            self._bad("tensor", "has a NUL in its name", name)
        shape, offsets, dtype = tensor["shape"], tensor["data_offsets"], tensor["dtype"]
        if not _counts(shape) or not _counts(offsets) or len(offsets) != 2:
            self._bad("tensor", "has a shape or offsets that are no natural numbers: loaders refuse the file", name)
            return
        begin, end = offsets
        bits = BITS.get(dtype) if isinstance(dtype, str) else None
        if bits is None:
            self._bad("dtype", f"has the unknown type {str(dtype)[:40]!r}: not every loader reads it", name)
        elif _size(shape) * bits != (end - begin) * 8:
            self._bad(
                "size", f"is of {_size(shape) * bits // 8} bytes by its shape and {end - begin} by its offsets", name
            )
        if end < begin:
            self._bad("size", "ends before it begins", name)
        else:
            yield begin, end, name

    def _layout(self, spans: list[tuple[int, int, str]]) -> None:
        reached = 0
        for begin, end, name in spans:
            if begin > reached:
                self._bad("hole", f"leaves {begin - reached} bytes before it that belong to no tensor", name)
            elif begin < reached:
                self._bad("overlap", "shares bytes with the tensor before it: loaders refuse the file", name)
            reached = max(reached, end)
        if reached > self._room:
            self._bad("truncated", f"ends {reached - self._room} bytes behind the end of the file", spans[-1][2])
        elif reached < self._room:
            self._scan.malformed(
                "safetensors/trailing-data",
                f"{self._room - reached} bytes behind the last tensor, which were not read: the reference reader refuses the file, others don't look",
                8 + len(self._text) + reached,
            )

    def _bad(self, kind: str, message: str, name: str = "") -> None:
        count = self._reported[kind] = self._reported.get(kind, 0) + 1
        if count <= REPORTED:
            where = self._where(name) if name else 8
            subject = "a tensor " if name and not message.startswith("`") else ""
            self._scan.malformed(f"safetensors/{kind}", subject + message, where, name[:200])

    def _where(self, key: str) -> int:
        """Of the key's last place in the header, where it stands as it is."""
        quoted = b'"' + key.encode("utf-8", "surrogatepass") + b'"'
        return 8 + max(0, self._text.rfind(quoted))


def _counts(value: Any) -> bool:
    return isinstance(value, list) and all(type(v) is int and 0 <= v < 1 << 64 for v in value)


def _size(shape: list[int]) -> int:
    if len(shape) > 1000:
        return -1
    return prod(shape)
