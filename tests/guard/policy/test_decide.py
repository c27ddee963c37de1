# SPDX-License-Identifier: Apache-2.0
"""Rulings: what flows permit and nothing more, for the agent and its user, the stricter the less trusted."""

from __future__ import annotations

import itertools
import json
from typing import Any

import cedarpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from bastide.guard.model import Action, Caller, Effect, Label, Question, Ruling, SideEffect
from bastide.guard.policy.compile import compile_plan
from bastide.guard.policy.decide import CompiledPolicy, typed
from bastide.plan.load import parse_plan
from bastide.plan.model import Plan
from tests.guard.policy import build
from tests.guard.policy.build import NAMES, PLANS, example, example_policy, policy, small, vocabulary
from tests.guard.policy.plain import is_a, opinion, uses
from tests.guard.policy.strategies import cases, plans

SUPPORT = "support-agent/bastide.yaml"
ANNA = Caller("assistant", user="anna", actor="customer", tenant="t1")
MAIL = Label(0, 2, frozenset({"inbox"}))
ORDER = {Effect.DENY: 0, Effect.APPROVE: 1, Effect.ALLOW: 2}


def ask(action: Action, resource: str, caller: Caller = ANNA, **more: Any) -> Ruling:
    """The support agent's ruling."""
    return example_policy(SUPPORT).decide(Question(caller, action, resource, **more))


def refund(**more: Any) -> Ruling:
    """The ruling about a refund."""
    return ask(Action.INVOKE_TOOL, "refund", tool="refund", **more)


def test_a_flow_permits_and_is_named() -> None:
    """The ruling names flow, policies and version."""
    ruling = refund()
    assert ruling.effect == Effect.ALLOW
    assert ruling.flow == "assistant->refund"
    assert ruling.policies == ("flow:assistant->refund", "user:customer->assistant")
    assert "examples/support-agent/bastide.yaml:" in ruling.reason
    assert ruling.version.startswith("sha256:")


def test_what_a_stranger_wrote_needs_a_person_before_money_moves() -> None:
    """A refund that a mail may have shaped needs approval; traced to the user's words or approved it goes through."""
    ruling = refund(label=MAIL, traced=False)
    assert ruling.effect == Effect.APPROVE
    assert "`refund` is irreversible" in ruling.reason
    assert "public text (from `inbox`)" in ruling.reason
    assert refund(label=MAIL, traced=True).effect == Effect.ALLOW
    assert refund(label=MAIL, traced=False, approved=True).effect == Effect.ALLOW
    assert ask(Action.INVOKE_TOOL, "get-order", label=MAIL, traced=False).effect == Effect.ALLOW


@pytest.mark.parametrize(
    ("side_effect", "effect"),
    [("none", Effect.ALLOW), ("read", Effect.ALLOW), ("reversible", Effect.APPROVE), ("irreversible", Effect.APPROVE)],
)
def test_what_can_be_undone_is_a_side_effect_too(side_effect: str, effect: Effect) -> None:
    """From reversible on, a stranger's text needs a person."""
    found = policy(
        small("- agent -> t: {verb: invoke}", f"t: {{kind: ai.tool, zone: app, side-effect: {side_effect}}}")
    )
    asked = Question(
        Caller("agent", user="anna", actor="person"), Action.INVOKE_TOOL, "t", label=Label(1), traced=False
    )
    assert found.decide(asked).effect == effect
    assert found.decide(replace(asked, label=Label(2))).effect == Effect.ALLOW


def test_data_goes_only_where_its_class_may_go() -> None:
    """The fallback model may get internal data, so a conversation with confidential data can't fail over to it."""
    assert ask(Action.INVOKE_MODEL, "llm", label=MAIL).effect == Effect.ALLOW
    ruling = ask(Action.INVOKE_MODEL, "llm-small", tool="small", label=MAIL)
    assert ruling.effect == Effect.DENY
    assert ruling.policies == ("rule:clearance",)
    assert "confidential data (from `inbox`)" in ruling.reason
    assert "`guard<->llm-small`" in ruling.reason


@pytest.mark.parametrize(
    ("caller", "said"),
    [
        (Caller("assistant"), "acts on behalf of a user"),
        (Caller("assistant", user="anna"), "doesn't say what kind of person"),
        (Caller("assistant", user="anna", actor="admin"), "only `customer` reach this agent"),
        (Caller("web", user="anna", actor="customer"), "no flow of the plan lets `web`"),
        (Caller("asistant", user="anna", actor="customer"), "did you mean `assistant`?"),
    ],
)
def test_both_the_agent_and_the_user_have_to_have_the_right(caller: Caller, said: str) -> None:
    """The effective right is the agent's and the user's, never one alone."""
    ruling = ask(Action.INVOKE_TOOL, "refund", caller)
    assert ruling.effect == Effect.DENY
    assert said in ruling.reason


@pytest.mark.parametrize(
    ("action", "resource", "tool", "caller", "said"),
    [
        (Action.INVOKE_TOOL, "payroll", "payroll", ANNA, "neither the plan nor the settings know it"),
        (Action.INVOKE_TOOL, "get_ordr", "get_ordr", ANNA, "did you mean `get_order`?"),
        (Action.INVOKE_TOOL, "mail-out", "", ANNA, "draw `- assistant -> mail-out: {verb: invoke}`"),
        (Action.INVOKE_TOOL, "kb", "", ANNA, "no flow"),
        (Action.INVOKE_TOOL, "web", "", ANNA, "no flow"),
        (Action.EMBED, "llm", "", ANNA, "no flow"),
        (Action.RETRIEVE, "kb", "search_articles", replace(ANNA, tenant=""), "filtered by tenant"),
        (Action.INVOKE_TOOL, "get-order", "", replace(ANNA, clearance=1), "may see internal data at most"),
    ],
)
def test_a_denial_says_what_would_change_it(
    action: Action, resource: str, tool: str, caller: Caller, said: str
) -> None:
    """A developer can act on the reason."""
    ruling = ask(action, resource, caller, tool=tool)
    assert ruling.effect == Effect.DENY
    assert said in ruling.reason


@pytest.mark.parametrize("name", NAMES)
def test_permits_are_flows_and_flows_are_permits(name: str) -> None:
    """P1 and P2: over every agent, action and resource, Cedar permits exactly what the flows say, before the rules that forbid."""
    plan, found = example(name), example_policy(name)
    drawn = {(a, k, b) for a, b, k, _ in uses(plan)}
    resources = [c for c in plan.components if not is_a(plan, c, "actor")]
    permits = cedarpy.PolicySet.from_str("\n".join(p.text for p in found.compiled.policies if p.permits))
    allowed = set()
    for agent, action, resource in itertools.product(plan.components, Action, resources):
        request = {
            "principal": {"type": "Agent", "id": agent}, "action": {"type": "Action", "id": action.value},
            "resource": {"type": found.compiled.types[resource], "id": resource}, "context": {},
        }  # fmt: skip
        if cedarpy.is_authorized(request, permits, "[]").allowed:
            allowed.add((agent, action, resource))
    assert allowed == drawn


@pytest.mark.parametrize("name", NAMES)
def test_the_generated_policies_fit_their_schema(name: str) -> None:
    """Cedar's validator finds nothing, and each id is there once."""
    compiled = example_policy(name).compiled
    checked = cedarpy.validate_policies(compiled.text, compiled.schema)
    assert checked.validation_passed, checked.errors
    assert len({p.id for p in compiled.policies}) == len(compiled.policies)


def test_the_same_plan_gives_the_same_policy_byte_by_byte() -> None:
    """Versions can be compared; another fact is another version."""
    one, two = (compile_plan(example(SUPPORT), vocabulary(), build.example_settings(SUPPORT)) for _ in range(2))
    assert (one.text, one.schema, one.version) == (two.text, two.schema, two.version)
    text = (
        (build.EXAMPLES / SUPPORT)
        .read_text()
        .replace(
            "refund:    {kind: ai.tool, zone: app, side-effect: irreversible",
            "refund: {kind: ai.tool, zone: app, side-effect: read",
        )
    )
    other = compile_plan(parse_plan(text, vocabulary()), vocabulary(), build.example_settings(SUPPORT))
    assert other.version != one.version


@settings(max_examples=15)
@given(cases())
def test_a_second_opinion_agrees(case: tuple[Plan, list[Question]]) -> None:
    """Cedar and an evaluator in plain Python that was written from the rules give the same answer."""
    compare(*case)


@pytest.mark.slow
@settings(max_examples=300)
@given(cases())
def test_a_second_opinion_agrees_on_thousands(case: tuple[Plan, list[Question]]) -> None:
    """The same over many more."""
    compare(*case)


def compare(plan: Plan, asked: list[Question]) -> None:
    """Asks both."""
    found = policy(plan)
    for q in asked:
        meaning = found.compiled.meanings.get(q.resource)
        expected = (
            Effect.DENY if meaning is None or q.caller.agent not in plan.components else opinion(plan, meaning, q)
        )
        assert found.decide(q).effect == expected, (q, found.decide(q).reason)


@settings(max_examples=15)
@given(cases(), st.data())
def test_less_trust_never_allows_more(case: tuple[Plan, list[Question]], data: st.DataObject) -> None:
    """Lower integrity, higher confidentiality, no approval, no trace, no tenant, fewer scopes, less clearance: never a milder ruling."""
    plan, asked = case
    found = policy(plan)
    for q in asked:
        label = Label(data.draw(st.integers(0, q.label.integrity)), data.draw(st.integers(q.label.confidentiality, 3)))
        scopes = frozenset(s for s in q.caller.scopes if data.draw(st.booleans()))
        caller = replace(q.caller, tenant="", scopes=scopes, clearance=data.draw(st.integers(0, q.caller.clearance)))
        worse = replace(q, label=label, traced=False, approved=False, caller=caller)
        assert ORDER[found.decide(worse).effect] <= ORDER[found.decide(q).effect], (q, worse)


@settings(max_examples=15)
@given(cases())
def test_every_ruling_is_explained(case: tuple[Plan, list[Question]]) -> None:
    """Each has a reason and the version; whatever isn't denied names a flow of the plan."""
    plan, asked = case
    found = policy(plan)
    for q in asked:
        ruling = found.decide(q)
        assert ruling.reason
        assert ruling.version == found.version
        assert "evaluated" not in ruling.reason
        if ruling.effect != Effect.DENY:
            assert ruling.flow in plan.flows


@settings(max_examples=15)
@given(plans())
def test_slices_leave_out_nothing_that_counts(plan: Plan) -> None:
    """Evaluating all policies with the whole context decides like the slice."""
    found = policy(plan)
    everything = cedarpy.PolicySet.from_str(found.compiled.text)
    for route in found.compiled.routes[:8]:
        q = Question(
            Caller(route.agent, user="anna", actor="person"), route.action, route.resource, label=MAIL, traced=False
        )
        meaning = found.compiled.meanings[route.resource]
        outcome = found.evaluate(q, meaning)
        request = {
            "principal": {"type": "Agent", "id": route.agent}, "action": {"type": "Action", "id": route.action.value},
            "resource": {"type": found.compiled.types[route.resource], "id": route.resource}, "context": found.context(q, meaning),
        }  # fmt: skip
        assert cedarpy.is_authorized(request, everything, "[]", found.compiled.schema).allowed == outcome.agent


def test_two_flows_to_one_tool_offer_either_terms() -> None:
    """With one flow that demands a person and another that demands a scope, either is enough; their ids stand in the reason."""
    plan = small(
        "- agent -> tool: {id: one, verb: invoke, approval: human}\n- agent -> tool: {id: two, verb: invoke, scopes: 'pay, read'}"
    )
    found = policy(plan)
    caller = Caller("agent", user="anna", actor="person")
    plain = found.decide(Question(caller, Action.INVOKE_TOOL, "tool"))
    assert plain.effect == Effect.APPROVE
    assert "a person's agreement or the scopes pay, read" in plain.reason
    scoped = replace(caller, scopes=frozenset({"pay", "read"}))
    assert found.decide(Question(scoped, Action.INVOKE_TOOL, "tool")).effect == Effect.ALLOW


def test_an_approval_in_the_plan_is_asked_for() -> None:
    """`approval: human` on the flow: the call waits for a person, however trusted its arguments are."""
    found = policy(small("- agent -> tool: {verb: invoke, approval: human}"))
    asked = Question(Caller("agent", user="anna", actor="person"), Action.INVOKE_TOOL, "tool")
    assert found.decide(asked).effect == Effect.APPROVE
    assert "`approval: human`" in found.decide(asked).reason
    assert found.decide(replace(asked, approved=True)).effect == Effect.ALLOW


def test_writing_a_store_under_the_name_for_reading_counts_as_irreversible() -> None:
    """Asked to write where the name is known to read, the policy takes the worst side effect."""
    found = policy(small("- agent <-> base: {data: order}", "base: {kind: data.database, zone: app}"))
    assert found.compiled.meanings["base"].side_effect == SideEffect.READ
    asked = Question(Caller("agent", user="anna", actor="person"), Action.INVOKE_TOOL, "base", label=MAIL, traced=False)
    assert found.decide(asked).effect == Effect.APPROVE


def test_a_tool_of_a_server_that_shares_a_name_has_the_servers_meaning() -> None:
    """An MCP server that calls its own tool `refund` doesn't borrow the meaning of the real one."""
    found = example_policy(SUPPORT)
    assert found.meaning(Question(ANNA, Action.INVOKE_TOOL, "crm", "refund")) == found.compiled.meanings["crm"]


class Broken:
    """A policy set with which Cedar can't work."""


def test_whatever_goes_wrong_is_a_denial() -> None:
    """Broken internals, hostile ids and values of a wrong type never allow and never raise."""
    found = policy(small("- agent -> tool: {verb: invoke}"))
    good = Question(Caller("agent", user="anna", actor="person"), Action.INVOKE_TOOL, "tool")
    assert found.decide(good).effect == Effect.ALLOW
    for broken in (
        replace(good, label=Label("low")),  # type: ignore[arg-type]
        replace(good, caller=None),  # type: ignore[arg-type]
        replace(good, caller=replace(good.caller, user="anna\ud800")),
        replace(good, action="nonsense"),  # type: ignore[arg-type]
        replace(good, resource=["tool"]),  # type: ignore[arg-type]
    ):
        assert found.decide(broken).effect == Effect.DENY
    found._trees["flow:agent->tool"] = Broken()
    found._slices.clear()
    fresh = found.decide(replace(good, tool="other"))
    assert fresh.effect == Effect.DENY
    assert "could not be evaluated" in fresh.reason


def test_an_error_inside_a_forbid_denies() -> None:
    """Cedar skips a policy that fails; a skipped `forbid` must not let a call through."""
    found = policy(small("- agent -> tool: {verb: invoke}"))
    good = Question(Caller("agent", user="anna", actor="person"), Action.INVOKE_TOOL, "tool")
    parsed = cedarpy.policies_to_json_str("forbid (principal, action, resource) when { context.missing };")
    found._trees["rule:influence"] = json.loads(parsed)["staticPolicies"]["policy0"]
    ruling = found.decide(good)
    assert ruling.effect == Effect.DENY
    assert "could not be evaluated" in ruling.reason


@given(st.text(max_size=20), st.text(max_size=20))
def test_hostile_names_never_allow(user: str, tool: str) -> None:
    """Names from tokens and models are data: quotes, line breaks and unknown letters change nothing."""
    found = example_policy(SUPPORT)
    assert (
        found.decide(Question(Caller("assistant", user=user, actor="admin"), Action.INVOKE_TOOL, "refund", tool)).effect
        == Effect.DENY
    )
    known = replace(ANNA, user=user or "anna")
    assert found.decide(Question(known, Action.INVOKE_TOOL, "refund", tool)).effect == Effect.ALLOW


@pytest.mark.parametrize(
    ("value", "type_", "fits"),
    [
        (3, "Long", True), (True, "Long", False), (2**63, "Long", False), (3.0, "Long", False), ("x", "String", True), (3, "String", False),
        (49.99, "decimal", True), ("49.99", "decimal", True), (50, "decimal", True), (0.00001, "decimal", False), (float("nan"), "decimal", False),
        ("1e30", "decimal", False), (True, "decimal", False), (["a"], "Set<String>", True), ([1], "Set<String>", False), (True, "Bool", True),
        (None, "any", True),
    ],
)  # fmt: skip
def test_an_argument_of_another_type_than_the_policy_expects_denies(value: Any, type_: str, fits: bool) -> None:
    """What a policy can't read is never passed over."""
    if fits:
        typed("a", value, type_)
    else:
        with pytest.raises(ValueError, match="`a` is no"):
            typed("a", value, type_)


def test_rulings_are_kept_and_bounded() -> None:
    """The same question again is answered from memory; the memory has an end."""
    found = CompiledPolicy(example_policy(SUPPORT).compiled)
    asked = Question(ANNA, Action.INVOKE_TOOL, "refund", "refund", arguments={"amount": [1]})
    assert found.decide(asked) is found.decide(replace(asked, arguments={"amount": 2}))
    assert found._ruled.cache_info().maxsize == 4096


def test_all_examples_are_covered() -> None:
    """The parametrised tests see every example plan."""
    assert len(PLANS) >= 7
