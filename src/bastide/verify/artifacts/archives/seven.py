# SPDX-License-Identifier: Apache-2.0
"""The header of a 7z archive, bounded.

Layout after 7zFormat.txt of the LZMA SDK.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field

from bastide.verify.artifacts.interface import Buffer

MAGIC = b"7z\xbc\xaf\x27\x1c"
START = 32
MAX_HEADER = 64 << 20
MAX_COUNT = 1_000_000
END, HEADER, ADDITIONAL, STREAMS, FILES = 0x00, 0x01, 0x03, 0x04, 0x05
PACKED, FOLDERS, SUBSTREAMS, SIZES, DIGESTS, FOLDER, UNPACKED, COUNTS = 0x06, 0x07, 0x08, 0x09, 0x0A, 0x0B, 0x0C, 0x0D
EMPTY_STREAM, EMPTY_FILE, ANTI, NAMES, ATTRIBUTES, ENCODED = 0x0E, 0x0F, 0x10, 0x11, 0x15, 0x17


class NotSeven(Exception):
    """What can't be read on."""

    def __init__(self, why: str, offset: int) -> None:
        super().__init__(why)
        self.offset = offset


@dataclass(slots=True)
class Coder:
    """One step of unpacking."""

    method: str
    """Hex."""
    inputs: int = 1
    outputs: int = 1
    properties: bytes = b""


@dataclass(slots=True)
class Folder:
    """Streams that are unpacked together."""

    coders: list[Coder] = field(default_factory=list)
    bonds: list[tuple[int, int]] = field(default_factory=list)
    packed: list[int] = field(default_factory=list)
    """Inputs that are packed streams."""
    sizes: list[int] = field(default_factory=list)
    digest: int | None = None
    parts: list[int] = field(default_factory=list)
    """Sizes of the files in it."""
    at: int = 0
    """Where its first packed stream begins."""
    length: int = 0

    @property
    def size(self) -> int:
        """Bytes that it unpacks to: of the output that goes into no other coder."""
        bound = {output for _, output in self.bonds}
        return next((size for at, size in enumerate(self.sizes) if at not in bound), 0)


@dataclass(slots=True)
class Member:
    """A file or folder."""

    name: str = ""
    has_stream: bool = True
    is_folder: bool = False
    attributes: int = 0


@dataclass(slots=True)
class Seven:
    """An archive's header."""

    folders: list[Folder] = field(default_factory=list)
    members: list[Member] = field(default_factory=list)
    encoded: bool = False
    """Whether the one folder is the header itself, packed."""


class _Bytes:
    """A header that is read from the front."""

    def __init__(self, data: bytes, base: int) -> None:
        self.data, self.base, self.at = data, base, 0

    def take(self, count: int) -> bytes:
        piece = self.data[self.at : self.at + count]
        if count < 0 or len(piece) < count:
            raise NotSeven("its header ends too early", self.base + self.at)
        self.at += count
        return piece

    def byte(self) -> int:
        return self.take(1)[0]

    def number(self) -> int:
        """A number whose first byte says how many follow."""
        first = self.byte()
        value, mask = 0, 0x80
        for shift in range(8):
            if not first & mask:
                return value | (first & (mask - 1)) << (8 * shift)
            value |= self.byte() << (8 * shift)
            mask >>= 1
        return value

    def count(self) -> int:
        value = self.number()
        if value > MAX_COUNT:
            raise NotSeven(f"a count of {value}", self.base + self.at)
        return value

    def bits(self, count: int, *, marked: bool = False) -> list[bool]:
        """A list of bits; marked: behind a byte that says whether all are set."""
        if marked and self.byte():
            return [True] * count
        raw = self.take((count + 7) // 8)
        return [bool(raw[at >> 3] & 0x80 >> (at & 7)) for at in range(count)]

    def digests(self, count: int) -> list[int | None]:
        return [
            int.from_bytes(self.take(4), "little") if defined else None for defined in self.bits(count, marked=True)
        ]

    def expect(self, kind: int) -> None:
        if self.byte() != kind:
            raise NotSeven(f"its header has no {kind:#04x} where one has to be", self.base + self.at - 1)


def start(data: Buffer) -> tuple[int, int]:
    """Where the header lies, and its size. Raises `NotSeven`."""
    head = bytes(data[:START])
    if len(head) < START or int.from_bytes(head[8:12], "little") != zlib.crc32(head[12:]):
        raise NotSeven("its first header is broken", 8)
    at, size = START + int.from_bytes(head[12:20], "little"), int.from_bytes(head[20:28], "little")
    if size > MAX_HEADER or at + size > len(data):
        raise NotSeven("its header lies behind the end of the file", 12)
    if zlib.crc32(bytes(data[at : at + size])) != int.from_bytes(head[28:32], "little"):
        raise NotSeven("its header has another checksum", at)
    return at, size


def read_header(data: bytes, base: int) -> Seven:
    """A header, packed or not. Raises `NotSeven`."""
    source = _Bytes(data, base)
    kind = source.byte()
    if kind == ENCODED:
        return Seven(_streams(source), encoded=True)
    if kind != HEADER:
        raise NotSeven("its header is of no kind that is known", base)
    made = Seven()
    kind = source.byte()
    if kind == ADDITIONAL:
        raise NotSeven("its header has additional streams", base + 1)
    if kind == STREAMS:
        made.folders = _streams(source)
        kind = source.byte()
    if kind == FILES:
        made.members = _files(source)
    return made


def _streams(source: _Bytes) -> list[Folder]:
    folders: list[Folder] = []
    sizes: list[int] = []
    begin = 0
    while (kind := source.byte()) != END:
        if kind == PACKED:
            begin, sizes = _packed(source)
        elif kind == FOLDERS:
            folders = _folders(source)
        elif kind == SUBSTREAMS:
            _substreams(source, folders)
        else:
            raise NotSeven(f"its header has {kind:#04x} among the streams", source.base + source.at - 1)
    at = START + begin
    left = iter(sizes)
    for folder in folders:
        mine = [next(left, 0) for _ in folder.packed]
        folder.at, folder.length = at, sum(mine)
        at += folder.length
        folder.parts = folder.parts or [folder.size]
    return folders


def _packed(source: _Bytes) -> tuple[int, list[int]]:
    begin, count = source.number(), source.count()
    sizes: list[int] = []
    while (kind := source.byte()) != END:
        if kind == SIZES:
            sizes = [source.number() for _ in range(count)]
        elif kind == DIGESTS:
            source.digests(count)
        else:
            raise NotSeven(f"its header has {kind:#04x} among the packed streams", source.base + source.at - 1)
    return begin, sizes


def _folders(source: _Bytes) -> list[Folder]:
    source.expect(FOLDER)
    count = source.count()
    if source.byte():
        raise NotSeven("its header lies in another stream", source.base + source.at - 1)
    folders = [_folder(source) for _ in range(count)]
    source.expect(UNPACKED)
    for folder in folders:
        folder.sizes = [source.number() for coder in folder.coders for _ in range(coder.outputs)]
    while (kind := source.byte()) != END:
        if kind != DIGESTS:
            raise NotSeven(f"its header has {kind:#04x} among the folders", source.base + source.at - 1)
        for folder, digest in zip(folders, source.digests(count), strict=True):
            folder.digest = digest
    return folders


def _folder(source: _Bytes) -> Folder:
    made = Folder()
    for _ in range(_few(source)):
        flags = source.byte()
        coder = Coder(source.take(flags & 0x0F).hex())
        if flags & 0x10:
            coder.inputs, coder.outputs = _few(source), _few(source)
        if flags & 0x20:
            coder.properties = source.take(source.count())
        if flags & 0x80:
            raise NotSeven("a coder of a kind that isn't known", source.base + source.at)
        made.coders.append(coder)
    inputs, outputs = sum(c.inputs for c in made.coders), sum(c.outputs for c in made.coders)
    made.bonds = [(source.count(), source.count()) for _ in range(outputs - 1)]
    if inputs - len(made.bonds) == 1:
        bound = {at for at, _ in made.bonds}
        made.packed = [at for at in range(inputs) if at not in bound]
    else:
        made.packed = [source.count() for _ in range(max(0, inputs - len(made.bonds)))]
    return made


def _few(source: _Bytes) -> int:
    count = source.count()
    if not 1 <= count <= 32:
        raise NotSeven(f"{count} coders", source.base + source.at)
    return count


def _substreams(source: _Bytes, folders: list[Folder]) -> None:
    counts = [1] * len(folders)
    kind = source.byte()
    if kind == COUNTS:
        counts = [source.count() for _ in folders]
        kind = source.byte()
    if sum(counts) > MAX_COUNT:
        raise NotSeven(f"{sum(counts)} files", source.base + source.at)
    for folder, count in zip(folders, counts, strict=True):
        folder.parts = [source.number() for _ in range(count - 1)] if kind == SIZES else []
        if count:
            folder.parts.append(folder.size - sum(folder.parts))
        if count and folder.parts[-1] < 0:
            raise NotSeven("files are larger than what holds them", source.base + source.at)
    if kind == SIZES:
        kind = source.byte()
    if kind == DIGESTS:
        known = sum(
            1 for folder, count in zip(folders, counts, strict=True) if count == 1 and folder.digest is not None
        )
        source.digests(sum(counts) - known)
        kind = source.byte()
    if kind != END:
        raise NotSeven(f"its header has {kind:#04x} among the files' sizes", source.base + source.at - 1)


def _files(source: _Bytes) -> list[Member]:
    members = [Member() for _ in range(source.count())]
    empty: list[Member] = []
    while (kind := source.byte()) != END:
        size = source.number()
        below = _Bytes(source.take(size), source.base + source.at - size)
        if kind == EMPTY_STREAM:
            for member, is_empty in zip(members, below.bits(len(members)), strict=True):
                member.has_stream, member.is_folder = not is_empty, is_empty
            empty = [member for member in members if not member.has_stream]
        elif kind == EMPTY_FILE:
            for member, is_file in zip(empty, below.bits(len(empty)), strict=True):
                member.is_folder = not is_file
        elif kind == NAMES:
            _names(below, members)
        elif kind == ATTRIBUTES:
            defined = below.bits(len(members), marked=True)
            if below.byte():
                raise NotSeven("its header lies in another stream", below.base)
            for member, there in zip(members, defined, strict=True):
                member.attributes = int.from_bytes(below.take(4), "little") if there else 0
    return members


def _names(source: _Bytes, members: list[Member]) -> None:
    if source.byte():
        raise NotSeven("its header lies in another stream", source.base)
    names = source.data[1:].decode("utf-16-le", "replace").split("\0")
    if len(names) != len(members) + 1:
        raise NotSeven(f"{len(names) - 1} names for {len(members)} files", source.base)
    for member, name in zip(members, names, strict=False):
        member.name = name
