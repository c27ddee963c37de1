# SPDX-License-Identifier: Apache-2.0
"""What an importer is, and what it gets: the files of a folder, read within bounds.

An importer is a pure function of the tree: no network, no processes, no clock, nothing executed, no template rendered. It never raises for
what stands in a file: that becomes a `Problem` with its place. Others add importers with the entry point group `bastide.importers`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Protocol

from bastide.discover.model import Reading


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of one discovery; what is beyond them is a problem, never silence."""

    files: int = 200_000
    file_bytes: int = 4 * 1024 * 1024
    total_bytes: int = 2 * 1024 * 1024 * 1024
    depth: int = 32
    resources: int = 200_000
    seconds: float = 300.0


@dataclass(frozen=True, slots=True)
class Tree:
    """The files of a folder. Paths are relative to it, with `/`, sorted. Links are not followed."""

    files: tuple[str, ...]
    read: Callable[[str], str | None]
    """The text of a file; None when it can't be read as text, which is noted as a problem once. Texts are kept for a while."""
    sizes: Mapping[str, int] = field(default_factory=dict)
    head: Callable[[str], bytes] = lambda _: b""
    """The first 4 KiB of a file, binary ones too."""

    def named(self, *patterns: str) -> tuple[str, ...]:
        """The files whose name (or path, for patterns with `/`) matches one of the glob patterns."""
        return tuple(f for f in self.files if any(PurePosixPath(f).match(p) for p in patterns))


class Importer(Protocol):
    """Reads one technology."""

    name: str
    """Such as `terraform`; stands in provenance."""

    def wants(self, path: str, head: Callable[[], str]) -> bool:
        """Whether a file is for it, by its path and, if that doesn't settle it, the first 4,096 characters."""
        ...

    def read(self, tree: Tree, files: Sequence[str]) -> Reading:
        """Everything that the wanted files declare. It may read other files of the tree that these name."""
        ...


def together(readings: Iterable[Reading]) -> Reading:
    """Several readings as one."""
    all_ = list(readings)
    return Reading(
        tuple(r for x in all_ for r in x.resources),
        tuple(p for x in all_ for p in x.problems),
        frozenset(f for x in all_ for f in x.read),
        tuple(pair for x in all_ for pair in x.by),
    )
