# SPDX-License-Identifier: Apache-2.0
"""Decides a policy over what was gathered: each demand holds, is refused or can't be decided, with the reason. Pure.

Nothing that is missing or unread holds.
"""

from __future__ import annotations

from collections.abc import Iterator

from bastide.verify.admission import checks, standing
from bastide.verify.admission.facts import Answer, Facts, some
from bastide.verify.admission.policy import Policy, Rule
from bastide.verify.signing.model import Check, Outcome
from bastide.verify.signing.policy import matches


def decide(policy: Policy, facts: Facts) -> tuple[Check, ...]:
    """Every demand of every rule that applies."""
    rules = policy.rules_for(facts.name, facts.stage)
    if not rules:
        where = f" at the stage `{facts.stage}`" if facts.stage else ""
        why = f"the policy has no rule for `{facts.name}`{where}"
        return (Check("rule", Outcome.REFUSED, why, hint="is --name or --stage what the policy means?"),)
    found = [check for rule in rules for check in _rule(rule, policy, facts)]
    lost = standing.gone(facts) if any(rule.signature or rule.evaluations for rule in rules) else None
    return (*found, *(check for check in (lost, _stage(policy, facts)) if check))


def _stage(policy: Policy, facts: Facts) -> Check | None:
    """Whoever names no stage would otherwise not be asked what the policy demands at one."""
    staged = [rule for rule in policy.rules if not facts.stage and rule.stages and matches(facts.name, rule.models)]
    if not staged:
        return None
    asked = [stage for stage in policy.stages if any(stage in rule.stages for rule in staged)]
    why = f"the policy asks more at {some('the stages', asked)}, and no stage was named"
    return Check("stage", Outcome.UNKNOWN, why, staged[0].location, f"`--stage {asked[0]}`")


def _rule(rule: Rule, policy: Policy, facts: Facts) -> Iterator[Check]:
    answers = list(_answers(rule, policy, facts))
    for id, answer in answers:
        hint = answer.hint if answer.outcome is not Outcome.HOLDS else ""
        yield Check(id, answer.outcome, answer.reason, rule.location, hint)
    if not answers:
        yield Check("rule", Outcome.HOLDS, "asks for nothing", rule.location)


def _answers(rule: Rule, policy: Policy, facts: Facts) -> Iterator[tuple[str, Answer]]:
    """What is said to each demand of a rule."""
    if rule.scan is not None:
        yield "scan", checks.scan(rule, facts)
    if rule.signature:
        yield "signature", checks.signature(rule, facts)
    for demand in rule.evaluations:
        yield f"evaluation/{'+'.join(demand.metrics)[:60]}", checks.evaluation(demand, facts)
    for name in rule.metrics:
        yield f"metrics/{name[:60]}", checks.metric(name, rule, facts)
    yield from _described(rule, facts)
    if rule.bases is not None:
        yield "bases", standing.bases(rule, policy, facts)
    if rule.approvals is not None:
        yield "approvals", standing.approvals(rule, facts)
    if rule.after:
        yield "after", standing.after(rule, policy, facts)


def _described(rule: Rule, facts: Facts) -> Iterator[tuple[str, Answer]]:
    if rule.card:
        yield "card", checks.card(rule, facts)
    if rule.annex:
        yield "annex-iv", checks.annex(rule, facts)
    if rule.licences is not None:
        yield "licences", checks.licences(rule, facts)
