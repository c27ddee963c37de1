# SPDX-License-Identifier: Apache-2.0
"""What would change a ruling."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from msgspec.structs import replace

from bastide.guard.model import Action, Caller, Effect, Label, Question
from bastide.guard.policy.explain import explain, name_on_the_wire
from bastide.plan.model import Plan
from tests.guard.policy.build import example_policy, policy, small
from tests.guard.policy.strategies import cases

SUPPORT = "support-agent/bastide.yaml"
ANNA = Caller("assistant", user="anna", actor="customer", tenant="t1")


def changes(**more: Any) -> dict[str, Effect]:
    """What would change the support agent's ruling about a refund, in words."""
    question = replace(Question(ANNA, Action.INVOKE_TOOL, "refund", "refund"), **more)
    return {c.words: c.effect for c in explain(example_policy(SUPPORT), question).changes}


def test_what_is_allowed_needs_no_change() -> None:
    """Nothing is proposed, and the flow is there."""
    found = explain(example_policy(SUPPORT), Question(ANNA, Action.INVOKE_TOOL, "refund", "refund"))
    assert found.changes == ()
    assert found.flow is not None
    assert found.flow.id == "assistant->refund"
    assert [p.id for p in found.policies] == ["flow:assistant->refund", "user:customer->assistant"]


def test_three_ways_past_a_stranger() -> None:
    """Approval, traced arguments, or trusted authors."""
    assert changes(label=Label(0), traced=False) == {
        "a person agrees to exactly this call": Effect.ALLOW,
        "all that decides what happens (whom, where, how much) comes from trusted input": Effect.ALLOW,
        "only `user` or more trusted authors wrote what shaped it": Effect.ALLOW,
    }


def test_one_change_may_lead_to_an_approval_only() -> None:
    """A user is missing and a stranger wrote: with the user alone it still needs a person, so pairs are proposed too."""
    found = changes(caller=Caller("assistant"), label=Label(0), traced=False)
    assert found["it is done for a `customer`"] == Effect.APPROVE
    assert found["a person agrees to exactly this call, and it is done for a `customer`"] == Effect.ALLOW


def test_who_else_may() -> None:
    """Another agent with a flow is named; scopes and tenants are too."""
    plan = small("- web -> tool: {verb: invoke, scopes: pay}")
    found = explain(policy(plan), Question(Caller("agent"), Action.INVOKE_TOOL, "tool"))
    assert found.ruling.effect == Effect.DENY
    asked = explain(policy(plan), Question(Caller("web"), Action.INVOKE_TOOL, "tool"))
    assert [c.words for c in asked.changes] == ["the credential has the scopes pay"]


def test_names_on_the_wire() -> None:
    """Tools by either spelling, models by pattern, components by id."""
    found = example_policy(SUPPORT)
    names = ["send_mail", "gpt-4o-mini", "search_articles", "nothing"]
    assert [m.component if (m := name_on_the_wire(found, n)) else None for n in names] == [
        "send-mail",
        "llm",
        "kb",
        None,
    ]


@settings(max_examples=10)
@given(cases())
def test_every_proposed_change_is_milder(case: tuple[Plan, list[Question]]) -> None:
    """Nothing is proposed that leaves the ruling as it is."""
    plan, asked = case
    found = policy(plan)
    for question in asked[:8]:
        explained = explain(found, question)
        order = [Effect.DENY, Effect.APPROVE, Effect.ALLOW]
        assert all(order.index(c.effect) > order.index(explained.ruling.effect) for c in explained.changes)
