# SPDX-License-Identifier: Apache-2.0
"""What a registry knows of versions: what they were made from and into, what was seen, approved and decided."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from bastide.verify.admission.interface import Registry
from bastide.verify.admission.model import Approval, Decision, Evidence, Version


@dataclass(frozen=True, slots=True)
class Entry:
    """A version with all that is known of it."""

    version: Version
    above: tuple[Version, ...]
    """Versions that it may have been made from: the names it states, with a revision only that one."""
    below: tuple[Version, ...]
    """Versions that say the same of it."""
    evidence: tuple[Evidence, ...]
    approvals: tuple[Approval, ...]
    decisions: tuple[Decision, ...]


def entries(registry: Registry, versions: Iterable[Version]) -> list[Entry]:
    """All that is known of some versions. Raises `StoreError`."""
    every = registry.versions()
    return [
        Entry(
            one,
            tuple(base for base in every if made_from(one, base)),
            tuple(other for other in every if made_from(other, one)),
            tuple(registry.evidence(one)),
            tuple(registry.approvals(one)),
            tuple(registry.decisions(one)),
        )
        for one in versions
    ]


def made_from(one: Version, other: Version) -> bool:
    """Whether a version says that it was made from another one."""
    return any(_names(base.name, base.revision, other) for base in one.bases)


def _names(name: str, revision: str, other: Version) -> bool:
    return name == other.name and (not revision or revision == other.source.get("revision", ""))


def meant(name: str, revision: str, versions: Sequence[Version]) -> list[Version]:
    """The versions that a name means; with a revision, that one only."""
    return [one for one in versions if _names(name, revision, one)]
