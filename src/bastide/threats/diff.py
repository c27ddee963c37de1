# SPDX-License-Identifier: Apache-2.0
"""What a change of the design does to its threats."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from bastide.threats.model import Assessment, Finding, FindingState


@dataclass(frozen=True, slots=True)
class Changes:
    """The differences between two assessments of the same system."""

    opened: tuple[Finding, ...]
    """Open now and not before."""
    closed: tuple[Finding, ...]
    """Open before and not now."""
    changed: tuple[tuple[Finding, Finding], ...]
    """Open before and now, with another rating or another path: (before, now)."""


def compare(old: Assessment, new: Assessment) -> Changes:
    """Compares two assessments by finding id."""
    before, after = _open(old.findings), _open(new.findings)
    return Changes(
        opened=tuple(f for id, f in after.items() if id not in before),
        closed=tuple(f for id, f in before.items() if id not in after),
        changed=tuple((before[id], f) for id, f in after.items() if id in before and _differs(before[id], f)),
    )


def _open(findings: Iterable[Finding]) -> dict[str, Finding]:
    return {f.id: f for f in findings if f.state is FindingState.OPEN}


def _differs(old: Finding, new: Finding) -> bool:
    return (old.rating.impact, old.rating.likelihood, old.path) != (new.rating.impact, new.rating.likelihood, new.path)
