# SPDX-License-Identifier: Apache-2.0
"""Assessments, differences and verdicts as JSON, in the shape of `schemas/*.json`; reads an earlier assessment back."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import Any

from bastide.discover.result import Weakness
from bastide.errors import Location
from bastide.plan.diff import PlanChanges
from bastide.plan.model import Plan
from bastide.report.discovery_json import weakness_json
from bastide.report.document import head
from bastide.threats.diff import Changes
from bastide.threats.model import (
    Assessment,
    Decision,
    Finding,
    FindingState,
    Hardening,
    Question,
    Recommendation,
    Severity,
    Term,
)


def assessment_json(
    plan: Plan,
    assessment: Assessment,
    *,
    assessed_on: date | None = None,
    severity_min: Severity = Severity.LOW,
    changes: Changes | None = None,
    weaknesses: Sequence[Weakness] | None = None,
) -> dict[str, Any]:
    """The document of `bastide assess --format json`.

    assessed_on: the day on which the expiry of acceptances was judged.
    severity_min: below it nothing is in the assessment any more; a reader must know.
    changes: what differs from an earlier assessment.
    weaknesses: settings that don't hold in the files that the plan was made from; None for a plan that somebody wrote.
    """
    document: dict[str, Any] = {
        **head(),
        "plan": _plan(plan, assessment),
        "assessed_on": assessed_on.isoformat() if assessed_on else None,
        "severity_min": severity_min.value,
        "summary": summary(assessment),
        "findings": [finding_json(f) for f in assessment.findings],
        "questions": [question_json(q) for q in assessment.questions],
        "hardening": _hardening(assessment.hardening) if assessment.hardening else None,
        "labels": {
            id: {"integrity": label.integrity, "confidentiality": label.confidentiality}
            for id, label in assessment.labels.items()
        },
        "expired": list(assessment.expired),
    }
    if changes is not None:
        document["changes"] = changes_json(changes)
    if weaknesses is not None:
        document["weaknesses"] = [weakness_json(one) for one in weaknesses]
    return document


def diff_json(old: Plan, new: Plan, plan_changes: PlanChanges, changes: Changes) -> dict[str, Any]:
    """The document of `bastide diff --format json`."""
    return {
        **head(),
        "old": {"id": old.id, "digest": old.digest, "file": old.location.file},
        "new": {"id": new.id, "digest": new.digest, "file": new.location.file},
        "plan": {
            "system": list(plan_changes.system),
            "added": [{"type": p.type, "id": p.id} for p in plan_changes.added],
            "removed": [{"type": p.type, "id": p.id} for p in plan_changes.removed],
            "changed": [{"type": c.type, "id": c.id, "differences": list(c.differences)} for c in plan_changes.changed],
            "claims_added": list(plan_changes.claims_added),
            "claims_removed": list(plan_changes.claims_removed),
        },
        "threats": {
            "opened": [finding_json(f) for f in changes.opened],
            "closed": [finding_json(f) for f in changes.closed],
            "changed": [_change(before, after) for before, after in changes.changed],
        },
    }


def gate_json(
    plan: Plan,
    threshold: Severity,
    verdict: str,
    failing: Iterable[Finding],
    unknown: Iterable[Question],
    settings: Sequence[Weakness] = (),
) -> dict[str, Any]:
    """The document of `bastide gate --format json`. verdict: `pass`, `fail` or `unknown`."""
    weak = {"weaknesses": [weakness_json(w) for w in settings]} if settings else {}
    return {
        **weak,
        **head(),
        "plan": {"id": plan.id, "digest": plan.digest, "file": plan.location.file},
        "threshold": threshold.value,
        "verdict": verdict,
        "findings": [finding_json(f) for f in failing],
        "questions": [question_json(q) for q in unknown],
    }


def summary(assessment: Assessment) -> dict[str, Any]:
    """How many of what."""
    by_severity = Counter(f.severity for f in assessment.open)
    by_state = Counter(f.state for f in assessment.findings)
    return {
        "by_severity": {s.value: by_severity[s] for s in reversed(Severity)},
        "by_state": {s.value: by_state[s] for s in FindingState},
        "open": len(assessment.open),
        "questions": len(assessment.questions),
        "rules": assessment.rules,
    }


def finding_json(finding: Finding) -> dict[str, Any]:
    """One finding."""
    rating = finding.rating
    return {
        "id": finding.id,
        "rule": finding.rule,
        "title": finding.title,
        "message": finding.message,
        "severity": finding.severity.value,
        "score": rating.score,
        "likelihood": rating.likelihood,
        "impact": rating.impact,
        "likelihood_terms": _terms(rating.likelihood_terms),
        "impact_terms": _terms(rating.impact_terms),
        "state": finding.state.value,
        "elements": dict(finding.elements),
        "path": list(finding.path),
        "reasons": list(finding.reasons),
        "refs": {framework: list(ids) for framework, ids in finding.refs.items()},
        "controls": [
            {"id": c.id, "element": c.element, "state": c.state.value, "breaks": c.breaks, "by": c.by}
            for c in finding.controls
        ],
        "location": _location(finding.location),
        "decision": _decision(finding.decision) if finding.decision else None,
    }


def question_json(question: Question) -> dict[str, Any]:
    """One question."""
    return {
        "id": question.id,
        "element": question.element,
        "attribute": question.attribute,
        "ask": question.ask,
        "why": question.why,
        "severity": question.severity.value,
        "weight": question.weight,
        "could_open": list(question.could_open),
        "location": _location(question.location),
    }


def changes_json(changes: Changes) -> dict[str, Any]:
    """What differs, by finding id; closed findings in full, because the document has them nowhere else."""
    return {
        "opened": [f.id for f in changes.opened],
        "closed": [finding_json(f) for f in changes.closed],
        "changed": [_change(before, after) for before, after in changes.changed],
    }


def _plan(plan: Plan, assessment: Assessment) -> dict[str, Any]:
    parts = {"components": len(plan.components), "flows": len(plan.flows)}
    own = {"id": assessment.plan_id, "digest": assessment.plan_digest, "name": plan.name}
    return {**own, "file": plan.location.file, **parts}


def _change(before: Finding, after: Finding) -> dict[str, Any]:
    def side(f: Finding) -> dict[str, Any]:
        return {"severity": f.severity.value, "score": f.rating.score, "path": list(f.path)}

    return {"id": after.id, "rule": after.rule, "title": after.title, "before": side(before), "after": side(after)}


def _terms(terms: Iterable[Term]) -> list[dict[str, Any]]:
    return [{"points": t.points, "why": t.why} for t in terms]


def _location(location: Location) -> dict[str, Any]:
    return {"file": location.file, "line": location.line, "column": location.column}


def _decision(decision: Decision) -> dict[str, Any]:
    return {
        "state": decision.state.value,
        "owner": decision.owner,
        "reason": decision.reason,
        "expires": decision.expires or None,
    }


def _hardening(hardening: Hardening) -> dict[str, Any]:
    return {
        "severity": hardening.severity.value,
        "paths": hardening.paths,
        "proven": hardening.proven,
        "controls": [_recommendation(r) for r in hardening.controls],
        "ranking": [_recommendation(r) for r in hardening.ranking],
        "unbreakable": list(hardening.unbreakable),
    }


def _recommendation(recommendation: Recommendation) -> Mapping[str, Any]:
    return {
        "id": recommendation.id,
        "element": recommendation.element,
        "breaks": recommendation.breaks,
        "findings": list(recommendation.findings),
        "cost": recommendation.cost,
        "minimal": recommendation.minimal,
    }
