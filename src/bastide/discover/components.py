# SPDX-License-Identifier: Apache-2.0
"""A group of pieces that are one thing, as the component that it is. Pure."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from bastide.discover.interpret import Fact, Piece
from bastide.discover.local import LOCAL
from bastide.discover.model import Place, State
from bastide.discover.result import Found
from bastide.discover.types import Make

if TYPE_CHECKING:
    from bastide.discover.resolve import Group


def component(group: Group, id_: str) -> Found:
    """The group as a component: its facts, where it stands, what it is called."""
    pieces = sorted(group.pieces, key=lambda p: p.type is None or p.type.weak)
    facts: dict[str, Fact] = {}
    weak = {} if any(p.resource.variant for p in pieces) else _WEAKEST
    for piece in pieces:
        for name, fact in piece.facts.items() if piece.resource.variant != LOCAL else ():
            facts[name] = _together(facts[name], fact, weak.get(name)) if name in facts else fact
    for name, fact in group.facts.items():
        if name not in facts or facts[name].state in (State.DEFAULT, State.UNKNOWN):
            facts[name] = fact
    places = [
        *(p.resource.place for p in pieces),
        *(v for p in pieces for v in p.resource.via),
        *(pointer.value.place for _, pointer in group.made),
        *group.doing,
    ]
    first = next((p for p in pieces if p.type and not p.type.tells_of), None)
    if first is not None and first.type is not None:
        places = [*_telling(first), *places]
    made = next((m for _, m in group.made), None)
    name = first.label if first else made.name if made else ""
    if made is not None and first is None and isinstance(made.rule, Make) and made.rule.name:
        name = made.rule.name.replace("{}", made.name)
    platform = first.type.platform if first and first.type else made.rule.platform if made else ""
    confidence = max([p.resource.confidence * (p.type.confidence if p.type else 1.0) for p in pieces], default=0.8)
    return Found(
        id_,
        group.kind,
        name,
        platform,
        facts,
        tuple(dict.fromkeys(places)),
        confidence,
        tuple(pieces),
        _scope(pieces),
    )


def _telling(piece: Piece) -> list[Place]:
    """Where the attribute stands that decided about the kind."""
    paths = piece.type.where if piece.type else {}
    places = [v.place for path in paths if not path.startswith("$") for v in piece.resource.find(path)]
    return [piece.resource.place, *places]


_WEAKEST = {"authentication": "none"}
"""Values that count when one part of a thing has them: one open way in is enough."""


def _together(one: Fact, other: Fact, weakest: str | None) -> Fact:
    """Two variants of a thing may differ in a fact, and so may two ways in."""
    weak = next((f for f in (one, other) if f.value == weakest and f.state is State.KNOWN), None)
    if weakest is not None and weak is not None and one.state is other.state:
        return weak
    if one.value == other.value or other.state is State.UNKNOWN:
        return one
    if one.state is State.UNKNOWN or one.state is State.DEFAULT:
        return other
    return replace(one, state=State.CONDITIONAL) if other.state is not State.DEFAULT else one


def _scope(pieces: list[Piece]) -> str:
    return next((p.resource.scope for p in pieces if p.resource.scope), "")
