# SPDX-License-Identifier: Apache-2.0
"""Evaluates predicates for all parts of a plan at once.

Rules ask the same few things of thousands of parts. Kinds, facts and origins are looked up in indexes and combined as sets; only what is
left after that is asked part by part. Nothing here changes an answer: it is the same as asking each part (a property test holds that).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from bastide.catalog.pattern import All, Any, Has, KindIs, Not, Origin, Predicate
from bastide.plan.model import Component, Value
from bastide.plan.vocabulary import ElementType
from bastide.threats.predicates import Index, Truth, matches_any

Split = tuple[frozenset[str], frozenset[str]]
"""The ids of the parts for which a predicate is true, and of those for which it is unknown."""


@dataclass(slots=True)
class Sets:
    """Answers for all parts; each different question is worked out once."""

    index: Index
    _known: dict[tuple[int, ElementType], Split] = field(default_factory=dict)
    _all: dict[ElementType, frozenset[str]] = field(default_factory=dict)
    _facts: dict[tuple[str, ElementType], tuple[dict[Value, set[str]], frozenset[str]]] = field(default_factory=dict)

    def split(self, where: Predicate, element: ElementType) -> Split:
        """For which parts of a type the predicate is true, and for which it is unknown."""
        where = self.index.intern(where)
        key = (id(where), element)
        if key not in self._known:
            self._known[key] = self._compute(where, element)
        return self._known[key]

    def _compute(self, where: Predicate, element: ElementType) -> Split:
        match where:
            case Has():
                return self._has(where, element)
            case KindIs(kinds):
                return frozenset(c.id for kind in kinds for c in self.index.by_kind.get(kind, ())), frozenset()
            case Origin(levels):
                origins = self.index.graph.origins
                owners = self.index.starts.items()
                true = frozenset(id for id, nodes in owners if any(origins[n] in levels for n in nodes))
                return true, frozenset(self.index.doubtful) - true
            case Not(part) if _quick(part):
                true, unknown = self.split(part, element)
                return self._universe(element) - true - unknown, unknown
            case Any(parts) if _quick(where):
                splits = [self.split(part, element) for part in parts]
                true = frozenset[str]().union(*(s[0] for s in splits))
                return true, frozenset[str]().union(*(s[1] for s in splits)) - true
            case All(parts):
                return self._conjunction(parts, element)
            case _:
                return self._one_by_one([where], self._universe(element), frozenset())

    def _conjunction(self, parts: Iterable[Predicate], element: ElementType) -> Split:
        """The quick parts as sets; the others only for what those leave."""
        true = possible = self._universe(element)
        slow = []
        for part in parts:
            if not _quick(part):
                slow.append(part)
                continue
            holds, unknown = self.split(part, element)
            true, possible = true & holds, possible & (holds | unknown)
        if not slow:
            return true, possible - true
        return self._one_by_one(slow, true, possible - true)

    def _one_by_one(self, parts: list[Predicate], true: frozenset[str], unknown: frozenset[str]) -> Split:
        programs = [self.index.program(part) for part in parts]
        found: dict[Truth, list[str]] = {True: [], None: [], False: []}
        for start, ids in ((True, true), (None, unknown)):
            for id in ids:
                part, truth = self.index.parts[id], start
                for program in programs:
                    answer = program(part)
                    if answer is False:
                        truth = False
                        break
                    truth = None if answer is None else truth
                found[truth].append(id)
        return frozenset(found[True]), frozenset(found[None])

    def _has(self, where: Has, element: ElementType) -> Split:
        values, unknown = self._index(where.attribute, element)
        compound = self.index.is_compound(where.attribute)
        true: set[str] = set()
        for value, ids in values.items():
            if (matches_any(where.values, value) if compound else value in where.values) is not where.other:
                true |= ids
        return frozenset(true), unknown

    def _index(self, attribute: str, element: ElementType) -> tuple[dict[Value, set[str]], frozenset[str]]:
        """The parts by the value of an attribute, and those for which it is unknown."""
        key = (attribute, element)
        if key not in self._facts:
            kinds = self.index.kinds_with(attribute)
            values: dict[Value, set[str]] = {}
            unknown = []
            for part in self.index.elements(element):
                fact = part.facts.get(attribute)
                if fact is not None and fact.value is not None:
                    values.setdefault(fact.value, set()).add(part.id)
                elif not isinstance(part, Component) or part.kind in kinds:
                    unknown.append(part.id)
            self._facts[key] = values, frozenset(unknown)
        return self._facts[key]

    def _universe(self, element: ElementType) -> frozenset[str]:
        if element not in self._all:
            self._all[element] = frozenset(part.id for part in self.index.elements(element))
        return self._all[element]


def _quick(where: Predicate) -> bool:
    """Whether a predicate can be answered from indexes alone."""
    match where:
        case All(parts) | Any(parts):
            return all(_quick(part) for part in parts)
        case Not(part):
            return _quick(part)
        case _:
            return isinstance(where, (Has, KindIs, Origin))
