# SPDX-License-Identifier: Apache-2.0
"""What the predicates of rules and controls name: attributes by element type, and kinds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from bastide.catalog.model import Catalog
from bastide.catalog.pattern import All, Any, Has, KindIs, Not, Predicate, Related
from bastide.plan.vocabulary import ElementType, Kind, Vocabulary


@dataclass(frozen=True, slots=True)
class Uses:
    """What of the vocabulary the rules and controls name."""

    attributes: Mapping[ElementType, frozenset[str]]
    kinds: frozenset[str]


def uses_of(catalog: Catalog) -> Uses:
    """All attributes and kinds that some predicate names, and the kinds that controls and attributes are for."""
    attributes: dict[ElementType, set[str]] = {}
    kinds: set[str] = set()
    for element, predicate in _predicates(catalog):
        for where, part in walk(element, predicate):
            if isinstance(part, Has):
                attributes.setdefault(where, set()).add(part.attribute)
            elif isinstance(part, KindIs):
                kinds.update(part.kinds)
    kinds |= {place for control in catalog.controls.values() for place in control.on}
    kinds |= {place for group in catalog.vocabulary.attributes.values() for a in group.values() for place in a.on}
    return Uses({element: frozenset(names) for element, names in attributes.items()}, frozenset(kinds))


def walk(element: ElementType, predicate: Predicate) -> Iterator[tuple[ElementType, Predicate]]:
    """The predicate and all its parts, each with the element type that it speaks about."""
    yield element, predicate
    if isinstance(predicate, (All, Any)):
        for part in predicate.parts:
            yield from walk(element, part)
    elif isinstance(predicate, Not):
        yield from walk(element, predicate.part)
    elif isinstance(predicate, Related):
        yield from walk(predicate.element, predicate.where)


def role_kinds(where: Predicate, vocabulary: Vocabulary) -> list[Kind]:
    """The kinds of component for which the predicate can hold, as far as it says anything about kinds."""
    return [kind for kind in vocabulary.kinds.values() if _fits(where, kind, vocabulary)]


def _fits(where: Predicate, kind: Kind, vocabulary: Vocabulary) -> bool:
    if isinstance(where, KindIs):
        return any(kind.is_a(one) for one in where.kinds)
    if isinstance(where, Has):
        attribute = vocabulary.attributes["component"].get(where.attribute)
        return attribute is None or attribute.applies_to(kind)
    if isinstance(where, All):
        return all(_fits(part, kind, vocabulary) for part in where.parts)
    if isinstance(where, Any):
        return any(_fits(part, kind, vocabulary) for part in where.parts)
    if isinstance(where, Not) and isinstance(where.part, KindIs):
        return not _fits(where.part, kind, vocabulary)
    return True


def _predicates(catalog: Catalog) -> Iterator[tuple[ElementType, Predicate]]:
    for threat in catalog.threats.values():
        for role in threat.roles.values():
            yield role.element, role.where
        for leg in threat.legs:
            if leg.where is not None:
                yield "flow", leg.where
            if leg.via is not None:
                yield "component", leg.via
    for control in catalog.controls.values():
        yield from control.present_when.items()
