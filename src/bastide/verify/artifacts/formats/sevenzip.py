# SPDX-License-Identifier: Apache-2.0
"""7z archives, and archives that are known but not unpacked here: RAR, ar, cab, and others. What is in those stays unknown."""

from __future__ import annotations

import stat
from collections import Counter

from bastide.verify.artifacts.archives import seven, seven_streams, unpack
from bastide.verify.artifacts.archives.names import escapes, leads_out
from bastide.verify.artifacts.interface import Scan, Source
from bastide.verify.artifacts.model import Severity, Tier

MAGICS = {
    seven.MAGIC: "7z",
    b"Rar!\x1a\x07": "rar",
    b"!<arch>\n": "ar",
    b"MSCF\0\0\0\0": "cab",
    b"\xed\xab\xee\xdb": "rpm",
    b"xar!": "xar",
    b"hsqs": "squashfs",
    b"070701": "cpio",
    b"LZIP\x01": "lzip",
    b"\x1f\x9d": "compress",
}
MAX_PACKED_HEADERS = 4


class SevenZipReader:
    """Reads 7z, and says that other archives weren't read."""

    format = "archive"

    def claims(self, source: Source) -> bool:
        """By its first bytes."""
        return source.head(8).startswith(tuple(MAGICS))

    def read(self, source: Source, scan: Scan) -> str:
        """Its name."""
        kind = next(kind for magic, kind in MAGICS.items() if source.head(8).startswith(magic))
        if kind != "7z":
            scan.unread(f"an archive of the kind {kind}, which isn't unpacked here; unpack it and scan the files", 0)
            return kind
        try:
            _read(source, scan)
        except seven.NotSeven as problem:
            scan.malformed("7z/broken", f"{problem}; what is in it was not read", problem.offset)
        except (seven_streams.NotUnpacked, unpack.Corrupt) as problem:
            scan.unread(f"its header: {problem}", 12)
        return kind


def _read(source: Source, scan: Scan) -> None:
    at, size = seven.start(source.data)
    if at + size < source.size:
        scan.malformed("7z/data-behind", "bytes stand behind its end", at + size)
    if not size:
        return
    header = seven.read_header(bytes(source.data[at : at + size]), at)
    for _ in range(MAX_PACKED_HEADERS):
        if not header.encoded:
            break
        header = seven.read_header(_header(header, source), at)
    else:
        raise seven.NotSeven("a header in a header, deeper than is read", at)
    _members(header, source, scan, at)


def _header(outer: seven.Seven, source: Source) -> bytes:
    if len(outer.folders) != 1 or outer.folders[0].size > seven.MAX_HEADER:
        raise seven_streams.NotUnpacked("its header is larger than is read")
    return b"".join(seven_streams.stream(outer.folders[0], source.data))


def _members(header: seven.Seven, source: Source, scan: Scan, at: int) -> None:
    names = Counter(member.name for member in header.members)
    for name, count in names.items():
        if count > 1:
            scan.add(
                "7z/double-member", Tier.MALFORMED, Severity.MEDIUM,
                "has more than one member of this name; the last one wins when it is unpacked", at, name[:200],
            )  # fmt: skip
    members = iter([member for member in header.members if member.has_stream])
    for member in header.members:
        if why := escapes(member.name):
            scan.add(
                "7z/escapes", Tier.EXECUTES, Severity.HIGH,
                f"unpacked by a careless program, a member is written outside of the folder: {why}", at, member.name[:200],
            )  # fmt: skip
    for folder in header.folders:
        parts = [(next(members, seven.Member("?")), size) for size in folder.parts]
        _folder(folder, parts, source, scan)
        if scan.spent.members > scan.limits.members:
            return


def _folder(folder: seven.Folder, parts: list[tuple[seven.Member, int]], source: Source, scan: Scan) -> None:
    shown = ", ".join(member.name for member, _ in parts[:3])[:200]
    try:
        pieces = seven_streams.stream(folder, source.data)
    except seven_streams.NotUnpacked as problem:
        scan.unread(f"`{shown}`: {problem}", folder.at)
        return
    content = unpack.unpack(pieces, scan, folder.length, f"`{shown}`", marked=False)
    if content is None:
        return
    view, start = memoryview(content), 0
    for member, size in parts:
        part = view[start : start + size]
        start += size
        if _link(member, bytes(part[:4096]), folder.at, scan) or not part:
            continue
        scan.into(member.name, part)


def _link(member: seven.Member, target: bytes, at: int, scan: Scan) -> bool:
    """Whether a member is a link of Unix, which is reported then."""
    if not member.attributes & 0x8000 or not stat.S_ISLNK(member.attributes >> 16):
        return False
    path = target.decode("utf-8", "replace")
    outside = leads_out(member.name, path)
    scan.add(
        "7z/link", Tier.EXECUTES if outside else Tier.POLICY, Severity.HIGH if outside else Severity.LOW,
        "a member is a link" + (" to somewhere outside of the archive" if outside else ""), at, f"{member.name[:120]} -> {path[:120]}",
    )  # fmt: skip
    return True
