# SPDX-License-Identifier: Apache-2.0
"""A set of offsets in a file, of which there may be millions: a bit each, where there are any."""

from __future__ import annotations

_SPAN = 1 << 15


class Places:
    """Takes offsets, and tells which it has."""

    def __init__(self) -> None:
        self._parts: dict[int, bytearray] = {}

    def add(self, place: int) -> bool:
        """Whether it was there before."""
        part, at = divmod(place, _SPAN)
        bits = self._parts.get(part)
        if bits is None:
            bits = self._parts[part] = bytearray(_SPAN >> 3)
        had = bool(bits[at >> 3] >> (at & 7) & 1)
        bits[at >> 3] |= 1 << (at & 7)
        return had

    def __contains__(self, place: int) -> bool:
        """Whether it was added."""
        part, at = divmod(place, _SPAN)
        bits = self._parts.get(part)
        return bits is not None and bool(bits[at >> 3] >> (at & 7) & 1)
