# SPDX-License-Identifier: Apache-2.0
"""Who stands outside: nobody declares people, but where a system can be reached there is somebody. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from bastide.discover.model import Place
from bastide.discover.result import Found, FoundFlow

_DOORS = ("app.entry",)
_SERVING = (
    "ai.model",
    "ai.gateway",
    "ai.agent",
    "app.web",
    "app.gateway",
    "app.workflow",
    "ai.chain",
    "ml.tracker",
    "ml.notebook",
)
_OPEN = ("every-interface", "internet", "internal")
_PAGES = ("app.web",)
"""What people look at, however they come to it."""
_PUBLIC = ("app.api",)
"""What is a door only when it stands in the internet: back ends are called by what is before them."""


def with_actors(components: list[Found], flows: list[FoundFlow]) -> tuple[list[Found], list[FoundFlow]]:
    """The same with a user, where something can be reached from outside: an entry point, else what serves and is called by nothing else."""
    doors = list(_doors(components, flows)) or list(_outer(components, flows))
    if not doors:
        return components, flows
    ids = {c.id for c in components}
    name = next(n for n in ("user", "outside-user", "actor-user") if n not in ids)
    places = tuple(dict.fromkeys(door.provenance[0] for door in doors if door.provenance))
    user = Found(name, "actor.user", "User", "", {}, places, min(d.confidence for d in doors))
    return [user, *components], [*(_flow(user, door) for door in doors), *flows]


def _doors(components: Sequence[Found], flows: Sequence[FoundFlow]) -> Iterator[Found]:
    called = {f.target for f in flows}
    declared = [c for c in components if c.kind in _DOORS]
    yield from declared
    for component in components:
        if component.kind in _DOORS or component.id in called:
            continue
        fact = component.facts.get("published")
        endpoint = component.facts.get("serves")
        if component.kind in _PUBLIC and fact is not None and fact.value == "internet":
            yield component
            continue
        if component.kind in _PAGES:
            yield component
            continue
        serves = endpoint is not None and endpoint.value is True and not _is_private(component)
        reachable = (fact is not None and fact.value in _OPEN) or serves
        if reachable and any(component.kind == k or component.kind.startswith(k + ".") for k in _SERVING):
            yield component


def _outer(components: Sequence[Found], flows: Sequence[FoundFlow]) -> Iterator[Found]:
    """Where there are no doors, the programs that are open to other machines and that nothing of the system calls."""
    called = {f.target for f in flows}
    for component in components:
        fact = component.facts.get("published")
        if component.kind in _PUBLIC and component.id not in called and fact is not None and fact.value in _OPEN:
            yield component


def _is_private(component: Found) -> bool:
    """Whether only a private network reaches it: people come to what stands before it."""
    public, private = (component.facts.get(name) for name in ("public-network-access", "private-endpoint"))
    if public is not None and public.value is not None:
        return public.value is False
    return private is not None and private.value is True


def _flow(user: Found, door: Found) -> FoundFlow:
    place = door.provenance[0] if door.provenance else Place("")
    return FoundFlow(f"{user.id}->{door.id}:calls", user.id, door.id, "calls", "prompt", (place,), door.confidence)
