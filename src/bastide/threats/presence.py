# SPDX-License-Identifier: Apache-2.0
"""Which controls are in place, as far as the plan says: claims and facts together."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from bastide.catalog.model import Catalog, Control
from bastide.catalog.pattern import Not, Predicate
from bastide.errors import Diagnostic
from bastide.plan.elements import SYSTEM
from bastide.plan.model import Component, ControlClaim, Data, Element, Fact, Flow, Identity, Source, Zone
from bastide.plan.vocabulary import ElementType
from bastide.threats.model import ControlState
from bastide.threats.predicates import Index, Unknown
from bastide.threats.sets import Sets

_STATES = {
    Source.ASSUMED: ControlState.CLAIMED,
    Source.DECLARED: ControlState.CLAIMED,
    Source.DISCOVERED: ControlState.IMPLEMENTED,
    Source.VERIFIED: ControlState.VERIFIED,
}
_ORDER = list(ControlState)
_TYPES: tuple[tuple[type[Element], ElementType], ...] = (
    (Component, "component"), (Flow, "flow"), (Data, "data"), (Identity, "identity"), (Zone, "zone"),
)  # fmt: skip


def element_type(element: Element) -> ElementType:
    """What sort of part an element is."""
    return next(name for cls, name in _TYPES if isinstance(element, cls))


@dataclass(frozen=True, slots=True)
class Standing:
    """The elements on which a control is, with how that is known, and those for which it isn't known."""

    present: Mapping[str, ControlState]
    unknown: frozenset[str]


@dataclass(slots=True)
class Presence:
    """Answers where each control stands; computed when first asked, then kept."""

    index: Index
    catalog: Catalog
    sets: Sets = field(init=False)
    _claims: dict[str, list[ControlClaim]] = field(default_factory=dict)
    _standing: dict[str, Standing] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Sorts the plan's claims by control."""
        self.sets = Sets(self.index)
        for claim in self.index.plan.claims:
            self._claims.setdefault(claim.control, []).append(claim)

    def standing(self, control: str) -> Standing:
        """Where a control stands."""
        if control not in self._standing:
            self._standing[control] = self._compute(control)
        return self._standing[control]

    def state(self, control: str, element: str) -> ControlState:
        """The state of a control on one element."""
        standing = self.standing(control)
        if element in standing.present:
            return standing.present[element]
        return ControlState.UNKNOWN if element in standing.unknown else ControlState.REQUIRED

    def by(self, control: str, element: str) -> str:
        """What the plan names as the product that implements it there."""
        for claim in self._claims.get(control, ()):
            if claim.by and element in self._spread(claim):
                return claim.by
        return ""

    def unknowns(self, control: str, element: str) -> frozenset[Unknown]:
        """The facts that would tell whether the control is there."""
        found, known = self.index.parts.get(element), self.catalog.controls.get(control)
        if found is None or known is None:
            return frozenset()
        where = known.present_when.get(element_type(found))
        return self.index.unknowns(where, found) if where is not None else frozenset()

    def denied(self, control: str, element: str) -> tuple[Element, str] | None:
        """The stated fact that rules out a control on an element, if there is one; assumptions rule out nothing."""
        found, known = self.index.parts.get(element), self.catalog.controls.get(control)
        where = known.present_when.get(element_type(found)) if known and found else None
        if found is None or where is None or self.index.holds(where, found) is not False:
            return None
        facts = [(e, n, e.facts.get(n)) for e, n in self.index.facts_behind(Not(where), found)]
        return next(
            (
                (e, n)
                for e, n, f in facts
                if e is found and f and f.source is not Source.ASSUMED and self._speaks(where, e, f, n)
            ),
            None,
        )

    def _speaks(self, where: Predicate, element: Element, fact: Fact, name: str) -> bool:
        """Whether changing this one fact to unknown would leave the control's presence open."""
        silent = replace(element, id=element.id + "?", facts={k: f for k, f in element.facts.items() if k != name})
        return fact.known and self.index.holds(where, silent) is None

    def _compute(self, control: str) -> Standing:
        present: dict[str, ControlState] = {}
        unknown: set[str] = set()
        for claim in self._claims.get(control, ()):
            for element in self._spread(claim):
                # A claim for a whole zone or system gives way to what single elements say of themselves.
                if element in claim.on or self.denied(control, element) is None:
                    _raise(present, element, _STATES[claim.source])
        known = self.catalog.controls.get(control)
        if known is not None:
            self._from_facts(known, present, unknown)
        return Standing(present, frozenset(unknown - present.keys()))

    def _from_facts(self, control: Control, present: dict[str, ControlState], unknown: set[str]) -> None:
        for type_, where in control.present_when.items():
            true, open_ = self.sets.split(where, type_)
            unknown |= open_
            for id in true:
                behind = self.index.facts_behind(where, self.index.parts[id])
                sources = [e.facts[name].source for e, name in behind if name in e.facts]
                # As good as the weakest of the facts that it rests on.
                states = [_STATES[s] for s in sources] or [ControlState.CLAIMED]
                _raise(present, id, min(states, key=_ORDER.index))

    def _spread(self, claim: ControlClaim) -> Iterable[str]:
        """The elements that a claim covers: a zone stands for itself and everything in it, `system` for all."""
        found: dict[str, None] = {}
        for id in claim.on:
            if id == SYSTEM:
                plan = self.index.plan
                for group in (plan.components, plan.flows, plan.data, plan.identities, plan.zones):
                    found |= dict.fromkeys(group)
            else:
                found[id] = None
                found |= dict.fromkeys(c.id for c in self.index.inside.get(id, ()))
        return found


def _raise(present: dict[str, ControlState], element: str, state: ControlState) -> None:
    current = present.get(element)
    if current is None or _ORDER.index(state) > _ORDER.index(current):
        present[element] = state


def contradictions(presence: Presence) -> list[Diagnostic]:
    """Claims that stand directly on an element whose own facts say the opposite."""
    found = []
    for claim in presence.index.plan.claims:
        for id in claim.on:
            denied = presence.denied(claim.control, id)
            if denied is not None:
                element, name = denied
                fact = element.facts[name]
                message = f"control `{claim.control}` is claimed on `{id}`, but `{element.id}` says {name}: {_say(fact.value)}"
                found.append(
                    Diagnostic(message, claim.location, hint=f"correct the claim, or the fact at {fact.location}")
                )
    return found


def _say(value: object) -> str:
    return (
        ", ".join(value) if isinstance(value, tuple) else str(value).lower() if isinstance(value, bool) else str(value)
    )
