# SPDX-License-Identifier: Apache-2.0
"""What is wrong with the members of a zip archive when they are looked at together: names, places, doubles."""

from __future__ import annotations

import stat
from collections import defaultdict

from bastide.verify.artifacts.archives.names import escapes, leads_out
from bastide.verify.artifacts.archives.zip import DESCRIPTOR, ODD_FLAGS, STORED, UTF8, Archive, Member
from bastide.verify.artifacts.archives.zip_ends import LOCAL
from bastide.verify.artifacts.interface import Scan
from bastide.verify.artifacts.model import Severity, Tier

USUAL = DESCRIPTOR | UTF8 | 0x6
"""Flags that honest archives have; the last two tell how well deflate tried."""
MAX_GAP = 1 << 20
"""Bytes between two members in which a hidden one is looked for."""


def check(archive: Archive, scan: Scan) -> None:
    """Reports it all."""
    _doubles(archive, scan)
    _places(archive, scan)
    for member in archive.members:
        _name(archive, member, scan)


def _doubles(archive: Archive, scan: Scan) -> None:
    by_name: dict[str, list[Member]] = defaultdict(list)
    for member in archive.members:
        by_name[member.name.casefold()].append(member)
    for members in by_name.values():
        if len(members) == 1:
            continue
        exact = len({m.name for m in members}) < len(members)
        same = len({(m.size, m.crc) for m in members}) == 1
        if exact and not same:
            severity, what = Severity.HIGH, "PyTorch loads the first, Python the last; no honest program writes that"
        elif exact or not same:
            severity, what = Severity.MEDIUM, "loaders that don't look at the case of letters take one for the other"
        else:
            continue
        scan.add(
            "zip/double-member", Tier.MALFORMED, severity, f"has more than one member of this name: {what}",
            members[1].entry, members[0].name[:200],
        )  # fmt: skip


def _places(archive: Archive, scan: Scan) -> None:
    """Members that lie in one another, and members that only readers of streams see."""
    end, previous = 0, ""
    for member in sorted((m for m in archive.members if m.start >= 0), key=lambda m: (m.header, m.start)):
        if member.header < end:
            scan.add(
                "zip/overlap", Tier.MALFORMED, Severity.HIGH,
                "two members share the same bytes, as in archives that unpack to endless data", member.header,
                f"{previous[:120]} / {member.name[:120]}",
            )  # fmt: skip
        _gap(archive, end, member.header, scan)
        end, previous = max(end, member.start + member.packed), member.name
    _gap(archive, end, archive.end, scan)


def _gap(archive: Archive, start: int, end: int, scan: Scan) -> None:
    place = bytes(archive.data[start : min(end, start + MAX_GAP)]).find(LOCAL) if start < end else -1
    if place >= 0:
        scan.add(
            "zip/hidden-member", Tier.MALFORMED, Severity.HIGH,
            "a member stands there that isn't in the directory: only loaders that read the archive as a stream see it", start + place,
        )  # fmt: skip


def _name(archive: Archive, member: Member, scan: Scan) -> None:
    if "\0" in member.name:
        scan.add(
            "zip/name-with-nul", Tier.MALFORMED, Severity.HIGH,
            "a name holds a NUL: loaders in C see a shorter name than others", member.entry, member.name[:200],
        )  # fmt: skip
    if odd := member.flags & ~USUAL:
        marks = ", ".join(name for flag, name in ODD_FLAGS.items() if odd & flag) or "in a way that isn't known"
        scan.malformed(
            "zip/odd-flags",
            f"a member is marked {marks}; most loaders refuse it",
            member.entry,
            f"{member.name[:200]} ({odd:#x})",
        )
    if why := escapes(member.name):
        scan.add(
            "zip/escapes", Tier.EXECUTES, Severity.HIGH,
            f"unpacked by a careless program, a member is written outside of the folder: {why}", member.entry, member.name[:200],
        )  # fmt: skip
    if stat.S_ISLNK(member.mode):
        _link(archive, member, scan)


def _link(archive: Archive, member: Member, scan: Scan) -> None:
    target = bytes(archive.data[member.start : member.start + min(member.packed, 4096)]).decode("utf-8", "replace")
    outside = member.method != STORED or leads_out(member.name, target)
    scan.add(
        "zip/link", Tier.EXECUTES if outside else Tier.POLICY, Severity.HIGH if outside else Severity.LOW,
        "a member is a link" + (" to somewhere outside of the archive" if outside else ""),
        member.entry, f"{member.name[:120]} -> {target[:120]}",
    )  # fmt: skip
