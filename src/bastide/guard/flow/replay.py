# SPDX-License-Identifier: Apache-2.0
"""Decides every call of a recorded trace, as the gateway would have decided it.

A trace without a plan gets one: a user, the agent, and its tools with what the trace says about them. What it doesn't say has the most
cautious value (a tool changes something that can't be undone, sends outside, and anybody may have written what it returns), except the
class of data, which is `internal` for all alike when nothing is said: then it can't be violated.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from msgspec import Struct

from bastide.guard.events import Role, Text, ToolCall, ToolResult, Turn
from bastide.guard.flow.session import Session
from bastide.guard.flow.trace import Said, Trace
from bastide.guard.interface import Policy
from bastide.guard.model import Caller, Influence, Meaning, Question, Ruling
from bastide.guard.policy.compile import compile_plan
from bastide.guard.policy.decide import CompiledPolicy
from bastide.guard.settings import Settings, ToolMeaning
from bastide.plan.model import Component, Data, Fact, Flow, Plan, Zone
from bastide.plan.vocabulary import TRUST_LEVELS, Vocabulary

_NOWHERE = Path("bastide.yaml")
_ID = re.compile(r"[^a-z0-9]+")


class Decided(Struct, frozen=True):
    """One call of a trace, and what the guard says to it."""

    event: int
    call: ToolCall
    ruling: Ruling
    influence: Influence


class Judge(Struct, frozen=True):
    """A compiled policy with what goes with it."""

    policy: Policy
    meanings: Mapping[str, Meaning]
    required: int
    caller: Caller


def judge_of(trace: Trace, vocabulary: Vocabulary) -> Judge:
    """The policy of the plan that a trace itself describes."""
    plan, settings = plan_of(trace)
    return judge_for(plan, vocabulary, settings, trace.agent if trace.agent in plan.components else "agent", "user")


def judge_for(plan: Plan, vocabulary: Vocabulary, settings: Settings, agent: str, actor: str) -> Judge:
    """A plan's policy, asked for one agent and a user of one kind."""
    compiled = compile_plan(plan, vocabulary, settings)
    required = TRUST_LEVELS.index(settings.required_integrity)
    people = compiled.actors.get(agent, ())
    kind = actor if actor in people or not people else people[0]
    caller = Caller(agent, user="user" if people else "", actor=kind if people else "", tenant="replay")
    return Judge(CompiledPolicy(compiled), compiled.meanings, required, caller)


def replay(trace: Trace, judge: Judge) -> Iterator[Decided]:
    """Each call of the trace with its decision. What the trace records as said, called and answered is observed, whatever the decisions."""
    session = Session(judge.meanings, required=judge.required)
    session.observe_tools(trace.described)
    first = next((e for _, e in trace.events if isinstance(e, Said) and e.role == "user"), None)
    if trace.user_task and (first is None or first.text.strip() != trace.user_task.strip()):
        session.observe_user(trace.user_task)
    for index, event in trace.events:
        if isinstance(event, ToolCall):
            influence = session.influence(event)
            yield Decided(index, event, _ruling(judge, session, event, influence), influence)
            session.observe_call(event)
        elif isinstance(event, ToolResult):
            session.observe_result(event)
        else:
            session.observe(Turn(Role(event.role), (Text(event.text),)))


def _ruling(judge: Judge, session: Session, call: ToolCall, influence: Influence) -> Ruling:
    meaning = session.meaning(call.name)
    return judge.policy.decide(
        Question(
            caller=judge.caller,
            action=meaning.action,
            resource=meaning.component,
            tool=call.name,
            label=influence.label,
            traced=influence.traced,
            arguments=call.arguments or {},
        )
    )


def plan_of(trace: Trace) -> tuple[Plan, Settings]:
    """The plan and the settings that a trace's own list of tools amounts to."""
    agent = trace.agent if _ID.sub("-", trace.agent) == trace.agent and trace.agent != "user" else "agent"
    ids = _ids(trace.tools, {agent, "user"})
    zone = Zone(id="system", facts={"trust": Fact("workload")})
    components = {
        "user": Component(id="user", kind="actor.user", zone="system"),
        agent: Component(id=agent, name=trace.agent, kind="ai.agent", zone="system"),
    }
    flows = {"user-agent": Flow(id="user-agent", source="user", target=agent, both_ways=True)}
    data = {c: Data(id=c, facts={"class": Fact(c)}) for c in {"internal", *trace.clearance.values()}}
    meanings = []
    for tool in trace.tools:
        id = ids[tool.name]
        components[id] = Component(id=id, name=tool.name, kind="ai.tool", zone="system")
        facts = {"verb": Fact("invoke")} | ({"approval": Fact("human")} if tool.name in trace.approval else {})
        carried = trace.clearance.get(tool.name, "internal")
        flows[f"{agent}-{id}"] = Flow(id=f"{agent}-{id}", source=agent, target=id, data=(carried,), facts=facts)
        meanings.append(_cautious(tool, id))
    plan = Plan(
        id="trace", components=components, flows=flows, data=data, zones={zone.id: zone}, location=trace.location
    )
    return plan, Settings(plan=_NOWHERE, tools=tuple(meanings))


def _cautious(tool: ToolMeaning, component: str) -> ToolMeaning:
    return replace(
        tool,
        component=component,
        side_effect=tool.side_effect or "irreversible",
        outbound=True if tool.outbound is None else tool.outbound,
        result_trust=tool.result_trust or "public",
        result_class=tool.result_class or "internal",
    )


def _ids(tools: tuple[ToolMeaning, ...], taken: set[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for tool in tools:
        base = _ID.sub("-", tool.name.lower()).strip("-")[:60] or "tool"
        id = base if base[0].isalpha() else f"tool-{base}"
        n = 2
        while id in taken:
            id, n = f"{base}-{n}", n + 1
        taken.add(id)
        found[tool.name] = id
    return found
