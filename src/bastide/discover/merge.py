# SPDX-License-Identifier: Apache-2.0
"""A written plan against what was found: what is the same, what nobody documented, what is missing, what contradicts, what can't be told. Pure.

The plan is authoritative for what was meant, discovery for what is there. What was not read this time is unverifiable, never removed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from bastide.discover.identify import slug
from bastide.discover.interpret import Fact as FoundFact
from bastide.discover.model import Place, State
from bastide.discover.plan import fitting
from bastide.discover.result import Discovery, Found
from bastide.errors import Location
from bastide.plan.model import Component, Fact, Plan, Source, Value
from bastide.plan.vocabulary import Attribute, Vocabulary

LINK = "x-found"
"""Key with which a person says which found components a written one is: `x-found: [infra.ollama]`."""
_SURE, _ALONE, _AHEAD = 5.0, 2.0, 1.0
_UNSEEN = ("actor", "ext")
"""People and others' systems aren't declared in a repository."""


NOWHERE = Place("")


class Standing(StrEnum):
    """How a part of the design relates to what is there."""

    MATCHED = "matched"
    UNDOCUMENTED = "undocumented"
    """Found, not designed."""
    MISSING = "missing"
    """Designed, and not in the files in which it stood."""
    CONTRADICTED = "contradicted"
    """Both say something, and not the same."""
    UNVERIFIABLE = "unverifiable"
    """Designed; the files that were read don't say."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One part of the comparison."""

    standing: Standing
    part: str
    """Id in the plan; for what is undocumented, the id that was found."""
    message: str
    """In terms of the design."""
    place: Place = NOWHERE
    """Where it was found."""
    location: Location = Location()
    """Where it stands in the plan."""
    attribute: str = ""
    designed: Value | None = None
    found: Value | None = None


@dataclass(frozen=True, slots=True)
class Merge:
    """The comparison of a plan with a discovery."""

    pairs: Mapping[str, str]
    """Id in the plan -> id that was found."""
    differences: tuple[Difference, ...]

    def of(self, *standings: Standing) -> list[Difference]:
        """The differences of some kinds."""
        return [d for d in self.differences if d.standing in standings]


def merge(plan: Plan, found: Discovery, vocabulary: Vocabulary) -> Merge:
    """Compares components, their facts, and flows between components that are known on both sides."""
    pairs = match(plan, found, vocabulary)
    back = {f: p for p, f in pairs.items()}
    differences = [
        *_components(plan, found, pairs, vocabulary),
        *(d for p, f in pairs.items() for d in _facts(plan.components[p], found.components[f], vocabulary)),
        *_flows(plan, found, back),
    ]
    return Merge(pairs, tuple(differences))


# --- which is which -----------------------------------------------------------------------------------------------------
def match(plan: Plan, found: Discovery, vocabulary: Vocabulary) -> dict[str, str]:
    """Id in the plan -> id that was found: by what a person said, then by name, kind and platform, the likeliest first, each used once."""
    said = {c.id: f for c in plan.components.values() for f in _said(c) if f in found.components}
    candidates = sorted(
        (
            (_likeness(c, f, vocabulary), c.id, f.id)
            for c in plan.components.values()
            for f in found.components.values()
        ),
        key=lambda x: (-x[0], x[1], x[2]),
    )
    pairs, used = dict(said), set(said.values())
    for points, written, there in candidates:
        if points >= _SURE and written not in pairs and there not in used:
            pairs[written] = there
            used.add(there)
    rest = [x for x in candidates if x[0] >= _ALONE and x[1] not in pairs and x[2] not in used]
    for points, written, there in rest:
        # Little speaks for it: only when nothing else comes near, on either side.
        if all(
            x == (points, written, there) or x[0] + _AHEAD <= points for x in rest if written == x[1] or there == x[2]
        ):
            pairs[written] = there
    return pairs


def _said(component: Component) -> list[str]:
    written = component.extensions.get(LINK, ())
    return [written] if isinstance(written, str) else [str(w) for w in written] if isinstance(written, list) else []


def _likeness(component: Component, there: Found, vocabulary: Vocabulary) -> float:
    kind = _kinship(component.kind, there.kind, vocabulary)
    if not kind:
        return 0.0
    names = {slug(component.id), slug(component.name)} - {""}
    others = {slug(there.id), slug(there.name), there.id.rpartition(".")[2]} - {""}
    if names & others:
        return kind + 6.0
    mine, theirs = _words(names), _words(others)
    shared = 4.0 * len(mine & theirs) / len(mine | theirs) if mine | theirs else 0.0
    platform = 2.0 if component.platform and _family(component.platform) == _family(there.platform) else 0.0
    return kind + shared + platform


def _kinship(kind: str, other: str, vocabulary: Vocabulary) -> float:
    if kind == other:
        return 2.0
    one, two = vocabulary.kinds.get(kind), vocabulary.kinds.get(other)
    if one is None or two is None:
        return 0.0
    if one.is_a(other) or two.is_a(kind):
        return 1.5
    return 0.5 if kind.partition(".")[0] == other.partition(".")[0] else 0.0


def _words(names: Iterable[str]) -> set[str]:
    return {w for n in names for w in re.split(r"[^a-z0-9]+", n) if len(w) > 2}


def _family(platform: str) -> str:
    return platform.partition(".")[0]


# --- components ---------------------------------------------------------------------------------------------------------
def _components(plan: Plan, found: Discovery, pairs: Mapping[str, str], vocabulary: Vocabulary) -> Iterator[Difference]:
    for component in plan.components.values():
        if component.id in pairs:
            place = _place(found.components[pairs[component.id]])
            yield Difference(
                Standing.MATCHED, component.id, f"{component.label} is {pairs[component.id]}", place, component.location
            )
        elif not component.kind.startswith(_UNSEEN):
            yield _not_found(component, found)
    used = set(pairs.values())
    for there in found.components.values():
        if there.id not in used and there.kind in vocabulary.kinds and not there.kind.startswith("actor"):
            title = vocabulary.kinds[there.kind].title.lower()
            message = f"{there.name or there.id} ({title}) is there; the design doesn't have it"
            yield Difference(Standing.UNDOCUMENTED, there.id, message, _place(there))


def _not_found(component: Component, found: Discovery) -> Difference:
    files = {
        f.evidence.rpartition(":")[0] for f in component.facts.values() if f.source is Source.DISCOVERED and f.evidence
    }
    unread = {p.place.file for p in found.problems if p.hides}
    if files and files <= found.files - unread:
        message = f"{component.label} is in the design; it no longer stands in {', '.join(sorted(files))}"
        return Difference(Standing.MISSING, component.id, message, location=component.location)
    message = f"{component.label} is in the design; the files that were read don't show it"
    return Difference(Standing.UNVERIFIABLE, component.id, message, location=component.location)


def _place(there: Found) -> Place:
    return there.provenance[0] if there.provenance else NOWHERE


# --- facts --------------------------------------------------------------------------------------------------------------
def _facts(component: Component, there: Found, vocabulary: Vocabulary) -> Iterator[Difference]:
    for attribute in vocabulary.attributes_of(vocabulary.kinds[component.kind]):
        fact = component.facts.get(attribute.name)
        if fact is None or fact.source is Source.ASSUMED or fact.value is None:
            continue
        other = there.facts.get(attribute.name)
        if other is None or other.value is None or other.state in (State.UNKNOWN, State.CONDITIONAL):
            if other is not None:
                message = f"{component.label}: {attribute.name} depends on what isn't in the files"
                yield Difference(
                    Standing.UNVERIFIABLE, component.id, message, other.place, fact.location, attribute.name, fact.value
                )
            continue
        value = fitting(attribute, other.value)
        if value is not None and value != fact.value:
            yield _contradiction(component, attribute, fact, other, value)


def _contradiction(
    component: Component, attribute: Attribute, fact: Fact, other: FoundFact, value: Value
) -> Difference:
    shown, designed = _text(value), _text(fact.value)
    default = " by default" if other.state is State.DEFAULT else ""
    message = f"{component.label}: the design says {attribute.name} {designed}; it is {shown}{default}{_worse(attribute, fact.value, value)}"
    return Difference(
        Standing.CONTRADICTED, component.id, message, other.place, fact.location, attribute.name, fact.value, value
    )  # fmt: skip


def _worse(attribute: Attribute, designed: Value | None, found: Value) -> str:
    if attribute.ordered and designed in attribute.values and found in attribute.values:
        return (
            " (more than designed)"
            if attribute.values.index(str(found)) > attribute.values.index(str(designed))
            else ""
        )
    return ""


def _text(value: Value | None) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return ", ".join(value) if isinstance(value, tuple) else str(value)


# --- flows --------------------------------------------------------------------------------------------------------------
def _flows(plan: Plan, found: Discovery, back: Mapping[str, str]) -> Iterator[Difference]:
    """Flows between components of the design that the design doesn't draw. A drawn one that isn't found proves nothing."""
    drawn = {(f.source, f.target) for f in plan.flows.values()}
    drawn |= {(f.target, f.source) for f in plan.flows.values() if f.both_ways}
    seen = set()
    for flow in found.flows:
        ends = back.get(flow.source), back.get(flow.target)
        if None in ends or ends in drawn or flow.verb in ("runs-as", "trusts") or ends in seen or ends[0] == ends[1]:
            continue
        seen.add(ends)
        one, other = (plan.components[e].label for e in ends if e is not None)
        place = flow.provenance[0] if flow.provenance else NOWHERE
        message = f"{one} {_SAID.get(flow.verb, flow.verb)} {other}; the design draws no such flow"
        yield Difference(Standing.UNDOCUMENTED, f"{ends[0]}->{ends[1]}", message, place)


_SAID: Mapping[str, str] = {"invokes": "can invoke", "writes": "can write to", "reads": "can read", "retrieves": "retrieves from", "loads": "loads",
                            "hands-off": "hands off to", "logs": "logs to", "trains": "trains"}  # fmt: skip
