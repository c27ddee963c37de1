# SPDX-License-Identifier: Apache-2.0
"""From a plan and the catalogue to findings, questions and hardening: the whole analysis, without I/O."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date

from bastide.catalog.model import Catalog
from bastide.errors import PlanError
from bastide.plan.model import Plan
from bastide.threats.decisions import apply_decisions
from bastide.threats.explain import Explainer
from bastide.threats.graph import build_graph
from bastide.threats.hardening import harden_plan
from bastide.threats.interface import PlanRule
from bastide.threats.labels import propagate
from bastide.threats.match import Matcher, Mode, Witness
from bastide.threats.model import Assessment, Decision, Finding, FindingState, Question, Severity
from bastide.threats.predicates import Index
from bastide.threats.presence import Presence, contradictions
from bastide.threats.questions import Doubt, collect
from bastide.threats.rating import Rater


@dataclass(frozen=True, slots=True)
class Analysis:
    """What the rules found in a plan, before decisions, and the machinery to ask further."""

    findings: tuple[Finding, ...]
    questions: tuple[Question, ...]
    witnesses: dict[str, Witness]
    """Finding id -> witness, for open findings."""
    matcher: Matcher


def assess(
    plan: Plan,
    catalog: Catalog,
    *,
    decisions: Iterable[Decision] = (),
    today: date | None = None,
    harden: Severity | None = Severity.HIGH,
    rules: Iterable[PlanRule] = (),
) -> Assessment:
    """Assesses a plan.

    decisions: what was decided about findings; `today` is the day on which their expiry is judged (without it nothing expires).
    harden: the lowest severity whose paths the control set must break; None leaves the hardening out.
    rules: rules written in Python, in addition to the catalogue's.

    Raises `PlanError` where the plan contradicts itself, `StateError` for decisions about findings that don't exist.
    """
    rules = tuple(rules)
    analysis = analyse(plan, catalog, rules)
    findings, expired = apply_decisions(analysis.findings, analysis.questions, tuple(decisions), today)
    hardening = harden_plan(catalog, analysis.matcher, findings, analysis.witnesses, harden) if harden else None
    return Assessment(
        plan_id=plan.id,
        plan_digest=plan.digest,
        findings=findings,
        questions=analysis.questions,
        hardening=hardening,
        labels=propagate(analysis.matcher.index),
        expired=expired,
        rules=len(catalog.threats) + len(rules),
    )


def analyse(plan: Plan, catalog: Catalog, rules: Iterable[PlanRule] = ()) -> Analysis:
    """Runs all rules on a plan."""
    index = Index(plan, catalog.vocabulary, build_graph(plan, catalog.vocabulary))
    presence = Presence(index, catalog)
    if problems := contradictions(presence):
        raise PlanError(problems)
    matcher = Matcher(index, presence)
    explainer = Explainer(index, catalog, presence, Rater(index, catalog, presence))
    findings: list[Finding] = []
    doubts: list[Doubt] = []
    witnesses: dict[str, Witness] = {}
    for threat in catalog.threats.values():
        if not matcher.can_match(threat):
            continue
        possible = matcher.sinks(threat, Mode.POSSIBLE)
        # What is certain is possible too, so the stricter question is put only where the answers can differ.
        certain = matcher.sinks(threat, Mode.CERTAIN) if possible and matcher.depends_on_unknowns(threat) else possible
        bare = matcher.sinks(threat, Mode.BARE) if matcher.depends_on_controls(threat, possible) else {}
        for witness_of in certain.values():
            witness = witness_of()
            finding = explainer.finding(threat, witness, FindingState.OPEN)
            findings.append(finding)
            witnesses[finding.id] = witness
            doubts += explainer.rating_doubts(threat, witness, finding)
        for sink, witness_of in possible.items():
            if sink not in certain:
                doubts += explainer.doubts(threat, witness_of(), matcher)
        for sink, witness_of in bare.items():
            if sink not in possible:
                findings.append(explainer.finding(threat, witness_of(), FindingState.MITIGATED))
    for rule in rules:
        findings += rule.evaluate(index)
    return Analysis(tuple(sorted(findings, key=_order)), collect(doubts, index), witnesses, matcher)


def _order(finding: Finding) -> tuple[int, int, str, str]:
    """Worst first; then by rule and place, so that the order is stable."""
    return (-finding.severity.rank, -finding.rating.score, finding.rule, finding.id)
