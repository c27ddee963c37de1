# SPDX-License-Identifier: Apache-2.0
"""Who may use what, read from the flows of a plan.

A flow is drawn in the direction in which content moves; here it becomes *calls*: who starts it, and on whom. Structure is closed: a call
that no flow draws isn't allowed. Rules for who calls on a flow between A and B:

- `A -> B` that isn't a retrieval: A calls B.
- `A -> B` with verb `retrieve`: content is handed over on request, so B calls A; drawn from the reader to a store, A calls B.
- `store -> B` with any verb: stores don't act, so B reads the store.
- `A <-> B`: the one that acts for somebody (a person, app, agent) calls the one that serves (a tool, model, store); between equals A calls B.

Flows whose verb is train, deploy, publish, log or render are no calls.

A call may go through an `ai.gateway` that stands between. The gateway has no rights of its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from bastide.guard.model import Action
from bastide.plan.model import Component, Flow, Plan
from bastide.plan.vocabulary import Vocabulary
from bastide.threats.graph import READING, directions

GATEWAY = "ai.gateway"
MODELS = ("ai.model", "ai.reranker")
AGENTS = ("ai.agent", "ai.chain")
NOT_CALLS = frozenset({"train", "deploy", "publish", "log", "render"})
"""Verbs of flows that build, record or show something; they give nobody the right to use what they lead to."""


@dataclass(frozen=True, slots=True)
class Call:
    """One flow, as somebody's call on somebody."""

    caller: str
    callee: str
    flow: Flow
    reads: bool
    """Whether content comes back to the caller."""
    writes: bool
    """Whether the caller's content goes there for more than to be asked about."""


@dataclass(frozen=True, slots=True)
class Route:
    """A way on which an agent may do something to a resource: one flow, or several through gateways."""

    agent: str
    action: Action
    resource: str
    flows: tuple[Flow, ...]

    @property
    def id(self) -> str:
        """The id of the flow, or of all flows on the way."""
        return " ".join(f.id for f in self.flows)

    @property
    def approval(self) -> bool:
        """Whether a person has to agree to each call."""
        return any(f.value("approval") == "human" for f in self.flows)

    @property
    def scopes(self) -> frozenset[str]:
        """Scopes that the caller has to have; a flow that says `*` states none."""
        words = (str(f.value("scopes") or "") for f in self.flows)
        return frozenset(w.strip() for text in words for w in text.split(",") if w.strip() not in ("", "*"))


class Kinds:
    """What the kinds of a plan's components are for."""

    def __init__(self, plan: Plan, vocabulary: Vocabulary) -> None:
        self.plan, self.vocabulary = plan, vocabulary
        self.stores: Mapping[str, Component] = {
            c.id: c for c in plan.components.values() if self.passes(c) == "per-data"
        }

    def passes(self, component: Component) -> str:
        """How content travels through it; the most mixing way where the kind isn't known."""
        kind = self.vocabulary.kinds.get(component.kind)
        return kind.passes if kind else "blend"

    def is_a(self, component: Component, *kinds: str) -> bool:
        """Whether it is of one of the kinds or of one below."""
        kind = self.vocabulary.kinds.get(component.kind)
        return any(kind.is_a(k) for k in kinds) if kind else component.kind in kinds

    def rank(self, component: Component) -> int:
        """Who calls whom where content moves both ways: the lower calls the higher."""
        if self.is_a(component, "actor"):
            return 0
        if component.id in self.stores or self.is_a(component, *MODELS, "ai.embedder", "ext"):
            return 3
        return 1 if self.is_a(component, *AGENTS, "app", "ai.ingestor", "ml") else 2

    def acts(self, component: Component) -> bool:
        """Whether it can call something of its own accord; gateways only pass calls on."""
        return self.rank(component) in (1, 2) and not self.is_a(component, GATEWAY)

    def actions(self, component: Component, call: Call) -> Iterator[Action]:
        """What a call on a component does."""
        if component.id in self.stores:
            if call.reads:
                yield Action.RETRIEVE
            if call.writes:
                yield Action.INVOKE_TOOL
        else:
            yield self.main_action(component)
            if self.is_a(component, "ai.mcp-server"):
                yield Action.LIST_TOOLS

    def main_action(self, component: Component) -> Action:
        """What using a component is called when nothing more is said."""
        if self.is_a(component, *MODELS):
            return Action.INVOKE_MODEL
        if self.is_a(component, "ai.embedder"):
            return Action.EMBED
        if self.is_a(component, *AGENTS):
            return Action.DELEGATE
        reads = component.id in self.stores or self.is_a(component, "ai.retriever")
        return Action.RETRIEVE if reads else Action.INVOKE_TOOL


def calls(plan: Plan, kinds: Kinds) -> list[Call]:
    """Every flow as a call, in the order of the plan."""
    return [call for flow in plan.flows.values() if (call := _call(flow, kinds)) is not None]


def _call(flow: Flow, kinds: Kinds) -> Call | None:
    if flow.value("verb") in NOT_CALLS:
        return None
    source, target = kinds.plan.components[flow.source], kinds.plan.components[flow.target]
    along, against = directions(flow, kinds.stores)
    if flow.both_ways:
        if kinds.rank(source) > kinds.rank(target):
            source, target = target, source
        return Call(source.id, target.id, flow, True, True)
    if source.id in kinds.stores and along:
        return Call(target.id, source.id, flow, True, False)
    if flow.value("verb") == "retrieve" and along:
        return Call(target.id, source.id, flow, True, False)
    only_asks = flow.value("verb") in READING and target.id in kinds.stores
    return Call(source.id, target.id, flow, against, along and not only_asks)


def routes(plan: Plan, vocabulary: Vocabulary) -> tuple[Route, ...]:
    """Every way on which a component that acts may use another, in the order of the plan's flows."""
    kinds = Kinds(plan, vocabulary)
    every = calls(plan, kinds)
    by_caller: dict[str, list[Call]] = {}
    for call in every:
        by_caller.setdefault(call.caller, []).append(call)
    found: dict[tuple[str, Action, str, tuple[str, ...]], Route] = {}
    for call in every:
        if not kinds.acts(plan.components[call.caller]):
            continue
        for way in _ways(plan, kinds, call, by_caller):
            last, flows = way[-1], tuple(c.flow for c in way)
            for action in kinds.actions(plan.components[last.callee], last):
                route = Route(call.caller, action, last.callee, flows)
                found.setdefault((route.agent, action, route.resource, tuple(f.id for f in flows)), route)
    return tuple(found.values())


def _ways(plan: Plan, kinds: Kinds, first: Call, by_caller: Mapping[str, list[Call]]) -> Iterator[tuple[Call, ...]]:
    """The call itself, or where it leads when it goes to a gateway; each gateway is entered once, on the shortest way."""
    todo: list[tuple[Call, ...]] = [(first,)]
    entered: set[str] = set()
    for way in todo:
        end = plan.components[way[-1].callee]
        if not kinds.is_a(end, GATEWAY):
            if not kinds.is_a(end, "actor") and end.id != first.caller:
                yield way
        elif end.id not in entered:
            entered.add(end.id)
            todo += [(*way, call) for call in by_caller.get(end.id, ())]


def actors_of(plan: Plan, vocabulary: Vocabulary) -> dict[str, tuple[str, ...]]:
    """Component that acts -> the kinds of people whose requests reach it by calls, over apps, gateways and other agents."""
    kinds = Kinds(plan, vocabulary)
    after: dict[str, list[str]] = {}
    for call in calls(plan, kinds):
        after.setdefault(call.caller, []).append(call.callee)
    found: dict[str, list[str]] = {}
    for person in plan.components.values():
        if kinds.is_a(person, "actor"):
            for reached in _reached(plan, kinds, person.id, after):
                found.setdefault(reached, []).append(person.id)
    return {agent: tuple(people) for agent, people in found.items()}


def _reached(plan: Plan, kinds: Kinds, start: str, after: Mapping[str, Iterable[str]]) -> Iterator[str]:
    seen, todo = {start}, [start]
    while todo:
        for id in after.get(todo.pop(), ()):
            component = plan.components[id]
            if id not in seen and (kinds.acts(component) or kinds.is_a(component, GATEWAY)):
                seen.add(id)
                todo.append(id)
                if kinds.acts(component):
                    yield id
