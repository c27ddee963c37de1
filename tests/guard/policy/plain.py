# SPDX-License-Identifier: Apache-2.0
"""The same rules in plain Python, written from their description and not from the compiler: a second opinion about each question.

It reads flows of the form that the random plans and the examples have, without Cedar and without the compiler's `Route`.
"""

from __future__ import annotations

from bastide.guard.model import Action, Effect, Meaning, Question
from bastide.plan.model import Flow, Plan
from tests.guard.policy.build import vocabulary

ACTING = (Action.INVOKE_TOOL, Action.RETRIEVE, Action.DELEGATE)
OTHERS = ("log", "render", "train", "deploy", "publish")


def is_a(plan: Plan, id: str, *kinds: str) -> bool:
    """Whether a component is of one of the kinds."""
    return any(vocabulary().kinds[plan.components[id].kind].is_a(k) for k in kinds)


def store(plan: Plan, id: str) -> bool:
    """Whether content rests in it."""
    return vocabulary().kinds[plan.components[id].kind].passes == "per-data"


def level(plan: Plan, id: str) -> int:
    """0 people, 1 agents and apps, 2 what serves them, 3 models, stores and the outside."""
    if is_a(plan, id, "actor"):
        return 0
    if store(plan, id) or is_a(plan, id, "ai.model", "ai.reranker", "ai.embedder", "ext"):
        return 3
    return 1 if is_a(plan, id, "ai.agent", "ai.chain", "app", "ai.ingestor", "ml") else 2


def call(plan: Plan, f: Flow) -> tuple[str, str, bool, bool] | None:
    """Who calls whom on a flow, whether it reads, whether it writes."""
    a, b, verb = f.source, f.target, f.value("verb")
    if verb in OTHERS:
        return None
    if f.both_ways:
        return (a, b, True, True) if level(plan, a) <= level(plan, b) else (b, a, True, True)
    if verb == "retrieve" and store(plan, b) and not store(plan, a):
        return a, b, True, False
    if store(plan, a) or verb == "retrieve":
        return b, a, True, False
    asks = verb in ("invoke", "query") and f.value("returns") is not False
    return a, b, asks, not (store(plan, b) and verb == "query")


def actions(plan: Plan, end: str, reads: bool, writes: bool) -> list[Action]:
    """What using a component is called."""
    if store(plan, end):
        return [Action.RETRIEVE] * reads + [Action.INVOKE_TOOL] * writes
    if is_a(plan, end, "ai.model", "ai.reranker"):
        return [Action.INVOKE_MODEL]
    if is_a(plan, end, "ai.embedder"):
        return [Action.EMBED]
    if is_a(plan, end, "ai.agent", "ai.chain"):
        return [Action.DELEGATE]
    if is_a(plan, end, "ai.retriever"):
        return [Action.RETRIEVE]
    return [Action.INVOKE_TOOL] + [Action.LIST_TOOLS] * is_a(plan, end, "ai.mcp-server")


def uses(plan: Plan) -> list[tuple[str, str, Action, tuple[Flow, ...]]]:
    """Who may use what how, each with the flows on the way."""
    flows = [(c, f) for f in plan.flows.values() if (c := call(plan, f))]
    ways = [(a, b, r, w, (f,)) for (a, b, r, w), f in flows]
    found = []
    for a, b, r, w, path in ways:
        if is_a(plan, b, "ai.gateway"):
            gates = {x for x, *_ in ways if is_a(plan, x, "ai.gateway")}
            assert gates <= {b}, "the second opinion knows one gateway at most"
            ends = [(b2, r2, w2, (*path, *p2)) for a2, b2, r2, w2, p2 in ways if a2 == b]
        else:
            ends = [(b, r, w, path)]
        if level(plan, a) not in (1, 2) or is_a(plan, a, "ai.gateway"):
            continue
        for end, reads, writes, way in ends:
            if end == a or is_a(plan, end, "actor"):
                continue
            kinds = actions(plan, end, reads, writes)
            found += [(a, end, k, way) for k in kinds]
    return found


def reach(plan: Plan, person: str, agent: str) -> bool:
    """Whether a kind of person reaches an agent by calls."""
    edges = [(c[0], c[1]) for f in plan.flows.values() if (c := call(plan, f))]
    seen, more = {person}, True
    while more:
        new = {b for a, b in edges if a in seen and b not in seen and level(plan, b) in (1, 2)}
        more, seen = bool(new), seen | new
    return agent in seen


def opinion(plan: Plan, meaning: Meaning, q: Question, required: int = 2) -> Effect:
    """Allow, approve or deny."""
    if permitted(plan, meaning, q, q.approved, required):
        return Effect.ALLOW
    return Effect.APPROVE if permitted(plan, meaning, q, True, required) else Effect.DENY


def permitted(plan: Plan, m: Meaning, q: Question, approved: bool, required: int) -> bool:
    """Whether flows permit it, for the agent and its user, and no rule forbids it."""
    caller, label = q.caller, q.label
    ways = [w for a, b, k, w in uses(plan) if (a, b, k) == (caller.agent, q.resource, q.action)]
    scopes = [
        {s.strip() for f in w for s in str(f.value("scopes") or "").split(",")} - {"", "*"} <= caller.scopes
        for w in ways
    ]
    agreed = [approved or all(f.value("approval") != "human" for f in w) for w in ways]
    if q.action == Action.LIST_TOOLS:
        scopes = agreed = [True] * len(ways)
    if not any(s and a for s, a in zip(scopes, agreed, strict=True)):
        return False
    if caller.user and not (
        caller.actor in plan.components
        and is_a(plan, caller.actor, "actor")
        and reach(plan, caller.actor, caller.agent)
    ):
        return False
    usual = q.action in (m.action, Action.LIST_TOOLS)
    moves = (m.side_effect if usual else 3) >= 2 or m.outbound
    if q.action in ACTING and label.integrity < required and not q.traced and not approved and moves:
        return False
    if q.action != Action.LIST_TOOLS and m.outbound and label.confidentiality > m.clearance:
        return False
    if q.action in (Action.INVOKE_TOOL, Action.RETRIEVE):
        if m.result.confidentiality > caller.clearance and not m.class_field:
            return False
        if (m.tenant_argument or m.tenant_field) and not caller.tenant:
            return False
    held = {d for a, b, k, w in uses(plan) if b == q.resource and k in ACTING for d in w[-1].data} | set(
        plan.components[q.resource].holds
    )
    many = any(plan.data[d].value("tenants") == "many" for d in held)
    if q.action in ACTING and many and not caller.tenant and not caller.user:
        return False
    identity = plan.identities.get(plan.components[caller.agent].runs_as or "")
    for_user = identity is not None and identity.value("delegation") == "on-behalf-of-user"
    return not (for_user and not caller.user and q.action != Action.LIST_TOOLS)
