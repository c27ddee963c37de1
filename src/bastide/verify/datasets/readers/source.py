# SPDX-License-Identifier: Apache-2.0
"""Bytes of a file, also of a compressed one, in blocks and within bounds."""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import stat
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, cast

from bastide.verify.datasets.interface import Limits, Trouble

BLOCK = 4 << 20
PACKED = {".gz": "gzip", ".bz2": "bzip2", ".xz": "xz", ".zst": "zstd", ".lz4": "lz4"}
CORRUPT = (OSError, EOFError, zlib.error, lzma.LZMAError, ValueError)
"""What the unpackers raise on damaged content."""


_MARKS = {b"\xff\xfe\x00\x00": "utf-32", b"\x00\x00\xfe\xff": "utf-32", b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}


def packing(path: Path) -> str:
    """How a file is compressed, by its suffix; '' when it isn't."""
    return PACKED.get(path.suffix.lower(), "")


@contextmanager
def opened(path: Path) -> Iterator[IO[bytes]]:
    """The file's bytes, unpacked. Raises `OSError` when it is no regular file."""
    # O_NONBLOCK: a pipe must not hang the check.
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | getattr(os, "O_CLOEXEC", 0))
    with os.fdopen(handle, "rb") as raw:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise OSError(0, "no regular file")
        yield _unpacked(raw, packing(path))


def _unpacked(raw: IO[bytes], how: str) -> IO[bytes]:
    if not how:
        return raw
    if how == "gzip":
        return cast(IO[bytes], gzip.GzipFile(fileobj=raw))
    if how == "bzip2":
        return cast(IO[bytes], bz2.BZ2File(raw))
    if how == "xz":
        return cast(IO[bytes], lzma.LZMAFile(raw))
    import pyarrow  # type: ignore[import-untyped]

    stream: Any = pyarrow.CompressedInputStream(pyarrow.PythonFile(raw, mode="r"), how)
    return cast(IO[bytes], stream)


def blocks(path: Path, limits: Limits, trouble: Trouble) -> Iterator[bytes]:
    """The unpacked bytes, block by block, up to the bounds on what is unpacked."""
    size = path.stat().st_size
    done = 0
    with opened(path) as stream:
        while True:
            try:
                block = stream.read(BLOCK)
            except CORRUPT as problem:
                trouble.add(f"the rest of a damaged file ({type(problem).__name__})")
                return
            if not block:
                return
            done += len(block)
            if packing(path) and (done > limits.unpacked or done > max(64 << 20, size * limits.ratio)):
                trouble.add("what unpacks to many times its size")
                return
            yield block


def whole(path: Path, limits: Limits, trouble: Trouble) -> bytes:
    """All bytes of a small file, cut at the bound."""
    parts: list[bytes] = []
    length = 0
    for block in blocks(path, limits, trouble):
        parts.append(block)
        length += len(block)
        if length > limits.document:
            trouble.add(f"what lies behind the first {limits.document >> 20} MiB of a file that is read as a whole")
            break
    return b"".join(parts)[: limits.document]


def decoded(data: bytes) -> str:
    """Text of bytes in UTF-8, or UTF-16 or UTF-32 with a mark; else each byte as a Latin-1 character."""
    for mark, encoding in _MARKS.items():
        if data.startswith(mark):
            return data.decode(encoding, "replace")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("latin-1")
