# SPDX-License-Identifier: Apache-2.0
"""Random plans and questions."""

from __future__ import annotations

from hypothesis import strategies as st

from bastide.guard.model import Action, Caller, Label, Question
from bastide.plan.load import parse_plan
from bastide.plan.model import Plan
from tests.guard.policy.build import vocabulary
from tests.guard.policy.plain import uses

KINDS = {
    "person": "actor.user", "boss": "actor.operator", "web": "app.web", "agent": "ai.agent", "helper": "ai.agent", "gate": "ai.gateway",
    "model": "ai.model.endpoint", "embedder": "ai.embedder", "tool": "ai.tool", "server": "ai.mcp-server", "base": "data.database",
    "search": "ai.retriever", "mail": "ext.mail", "remote": "ai.agent.remote",
}  # fmt: skip
IDS = sorted(KINDS)
CALLERS = ("agent", "helper", "web", "tool", "gate", "stranger")
VERBS = ("send", "invoke", "query", "retrieve", "write", "delegate", "log")


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    """A plan over fourteen components with any flows between them."""
    zone = st.sampled_from(["", ", zone: app", ", zone: out"])
    lines = ["bastide: 1", "system: random", "zones: {app: {trust: workload}, out: {trust: third-party}}", "data:"]
    for asset in ("low", "high"):
        class_ = draw(st.sampled_from(["public", "internal", "confidential", "restricted"]))
        author = draw(st.sampled_from(["public", "third-party", "user", "developer", "system"]))
        lines.append(
            f"  {asset}: {{class: {class_}, written-by: {author}, tenants: {draw(st.sampled_from(['one', 'many']))}}}"
        )
    lines.append(
        f"identities: {{role: {{kind: agent, delegation: {draw(st.sampled_from(['none', 'on-behalf-of-user']))}}}}}"
    )
    lines.append("components:")
    for id, kind in KINDS.items():
        more = ", runs-as: role" if id == "agent" else ""
        if kind in ("ai.tool", "ai.mcp-server"):
            effect = draw(st.sampled_from(["none", "read", "reversible", "irreversible", ""]))
            more += f", side-effect: {effect}" if effect else ""
        more += ", holds: [low]" if id == "base" else ""
        lines.append(f"  {id}: {{kind: {kind}{draw(zone)}{more}}}")
    pairs = st.tuples(st.sampled_from(IDS), st.sampled_from(IDS)).filter(lambda p: p[0] != p[1])
    lines += [
        "flows:",
        "  - person <-> web: {data: [low]}",
        "  - web <-> agent: {data: [low]}",
        "  - boss -> helper: {data: [low]}",
    ]
    for n, (a, b) in enumerate(draw(st.lists(pairs, min_size=3, max_size=25))):
        arrow = draw(st.sampled_from(["->", "->", "<->"]))
        facts = [f"id: f{n}"]
        facts += [f"verb: {draw(st.sampled_from(VERBS))}"] * (arrow == "->")
        facts += draw(
            st.lists(
                st.sampled_from(["data: [low]", "data: [high]", "approval: human", "scopes: 'a, b'", "scopes: '*'"]),
                max_size=1,
            )
        )
        lines.append(f"  - {a} {arrow} {b}: {{{', '.join(facts)}}}")
    return parse_plan("\n".join(lines), vocabulary())


labels = st.builds(
    Label, st.integers(0, 4), st.sampled_from([0, 0, 0, 1, 2, 3]), st.frozensets(st.sampled_from(["mail", "user"]))
)


@st.composite
def questions(draw: st.DrawFn, plan: Plan) -> Question:
    """A question about a plan: mostly about what a flow leads to, by somebody whom it concerns."""
    agent, action, resource = (
        draw(st.sampled_from(CALLERS)),
        draw(st.sampled_from(list(Action))),
        draw(st.sampled_from(IDS)),
    )
    used = [(a, k, r) for a, r, k, _ in uses(plan)]
    if used and draw(st.integers(0, 9)):
        agent, action, resource = draw(st.sampled_from(used))
    caller = Caller(
        agent=agent,
        user=draw(st.sampled_from(["", "anna"])),
        actor=draw(st.sampled_from(["person", "person", "person", "boss", "", "agent"])),
        tenant=draw(st.sampled_from(["", "t1"])),
        scopes=draw(st.frozensets(st.sampled_from(["a", "b", "c"]))),
        clearance=draw(st.sampled_from([0, 2, 3, 3, 3])),
    )
    return Question(
        caller,
        action,
        resource,
        label=draw(labels),
        traced=draw(st.booleans()),
        approved=draw(st.sampled_from([False, False, True])),
    )


@st.composite
def cases(draw: st.DrawFn) -> tuple[Plan, list[Question]]:
    """A plan and questions about it."""
    plan = draw(plans())
    return plan, draw(st.lists(questions(plan), min_size=10, max_size=40))
