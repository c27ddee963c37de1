# SPDX-License-Identifier: Apache-2.0
"""A plan with what rules look up in it: neighbours, holders, users, inherited facts of zones."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from bastide.catalog.pattern import Crosses, Related
from bastide.plan.model import Component, Data, Element, Flow, Identity, Plan, Zone
from bastide.plan.vocabulary import ElementType, Vocabulary
from bastide.threats.graph import Graph, directions

_VIEW = "\0"
"""Separates a flow's id from the direction in the id of a one-way view of it."""


@dataclass(slots=True)
class Lookups:
    """Built once for a plan, in one pass."""

    plan: Plan
    vocabulary: Vocabulary
    graph: Graph
    by_kind: dict[str, list[Component]] = field(default_factory=dict)
    incoming: dict[str, list[Flow]] = field(default_factory=dict)
    outgoing: dict[str, list[Flow]] = field(default_factory=dict)
    holders: dict[str, list[Component]] = field(default_factory=dict)
    users: dict[str, list[Component]] = field(default_factory=dict)
    inside: dict[str, list[Component]] = field(default_factory=dict)
    starts: dict[str, list[int]] = field(default_factory=dict)
    """Component -> the nodes at which its content starts."""
    doubtful: dict[str, list[int]] = field(default_factory=dict)
    """Component -> its nodes of which the plan doesn't say who writes what they hold."""
    parts: dict[str, Element] = field(default_factory=dict)
    """Every part of the plan by id."""
    two_way: dict[str, bool] = field(default_factory=dict)
    """Flows whose content moves against the arrow; the value says whether also along it."""
    zones: dict[str, Zone] = field(default_factory=dict)
    """Zones with the facts that they inherit from the zones around them."""

    def __post_init__(self) -> None:
        """Builds the look-ups in one pass."""
        self._find_authors()
        for id, zone in self.plan.zones.items():
            chain = reversed(self.plan.zone_chain(id))
            self.zones[id] = self.parts[id] = replace(
                zone, facts={name: fact for around in chain for name, fact in around.facts.items()}
            )
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

    def _find_authors(self) -> None:
        """Notes where content starts, and where it isn't known who writes it."""
        plan = self.plan
        self.parts = {**plan.components, **plan.flows, **plan.data, **plan.identities, **plan.zones}
        for node in self.graph.origins:
            owner = self.graph.sender(node) if self.graph.is_flow[node] else self.graph.element[node]
            self.starts.setdefault(owner, []).append(node)
        for node in self.graph.uncertain:
            self.doubtful.setdefault(self.graph.element[node], []).append(node)

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

    def origin_nodes(self, element: Element) -> Sequence[int]:
        """The nodes at which content of a component starts: its own, and flows out of it that name an author."""
        return self.starts.get(element.id, ())

    def is_compound(self, attribute: str) -> bool:
        """Whether values of an attribute can hold several words: lists, and texts with commas."""
        known = (attributes.get(attribute) for attributes in self.vocabulary.attributes.values())
        return any(a is not None and a.type in ("list", "text") for a in known)

    def kinds_with(self, attribute: str) -> frozenset[str]:
        """The component kinds that may have an attribute."""
        known = self.vocabulary.attributes["component"].get(attribute)
        return frozenset(k.id for k in self.vocabulary.kinds.values() if known is not None and known.applies_to(k))

    def crosses(self, where: Crosses, element: Element) -> bool | None:
        """Whether a flow crosses zones in the wanted direction; None where the trust of a zone is unknown."""
        if not isinstance(element, Flow):
            return False
        source, target = self.plan.components[element.source], self.plan.components[element.target]
        if where.direction == "any":
            return (source.zone != target.zone) is where.value
        inwards = where.direction == "from-outside"
        ways = [(source, target)] if self.two_way.get(element.id, True) else []
        if element.id in self.two_way:
            ways.append((target, source))
        answers = [self._trusts_less(*(way if inwards else reversed(way))) for way in ways]
        if True in answers or None not in answers:
            return (True in answers) is where.value
        return None

    def _trusts_less(self, outer: Component, inner: Component) -> bool | None:
        """Whether the first lies in a zone with less trust than the second; None where a zone doesn't state its trust."""
        levels = self.vocabulary.attributes["zone"]["trust"].values
        if outer.zone == inner.zone or outer.zone not in self.zones or inner.zone not in self.zones:
            return False
        one, two = self.zone_trust(outer), self.zone_trust(inner)
        return None if one is None or two is None else levels.index(one) < levels.index(two)

    def zone_trust(self, component: Component) -> str | None:
        """The trust of the zone that a component is in, or None if it is unknown."""
        zone = self.zones.get(component.zone or "")
        value = zone.value("trust") if zone else None
        return value if isinstance(value, str) else None

    def related(self, where: Related, element: Element) -> Iterable[Element]:
        """The elements that a relation leads to."""
        match element:
            case Component():
                return self._of_component(where.relation, element)
            case Flow():
                if where.relation == "data":
                    return [self.plan.data[d] for d in element.data]
                return [self.plan.components[c] for c in self._ends(element, where.relation)]
            case Data():
                return self.holders.get(element.id, ())
            case Identity():
                return self.users.get(element.id, ())
            case _:
                return self.inside.get(element.id, ())

    def _of_component(self, relation: str, component: Component) -> Iterable[Element]:
        incoming, outgoing = self.incoming.get(component.id, ()), self.outgoing.get(component.id, ())
        if relation == "incoming":
            return incoming
        if relation == "outgoing":
            return outgoing
        if relation == "holds":
            return [self.plan.data[d] for d in component.holds]
        if relation == "handles":
            flowing = (d for flow in (*incoming, *outgoing) for d in flow.data)
            return [self.plan.data[d] for d in dict.fromkeys((*component.holds, *flowing))]
        if relation == "zone":
            return [self.zones[component.zone]] if component.zone in self.zones else []
        return [self.plan.identities[component.runs_as]] if component.runs_as else []

    def _ends(self, flow: Flow, end: str) -> tuple[str, ...]:
        """Where content of a flow comes from or goes to; both ends for a flow as a whole that goes both ways."""
        along = (flow.source,) if end == "from" else (flow.target,)
        if flow.id not in self.two_way:
            return along
        against = (flow.target,) if end == "from" else (flow.source,)
        return (*along, *against) if self.two_way[flow.id] else against


def plain_id(id: str) -> str:
    """The id of an element, also for a one-way view of a flow."""
    return id.partition(_VIEW)[0]
