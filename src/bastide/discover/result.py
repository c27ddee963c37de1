# SPDX-License-Identifier: Apache-2.0
"""What discovery found: components and flows with where they stand, weaknesses against expectations, and what could not be read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from bastide.discover.interpret import Fact, Piece
from bastide.discover.libraries import Library
from bastide.discover.model import Place, Problem


@dataclass(frozen=True, slots=True)
class Found:
    """A component (or an identity, a secret, a network control) that is there."""

    id: str
    kind: str
    name: str
    platform: str
    facts: Mapping[str, Fact]
    provenance: tuple[Place, ...]
    """Where it is declared; the declaration that gave the kind first."""
    confidence: float
    pieces: tuple[Piece, ...] = ()
    """The resources of which it consists."""
    inside: str = ""
    """Zone: the network, account, namespace or project in which it stands."""


@dataclass(frozen=True, slots=True)
class FoundFlow:
    """Something that goes from one component to another."""

    id: str
    source: str
    target: str
    verb: str
    data: str
    provenance: tuple[Place, ...]
    confidence: float


@dataclass(frozen=True, slots=True)
class Weakness:
    """An expectation that doesn't hold, or of which it can't be told."""

    expectation: str
    """Id of the baseline."""
    element: str
    state: Literal["fail", "unknown"]
    place: Place
    expected: str
    """What should hold, a sentence without its full stop."""
    verdict: str
    """That it doesn't, or can't be told, for what; and who says so, when somebody else does."""
    fix: str
    severity: str = "medium"
    category: str = ""

    @property
    def message(self) -> str:
        """All of it, to be read alone."""
        return f"{self.expected}: {self.verdict}. {self.fix}"


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A file from which facts come."""

    file: str
    sha256: str
    """Hex; '' when it can't be read any more."""
    importers: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Discovery:
    """All of it."""

    components: Mapping[str, Found]
    flows: tuple[FoundFlow, ...]
    problems: tuple[Problem, ...]
    weaknesses: tuple[Weakness, ...] = ()
    passed: tuple[tuple[str, str], ...] = ()
    """Expectations that hold: (baseline, element)."""
    files: frozenset[str] = field(default=frozenset(), repr=False)
    """Files that an importer read."""
    libraries: tuple[Library, ...] = ()
    """Libraries of AI that are needed, used or not."""
    sources: tuple[SourceFile, ...] = ()
    """The files that were read, as they were, and by which importers."""

    @property
    def complete(self) -> bool:
        """Whether nothing was hidden by what could not be read."""
        return not any(problem.hides for problem in self.problems)


_ORDER = ("critical", "high", "medium", "low")


def failing(weaknesses: Iterable[Weakness]) -> list[Weakness]:
    """Those that don't hold, the worst first."""
    return sorted(
        (w for w in weaknesses if w.state == "fail"), key=lambda w: (_ORDER.index(w.severity), w.expectation, w.element)
    )


def by_expectation(weaknesses: Iterable[Weakness]) -> list[list[Weakness]]:
    """Those of one expectation and severity together, in the order in which the first of them come."""
    groups: dict[tuple[str, str], list[Weakness]] = {}
    for weakness in weaknesses:
        groups.setdefault((weakness.expectation, weakness.severity), []).append(weakness)
    return list(groups.values())
