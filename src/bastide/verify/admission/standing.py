# SPDX-License-Identifier: Apache-2.0
"""Demands about how a version stands in the registry: what it was made from, who approved it, where it was before. Pure."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from bastide.verify.admission.facts import Answer, Facts, holds, refused, some, unknown
from bastide.verify.admission.history import meant
from bastide.verify.admission.model import Evidence, Version
from bastide.verify.admission.policy import Approvals, Policy, Rule
from bastide.verify.signing.model import Check, Outcome

_SKEW = timedelta(minutes=5)
_NO_REGISTRY = "no registry was given (--registry)"


def person(name: str) -> str:
    """A name as it counts: how its letters are written makes no second person."""
    return " ".join(unicodedata.normalize("NFKC", name).casefold().split())


def bases(rule: Rule, policy: Policy, facts: Facts) -> Answer:
    """Every model that this one says it was made from is registered, or promoted."""
    if facts.description is None:
        return unknown("it wasn't described")
    if facts.registered is None:
        return unknown(_NO_REGISTRY)
    missing, behind = [], []
    for base in facts.description.ancestors:
        named = f"{base.name[:80]}{f'@{base.revision[:12]}' if base.revision else ''} ({base.origin})"
        versions = meant(base.name, base.revision, facts.registered.get(base.name, ()))
        if not versions:
            missing.append(named)
        elif rule.bases == "promoted" and not any(reached(v.stage, facts.stage, policy.stages) for v in versions):
            behind.append(named)
    if missing:
        return refused(some("not in the registry", missing), "`bastide models add` it under this name")
    if behind:
        return refused(some("not promoted that far", behind), "`bastide models promote` it first")
    if facts.description.unread:
        return unknown(some("what it was made from may stand where nothing was read", facts.description.unread))
    names = [base.name[:80] for base in facts.description.ancestors]
    return holds(some("", names) if names else "nobody states a model that it was made from")


def reached(stage: str, wanted: str, stages: Sequence[str]) -> bool:
    """Whether a stage is the wanted one or a later one; without a wanted one, any."""
    if not stage:
        return False
    if stage not in stages or wanted not in stages:
        return not wanted or stage == wanted
    return stages.index(stage) >= stages.index(wanted)


def approvals(rule: Rule, facts: Facts) -> Answer:
    """Enough different people have approved these bytes for this stage, not counting who registered them."""
    assert rule.approvals is not None
    if facts.registered is None:
        return unknown(f"{_NO_REGISTRY}, so nobody's approval is known")
    if facts.version is None:
        return refused("these bytes aren't registered, so nobody has approved them", "`bastide models add`")
    demand = rule.approvals
    who = _approving(demand, facts, facts.version)
    if len(who) >= demand.count:
        return holds(f"by {', '.join(who)}")
    said = f"{len(who)} of {demand.count}" + (f" (by {', '.join(who)})" if who else "")
    named = f", of {', '.join(demand.by)}" if demand.by else ""
    hint = f"`bastide models approve {facts.version} --for {facts.stage} --by NAME`"
    return refused(f"{said}{named}, not by who registered it ({facts.version.added_by})", hint)


def _approving(demand: Approvals, facts: Facts, version: Version) -> list[str]:
    """Everybody whose last word on this stage is an approval that still counts."""
    last = {person(one.by): one for one in facts.approvals if one.stage == facts.stage}
    wanted = {person(name) for name in demand.by}
    found = []
    for name, one in last.items():
        late = demand.max_age is not None and (facts.at - one.at).total_seconds() > demand.max_age
        counts = not one.withdrawn and not late and one.at <= facts.at + _SKEW
        if counts and name != person(version.added_by) and (not wanted or name in wanted):
            found.append(one.by)
    return sorted(found)


def after(rule: Rule, policy: Policy, facts: Facts) -> Answer:
    """It has been in a stage before."""
    if facts.registered is None:
        return unknown(f"{_NO_REGISTRY}, so its stage isn't known")
    stage = facts.version.stage if facts.version else ""
    if reached(stage, rule.after, policy.stages):
        return holds(f"it is in `{stage}`")
    hint = f"`bastide models promote {facts.version} --to {rule.after}`" if facts.version else "`bastide models add`"
    said = f"it is in {f'`{stage}`' if stage else 'no stage'}"
    return refused(f"it has to be in `{rule.after}` before; {said}", hint)


def gone(facts: Facts) -> Check | None:
    """Signatures and attestations that were there and aren't any more, with nothing newer from the same signer.

    Whoever can delete files could hide a bad evaluation behind an older good one.
    """
    first = {one.payload: one.seen for one in facts.seen}
    asked = [one for one in facts.seen if set(one.names) & set(facts.signers)]
    lost = [one for one in asked if not any(_replaces(new, one, first) for new in facts.present)]
    if not lost:
        return None
    said = [f"{one.type} by {', '.join(one.names) or one.signer} (sha256 {one.payload[:12]})" for one in lost]
    return Check(
        "evidence",
        Outcome.UNKNOWN,
        some("is not there for these bytes any more", said),
        hint="bring it back; if the files were changed on purpose, evaluate and sign them anew",
    )


def _replaces(new: Evidence, old: Evidence, first: Mapping[str, datetime]) -> bool:
    if new.payload == old.payload:
        return True
    since = first.get(new.payload, new.seen)
    return (new.type, new.signer) == (old.type, old.signer) and since > old.seen
