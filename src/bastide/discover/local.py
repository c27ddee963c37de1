# SPDX-License-Identifier: Apache-2.0
"""Compose files that run on a laptop what is deployed elsewhere: their containers are the deployed ones, not more of them. Pure.

A container of Compose is the deployed one when both are the only ones of their kind that are built from a folder; and, beside such a pair,
when both run the same finished image and are called alike.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace

from bastide.discover.interpret import as_text, repository
from bastide.discover.model import Resource, State, Value

LOCAL = "run locally"
"""Variant whose facts (its ports, its mounts) aren't so where it is deployed."""


def with_local(resources: Sequence[Resource]) -> Iterator[Resource]:
    """The resources; a container that only runs locally what is deployed becomes a part of the deployed one."""
    containers = [
        r for r in resources if r.type == "container" and not any(v.data is True for v in r.find("job")) and _where(r)
    ]
    pairs = dict(_pairs(containers, _built_from))
    near = {(c.scope, pairs[c.id].scope) for c in containers if c.id in pairs}
    for here, there in near:
        beside = [c for c in containers if c.scope == (here if _local(c) else there) and not _built_from(c)]
        pairs |= dict(_pairs(beside, lambda c: f"{c.name} {_image(c)}" if _image(c) else ""))
    for resource in resources:
        yield _part(resource, pairs[resource.id]) if resource.id in pairs else resource


def _pairs(containers: Iterable[Resource], what: Callable[[Resource], str]) -> Iterator[tuple[str, Resource]]:
    same: dict[str, list[Resource]] = defaultdict(list)
    for container in containers:
        if key := what(container):
            same[key].append(container)
    for alike in same.values():
        here, there = [c for c in alike if _local(c)], [c for c in alike if not _local(c)]
        if len(_names(here)) == 1 and len(_names(there)) == 1:
            yield from ((c.id, there[0]) for c in here)


def _names(containers: Sequence[Resource]) -> set[tuple[str, str]]:
    """Variants of one container have one name."""
    return {(c.scope, c.name) for c in containers}


def _where(container: Resource) -> str:
    return next((text for v in container.find("platform") if (text := as_text(v))), "")


def _local(container: Resource) -> bool:
    return _where(container) == "compose"


def _built_from(container: Resource) -> str:
    """The Dockerfile, or the folder, that it is built from."""
    return next((text for key in ("dockerfile", "build") for v in container.find(key) if (text := as_text(v))), "")


def _image(container: Resource) -> str:
    return next((repository(text) for v in container.find("image") if (text := as_text(v))), "")


def _part(container: Resource, deployed: Resource) -> Resource:
    host = Value(None, container.place, State.UNKNOWN, (deployed.id,))
    return replace(container, variant=LOCAL, body=replace(container.body, data={**container.body.data, "host": host}))
