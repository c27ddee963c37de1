# SPDX-License-Identifier: Apache-2.0
"""Compressed files: gzip, bzip2, xz, lzma, zlib, and joblib's own old form. joblib and pandas unpack them on their own when they load."""

from __future__ import annotations

import zlib
from dataclasses import dataclass

from bastide.verify.artifacts.archives import optional, unpack
from bastide.verify.artifacts.interface import Scan, Source

ENDINGS = frozenset({"gz", "bz2", "xz", "lzma", "z", "zlib", "zst", "lz4"})
TARRED = {"tgz": "tar", "tbz2": "tar", "tbz": "tar", "txz": "tar"}
LZMA = (b"\xfd7zXZ", b"]\x00")
"""Beginnings of what Python's reader of xz reads, one behind the other."""
ZSTD, LZ4 = b"\x28\xb5\x2f\xfd", b"\x04\x22\x4d\x18"
SKIPPED = b"\x2a\x4d\x18"
"""Frames that readers of Zstandard pass over, behind a first byte."""
_ZFILE = 21
"""Bytes of the header of joblib's old form: `ZF` and the size in 19 characters."""


@dataclass(frozen=True, slots=True)
class Kind:
    """One way of packing."""

    name: str
    make: unpack.Make | None
    """None: the package for it isn't there."""
    skip: int = 0
    """Bytes before the stream."""
    again: tuple[bytes, ...] = ()
    """How another stream behind the first begins, which loaders read on with."""


def kind_of(source: Source) -> Kind | None:
    """By its first bytes; those of zlib and lzma are tried."""
    head = source.head(32)
    if head.startswith(b"\x1f\x8b"):
        return Kind("gzip", lambda: unpack.Inflate(31), again=(b"\x1f\x8b",))
    if head[:3] == b"BZh" and head[3:4].isdigit() and head[4:10] in (b"1AY&SY", b"\x17rE8P\x90"):
        return Kind("bzip2", unpack.bzip2, again=(b"BZh",))
    if head.startswith(b"\xfd7zXZ\x00"):
        return Kind("xz", unpack.lzma_any, again=LZMA)
    if head.startswith(ZSTD) or (head[1:4] == SKIPPED and 0x50 <= head[0] <= 0x5F):
        return Kind("zstd", optional.zstd(), again=(ZSTD, *(bytes([first]) + SKIPPED for first in range(0x50, 0x60))))
    if head.startswith(LZ4):
        return Kind("lz4", optional.lz4(), again=(LZ4,))
    if head.startswith(b"ZF0x"):
        return Kind("joblib-zlib", lambda: unpack.Inflate(15), _ZFILE + (head[_ZFILE : _ZFILE + 1] == b" "))
    if head[:1] == b"x" and len(head) > 2 and int.from_bytes(head[:2], "big") % 31 == 0 and _inflates(source):
        return Kind("zlib", lambda: unpack.Inflate(15), again=(b"x",))
    if head[:2] == b"]\x00" and _is_lzma(head):
        return Kind("lzma", unpack.lzma_any, again=LZMA)
    return None


def _is_lzma(head: bytes) -> bool:
    """By the size of its dictionary and its own size: it has no magic."""
    size = int.from_bytes(head[5:13], "little")
    return head[1:5].count(0) >= 3 and len(head) > 13 and (size < 1 << 38 or size == (1 << 64) - 1)


def _inflates(source: Source) -> bool:
    try:
        zlib.decompressobj().decompress(source.head(4096), 4096)
    except zlib.error:
        return False
    return True


class CompressedReader:
    """Unpacks a file and has what is in it read."""

    format = "compressed"

    def claims(self, source: Source) -> bool:
        """By its first bytes."""
        return kind_of(source) is not None

    def read(self, source: Source, scan: Scan) -> str:
        """What is inside, under the name without the ending of the packer."""
        kind = kind_of(source)
        assert kind is not None
        if kind.make is None:
            scan.unread(f"packed with {kind.name}, for which a package is needed ({optional.EXTRA})", 0)
            return kind.name
        stream = unpack.Stream(kind.make, memoryview(source.data)[kind.skip :], kind.again)
        content = unpack.unpack(stream, scan, source.size, "the file")
        if content is None:
            return kind.name
        behind = kind.skip + stream.consumed
        if stream.whole and bytes(source.data[behind : behind + 4096]).strip(b"\0"):
            scan.malformed(
                "compressed/data-behind", "bytes stand behind the packed ones, which no loader reads", behind
            )
        inner = scan.into(_inside(source), content)
        return f"{kind.name}/{inner}" if inner else kind.name


def _inside(source: Source) -> str:
    base = source.name.replace("\\", "/").rpartition("/")[2]
    stem, dot, ending = base.rpartition(".")
    if not dot or (ending.lower() not in ENDINGS and ending.lower() not in TARRED):
        return base
    return f"{stem}.{TARRED[ending.lower()]}" if ending.lower() in TARRED else stem
