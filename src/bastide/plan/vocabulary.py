# SPDX-License-Identifier: Apache-2.0
"""The words a plan may use: kinds of component and the attributes of each part, with their meaning.

The words themselves are data (`knowledge/kinds`, `knowledge/attributes`) and are loaded by the catalogue; these are their types.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

from bastide.plan.model import Value

ElementType = Literal["component", "flow", "data", "zone", "identity"]
AttributeType = Literal["choice", "boolean", "list", "text"]
Passes = Literal["blend", "reply", "per-data", "none"]

TRUST_LEVELS: tuple[str, ...] = ("public", "third-party", "user", "developer", "system")
"""Who wrote some content, from least to most trusted."""


@dataclass(frozen=True, slots=True)
class Attribute:
    """A property that parts of a plan can have."""

    name: str
    element: ElementType
    type: AttributeType
    means: str
    """What must be true to give a value; a reviewer can check it."""
    ask: str
    """The question to put to the owner while it is unknown."""
    values: tuple[str, ...] = ()
    ordered: bool = False
    """Whether `values` goes from weakest to strongest."""
    on: tuple[str, ...] = ()
    """Component kinds that may have it; empty: every kind."""
    unset: Value | None = None
    """What holds when the plan is silent; None: unknown."""
    implied_by: Mapping[str, Mapping[str, Value]] = field(default_factory=dict)
    """Other attribute -> its value -> the value that this one then has."""
    from_zone: bool = False
    """Whether a component about which the plan is silent takes the value from its zone."""

    def applies_to(self, kind: Kind) -> bool:
        """Whether a component of this kind may have the attribute."""
        return not self.on or any(kind.is_a(k) for k in self.on)


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of component. `ai.model.endpoint` is also an `ai.model` and an `ai`."""

    id: str
    title: str
    means: str
    passes: Passes = "blend"
    """How content travels through it: any input shapes any output; answers go to who asked; stored data comes out as what it went in; not at all."""
    origin: str | None = None
    """Who writes content that starts here by definition of the kind; None: no content starts here."""
    draw: str = "box"
    """The shape in pictures."""
    ancestors: frozenset[str] = frozenset()
    """Every kind that this one also is, itself included."""
    defaults: Mapping[str, Value] = field(default_factory=dict)
    cosai: str = ""
    """The CoSAI risk map's component id for it, if any."""

    def is_a(self, kind: str) -> bool:
        """Whether this kind is `kind` or below it."""
        return kind in self.ancestors


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """All kinds and attributes that are known."""

    kinds: Mapping[str, Kind]
    attributes: Mapping[ElementType, Mapping[str, Attribute]]
    controls: frozenset[str] = frozenset()
    """Ids of the controls that a plan may claim."""

    def attributes_of(self, kind: Kind) -> Iterator[Attribute]:
        """The attributes that a component of this kind may have."""
        return (a for a in self.attributes["component"].values() if a.applies_to(kind))
