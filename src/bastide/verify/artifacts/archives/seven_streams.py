# SPDX-License-Identifier: Apache-2.0
"""The packed streams of a 7z archive: what Python's own library unpacks (LZMA, LZMA2, BCJ, Delta, bzip2, deflate, stored), and Zstandard and LZ4."""

from __future__ import annotations

import lzma
from collections.abc import Iterator

from bastide.verify.artifacts.archives import optional, unpack
from bastide.verify.artifacts.archives.seven import Coder, Folder
from bastide.verify.artifacts.interface import Buffer

MAX_DICTIONARY = 1 << 29
ENCRYPTED = "06f10701"
_FILTERS = {
    "03": lzma.FILTER_DELTA, "04": lzma.FILTER_X86, "03030103": lzma.FILTER_X86, "03030205": lzma.FILTER_POWERPC, "03030401": lzma.FILTER_IA64,
    "03030501": lzma.FILTER_ARM, "03030701": lzma.FILTER_ARMTHUMB, "03030805": lzma.FILTER_SPARC, "05": lzma.FILTER_POWERPC, "06": lzma.FILTER_IA64,
    "07": lzma.FILTER_ARM, "08": lzma.FILTER_ARMTHUMB, "09": lzma.FILTER_SPARC,
}  # fmt: skip


class NotUnpacked(Exception):
    """A method that isn't unpacked here."""


class Unpacked(unpack.Stream):
    """What a folder unpacks to: so many bytes, and no more, though LZMA without an end mark may go on."""

    def __init__(self, make: unpack.Make, packed: Buffer, size: int) -> None:
        super().__init__(make, packed)
        self._size = size

    def __iter__(self) -> Iterator[bytes]:
        """The pieces. Raises `Corrupt`."""
        left = self._size
        for piece in super().__iter__():
            yield piece[:left]
            left -= len(piece)
            if left <= 0:
                return
        if left:
            raise unpack.Corrupt(f"{left} bytes are missing")


def stream(folder: Folder, data: Buffer) -> Unpacked:
    """What a folder unpacks to. Raises `NotUnpacked`."""
    if folder.at + folder.length > len(data):
        raise NotUnpacked("its packed bytes lie behind the end of the file")
    if len(folder.packed) != 1 or any(c.inputs != 1 or c.outputs != 1 for c in folder.coders):
        raise NotUnpacked("it is packed with several streams (BCJ2)")
    packed = memoryview(data)[folder.at : folder.at + folder.length]
    return Unpacked(_maker(_chain(folder)), packed, folder.size)


class _Copy:
    """Bytes that are stored, with the manners of `bz2`."""

    eof, needs_input, unused_data = False, True, b""

    def decompress(self, data: bytes, _most: int) -> bytes:
        """The same."""
        return data


def _chain(folder: Folder) -> list[Coder]:
    """The coders from the packed bytes to the files."""
    order = {output: at for at, output in folder.bonds}
    at = folder.packed[0]
    chain: list[Coder] = []
    while 0 <= at < len(folder.coders) and len(chain) < len(folder.coders):
        chain.append(folder.coders[at])
        if at not in order:
            break
        at = order[at]
    if len(chain) != len(folder.coders):
        raise NotUnpacked("its coders aren't one behind the other")
    return chain


def _maker(chain: list[Coder]) -> unpack.Make:
    first = chain[0].method
    if any(coder.method == ENCRYPTED for coder in chain):
        raise NotUnpacked("it is encrypted")
    simple: dict[str, unpack.Make | None] = {
        "00": _Copy, "040202": unpack.bzip2, "040108": unpack.inflate_raw, "04f71101": optional.zstd(), "04f71104": optional.lz4(),
    }  # fmt: skip
    if first in simple and len(chain) == 1:
        make = simple[first]
        if make is None:
            raise NotUnpacked(f"the package for it isn't there ({optional.EXTRA})")
        return make
    filters = [_filter(coder) for coder in reversed(chain)]
    return lambda: lzma.LZMADecompressor(lzma.FORMAT_RAW, filters=filters)


def _filter(coder: Coder) -> dict[str, int]:
    if coder.method == "21" and len(coder.properties) == 1 and coder.properties[0] <= 40:
        bits = coder.properties[0]
        size = 0xFFFFFFFF if bits == 40 else (2 | bits & 1) << (bits // 2 + 11)
        return {"id": lzma.FILTER_LZMA2, "dict_size": _dictionary(size)}
    if coder.method == "030101" and len(coder.properties) == 5 and coder.properties[0] < 225:
        rest, lc = divmod(coder.properties[0], 9)
        pb, lp = divmod(rest, 5)
        size = int.from_bytes(coder.properties[1:], "little")
        return {"id": lzma.FILTER_LZMA1, "dict_size": _dictionary(size), "lc": lc, "lp": lp, "pb": pb}
    if coder.method in _FILTERS:
        made = {"id": _FILTERS[coder.method]}
        if coder.method == "03" and coder.properties:
            made["dist"] = coder.properties[0] + 1
        return made
    raise NotUnpacked(f"it is packed by a method that isn't unpacked here ({coder.method})")


def _dictionary(size: int) -> int:
    if size > MAX_DICTIONARY:
        raise NotUnpacked(f"its dictionary is larger than {MAX_DICTIONARY} bytes")
    return max(size, 4096)
