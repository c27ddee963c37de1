# SPDX-License-Identifier: Apache-2.0
"""A rule's roles and legs as a tree that hangs from the sink."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from bastide.catalog.model import Leg, Role, Threat
from bastide.catalog.pattern import All, Predicate
from bastide.plan.vocabulary import ElementType

Move = Literal["path", "step", "holds", "runs-as", "in"]


@dataclass(frozen=True, slots=True)
class Edge:
    """One branch of the tree: from the parent role to a child role.

    `forward`: content moves from child to parent (for relations: the child is the left side of the leg).
    """

    child: str
    move: Move
    forward: bool
    where: Predicate | None
    via: Predicate | None
    places: tuple[str, ...]
    """Names under which controls can stand on this branch."""


@dataclass(frozen=True, slots=True)
class Shape:
    """The tree of one rule."""

    threat: Threat
    element: Mapping[str, ElementType]
    where: Mapping[str, Predicate]
    """What must hold for each role."""
    children: Mapping[str, tuple[Edge, ...]]
    aliases: Mapping[str, tuple[str, ...]]
    """Role -> all place names at which a control for it can stand."""


def shape_of(threat: Threat) -> Shape:
    """The tree of a rule; `a -> b` becomes two steps with the flow as a role between them."""
    element: dict[str, ElementType] = {name: role.element for name, role in threat.roles.items()}
    where: dict[str, list[Predicate]] = {name: [role.where] for name, role in threat.roles.items()}
    aliases: dict[str, tuple[str, ...]] = {name: (name, "path") for name in threat.roles}
    links: dict[str, list[tuple[str, Edge]]] = {}

    def join(source: str, target: str, move: Move, leg: Leg, places: tuple[str, ...]) -> None:
        for parent, child, forward in ((target, source, True), (source, target, False)):
            edge = Edge(child, move, forward, leg.where, leg.via, places)
            links.setdefault(parent, []).append((child, edge))

    for number, leg in enumerate(threat.legs):
        named = (leg.name,) if leg.name else ()
        if leg.kind == "flow":
            flow = leg.role or f"#{number}"
            role = threat.roles.get(flow) or Role(flow, "flow", All())
            element[flow] = "flow"
            where[flow] = [role.where, *([leg.where] if leg.where is not None else [])]
            aliases[flow] = (flow, "path", *named)
            join(leg.source, flow, "step", leg, named)
            join(flow, leg.target, "step", leg, named)
        else:
            join(leg.source, leg.target, leg.kind, leg, ("path", *named) if leg.kind == "path" else ())
    whole = {role: parts[0] if len(parts) == 1 else All(tuple(parts)) for role, parts in where.items()}
    return Shape(threat, element, whole, _orient(threat.sink, links), aliases)


def _orient(root: str, links: Mapping[str, list[tuple[str, Edge]]]) -> dict[str, tuple[Edge, ...]]:
    """The children of each role, walking away from the root."""
    children: dict[str, tuple[Edge, ...]] = {}
    todo: list[tuple[str, str | None]] = [(root, None)]
    while todo:
        role, parent = todo.pop()
        edges = tuple(edge for child, edge in links.get(role, ()) if child != parent)
        children[role] = edges
        todo += [(edge.child, role) for edge in edges]
    return children
