# SPDX-License-Identifier: Apache-2.0
"""Exif in the structure of TIFF: tags that say who, where, when and with what. Every offset is checked; every directory is read once."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator

TAGS = {
    0x010E: "ImageDescription", 0x010F: "Make", 0x0110: "Model", 0x0131: "Software", 0x0132: "DateTime", 0x013B: "Artist",
    0x013C: "HostComputer", 0x8298: "Copyright", 0x9003: "DateTimeOriginal", 0x9286: "UserComment", 0x9C9B: "XPTitle",
    0x9C9C: "XPComment", 0x9C9D: "XPAuthor", 0x9C9E: "XPKeywords", 0x9C9F: "XPSubject", 0xA420: "ImageUniqueID",
    0xA430: "CameraOwnerName", 0xA431: "BodySerialNumber", 0xA435: "LensSerialNumber", 0x02BC: "XMP", 0x83BB: "IPTC",
}  # fmt: skip
_GPS = {1: "LatitudeRef", 2: "Latitude", 3: "LongitudeRef", 4: "Longitude", 0x1D: "DateStamp", 0x1C: "AreaInformation"}
_DIRECTORIES = {0x8769: False, 0x8825: True}
_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8}
_MOST = 2_000
"""Entries of all directories."""
_LONGEST = 1 << 20
"""Bytes of one value."""


def exif(data: bytes, broken: Callable[[], None]) -> Iterator[tuple[str, object]]:
    """Tags by name (`Artist`, `GPSLatitude`) with text or degrees. Raises nothing.

    broken: called where the structure breaks or holds more than is read.
    """
    order = {b"II": "<", b"MM": ">"}.get(data[:2])
    if order is None or len(data) < 8:
        broken()
        return
    todo = [(_word(data, order, 4), False)]
    seen: set[int] = set()
    left = _MOST
    while todo and left > 0:
        at, gps = todo.pop()
        if at in seen:
            continue
        seen.add(at)
        entries = list(_entries(data, order, at, left, broken))
        left -= len(entries)
        for tag, kind, number, place in entries:
            if tag in _DIRECTORIES and not gps:
                todo.append((_word(data, order, place), _DIRECTORIES[tag]))
                continue
            name = f"GPS{_GPS[tag]}" if gps and tag in _GPS else "" if gps else TAGS.get(tag, "")
            raw = _raw(data, order, kind, number, place) if name and number else b""
            if raw:
                yield name, _value(raw, order, kind, name)
            elif name and number:
                broken()
        # 0: there is no further directory. Some writers leave the word out.
        after = at + 2 + 12 * len(entries)
        if after + 4 <= len(data) and not gps and (following := _word(data, order, after)):
            todo.append((following, False))


def _word(data: bytes, order: str, at: int) -> int:
    return int(struct.unpack_from(f"{order}I", data, at)[0])


def _entries(
    data: bytes, order: str, at: int, most: int, broken: Callable[[], None]
) -> Iterator[tuple[int, int, int, int]]:
    """Tag, type and number of the values of a directory's entries, with the place of the value or of where it is."""
    if not 8 <= at <= len(data) - 2:
        broken()
        return
    count = int(struct.unpack_from(f"{order}H", data, at)[0])
    there = min(count, (len(data) - at - 2) // 12, most)
    if there < count:
        broken()
    for index in range(there):
        tag, kind, number = struct.unpack_from(f"{order}HHI", data, at + 2 + 12 * index)
        yield tag, kind, number, at + 10 + 12 * index


def _raw(data: bytes, order: str, kind: int, number: int, place: int) -> bytes:
    size = _SIZES.get(kind, 0) * number
    if size > 4:
        place = _word(data, order, place)
    return data[place : place + size] if 0 < size <= _LONGEST and place + size <= len(data) else b""


def _value(raw: bytes, order: str, kind: int, name: str) -> object:
    if name.startswith("XP"):
        return raw.decode("utf-16-le", "replace").rstrip("\0")
    if kind == 5 and len(raw) == 24:
        parts = struct.unpack(f"{order}6I", raw)
        degrees = [n / d if d else 0.0 for n, d in zip(parts[::2], parts[1::2], strict=True)]
        return round(degrees[0] + degrees[1] / 60 + degrees[2] / 3600, 6)
    if name == "UserComment" and len(raw) > 8:
        head, raw = raw[:8], raw[8:]
        if head.startswith(b"UNICODE"):
            return raw.decode("utf-16-le" if order == "<" else "utf-16-be", "replace").strip("\0 ")
    return raw.decode("utf-8", "replace").strip("\0 ")
