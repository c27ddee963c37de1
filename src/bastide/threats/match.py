# SPDX-License-Identifier: Apache-2.0
"""Finds where a rule applies: for each sink one shortest witness.

The roles of a rule form a tree that hangs from its sink, so a witness can be found from the leaves up: for every role the nodes that can play
it, each with the cheapest way to complete everything below it (breadth-first over the content graph, all sources at once). That is linear in
the size of the plan for each leg, however many paths there are. All legs of a role meet at the same element: AND within a rule, OR over paths.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from functools import partial

from bastide.catalog.model import Threat
from bastide.catalog.pattern import All as AllOf
from bastide.catalog.pattern import Origin, Predicate
from bastide.plan.vocabulary import ElementType
from bastide.threats.predicates import Index
from bastide.threats.presence import Presence
from bastide.threats.search import Reach, both, search
from bastide.threats.sets import Split
from bastide.threats.shape import Edge, Shape, shape_of

Node = int | str
"""A node of the content graph, or the id of a data asset, identity or zone."""
Placed = frozenset[tuple[str, str]]
"""Controls that are imagined to be in place: (control, element)."""


class Mode(Enum):
    """How unknown facts and controls count."""

    CERTAIN = "unknown facts don't hold, controls of unknown state are in place"
    POSSIBLE = "unknown facts hold, controls of unknown state are not in place"
    BARE = "unknown facts don't hold, no control is in place"


@dataclass(frozen=True, slots=True)
class Witness:
    """One way in which a rule applies."""

    sink: str
    elements: Mapping[str, str]
    """Role (named ones only) -> element id."""
    path: tuple[str, ...]
    """Ids of components and flows, in order, without repeats."""
    bound: Mapping[str, str]
    """All roles, the unnamed flows of direct legs included."""
    spans: tuple[tuple[Edge, tuple[str, ...]], ...]
    """For each path leg: the ids of what lies between its ends."""


@dataclass(frozen=True, slots=True)
class _Choice:
    """For one node in a role: the cost of everything below, and for each branch the child's node and the nodes between."""

    cost: int
    branches: tuple[tuple[Edge, Node, tuple[int, ...]], ...] = ()


_Table = dict[Node, _Choice]


@dataclass(slots=True)
class Matcher:
    """Matches rules against one plan; searches that several rules share are done once."""

    index: Index
    presence: Presence
    _shapes: dict[str, Shape] = field(default_factory=dict)
    _allowed: dict[object, bytearray] = field(default_factory=dict)
    _masks: dict[object, bytes] = field(default_factory=dict)
    _reaches: dict[object, Reach] = field(default_factory=dict)
    _entries: dict[str, list[int]] = field(default_factory=dict)

    def shape(self, threat: Threat) -> Shape:
        """The tree of a rule."""
        if threat.id not in self._shapes:
            self._shapes[threat.id] = shape_of(threat, self.index.intern)
        return self._shapes[threat.id]

    def can_match(self, threat: Threat) -> bool:
        """Whether every role has a candidate at all."""
        shape = self.shape(threat)
        return all(any(self.satisfying(shape, role)) for role in shape.element)

    def depends_on_unknowns(self, threat: Threat) -> bool:
        """Whether facts or controls of unknown state can make POSSIBLE differ from CERTAIN."""
        shape = self.shape(threat)
        if any(self.satisfying(shape, role)[1] or self.authors_in_doubt(shape, role) for role in shape.element):
            return True
        edges = [edge for branches in shape.children.values() for edge in branches]
        if any(e.where is not None and self.split(e.where, "flow")[1] for e in edges):
            return True
        if any(e.via is not None and self.split(e.via, "component")[1] for e in edges):
            return True
        return any(self.presence.standing(control).unknown for control in threat.breaks)

    def authors_in_doubt(self, shape: Shape, role: str) -> frozenset[str]:
        """The elements that fit a role which asks for an author, and hold something of which the author isn't known."""
        if not origin_levels(shape.where[role]):
            return frozenset()
        return frozenset().union(*self.satisfying(shape, role)) & self.index.doubtful.keys()

    def depends_on_controls(self, threat: Threat, possible: Collection[str]) -> bool:
        """Whether controls in place can keep the rule from sinks beyond those at which it possibly applies."""
        if not any(self.presence.standing(control).present for control in threat.breaks):
            return False
        return not self.satisfying(self.shape(threat), threat.sink)[0] <= set(possible)

    def match(self, threat: Threat, mode: Mode, placed: Placed = frozenset()) -> dict[str, Witness]:
        """The sinks at which a rule applies, each with a shortest witness."""
        return {sink: witness() for sink, witness in self.sinks(threat, mode, placed).items()}

    def sinks(self, threat: Threat, mode: Mode, placed: Placed = frozenset()) -> dict[str, Callable[[], Witness]]:
        """The sinks at which a rule applies, each with a function that gives its shortest witness."""
        run = _Run(self, self.shape(threat), mode, placed)
        best: dict[str, tuple[int, Node]] = {}
        table = run.table(threat.sink)
        for node, choice in table.items():
            element = run.element_of(threat.sink, node)
            if element not in best or choice.cost < best[element][0]:
                best[element] = (choice.cost, node)
        return {element: partial(run.witness, node) for element, (_, node) in best.items()}

    # -- shared look-ups ----------------------------------------------------------------------------------------
    def satisfying(self, shape: Shape, role: str) -> Split:
        """The elements for which a role's predicates are true, and for which they are unknown."""
        return self.presence.sets.split(shape.where[role], shape.element[role])

    def split(self, where: Predicate, part: ElementType) -> Split:
        """The flows or components for which a predicate is true, and for which it is unknown."""
        return self.presence.sets.split(where, part)

    def entries(self, element: str) -> list[int]:
        """The nodes of an element that stand for it in attacks."""
        if element not in self._entries:
            graph = self.index.graph
            self._entries[element] = [n for n in graph.nodes.get(element, ()) if graph.main[n] == n]
        return self._entries[element]

    def allowed(self, edge: Edge, mode: Mode, blocked: frozenset[str]) -> tuple[object, bytearray]:
        """For each node whether content may pass it on a path leg."""
        certain = mode is not Mode.POSSIBLE
        key = (id(edge.where), id(edge.via), certain, blocked)
        if key not in self._allowed:
            graph = self.index.graph
            mask = bytes(graph.transit)
            if edge.where is not None:
                mask = both(mask, self._passing(edge.where, "flow", certain))
            if edge.via is not None:
                mask = both(mask, self._passing(edge.via, "component", certain))
            self._allowed[key] = bytearray(mask)
            for element in blocked:
                for node in graph.nodes.get(element, ()):
                    self._allowed[key][node] = 0
        return key, self._allowed[key]

    def _passing(self, where: Predicate, part: ElementType, certain: bool) -> bytes:
        """For each node 0 if it is of the part and the predicate bars it, else 1."""
        key = (id(where), part, certain)
        if key not in self._masks:
            graph = self.index.graph
            true, unknown = self.split(where, part)
            fine = true if certain else true | unknown
            mask = bytearray(b"\x01") * len(graph)
            for element in self.index.plan.flows if part == "flow" else self.index.plan.components:
                if element not in fine:
                    for node in graph.nodes.get(element, ()):
                        mask[node] = 0
            self._masks[key] = bytes(mask)
        return self._masks[key]

    def reach(self, starts: Mapping[int, int], forward: bool, key: object, mask: bytearray) -> Reach:
        """Breadth-first from all starts at once (each with a cost to begin with), over nodes that content may pass."""
        cached = (forward, key, frozenset(starts.items()))
        if cached not in self._reaches:
            neighbours = self.index.graph.after if forward else self.index.graph.before
            self._reaches[cached] = search(starts, neighbours, mask)
        return self._reaches[cached]


class _Run:
    """One rule in one mode."""

    def __init__(self, matcher: Matcher, shape: Shape, mode: Mode, placed: Placed) -> None:
        self.matcher, self.shape, self.mode, self.placed = matcher, shape, mode, placed
        self.graph = matcher.index.graph
        self.tables: dict[str, _Table] = {}
        self._blocked: dict[str, frozenset[str]] = {}

    def table(self, role: str) -> _Table:
        """The nodes that can play a role, each with the cheapest completion below it."""
        if role not in self.tables:
            edges = self.shape.children[role]
            found: _Table = {node: _Choice(0) for node in self._candidates(role, self._beside(edges))}
            for edge in edges:
                if not found:
                    break
                found = self._extend(found, edge, self.table(edge.child))
            self.tables[role] = found
        return self.tables[role]

    def element_of(self, role: str, node: Node) -> str:
        """The element that a node belongs to; a flow that names its author stands for the component it leaves."""
        if isinstance(node, str):
            return node
        if self.graph.is_flow[node] and self.shape.element[role] == "component":
            return self.graph.sender(node)
        return self.graph.element[node]

    # -- candidates ---------------------------------------------------------------------------------------------
    def _beside(self, edges: Iterable[Edge]) -> set[int] | None:
        """Where one leg is a single flow: the nodes beside those of the child role, which are few; else None."""
        step = next((edge for edge in edges if edge.move == "step"), None)
        if step is None:
            return None
        graph, near = self.graph, set[int]()
        for child in self.table(step.child):
            assert isinstance(child, int)
            near.update((child, *(graph.after[child] if step.forward else self._arrivals(child))))
        return {graph.main[node] for node in near}

    def _candidates(self, role: str, near: set[int] | None) -> Iterable[Node]:
        true, unknown = self.matcher.satisfying(self.shape, role)
        chosen = true | unknown if self.mode is Mode.POSSIBLE else true
        for place in self.shape.aliases[role]:
            chosen = chosen - self.blocked(place)
        if self.shape.element[role] not in ("component", "flow"):
            return sorted(chosen)
        levels = origin_levels(self.shape.where[role])
        if near is not None and not levels:
            return sorted(node for node in near if self.graph.element[node] in chosen)
        nodes: list[Node] = []
        for element in sorted(chosen):
            nodes += self._nodes(element, levels)
        return nodes

    def _nodes(self, element: str, levels: frozenset[str]) -> Iterable[int]:
        """The nodes of an element; where a role asks for an origin, only those at which such content starts."""
        if not levels:
            return self.matcher.entries(element)
        part = self.matcher.index.plan.components[element]
        starts = self.matcher.index.origin_nodes(part)
        found = [n for n in starts if self.graph.origins.get(n) in levels]
        if self.mode is Mode.POSSIBLE:  # who writes what lies there isn't known, so it may be one of them
            found += self.matcher.index.doubtful.get(element, ())
        return found

    def blocked(self, place: str) -> frozenset[str]:
        """The elements that a control at this place of the rule takes out."""
        if place not in self._blocked:
            found: set[str] = set()
            for control, places in self.shape.threat.breaks.items():
                if place not in places:
                    continue
                found |= {element for name, element in self.placed if name == control}
                if self.mode is not Mode.BARE:
                    standing = self.matcher.presence.standing(control)
                    found |= standing.present.keys()
                    if self.mode is Mode.CERTAIN:
                        found |= standing.unknown
            self._blocked[place] = frozenset(found)
        return self._blocked[place]

    # -- branches -----------------------------------------------------------------------------------------------
    def _extend(self, parents: _Table, edge: Edge, children: _Table) -> _Table:
        if not children:
            return {}
        if edge.move == "path":
            return self._along_paths(parents, edge, children)
        found: _Table = {}
        for node, choice in parents.items():
            options = [(children[c].cost + 1, c) for c in self._neighbours(node, edge) if c in children]
            if options:
                cost, child = min(options, key=lambda option: option[0])
                found[node] = _Choice(choice.cost + cost, (*choice.branches, (edge, child, ())))
        return found

    def _neighbours(self, node: Node, edge: Edge) -> Iterable[Node]:
        """The nodes that the child role can have next to a node of the parent role."""
        if edge.move == "step":
            assert isinstance(node, int)
            beside = self._arrivals(node) if edge.forward else [self.graph.main[n] for n in self.graph.after[node]]
            # A sender may be bound by the very flow, where that names it as an author.
            return [node, *beside] if edge.sends else beside
        return self._related(node, edge)

    def _arrivals(self, node: int) -> list[int]:
        """The nodes from which content comes to a node, or calls to its component."""
        call = self.graph.calls.get(node)
        return self.graph.before[node] if call is None else [*self.graph.before[node], *self.graph.before[call]]

    def _related(self, node: Node, edge: Edge) -> Iterable[Node]:
        index, plan = self.matcher.index, self.matcher.index.plan
        if isinstance(node, int):  # the parent is a component, the child is what it holds, runs as or lies in
            component = plan.components[self.graph.element[node]]
            if edge.move == "holds":
                asset = self.graph.asset[node]
                return (asset,) if asset in component.holds else () if asset else component.holds
            if edge.move == "runs-as":
                return (component.runs_as,) if component.runs_as else ()
            return [zone.id for zone in plan.zone_chain(component.zone)]
        table = {"holds": index.holders, "runs-as": index.users, "in": index.inside}[edge.move]
        found: list[Node] = []
        for other in table.get(node, ()):
            nodes = self.graph.nodes[other.id]
            found += [n for n in nodes if self.graph.asset[n] in ("", node)] if edge.move == "holds" else nodes
        return found

    def _along_paths(self, parents: _Table, edge: Edge, children: _Table) -> _Table:
        blocked = frozenset().union(*(self.blocked(place) for place in edge.places))
        key, mask = self.matcher.allowed(edge, self.mode, blocked)
        flows = self.graph.is_flow
        starts = {n: choice.cost for n, choice in children.items() if isinstance(n, int) and (mask[n] or not flows[n])}
        if not edge.forward:
            starts |= {self.graph.calls[n]: cost for n, cost in starts.items() if n in self.graph.calls}
        reach = self.matcher.reach(starts, edge.forward, key, mask)
        found: _Table = {}
        for node, choice in parents.items():
            assert isinstance(node, int)
            if not edge.forward and flows[node] and not mask[node]:
                continue  # the flow that names the sender as an author is on the leg, too
            if node in starts:  # one part plays both roles: content that starts in a store is in the store
                found[node] = _Choice(choice.cost + starts[node], (*choice.branches, (edge, node, ())))
                continue
            towards = self._arrivals(node) if edge.forward else self.graph.after[node]
            best = min((n for n in towards if n in reach.cost), key=lambda n: reach.cost[n], default=None)
            if best is None:
                continue
            trail = [best]
            while trail[-1] in reach.previous:
                trail.append(reach.previous[trail[-1]])
            *between, child = trail  # from the parent's neighbour back to the child's node
            cost = choice.cost + reach.cost[best] + 1
            found[node] = _Choice(cost, (*choice.branches, (edge, self.graph.main[child], tuple(between))))
        return found

    # -- witnesses ----------------------------------------------------------------------------------------------
    def witness(self, node: Node) -> Witness:
        """The witness that ends at a node of the sink."""
        bound: dict[str, str] = {}
        spans: list[tuple[Edge, tuple[str, ...]]] = []
        path = self._walk(self.shape.threat.sink, node, bound, spans)
        named = {role: element for role, element in bound.items() if not role.startswith("#")}
        steps = dict.fromkeys(path)
        return Witness(bound[self.shape.threat.sink], named, tuple(steps), bound, tuple(spans))

    def _walk(
        self, role: str, node: Node, bound: dict[str, str], spans: list[tuple[Edge, tuple[str, ...]]]
    ) -> list[str]:
        """The ids of the witness below a role, in the order in which content moves."""
        bound[role] = self.element_of(role, node)
        own = self._ids(role, node)
        before: list[str] = []
        after: list[str] = []
        for edge, child, between in self.tables[role][node].branches:
            below = self._walk(edge.child, child, bound, spans)
            middle = [self.graph.element[n] for n in between]
            if edge.forward:
                before += [*below, *reversed(middle)]
            else:
                after += [*middle, *below]
            if edge.move == "path":
                # A sender may be bound by the flow that names it as an author; that flow lies between the ends.
                line = [*self._ids(edge.child, child)[1:], *reversed(middle)] if edge.forward else [*own[1:], *middle]
                spans.append((edge, tuple(dict.fromkeys(line))))
        return [*before, *own, *after]

    def _ids(self, role: str, node: Node) -> list[str]:
        """What a node adds to a path: nothing for data, identities and zones; component and flow for a flow that names its author."""
        if isinstance(node, str):
            return []
        return list(dict.fromkeys((self.element_of(role, node), self.graph.element[node])))


def origin_levels(where: Predicate) -> frozenset[str]:
    """The trust levels for which a predicate asks at the origin of content; empty if it asks for none."""
    if isinstance(where, Origin):
        return where.levels
    if isinstance(where, AllOf):
        return frozenset().union(*(origin_levels(part) for part in where.parts))
    return frozenset()
