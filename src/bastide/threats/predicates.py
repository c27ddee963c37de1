# SPDX-License-Identifier: Apache-2.0
"""Evaluates predicates with three values (True, False, None for unknown) and says what an answer rests on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace


from bastide.catalog.pattern import All, Any, Crosses, Has, KindIs, Not, Origin, PlatformIs, Predicate, Related
from bastide.plan.model import Component, Data, Element, Flow, Identity, Plan, Value, Zone
from bastide.plan.vocabulary import ElementType, Vocabulary
from bastide.threats.graph import Graph, directions

Truth = bool | None
_VIEW = "\0"
"""Separates a flow's id from the direction in the id of a one-way view of it."""
NOTHING: Predicate = All()


@dataclass(frozen=True, slots=True)
class Unknown:
    """A fact that a predicate needed and didn't find."""

    element: str
    attribute: str


@dataclass(slots=True)
class Index:
    """A plan with what predicates look up: neighbours, holders, users."""

    plan: Plan
    vocabulary: Vocabulary
    graph: Graph
    by_kind: dict[str, list[Component]] = field(default_factory=dict)
    incoming: dict[str, list[Flow]] = field(default_factory=dict)
    outgoing: dict[str, list[Flow]] = field(default_factory=dict)
    holders: dict[str, list[Component]] = field(default_factory=dict)
    users: dict[str, list[Component]] = field(default_factory=dict)
    inside: dict[str, list[Component]] = field(default_factory=dict)
    two_way: dict[str, bool] = field(default_factory=dict)
    """Flows whose content moves against the arrow; the value says whether also along it."""
    zones: dict[str, Zone] = field(default_factory=dict)
    """Zones with the facts that they inherit from the zones around them."""
    _cache: dict[tuple[Predicate, str], Truth] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Builds the look-ups in one pass."""
        for id, zone in self.plan.zones.items():
            chain = reversed(self.plan.zone_chain(id))
            self.zones[id] = replace(zone, facts={name: fact for around in chain for name, fact in around.facts.items()})
        stores = {c.id: c for c in self.plan.components.values() if self._passes(c) == "per-data"}
        for component in self.plan.components.values():
            kind = self.vocabulary.kinds.get(component.kind)
            for name in kind.ancestors if kind else (component.kind,):
                self.by_kind.setdefault(name, []).append(component)
            for asset in component.holds:
                self.holders.setdefault(asset, []).append(component)
            if component.runs_as:
                self.users.setdefault(component.runs_as, []).append(component)
            for zone in self.plan.zone_chain(component.zone):
                self.inside.setdefault(zone.id, []).append(component)
        for flow in self.plan.flows.values():
            for view in self._views(flow, *directions(flow, stores)):
                self.outgoing.setdefault(view.source, []).append(view)
                self.incoming.setdefault(view.target, []).append(view)

    def _views(self, flow: Flow, along: bool, against: bool) -> Iterator[Flow]:
        """A flow as seen in each direction in which content moves; `from` and `to` depend on it."""
        if along and not against:
            yield flow
            return
        self.two_way[flow.id] = along
        if along:
            yield replace(flow, id=f"{flow.id}{_VIEW}along")
        yield replace(flow, id=f"{flow.id}{_VIEW}against", source=flow.target, target=flow.source)

    def _passes(self, component: Component) -> str:
        kind = self.vocabulary.kinds.get(component.kind)
        return kind.passes if kind else "blend"

    def elements(self, element: ElementType) -> Iterable[Element]:
        """All parts of a type."""
        groups: dict[ElementType, Iterable[Element]] = {
            "component": self.plan.components.values(), "flow": self.plan.flows.values(), "data": self.plan.data.values(),
            "identity": self.plan.identities.values(), "zone": self.zones.values(),
        }  # fmt: skip
        return groups[element]

    def candidates(self, element: ElementType, where: Predicate) -> Iterable[Element]:
        """A superset of the parts for which the predicate can hold, narrowed by kind."""
        kinds = _kinds_of(where)
        if element != "component" or kinds is None:
            return self.elements(element)
        found = {c.id: c for kind in kinds for c in self.by_kind.get(kind, ())}
        return found.values()

    def holds(self, where: Predicate, element: Element) -> Truth:
        """Whether a predicate is true, false or unknown (None) for an element."""
        if isinstance(where, Has):
            return self._has(where, element)
        if isinstance(where, All):
            return _all(self.holds(part, element) for part in where.parts)
        if isinstance(where, KindIs):
            return self._is_kind(where, element)
        key = (where, element.id)
        if key not in self._cache:
            self._cache[key] = self._evaluate(where, element)
        return self._cache[key]

    def _evaluate(self, where: Predicate, element: Element) -> Truth:
        match where:
            case Any(parts):
                return _any(self.holds(part, element) for part in parts)
            case Not(part):
                inner = self.holds(part, element)
                return None if inner is None else not inner
            case Origin(levels):
                return any(self.graph.origins.get(n) in levels for n in self.origin_nodes(element))
            case PlatformIs(platforms):
                own = element.platform if isinstance(element, Component) else ""
                return any(own == p or own.startswith(p + ".") for p in platforms)
            case Crosses():
                return self._crosses(where, element)
            case Related(_, _, inner_where):
                return _any(self.holds(inner_where, other) for other in self.related(where, element))
            case _:
                raise TypeError(where)

    def origin_nodes(self, element: Element) -> Sequence[int]:
        """The nodes at which content of a component starts: its own, and flows out of it that name an author."""
        own = list(self.graph.nodes.get(element.id, ()))
        for flow in self.plan_flows_from(element.id):
            own += [n for n in self.graph.nodes.get(plain_id(flow.id), ())[:1] if n in self.graph.origins and n not in own]
        return own

    def plan_flows_from(self, component: str) -> Iterator[Flow]:
        """The flows whose arrow starts at a component."""
        return (f for f in self.outgoing.get(component, ()) if not f.id.endswith(f"{_VIEW}against"))

    def _is_kind(self, where: KindIs, element: Element) -> bool:
        kind = self.vocabulary.kinds.get(element.kind) if isinstance(element, Component) else None
        return kind is not None and any(kind.is_a(k) for k in where.kinds)

    def _has(self, where: Has, element: Element) -> Truth:
        fact = element.facts.get(where.attribute)
        if fact is None or fact.value is None:
            return None if self.may_have(where.attribute, element) else False
        return _matches(fact.value, where.values) is not where.other

    def may_have(self, attribute: str, element: Element) -> bool:
        """Whether the element's kind knows the attribute; if not, asking for it makes no sense."""
        if not isinstance(element, Component):
            return True
        kind = self.vocabulary.kinds.get(element.kind)
        known = self.vocabulary.attributes["component"].get(attribute)
        return kind is not None and known is not None and known.applies_to(kind)

    def _crosses(self, where: Crosses, element: Element) -> bool:
        if not isinstance(element, Flow):
            return False
        source, target = self.plan.components[element.source], self.plan.components[element.target]
        if where.direction == "any":
            return (source.zone != target.zone) is where.value
        inwards = where.direction == "from-outside"
        ways = [(source, target)] if self.two_way.get(element.id, True) else []
        if element.id in self.two_way:
            ways.append((target, source))
        crossed = any(self._trusts_less(*(way if inwards else reversed(way))) for way in ways)
        return crossed is where.value

    def _trusts_less(self, outer: Component, inner: Component) -> bool:
        """Whether the first lies in a zone with less trust than the second; False where that isn't known."""
        levels = self.vocabulary.attributes["zone"]["trust"].values
        one, two = self.zone_trust(outer), self.zone_trust(inner)
        return one is not None and two is not None and levels.index(one) < levels.index(two)

    def zone_trust(self, component: Component) -> str | None:
        """The trust of the zone that a component is in, or None if it is unknown."""
        zone = self.zones.get(component.zone or "")
        value = zone.value("trust") if zone else None
        return value if isinstance(value, str) else None

    def related(self, where: Related, element: Element) -> Iterator[Element]:
        """The elements that a relation leads to."""
        plan = self.plan
        match where.relation, element:
            case "holds", Component():
                yield from (plan.data[d] for d in element.holds)
            case "handles", Component():
                flows = (*self.incoming.get(element.id, ()), *self.outgoing.get(element.id, ()))
                assets = dict.fromkeys((*element.holds, *(d for f in flows for d in f.data)))
                yield from (plan.data[d] for d in assets)
            case "zone", Component():
                if element.zone in self.zones:
                    yield self.zones[element.zone]
            case "runs-as", Component():
                if element.runs_as:
                    yield plan.identities[element.runs_as]
            case "incoming", Component():
                yield from self.incoming.get(element.id, ())
            case "outgoing", Component():
                yield from self.outgoing.get(element.id, ())
            case ("from" | "to") as end, Flow():
                yield from (plan.components[c] for c in self._ends(element, end))
            case "data", Flow():
                yield from (plan.data[d] for d in element.data)
            case "held-by", Data():
                yield from self.holders.get(element.id, ())
            case "used-by", Identity():
                yield from self.users.get(element.id, ())
            case "around", Zone():
                yield from self.inside.get(element.id, ())
            case _:
                return

    def _ends(self, flow: Flow, end: str) -> tuple[str, ...]:
        """Where content of a flow comes from or goes to; both ends for a flow as a whole that goes both ways."""
        along = (flow.source,) if end == "from" else (flow.target,)
        if flow.id not in self.two_way:
            return along
        against = (flow.target,) if end == "from" else (flow.source,)
        return (*along, *against) if self.two_way[flow.id] else against

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
            case _:
                return frozenset()

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


def plain_id(id: str) -> str:
    """The id of an element, also for a one-way view of a flow."""
    return id.partition(_VIEW)[0]


def _matches(value: Value, wanted: frozenset[str | bool]) -> bool:
    if isinstance(value, bool):
        return value in wanted
    if isinstance(value, tuple):
        return any(item in wanted or any(isinstance(w, str) and item.startswith(w + ".") for w in wanted) for item in value)
    return value in wanted or ("," in value and any(part.strip() in wanted for part in value.split(",")))


def _all(values: Iterable[Truth]) -> Truth:
    result: Truth = True
    for value in values:
        if value is False:
            return False
        if value is None:
            result = None
    return result


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


