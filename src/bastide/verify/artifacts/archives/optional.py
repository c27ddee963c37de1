# SPDX-License-Identifier: Apache-2.0
"""Zstandard and LZ4, when a package for them is there: the extra `archives`, or Python 3.14 for Zstandard."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

from bastide.verify.artifacts.archives.unpack import Make

EXTRA = "pip install bastide[archives]"
FEED = 512
"""Bytes that are given at once to a decompressor that has no bound on what it gives back: 128 KiB for four bytes at worst, 16 MiB in all."""
WINDOW = 1 << 27
"""Bytes that a stream may look back; what `zstd` takes without being asked."""


def zstd() -> Make | None:
    """The maker for Zstandard; None when no package is there."""
    try:
        module = import_module("compression.zstd")
    except ImportError:
        try:
            module = import_module("zstandard")
        except ImportError:
            return None
        return lambda: _Fed(module.ZstdDecompressor(max_window_size=WINDOW).decompressobj())
    return lambda: _Careful(module.ZstdDecompressor(), module.ZstdError)


def lz4() -> Make | None:
    """The maker for LZ4 frames; None when no package is there."""
    try:
        frame = import_module("lz4.frame")
    except ImportError:
        return None
    return lambda: _Careful(frame.LZ4FrameDecompressor(), RuntimeError)


class _Careful:
    """A decompressor with the manners of `bz2`, whose own error becomes a `ValueError`."""

    def __init__(self, machine: Any, error: type[Exception]) -> None:
        self._machine, self._error = machine, error

    @property
    def eof(self) -> bool:
        """Whether the stream is over."""
        return bool(self._machine.eof)

    @property
    def needs_input(self) -> bool:
        """Whether all that was given has been used."""
        return bool(self._machine.needs_input)

    @property
    def unused_data(self) -> bytes:
        """What was given and lies behind the end."""
        return self._machine.unused_data or b""

    def decompress(self, data: bytes, most: int) -> bytes:
        """At most `most` bytes. Raises `ValueError`."""
        try:
            piece: bytes = self._machine.decompress(data, most)
        except self._error as problem:
            raise ValueError(str(problem)) from None
        return piece


class _Fed:
    """zstandard's decompressor, which gives back all that it can: fed little by little."""

    def __init__(self, machine: Any) -> None:
        self._machine = machine
        self._pending, self._at = b"", 0

    @property
    def eof(self) -> bool:
        """Whether the stream is over."""
        return bool(self._machine.eof)

    @property
    def needs_input(self) -> bool:
        """Whether all that was given has been used."""
        return self._at >= len(self._pending)

    @property
    def unused_data(self) -> bytes:
        """What was given and lies behind the end."""
        return bytes(self._machine.unused_data) + self._pending[self._at :]

    def decompress(self, data: bytes, _most: int) -> bytes:
        """Some bytes, at most 16 MiB. Raises `ValueError`."""
        self._pending, self._at = self._pending[self._at :] + data, 0
        feed: Callable[[bytes], bytes] = self._machine.decompress
        while self._at < len(self._pending):
            piece = self._pending[self._at : self._at + FEED]
            self._at += len(piece)
            try:
                made = feed(piece)
            except import_module("zstandard").ZstdError as problem:
                raise ValueError(str(problem)) from None
            if made or self.eof:
                return made
        return b""
