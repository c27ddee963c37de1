# SPDX-License-Identifier: Apache-2.0
"""Archives that are known but not unpacked here: 7z, RAR, ar, cab, and others. What is in them stays unknown."""

from __future__ import annotations

from bastide.verify.artifacts.interface import Scan, Source

MAGICS = {
    b"7z\xbc\xaf\x27\x1c": "7z",
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


class SevenZipReader:
    """Says that an archive wasn't read."""

    format = "archive"

    def claims(self, source: Source) -> bool:
        """By its first bytes."""
        return source.head(8).startswith(tuple(MAGICS))

    def read(self, source: Source, scan: Scan) -> str:
        """Its name."""
        kind = next(kind for magic, kind in MAGICS.items() if source.head(8).startswith(magic))
        scan.unread(f"an archive of the kind {kind}, which isn't unpacked here; unpack it and scan the files", 0)
        return kind
