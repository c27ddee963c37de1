# SPDX-License-Identifier: Apache-2.0
"""Unknown facts become questions, ranked by how much their answers could change the result."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

from bastide.plan.model import Component, Element
from bastide.threats.model import Question, Rating
from bastide.threats.predicates import Index, Unknown
from bastide.threats.presence import element_type


@dataclass(frozen=True, slots=True)
class Doubt:
    """One unknown fact on which one finding hangs."""

    unknown: Unknown
    finding: str
    """Id of the finding."""
    title: str
    rating: Rating
    share: int
    """How many unknown facts the finding hangs on together; the weight is divided by it."""
    opens: bool = True
    """False where the answer changes only the rating."""


def collect(doubts: Iterable[Doubt], index: Index) -> tuple[Question, ...]:
    """The questions, heaviest first."""
    groups: dict[Unknown, list[Doubt]] = {}
    for doubt in doubts:
        groups.setdefault(doubt.unknown, []).append(doubt)
    questions = [_question(unknown, group, index) for unknown, group in groups.items()]
    return tuple(sorted(questions, key=lambda q: (-q.weight, -q.severity.rank, q.element, q.attribute)))


def _question(unknown: Unknown, group: list[Doubt], index: Index) -> Question:
    element = index.parts[unknown.element]
    worst = max(group, key=lambda d: d.rating.score)
    opens = tuple(sorted({d.finding for d in group if d.opens}))
    digest = hashlib.sha256(f"{unknown.element}\0{unknown.attribute}".encode("utf-8", "surrogatepass")).hexdigest()[:10]
    return Question(
        id=f"Q-{digest}",
        element=unknown.element,
        attribute=unknown.attribute,
        ask=f"{element.label}: {_ask(unknown.attribute, element, index)}",
        why=_why(worst, len(opens)),
        could_open=opens,
        severity=worst.rating.severity,
        weight=max(1, round(sum(d.rating.score / d.share for d in group))),
        location=element.location,
    )


def _ask(attribute: str, element: Element, index: Index) -> str:
    known = index.vocabulary.attributes[element_type(element)].get(attribute)
    kind = f" ({element.kind})" if isinstance(element, Component) else ""
    return known.ask if known and known.ask else f"what is `{attribute}`{kind}?"


def _why(worst: Doubt, opens: int) -> str:
    if not opens:
        return f"the rating of {worst.finding} depends on it: {worst.title}"
    more = f" and {opens - 1} more" if opens > 1 else ""
    return f"a bad answer opens {worst.rating.severity} “{worst.title}”{more}"
