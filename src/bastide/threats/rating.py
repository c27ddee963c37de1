# SPDX-License-Identifier: Apache-2.0
"""Impact times likelihood, with every term; the scheme is described in docs/rules.md."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from bastide.catalog.model import Catalog, Threat
from bastide.plan.model import Component, Data, Element, Flow, Identity, Plan
from bastide.threats.match import Witness
from bastide.threats.model import Rating, Term
from bastide.threats.predicates import Index, Unknown
from bastide.threats.presence import Presence

CLASS_POINTS = {"public": 1, "internal": 2, "confidential": 3, "restricted": 4}
EFFECT_POINTS = {"none": 1, "read": 2, "reversible": 3, "irreversible": 4}
PRIVILEGE_POINTS = {"scoped": 2, "broad": 3, "admin": 5}
MATURITY_POINTS = {"realized": 3, "demonstrated": 2, "feasible": 1}
SENSITIVE = ("personal", "payment", "credentials")
UNKNOWN_CLASS = 3
MAX_REDUCTION = 2
ATLAS = "mitre-atlas"


class Rater:
    """Rates witnesses of rules against one plan."""

    def __init__(self, index: Index, catalog: Catalog, presence: Presence) -> None:
        """`presence` tells which reducing controls are in place."""
        self.index, self.catalog, self.presence = index, catalog, presence
        self._priors: dict[str, Term] = {}
        self._data_terms: dict[str, Term] = {}
        self._handled: dict[str, list[Data]] = {}
        self._effective = index.kinds_with("side-effect")

    @property
    def plan(self) -> Plan:
        """The plan."""
        return self.index.plan

    def rate(self, threat: Threat, witness: Witness, reducing: int) -> Rating:
        """The rating of one witness; `reducing` is the number of reducing controls on it."""
        impact = _within(self._impact(threat, witness), threat.impact.at_most)
        likelihood = _within((self.prior(threat), *self._likelihood(witness, reducing)), 5)
        return Rating(
            impact=sum(t.points for t in impact),
            likelihood=sum(t.points for t in likelihood),
            impact_terms=impact,
            likelihood_terms=likelihood,
        )

    def asked(self, threat: Threat, witness: Witness) -> Iterator[Unknown]:
        """The facts whose absence the rating had to assume something about."""
        for role in threat.impact.data:
            for data in self._data_of(witness, role):
                if data.value("class") is None:
                    yield Unknown(data.id, "class")
        for role in threat.impact.effect:
            element = self._element(witness, role)
            if (
                isinstance(element, Component)
                and element.kind in self._effective
                and element.value("side-effect") is None
            ):
                yield Unknown(element.id, "side-effect")
        for role in threat.impact.privilege:
            element = self._element(witness, role)
            identity = self.plan.identities.get(element.runs_as or "") if isinstance(element, Component) else element
            if isinstance(identity, Identity) and identity.value("privilege") is None:
                yield Unknown(identity.id, "privilege")

    def prior(self, threat: Threat) -> Term:
        """How often the technique is seen: the highest ATLAS maturity among the rule's references, or the rule's own figure."""
        if threat.id not in self._priors:
            self._priors[threat.id] = self._prior(threat)
        return self._priors[threat.id]

    def _prior(self, threat: Threat) -> Term:
        if threat.likelihood is not None:
            return Term(threat.likelihood, threat.likelihood_why or "prior of the rule")
        best: tuple[int, str, str] = (0, "", "")
        for framework, ids in threat.refs.items():
            if framework.startswith(ATLAS + ":"):
                for id in ids:
                    entry = (
                        self.catalog.frameworks[framework].entries.get(id)
                        if framework in self.catalog.frameworks
                        else None
                    )
                    maturity = str(entry.facts.get("maturity", "")) if entry else ""
                    best = max(best, (MATURITY_POINTS.get(maturity, 0), id, maturity), key=lambda b: b[0])
        points, id, maturity = best
        return Term(max(points, 1), f"ATLAS rates {id} as {maturity}" if id else "no record of it in the wild")

    # -- impact -------------------------------------------------------------------------------------------------
    def _impact(self, threat: Threat, witness: Witness) -> Iterator[Term]:
        rule = threat.impact
        candidates: list[Term] = [Term(rule.at_least, "the least that this threat does")]
        for role in rule.data:
            candidates += [self._data_terms.get(d.id) or self._data_term(d) for d in self._data_of(witness, role)]
        for role in rule.effect:
            effect = self._element(witness, role).value("side-effect")
            if isinstance(effect, str):
                candidates.append(Term(EFFECT_POINTS[effect], f"side effect of `{witness.bound[role]}`: {effect}"))
        for role in rule.privilege:
            candidates += self._privilege(self._element(witness, role))
        yield max(candidates, key=lambda t: t.points)
        critical = [e.id for e in self._roles(witness) if e.value("safety-critical") is True]
        if critical:
            yield Term(1, f"`{critical[0]}` is safety-critical")

    def _data_term(self, data: Data) -> Term:
        name = data.value("class")
        points = CLASS_POINTS.get(str(name), UNKNOWN_CLASS)
        why = (
            f"data `{data.id}` is {name}" if name else f"class of data `{data.id}` is unknown, counted as confidential"
        )
        contains = data.value("contains")
        sensitive = [c for c in contains if c.split(".")[0] in SENSITIVE] if isinstance(contains, tuple) else []
        many = data.value("tenants") == "many"
        if points >= CLASS_POINTS["confidential"] and (sensitive or many):
            points, why = points + 1, f"{why} and holds {'data of many tenants' if many else sensitive[0]}"
        self._data_terms[data.id] = Term(points, why)
        return self._data_terms[data.id]

    def _privilege(self, element: Element) -> Iterator[Term]:
        identity = self.plan.identities.get(element.runs_as or "") if isinstance(element, Component) else element
        if isinstance(identity, Identity):
            privilege = identity.value("privilege")
            if isinstance(privilege, str):
                yield Term(PRIVILEGE_POINTS[privilege], f"rights of `{identity.id}`: {privilege}")

    def _data_of(self, witness: Witness, role: str) -> Iterable[Data]:
        """The data assets that a role holds, carries or is."""
        element = self._element(witness, role)
        if isinstance(element, Data):
            return [element]
        if isinstance(element, Flow):
            return [self.plan.data[d] for d in element.data]
        if element.id not in self._handled:
            flows = (*self.index.incoming.get(element.id, ()), *self.index.outgoing.get(element.id, ()))
            held = element.holds if isinstance(element, Component) else ()
            self._handled[element.id] = [
                self.plan.data[d] for d in dict.fromkeys((*held, *(d for f in flows for d in f.data)))
            ]
        return self._handled[element.id]

    # -- likelihood ---------------------------------------------------------------------------------------------
    def _likelihood(self, witness: Witness, reducing: int) -> Iterator[Term]:
        attackers = [e for e in self._attackers(witness) if isinstance(e, Component)]
        if attackers:
            yield from self._position(attackers)
        autonomy = [(e.id, e.value("autonomy")) for e in self._roles(witness)]
        for id, value in autonomy:
            if value == "acts-alone":
                yield Term(1, f"`{id}` acts alone")
                break
        else:
            for id, value in autonomy:
                if value == "suggests":
                    yield Term(-1, f"`{id}` only suggests")
                    break
        if reducing:
            yield Term(
                -min(reducing, MAX_REDUCTION), f"{reducing} reducing control{'s' if reducing > 1 else ''} in place"
            )

    def _position(self, attackers: Iterable[Component]) -> Iterator[Term]:
        for component in attackers:
            origins = {self.index.graph.origins.get(n) for n in self.index.origin_nodes(component)}
            exposed = component.value("internet-facing") is True
            if exposed or "public" in origins or self.index.zone_trust(component) == "none":
                yield Term(1, f"`{component.id}` needs no account or inside access")
                return
        for component in attackers:
            origins = {self.index.graph.origins.get(n) for n in self.index.origin_nodes(component)} - {None}
            if origins and origins <= {"developer", "system"}:
                yield Term(-1, f"the attacker must act as staff at `{component.id}`")
                return

    def _attackers(self, witness: Witness) -> Iterable[Element]:
        """Where the attack starts: the role at the beginning of the witness' path, or else the sink's callers."""
        first = next((self.plan.components[id] for id in witness.path if id in self.plan.components), None)
        if first is None:
            return ()
        if len(witness.path) == 1:
            exposed = first.value("internet-facing") is True
            callers = [
                self.plan.components[f.source] for f in self.index.incoming.get(first.id, ()) if f.source != first.id
            ]
            return [first, *callers] if exposed or callers else ()
        return [first]

    # -- look-ups -----------------------------------------------------------------------------------------------
    def _element(self, witness: Witness, role: str) -> Element:
        return self.index.parts[witness.bound[role]]

    def _roles(self, witness: Witness) -> list[Element]:
        return [self._element(witness, role) for role in witness.elements]


def _within(terms: Iterable[Term], most: int) -> tuple[Term, ...]:
    """The terms, with one more where the sum leaves the scale: what is shown adds up to what counts."""
    found = tuple(terms)
    total = sum(t.points for t in found)
    if total > most:
        return (*found, Term(most - total, f"never above {most}"))
    return (*found, Term(1 - total, "never below 1")) if total < 1 else found
