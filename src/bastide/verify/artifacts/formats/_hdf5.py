# SPDX-License-Identifier: Apache-2.0
"""The objects of an HDF5 file: groups and data sets, with their attributes, links, storage and filters."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum

from bastide.verify.artifacts.formats._hdf5_bytes import MAX_TEXT, Broken, Bytes, DenseHeap


class Kind(IntEnum):
    """Messages that matter here."""

    LINK_INFO = 2
    LINK = 6
    EXTERNAL_FILES = 7
    LAYOUT = 8
    FILTERS = 11
    ATTRIBUTE = 12
    CONTINUATION = 16
    SYMBOL_TABLE = 17
    ATTRIBUTE_INFO = 21


MAX_OBJECTS = 500_000
SHARED = 2


@dataclass(frozen=True, slots=True)
class Part:
    """A message of an object: its kind, and where it lies."""

    kind: int
    flags: int
    address: int
    size: int


@dataclass(frozen=True, slots=True)
class Link:
    """A name in a group. kind: 0 an object of this file, 1 a path in it, 64 an object of another file, above: of a plug-in."""

    kind: int
    name: str
    target: int = 0
    text: str = ""


@dataclass(frozen=True, slots=True)
class Attribute:
    """A value at an object; `value` is None when it is no text."""

    name: str
    value: bytes | None
    address: int


def parts(file: Bytes, header: int) -> Iterator[Part]:
    """The messages of an object."""
    waiting: list[tuple[int, int]] = []
    modern = file.take(header, 4) == b"OHDR"
    ordered = False
    if modern:
        flags = file.number(header + 5, 1)
        ordered = bool(flags & 4)
        at = header + 6 + (16 if flags & 32 else 0) + (4 if flags & 16 else 0)
        width = 1 << (flags & 3)
        waiting.append((at + width, file.number(at, width)))
    elif file.number(header, 1) == 1:
        waiting.append((header + 16, file.number(header + 8, 4)))
    else:
        raise Broken("no object where one is said to be", file.base + header)
    seen: set[int] = set()
    while waiting:
        at, size = waiting.pop()
        if at in seen:
            raise Broken("an object that continues in itself", file.base + at)
        seen.add(at)
        for part in _block(file, at, size, modern, ordered):
            if part.kind == Kind.CONTINUATION and not part.flags & SHARED:
                place = file.address(part.address)
                length = file.number(part.address + file.address_size, file.length_size)
                if modern:
                    file.expect(place, b"OCHK")
                waiting.append((place + 4, length - 8) if modern else (place, length))
            yield part


def _block(file: Bytes, at: int, size: int, modern: bool, ordered: bool) -> Iterator[Part]:
    end = at + size
    head = (6 if ordered else 4) if modern else 8
    while at + head <= end:
        if modern:
            kind, length, flags = file.number(at, 1), file.number(at + 1, 2), file.number(at + 3, 1)
        else:
            kind, length, flags = file.number(at, 2), file.number(at + 2, 2), file.number(at + 4, 1)
        if at + head + length > end:
            raise Broken("a message ends behind its object", file.base + at)
        yield Part(kind, flags, at + head, length)
        at += head + length


def old_links(file: Bytes, part: Part) -> Iterator[Link]:
    """The names of a group as old versions of the library write it."""
    heap = file.address(part.address + file.address_size)
    waiting = [file.address(part.address)]
    seen: set[int] = set()
    while waiting:
        node = waiting.pop()
        if node in seen or len(seen) > MAX_OBJECTS:
            raise Broken("a tree that goes round", file.base + node)
        seen.add(node)
        if file.take(node, 4) == b"TREE":
            used = file.number(node + 6, 2)
            at = node + 8 + 2 * file.address_size + file.length_size
            for index in range(used):
                waiting.append(file.address(at + index * (file.length_size + file.address_size)))
        else:
            file.expect(node, b"SNOD")
            yield from _entries(file, node, heap)


def _entries(file: Bytes, node: int, heap: int) -> Iterator[Link]:
    size = 2 * file.address_size + 24
    for index in range(file.number(node + 6, 2)):
        at = node + 8 + index * size
        name = file.local_text(heap, file.address(at))
        soft = file.number(at + 2 * file.address_size, 4) == 2
        if soft:
            yield Link(1, name, text=file.local_text(heap, file.number(at + 2 * file.address_size + 8, 4)))
        else:
            yield Link(0, name, file.address(at + file.address_size))


def link(file: Bytes, at: int) -> Link:
    """A link message."""
    flags = file.number(at + 1, 1)
    at += 2
    kind = 0
    if flags & 8:
        kind, at = file.number(at, 1), at + 1
    at += (8 if flags & 4 else 0) + (1 if flags & 16 else 0)
    width = 1 << (flags & 3)
    length = file.number(at, width)
    name = file.take(at + width, min(length, 1 << 16)).decode("utf-8", "replace")
    at += width + length
    if kind == 0:
        return Link(0, name, file.address(at))
    text = file.take(at + 2, file.number(at, 2))
    return Link(kind, name, text=text.lstrip(b"\0").replace(b"\0", b" ").decode("utf-8", "replace").strip())


def dense(file: Bytes, part: Part, index_size: int, skip: int) -> Iterator[int]:
    """Where the links or attributes lie of which an object has many."""
    flags = file.number(part.address + 1, 1)
    at = part.address + 2 + (index_size if flags & 1 else 0)
    heap, tree = file.address(at), file.address(at + file.address_size)
    if heap == file.nowhere:
        return
    found = DenseHeap(file, heap)
    for id in found.ids(tree, skip):
        yield found.get(id)[0]


def attribute(file: Bytes, at: int) -> Attribute:
    """An attribute message; of its value only a text is read."""
    begin = at
    version, flags = file.number(at, 1), file.number(at + 1, 1)
    sizes = [file.number(at + 2 + 2 * index, 2) for index in range(3)]
    at += 9 if version == 3 else 8
    padded = [size + -size % 8 if version == 1 else size for size in sizes]
    name = file.take(at, sizes[0]).split(b"\0", 1)[0].decode("utf-8", "replace")
    kind_at, value_at = at + padded[0], at + sum(padded)
    if version > 1 and flags & 1:
        raise Broken(f"the attribute `{name[:60]}`, whose type stands elsewhere", file.base + begin, unread=True)
    count = _count(file, kind_at + padded[1], sizes[2])
    kind, size = file.number(kind_at, 1) & 15, file.number(kind_at + 4, 4)
    if kind == 3 and count * size <= MAX_TEXT:
        return Attribute(name, file.take(value_at, count * size), begin)
    if kind == 9 and count == 1:
        length, heap = file.number(value_at, 4), file.address(value_at + 4)
        if not length or not heap:
            return Attribute(name, b"", begin)
        text = file.shared_object(heap, file.number(value_at + 4 + file.address_size, 4))
        return Attribute(name, text, begin)
    return Attribute(name, None, begin)


def _count(file: Bytes, at: int, size: int) -> int:
    """How many elements a dataspace has."""
    if size < 4:
        return 1
    version, rank = file.number(at, 1), file.number(at + 1, 1)
    if version == 2 and file.number(at + 3, 1) == 2:
        return 0
    at += 8 if version == 1 else 4
    count = 1
    for index in range(rank):
        count *= file.number(at + index * file.length_size, file.length_size)
    return count


def filters(file: Bytes, part: Part) -> Iterator[int]:
    """The numbers of the filters through which a data set is read."""
    version, count = file.number(part.address, 1), file.number(part.address + 1, 1)
    at = part.address + (8 if version == 1 else 2)
    for _ in range(count):
        id = file.number(at, 2)
        named = version == 1 or id >= 256
        length = file.number(at + 2, 2) if named else 0
        values = file.number(at + (6 if named else 4), 2)
        at += (8 if named else 6) + length + 4 * values
        if version == 1:
            at += -length % 8 + (4 if values % 2 else 0)
        yield id


def external_files(file: Bytes, part: Part) -> Iterator[str]:
    """The files in which a data set lies."""
    used = file.number(part.address + 6, 2)
    heap = file.address(part.address + 8)
    at = part.address + 8 + file.address_size
    for index in range(used):
        yield file.local_text(heap, file.number(at + index * 3 * file.length_size, file.length_size))


def virtual(file: Bytes, part: Part) -> str | None:
    """The first file from which a virtual data set is put together; None for another data set."""
    version, kind = file.number(part.address, 1), file.number(part.address + 1, 1)
    if version < 4 or kind != 3:
        return None
    heap = file.address(part.address + 2)
    if heap in (0, file.nowhere):
        return "."
    raw = file.shared_object(heap, file.number(part.address + 2 + file.address_size, 4))
    return raw[1 + file.length_size :].split(b"\0", 1)[0].decode("utf-8", "replace")
