# SPDX-License-Identifier: Apache-2.0
"""Demands about a model itself: what the scan, the signatures and the description say. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from bastide.verify.admission.facts import Answer, Facts, fits, holds, refused, some, unknown
from bastide.verify.admission.policy import Rule
from bastide.verify.artifacts.model import FileReport, Verdict
from bastide.verify.bom.model import Licence, Metric, Model
from bastide.verify.bom.score import score
from bastide.verify.signing.model import Outcome
from bastide.verify.signing.policy import Demand, Range

_UNDESCRIBED = "it wasn't described"


def scan(rule: Rule, facts: Facts) -> Answer:
    """No file is unsafe or of another kind than is allowed, and all were read."""
    assert rule.scan is not None
    if facts.reports is None:
        return unknown("there is no scan")
    if not facts.reports:
        return unknown(some("not read", facts.passed_over)) if facts.passed_over else refused("there are no files")
    if unsafe := [_first(one) for one in facts.reports if one.verdict is Verdict.UNSAFE]:
        return refused(some("unsafe", unsafe), "`bastide scan` shows each place; use a format without code")
    if denied := [f"{r.path}: {f.id}" for r in facts.reports for f in r.findings if fits(f.id, rule.scan.deny)]:
        return refused(some("has what the policy denies", denied))
    if other := [f"{r.path} ({r.format})" for r in facts.reports if not _allowed(r.format, rule.scan.formats)]:
        return refused(some("of a format that isn't allowed", other), "take the file out, or allow the format")
    if facts.passed_over:
        return unknown(some("not read", facts.passed_over))
    if open_ := [_first(one) for one in facts.reports if one.verdict.value not in rule.scan.verdicts]:
        return unknown(some("unknown", open_), "`bastide scan` says why; `verdicts: [safe, unknown]` would allow it")
    return holds(f"{len(facts.reports)} file{'s' if len(facts.reports) > 1 else ''}, none unsafe")


def _first(report: FileReport) -> str:
    return f"{report.path}: {report.findings[0].message}" if report.findings else report.path


def _allowed(format: str, patterns: Sequence[str]) -> bool:
    """A file of two formats at once has to be allowed as both."""
    return not patterns or all(fits(one, patterns) for one in format.split("+"))


def signature(_: Rule, facts: Facts) -> Answer:
    """The trust policy holds."""
    found = facts.verification
    if found is None:
        return unknown("its signatures were not verified")
    wrong = [f"{one.id}: {one.reason}" for one in found.checks if one.outcome is not Outcome.HOLDS]
    reason = some("the trust policy", wrong) if wrong else "the trust policy holds"
    return Answer(found.outcome, reason, "`bastide verify --policy` shows it signer by signer")


def evaluation(demand: Demand, facts: Facts) -> Answer:
    """A signer has attested these metrics of these bytes."""
    found = [check for asked, check in facts.demanded if asked == demand]
    if not found:
        return unknown("its attestations were not verified")
    hint = f"`bastide attest evaluation MODEL --results results.json`, signed by {' or '.join(demand.by)}"
    return Answer(found[0].outcome, found[0].reason, hint)


def card(rule: Rule, facts: Facts) -> Answer:
    """So much of a model card is there."""
    if facts.description is None:
        return unknown(_UNDESCRIBED)
    found = score(facts.description)
    missing = [field.id for field in sorted(found.missing, key=lambda f: -f.weight)]
    return _enough("the model card", found.card, rule.card, missing)


def annex(rule: Rule, facts: Facts) -> Answer:
    """So many points of Annex IV are answered."""
    if facts.description is None:
        return unknown(_UNDESCRIBED)
    found = score(facts.description)
    missing = [answer.point.id for answer in found.answers if answer.state in ("missing", "partly")]
    return _enough("Annex IV", found.annex, rule.annex, missing)


def _enough(what: str, percent: int, wanted: int, missing: Sequence[str]) -> Answer:
    said = f"{what} is answered by {percent} %"
    if percent >= wanted:
        return holds(said)
    return refused(some(f"{said}, not {wanted} %; missing", missing), "`bastide bom` says where to write it")


def metric(name: str, rule: Rule, facts: Facts) -> Answer:
    """Every value that is stated is in the range: the worst of several data sets and slices counts."""
    if facts.description is None:
        return unknown(_UNDESCRIBED)
    found = [one for one in facts.description.metrics if one.type.casefold() == name.casefold()]
    if not found:
        return unknown("nobody states it", "state it in the model card's `model-index`")
    answers = [_measured(one, rule.metrics[name]) for one in found]
    worst = next(a for o in (Outcome.REFUSED, Outcome.UNKNOWN, Outcome.HOLDS) for a in answers if a.outcome is o)
    return _whole(worst, facts.description)


def _measured(one: Metric, wanted: Range) -> Answer:
    value = _number(one.value)
    if value is None:
        return unknown(f"`{one.value[:40]}` is no number ({one.origin})")
    if not wanted.holds(value):
        return refused(f"{one.value} is not {wanted} ({one.origin})")
    if wanted.max is None and wanted.min is not None and wanted.min <= 1 < value:
        return unknown(f"{one.value} may be meant in percent ({one.origin})", "write `93%`, or say `max` in the policy")
    return holds(f"{one.value} ({one.origin}), stated, not attested")


def _number(text: str) -> float | None:
    try:
        value = float(text.strip().removesuffix("%"))
    except ValueError:
        return None
    value = value / 100 if text.strip().endswith("%") else value
    return value if abs(value) < float("inf") else None


def licences(rule: Rule, facts: Facts) -> Answer:
    """A licence is stated, none is denied, and each is allowed."""
    assert rule.licences is not None
    if facts.description is None:
        return unknown(_UNDESCRIBED)
    found = facts.description.licences
    if not found:
        return unknown("nobody states a licence", "`license:` in the model card, or a LICENSE file")
    if denied := [_where(one) for one in found if _named(one, rule.licences.deny)]:
        return refused(some("denied", denied))
    if other := [_where(one) for one in found if rule.licences.allow and not _named(one, rule.licences.allow)]:
        return refused(some("not among the allowed", other))
    if strange := [_where(one) for one in found if not one.id and not rule.licences.allow]:
        return unknown(some("no licence that is known", strange), "name it in `allow` when it is one")
    return _whole(holds(some("", [one.id or one.written[:80] for one in found])), facts.description)


def _where(licence: Licence) -> str:
    return f"{(licence.id or licence.written)[:80]} ({licence.origin})"


def _named(licence: Licence, patterns: Sequence[str]) -> bool:
    return fits((licence.id or licence.written).casefold(), [pattern.casefold() for pattern in patterns])


def _whole(answer: Answer, description: Model) -> Answer:
    """What holds for a description of which something wasn't read isn't known to hold."""
    if answer.outcome is Outcome.HOLDS and description.unread:
        return unknown(some(f"{answer.reason}; but not read", description.unread))
    return answer
