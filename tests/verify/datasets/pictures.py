# SPDX-License-Identifier: Apache-2.0
"""Small pictures with metadata, made by hand."""

from __future__ import annotations

import struct
import zlib

NAME = "Ann Lee"


def tiff(gps: bool = True) -> bytes:
    """An Exif block: the artist, and where the picture was taken."""
    text = NAME.encode() + b"\0"
    head = b"II*\0" + struct.pack("<I", 8)
    entries = [(0x013B, 2, len(text), 100)] + ([(0x8825, 4, 1, 120)] if gps else [])
    first = struct.pack("<H", len(entries)) + b"".join(struct.pack("<HHII", *e) for e in entries) + struct.pack("<I", 0)
    body = (head + first).ljust(100, b"\0") + text
    place = (
        struct.pack("<H", 2)
        + struct.pack("<HHII", 2, 5, 3, 200)
        + struct.pack("<HHII", 4, 5, 3, 224)
        + struct.pack("<I", 0)
    )
    body = body.ljust(120, b"\0") + place
    return body.ljust(200, b"\0") + struct.pack("<6I", 52, 1, 31, 1, 12, 1) + struct.pack("<6I", 13, 1, 24, 1, 6, 1)


def jpeg(comment: bytes = b"made for a test", gps: bool = True) -> bytes:
    """A JPEG's segments, without a picture."""
    exif = b"Exif\0\0" + tiff(gps)
    xmp = b"http://ns.adobe.com/xap/1.0/\0<x:xmpmeta/>"
    segments = ((0xE1, exif), (0xE1, xmp), (0xFE, comment))
    return (
        b"\xff\xd8"
        + b"".join(b"\xff" + bytes([m]) + struct.pack(">H", len(b) + 2) + b for m, b in segments)
        + b"\xff\xda\0\x02\xff\xd9"
    )


def png(text: bytes = b"a cat, oil on canvas", packed: bool = True) -> bytes:
    """A PNG with a text chunk, as generators of pictures leave it."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    note = chunk(b"zTXt", b"parameters\0\0" + zlib.compress(text)) if packed else chunk(b"tEXt", b"parameters\0" + text)
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + note + chunk(b"eXIf", tiff()) + chunk(b"IEND", b"")


def webp() -> bytes:
    """A WebP container with Exif."""
    body = b"WEBPEXIF" + struct.pack("<I", len(tiff())) + tiff()
    return b"RIFF" + struct.pack("<I", len(body)) + body


def gif(comment: bytes = b"made for a test") -> bytes:
    """A GIF with a comment."""
    return b"GIF89a\1\0\1\0\0\0\0\x21\xfe" + bytes([len(comment)]) + comment + b"\0\x3b"
