# SPDX-License-Identifier: Apache-2.0
"""Names of packages that are almost those of others (`knowledge/artifacts/dependencies/packages.yaml`)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache, lru_cache
from pathlib import Path

import msgspec

FILE = Path(__file__).resolve().parents[3] / "knowledge" / "artifacts" / "dependencies" / "packages.yaml"
SHORTEST = 5
"""Letters of a name from which on one that is close to it is no chance."""


class Packages(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The file; what each list holds stands there."""

    known: frozenset[str]
    real: frozenset[str]
    malicious: Mapping[str, str]
    hosts: frozenset[str]


@cache
def packages() -> Packages:
    """What ships with Bastide."""
    return msgspec.yaml.decode(FILE.read_bytes(), type=Packages)


def canonical(name: str) -> str:
    """A name as pip compares it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


@lru_cache(4096)
def meant(name: str) -> str:
    """The well-known package that this canonical name almost is; '' when it is one itself, or close to none."""
    facts = packages()
    if name in facts.known or name in facts.real or len(name) < SHORTEST or len(name) > 60:
        return ""
    joined = name.replace("-", "")
    close = (
        known
        for known in facts.known
        if known.replace("-", "") == joined or (len(known) >= SHORTEST and _one_off(name, known))
    )
    return min(close, default="")


def _one_off(a: str, b: str) -> bool:
    """Whether one letter is another, too many or missing, or two neighbours are swapped."""
    if len(a) == len(b):
        unlike = [at for at in range(len(a)) if a[at] != b[at]]
        if len(unlike) == 2:
            first, second = unlike
            return second == first + 1 and a[first] == b[second] and a[second] == b[first]
        return len(unlike) == 1
    short, long = sorted((a, b), key=len)
    if len(long) - len(short) != 1:
        return False
    at = next((at for at, (x, y) in enumerate(zip(short, long, strict=False)) if x != y), len(short))
    return short[at:] == long[at + 1 :]
