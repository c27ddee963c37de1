# SPDX-License-Identifier: Apache-2.0
"""Where a zip archive has its directory, as each kind of loader finds it.

Loaders look for the end record from the back. Then PyTorch's (miniz) goes to the offset that it names; Python's takes the bytes right before it
and shifts all offsets. Zip64 records are found by their own pointer or by their place. An honest archive is the same either way.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from bastide.verify.artifacts.interface import Buffer, Scan
from bastide.verify.artifacts.model import Severity, Tier

END, ENTRY, LOCAL = b"PK\x05\x06", b"PK\x01\x02", b"PK\x03\x04"
END64, LOCATOR = b"PK\x06\x06", b"PK\x06\x07"
END_SIZE, END64_SIZE, LOCATOR_SIZE = 22, 56, 20
_END = struct.Struct("<4s4H2LH")
_END64 = struct.Struct("<4sQ2H2L4Q")
_LOCATOR = struct.Struct("<4sLQL")
REACH = END_SIZE + 0xFFFF
"""Bytes from the back in which the end record must begin."""


@dataclass(frozen=True, slots=True)
class Directory:
    """A central directory."""

    at: int
    shift: int
    """To be added to every offset in it."""
    count: int
    """Entries, as the end record says."""
    size: int
    """Bytes, as the end record says."""
    end: int
    """Where its end record begins; of zip64, that one."""


@dataclass(frozen=True, slots=True)
class _Claim:
    """What an end record says."""

    count: int
    size: int
    offset: int
    before: int
    """The first byte of the end records."""


def is_zip(data: Buffer, *, anywhere: bool) -> bool:
    """Whether loaders would take it for a zip archive: it begins like one, or ends with one.

    anywhere: whether an archive in the middle counts too, as it does for Python when the file's name says that it is one.
    """
    if bytes(data[:4]) in (LOCAL, END):
        return True
    ends = [end for end in find_ends(data) if anywhere or _reaches(data, end)]
    return any(_places(data, claim) for end in ends for claim in _claims(data, end))


def _reaches(data: Buffer, end: int) -> bool:
    """Whether the comment of an end record goes exactly to the end of the file."""
    return end + END_SIZE + int.from_bytes(data[end + 20 : end + 22], "little") == len(data)


def find_ends(data: Buffer) -> list[int]:
    """Offsets of the end records that loaders may choose: the last one, and those whose comment reaches exactly to the end."""
    base = max(0, len(data) - REACH)
    tail = bytes(data[base:])
    found: list[int] = []
    at = tail.rfind(END)
    while at >= 0:
        comment = int.from_bytes(tail[at + 20 : at + 22], "little")
        if at + END_SIZE <= len(tail) and (not found or at + END_SIZE + comment == len(tail)):
            found.append(base + at)
        at = tail.rfind(END, 0, at)
    return found


def find_directories(data: Buffer, scan: Scan) -> list[Directory]:
    """The directories that loaders may read, and what is wrong with the end records."""
    ends = find_ends(data)
    found: dict[Directory, None] = {}
    reached = False
    for end in ends:
        claims = dict.fromkeys(_claims(data, end))
        if len({(c.count, c.size, c.offset) for c in claims}) > 1:
            _disagree(scan, "ends-disagree", "its end records name different directories", end)
        for claim in claims:
            found |= dict.fromkeys(_examined(data, claim, scan))
        reached |= _reaches(data, end)
    if len({(d.at, d.shift) for d in found}) > 1 and len(ends) > 1:
        _disagree(scan, "several-ends", "has more than one end record", ends[0])
    if ends and not reached:
        scan.malformed("zip/data-after-end", "bytes stand behind its end; some loaders refuse it", ends[0] + END_SIZE)
    return list(found)


def _claims(data: Buffer, end: int) -> Iterator[_Claim]:
    if len(data) < end + END_SIZE:
        return
    _, _, _, _, count, size, offset, _ = _END.unpack(data[end : end + END_SIZE])
    if count != 0xFFFF and size != 0xFFFFFFFF and offset != 0xFFFFFFFF:
        zip64 = bytes(data[max(0, end - LOCATOR_SIZE) : end][:4]) == LOCATOR
        yield _Claim(count, size, offset, end - zip64 * (LOCATOR_SIZE + END64_SIZE))
    locator = end - LOCATOR_SIZE
    if locator < 0 or bytes(data[locator : locator + 4]) != LOCATOR:
        return
    pointed: int = _LOCATOR.unpack(data[locator:end])[2]
    for at in dict.fromkeys((pointed, locator - END64_SIZE)):
        if 0 <= at <= len(data) - END64_SIZE and bytes(data[at : at + 4]) == END64:
            *_, count, size, offset = _END64.unpack(data[at : at + END64_SIZE])
            yield _Claim(count, size, offset, at)


def _places(data: Buffer, claim: _Claim) -> list[int]:
    """Where the directory can begin: at the named offset, or right before the end records."""
    places = dict.fromkeys((claim.offset, claim.before - claim.size))
    return [at for at in places if _plausible(data, at, claim)]


def _plausible(data: Buffer, at: int, claim: _Claim) -> bool:
    if not 0 <= at <= claim.before:
        return False
    return bytes(data[at : at + 4]) == ENTRY or (claim.count == claim.size == 0 and at == claim.before)


def _examined(data: Buffer, claim: _Claim, scan: Scan) -> list[Directory]:
    places = _places(data, claim)
    if len(places) > 1:
        _disagree(
            scan, "two-directories", "PyTorch's reader and Python's find different directories in it", claim.before
        )
    elif not places:
        scan.malformed("zip/no-directory", "where its directory should be there is none", claim.before)
    elif places[0] != claim.offset:
        scan.malformed(
            "zip/data-before",
            f"{places[0] - claim.offset} bytes stand before the archive; PyTorch refuses that, Python doesn't",
            0,
        )
    elif places[0] + claim.size != claim.before:
        scan.malformed(
            "zip/gap-before-end", "bytes stand between its directory and its end; Python refuses that", claim.offset
        )
    return [Directory(at, at - claim.offset, claim.count, claim.size, claim.before) for at in places]


def _disagree(scan: Scan, id: str, what: str, offset: int) -> None:
    scan.add(
        f"zip/{id}", Tier.MALFORMED, Severity.HIGH,
        f"{what}, so that loaders see different contents; no honest program writes that", offset,
    )  # fmt: skip
