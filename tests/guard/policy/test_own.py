# SPDX-License-Identifier: Apache-2.0
"""Policies of the user's own: they forbid, they widen and say so, and what is wrong in them is said with its place."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bastide.errors import SettingsError
from bastide.guard.model import Action, Caller, Effect, Label, Question, Ruling
from bastide.guard.policy.decide import CompiledPolicy
from bastide.guard.policy.own import read_own, split
from tests.guard.policy.build import policy, settings, small

ANNA = Caller("agent", user="anna", actor="person")
FLOW = "- agent -> tool: {verb: invoke}"


def own(folder: Path, text: str, flow: str = FLOW) -> CompiledPolicy:
    """The small plan's policy with one file of own policies."""
    file = folder / "own.cedar"
    file.write_text(text)
    return policy(small(flow), settings(policies=(file,)))


def ask(found: CompiledPolicy, caller: Caller = ANNA, **more: Any) -> Ruling:
    """The ruling about the tool."""
    return found.decide(Question(caller, Action.INVOKE_TOOL, "tool", "tool", **more))


LIMIT = """
// Refunds over 50 wait for a person.
@id("limit")
forbid (principal is Agent, action == Action::"invoke_tool", resource == Tool::"tool")
when { context.arguments has amount && context.arguments.amount > 50 }
unless { context.approved };
"""


def test_a_limit_on_an_argument(tmp_path: Path) -> None:
    """Up to the limit it goes through, above it a person is asked, and what is no number is denied."""
    found = own(tmp_path, LIMIT)
    assert ask(found, arguments={"amount": 50}).effect == Effect.ALLOW
    above = ask(found, arguments={"amount": 51})
    assert above.effect == Effect.APPROVE
    assert "your own policy `own:limit`" in above.reason
    assert "own.cedar:3)" in above.reason
    assert ask(found, arguments={}).effect == Effect.ALLOW
    for trick in ("51", 51.0, [51], None, {"amount": 1}):
        denied = ask(found, arguments={"amount": trick})
        assert denied.effect == Effect.DENY
        assert "the argument `amount` is no Long" in denied.reason


def test_money_with_cents(tmp_path: Path) -> None:
    """Decimals are compared exactly."""
    found = own(tmp_path, LIMIT.replace("amount > 50", 'amount.greaterThan(decimal("50.0"))'))
    assert ask(found, arguments={"amount": 50.0}).effect == Effect.ALLOW
    assert ask(found, arguments={"amount": "50.01"}).effect == Effect.APPROVE


def test_arguments_that_a_policy_only_asks_for(tmp_path: Path) -> None:
    """`has` needs no type."""
    found = own(tmp_path, "forbid (principal, action, resource) when { context.arguments has iban };")
    assert ask(found, arguments={"iban": {"any": "thing"}}).effect == Effect.DENY
    assert ask(found, arguments={"other": 1}).effect == Effect.ALLOW


def test_a_permit_widens_and_every_ruling_says_so(tmp_path: Path) -> None:
    """What no flow draws can be permitted; the reason names the policy and its place."""
    found = own(
        tmp_path,
        '@id("extra")\npermit (principal == Agent::"agent", action, resource == Tool::"tool");',
        "- web -> tool: {verb: invoke}",
    )
    ruling = ask(found)
    assert ruling.effect == Effect.ALLOW
    assert "permitted beyond the plan, by your own policy `own:extra`" in ruling.reason
    assert "own.cedar:1" in ruling.reason
    assert (ruling.flow, ruling.policies) == ("", ("own:extra", "user:person->agent"))


def test_a_permit_beside_a_flow_changes_no_reason(tmp_path: Path) -> None:
    """Where a flow permits already, the flow is named, and the policy beside it stands in the list."""
    ruling = ask(own(tmp_path, "permit (principal, action, resource);"))
    assert ruling.flow == "agent->tool"
    assert ruling.policies == ("flow:agent->tool", "own:own.cedar:1", "user:person->agent")


def test_no_permit_lifts_what_a_rule_forbids(tmp_path: Path) -> None:
    """A permit for everything gives no way around influence, approval or the missing user."""
    found = own(tmp_path, "permit (principal, action, resource);", "- agent -> tool: {verb: invoke, approval: human}")
    assert ask(found).effect == Effect.APPROVE
    stranger = ask(found, label=Label(0), traced=False)
    assert stranger.effect == Effect.APPROVE
    assert "rule:influence" in stranger.policies


def test_policies_about_people(tmp_path: Path) -> None:
    """One person can be shut out; a person whom the plan doesn't know can be let in for what the agent may."""
    found = own(
        tmp_path,
        'forbid (principal == User::"anna", action, resource);\npermit (principal == User::"otto", action, resource);',
    )
    assert ask(found).effect == Effect.DENY
    assert ask(found, Caller("agent", user="bert", actor="person")).effect == Effect.ALLOW
    otto = ask(found, Caller("agent", user="otto"))
    assert otto.effect == Effect.ALLOW
    assert "for this user beyond the plan, by your own policy `own:own.cedar:2`" in otto.reason
    assert ask(found, Caller("web", user="otto")).effect == Effect.DENY


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("permit (principal, action, resource) when { context.amount > 1 };", "own.cedar:1: attribute `amount` in context"),
        ("\n\n// x\npermit (principal, action);", "own.cedar:4: no Cedar policy"),
        ("permit (principal, action, resource)", "own.cedar:1: no Cedar policy"),
        ('permit (principal == Agnt::"a", action, resource);', "own.cedar:1: "),
        ('permit (principal, action == Action::"call", resource);', "own.cedar:1: "),
        ("permit (principal, action, resource) when { context.arguments.amount > 1 };", "context.arguments has amount"),
        ("permit (principal == ?principal, action, resource);", "?principal"),
        ('@id("a") permit (principal, action, resource);\n@id("a") forbid (principal, action, resource);', "own.cedar:2: there is a policy `own:a`"),
        (
            "forbid (principal, action, resource) when { context.arguments has a && context.arguments.a > 1 };\n"
            'forbid (principal, action, resource) when { context.arguments has a && context.arguments.a == "x" };',
            "own.cedar:2: `context.arguments.a` is a String here and a Long",
        ),
        (
            "forbid (principal, action, resource) when { "
            + " && ".join(f"context.arguments has {c} && context.arguments.{c} == 1" for c in "abcd")
            + " };",
            "reads 4 arguments",
        ),
        ('"', "own.cedar:1: no Cedar policy"),
    ],
)  # fmt: skip
def test_a_mistake_is_said_with_its_place(tmp_path: Path, text: str, said: str) -> None:
    """File, line, what is wrong."""
    with pytest.raises(SettingsError) as caught:
        own(tmp_path, text)
    assert said in str(caught.value)


def test_all_mistakes_are_said_at_once(tmp_path: Path) -> None:
    """Each policy of a file is checked."""
    with pytest.raises(SettingsError) as caught:
        own(tmp_path, "permit (x);\npermit (y);\npermit (principal, action, resource);")
    assert len(caught.value.diagnostics) == 2


def test_a_missing_file_is_said(tmp_path: Path) -> None:
    """Not an empty set of policies."""
    with pytest.raises(SettingsError):
        read_own([tmp_path / "no.cedar"], "x")


def test_policies_are_split_where_they_end() -> None:
    """A `;` or `//` in a string, and a quote in a comment, end nothing."""
    text = '// it\'s; "a\n@id("; // \\"x")\npermit (principal, action, resource);\n\n  forbid (principal, action, resource); // end'
    assert [(line, word) for line, part in split(text) for word in ("permit", "forbid") if word in part] == [
        (2, "permit"),
        (5, "forbid"),
    ]


@given(st.text(alphabet='";/\\ \nab(){}', max_size=60))
def test_splitting_keeps_every_word(text: str) -> None:
    """Nothing but space and comments is lost, whatever the text; lines count up."""
    parts = list(split(text))
    assert [line for line, _ in parts] == sorted(line for line, _ in parts)
    assert all(part.strip() for _, part in parts)
