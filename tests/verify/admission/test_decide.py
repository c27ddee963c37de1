# SPDX-License-Identifier: Apache-2.0
"""What is missing never holds, and nothing that is taken away makes a model admissible."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bastide.verify.admission.decide import decide
from bastide.verify.admission.facts import Facts
from bastide.verify.admission.model import Approval, Evidence, Version
from bastide.verify.admission.policy import Approvals, Licences, Policy, Rule, Scan
from bastide.verify.artifacts.model import FileReport, Finding, Severity, Tier
from bastide.verify.bom.model import Ancestor, Licence, Metric, Model, Origin, Relation
from bastide.verify.signing.model import Check, Decision, Outcome, worst
from bastide.verify.signing.policy import Demand, Range

NOW = datetime(2027, 6, 30, tzinfo=UTC)
HERE = Origin("README.md", 3)
STAGES = ("candidate", "staging", "production")
MODEL = Model(
    "model-1", "support", "support",
    licences=(Licence("apache-2.0", "Apache-2.0", HERE),),
    metrics=(Metric("accuracy", "0.93", HERE, "tickets"), Metric("Accuracy", "91%", HERE, "mails")),
    ancestors=(Ancestor("acme/base", Relation.FINETUNE, HERE),),
)  # fmt: skip
VERSION = Version("support", "aa", "ab", "support", number=2, stage="staging", added=NOW, added_by="ada")
BASE = Version(
    "acme/base",
    "bb",
    "bc",
    "base",
    source={"revision": "5c1f"},
    number=1,
    stage="production",
    added=NOW,
    added_by="ada",
)
TRUSTED = Decision("support", "support", "aa", 1, NOW, (Check("signatures", Outcome.HOLDS, "release"),))
SAFE = FileReport("support/model.safetensors", "safetensors", "cc")
DEMAND = Demand("evaluation", ("ci",), metrics={"accuracy": Range(min=0.9)})
SIGNED = Evidence("signature", "1" * 64, "sha256:release", ("release",), NOW)
GRADED = Evidence("evaluation", "2" * 64, "sha256:ci", ("ci",), NOW)
GOOD = Facts(
    "support", "production", NOW, (SAFE,), (), TRUSTED, ((DEMAND, Check("attestation/evaluation", Outcome.HOLDS, "0.93")),),
    (SIGNED, GRADED), ("release", "ci"), MODEL, VERSION,
    (Approval("production", "grace", NOW - timedelta(days=1)), Approval("production", "alan", NOW - timedelta(days=2))),
    (SIGNED, GRADED), {"support": (VERSION,), "acme/base": (BASE,)},
)  # fmt: skip
ALL = Rule(
    ("support*",), ("production",), Scan(formats=("safetensors",), deny=("secret/*",)), True, 0, 0, {"accuracy": Range(min=0.9)}, (DEMAND,),
    Licences(("apache-*",), ("*-nc-*",)), "promoted", Approvals(("grace", "alan"), 2, 7 * 86400.0), "staging",
)  # fmt: skip
POLICY = Policy((ALL,), STAGES)


def outcomes(facts: Facts, rule: Rule = ALL) -> dict[str, Outcome]:
    return {check.id: check.outcome for check in decide(Policy((rule,), STAGES), facts)}


def finding(severity: Severity, id: str = "pickle/x") -> FileReport:
    return replace(SAFE, findings=(Finding(id, Tier.POLICY, severity, "something"),))


def described(**changed: object) -> Facts:
    return replace(GOOD, description=replace(MODEL, **changed))  # type: ignore[arg-type]


def test_all_holds() -> None:
    assert set(outcomes(GOOD).values()) == {Outcome.HOLDS}
    assert outcomes(GOOD).keys() == {
        "scan", "signature", "licences", "bases", "approvals", "after", "metrics/accuracy", "evaluation/accuracy"
    }  # fmt: skip


@pytest.mark.parametrize(
    ("facts", "id", "outcome"),
    [
        (replace(GOOD, reports=None), "scan", Outcome.UNKNOWN),
        (replace(GOOD, reports=()), "scan", Outcome.REFUSED),
        (replace(GOOD, reports=(finding(Severity.HIGH),)), "scan", Outcome.REFUSED),
        (replace(GOOD, reports=(finding(Severity.MEDIUM),)), "scan", Outcome.UNKNOWN),
        (replace(GOOD, reports=(finding(Severity.LOW, "secret/x"),)), "scan", Outcome.REFUSED),
        (replace(GOOD, reports=(replace(SAFE, format="safetensors+zip"),)), "scan", Outcome.REFUSED),
        (replace(GOOD, passed_over=("support/out: leads out",)), "scan", Outcome.UNKNOWN),
        (replace(GOOD, verification=None), "signature", Outcome.UNKNOWN),
        (replace(GOOD, verification=replace(TRUSTED, checks=())), "signature", Outcome.UNKNOWN),
        (described(licences=()), "licences", Outcome.UNKNOWN),
        (described(licences=(Licence("cc-by-nc-4.0", "CC-BY-NC-4.0", HERE),)), "licences", Outcome.REFUSED),
        (described(licences=(*MODEL.licences, Licence("own", "", HERE))), "licences", Outcome.REFUSED),
        (described(metrics=()), "metrics/accuracy", Outcome.UNKNOWN),
        (described(metrics=(*MODEL.metrics, Metric("accuracy", "0.2", HERE))), "metrics/accuracy", Outcome.REFUSED),
        (described(metrics=(Metric("accuracy", "good", HERE),)), "metrics/accuracy", Outcome.UNKNOWN),
        (described(metrics=(Metric("accuracy", "nan", HERE),)), "metrics/accuracy", Outcome.UNKNOWN),
        (described(metrics=(Metric("accuracy", "inf", HERE),)), "metrics/accuracy", Outcome.UNKNOWN),
        (described(metrics=(Metric("accuracy", "93", HERE),)), "metrics/accuracy", Outcome.UNKNOWN),
        (described(unread=("README.md: has more than 8 MiB",)), "metrics/accuracy", Outcome.UNKNOWN),
        (described(unread=("README.md: has more than 8 MiB",)), "licences", Outcome.UNKNOWN),
        (described(unread=("README.md: has more than 8 MiB",)), "bases", Outcome.UNKNOWN),
        (described(ancestors=(Ancestor("acme/base", Relation.MERGE, HERE, "6d2a"),)), "bases", Outcome.REFUSED),
        (described(ancestors=(Ancestor("acme/base", Relation.MERGE, HERE, "5c1f"),)), "bases", Outcome.HOLDS),
        (replace(GOOD, demanded=()), "evaluation/accuracy", Outcome.UNKNOWN),
        (
            replace(GOOD, demanded=((DEMAND, Check("", Outcome.REFUSED, "0.2")),)),
            "evaluation/accuracy",
            Outcome.REFUSED,
        ),
        (
            replace(GOOD, demanded=((replace(DEMAND, by=("x",)), GOOD.demanded[0][1]),)),
            "evaluation/accuracy",
            Outcome.UNKNOWN,
        ),
        (replace(GOOD, present=(SIGNED,)), "evidence", Outcome.UNKNOWN),
        (replace(GOOD, registered=None), "bases", Outcome.UNKNOWN),
        (replace(GOOD, registered={"support": (VERSION,)}), "bases", Outcome.REFUSED),
        (replace(GOOD, registered={"acme/base": (replace(BASE, stage="staging"),)}), "bases", Outcome.REFUSED),
        (replace(GOOD, approvals=GOOD.approvals[:1]), "approvals", Outcome.REFUSED),
        (replace(GOOD, approvals=(GOOD.approvals[0], GOOD.approvals[0])), "approvals", Outcome.REFUSED),
        (replace(GOOD, at=NOW + timedelta(days=6)), "approvals", Outcome.REFUSED),
        (replace(GOOD, at=NOW - timedelta(days=9)), "approvals", Outcome.REFUSED),
        (replace(GOOD, version=None), "approvals", Outcome.REFUSED),
        (replace(GOOD, version=replace(VERSION, added_by=" Grace ")), "approvals", Outcome.REFUSED),
        (
            replace(GOOD, approvals=(*GOOD.approvals, Approval("production", "alan", NOW, "", True))),
            "approvals",
            Outcome.REFUSED,
        ),
        (
            replace(GOOD, approvals=(GOOD.approvals[0], replace(GOOD.approvals[0], by="\uff27race"))),
            "approvals",
            Outcome.REFUSED,
        ),
        (
            replace(GOOD, approvals=tuple(replace(a, stage="staging") for a in GOOD.approvals)),
            "approvals",
            Outcome.REFUSED,
        ),
        (replace(GOOD, version=replace(VERSION, stage="candidate")), "after", Outcome.REFUSED),
        (replace(GOOD, version=None), "after", Outcome.REFUSED),
        (replace(GOOD, registered=None), "after", Outcome.UNKNOWN),
    ],
)
def test_each_demand(facts: Facts, id: str, outcome: Outcome) -> None:
    assert outcomes(facts)[id] is outcome


def test_who_registered_it_does_not_approve_it() -> None:
    rule = replace(ALL, approvals=Approvals())
    own = replace(GOOD, approvals=(Approval("production", "ada", NOW),))
    assert (outcomes(own, rule)["approvals"], outcomes(GOOD, rule)["approvals"]) == (Outcome.REFUSED, Outcome.HOLDS)


def test_a_licence_that_nobody_knows_has_to_be_named() -> None:
    own = described(licences=(Licence("our licence", "", HERE),))
    only_denied, named = replace(ALL, licences=Licences(deny=("gpl*",))), replace(ALL, licences=Licences(("our *",)))
    assert outcomes(own, only_denied)["licences"] is Outcome.UNKNOWN
    assert outcomes(GOOD, only_denied)["licences"] is Outcome.HOLDS
    assert outcomes(own, named)["licences"] is Outcome.HOLDS


def test_evidence_may_be_replaced_by_newer_one_of_the_same_signer_only() -> None:
    """A bad evaluation can't be hidden by deleting it, nor behind an older one; signers who left the policy don't matter."""
    newer = replace(GRADED, payload="3" * 64, seen=NOW + timedelta(days=1))
    older = replace(GRADED, payload="4" * 64, seen=NOW - timedelta(days=1))
    cases = {
        (newer,): True,
        (older,): False,
        (replace(newer, signer="sha256:other"),): False,
        (replace(newer, type="scan"),): False,
    }
    for present, fine in cases.items():
        facts = replace(GOOD, present=(SIGNED, *present), seen=(SIGNED, GRADED, older))
        # The older one is gone too, and was replaced by the one that is asked about.
        assert ("evidence" not in outcomes(facts)) is fine, present
    assert "evidence" not in outcomes(replace(GOOD, present=(SIGNED,), signers=("release",)))


def test_what_does_not_hold_says_what_to_do() -> None:
    checks = decide(POLICY, replace(GOOD, approvals=()))
    assert [c.hint for c in checks if c.hint] == ["`bastide models approve support@2 --for production --by NAME`"]


def test_all_rules_that_apply_have_to_hold() -> None:
    both = Policy((ALL, Rule(("*",), licences=Licences(("mit",)))), STAGES)
    assert worst([c.outcome for c in decide(both, GOOD)]) is Outcome.REFUSED
    assert [c.outcome for c in decide(POLICY, replace(GOOD, stage="staging"))] == [Outcome.REFUSED]


def test_who_names_no_stage_is_not_asked_less() -> None:
    staged = Rule(("support*",), stages=("production",), signature=True)
    found = decide(Policy((Rule(("*",)), staged), STAGES), replace(GOOD, stage=""))
    assert [(c.id, c.outcome) for c in found] == [("rule", Outcome.HOLDS), ("stage", Outcome.UNKNOWN)]
    assert found[-1].hint == "`--stage production`"
    others = replace(staged, models=("other",))
    assert (
        worst([c.outcome for c in decide(Policy((Rule(("*",)), others), STAGES), replace(GOOD, stage=""))])
        is Outcome.HOLDS
    )


TAKEN = (
    lambda f: replace(f, reports=None),
    lambda f: replace(f, verification=None),
    lambda f: replace(f, description=None),
    lambda f: replace(f, version=None),
    lambda f: replace(f, approvals=()),
    lambda f: replace(f, demanded=()),
    lambda f: replace(f, present=()),
    lambda f: replace(f, description=replace(f.description, unread=("x",)) if f.description else None),
    lambda f: replace(f, description=replace(f.description, licences=()) if f.description else None),
    lambda f: replace(f, approvals=f.approvals[1:]),
    lambda f: replace(f, registered=None),
    lambda f: replace(f, reports=(finding(Severity.HIGH),)),
    lambda f: replace(f, passed_over=("x",)),
    lambda f: replace(f, description=replace(f.description, metrics=()) if f.description else None),
    lambda f: replace(f, registered={} if f.registered is not None else None),
)


@given(st.sets(st.integers(0, len(TAKEN) - 1)), st.integers(0, len(TAKEN) - 1))
def test_taking_something_away_never_admits(first: set[int], then: int) -> None:
    """Of two sets of evidence the smaller one is never the better one."""
    facts = GOOD
    for number in sorted(first):
        facts = TAKEN[number](facts)
    less = TAKEN[then](facts)
    held = worst([c.outcome for c in decide(POLICY, facts)]) is Outcome.HOLDS
    holds = worst([c.outcome for c in decide(POLICY, less)]) is Outcome.HOLDS
    assert held or not holds
    assert not holds
