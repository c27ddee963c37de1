# SPDX-License-Identifier: Apache-2.0
"""The plan of an AI system: one typed graph of components, flows, data, zones and identities.

All parts are immutable. Every part is an `Element` with an id, a place in the file and facts. A fact is three-valued: it
has a value, or it is unknown; and it says where it comes from. Structure is closed (a flow, a control or an approval that isn't
drawn isn't there), properties are open (what isn't stated is unknown).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from bastide.errors import Location

Value = bool | str | tuple[str, ...]
"""What a fact can say: a boolean, a text or choice, or a list of choices."""


class Source(StrEnum):
    """Where a fact or a control claim comes from, from weakest to strongest."""

    ASSUMED = "assumed"
    """By definition of the kind or attribute: the plan is silent and silence has a meaning."""
    DECLARED = "declared"
    """Somebody wrote it into the plan."""
    DISCOVERED = "discovered"
    """Read from a configuration or from code."""
    VERIFIED = "verified"
    """Shown by a test or an attestation."""


@dataclass(frozen=True, slots=True)
class Fact:
    """One attribute of one element. `value` is None when it is unknown."""

    value: Value | None
    source: Source = Source.DECLARED
    location: Location = Location()
    evidence: str = ""
    """`file:line` or an evidence id, for facts that were discovered or verified."""

    @property
    def known(self) -> bool:
        """Whether there is a value."""
        return self.value is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Element:
    """What all parts of a plan have in common."""

    id: str
    name: str = ""
    """What people call it; the id where empty."""
    description: str = ""
    location: Location = Location()
    facts: Mapping[str, Fact] = field(default_factory=dict)
    """Attributes, defaults of the kind included; an attribute that is missing here is unknown."""
    tags: tuple[str, ...] = ()
    extensions: Mapping[str, Any] = field(default_factory=dict)
    """`x-` keys: kept, never interpreted."""

    @property
    def label(self) -> str:
        """The name, or the id where there is no name."""
        return self.name or self.id

    def value(self, attribute: str) -> Value | None:
        """The value of an attribute, or None when it is unknown."""
        fact = self.facts.get(attribute)
        return fact.value if fact else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Component(Element):
    """A part of the system that content passes through or rests in."""

    kind: str
    zone: str | None = None
    platform: str = ""
    """What it is on its platform, such as `aws.bedrock`."""
    owner: str = ""
    runs_as: str | None = None
    """Id of the identity it acts with."""
    holds: tuple[str, ...] = ()
    """Ids of the data assets at rest in it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Flow(Element):
    """Content that moves from `source` to `target` (and back, if `both_ways`)."""

    source: str
    target: str
    both_ways: bool = False
    data: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Data(Element):
    """A data asset: what has to be protected, or what attackers write into."""

    owner: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Zone(Element):
    """A trust zone; zones nest."""

    parent: str | None = None


@dataclass(frozen=True, slots=True)
class Grant:
    """A right of an identity on a component."""

    on: str
    actions: tuple[str, ...]
    location: Location = Location()
    extensions: Mapping[str, Any] = field(default_factory=dict, hash=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity(Element):
    """Somebody or something that acts and has rights."""

    owner: str = ""
    grants: tuple[Grant, ...] = ()


@dataclass(frozen=True, slots=True)
class ControlClaim:
    """The plan says that a control is in place on some elements."""

    control: str
    on: tuple[str, ...]
    """Element ids as written: components, flows, data, identities, zones (everything in them) or `system`."""
    by: str = ""
    """The product or component that does it."""
    source: Source = Source.DECLARED
    evidence: str = ""
    location: Location = Location()
    extensions: Mapping[str, Any] = field(default_factory=dict, hash=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A whole system. The mappings keep the order of the file."""

    id: str
    name: str = ""
    purpose: str = ""
    owner: Any = None
    exposure: str = ""
    """Who can use it: public, partners, internal; '' if not stated."""
    components: Mapping[str, Component] = field(default_factory=dict)
    flows: Mapping[str, Flow] = field(default_factory=dict)
    data: Mapping[str, Data] = field(default_factory=dict)
    zones: Mapping[str, Zone] = field(default_factory=dict)
    identities: Mapping[str, Identity] = field(default_factory=dict)
    claims: tuple[ControlClaim, ...] = ()
    extensions: Mapping[str, Any] = field(default_factory=dict)
    location: Location = Location()
    digest: str = ""
    """`sha256:...` over the canonical form; the same plan written differently has the same digest."""

    def element(self, id: str) -> Element | None:
        """The part with this id, of whatever type. Ids are unique over all parts."""
        for group in (self.components, self.flows, self.data, self.identities, self.zones):
            if (found := group.get(id)) is not None:
                return found
        return None

    def zone_chain(self, zone: str | None) -> tuple[Zone, ...]:
        """The zone and those around it, innermost first."""
        chain: list[Zone] = []
        while zone is not None and zone in self.zones and len(chain) < len(self.zones):
            chain.append(self.zones[zone])
            zone = self.zones[zone].parent
        return tuple(chain)
