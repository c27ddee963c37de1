# SPDX-License-Identifier: Apache-2.0
"""What each name on the wire means: the plan's facts and the settings about tools, models, stores, MCP servers and sub-agents, resolved.

What the settings say goes before what the plan says. Where both are silent:

- **side effect**: irreversible; but models and sub-agents of one's own change nothing by themselves (what a sub-agent does is decided
  when it does it), reading a store reads, and so does what every flow only queries or retrieves from.
- **outbound**: yes when it is outside (kind `ext`, zone trust none or third-party), may connect to anywhere (`egress: any`) or hands
  content on to something outside, directly or over tools, gateways and queues. Otherwise no where it stands in a zone that the
  organisation runs (workload, restricted, enterprise), and yes where nobody says in what zone it is.
- **clearance**: the highest class of data on the flows that lead there; public where they carry none.
- **who wrote the result** (integrity): the least trusted author of anything that can come out. Where nobody is named as an author: models
  and agents add none of their own (the session's label holds already what they were given); for others whoever writes the data on the flow;
  else public.
- **class of the result** (confidentiality): the highest class of the data on the answering flows; of what feeds it where none is drawn on
  them, and for agents in any case. Restricted for data without a class. Structure is closed: an answer on whose way no data is drawn holds
  no classified data.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from bastide.errors import Diagnostic, SettingsError, did_you_mean
from bastide.guard.model import CLASSES, Action, Label, Meaning, SideEffect
from bastide.guard.policy.labels import TOP, Lattice, highest_class, lattice, least_author
from bastide.guard.policy.routes import AGENTS, GATEWAY, MODELS, Kinds, Route, routes
from bastide.guard.settings import McpServer, ModelRoute, Settings, ToolMeaning
from bastide.plan.model import Component, Plan
from bastide.plan.vocabulary import TRUST_LEVELS, Vocabulary
from bastide.threats.graph import READING, directions

OUTSIDE = ("none", "third-party")
INSIDE = ("enterprise", "workload", "restricted")
SILENT = (*AGENTS, *MODELS, "ai.embedder", "app.workflow", GATEWAY)
"""Kinds that write nothing of their own: what comes out of them is made from what went in."""
SERVED = (*MODELS, "ai.embedder", "ai.agent")
"""Kinds to which the guard can send a model's request."""


def compile_meanings(plan: Plan, vocabulary: Vocabulary, settings: Settings) -> Mapping[str, Meaning]:
    """Name on the wire, or plan component -> what it means; `-` and `_` are the same, so both spellings are there.

    Every component that a flow lets somebody use is there, and every one that the settings name. Patterns of model names (`gpt-*`) are keys
    as they are written. Raises `SettingsError` when the settings name what the plan doesn't have.
    """
    return resolve(plan, vocabulary, settings)[0]


def resolve(
    plan: Plan, vocabulary: Vocabulary, settings: Settings
) -> tuple[Mapping[str, Meaning], Mapping[str, Meaning]]:
    """By name on the wire as `compile_meanings`, and by component alone, for a name that is both a tool's and another component's."""
    facts = _Facts(plan, vocabulary)
    named = _Named(plan, facts.kinds)
    tools = [(t, named.tool(t)) for t in settings.tools]
    models = [(m, named.model(m)) for m in settings.models]
    servers = [named.server(s) for s in settings.mcp]
    named.finish()
    used = dict.fromkeys(r.resource for r in facts.routes)
    used.update((c.id, None) for c in (*(c for _, c in tools), *(c for _, c in models), *servers) if c)
    components = {id: facts.meaning(plan.components[id], ToolMeaning(id)) for id in used}
    said = [*components.items()]
    for route, component in models:
        said += [(n, facts.meaning(component, ToolMeaning(n))) for n in route.names if component is not None]
    said += [(t.name, facts.meaning(component, t)) for t, component in tools if component is not None]
    # A name as it is written goes before another's with `-` and `_` exchanged.
    found = {spelling: meaning for name, meaning in said for spelling in spellings(name)}
    found.update(said)
    return found, components


def spellings(name: str) -> tuple[str, ...]:
    """The name, and with `-` and `_` exchanged for each other."""
    return tuple(dict.fromkeys((name, name.replace("-", "_"), name.replace("_", "-"))))


@dataclass(slots=True)
class _Named:
    """The components that settings name; collects what is wrong with them."""

    plan: Plan
    kinds: Kinds
    problems: list[Diagnostic]

    def __init__(self, plan: Plan, kinds: Kinds) -> None:
        self.plan, self.kinds, self.problems = plan, kinds, []

    def tool(self, tool: ToolMeaning) -> Component | None:
        """The component of a tool."""
        wanted = [tool.component] if tool.component else spellings(tool.name)
        component = next((self.plan.components[w] for w in wanted if w in self.plan.components), None)
        if component is None:
            what = f"`{tool.component}`" if tool.component else f"the tool `{tool.name}`"
            hint = did_you_mean(wanted[0], self.plan.components) or "say which component it is with `is:`"
            self.problems.append(Diagnostic(f"the plan has no component for {what}", tool.location, hint=hint))
        elif self.kinds.is_a(component, "actor", GATEWAY):
            self._wrong(component, tool, f"the tool `{tool.name}`")
        return component

    def model(self, route: ModelRoute) -> Component | None:
        """The component of a model's route and those that stand in for it."""
        for id in (route.component, *route.failover):
            component = self.plan.components.get(id)
            if component is None:
                models = [c.id for c in self.plan.components.values() if self.kinds.is_a(c, *SERVED)]
                message = f"the plan has no model `{id}`"
                self.problems.append(Diagnostic(message, route.location, hint=did_you_mean(id, models)))
            elif not self.kinds.is_a(component, *SERVED):
                self._wrong(component, route, "a model")
        return self.plan.components.get(route.component)

    def server(self, server: McpServer) -> Component | None:
        """The component of an MCP server."""
        component = self.plan.components.get(server.component)
        if component is None:
            tools = [c.id for c in self.plan.components.values() if self.kinds.is_a(c, "ai.tool")]
            message = f"the plan has no MCP server `{server.component}`"
            self.problems.append(Diagnostic(message, server.location, hint=did_you_mean(server.component, tools)))
        elif not self.kinds.is_a(component, "ai.tool", "ext"):
            self._wrong(component, server, "an MCP server")
        return component

    def _wrong(self, component: Component, setting: ToolMeaning | ModelRoute | McpServer, what: str) -> None:
        message = f"`{component.id}` can't be {what}: it is `kind: {component.kind}` at {component.location}"
        self.problems.append(Diagnostic(message, setting.location, hint="name another component, or change its kind"))

    def finish(self) -> None:
        """Raises what was found."""
        if self.problems:
            raise SettingsError(sorted(self.problems, key=lambda p: (p.location.line, p.location.column)))


class _Facts:
    """What a plan says about its components, for the guard."""

    def __init__(self, plan: Plan, vocabulary: Vocabulary) -> None:
        self.plan = plan
        self.kinds = Kinds(plan, vocabulary)
        self.routes = routes(plan, vocabulary)
        self.lattice: Lattice = lattice(plan, vocabulary, self.kinds.stores)
        self._onward: dict[str, list[str]] = {}
        for flow in plan.flows.values():
            along, against = directions(flow, self.kinds.stores)
            if along:
                self._onward.setdefault(flow.source, []).append(flow.target)
            if against and flow.both_ways:
                self._onward.setdefault(flow.target, []).append(flow.source)
        self._of: dict[str, list[Route]] = {}
        for route in self.routes:
            self._of.setdefault(route.resource, []).append(route)

    def meaning(self, component: Component, said: ToolMeaning) -> Meaning:
        """What a name means that stands for this component."""
        action = self._action(component, said)
        ways = self._of.get(component.id, [])
        carried = {d for r in ways for d in r.flows[-1].data}
        return Meaning(
            name=said.name,
            component=component.id,
            action=action,
            side_effect=self._side_effect(component, said, action, ways),
            outbound=self._outbound(component) if said.outbound is None else said.outbound,
            clearance=highest_class(self.plan, carried, unknown=0),
            approval=any(r.approval for r in ways),
            result=self._result(component, said),
            fields={path: TRUST_LEVELS.index(level) for path, level in said.field_trust.items()},
            arguments=dict(said.arguments),
            endorses=TRUST_LEVELS.index(said.endorses) if said.endorses else None,
            tenant_argument=said.tenant_argument,
            tenant_field=said.tenant_field,
            class_field=said.class_field,
            memory=said.memory,
        )

    def _action(self, component: Component, said: ToolMeaning) -> Action:
        action = self.kinds.main_action(component)
        changes = said.side_effect in ("reversible", "irreversible") or said.memory == "write"
        return Action.INVOKE_TOOL if action == Action.RETRIEVE and changes else action

    def _side_effect(
        self, component: Component, said: ToolMeaning, action: Action, ways: Iterable[Route]
    ) -> SideEffect:
        stated = said.side_effect or component.value("side-effect")
        if stated:
            return SideEffect[str(stated).upper()]
        own_agent = action == Action.DELEGATE and not self.kinds.is_a(component, "ai.agent.remote")
        if action in (Action.INVOKE_MODEL, Action.EMBED) or own_agent or said.memory:
            return SideEffect.NONE  # what a memory holds keeps its labels
        verbs = [r.flows[-1].value("verb") for r in ways]
        if action == Action.RETRIEVE or (verbs and all(v in READING for v in verbs)):
            return SideEffect.READ
        return SideEffect.IRREVERSIBLE

    def _outbound(self, component: Component) -> bool:
        if self._outside(component) or component.value("egress") == "any":
            return True
        own_agent = self.kinds.main_action(component) == Action.DELEGATE
        if not own_agent and any(self._outside(c) for c in self._hands_on_to(component)):
            return True
        return self._zone_trust(component) not in INSIDE

    def _outside(self, component: Component) -> bool:
        return self.kinds.is_a(component, "ext") or self._zone_trust(component) in OUTSIDE

    def _zone_trust(self, component: Component) -> str:
        stated = (zone.value("trust") for zone in self.plan.zone_chain(component.zone))
        return next((str(trust) for trust in stated if trust), "")

    def _hands_on_to(self, component: Component) -> Iterator[Component]:
        """The components to which it gives what it is sent, over those that only pass things on; not those that ask it."""
        callers = {r.agent for r in self._of.get(component.id, ())}
        seen, todo = {component.id, *callers}, [component.id]
        while todo:
            for id in self._onward.get(todo.pop(), ()):
                if id not in seen:
                    seen.add(id)
                    yield (found := self.plan.components[id])
                    if self.kinds.passes(found) == "reply" or self.kinds.is_a(found, "data.queue"):
                        todo.append(id)

    def _result(self, component: Component, said: ToolMeaning) -> Label:
        flows = [r.flows[-1] for r in self._of.get(component.id, ())]
        askers = {f.source if f.target == component.id else f.target for f in flows}
        # It may answer past those over whom it was asked, in a flow of its own.
        askers |= {r.agent for r in self._of.get(component.id, ())}
        feed = self.lattice.answers(component.id, askers, forgets=bool(said.memory))
        drawn = {d for f in flows for d in f.data}
        data = drawn | feed.data if self.kinds.is_a(component, *AGENTS) else drawn or feed.data
        integrity, class_ = feed.integrity, highest_class(self.plan, data, unknown=len(CLASSES) - 1)
        if feed.doubtful:
            integrity = 0
        elif integrity is None:
            integrity = TOP if self.kinds.is_a(component, *SILENT) else least_author(self.plan, feed.data)
        if self.kinds.is_a(component, *MODELS, "ai.embedder"):
            class_ = 0  # what it says is as sensitive as what it was told, which the session knows
        if said.result_trust:
            integrity = TRUST_LEVELS.index(said.result_trust)
        if said.result_class:
            class_ = CLASSES.index(said.result_class)
        return Label(integrity, class_, frozenset((component.id,)))
