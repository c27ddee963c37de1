# SPDX-License-Identifier: Apache-2.0
"""Zip archives put together byte by byte, honest ones and others; and pickles that would touch a file if anybody loaded them."""

from __future__ import annotations

import bz2
import lzma
import struct
import zlib
from dataclasses import dataclass, replace

from bastide.verify.artifacts.model import FileReport
from bastide.verify.artifacts.scan import scan_bytes

TOUCHES = b"cposix\nsystem\n(S'touch here'\ntR."
"""Runs a harmless program when it is loaded, which no test does."""
HARMLESS = b"\x80\x02}q\x00X\x01\x00\x00\x00aq\x01K\x01s."


def packed(method: int, data: bytes) -> bytes:
    match method:
        case 8:
            machine = zlib.compressobj(9, zlib.DEFLATED, -15)
            return machine.compress(data) + machine.flush()
        case 12:
            return bz2.compress(data)
        case 14:
            raw = lzma.compress(data, lzma.FORMAT_RAW, filters=[{"id": lzma.FILTER_LZMA1, "dict_size": 1 << 16}])
            return b"\x09\x04" + struct.pack("<H", 5) + b"\x5d" + struct.pack("<L", 1 << 16) + raw
    return data


@dataclass(frozen=True)
class M:
    """A member; what isn't given is as it should be."""

    name: bytes
    data: bytes = b""
    method: int = 0
    flags: int = 0
    crc: int | None = None
    local_name: bytes | None = None
    local_method: int | None = None
    local_flags: int | None = None
    local_sizes: tuple[int, int, int] | None = None
    """CRC, packed size, size."""
    size: int | None = None
    extra: bytes = b""
    local_extra: bytes = b""
    mode: int = 0
    header: int | None = None
    """Where its entry says that its header is."""
    after: bytes = b""
    """Behind its data: a descriptor, a hidden member."""
    listed: bool = True

    def sums(self) -> tuple[int, int, int]:
        crc = zlib.crc32(self.data) if self.crc is None else self.crc
        return crc, len(packed(self.method, self.data)), len(self.data) if self.size is None else self.size

    def local(self) -> bytes:
        name = self.name if self.local_name is None else self.local_name
        method = self.method if self.local_method is None else self.local_method
        flags = self.flags if self.local_flags is None else self.local_flags
        sums = self.sums() if self.local_sizes is None else self.local_sizes
        head = struct.pack("<4s5H3L2H", b"PK\x03\x04", 20, flags, method, 0, 0, *sums, len(name), len(self.local_extra))
        return head + name + self.local_extra + packed(self.method, self.data) + self.after

    def entry(self, at: int) -> bytes:
        at = at if self.header is None else self.header
        head = struct.pack(
            "<4s6H3L5H2L", b"PK\x01\x02", 20, 20, self.flags, self.method, 0, 0, *self.sums(), len(self.name), len(self.extra), 0, 0, 0,
            self.mode << 16, at,
        )  # fmt: skip
        return head + self.name + self.extra


@dataclass(frozen=True)
class End:
    """The end record; what isn't given is as it should be."""

    count: int | None = None
    size: int | None = None
    offset: int | None = None
    comment: bytes = b""
    between: bytes = b""
    """Between the directory and the end record."""

    def of(self, count: int, size: int, offset: int) -> bytes:
        count = count if self.count is None else self.count
        size = size if self.size is None else self.size
        offset = offset if self.offset is None else self.offset
        record = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, count, count, size, offset, len(self.comment))
        return self.between + record + self.comment


def zipped(*members: M, end: End = End(), before: bytes = b"") -> bytes:
    data, entries = before, b""
    for member in members:
        if member.listed:
            entries += member.entry(len(data) - len(before))
        data += member.local()
    listed = sum(m.listed for m in members)
    return data + entries + end.of(listed, len(entries), len(data) - len(before))


def torch(*members: M, pickle: bytes = HARMLESS) -> bytes:
    """As `torch.save` writes it."""
    return zipped(
        M(b"m/data.pkl", pickle),
        M(b"m/byteorder", b"little"),
        M(b"m/data/0", bytes(64)),
        M(b"m/version", b"3\n"),
        *members,
    )


def ids(data: bytes, name: str = "x") -> set[str]:
    return {f.id for f in scan_bytes(data, name).findings}


def scanned(data: bytes, name: str = "x") -> FileReport:
    return scan_bytes(data, name)


def renamed(member: M, name: bytes) -> M:
    return replace(member, name=name)
