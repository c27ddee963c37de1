# SPDX-License-Identifier: Apache-2.0
"""Zip archives as loaders read them: PyTorch's reader (miniz), Python's `zipfile`, and readers of streams, which never see the directory.

Every member is listed, also the second of the same name and those that only one kind of loader finds. A difference between what the directory
says and what stands at the member is a finding. Stored members are views into the file: nothing is copied.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass, field

from bastide.verify.artifacts.archives import unpack
from bastide.verify.artifacts.archives.zip_ends import ENTRY, LOCAL, Directory, find_directories
from bastide.verify.artifacts.interface import Buffer, Scan
from bastide.verify.artifacts.model import Severity, Tier
from bastide.verify.artifacts.ranges import Ranges, whole

_ENTRY = struct.Struct("<4s6H3L5H2L")
_LOCAL = struct.Struct("<4s5H3L2H")
STORED, DEFLATE, BZIP2, LZMA = 0, 8, 12, 14
METHODS = {
    STORED: "stored",
    DEFLATE: "deflate",
    BZIP2: "bzip2",
    LZMA: "lzma",
    9: "deflate64",
    93: "zstd",
    95: "xz",
    99: "AES",
}
ENCRYPTED, DESCRIPTOR, PATCHED, STRONG, UTF8, MASKED = 0x1, 0x8, 0x20, 0x40, 0x800, 0x2000
ODD_FLAGS = {ENCRYPTED: "encrypted", PATCHED: "patched", STRONG: "strongly encrypted", MASKED: "masked"}


@dataclass(frozen=True, slots=True)
class Member:
    """One member, as the directory has it."""

    name: str
    raw: bytes
    """Its name as it stands there."""
    flags: int
    method: int
    crc: int
    packed: int
    size: int
    header: int
    """Offset of its local header in the file."""
    start: int = -1
    """Offset of its bytes; -1 when there is no local header."""
    mode: int = 0
    """Unix mode, 0 if none is given."""
    entry: int = 0
    """Offset of its entry in the directory."""

    @property
    def is_folder(self) -> bool:
        """Whether it only stands for a folder."""
        return self.name.endswith("/") and not self.size


@dataclass(slots=True)
class Archive:
    """A zip archive that was read."""

    data: Buffer
    """A view, or ranges of a file elsewhere."""
    members: list[Member] = field(default_factory=list)
    """In the order of their directory; two may have the same name."""
    end: int = 0
    """Where the first directory begins."""
    taken: int = 0
    """Bytes of stored members that were handed out: members that share bytes would be read without end."""

    def content(self, member: Member, scan: Scan, *, checked: bool = True) -> Buffer | None:
        """Its bytes, a view when it is stored; None when they can't be had, which has been reported then.

        scan: for the member; checked: whether its checksum is compared, which reads all of it.
        """
        if member.start < 0:
            return None
        packed = memoryview(whole(self.data[member.start : member.start + member.packed]))
        if len(packed) < member.packed:
            scan.malformed("zip/cut-off", "reaches beyond the end of the archive", member.start)
        found = self._unpacked(member, packed, scan)
        if found is None:
            return None
        if len(found) != member.size:
            scan.malformed("zip/wrong-size", f"has {len(found)} bytes, its entry says {member.size}", member.entry)
        elif checked and zlib.crc32(found) != member.crc:
            scan.malformed(
                "zip/bad-checksum",
                "its checksum is wrong; PyTorch reads it all the same, Python's readers don't",
                member.entry,
            )
        if member.flags & (ENCRYPTED | STRONG | MASKED):
            _flagged(member, found, scan)
        return found

    def _unpacked(self, member: Member, packed: memoryview, scan: Scan) -> Buffer | None:
        if member.method == STORED:
            self.taken += len(packed)
            if self.taken > len(self.data):
                scan.unread("members share their bytes, and together they have more than the archive", member.entry)
                return None
            return packed
        what = f"a member packed with {METHODS.get(member.method, member.method)}"
        try:
            match member.method:
                case 8:
                    stream = unpack.Stream(unpack.inflate_raw, packed)
                case 12:
                    stream = unpack.Stream(unpack.bzip2, packed)
                case 14:
                    make, start = unpack.zip_lzma(packed)
                    return self._lzma(member, unpack.Stream(make, packed[start:]), scan)
                case _:
                    scan.unread(
                        f"packed with {METHODS.get(member.method, f'method {member.method}')}, which isn't read here",
                        member.entry,
                    )
                    return None
        except unpack.Corrupt as problem:
            scan.malformed("archive/corrupt", f"{what} can't be unpacked: {problem}", member.start)
            return None
        return unpack.unpack(stream, scan, member.packed, what)

    def _lzma(self, member: Member, stream: unpack.Stream, scan: Scan) -> Buffer | None:
        # A stream without an end mark ends where the entry says.
        found = unpack.unpack(stream, scan, member.packed, "a member packed with lzma", marked=False)
        return found if found is None else found[: member.size]


def _flagged(member: Member, found: Buffer, scan: Scan) -> None:
    names = ", ".join(name for flag, name in ODD_FLAGS.items() if member.flags & flag)
    if len(found) == member.size and zlib.crc32(found) == member.crc:
        scan.add(
            "zip/false-flags", Tier.MALFORMED, Severity.HIGH,
            f"is marked as {names} but isn't: scanners stop at it, old versions of PyTorch load it", member.entry,
        )  # fmt: skip
    else:
        scan.unread(f"{names}, so that its content isn't known", member.entry)


def read_archive(data: Buffer, scan: Scan) -> Archive:
    """Lists the members and reports what is wrong with the structure."""
    archive = Archive(data if isinstance(data, Ranges) else memoryview(data))
    seen: set[Member] = set()
    directories = find_directories(data, scan)
    archive.end = min((d.at for d in directories), default=0)
    if not directories:
        scan.malformed(
            "zip/no-directory",
            "has no directory, so its members were not read: only loaders that read it as a stream find them",
            0,
        )
    for directory in directories:
        for member in _entries(archive.data, directory, scan):
            if member not in seen:
                seen.add(member)
                archive.members.append(member)
    return archive


def _entries(data: Buffer, directory: Directory, scan: Scan) -> list[Member]:
    at = directory.at
    found: list[Member] = []
    while bytes(data[at : at + 4]) == ENTRY and at + _ENTRY.size <= directory.end:
        if len(found) >= scan.limits.members:
            scan.unread(f"the archive has more than {scan.limits.members} members", at)
            break
        member, after = _entry(data, at, directory.shift, scan)
        found.append(_at_its_place(data, member, scan))
        at = after
    else:
        if len(found) & 0xFFFF != directory.count & 0xFFFF or at - directory.at != directory.size:
            scan.add(
                "zip/counts-disagree", Tier.MALFORMED, Severity.HIGH,
                f"its directory has {len(found)} entries in {at - directory.at} bytes, its end record says {directory.count} in "
                f"{directory.size}: loaders see different members", directory.at,
            )  # fmt: skip
    return found


def _entry(data: Buffer, at: int, shift: int, scan: Scan) -> tuple[Member, int]:
    fields = _ENTRY.unpack(data[at : at + _ENTRY.size])
    _, _, _, flags, method, _, _, crc, packed, size, name_size, extra_size, comment_size, _, _, attributes, header = (
        fields
    )
    start = at + _ENTRY.size
    raw = bytes(data[start : start + name_size])
    extra = bytes(data[start + name_size : start + name_size + extra_size])
    values = _widened([size, packed, header], extra)
    name = _name(raw, flags)
    other = _extras(extra).get(0x7075, b"")[5:]
    if other and raw.isascii() and other != raw:
        _two_names(name, other.decode("utf-8", "replace"), at, scan)
    member = Member(
        name, raw, flags, method, crc, values[1], values[0], values[2] + shift, mode=attributes >> 16, entry=at
    )
    return member, start + name_size + extra_size + comment_size


def _extras(extra: bytes) -> dict[int, bytes]:
    found: dict[int, bytes] = {}
    at = 0
    while at + 4 <= len(extra):
        kind, size = struct.unpack_from("<2H", extra, at)
        found.setdefault(kind, extra[at + 4 : at + 4 + size])
        at += 4 + size
    return found


def _widened(values: list[int], extra: bytes) -> list[int]:
    """Size, packed size and offset of the header, from the zip64 field where the others are full."""
    if 0xFFFFFFFF not in values:
        return values
    wide = _extras(extra).get(1, b"")
    for index, value in enumerate(values):
        if value == 0xFFFFFFFF and len(wide) >= 8:
            values[index] = int.from_bytes(wide[:8], "little")
            wide = wide[8:]
    return values


def _name(raw: bytes, flags: int) -> str:
    return raw.decode("utf-8", "replace") if flags & UTF8 else raw.decode("cp437")


def _at_its_place(data: Buffer, member: Member, scan: Scan) -> Member:
    """The member with its place, after what stands there was compared with its entry."""
    at = member.header
    head = bytes(data[at : at + _LOCAL.size]) if 0 <= at <= len(data) else b""
    if len(head) < _LOCAL.size or head[:4] != LOCAL:
        scan.malformed("zip/no-local-header", f"`{member.name[:200]}` isn't where the directory says", member.entry)
        return member
    _, _, flags, method, _, _, crc, packed, size, name_size, extra_size = _LOCAL.unpack(head)
    start = at + _LOCAL.size
    raw = bytes(data[start : start + name_size])
    if raw != member.raw:
        _two_names(member.name, _name(raw, flags), at, scan)
    if method != member.method:
        _differs(
            member,
            f"its method is {member.method} in the directory and {method} at the member",
            at,
            Severity.HIGH,
            scan,
        )
    extra = bytes(data[start + name_size : start + name_size + extra_size])
    size, packed, _ = _widened([size, packed, 0], extra)
    described = flags & DESCRIPTOR
    known = {(member.size, member.packed, member.crc)} | ({(0, 0, 0)} if described else set())
    if (size, packed, crc) not in known and not (described and not packed and not crc):
        _differs(
            member, "its size or checksum isn't the same in the directory and at the member", at, Severity.MEDIUM, scan
        )
    if (flags ^ member.flags) & ~(DESCRIPTOR | UTF8):
        _differs(member, "its flags aren't the same in the directory and at the member", at, Severity.MEDIUM, scan)
    place = start + name_size + extra_size
    return Member(
        member.name, member.raw, member.flags | flags, member.method, member.crc, member.packed, member.size, at, place, member.mode, member.entry,
    )  # fmt: skip


def _two_names(name: str, other: str, offset: int, scan: Scan) -> None:
    scan.add(
        "zip/two-names", Tier.MALFORMED, Severity.HIGH,
        "a member has two different names, so that loaders take it for different things", offset, f"{name[:120]} / {other[:120]}",
    )  # fmt: skip


def _differs(member: Member, what: str, offset: int, severity: Severity, scan: Scan) -> None:
    scan.add("zip/headers-disagree", Tier.MALFORMED, severity, f"`{member.name[:120]}`: {what}", offset)
