# SPDX-License-Identifier: Apache-2.0
"""Who may sign what, how many have to, and from when to when."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bastide.verify.signing.decide import distinct
from bastide.verify.signing.model import Decision, Outcome, worst
from bastide.verify.signing.policy import Policy, Rule
from bastide.verify.signing.sign import Credentials, sign_model
from bastide.verify.signing.verify import Options, verify_model
from tests.verify.signing.conftest import (
    NOW,
    Authority,
    by_certificate,
    by_key,
    new_key,
    policy_of,
)


def check(decision: Decision, id: str = "signatures") -> tuple[Outcome, str]:
    [found] = [c for c in decision.checks if c.id == id]
    return found.outcome, found.reason


def test_two_of_three(model: Path, alice: Credentials, bob: Credentials) -> None:
    carol = Credentials(new_key("p384"))
    policy = policy_of(*(by_key(n, w) for n, w in {"alice": alice, "bob": bob, "carol": carol}.items()), threshold=2)
    sign_model(model, alice)
    assert ((one := check(verify_model(model, policy)))[0], "1 of 2 signers" in one[1]) == (Outcome.REFUSED, True)
    sign_model(model, carol)
    assert check(verify_model(model, policy)) == (Outcome.HOLDS, "2 of 2 signers: alice, carol")


def test_the_same_signer_twice_is_one(model: Path, alice: Credentials, bob: Credentials) -> None:
    policy = policy_of(by_key("alice", alice), by_key("bob", bob), threshold=2)
    sign_model(model, alice, model.with_name("support.1.sig"))
    sign_model(model, alice, model.with_name("support.2.sig"))
    assert Outcome.REFUSED is check(verify_model(model, policy))[0]


def test_one_key_under_two_names_is_one(model: Path, alice: Credentials) -> None:
    policy = policy_of(by_key("alice", alice), by_key("twin", alice), threshold=2)
    sign_model(model, alice, model.with_name("support.1.sig"))
    sign_model(model, alice, model.with_name("support.2.sig"))
    assert Outcome.REFUSED is check(verify_model(model, policy))[0]


def test_one_key_with_and_without_a_certificate_is_one(model: Path, alice: Credentials) -> None:
    root = Authority.root()
    certified = root.issue("release", alice.key)
    again = root.issue("second", alice.key)
    policy = policy_of(
        by_key("alice", alice), by_certificate("release", root, "CN=release"), by_certificate("second", root, "CN=second"),
        threshold=2,
    )  # fmt: skip
    for number, who in enumerate((alice, certified, again)):
        sign_model(model, who, model.with_name(f"support.{number}.sig"))
    assert ((one := check(verify_model(model, policy)))[0], "1 of 2" in one[1]) == (Outcome.REFUSED, True)


def test_two_keys_of_one_name_are_one(model: Path) -> None:
    root = Authority.root()
    policy = policy_of(by_certificate("ci", root, "CN=ci*"), by_certificate("other", root, "CN=other"), threshold=2)
    for number in range(2):
        sign_model(model, root.issue(f"ci-{number}"), model.with_name(f"support.{number}.sig"))
    assert Outcome.REFUSED is check(verify_model(model, policy))[0]


@given(st.dictionaries(st.sampled_from("abcdef"), st.sets(st.sampled_from("uvwxyz"), max_size=4), max_size=6))
def test_different_signers_are_counted_as_the_largest_matching(votes: dict[str, set[str]]) -> None:
    """As slow as it is right: the most keys that can each have a name of their own."""

    def most(keys: list[str], taken: frozenset[str]) -> int:
        if not keys:
            return 0
        first, *others = keys
        best = most(others, taken)
        return max([best, *(1 + most(others, taken | {name}) for name in votes[first] - taken)])

    assert most(list(votes), frozenset()) == distinct(votes.items())


def test_a_model_without_a_rule_is_refused(model: Path, alice: Credentials) -> None:
    sign_model(model, alice)
    policy = policy_of(by_key("alice", alice), models=("other-*",))
    assert check(verify_model(model, policy), "rule") == (Outcome.REFUSED, "the policy has no rule for `support`")


def test_every_rule_for_a_model_has_to_hold(model: Path, alice: Credentials, bob: Credentials) -> None:
    sign_model(model, alice)
    policy = policy_of(by_key("alice", alice), by_key("bob", bob))
    both = replace(policy, rules=(Rule(("*",), ("alice",)), Rule(("supp*",), ("bob",))))
    assert [c.outcome for c in verify_model(model, both).checks] == [Outcome.HOLDS, Outcome.HOLDS, Outcome.REFUSED]


def test_a_signer_signs_only_his_models(model: Path, alice: Credentials) -> None:
    sign_model(model, alice)
    policy = policy_of(by_key("alice", alice, models=("chat-*",)))
    assert ((one := check(verify_model(model, policy)))[0], "may not sign" in one[1]) == (Outcome.REFUSED, True)


@pytest.mark.parametrize(("first", "last", "outcome"), [(-1, 1, "holds"), (1, 2, "refused"), (-2, -1, "refused")])
def test_a_signer_counts_from_a_day_to_a_day(
    model: Path, alice: Credentials, first: int, last: int, outcome: str
) -> None:
    sign_model(model, alice)
    days = {"not_before": NOW + timedelta(days=first), "expires": NOW + timedelta(days=last)}
    assert outcome == verify_model(model, policy_of(by_key("alice", alice, **days)), Options(at=NOW)).outcome.value


def test_a_revoked_key_does_not_count(model: Path, alice: Credentials) -> None:
    sign_model(model, alice)
    policy = policy_of(by_key("alice", alice))
    revoked = Policy(policy.signers, policy.rules, {alice.id: "stolen"})
    assert ((one := check(verify_model(model, revoked)))[0], "stolen" in one[1]) == (Outcome.REFUSED, True)


def test_a_signature_of_nobody_changes_nothing(model: Path, alice: Credentials, bob: Credentials) -> None:
    """Who can only put files beside a model can neither let it pass nor have it refused."""
    policy = policy_of(by_key("alice", alice))
    sign_model(model, bob)
    model.with_name("support.junk.sig").write_bytes(b"\xff" * 100)
    assert Outcome.REFUSED is verify_model(model, policy).outcome
    sign_model(model, alice)
    assert Outcome.HOLDS is verify_model(model, policy).outcome


def test_the_worst_decides() -> None:
    assert Outcome.UNKNOWN is worst([])
    assert Outcome.UNKNOWN is worst([Outcome.HOLDS, Outcome.UNKNOWN])
    assert Outcome.REFUSED is worst([Outcome.UNKNOWN, Outcome.REFUSED, Outcome.HOLDS])
