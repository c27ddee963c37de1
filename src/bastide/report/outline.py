# SPDX-License-Identifier: Apache-2.0
"""What text pictures of a plan share: the nesting of zones, safe names for nodes, labels for flows."""

from __future__ import annotations

import re
from dataclasses import dataclass

from bastide.plan.model import Component, Flow, Plan, Zone


@dataclass(frozen=True, slots=True)
class Box:
    """A zone with what lies directly in it; `zone` is None for what lies in none."""

    zone: Zone | None
    components: tuple[Component, ...]
    boxes: tuple[Box, ...] = ()


def outline(plan: Plan) -> tuple[Box, ...]:
    """The outermost zones, in the order of the plan, and last the components that lie in none."""
    inside: dict[str | None, list[Component]] = {}
    for component in plan.components.values():
        inside.setdefault(component.zone if component.zone in plan.zones else None, []).append(component)
    below: dict[str | None, list[Zone]] = {}
    for zone in plan.zones.values():
        below.setdefault(zone.parent if zone.parent in plan.zones else None, []).append(zone)
    # Innermost first, without recursion: a plan may nest zones as deep as it likes.
    built: dict[str, Box] = {}
    order = list(below.get(None, []))
    for zone in order:
        order += below.get(zone.id, [])
    for zone in reversed(order):
        boxes = tuple(built[z.id] for z in below.get(zone.id, []))
        built[zone.id] = Box(zone, tuple(inside.get(zone.id, ())), boxes)
    loose = tuple(inside.get(None, ()))
    top = tuple(built[z.id] for z in below.get(None, []))
    return (*top, Box(None, loose)) if loose else top


def names(plan: Plan) -> dict[str, str]:
    """Plan id -> name of the node: a letter for the kind of part, then the id with `_` for every sign.

    Two ids that would get the same name are told apart by a number.
    """
    found: dict[str, str] = {}
    taken: set[str] = set()
    for letter, group in (("c", plan.components), ("z", plan.zones)):
        for id in group:
            base = name = f"{letter}_{re.sub('[^a-z0-9]', '_', id)}"
            number = 1
            while name in taken:
                number += 1
                name = f"{base}_{number}"
            taken.add(name)
            found[id] = name
    return found


def flow_label(plan: Plan, flow: Flow) -> str:
    """What an arrow says: its name, or the data that flows and the verb where it isn't simply sent."""
    if flow.name:
        return flow.name
    labels = [plan.data[d].label for d in flow.data if d in plan.data]
    shown = ", ".join(labels[:3]) + (f" and {len(labels) - 3} more" if len(labels) > 3 else "")
    verb = flow.value("verb")
    verb = verb if isinstance(verb, str) and verb != "send" else ""
    return f"{verb} {shown}".strip()
