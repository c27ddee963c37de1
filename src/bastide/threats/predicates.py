# SPDX-License-Identifier: Apache-2.0
"""Evaluates predicates with three values (True, False, None for unknown) and says what an answer rests on.

Predicates are compiled to closures, once each for a plan: no text is ever evaluated, and a rule costs well under a microsecond an element.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial

from bastide.catalog.pattern import All, Any, Crosses, Has, KindIs, Not, Origin, PlatformIs, Predicate, Related
from bastide.plan.model import Component, Element, Flow, Value
from bastide.plan.vocabulary import ElementType
from bastide.threats.lookups import Lookups, plain_id

Truth = bool | None
Program = Callable[[Element], Truth]


@dataclass(frozen=True, slots=True)
class Unknown:
    """A fact that a predicate needed and didn't find."""

    element: str
    attribute: str


@dataclass(slots=True)
class Index(Lookups):
    """A plan about which predicates can be asked."""

    _programs: dict[Predicate, Program] = field(default_factory=dict)
    _interned: dict[Predicate, Predicate] = field(default_factory=dict)
    _by_identity: dict[int, tuple[Predicate, Program]] = field(default_factory=dict)

    def candidates(self, element: ElementType, where: Predicate) -> Iterable[Element]:
        """A superset of the parts for which the predicate can hold, narrowed by kind."""
        kinds = _kinds_of(where)
        if element != "component" or kinds is None:
            return self.elements(element)
        found = {c.id: c for kind in kinds for c in self.by_kind.get(kind, ())}
        return found.values()

    def holds(self, where: Predicate, element: Element) -> Truth:
        """Whether a predicate is true, false or unknown (None) for an element."""
        return self.program(where)(element)

    def program(self, where: Predicate) -> Program:
        """The predicate as a function of an element; take it once before a loop."""
        # By identity first: hashing a deep predicate costs more than running it. The reference keeps the identity valid.
        known = self._by_identity.get(id(where))
        if known is None:
            if where not in self._programs:
                self._programs[where] = self._compile(where)
            known = self._by_identity[id(where)] = (where, self._programs[where])
        return known[1]

    def intern(self, where: Predicate) -> Predicate:
        """One and the same object for all equal predicates."""
        return self._interned.setdefault(where, where)

    def _compile(self, where: Predicate) -> Program:
        match where:
            case All(parts):
                return _all_of([self.program(p) for p in sorted(parts, key=_cost)])
            case Any(parts):
                return _any_of([self.program(p) for p in sorted(parts, key=_cost)])
            case Not(part):
                return _not(self.program(part))
            case Has():
                return self._has(where)
            case KindIs(kinds):
                fitting = {k.id for k in self.vocabulary.kinds.values() if any(k.is_a(kind) for kind in kinds)}
                return lambda element: isinstance(element, Component) and element.kind in fitting
            case PlatformIs(platforms):
                return lambda element: any(
                    (own := _platform(element)) == p or own.startswith(p + ".") for p in platforms
                )
            case Origin(levels):
                return self._origin(levels)
            case Crosses():
                return lambda element: self.crosses(where, element)
            case Related():
                return self._related_program(where)

    def _origin(self, levels: frozenset[str]) -> Program:
        origins = self.graph.origins

        def program(element: Element) -> Truth:
            if any(origins.get(n) in levels for n in self.origin_nodes(element)):
                return True
            return None if element.id in self.doubtful else False

        return program

    def _has(self, where: Has) -> Program:
        name, wanted, other = where.attribute, where.values, where.other
        kinds = self.kinds_with(name)
        matches: Callable[[Value], bool] = (
            partial(matches_any, wanted) if self.is_compound(name) else wanted.__contains__
        )

        def program(element: Element) -> Truth:
            fact = element.facts.get(name)
            if fact is None or fact.value is None:
                # Asking a component for what its kind can't have makes no sense: it is false, not unknown.
                return None if not isinstance(element, Component) or element.kind in kinds else False
            return matches(fact.value) is not other

        return program

    def _related_program(self, where: Related) -> Program:
        inner = self.program(where.where)
        known: dict[str, Truth] = {}

        def program(element: Element) -> Truth:
            if element.id not in known:
                known[element.id] = _any(inner(other) for other in self.related(where, element))
            return known[element.id]

        return program

    def unknowns(self, where: Predicate, element: Element) -> frozenset[Unknown]:
        """The facts that keep the predicate from an answer; empty when there is one."""
        if self.holds(where, element) is not None:
            return frozenset()
        match where:
            case Has(attribute):
                return frozenset({Unknown(plain_id(element.id), attribute)})
            case All(parts) | Any(parts):
                return frozenset().union(*(self.unknowns(part, element) for part in parts))
            case Not(part):
                return self.unknowns(part, element)
            case Related(_, _, inner):
                return frozenset().union(*(self.unknowns(inner, other) for other in self.related(where, element)))
            case Origin():
                return self.authors_unknown(element)
            case Crosses() if isinstance(element, Flow):
                zones = [
                    self.zones.get(self.plan.components[end].zone or "") for end in (element.source, element.target)
                ]
                return frozenset(Unknown(z.id, "trust") for z in zones if z is not None and z.value("trust") is None)
            case _:
                return frozenset()

    def authors_unknown(self, element: Element) -> frozenset[Unknown]:
        """What is held by a store without a word on who writes it."""
        return frozenset(Unknown(self.graph.uncertain[n], "written-by") for n in self.doubtful.get(element.id, ()))

    def facts_behind(self, where: Predicate, element: Element) -> Iterator[tuple[Element, str]]:
        """The facts (element, attribute) on which a true answer rests."""
        match where:
            case Has(attribute):
                yield element, attribute
            case All(parts):
                for part in parts:
                    yield from self.facts_behind(part, element)
            case Any(parts):
                for part in parts:
                    if self.holds(part, element):
                        yield from self.facts_behind(part, element)
            case Not(part):
                yield from self.facts_behind(part, element)
            case Related(_, _, inner):
                found = next((o for o in self.related(where, element) if self.holds(inner, o)), None)
                if found is not None:
                    yield from self.facts_behind(inner, found)
            case _:
                return


def matches_any(wanted: frozenset[str | bool], value: Value) -> bool:
    """Whether a value, or for lists and texts with commas one of its words, is among the wanted; a word covers those below it."""
    if isinstance(value, bool):
        return value in wanted
    if isinstance(value, tuple):
        return any(
            item in wanted or any(isinstance(w, str) and item.startswith(w + ".") for w in wanted) for item in value
        )
    return value in wanted or ("," in value and any(part.strip() in wanted for part in value.split(",")))


def _any(values: Iterable[Truth]) -> Truth:
    result: Truth = False
    for value in values:
        if value:
            return True
        if value is None:
            result = None
    return result


def _kinds_of(where: Predicate) -> tuple[str, ...] | None:
    """The kinds to which a predicate restricts components, if it does."""
    if isinstance(where, KindIs):
        return where.kinds
    if isinstance(where, All):
        return next((k for part in where.parts if (k := _kinds_of(part)) is not None), None)
    return None


def _platform(element: Element) -> str:
    return element.platform if isinstance(element, Component) else ""


def _cost(where: Predicate) -> int:
    """Cheap parts first: a kind or a fact often settles the matter before a search among neighbours begins."""
    return {KindIs: 0, Has: 1, PlatformIs: 1, Crosses: 2, Origin: 2}.get(type(where), 3)


def _all_of(programs: list[Program]) -> Program:
    if len(programs) == 1:
        return programs[0]

    def program(element: Element) -> Truth:
        result: Truth = True
        for part in programs:
            truth = part(element)
            if truth is False:
                return False
            if truth is None:
                result = None
        return result

    return program


def _any_of(programs: list[Program]) -> Program:
    return lambda element: _any(part(element) for part in programs)


def _not(inner: Program) -> Program:
    def program(element: Element) -> Truth:
        truth = inner(element)
        return None if truth is None else not truth

    return program
