# SPDX-License-Identifier: Apache-2.0
"""Tar archives: old tar, ustar, GNU's long names and sparse files, and pax headers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from bastide.verify.artifacts.interface import Buffer, Scan
from bastide.verify.artifacts.model import Severity, Tier

BLOCK = 512
MAX_EXTENDED = 1 << 20
"""Bytes of a pax header or a long name."""
FILE, LINK, SYMLINK, FOLDER = b"0\0 7", b"1", b"2", b"5"
EMPTY = (LINK, SYMLINK, b"3", b"4", FOLDER, b"6")
"""Kinds that have no content, whatever their size says."""
_LONG_NAME, _LONG_LINK, _PAX, _PAX_GLOBAL, _SPARSE = b"L", b"K", b"x", b"g", b"S"


@dataclass(frozen=True, slots=True)
class Entry:
    """One member."""

    name: str
    kind: bytes
    """Its type flag."""
    target: str
    """Of a link."""
    start: int
    size: int
    header: int

    @property
    def is_file(self) -> bool:
        """Whether it has content."""
        return self.kind in FILE


def is_tar(data: Buffer) -> bool:
    """Whether it begins with the header of a member: its checksum is right."""
    return len(data) >= BLOCK and _checked(bytes(data[:BLOCK]))


def read_entries(data: Buffer, scan: Scan) -> Iterator[Entry]:
    """The members in their order, and what is wrong with them."""
    at = 0
    extended: dict[str, str] = {}
    everywhere: dict[str, str] = {}
    while at + BLOCK <= len(data):
        block = bytes(data[at : at + BLOCK])
        if not block.strip(b"\0"):
            _end(data, at, scan)
            return
        size = _number(block[124:136])
        if not _checked(block) or size is None:
            scan.malformed("tar/header", "here should be the header of a member; loaders stop or skip it", at)
            return
        kind, start = block[156:157], at + BLOCK
        content = bytes(data[start : start + min(size, MAX_EXTENDED)]) if kind in b"LKxg" else b""
        if kind in (_PAX, _PAX_GLOBAL):
            (extended if kind == _PAX else everywhere).update(_records(content))
        elif kind in (_LONG_NAME, _LONG_LINK):
            extended["path" if kind == _LONG_NAME else "linkpath"] = content.rstrip(b"\0").decode("utf-8", "replace")
        else:
            told = {**everywhere, **extended}
            entry = _entry(block, told, at, size)
            size, extended = entry.size, {}
            if kind == _SPARSE or any(key.startswith("GNU.sparse") for key in told):
                scan.unread("a sparse file in a tar archive", at)
            if entry.is_file and start + size > len(data):
                scan.malformed("tar/cut-off", f"`{entry.name[:200]}` is cut off", at)
            yield entry
            size = _followed(entry, scan)
        at = start + -(-size // BLOCK) * BLOCK
    severity = Severity.MEDIUM if bytes(data[at:]).strip(b"\0") else Severity.LOW
    scan.add("tar/no-end", Tier.MALFORMED, severity, "ends without the two empty blocks of an archive", at)


def _followed(entry: Entry, scan: Scan) -> int:
    """Bytes that follow the header."""
    if entry.kind not in EMPTY:
        return entry.size
    if entry.size:
        scan.add(
            "tar/content-of-a-link", Tier.MALFORMED, Severity.HIGH,
            "a member without content says that it has some: loaders disagree on where the next member is", entry.header, entry.name[:200],
        )  # fmt: skip
    return 0


def _end(data: Buffer, at: int, scan: Scan) -> None:
    rest = memoryview(data)[at:]
    for start in range(0, len(rest), 1 << 20):
        if bytes(rest[start : start + (1 << 20)]).strip(b"\0"):
            scan.malformed("tar/data-behind", "bytes stand behind its end, which only some loaders read", at)
            return


def _entry(block: bytes, extended: dict[str, str], at: int, size: int) -> Entry:
    name = block[:100].split(b"\0")[0].decode("utf-8", "replace")
    if block[257:262] == b"ustar" and block[263:265] == b"00" and (prefix := block[345:500].split(b"\0")[0]):
        name = f"{prefix.decode('utf-8', 'replace')}/{name}"
    target = block[157:257].split(b"\0")[0].decode("utf-8", "replace")
    told = extended.get("size", "")
    size = int(told) if told.isascii() and told.isdigit() and len(told) < 20 else size
    return Entry(extended.get("path", name), block[156:157], extended.get("linkpath", target), at + BLOCK, size, at)


def _records(content: bytes) -> dict[str, str]:
    """Of a pax header: `25 path=a/long/name` in lines."""
    found: dict[str, str] = {}
    at = 0
    while at < len(content):
        blank = content.find(b" ", at)
        length = content[at:blank]
        if blank < 0 or not length.isdigit() or len(length) > 9 or int(length) < blank - at + 2:
            break
        key, _, value = content[blank + 1 : at + int(length) - 1].partition(b"=")
        found[key.decode("utf-8", "replace")] = value.decode("utf-8", "replace")
        at += int(length)
    return found


def _number(field: bytes) -> int | None:
    """Octal digits, or binary with the highest bit set."""
    if field[:1] in (b"\x80", b"\xff"):
        value = int.from_bytes(field[1:], "big")
        return value if field[0] == 0x80 and value < 1 << 62 else None
    text = field.split(b"\0")[0].strip()
    if not text:
        return 0
    return int(text, 8) if len(text) <= 12 and not text.strip(b"01234567") else None


def _checked(block: bytes) -> bool:
    told = _number(block[148:156])
    if told is None or len(block) < BLOCK:
        return False
    plain = sum(block) - sum(block[148:156]) + 8 * 0x20
    signed = plain - 256 * sum(b > 127 for b in block[:148] + block[156:])
    return told in (plain, signed) and told > 0
