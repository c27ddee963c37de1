# SPDX-License-Identifier: Apache-2.0
"""Compiles a plan's flows into Cedar policies.

What is not permitted by a flow is denied, and these rules forbid even what a flow permits:

- `rule:influence`: what somebody wrote who may not decide this has shaped a call with a side effect or to the outside, and neither are
  the arguments that matter traced to trusted input nor has a person agreed (integrity, as in Biba's model);
- `rule:clearance`: the data is too sensitive for where it would go (confidentiality, as in Bell and LaPadula's model);
- `rule:user-clearance`: what comes back is too sensitive for the user;
- `rule:tenant-filter`, `tenant:X`: it isn't known whose data is meant, where the data is of many;
- `delegation:A`: the agent's identity acts on behalf of a user, and there is none;
- `approval:F`, `scopes:F`, `terms:F`: the flows demand a person's agreement, or scopes that the caller's credential doesn't have.

The user's right is asked apart: a person may do through an agent what the agent may do, when the flows let such people reach that agent.
Both have to say yes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby

import msgspec

from bastide.errors import Location
from bastide.guard.model import Action, Meaning
from bastide.guard.policy.cedar import ACTING, EVERY, CedarPolicy, entity, literal, policy_text, schema_text
from bastide.guard.policy.meanings import resolve
from bastide.guard.policy.own import OwnPolicies, read_own
from bastide.guard.policy.routes import AGENTS, MODELS, Kinds, Route, actors_of, routes
from bastide.guard.settings import Settings
from bastide.plan.model import Component, Plan
from bastide.plan.vocabulary import TRUST_LEVELS, Vocabulary

_SENDING = frozenset(a for a in EVERY if a != Action.LIST_TOOLS)
"""Actions that send something: a list of tools is only asked for."""


@dataclass(frozen=True, slots=True)
class Compiled:
    """A plan as a policy; the same plan and settings give the same, byte by byte."""

    plan: Plan
    schema: str
    policies: tuple[CedarPolicy, ...]
    meanings: Mapping[str, Meaning]
    """By name on the wire, components' ids included."""
    components: Mapping[str, Meaning]
    """By component alone."""
    routes: tuple[Route, ...]
    types: Mapping[str, str]
    """Component -> its Cedar type as a resource."""
    actors: Mapping[str, tuple[str, ...]]
    """Component that acts -> the kinds of people who reach it."""
    arguments: Mapping[str, str]
    """Argument that the user's own policies read -> its Cedar type."""
    required: int
    """Index into `TRUST_LEVELS` of the least trusted author who may steer a side effect."""
    version: str
    """Digest of what decides. Where the policies stand in the plan's file isn't part of it: a comment there changes no version."""

    @property
    def text(self) -> str:
        """All policies as one Cedar text."""
        return "\n\n".join(p.text for p in self.policies) + "\n"


def compile_plan(plan: Plan, vocabulary: Vocabulary, settings: Settings) -> Compiled:
    """The policy of a plan.

    Raises `SettingsError` when the settings name what the plan doesn't have, or a policy of the user's own is wrong.
    """
    meanings, components = resolve(plan, vocabulary, settings)
    kinds = Kinds(plan, vocabulary)
    types = {c.id: resource_type(kinds, c) for c in plan.components.values() if not kinds.is_a(c, "actor")}
    ways = routes(plan, vocabulary)
    actors = actors_of(plan, vocabulary)
    required = TRUST_LEVELS.index(settings.required_integrity)
    made = [
        *_permits(ways, types),
        *_people(plan, actors),
        *_rules(required),
        *_terms(ways, types),
        *_delegations(plan, ways),
        *_tenants(plan, ways, types),
    ]
    own: OwnPolicies = read_own(settings.policies, plan.id)
    policies = (*made, *own.policies)
    schema = schema_text(plan.id, own.arguments)
    digest = hashlib.sha256(schema.encode())
    for part in (
        *(_lasting(p) for p in policies),
        *(f"{name}={_canonical(m)}" for name, m in sorted(meanings.items())),
    ):
        digest.update(part.encode() + b"\0")
    version = "sha256:" + digest.hexdigest()
    return Compiled(plan, schema, policies, meanings, components, ways, types, actors, own.arguments, required, version)


def resource_type(kinds: Kinds, component: Component) -> str:
    """The Cedar type of a component when it is used."""
    if kinds.is_a(component, *MODELS, "ai.embedder"):
        return "Model"
    if kinds.is_a(component, *AGENTS):
        return "Agent"
    return "Store" if component.id in kinds.stores or kinds.is_a(component, "ai.retriever") else "Tool"


def _canonical(meaning: Meaning) -> str:
    return msgspec.json.encode(meaning, order="deterministic").decode()


def _lasting(policy: CedarPolicy) -> str:
    return "\n".join(line for line in policy.text.splitlines() if not line.startswith("@plan("))


def _at(location: Location) -> str:
    return str(Location(location.file, location.line)) if location.line else ""


def _permits(ways: Iterable[Route], types: Mapping[str, str]) -> Iterator[CedarPolicy]:
    """A permit for each flow; one that reads and writes a store permits both."""
    for (agent, resource, id), same in groupby(ways, key=lambda r: (r.agent, r.resource, r.id)):
        found = list(same)
        last = found[0].flows[-1]
        who, what = entity("Agent", agent), entity(types[resource], resource)
        actions = frozenset(r.action.value for r in found)
        notes = {"id": f"flow:{id}", "plan": _at(last.location)}
        text = policy_text("permit", notes, (f"principal == {who}", actions, f"resource == {what}"))
        yield CedarPolicy(f"flow:{id}", text, True, actions, who, what, last.id, last.location)


def _people(plan: Plan, actors: Mapping[str, tuple[str, ...]]) -> Iterator[CedarPolicy]:
    """What people may do through the agents that they reach."""
    for agent, people in actors.items():
        for person in people:
            where = plan.components[person].location
            notes = {"id": f"user:{person}->{agent}", "plan": _at(where)}
            scope = (f"principal in {entity('Actor', person)}", EVERY, "resource")
            through = entity("Agent", agent)
            text = policy_text("permit", notes, scope, f"context.agent == {through}")
            yield CedarPolicy(notes["id"], text, True, frozenset(EVERY), "User", location=where, through=through)


def _rules(required: int) -> Iterator[CedarPolicy]:
    """The rules that hold for every plan."""
    moving = (Action.INVOKE_TOOL, Action.RETRIEVE)
    yield _rule("rule:influence", ACTING, (
        f"context.integrity < {required} && !context.traced && !context.approved && (context.side_effect >= 2 || context.outbound)"
    ))  # fmt: skip
    yield _rule("rule:clearance", _SENDING, "context.outbound && context.confidentiality > context.clearance")
    yield _rule("rule:user-clearance", moving, (
        "context.result_class > context.user_clearance && !context.class_filtered"
    ))  # fmt: skip
    yield _rule("rule:tenant-filter", moving, 'context.tenant_filtered && context.tenant == ""')


def _rule(id: str, actions: Iterable[str], when: str) -> CedarPolicy:
    chosen = frozenset(actions)
    text = policy_text("forbid", {"id": id}, ("principal is Agent", chosen, "resource"), when)
    return CedarPolicy(id, text, False, frozenset(a for a in EVERY if a in chosen), "Agent")


def _terms(ways: Iterable[Route], types: Mapping[str, str]) -> Iterator[CedarPolicy]:
    """What flows demand; where several lead to the same, the terms of one of them have to be met. Lists of tools have no terms."""
    by_action: dict[tuple[str, str, Action], list[Route]] = {}
    for route in ways:
        if route.action != Action.LIST_TOOLS:
            by_action.setdefault((route.agent, route.resource, route.action), []).append(route)
    groups: dict[tuple[str, str, tuple[str, ...]], tuple[list[Route], list[Action]]] = {}
    for (agent, resource, action), found in by_action.items():
        if all(r.approval or r.scopes for r in found):
            same = groups.setdefault((agent, resource, tuple(r.id for r in found)), (found, []))
            same[1].append(action)
    for (agent, resource, ids), (found, actions) in groups.items():
        who, what, last = entity("Agent", agent), entity(types[resource], resource), found[0].flows[-1]
        for kind, unmet in _unmet(found):
            id = f"{kind}:{' | '.join(ids)}"
            scope = (f"principal == {who}", actions, f"resource == {what}")
            text = policy_text("forbid", {"id": id, "plan": _at(last.location)}, scope, unmet)
            yield CedarPolicy(id, text, False, frozenset(a.value for a in actions), who, what, last.id, last.location)


def _unmet(found: list[Route]) -> Iterator[tuple[str, str]]:
    if len(found) == 1:
        if found[0].approval:
            yield "approval", "!context.approved"
        if found[0].scopes:
            yield "scopes", f"!{_has_scopes(found[0])}"
        return
    met = [" && ".join(["context.approved"] * r.approval + [_has_scopes(r)] * bool(r.scopes)) for r in found]
    yield "terms", f"!({' || '.join(f'({m})' for m in met)})"


def _has_scopes(route: Route) -> str:
    return f"context.scopes.containsAll([{', '.join(literal(s) for s in sorted(route.scopes))}])"


def _delegations(plan: Plan, ways: Iterable[Route]) -> Iterator[CedarPolicy]:
    """Identities that act for a user don't act for nobody."""
    for agent in dict.fromkeys(r.agent for r in ways):
        identity = plan.identities.get(plan.components[agent].runs_as or "")
        if identity is not None and identity.value("delegation") == "on-behalf-of-user":
            who, id = entity("Agent", agent), f"delegation:{agent}"
            notes = {"id": id, "plan": _at(identity.location)}
            text = policy_text("forbid", notes, (f"principal == {who}", _SENDING, "resource"), "!(context has user)")
            yield CedarPolicy(id, text, False, _SENDING, who, location=identity.location)


def _tenants(plan: Plan, ways: Iterable[Route], types: Mapping[str, str]) -> Iterator[CedarPolicy]:
    """Where data of many tenants comes from, it has to be known whose is meant."""
    carried: dict[str, set[str]] = {}
    for route in ways:
        if route.action in ACTING:
            carried.setdefault(route.resource, set()).update(route.flows[-1].data)
    for resource, assets in carried.items():
        shared = [plan.data[a] for a in (*sorted(assets), *plan.components[resource].holds)]
        many = [d for d in shared if d.value("tenants") == "many"]
        if many:
            what, id = entity(types[resource], resource), f"tenant:{resource}"
            notes = {"id": id, "plan": _at(many[0].location)}
            when = 'context.tenant == "" && !(context has user)'
            text = policy_text("forbid", notes, ("principal is Agent", ACTING, f"resource == {what}"), when)
            chosen = frozenset(a for a in EVERY if a in ACTING)
            yield CedarPolicy(id, text, False, chosen, "Agent", what, location=many[0].location)
