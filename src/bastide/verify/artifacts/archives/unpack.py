# SPDX-License-Identifier: Apache-2.0
"""Unpacks compressed bytes within bounds: a little in memory, more in a file that has no name."""

from __future__ import annotations

import bz2
import lzma
import mmap
import tempfile
import zlib
from collections.abc import Callable, Iterator
from typing import Any

from bastide.verify.artifacts.interface import Buffer, Scan
from bastide.verify.artifacts.model import Severity, Tier

CHUNK = 1 << 18
IN_MEMORY = 32 << 20
"""Bytes; more goes into a temporary file."""
HARMLESS = 64 << 20
"""Bytes that are never a bomb, however well they were packed."""
Make = Callable[[], Any]
"""Makes a decompressor as `bz2` and `lzma` have them."""


class Corrupt(Exception):
    """The packed bytes can't be unpacked."""


class Stream:
    """One or more compressed streams in a row, unpacked piece by piece."""

    def __init__(self, make: Make, packed: Buffer, again: tuple[bytes, ...] = ()) -> None:
        """again: how another stream behind the first begins; () when loaders never read another one."""
        self._make, self._packed, self._again = make, memoryview(packed), again
        self.consumed = 0
        """Packed bytes that were used."""
        self.whole = False
        """Whether the last stream came to its end."""

    def __iter__(self) -> Iterator[bytes]:
        """The unpacked pieces. Raises `Corrupt`."""
        while True:
            self.whole = False
            yield from self._one()
            if not self.whole or not self._again or not self._more():
                return

    def _more(self) -> bool:
        """Whether another stream follows, maybe behind zeros."""
        at = self.consumed
        while at < len(self._packed) and not (piece := bytes(self._packed[at : at + CHUNK])).strip(b"\0"):
            at += len(piece)
        piece = bytes(self._packed[at : at + CHUNK])
        at += len(piece) - len(piece.lstrip(b"\0"))
        if not bytes(self._packed[at : at + 8]).startswith(self._again):
            return False
        self.consumed = at
        return True

    def _one(self) -> Iterator[bytes]:
        at = self.consumed
        try:
            machine = self._make()
            while not machine.eof:
                feed = bytes(self._packed[at : at + CHUNK]) if machine.needs_input else b""
                starved = machine.needs_input and not feed
                at += len(feed)
                piece = machine.decompress(feed, CHUNK)
                if piece:
                    yield piece
                elif starved and not machine.eof:
                    self.consumed = at
                    return
        except (zlib.error, lzma.LZMAError, OSError, ValueError, EOFError) as problem:
            raise Corrupt(str(problem)) from None
        self.consumed = at - len(machine.unused_data)
        self.whole = True


class Inflate:
    """`zlib.decompressobj` with the manners of `bz2` and `lzma`."""

    def __init__(self, window: int) -> None:
        """window: -15 raw, 15 zlib, 31 gzip."""
        self._machine = zlib.decompressobj(window)
        self._problem: zlib.error | None = None

    @property
    def eof(self) -> bool:
        """Whether the stream is over."""
        return self._machine.eof

    @property
    def needs_input(self) -> bool:
        """Whether all that was given has been used."""
        return not self._machine.unconsumed_tail

    @property
    def unused_data(self) -> bytes:
        """What was given and lies behind the end."""
        return self._machine.unused_data

    def decompress(self, data: bytes, most: int) -> bytes:
        """At most `most` bytes. What stands before a break is given back first: Python's reader of gzip looks at the checksum later."""
        if self._problem:
            raise self._problem
        before, feed = self._machine.copy(), self._machine.unconsumed_tail + data
        try:
            return self._machine.decompress(feed, most)
        except zlib.error as problem:
            self._problem = problem
            return _as_far(before, feed, most)


def _as_far(machine: zlib._Decompress, feed: bytes, most: int) -> bytes:
    """As much as can be unpacked before a break."""
    low, high, found = 0, most, b""
    while low < high:
        middle = (low + high + 1) // 2
        try:
            found = machine.copy().decompress(feed, middle)
            low = middle if len(found) == middle else high
        except zlib.error:
            high = middle - 1
    return found


def inflate_raw() -> Inflate:
    """Deflate without a header, as in zip."""
    return Inflate(-15)


def zip_lzma(packed: Buffer) -> tuple[Make, int]:
    """The maker for LZMA as in zip (method 14), and where its data begin. Raises `Corrupt`."""
    properties = int.from_bytes(packed[2:4], "little")
    raw = bytes(packed[4 : 4 + properties])
    if len(raw) != 5 or raw[0] >= 9 * 5 * 5:
        raise Corrupt("the settings of LZMA are broken")
    rest, lc = divmod(raw[0], 9)
    pb, lp = divmod(rest, 5)
    size = int.from_bytes(raw[1:], "little")
    if size > 1 << 28:
        raise Corrupt("the dictionary of LZMA is larger than 256 MiB")
    wanted = {"id": lzma.FILTER_LZMA1, "dict_size": max(size, 4096), "lc": lc, "lp": lp, "pb": pb}
    return lambda: lzma.LZMADecompressor(lzma.FORMAT_RAW, filters=[wanted]), 4 + properties


def lzma_any() -> lzma.LZMADecompressor:
    """For xz and LZMA alone; takes no more than 512 MiB."""
    return lzma.LZMADecompressor(memlimit=512 << 20)


def bzip2() -> bz2.BZ2Decompressor:
    """For bzip2."""
    return bz2.BZ2Decompressor()


def unpack(stream: Stream, scan: Scan, packed: int, what: str, *, marked: bool = True) -> Buffer | None:
    """All of a stream, or as much as there is before a bound or a break, which has been reported then; None when there is no room for it.

    packed: its bytes when packed; what: how findings call it; marked: whether the stream itself says where it ends.
    """
    spool = _Spool()
    try:
        broken = _fill(spool, stream, scan, packed, what)
        if broken or (broken is not None and marked and not stream.whole):
            scan.malformed("archive/corrupt", f"{what} can't be unpacked to its end: {broken or 'it is cut off'}", 0)
        return spool.data()
    except (OSError, MemoryError):
        scan.unread(f"there is no room to unpack {what}")
        return None


def _fill(spool: _Spool, stream: Stream, scan: Scan, packed: int, what: str) -> str | None:
    """What is wrong with the stream, '' if nothing; None when a bound was reached."""
    try:
        for piece in stream:
            spool.add(piece)
            scan.spent.unpacked += len(piece)
            if scan.spent.unpacked > scan.limits.unpacked:
                scan.unread(f"{what} unpacks to more than {scan.limits.unpacked} bytes in all")
                return None
            if spool.size > HARMLESS and spool.size > scan.limits.ratio * max(packed, 1):
                scan.add(
                    "archive/bomb", Tier.MALFORMED, Severity.MEDIUM,
                    f"{what} unpacks to over {scan.limits.ratio} times its size, as bombs do; it was not read to its end", 0,
                )  # fmt: skip
                return None
    except Corrupt as problem:
        return str(problem) or "it is broken"
    return ""


class _Spool:
    """Takes bytes until all are there."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._file: Any = None
        self.size = 0

    def add(self, piece: bytes) -> None:
        self.size += len(piece)
        self._pieces.append(piece)
        if self._file is None and self.size > IN_MEMORY:
            self._file = tempfile.TemporaryFile()  # noqa: SIM115 (lives as long as its mapping)
        if self._file is not None:
            self._file.writelines(self._pieces)
            self._pieces.clear()

    def data(self) -> Buffer:
        if self._file is None:
            return b"".join(self._pieces)
        self._file.flush()
        with self._file:
            return mmap.mmap(self._file.fileno(), 0, access=mmap.ACCESS_READ)
