# SPDX-License-Identifier: Apache-2.0
"""What changed between two plans, in words: parts that came, went or changed, and claims about controls."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from bastide.plan.model import Component, ControlClaim, Element, Fact, Flow, Identity, Plan, Source, Zone

PartType = Literal["component", "flow", "data", "zone", "identity"]


@dataclass(frozen=True, slots=True)
class Part:
    """A part that only one of the plans has."""

    type: PartType
    id: str


@dataclass(frozen=True, slots=True)
class Changed:
    """A part that both plans have, differently."""

    type: PartType
    id: str
    differences: tuple[str, ...]
    """Each difference as a phrase, such as "`authentication` was `none`, is `sso`"."""


@dataclass(frozen=True, slots=True)
class PlanChanges:
    """All that differs. Two plans with the same digest have none of it."""

    system: tuple[str, ...] = ()
    """Differences of the system as a whole: name, purpose, owner, exposure."""
    added: tuple[Part, ...] = ()
    removed: tuple[Part, ...] = ()
    changed: tuple[Changed, ...] = ()
    claims_added: tuple[str, ...] = ()
    """Claims in words, such as "`human-approval` on `refund-call`"."""
    claims_removed: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        """Whether anything changed."""
        parts = (self.system, self.added, self.removed, self.changed, self.claims_added, self.claims_removed)
        return any(parts)


def compare_plans(old: Plan, new: Plan) -> PlanChanges:
    """What is different in `new`. Parts are matched by id; where a part stands in its file doesn't matter."""
    before, after = dict(_parts(old)), dict(_parts(new))
    return PlanChanges(
        system=tuple(_differences(_system(old), _system(new))),
        added=tuple(Part(*key) for key in after if key not in before),
        removed=tuple(Part(*key) for key in before if key not in after),
        changed=tuple(_changed(before, after)),
        claims_added=_claims(new, old),
        claims_removed=_claims(old, new),
    )


def _parts(plan: Plan) -> Iterator[tuple[tuple[PartType, str], Element]]:
    groups: tuple[tuple[PartType, Mapping[str, Element]], ...] = (
        ("component", plan.components),
        ("flow", plan.flows),
        ("data", plan.data),
        ("zone", plan.zones),
        ("identity", plan.identities),
    )
    return (((type_, id), part) for type_, group in groups for id, part in group.items())


def _changed(
    before: Mapping[tuple[PartType, str], Element], after: Mapping[tuple[PartType, str], Element]
) -> Iterator[Changed]:
    for key, old in before.items():
        new = after.get(key)
        if new is None:
            continue
        found = [*_differences(_structure(old), _structure(new)), *_facts(old.facts, new.facts)]
        if found:
            yield Changed(*key, tuple(found))


def _system(plan: Plan) -> dict[str, Any]:
    own = {"system": plan.id, "name": plan.name, "purpose": plan.purpose, "owner": plan.owner}
    return {**own, "exposure": plan.exposure, **plan.extensions}


def _structure(part: Element) -> dict[str, Any]:
    """What a part says beside its facts, by the name that it has in the file."""
    found: dict[str, Any] = {"name": part.name, "description": part.description, "tags": part.tags}
    if isinstance(part, Component):
        found |= {"kind": part.kind, "zone": part.zone, "platform": part.platform, "owner": part.owner}
        found |= {"runs-as": part.runs_as, "holds": part.holds}
    elif isinstance(part, Flow):
        found |= {"from": part.source, "to": part.target, "both ways": part.both_ways, "data": part.data}
    elif isinstance(part, Zone):
        found["in"] = part.parent
    else:
        found["owner"] = getattr(part, "owner", "")
    if isinstance(part, Identity):
        found["grants"] = tuple(f"{', '.join(g.actions) or 'nothing'} on {g.on}" for g in part.grants)
    return {**found, **part.extensions}


def _differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[str]:
    for key in dict.fromkeys([*old, *new]):
        was, now = old.get(key), new.get(key)
        if was == now and type(was) is type(now):
            continue
        if isinstance(was, tuple) and isinstance(now, tuple):
            yield f"`{key}`: {_list_change(was, now)}"
        else:
            yield f"`{key}` was {_shown(was)}, is {_shown(now)}"


def _list_change(old: tuple[Any, ...], new: tuple[Any, ...]) -> str:
    came = [f"+ {_shown(v)}" for v in new if v not in old]
    went = [f"- {_shown(v)}" for v in old if v not in new]
    return ", ".join([*went, *came]) or "in another order"


def _facts(old: Mapping[str, Fact], new: Mapping[str, Fact]) -> Iterator[str]:
    for name in dict.fromkeys([*old, *new]):
        was, now = old.get(name), new.get(name)
        if _said(was) == _said(now):
            continue
        before, after = _value(was), _value(now)
        if before == after and was is not None and now is not None:
            yield f"`{name}` ({before}) was {_provenance(was)}, is {_provenance(now)}"
        else:
            yield f"`{name}` was {before}, is {after}"


def _said(fact: Fact | None) -> tuple[Any, ...] | None:
    """What of a fact counts in a comparison; a fact that was never stated counts by its value only."""
    if fact is None:
        return None
    return fact.value, fact.source, "" if fact.source is Source.ASSUMED else fact.evidence


def _value(fact: Fact | None) -> str:
    if fact is None:
        return "not stated"
    if fact.value is None:
        return "unknown"
    shown = _shown(fact.value)
    return f"{shown} by default" if fact.source is Source.ASSUMED else shown


def _provenance(fact: Fact) -> str:
    return f"{fact.source.value} at {_shown(fact.evidence)}" if fact.evidence else fact.source.value


def _shown(value: Any) -> str:
    if value is None or value == "":
        return "not stated"
    if value in ((), [], {}):
        return "nothing"
    if value is True or value is False:
        return "`yes`" if value else "`no`"
    if isinstance(value, (list, tuple)):
        return ", ".join(map(_shown, value))
    text = str(value)
    return f"`{text[:80]}...`" if len(text) > 80 else f"`{text}`"


def _claims(plan: Plan, other: Plan) -> tuple[str, ...]:
    """The claims of `plan` that `other` doesn't make, in words."""
    left = Counter(_claim(c) for c in other.claims)
    found = []
    for words in map(_claim, plan.claims):
        if left[words]:
            left[words] -= 1
        else:
            found.append(words)
    return tuple(found)


def _claim(claim: ControlClaim) -> str:
    words = f"`{claim.control}` on {_shown(claim.on)}"
    if claim.by:
        words += f" by {_shown(claim.by)}"
    if claim.source is not Source.DECLARED or claim.evidence:
        words += f" ({claim.source.value}{f' at {_shown(claim.evidence)}' if claim.evidence else ''})"
    return words
