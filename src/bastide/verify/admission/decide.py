# SPDX-License-Identifier: Apache-2.0
"""Decides a policy over what was gathered: each demand holds, is refused or can't be decided, with the reason. Pure.

Nothing that is missing or unread holds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from fnmatch import fnmatchcase

from bastide.verify.admission.model import Approval, Version
from bastide.verify.admission.policy import Policy, Rule
from bastide.verify.artifacts.model import FileReport, Verdict
from bastide.verify.bom.model import Model, Origin
from bastide.verify.bom.score import score
from bastide.verify.signing.model import Check, Outcome
from bastide.verify.signing.model import Decision as Verification

_SHOWN = 5
_SKEW = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Facts:
    """All that was gathered about a model. None: it wasn't asked for, or there is none."""

    name: str
    stage: str
    at: datetime
    reports: tuple[FileReport, ...] | None = None
    passed_over: tuple[str, ...] = ()
    """What the scan did not read."""
    verification: Verification | None = None
    description: Model | None = None
    version: Version | None = None
    """As it is registered: the same bytes."""
    approvals: tuple[Approval, ...] = ()
    registered: Mapping[str, tuple[Version, ...]] | None = None
    """All versions by name; None without a registry."""


def decide(policy: Policy, facts: Facts) -> tuple[Check, ...]:
    """Every demand of every rule that applies."""
    rules = policy.rules_for(facts.name, facts.stage)
    if not rules:
        where = f" at the stage `{facts.stage}`" if facts.stage else ""
        return (Check("rule", Outcome.REFUSED, f"the policy has no rule for `{facts.name}`{where}"),)
    return tuple(check for rule in rules for check in _rule(rule, policy, facts))


def _rule(rule: Rule, policy: Policy, facts: Facts) -> Iterator[Check]:
    demands: tuple[tuple[str, bool, Callable[[Rule, Policy, Facts], tuple[Outcome, str]]], ...] = (
        ("scan", rule.scan is not None, _scan),
        ("signature", rule.signature, _signature),
        ("card", bool(rule.card), _card),
        ("annex-iv", bool(rule.annex), _annex),
        ("licences", rule.licences is not None, _licences),
        ("bases", rule.bases is not None, _bases),
        ("approvals", rule.approvals is not None, _approvals),
        ("after", bool(rule.after), _after),
    )
    asked = [demand for demand in demands if demand[1]]
    for id, _, examine in asked:
        yield Check(id, *examine(rule, policy, facts), rule.location)
    for name in rule.metrics:
        yield Check(f"metrics/{name[:60]}", *_metric(name, rule, facts), rule.location)
    if not asked and not rule.metrics:
        yield Check("rule", Outcome.HOLDS, "asks for nothing", rule.location)


Answer = tuple[Outcome, str]


def _scan(rule: Rule, _: Policy, facts: Facts) -> Answer:
    assert rule.scan is not None
    if facts.reports is None:
        return Outcome.UNKNOWN, "there is no scan"
    if not facts.reports:
        return Outcome.REFUSED, "there are no files"
    unsafe = [r for r in facts.reports if r.verdict is Verdict.UNSAFE]
    if unsafe:
        return Outcome.REFUSED, _some("unsafe", [f"{r.path}: {r.findings[0].message}" for r in unsafe])
    denied = [f"{r.path}: {f.id}" for r in facts.reports for f in r.findings if _any(f.id, rule.scan.deny)]
    if denied:
        return Outcome.REFUSED, _some("has what the policy denies", denied)
    formats = [
        f"{r.path} ({r.format})"
        for r in facts.reports
        if rule.scan.formats and not _allowed(r.format, rule.scan.formats)
    ]
    if formats:
        return Outcome.REFUSED, _some("of a format that isn't allowed", formats)
    if facts.passed_over:
        return Outcome.UNKNOWN, _some("not read", list(facts.passed_over))
    unknown = [r for r in facts.reports if r.verdict.value not in rule.scan.verdicts]
    if unknown:
        return Outcome.UNKNOWN, _some("unknown", [f"{r.path}: {r.findings[0].message}" for r in unknown])
    return Outcome.HOLDS, f"{len(facts.reports)} files, none unsafe"


def _allowed(format: str, patterns: Sequence[str]) -> bool:
    """A file of two formats at once has to be allowed as both."""
    return all(_any(one, patterns) for one in format.split("+"))


def _signature(_: Rule, __: Policy, facts: Facts) -> Answer:
    found = facts.verification
    if found is None:
        return Outcome.UNKNOWN, "its signatures were not verified"
    wrong = [f"{c.id}: {c.reason}" for c in found.checks if c.outcome is not Outcome.HOLDS]
    return found.outcome, _some("the trust policy", wrong) if wrong else "the trust policy holds"


def _card(rule: Rule, _: Policy, facts: Facts) -> Answer:
    if facts.description is None:
        return Outcome.UNKNOWN, "it wasn't described"
    found = score(facts.description)
    missing = [field.id for field in sorted(found.missing, key=lambda f: -f.weight)]
    return _enough("the model card", found.card, rule.card, missing)


def _annex(rule: Rule, _: Policy, facts: Facts) -> Answer:
    if facts.description is None:
        return Outcome.UNKNOWN, "it wasn't described"
    found = score(facts.description)
    missing = [answer.point.id for answer in found.answers if answer.state in ("missing", "partly")]
    return _enough("Annex IV", found.annex, rule.annex, missing)


def _enough(what: str, percent: int, wanted: int, missing: Sequence[str]) -> Answer:
    if percent >= wanted:
        return Outcome.HOLDS, f"{what} is answered by {percent} %"
    return Outcome.REFUSED, _some(f"{what} is answered by {percent} %, not {wanted} %; missing", list(missing))


def _metric(name: str, rule: Rule, facts: Facts) -> Answer:
    if facts.description is None:
        return Outcome.UNKNOWN, "it wasn't described"
    wanted = rule.metrics[name]
    found = [m for m in facts.description.metrics if m.type.casefold() == name.casefold()]
    if not found:
        return Outcome.UNKNOWN, "nobody states it"
    answers = []
    for one in found:
        value = _number(one.value)
        if value is None:
            answers.append((Outcome.UNKNOWN, f"`{one.value[:40]}` is no number ({one.origin})"))
        elif wanted.holds(value):
            answers.append((Outcome.HOLDS, f"{one.value} ({one.origin}), stated, not attested"))
        else:
            answers.append((Outcome.REFUSED, f"{one.value} is not {wanted} ({one.origin})"))
    # The worst of several data sets and slices counts.
    return next(a for o in (Outcome.REFUSED, Outcome.UNKNOWN, Outcome.HOLDS) for a in answers if a[0] is o)


def _number(text: str) -> float | None:
    try:
        value = float(text.strip().removesuffix("%"))
    except ValueError:
        return None
    value = value / 100 if text.strip().endswith("%") else value
    return value if abs(value) < float("inf") else None


def _licences(rule: Rule, _: Policy, facts: Facts) -> Answer:
    assert rule.licences is not None
    if facts.description is None:
        return Outcome.UNKNOWN, "it wasn't described"
    found = facts.description.licences
    if not found:
        return Outcome.UNKNOWN, "nobody states a licence"
    named = [(one.id or one.written, one.origin) for one in found]
    denied = [_where(*one) for one in named if _any(one[0].casefold(), _folded(rule.licences.deny))]
    if denied:
        return Outcome.REFUSED, _some("denied", denied)
    other = [
        _where(*one)
        for one in named
        if rule.licences.allow and not _any(one[0].casefold(), _folded(rule.licences.allow))
    ]
    if other:
        return Outcome.REFUSED, _some("not among the allowed", other)
    return Outcome.HOLDS, _some("", [one[0] for one in named])


def _where(name: str, origin: Origin) -> str:
    return f"{name[:80]} ({origin})"


def _folded(patterns: Sequence[str]) -> list[str]:
    return [pattern.casefold() for pattern in patterns]


def _bases(rule: Rule, policy: Policy, facts: Facts) -> Answer:
    if facts.description is None:
        return Outcome.UNKNOWN, "it wasn't described"
    if facts.registered is None:
        return Outcome.UNKNOWN, "no registry was given (--registry)"
    missing, behind = [], []
    for base in facts.description.ancestors:
        versions = facts.registered.get(base.name, ())
        if not versions:
            missing.append(_where(base.name, base.origin))
        elif rule.bases == "promoted" and not any(_reached(v.stage, facts.stage, policy.stages) for v in versions):
            behind.append(_where(base.name, base.origin))
    if missing:
        return Outcome.REFUSED, _some("not in the registry", missing)
    if behind:
        return Outcome.REFUSED, _some("not promoted that far", behind)
    names = [base.name for base in facts.description.ancestors]
    return Outcome.HOLDS, _some("", names) if names else "nobody states a model that it was made from"


def _reached(stage: str, wanted: str, stages: Sequence[str]) -> bool:
    """Whether a stage is the wanted one or a later one; without a wanted one, any."""
    if not stage:
        return False
    if stage not in stages or wanted not in stages:
        return not wanted or stage == wanted
    return stages.index(stage) >= stages.index(wanted)


def _approvals(rule: Rule, _: Policy, facts: Facts) -> Answer:
    assert rule.approvals is not None
    demand = rule.approvals
    if facts.registered is None:
        return Outcome.UNKNOWN, "no registry was given (--registry), so nobody's approval is known"
    if facts.version is None:
        return Outcome.REFUSED, "these bytes aren't registered, so nobody has approved them"
    who = set()
    for one in facts.approvals:
        late = demand.max_age is not None and (facts.at - one.at).total_seconds() > demand.max_age
        meant = one.stage == facts.stage and one.at <= facts.at + _SKEW and not late
        if meant and (one.by in demand.by if demand.by else one.by != facts.version.added_by):
            who.add(one.by)
    if len(who) >= demand.count:
        return Outcome.HOLDS, _some("by", sorted(who))
    named = f" of {', '.join(demand.by)}" if demand.by else ", not by who registered it"
    return Outcome.REFUSED, f"{len(who)} of {demand.count}{named}" + (f" (by {', '.join(sorted(who))})" if who else "")


def _after(rule: Rule, policy: Policy, facts: Facts) -> Answer:
    if facts.registered is None:
        return Outcome.UNKNOWN, "no registry was given (--registry), so its stage isn't known"
    stage = facts.version.stage if facts.version else ""
    if _reached(stage, rule.after, policy.stages):
        return Outcome.HOLDS, f"it is in `{stage}`"
    return Outcome.REFUSED, f"it has to be in `{rule.after}` before; it is in " + (
        f"`{stage}`" if stage else "no stage"
    )


def _any(text: str, patterns: Sequence[str]) -> bool:
    return any(fnmatchcase(text, pattern) for pattern in patterns)


def _some(what: str, things: list[str]) -> str:
    more = f" and {len(things) - _SHOWN} more" if len(things) > _SHOWN else ""
    return f"{what}{': ' if what else ''}{'; '.join(things[:_SHOWN])}{more}"
