# SPDX-License-Identifier: Apache-2.0
"""The design-time lattice, asked at run time: who may have written what a component answers, and which class of data is in it.

It walks the same content graph as `bastide.threats.labels`, backwards from the answer. What the asking component itself has sent doesn't
count, because the session knows that already; except where it passes a store, out of which another session may read it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from functools import reduce

from bastide.guard.model import CLASSES
from bastide.plan.model import Plan
from bastide.plan.vocabulary import TRUST_LEVELS, Vocabulary
from bastide.threats.graph import ASKED, Graph, build_graph

TOP = len(TRUST_LEVELS) - 1


@dataclass(frozen=True, slots=True)
class Feed:
    """What may be in some content."""

    integrity: int | None
    """The least trusted author; None when nothing says who writes it."""
    data: frozenset[str]
    """Data assets that may be in it."""
    doubtful: frozenset[str]
    """Data assets in it of which the plan doesn't say who writes them."""

    def join(self, other: Feed) -> Feed:
        """What may be in either."""
        levels = [x.integrity for x in (self, other) if x.integrity is not None]
        return Feed(min(levels, default=None), self.data | other.data, self.doubtful | other.doubtful)


NOTHING = Feed(None, frozenset(), frozenset())


@dataclass(slots=True)
class Lattice:
    """A plan's content graph and what is looked up in it."""

    plan: Plan
    graph: Graph
    loads: frozenset[str]
    """Flows that carry weights: they shape how a model behaves, but nobody reads them as content."""
    stores: Collection[str]
    _of: dict[str, list[int]] = field(default_factory=dict)
    _in_stores: dict[int, Feed] = field(default_factory=dict)

    def answers(self, component: str, askers: Collection[str], forgets: bool = False) -> Feed:
        """What may be in what a component gives to any of the askers; what one has sent may come out to another.

        forgets: what an asker has stored keeps labels of its own, so it doesn't count here.
        """
        flows = self._flows_from(component)
        feeds = (self._behind([n for n in flows if self._receiver(n) == asker], asker, forgets) for asker in askers)
        return reduce(Feed.join, feeds, NOTHING)

    def deliveries(self, component: str, node: int) -> Feed:
        """What may be in the content of one flow's node that enters a component."""
        return self._behind([node], component, forgets=False)

    def _behind(self, starts: Collection[int], asker: str, forgets: bool) -> Feed:
        """What gets to some nodes without passing the asker, but for what is stored on the way."""
        stored: list[int] = []

        def passes(node: int) -> bool:
            element = self.graph.element[node]
            if element in self.stores and not forgets:
                stored.append(node)
                return False
            return element != asker

        found = self._sum(self._before(starts, passes))
        return reduce(Feed.join, (self._stored(n) for n in stored), found)

    def _stored(self, node: int) -> Feed:
        """What may be in a store: everything that gets there, whoever asks."""
        if node not in self._in_stores:
            self._in_stores[node] = self._sum(self._before([node], lambda _: True))
        return self._in_stores[node]

    def _before(self, starts: Collection[int], passes: Callable[[int], bool]) -> set[int]:
        """The nodes from which content gets to some nodes, over those that may be passed."""
        graph = self.graph
        seen: set[int] = set()
        todo = list(starts)
        while todo:
            node = todo.pop()
            if node in seen or graph.element[node] in self.loads or not passes(node):
                continue
            seen.add(node)
            if graph.transit[node] or node in starts:
                todo += graph.before[node]
        return seen

    def _sum(self, nodes: Collection[int]) -> Feed:
        graph, plan = self.graph, self.plan
        levels = [TRUST_LEVELS.index(graph.origins[n]) for n in nodes if n in graph.origins]
        data: set[str] = set()
        for node in nodes:
            if graph.is_flow[node]:
                data.update(plan.flows[graph.element[node]].data)
            elif graph.asset[node] and graph.asset[node] != ASKED:
                data.add(graph.asset[node])
        return Feed(
            min(levels, default=None),
            frozenset(data),
            frozenset(graph.uncertain[n] for n in nodes if n in graph.uncertain),
        )

    def _flows_from(self, component: str) -> list[int]:
        if not self._of:
            for node, is_flow in enumerate(self.graph.is_flow):
                if is_flow and self.graph.before[node]:
                    self._of.setdefault(self.graph.sender(node), []).append(node)
        return self._of.get(component, [])

    def _receiver(self, node: int) -> str:
        after = self.graph.after[node]
        return self.graph.element[after[0]] if after else ""

    def senders(self, component: str) -> Iterator[tuple[str, int]]:
        """The components that give content to one, each with the node of the flow."""
        for node in self.graph.nodes.get(component, ()):
            for before in self.graph.before[node]:
                if self.graph.is_flow[before] and self.graph.before[before]:
                    yield self.graph.sender(before), before


def lattice(plan: Plan, vocabulary: Vocabulary, stores: Collection[str]) -> Lattice:
    """The lattice of a plan."""
    loads = frozenset(f.id for f in plan.flows.values() if f.value("as") == "model")
    return Lattice(plan, build_graph(plan, vocabulary), loads, stores)


def highest_class(plan: Plan, assets: Collection[str], unknown: int) -> int:
    """The most sensitive class among data assets; `unknown` stands for one without a class."""
    return max((CLASSES.index(v) if (v := class_of(plan, a)) in CLASSES else unknown for a in assets), default=0)


def class_of(plan: Plan, asset: str) -> str:
    """The class of a data asset; '' when the plan doesn't say."""
    return str(plan.data[asset].value("class") or "")


def least_author(plan: Plan, assets: Collection[str]) -> int:
    """The least trusted author of some data assets; public for one of which nobody says."""
    found: Mapping[str, object] = {a: plan.data[a].value("written-by") for a in assets}
    return min((TRUST_LEVELS.index(str(v)) if v in TRUST_LEVELS else 0 for v in found.values()), default=0)
