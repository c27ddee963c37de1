# SPDX-License-Identifier: Apache-2.0
"""A rule's roles and legs as a tree that hangs from the sink."""

from __future__ import annotations

from collections.abc import Callable, Mapping
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
    sends: bool
    """Of a step: whether it joins a flow and the component that it leaves (or else the one at which it arrives)."""
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


Intern = Callable[[Predicate], Predicate]
"""Gives one object for all equal predicates, so that rules which ask the same share the answers."""


def shape_of(threat: Threat, intern: Intern = lambda where: where) -> Shape:
    """The tree of a rule; `a -> b` becomes two steps with the flow as a role between them."""
    direct = _flow_roles(threat)
    roles = {**threat.roles, **{name: _flow_role(threat, leg, name) for leg, name in direct}}
    on_path = ("component", "flow")
    aliases: dict[str, tuple[str, ...]] = {
        name: (name, "path") if role.element in on_path else (name,) for name, role in roles.items()
    }
    links: dict[str, list[tuple[str, Edge]]] = {}
    names = {id(leg): name for leg, name in direct}
    for leg in threat.legs:
        named = (leg.name,) if leg.name else ()
        flow = names.get(id(leg))
        if flow is None:
            _join(links, leg.source, leg.target, leg, ("path", *named) if leg.kind == "path" else (), intern)
        else:
            aliases[flow] = (flow, "path", *named)
            _join(links, leg.source, flow, leg, named, intern)
            _join(links, flow, leg.target, leg, named, intern)
    return Shape(
        threat=threat,
        element={name: role.element for name, role in roles.items()},
        where={name: intern(role.where) for name, role in roles.items()},
        children=_orient(threat.sink, links),
        aliases=aliases,
    )


def _flow_roles(threat: Threat) -> list[tuple[Leg, str]]:
    """The direct legs, each with the name under which its flow is bound."""
    return [(leg, leg.role or f"#{number}") for number, leg in enumerate(threat.legs) if leg.kind == "flow"]


def _flow_role(threat: Threat, leg: Leg, name: str) -> Role:
    """The role of a direct leg's flow: what the rule says of the role and of the leg, together."""
    stated = threat.roles[name].where if name in threat.roles else None
    parts = [where for where in (stated, leg.where) if where is not None and where != All()]
    return Role(name, "flow", parts[0] if len(parts) == 1 else All(tuple(parts)))


def _join(
    links: dict[str, list[tuple[str, Edge]]],
    source: str,
    target: str,
    leg: Leg,
    places: tuple[str, ...],
    intern: Intern,
) -> None:
    move: Move = "step" if leg.kind == "flow" else leg.kind
    where = intern(leg.where) if leg.where is not None else None
    via = intern(leg.via) if leg.via is not None else None
    sends = leg.kind == "flow" and source == leg.source
    for parent, child, forward in ((target, source, True), (source, target, False)):
        links.setdefault(parent, []).append((child, Edge(child, move, forward, where, via, sends, places)))


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
