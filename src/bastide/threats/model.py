# SPDX-License-Identifier: Apache-2.0
"""What an assessment says: findings with their paths and reasons, questions, and the controls that help most."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from bastide.errors import Location


class Severity(StrEnum):
    """How bad a finding is, from the risk score."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    CRITICAL = "critical"

    @property
    def rank(self) -> int:
        """0 for low to 3 for critical."""
        return list(Severity).index(self)


class FindingState(StrEnum):
    """What became of a finding."""

    OPEN = "open"
    MITIGATED = "mitigated"
    """Controls or facts that the plan claims break every path; as good as the evidence for them."""
    ACCEPTED = "accepted"
    FALSE_POSITIVE = "false-positive"


class ControlState(StrEnum):
    """Whether a control is there, as far as the plan and evidence say."""

    REQUIRED = "required"
    """Not there; it would help."""
    UNKNOWN = "unknown"
    """The plan doesn't say; a question."""
    CLAIMED = "claimed"
    """The plan says so."""
    IMPLEMENTED = "implemented"
    """A configuration shows it."""
    VERIFIED = "verified"
    """A test shows it."""


@dataclass(frozen=True, slots=True)
class Term:
    """One step of the arithmetic of a rating: `+1 the attacker needs no account`."""

    points: int
    why: str


@dataclass(frozen=True, slots=True)
class Rating:
    """Impact times likelihood, each 1 to 5, with every term."""

    impact: int
    likelihood: int
    impact_terms: tuple[Term, ...]
    likelihood_terms: tuple[Term, ...]

    @property
    def score(self) -> int:
        """1 to 25."""
        return self.impact * self.likelihood

    @property
    def severity(self) -> Severity:
        """Critical from 20, high from 12, medium from 6."""
        bounds = ((20, Severity.CRITICAL), (12, Severity.HIGH), (6, Severity.MEDIUM))
        return next((s for bound, s in bounds if self.score >= bound), Severity.LOW)


@dataclass(frozen=True, slots=True)
class ControlOption:
    """A control that bears on a finding, and an element on which it is or should be."""

    id: str
    element: str
    state: ControlState
    breaks: bool
    """True: it makes the attack impossible. False: it only makes it less likely."""
    by: str = ""
    """What implements it, if the plan says."""


@dataclass(frozen=True, slots=True)
class Finding:
    """A threat that a rule found in a plan, with one shortest witness."""

    id: str
    """`B-` and 10 hex digits: a hash of the rule and the element bound to its sink; no unrelated change alters it."""
    rule: str
    title: str
    message: str
    """The rule's sentence with the names of the bound elements."""
    rating: Rating
    state: FindingState
    elements: Mapping[str, str]
    """Role -> element id, for the witness shown."""
    path: tuple[str, ...]
    """Ids of components and flows along which the attack goes, in order, without repeats."""
    reasons: tuple[str, ...]
    """Why the rule applies: the facts and structure it rests on, each with its place."""
    controls: tuple[ControlOption, ...]
    refs: Mapping[str, tuple[str, ...]]
    """Framework id -> entry ids."""
    location: Location
    decision: Decision | None = None

    @property
    def severity(self) -> Severity:
        """From the rating."""
        return self.rating.severity


@dataclass(frozen=True, slots=True)
class Decision:
    """What somebody decided about a finding; kept in the plan's side file."""

    finding: str
    state: FindingState
    owner: str
    reason: str
    expires: str = ""
    """ISO date; from this day on the finding is open again."""
    location: Location = Location()


@dataclass(frozen=True, slots=True)
class Question:
    """A fact that is not known, and what hangs on it."""

    id: str
    element: str
    attribute: str
    ask: str
    """The question in words."""
    why: str
    """What the answer could change."""
    could_open: tuple[str, ...]
    """Ids of findings that would be open if the answer is bad."""
    severity: Severity
    """The worst of them."""
    weight: int
    """Sum of the scores of findings that hang on it; questions are ranked by it."""
    location: Location


@dataclass(frozen=True, slots=True)
class Recommendation:
    """A control to place on an element, and how many attack paths it breaks."""

    id: str
    element: str
    breaks: int
    """Number of open attack paths that this one breaks, of `Hardening.paths`."""
    findings: tuple[str, ...]
    """The findings whose every known path it breaks by itself."""
    cost: int
    minimal: bool
    """Whether it belongs to the cheapest set that breaks all paths."""


@dataclass(frozen=True, slots=True)
class Hardening:
    """The cheapest set of controls that breaks every path of open findings of a severity, and a ranking of single controls."""

    severity: Severity
    """The lowest severity that was considered."""
    paths: int
    controls: tuple[Recommendation, ...]
    """The cheapest set, best first."""
    ranking: tuple[Recommendation, ...]
    """All controls that break at least one path, best first."""
    unbreakable: tuple[str, ...] = ()
    """Findings for which no control in the catalogue breaks the path: only a change of design or facts helps."""
    proven: bool = True
    """Whether the solver proved that no cheaper set exists."""


@dataclass(frozen=True, slots=True)
class Assessment:
    """The whole result for one plan."""

    plan_id: str
    plan_digest: str
    findings: tuple[Finding, ...]
    """Worst first; all states."""
    questions: tuple[Question, ...]
    """Heaviest first."""
    hardening: Hardening | None
    labels: Mapping[str, Label] = field(default_factory=dict)
    """Element id -> what the propagation found."""
    expired: tuple[str, ...] = ()
    """Findings whose acceptance ran out, open again."""
    rules: int = 0
    """How many rules were evaluated."""

    @property
    def open(self) -> tuple[Finding, ...]:
        """The findings that are open."""
        return tuple(f for f in self.findings if f.state is FindingState.OPEN)


@dataclass(frozen=True, slots=True)
class Label:
    """The lattice at one component: who may have written what reaches it, and the highest class of data that may reach it."""

    integrity: str
    """The least trusted author whose content can get here (`public` … `system`)."""
    confidentiality: str
    """The highest class of data that can get here (`public` … `restricted`), or '' if none is classified."""
