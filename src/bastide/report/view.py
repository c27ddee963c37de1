# SPDX-License-Identifier: Apache-2.0
"""What the report shows: names in place of ids, attack paths in words, and limits that are stated."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeVar

from bastide.catalog.model import Catalog
from bastide.plan.model import Component, Element, Fact, Flow, Plan, Value
from bastide.report.paths import Hop, hops
from bastide.report.svg import shape_of
from bastide.threats.model import (
    Assessment,
    ControlOption,
    Finding,
    FindingState,
    Label,
    Question,
    Rating,
    Recommendation,
    Severity,
    Term,
)

T = TypeVar("T")
FULL, LISTED, PARTS, QUESTIONS, RANKED = 300, 2000, 400, 200, 20
"""How many findings are shown in full, how many more in a line, how many parts, questions and controls."""

STATES: Mapping[FindingState, tuple[str, str]] = {
    FindingState.OPEN: ("Open findings", "Nothing in the plan stops these."),
    FindingState.MITIGATED: (
        "Mitigated",
        "A control or fact in the plan breaks every path; that is as good as the evidence for it.",
    ),
    FindingState.ACCEPTED: ("Accepted", "Somebody decided to live with these for a time."),
    FindingState.FALSE_POSITIVE: ("False positives", "Somebody decided that these do not apply."),
}


@dataclass(frozen=True, slots=True)
class Listed:
    """As many things as are shown, and how many there are."""

    shown: tuple[Any, ...]
    total: int

    @property
    def left(self) -> int:
        """How many are not shown."""
        return self.total - len(self.shown)


def listed(things: Sequence[T], limit: int) -> Listed:
    """The first of the things, up to the limit."""
    return Listed(tuple(things[:limit]), len(things))


@dataclass(frozen=True, slots=True)
class ControlView:
    """A control that bears on a finding, with what the catalogue says about it."""

    option: ControlOption
    title: str
    means: str
    how: str
    element: str


@dataclass(frozen=True, slots=True)
class RefView:
    """An entry of a framework. `url` is '' where none may be linked."""

    framework: str
    url: str
    entries: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class FindingView:
    """A finding and all that its box in the report says."""

    finding: Finding
    hops: tuple[Hop, ...]
    breaking: tuple[ControlView, ...]
    reducing: tuple[ControlView, ...]
    refs: tuple[RefView, ...]
    summary: str
    attack: tuple[str, ...]
    again: bool
    """Open again because its acceptance ran out."""


@dataclass(frozen=True, slots=True)
class StateView:
    """The findings of one state."""

    state: FindingState
    title: str
    means: str
    full: tuple[FindingView, ...]
    lines: tuple[Finding, ...]
    total: int

    @property
    def left(self) -> int:
        """How many are only counted."""
        return self.total - len(self.full) - len(self.lines)


@dataclass(frozen=True, slots=True)
class PartView:
    """A component or flow: its facts, its label, the findings on whose path it lies."""

    element: Element
    kind: str
    shape: str
    where: str
    facts: tuple[tuple[str, str, str], ...]
    unknown: tuple[str, ...]
    label: Label | None
    findings: tuple[Finding, ...]
    more: int


@dataclass(frozen=True, slots=True)
class RecommendationView:
    """A control to place."""

    recommendation: Recommendation
    title: str
    how: str
    element: str


class View:
    """Everything that the template asks for."""

    def __init__(self, plan: Plan, assessment: Assessment, catalog: Catalog) -> None:
        self.plan, self.assessment, self.catalog = plan, assessment, catalog
        self._parts: dict[str, Element] = {}
        for group in (plan.components, plan.flows, plan.data, plan.identities, plan.zones):
            self._parts |= group
        self._expired = frozenset(assessment.expired)
        self._by_id = {f.id: f for f in assessment.findings}

    def name(self, id: str) -> str:
        """What people call an element."""
        element = self._parts.get(id)
        if isinstance(element, Flow) and not element.name:
            arrow = "↔" if element.both_ways else "→"
            return f"{self.name(element.source)} {arrow} {self.name(element.target)}"
        return element.label if element else id

    @property
    def owner(self) -> str:
        """The owner in words."""
        owner = self.plan.owner
        if isinstance(owner, Mapping):
            return ", ".join(f"{key}: {value}" for key, value in list(owner.items())[:12])
        return str(owner or "")

    @property
    def severities(self) -> tuple[tuple[Severity, int], ...]:
        """Open findings by severity, worst first."""
        counts = Counter(f.severity for f in self.assessment.open)
        return tuple((s, counts[s]) for s in reversed(Severity))

    @cached_property
    def linked(self) -> frozenset[str]:
        """Ids of the findings that are on the page."""
        shown: set[str] = set()
        for state in self.states:
            shown |= {f.finding.id for f in state.full} | {f.id for f in state.lines}
        return frozenset(shown)

    @cached_property
    def states(self) -> tuple[StateView, ...]:
        """The findings by state, worst first in each; open ones come first and get most of the room."""
        room, lines = FULL, LISTED
        found = []
        for state, (title, means) in STATES.items():
            all = [f for f in self.assessment.findings if f.state is state]
            full, rest = all[:room], all[room : room + lines]
            room, lines = max(0, room - len(full)), lines - len(rest)
            found.append(StateView(state, title, means, tuple(map(self._finding, full)), tuple(rest), len(all)))
        return tuple(found)

    def _finding(self, finding: Finding) -> FindingView:
        threat = self.catalog.threats.get(finding.rule)
        controls = [self._control(o) for o in finding.controls]
        return FindingView(
            finding,
            tuple(hops(finding.path, self._parts, self.plan, self.catalog.vocabulary)),
            tuple(c for c in controls if c.option.breaks),
            tuple(c for c in controls if not c.option.breaks),
            tuple(self._refs(finding.refs)),
            threat.summary if threat else "",
            threat.attack if threat else (),
            finding.id in self._expired,
        )

    def _control(self, option: ControlOption) -> ControlView:
        known = self.catalog.controls.get(option.id)
        if known is None:
            return ControlView(option, option.id, "", "", self.name(option.element))
        return ControlView(option, known.title, known.means, known.how, self.name(option.element))

    def _refs(self, refs: Mapping[str, Iterable[str]]) -> Iterator[RefView]:
        for id, entries in refs.items():
            framework = self.catalog.frameworks.get(id)
            url = framework.url if framework and framework.url.startswith(("https://", "http://")) else ""
            names = tuple((entry, self.catalog.name_of(id, entry)) for entry in entries)
            yield RefView(framework.title if framework else id, url, names)

    @property
    def questions(self) -> Listed:
        """The open questions, heaviest first."""
        return listed(self.assessment.questions, QUESTIONS)

    def hanging(self, question: Question) -> Listed:
        """The findings of this report that hang on a question; `why` counts those that the answer could add."""
        return listed([self._by_id[id] for id in question.could_open if id in self._by_id], 5)

    @property
    def cheapest(self) -> tuple[RecommendationView, ...]:
        """The cheapest set of controls."""
        return tuple(map(self._recommendation, self.assessment.hardening.controls)) if self.assessment.hardening else ()

    @property
    def ranking(self) -> Listed:
        """Single controls, best first."""
        ranking = self.assessment.hardening.ranking if self.assessment.hardening else ()
        return listed(
            [self._recommendation(r) for r in ranking[:RANKED]] + [None] * max(0, len(ranking) - RANKED),
            RANKED,
        )

    @property
    def unbreakable(self) -> Listed:
        """Findings that no control breaks."""
        ids = frozenset(self.assessment.hardening.unbreakable) if self.assessment.hardening else frozenset()
        return listed([f for f in self.assessment.findings if f.id in ids], 30)

    def _recommendation(self, recommendation: Recommendation) -> RecommendationView:
        known = self.catalog.controls.get(recommendation.id)
        name = "the whole system" if recommendation.element == "system" else self.name(recommendation.element)
        return RecommendationView(
            recommendation, known.title if known else recommendation.id, known.how if known else "", name
        )

    @property
    def parts(self) -> Listed:
        """Components, then flows; where there are too many, those with the worst findings."""
        on: dict[str, list[Finding]] = {}
        for finding in self.assessment.open:
            for id in finding.path:
                on.setdefault(id, []).append(finding)
        every: list[Element] = [*self.plan.components.values(), *self.plan.flows.values()]
        if len(every) > PARTS:
            place = {f.id: n for n, f in enumerate(self.assessment.open)}
            last = len(place)
            every.sort(key=lambda e: place[on[e.id][0].id] if e.id in on else last)
        return Listed(tuple(self._part(e, on.get(e.id, [])) for e in every[:PARTS]), len(every))

    def _part(self, element: Element, findings: list[Finding]) -> PartView:
        kind, shape, where = "Flow", "", ""
        vocabulary = self.catalog.vocabulary
        if isinstance(element, Component):
            known = vocabulary.kinds.get(element.kind)
            kind, shape = (known.title if known else element.kind), shape_of(element, vocabulary)
            where = " in ".join(z.label for z in self.plan.zone_chain(element.zone))
        rows = [
            ("id", element.id, str(element.location) if element.location.line else ""),
            *self._structure(element),
        ]
        rows += [
            (name, said(fact.value), source(fact)) for name, fact in element.facts.items() if fact.value is not None
        ]
        unknown = tuple(name for name, fact in element.facts.items() if fact.value is None)
        label = self.assessment.labels.get(element.id)
        return PartView(
            element, kind, shape, where, tuple(rows), unknown, label, tuple(findings[:8]), len(findings[8:])
        )

    def _structure(self, element: Element) -> Iterator[tuple[str, str, str]]:
        """What isn't an attribute: platform, owner, identity, data."""
        if isinstance(element, Flow):
            yield "carries", ", ".join(map(self.name, element.data)) or "not stated", ""
        elif isinstance(element, Component):
            runs_as = self.name(element.runs_as) if element.runs_as else ""
            holds = ", ".join(map(self.name, element.holds))
            words = {"platform": element.platform, "owner": element.owner, "runs as": runs_as, "holds": holds}
            yield from ((name, value, "") for name, value in words.items() if value)


def said(value: Value | None) -> str:
    """The value of a fact in words."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, tuple):
        return ", ".join(value) or "none"
    return "unknown" if value is None else value


def source(fact: Fact) -> str:
    """Where a fact comes from."""
    place = fact.evidence or (str(fact.location) if fact.location.line else "")
    return f"{fact.source} {place}".strip()


def arithmetic(terms: Sequence[Term], result: int) -> str:
    """What to say when the terms don't add up to the result because it is bounded."""
    total = sum(t.points for t in terms)
    return f"adds up to {total}; bounded to {result}" if total != result else ""


def threshold(rating: Rating) -> str:
    """From which score on the severity holds."""
    bound = {Severity.CRITICAL: "from 20", Severity.HIGH: "from 12", Severity.MEDIUM: "from 6"}
    return bound.get(rating.severity, "below 6")
