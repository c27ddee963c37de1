# SPDX-License-Identifier: Apache-2.0
"""The content graph of a plan: who can pass what on to whom.

Nodes are numbers. A component is one node, but a store has one node for each data asset, because what went in as asset A comes out only
where A comes out. A flow is a node of its own for each direction, so that conditions and controls on flows work like those
on components. Content moves along edges; at nodes without transit it ends, unless an attack names them as a step.

Components that answer calls of several callers (a gateway, a model, a tool) have two nodes, so that what one caller sends doesn't come out in
the answer to another: calls enter one and go on only to what the component calls itself; answers and deliveries enter the other and go everywhere.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from bastide.plan.model import Component, Flow, Plan
from bastide.plan.vocabulary import TRUST_LEVELS, Vocabulary

RETURNING = frozenset({"invoke", "query"})
READING = frozenset({"query", "retrieve"})
ANY = ""
"""The asset of a store's node for content that no flow labels."""
ASKED = "?"
"""The asset of a store's node for queries: they get there, but nothing of them is stored."""


@dataclass(slots=True)
class Graph:
    """The content graph; built once for a plan and never changed afterwards."""

    element: list[str] = field(default_factory=list)
    """Node -> id of its component or flow."""
    asset: list[str] = field(default_factory=list)
    """Node of a store -> id of the data asset, else ''."""
    is_flow: list[bool] = field(default_factory=list)
    transit: bytearray = field(default_factory=bytearray)
    """Whether content passes through, 1 or 0."""
    after: list[list[int]] = field(default_factory=list)
    before: list[list[int]] = field(default_factory=list)
    nodes: dict[str, list[int]] = field(default_factory=dict)
    """Element id -> its nodes."""
    calls: dict[int, int] = field(default_factory=dict)
    """Of components that answer calls: the node for all other content -> the node that calls enter."""
    main: list[int] = field(default_factory=list)
    """Node -> the node that stands for it in attacks: itself, but for nodes that calls enter."""
    uncertain: dict[int, str] = field(default_factory=dict)
    """Node of a store -> the data asset of which the plan doesn't say who writes it."""
    origins: dict[int, str] = field(default_factory=dict)
    """Node at which content starts -> the least trusted party who can write it."""

    def add(self, element: str, asset: str = "", is_flow: bool = False, transit: bool = True) -> int:
        """A new node."""
        node = len(self.element)
        self.element.append(element)
        self.asset.append(asset)
        self.is_flow.append(is_flow)
        self.transit.append(transit)
        self.after.append([])
        self.before.append([])
        self.main.append(node)
        self.nodes.setdefault(element, []).append(node)
        return node

    def link(self, source: int, target: int) -> None:
        """Content can get from source to target."""
        self.after[source].append(target)
        self.before[target].append(source)

    def sender(self, node: int) -> str:
        """The component that content leaves with a flow's node; it depends on the direction, not on how the arrow is drawn."""
        return self.element[self.before[node][0]]

    def __len__(self) -> int:
        """The number of nodes."""
        return len(self.element)


def build_graph(plan: Plan, vocabulary: Vocabulary) -> Graph:
    """The content graph of a plan."""
    graph = Graph()
    stores = _stores(plan, vocabulary)
    for component in plan.components.values():
        passes = _passes(component, vocabulary)
        assets = stores.get(component.id)
        if assets is None:
            own = graph.add(component.id, transit=passes != "none")
            if passes == "reply":
                graph.calls[own] = graph.add(component.id)
                graph.main[graph.calls[own]] = own
        else:
            for asset in assets:
                graph.add(component.id, asset)
            graph.add(component.id, ASKED, transit=False)
    for flow in plan.flows.values():
        _add_flow(graph, plan, flow, stores)
    _add_origins(graph, plan, vocabulary)
    return graph


def directions(flow: Flow, stores: Mapping[str, object]) -> tuple[bool, bool]:
    """Whether content moves along the arrow, and against it."""
    if flow.both_ways:
        return True, True
    verb = flow.value("verb")
    if verb == "retrieve" and flow.target in stores and flow.source not in stores:
        return False, True  # drawn from the reader to the store: the content comes back
    return True, verb in RETURNING and flow.value("returns") is not False


def _passes(component: Component, vocabulary: Vocabulary) -> str:
    kind = vocabulary.kinds.get(component.kind)
    return kind.passes if kind else "blend"


def _stores(plan: Plan, vocabulary: Vocabulary) -> dict[str, list[str]]:
    """Stores with the assets that they hold or that flow in and out, and `ANY`."""
    found = {
        c.id: dict.fromkeys((*c.holds, ANY)) for c in plan.components.values() if _passes(c, vocabulary) == "per-data"
    }
    for flow in plan.flows.values():
        for end in (flow.source, flow.target):
            if end in found:
                found[end].update(dict.fromkeys(flow.data))
    return {id: list(assets) for id, assets in found.items()}


def _add_flow(graph: Graph, plan: Plan, flow: Flow, stores: Mapping[str, list[str]]) -> None:
    along, against = directions(flow, stores)
    for wanted, source, target, back in (
        (along, flow.source, flow.target, False),
        (against, flow.target, flow.source, True),
    ):
        if not wanted:
            continue
        node = graph.add(flow.id, is_flow=True)
        for start in _leaving(graph, plan, source, flow, stores, back):
            graph.link(start, node)
        is_call = along and against and not back
        for end in _entering(graph, target, flow, stores, is_call):
            graph.link(node, end)


def _only_reads(flow: Flow, stores: Mapping[str, list[str]]) -> bool:
    """A query or retrieval stores nothing in the store that it asks."""
    return flow.value("verb") in READING and not flow.both_ways and flow.target in stores


def _leaving(
    graph: Graph, plan: Plan, source: str, flow: Flow, stores: Mapping[str, list[str]], back: bool
) -> Iterable[int]:
    """The nodes of a component whose content goes out with the flow."""
    nodes = [n for n in graph.nodes[source] if graph.asset[n] != ASKED and not (back and graph.main[n] != n)]
    if not flow.data or len(nodes) == 1 or source not in stores:
        return nodes
    labelled = [n for n in nodes if graph.asset[n] in flow.data]
    held = set(plan.components[source].holds)
    if back and held and not held & set(flow.data):
        # An answer to a call whose label names only what was sent: anything that the store holds may come back.
        return nodes
    return labelled


def _entering(graph: Graph, target: str, flow: Flow, stores: Mapping[str, list[str]], is_call: bool) -> Iterable[int]:
    """The nodes of a component that the flow's content reaches."""
    nodes = graph.nodes[target]
    if target not in stores:
        return [n for n in nodes if (graph.main[n] != n) is is_call] if len(nodes) > 1 else nodes
    if target == flow.target and _only_reads(flow, stores):
        return nodes[-1:]
    nodes = nodes[:-1]
    if not flow.data:
        return nodes
    return [n for n in nodes if graph.asset[n] in flow.data]


def _add_origins(graph: Graph, plan: Plan, vocabulary: Vocabulary) -> None:
    """Marks where content starts: components that write, data that outsiders can write into, and flows that say so."""
    for component in plan.components.values():
        kind = vocabulary.kinds.get(component.kind)
        stated = component.value("trust")
        trust = stated if isinstance(stated, str) else (kind.origin if kind else None)
        for node in graph.nodes[component.id]:
            if graph.asset[node] == ASKED or graph.main[node] != node:
                continue
            data = plan.data.get(graph.asset[node])
            held = data is not None and data.id in component.holds
            written = data.value("written-by") if data is not None and held else None
            if data is not None and held and written is None and trust is None:
                graph.uncertain[node] = data.id
            _mark(graph, node, trust, written if isinstance(written, str) else None)
    for flow in plan.flows.values():
        stated = flow.value("trust")
        # The first node of a flow is the direction of its arrow (or its only one).
        for node in graph.nodes.get(flow.id, ())[:1]:
            _mark(graph, node, stated if isinstance(stated, str) else None)


def _mark(graph: Graph, node: int, *levels: str | None) -> None:
    known = [level for level in levels if level in TRUST_LEVELS]
    if known:
        graph.origins[node] = min((level for level in known if level), key=TRUST_LEVELS.index)
