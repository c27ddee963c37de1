# SPDX-License-Identifier: Apache-2.0
"""What the catalogue serves: threats (rules), controls and frameworks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from bastide.catalog.pattern import Predicate
from bastide.errors import Location
from bastide.plan.vocabulary import ElementType, Vocabulary

Refs = Mapping[str, tuple[str, ...]]
"""Framework id (`owasp-llm:2025`) -> entry ids (`LLM01`)."""


LegKind = Literal["path", "flow", "holds", "runs-as", "in"]


@dataclass(frozen=True, slots=True)
class Role:
    """A part that a rule binds."""

    name: str
    element: ElementType
    where: Predicate
    location: Location = Location()


@dataclass(frozen=True, slots=True)
class Leg:
    """How two roles hang together.

    kind: `path` (`~>`, content over one or more flows), `flow` (`->`, one flow), or a relation (`holds`, `runs-as`, `in`).
    """

    kind: LegKind
    source: str
    target: str
    where: Predicate | None = None
    """Holds for every flow of the leg."""
    via: Predicate | None = None
    """Holds for every component strictly between the ends of a path."""
    role: str = ""
    """Name under which the flow of a `flow` leg is bound."""
    name: str = ""
    location: Location = Location()


@dataclass(frozen=True, slots=True)
class ImpactRule:
    """Where the impact of a threat comes from; see docs/rules.md."""

    data: tuple[str, ...] = ()
    effect: tuple[str, ...] = ()
    privilege: tuple[str, ...] = ()
    at_least: int = 1
    at_most: int = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Threat:
    """A threat rule."""

    id: str
    title: str
    summary: str
    attack: tuple[str, ...]
    roles: Mapping[str, Role]
    legs: tuple[Leg, ...]
    sink: str
    finding: str
    """A sentence with `{role}` placeholders."""
    breaks: Mapping[str, tuple[str, ...]]
    """Control id -> places (roles, leg names, `path`)."""
    reduces: Mapping[str, tuple[str, ...]]
    impact: ImpactRule
    likelihood: int | None
    """The rule's own prior where no ATLAS technique fits."""
    likelihood_why: str
    refs: Refs
    location: Location = Location()

    @property
    def family(self) -> str:
        """The folder it lies in."""
        return self.id.partition("/")[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Control:
    """A measure that breaks threats or makes them less likely."""

    id: str
    family: str
    title: str
    means: str
    how: str
    where: Literal["enterprise", "platform", "both"]
    on: tuple[str, ...]
    """Component kinds, or `flow`, `data`, `identity`, `zone`."""
    present_when: Mapping[ElementType, Predicate]
    cost: int
    evidence: tuple[str, ...]
    platforms: Mapping[str, str] = field(default_factory=dict)
    refs: Refs = field(default_factory=dict)
    location: Location = Location()


@dataclass(frozen=True, slots=True)
class Entry:
    """One identifier of a framework."""

    id: str
    name: str
    group: str
    facts: Mapping[str, object] = field(default_factory=dict)
    """Further facts, such as ATLAS maturity or links to other ids."""


@dataclass(frozen=True, slots=True)
class Framework:
    """An external framework: identifiers and official names only."""

    id: str
    """`name:version`."""
    title: str
    url: str
    license: str
    attribution: str
    entries: Mapping[str, Entry]


@dataclass(frozen=True, slots=True)
class Catalog:
    """All that Bastide knows: its own knowledge and the packs that were added."""

    vocabulary: Vocabulary
    threats: Mapping[str, Threat]
    controls: Mapping[str, Control]
    frameworks: Mapping[str, Framework]

    def name_of(self, framework: str, entry: str) -> str:
        """The official name of a framework's entry, or '' if it isn't known."""
        found = self.frameworks.get(framework)
        known = found.entries.get(entry) if found else None
        return known.name if known else ""
