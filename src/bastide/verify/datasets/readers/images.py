# SPDX-License-Identifier: Apache-2.0
"""What pictures say about themselves: Exif, XMP, IPTC, comments and PNG's texts. The picture itself is not decoded.

JPEG (ITU T.81), PNG (W3C), WebP (RFC 9649), GIF, TIFF. Formats whose metadata isn't read (HEIC, AVIF) are reported as not read.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

from bastide.verify.datasets.interface import Batch, Column, Limits, Piece, Trouble
from bastide.verify.datasets.readers.exif import exif
from bastide.verify.datasets.readers.source import whole

_LONGEST = 4 << 20
"""Characters of one text, also unpacked."""
_BROKEN = "pictures that are cut off or broken, or hold longer texts than are read: their metadata may be incomplete"
Facts = Iterator[tuple[str, object]]
Broken = Callable[[], None]


class Images:
    """One record for each picture: its metadata by name (`exif.Artist`, `png.parameters`, `xmp`)."""

    format = "image"

    def pieces(self, path: Path, limits: Limits) -> Sequence[tuple[int, int]]:  # noqa: ARG002 - one for all formats
        """As a whole."""
        return [(0, -1)]

    def batches(self, piece: Piece, limits: Limits, trouble: Trouble) -> Iterator[Batch]:
        """One row."""
        data = whole(piece.path, limits, trouble)
        columns: dict[str, Column] = {}
        for name, value in _facts(data, trouble):
            if len(columns) >= limits.fields:
                trouble.add(f"metadata beyond the first {limits.fields:,} of a picture")
                break
            columns[name if name not in columns else f"{name} ({len(columns)})"] = Column([0], [value])
        yield Batch(1, columns)


def _facts(data: bytes, trouble: Trouble) -> Facts:
    kinds: tuple[tuple[bytes, Callable[[bytes, Broken], Facts]], ...] = (
        (b"\xff\xd8", _jpeg),
        (b"\x89PNG\r\n\x1a\n", _png),
        (b"RIFF", _webp),
        (b"GIF8", _gif),
        (b"II*\0", _tiff),
        (b"MM\0*", _tiff),
    )
    for mark, reader in kinds:
        if data.startswith(mark):
            yield from reader(data, partial(trouble.add, _BROKEN))
            return
    trouble.add("pictures of a format whose metadata isn't read")


def _tiff(data: bytes, broken: Broken) -> Facts:
    for name, value in exif(data, broken):
        yield ("xmp", value) if name == "XMP" else (f"exif.{name}", value)


def _jpeg(data: bytes, broken: Broken) -> Facts:
    at = 2
    while at + 4 <= len(data) and data[at] == 0xFF:
        mark, size = data[at + 1], int.from_bytes(data[at + 2 : at + 4], "big")
        if mark == 0xFF:
            at += 1
            continue
        if mark in (0xD9, 0xDA):
            return
        if at + 2 + size > len(data):
            broken()
        yield from _segment(mark, data[at + 4 : at + 2 + size], broken)
        at += 2 + max(size, 2)
    if data[at : at + 2] != b"\xff\xd9":
        broken()


def _segment(mark: int, body: bytes, broken: Broken) -> Facts:
    if mark == 0xE1 and body.startswith(b"Exif\0"):
        yield from _tiff(body[6:], broken)
    elif mark == 0xE1 and body.startswith(b"http://ns.adobe.com/xap/1.0/\0"):
        yield "xmp", _text(body[29:], broken)
    elif mark == 0xE1 and body.startswith(b"http://ns.adobe.com/xmp/extension/\0"):
        yield "xmp", _text(body[75:], broken)
    elif mark == 0xED and b"8BIM" in body[:64]:
        yield from _iptc(body, broken)
    elif mark == 0xFE:
        yield "comment", _text(body, broken)


_IPTC = {
    5: "Title", 25: "Keywords", 80: "By-line", 90: "City", 101: "Country", 110: "Credit", 116: "Copyright", 118: "Contact", 120: "Caption",
}  # fmt: skip


def _iptc(body: bytes, broken: Broken) -> Facts:
    """IPTC-IIM: datasets of record 2, each with a mark, a number and a length."""
    at = body.find(b"\x1c\x02")
    while at >= 0 and at + 5 <= len(body):
        number, size = body[at + 2], int.from_bytes(body[at + 3 : at + 5], "big")
        if number in _IPTC and size < 0x8000:
            yield f"iptc.{_IPTC[number]}", _text(body[at + 5 : at + 5 + size], broken)
        at = body.find(b"\x1c\x02", at + 5)


def _png(data: bytes, broken: Broken) -> Facts:
    at, kind = 8, b""
    while at + 12 <= len(data) and kind != b"IEND":
        size = int.from_bytes(data[at : at + 4], "big")
        kind, body = data[at + 4 : at + 8], data[at + 8 : at + 8 + size]
        if kind == b"eXIf":
            yield from _tiff(body, broken)
        elif kind in (b"tEXt", b"zTXt", b"iTXt"):
            key, _, value = body.partition(b"\0")
            name = key.decode("latin-1")[:79]
            text = _png_text(kind, value, broken)
            yield ("xmp" if name == "XML:com.adobe.xmp" else f"png.{name}"), text
        at += 12 + size
    if kind != b"IEND":
        broken()


def _png_text(kind: bytes, value: bytes, broken: Broken) -> str:
    if kind == b"tEXt":
        return _text(value, broken, "latin-1")
    if kind == b"zTXt":
        return _text(_inflated(value[1:], broken), broken, "latin-1")
    packed, rest = value[:1] == b"\1", value[2:]
    body = rest.split(b"\0", 2)[-1]
    return _text(_inflated(body, broken) if packed else body, broken)


def _inflated(data: bytes, broken: Broken) -> bytes:
    unpacker = zlib.decompressobj()
    try:
        text = unpacker.decompress(data, _LONGEST)
    except zlib.error:
        broken()
        return b""
    if not unpacker.eof:
        broken()
    return text


def _webp(data: bytes, broken: Broken) -> Facts:
    at = 12
    while at + 8 <= len(data):
        kind, size = data[at : at + 4], int.from_bytes(data[at + 4 : at + 8], "little")
        body = data[at + 8 : at + 8 + size]
        if kind == b"EXIF":
            yield from _tiff(body.removeprefix(b"Exif\0\0"), broken)
        elif kind == b"XMP ":
            yield "xmp", _text(body, broken)
        at += 8 + size + size % 2
    if at < int.from_bytes(data[4:8], "little") + 8 or at > len(data) + 1:
        broken()


def _gif(data: bytes, broken: Broken) -> Facts:
    """Comment extensions; sub-blocks of at most 255 bytes up to an empty one."""
    at = data.find(b"\x21\xfe")
    while at >= 0:
        parts, at = [], at + 2
        while at < len(data) and (size := data[at]):
            parts.append(data[at + 1 : at + 1 + size])
            at += 1 + size
        yield "comment", _text(b"".join(parts), broken)
        at = data.find(b"\x21\xfe", at)
    if not data.rstrip(b"\0").endswith(b";"):
        broken()


def _text(raw: bytes, broken: Broken, encoding: str = "utf-8") -> str:
    if len(raw) > _LONGEST:
        broken()
    return raw[:_LONGEST].decode(encoding, "replace").strip("\0 ")
