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
    named: dict[str, list[Version]] = {}
    made: dict[str, list[Version]] = {}
    for one in registry.versions():
        named.setdefault(one.name, []).append(one)
        for name in {base.name for base in one.bases}:
            made.setdefault(name, []).append(one)
    return [
        Entry(
            one,
            tuple(_once(v for base in one.bases for v in meant(base.name, base.revision, named.get(base.name, ())))),
            tuple(v for v in made.get(one.name, ()) if any(meant(b.name, b.revision, [one]) for b in v.bases)),
            tuple(registry.evidence(one)),
            tuple(registry.approvals(one)),
            tuple(registry.decisions(one)),
        )
        for one in versions
    ]


def _once(versions: Iterable[Version]) -> Iterable[Version]:
    return {(one.name, one.number): one for one in versions}.values()


def meant(name: str, revision: str, versions: Sequence[Version]) -> list[Version]:
    """The versions that a name means; with a revision, that one only."""
    return [v for v in versions if v.name == name and (not revision or revision == v.source.get("revision", ""))]
