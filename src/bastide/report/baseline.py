# SPDX-License-Identifier: Apache-2.0
"""Reads an earlier assessment from its JSON, as far as a comparison needs it."""

from __future__ import annotations

import msgspec

from bastide.errors import Diagnostic, Location, StateError
from bastide.threats.model import Assessment, Finding, FindingState, Question, Rating, Severity, Term

_HINT = "a baseline is what `bastide assess PLAN --format json` printed"


class _Place(msgspec.Struct):
    file: str = ""
    line: int = 0
    column: int = 0


class _Term(msgspec.Struct):
    points: int
    why: str


class _Finding(msgspec.Struct):
    id: str
    rule: str
    title: str
    likelihood: int
    impact: int
    state: FindingState
    path: list[str]
    message: str = ""
    likelihood_terms: list[_Term] = []
    impact_terms: list[_Term] = []
    elements: dict[str, str] = {}
    reasons: list[str] = []
    refs: dict[str, list[str]] = {}
    location: _Place = msgspec.field(default_factory=_Place)


class _Question(msgspec.Struct):
    id: str
    element: str
    attribute: str
    why: str
    ask: str = ""
    severity: Severity = Severity.LOW
    weight: int = 0
    could_open: list[str] = []


class _Plan(msgspec.Struct):
    id: str
    digest: str


class _Document(msgspec.Struct):
    schema_version: str
    plan: _Plan
    findings: list[_Finding]
    questions: list[_Question]
    severity_min: Severity = Severity.LOW


def read_assessment(raw: bytes, file: str) -> tuple[Assessment, Severity]:
    """The assessment that a JSON document holds, and the severity below which it holds nothing.

    Raises `StateError` where the document is no assessment.
    """
    place = Location(file)
    try:
        document = msgspec.json.decode(raw, type=_Document)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as problem:
        reason = "it is nested too deep" if isinstance(problem, RecursionError) else str(problem)
        raise StateError(Diagnostic(f"is no assessment: {reason[:300]}", place, hint=_HINT)) from None
    if document.schema_version.partition(".")[0] != "1":
        known = f"schema version `{document.schema_version[:20]}` is not known"
        raise StateError(Diagnostic(known, place, hint="this version reads 1.x"))
    if any(not (1 <= n <= 5) for f in document.findings for n in (f.impact, f.likelihood)):
        raise StateError(Diagnostic("has a rating outside 1 to 5", place, hint=_HINT))
    found = Assessment(
        plan_id=document.plan.id,
        plan_digest=document.plan.digest,
        findings=tuple(map(_finding, document.findings)),
        questions=tuple(map(_question, document.questions)),
        hardening=None,
    )
    return found, document.severity_min


def _finding(f: _Finding) -> Finding:
    return Finding(
        id=f.id,
        rule=f.rule,
        title=f.title,
        message=f.message,
        rating=Rating(f.impact, f.likelihood, _terms(f.impact_terms), _terms(f.likelihood_terms)),
        state=f.state,
        elements=f.elements,
        path=tuple(f.path),
        reasons=tuple(f.reasons),
        controls=(),
        refs={framework: tuple(ids) for framework, ids in f.refs.items()},
        location=Location(f.location.file, f.location.line, f.location.column),
    )


def _question(q: _Question) -> Question:
    return Question(q.id, q.element, q.attribute, q.ask, q.why, tuple(q.could_open), q.severity, q.weight, Location())


def _terms(terms: list[_Term]) -> tuple[Term, ...]:
    return tuple(Term(t.points, t.why) for t in terms)
