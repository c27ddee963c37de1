# SPDX-License-Identifier: Apache-2.0
"""Turns witnesses into findings that say why, where and what to do."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from bastide.catalog.model import Catalog, Control, Threat
from bastide.errors import Location
from bastide.plan.model import Component, Element, Fact, Flow, Source
from bastide.threats.lookups import plain_id
from bastide.threats.match import Matcher, Witness, origin_levels
from bastide.threats.model import ControlOption, ControlState, Finding, FindingState
from bastide.threats.predicates import Index, Unknown
from bastide.threats.presence import Presence, element_type
from bastide.threats.questions import Doubt
from bastide.threats.rating import Rater
from bastide.threats.shape import Shape

MAX_REASONS = 24
_PLACEHOLDER = re.compile(r"\{([a-z][a-z0-9-]*)\}")
IN_PLACE = (ControlState.CLAIMED, ControlState.IMPLEMENTED, ControlState.VERIFIED)


def finding_id(rule: str, sink: str) -> str:
    """The stable id of a finding: it depends on the rule and the sink's element, on nothing else."""
    return "B-" + hashlib.sha256(f"{rule}\0{sink}".encode("utf-8", "surrogatepass")).hexdigest()[:10]


@dataclass(frozen=True, slots=True)
class Explainer:
    """Explains witnesses on one plan."""

    index: Index
    catalog: Catalog
    presence: Presence
    rater: Rater

    def finding(self, threat: Threat, witness: Witness, state: FindingState) -> Finding:
        """The finding for a witness."""
        return Finding(
            id=finding_id(threat.id, witness.sink),
            rule=threat.id,
            title=threat.title,
            message=self.message(threat, witness),
            rating=self.rater.rate(threat, witness, self._reducing(threat, witness)),
            state=state,
            elements=witness.elements,
            path=witness.path,
            reasons=tuple(self.reasons(threat, witness))[:MAX_REASONS],
            controls=self.options(threat, witness),
            refs=threat.refs,
            location=self._element(witness.sink).location,
        )

    def message(self, threat: Threat, witness: Witness) -> str:
        """The rule's sentence with names put in; names are data and are never formatted again."""
        names = {role: self._name(threat, role, self._element(id)) for role, id in witness.elements.items()}
        return _PLACEHOLDER.sub(lambda found: names.get(found[1], found[0]), threat.finding)

    def _name(self, threat: Threat, role: str, element: Element) -> str:
        """What to call an element in a role: for a store in which foreign content starts, those who write it."""
        levels = origin_levels(threat.roles[role].where) if role in threat.roles else frozenset()
        if not levels or not isinstance(element, Component) or self._writes(element):
            return element.label
        for asset in element.holds:
            data = self.index.plan.data[asset]
            if data.value("written-by") in levels:
                return f"{data.value('written-by')} authors of {data.label}"
        return element.label

    def _writes(self, component: Component) -> bool:
        """Whether the component is an author itself, not a store of what others wrote."""
        kind = self.index.vocabulary.kinds.get(component.kind)
        return component.value("trust") is not None or (kind is not None and kind.origin is not None)

    def reasons(self, threat: Threat, witness: Witness) -> Iterator[str]:
        """What the finding rests on: the facts that made each role fit, with their places."""
        for role, spec in threat.roles.items():
            element = self._element(witness.bound[role])
            what = _what(element)
            facts = self.index.facts_behind(spec.where, element)
            said = dict.fromkeys(text for other, name in facts if (text := self._fact(other, name, element)))
            detail = f": {'; '.join(said)}" if said else ""
            yield f"{role} is `{element.id}`, {what}{detail} ({element.location})"

    def options(self, threat: Threat, witness: Witness) -> tuple[ControlOption, ...]:
        """The controls of the rule with the elements of the witness on which they are or could be; those that break it first."""
        found: list[ControlOption] = []
        for breaks, controls in ((True, threat.breaks), (False, threat.reduces)):
            for control in controls:
                places = tuple(self.places(threat, witness, control, controls[control]))
                states = [(e, self.presence.state(control, e)) for e in places]
                there = [(e, s) for e, s in states if s in IN_PLACE]
                # Where it stands already, or else the best place: the last one, nearest to the harm.
                for element, state in there or states[-1:]:
                    found.append(ControlOption(control, element, state, breaks, self.presence.by(control, element)))
        return tuple(found)

    def places(self, threat: Threat, witness: Witness, control: str, places: Iterable[str]) -> Iterator[str]:
        """The elements of the witness at which a control of the rule works and can stand."""
        known = self.catalog.controls.get(control)
        for element in dict.fromkeys(placed_at(threat, witness, places)):
            if known is None or can_stand(known, self._element(element), self.index):
                yield element

    def doubts(self, threat: Threat, witness: Witness, matcher: Matcher) -> Iterator[Doubt]:
        """The unknown facts on a witness that holds only if they turn out badly."""
        unknown = dict.fromkeys(
            (*self._unknown_facts(witness, matcher.shape(threat), matcher), *self._unknown_controls(threat, witness))
        )
        if unknown:
            rating = self.rater.rate(threat, witness, self._reducing(threat, witness))
            for one in unknown:
                yield Doubt(one, finding_id(threat.id, witness.sink), threat.title, rating, share=len(unknown))

    def _unknown_facts(self, witness: Witness, shape: Shape, matcher: Matcher) -> Iterator[Unknown]:
        for role, where in shape.where.items():
            id = witness.bound[role]
            if id in matcher.satisfying(shape, role)[1]:
                yield from self.index.unknowns(where, self._element(id))
            elif id in matcher.authors_in_doubt(shape, role):
                yield from self.index.authors_unknown(self._element(id))
        for edge, ids in witness.spans:
            for id in ids:
                element = self._element(id)
                passing = edge.where if isinstance(element, Flow) else edge.via
                if passing is not None:
                    yield from self.index.unknowns(passing, element)

    def _unknown_controls(self, threat: Threat, witness: Witness) -> Iterator[Unknown]:
        for control, places in threat.breaks.items():
            for id in placed_at(threat, witness, places):
                if self.presence.state(control, id) is ControlState.UNKNOWN:
                    yield from self.presence.unknowns(control, id)

    def rating_doubts(self, threat: Threat, witness: Witness, finding: Finding) -> Iterator[Doubt]:
        """Unknown facts that change only the rating."""
        for one in dict.fromkeys(self.rater.asked(threat, witness)):
            yield Doubt(one, finding.id, finding.title, finding.rating, share=4, opens=False)

    def _reducing(self, threat: Threat, witness: Witness) -> int:
        """How many reducing controls are in place on a witness."""
        standing = ((places, self.presence.standing(control).present) for control, places in threat.reduces.items())
        return sum(any(e in there for e in placed_at(threat, witness, places)) for places, there in standing if there)

    def _element(self, id: str) -> Element:
        return self.index.parts[id]

    def _fact(self, element: Element, name: str, role: Element) -> str:
        fact: Fact | None = element.facts.get(name)
        if fact is None or fact.value is None:
            return ""
        value = (
            ", ".join(fact.value)
            if isinstance(fact.value, tuple)
            else str(fact.value).lower()
            if isinstance(fact.value, bool)
            else fact.value
        )
        owner = "" if element is role else f"`{plain_id(element.id)}` "
        where = "" if fact.location == Location() else f" at {fact.location}"
        source = "by default" if fact.source is Source.ASSUMED and not where else fact.source.value
        return f"{owner}{name} {value} ({source}{where})"


def placed_at(threat: Threat, witness: Witness, places: Iterable[str]) -> Iterator[str]:
    """The elements of a witness that a rule's places mean."""
    for place in places:
        if place == "path":
            yield from witness.path
        elif place in witness.bound:
            yield witness.bound[place]
        else:
            for edge, ids in witness.spans:
                if place in edge.places:
                    yield from ids
            for number, leg in enumerate(threat.legs):
                if leg.name == place and leg.kind == "flow":
                    yield witness.bound[leg.role or f"#{number}"]


def can_stand(control: Control, element: Element, index: Index) -> bool:
    """Whether a control may be placed on an element."""
    if not isinstance(element, Component):
        return element_type(element) in control.on
    kind = index.vocabulary.kinds.get(element.kind)
    return kind is not None and not kind.ancestors.isdisjoint(control.on)


def _what(element: Element) -> str:
    if isinstance(element, Component):
        return f"kind {element.kind}"
    if isinstance(element, Flow):
        return f"a flow from {element.source} to {element.target}"
    return {"data": "a data asset", "identity": "an identity", "zone": "a zone"}[element_type(element)]
