# SPDX-License-Identifier: Apache-2.0
"""The bytes of an HDF5 file, at its addresses, and the heaps in which it keeps names, texts and messages.

After the HDF5 File Format Specification, version 3.0 (The HDF Group).
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator

from bastide.verify.artifacts.interface import Buffer

SIGNATURE = b"\x89HDF\r\n\x1a\n"
MAX_RECORDS = 1_000_000
MAX_DEPTH = 6
MAX_TEXT = 64 * 1024**2
MAX_ROWS = 64
MAX_WIDTH = 256
MAX_READS = 20_000_000
"""Of one file."""


class Broken(Exception):
    """What can't be read on; says whether it is only something that isn't read here."""

    def __init__(self, why: str, offset: int, *, unread: bool = False) -> None:
        super().__init__(why)
        self.offset, self.unread = offset, unread


class Bytes:
    """The file from its signature on; raises `Broken` for everything outside."""

    def __init__(self, data: Buffer, base: int, sizes: tuple[int, int]) -> None:
        self.data, self.base = data, base
        self.address_size, self.length_size = sizes
        self.nowhere = (1 << 8 * self.address_size) - 1
        self._left = MAX_READS

    def take(self, address: int, count: int) -> bytes:
        """So many bytes at an address."""
        begin = self.base + address
        self._left -= 1
        if self._left < 0:
            raise Broken("more parts than are read", self.base, unread=True)
        if count < 0 or begin < 0 or begin + count > len(self.data):
            raise Broken("points behind the end of the file", min(begin, len(self.data)))
        return bytes(self.data[begin : begin + count])

    def number(self, address: int, width: int) -> int:
        """An unsigned number."""
        return int.from_bytes(self.take(address, width), "little")

    def address(self, address: int) -> int:
        """An address that stands at an address."""
        return self.number(address, self.address_size)

    def expect(self, address: int, signature: bytes) -> None:
        """A block begins with its signature."""
        if self.take(address, len(signature)) != signature:
            raise Broken(f"no {signature.decode()} where one is said to be", self.base + address)

    def local_text(self, heap: int, offset: int) -> str:
        """A text in a local heap."""
        self.expect(heap, b"HEAP")
        size = self.number(heap + 8, self.length_size)
        segment = self.address(heap + 8 + 2 * self.length_size)
        if offset >= size:
            raise Broken("a name outside of its heap", self.base + heap)
        raw = self.take(segment + offset, min(size - offset, 1 << 16, len(self.data) - self.base - segment - offset))
        return raw.split(b"\0", 1)[0].decode("utf-8", "replace")

    def shared_object(self, address: int, index: int) -> bytes:
        """An object of a global heap."""
        for found, at, size in self._shared(address):
            if found == index and index:
                if size > MAX_TEXT:
                    raise Broken(f"a text of {size} bytes", self.base + at, unread=True)
                return self.take(at, size)
        raise Broken("no such object in a heap", self.base + address)

    def shared_objects(self) -> Iterator[tuple[int, int]]:
        """(offset in the file, size) of the objects of all global heaps, wherever one stands."""
        for found in re.finditer(b"GCOL", memoryview(self.data)[self.base :]):
            for _, place, size in self._shared(found.start()):
                yield self.base + place, size

    def _shared(self, address: int) -> Iterator[tuple[int, int, int]]:
        """(index, address, size) of the objects of a heap."""
        self.expect(address, b"GCOL")
        end = address + self.number(address + 8, self.length_size)
        at = address + 8 + self.length_size
        head = 8 + self.length_size
        for _ in range(1 << 16):
            if at + head > end:
                return
            found, size = self.number(at, 2), self.number(at + 8, self.length_size)
            if not found:
                return
            yield found, at + head, size
            at += head + size + -size % 8


class DenseHeap:
    """A fractal heap, and the tree that names its objects: links or attributes of which there are many."""

    def __init__(self, file: Bytes, address: int) -> None:
        self._file, self._left = file, MAX_RECORDS
        file.expect(address, b"FRHP")
        a, s = file.address_size, file.length_size
        filters = file.number(address + 7, 2)
        if filters:
            raise Broken("a compressed heap", file.base + address, unread=True)
        largest = file.number(address + 10, 4)
        at = address + 14 + s + a + s + a + s * 8
        self._width = file.number(at, 2)
        self._start, self._most = file.number(at + 2, s), file.number(at + 2 + s, s)
        bits = file.number(at + 2 + 2 * s, 2)
        self._root = file.address(at + 6 + 2 * s)
        self._rows = file.number(at + 6 + 2 * s + a, 2)
        self._offset_size = (bits + 7) // 8
        self._length_size = max(1, (min(self._most, largest).bit_length() + 7) // 8)
        if (
            not self._width
            or not self._start
            or self._start & (self._start - 1)
            or self._rows > MAX_ROWS
            or self._width > MAX_WIDTH
        ):
            raise Broken("a heap of no shape", file.base + address)
        self._blocks: list[tuple[int, int, int]] = []
        if self._root != file.nowhere:
            self._map()

    def _map(self) -> None:
        """(first offset, size, address) of each block."""
        if not self._rows:
            self._blocks.append((0, self._start, self._root))
            return
        file = self._file
        file.expect(self._root, b"FHIB")
        at = self._root + 5 + file.address_size + self._offset_size
        first = 0
        for row in range(self._rows):
            size = self._start << max(0, row - 1)
            for _ in range(self._width):
                block = file.address(at)
                at += file.address_size
                if block != file.nowhere:
                    if size > self._most:
                        raise Broken("a heap of more than one level", file.base + self._root, unread=True)
                    self._blocks.append((first, size, block))
                first += size

    def get(self, id: bytes) -> tuple[int, int]:
        """(address, length) of an object by its id."""
        kind = id[0] >> 4 & 3
        if kind:
            raise Broken("an object outside of its heap", self._file.base + self._root, unread=True)
        offset = int.from_bytes(id[1 : 1 + self._offset_size], "little")
        begin = 1 + self._offset_size
        length = int.from_bytes(id[begin : begin + self._length_size], "little")
        for first, size, address in self._blocks:
            if first <= offset < first + size:
                return address + offset - first, length
        raise Broken("an object in no block of its heap", self._file.base + self._root)

    def ids(self, tree: int, skip: int) -> Iterator[bytes]:
        """The ids that a tree holds, `skip` bytes into each record."""
        file = self._file
        file.expect(tree, b"BTHD")
        node_size, record_size, depth = file.number(tree + 6, 4), file.number(tree + 10, 2), file.number(tree + 12, 2)
        root, count = file.address(tree + 16), file.number(tree + 16 + file.address_size, 2)
        if depth > MAX_DEPTH or record_size < skip + 4 or node_size < 64:
            raise Broken("a tree of no shape", file.base + tree)
        if root != file.nowhere:
            levels = _pointers(node_size, record_size, depth, file.address_size)
            yield from self._node(root, count, levels, record_size, skip)

    def _node(self, address: int, count: int, levels: list[tuple[int, int]], size: int, skip: int) -> Iterator[bytes]:
        file = self._file
        file.expect(address, b"BTIN" if levels else b"BTLF")
        raw = file.take(address + 6, count * size)
        self._left -= count + 1
        if self._left < 0:
            raise Broken("a tree of more records than are read", file.base + address, unread=True)
        yield from (raw[at + skip : at + size] for at in range(0, len(raw), size))
        if levels:
            pointer, width = levels[-1]
            for index in range(count + 1):
                at = address + 6 + len(raw) + index * pointer
                held = file.number(at + file.address_size, width)
                yield from self._node(file.address(at), held, levels[:-1], size, skip)


def _pointers(node: int, record: int, depth: int, address: int) -> list[tuple[int, int]]:
    """For each level above the leaves: bytes of a pointer to a node below, and bytes of the number of records in it."""
    most = total = (node - 10) // record
    levels: list[tuple[int, int]] = []
    for level in range(1, depth + 1):
        width = most.bit_length() + 7 >> 3
        pointer = address + width + (total.bit_length() + 7 >> 3 if level > 1 else 0)
        levels.append((pointer, width))
        most = (node - 10 - pointer) // (record + pointer)
        total = (most + 1) * total + most
    return levels


def find_signature(data: Buffer) -> int:
    """Where the file begins: at 0, 512, 1024, ... as the library looks for it; -1 when it doesn't."""
    at = 0
    while at + 8 <= len(data):
        if data[at : at + 8] == SIGNATURE:
            return at
        at = at * 2 or 512
    return -1


def open_bytes(data: Buffer, start: int) -> tuple[Bytes, int]:
    """The file, and the address of its root. Raises `Broken`."""
    try:
        version = data[start + 8]
        first = start + (13 if version < 2 else 9)
        sizes = data[first], data[first + 1]
        if version > 3 or sizes[0] not in (2, 4, 8) or sizes[1] not in (2, 4, 8):
            raise Broken(f"a superblock of version {version}, which isn't known here", start)
        at = start + {0: 24, 1: 28}.get(version, 12)
        a = sizes[0]
        base = int.from_bytes(data[at : at + a], "little")
        if base != start:
            raise Broken("a base address that isn't where the file begins: readers take different ones", at)
        place = at + (5 * a if version < 2 else 3 * a)
        root = int.from_bytes(data[place : place + a], "little")
    except (IndexError, struct.error):
        raise Broken("cut off in the superblock", start) from None
    return Bytes(data, base, sizes), root
