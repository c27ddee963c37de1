# SPDX-License-Identifier: Apache-2.0
"""What plans and states show, laid over what the files declare: where a file leaves a value open, the plan has it.

A resource that is declared keeps its place and what is written there; so a finding shows the line that can be changed. Where several plans
of a root differ (one for each stage), nothing is taken from them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace

from bastide.discover.importers.terraform.names import environment
from bastide.discover.importers.terraform.shown import Showing, Shown, plain_address
from bastide.discover.model import Resource, Value
from bastide.discover.overlay import laid_over, referring


def root_of(showing: Showing, roots: Mapping[str, frozenset[str]], folder: str) -> str | None:
    """The root that a plan or a state belongs to: that of its folder, else the one that declares most of it, at least half."""
    common = {root: len(showing.addresses & declared) for root, declared in roots.items()}
    best = max(sorted(common), key=lambda root: (common[root], root == folder), default=None)
    enough = best is not None and common[best] and 2 * common[best] >= len(showing.addresses)
    return folder if common.get(folder) else best if enough else None


def overlaid(declared: Sequence[Resource], scope: str, showings: Sequence[Showing]) -> list[Resource]:
    """The resources of a root with what its plans and states say, then those that only these show."""
    shown: dict[str, dict[str, list[Shown]]] = defaultdict(lambda: defaultdict(list))
    for showing in showings:
        for each in showing.linked(scope):
            shown[each.plain][each.address].append(each)
    found: list[Resource] = []
    instead: dict[str, tuple[str, ...]] = {}
    for resource in declared:
        address = resource.id.removeprefix(_prefix(scope))
        instances = shown.get(plain_address(address), {})
        if address in instances:
            found.append(_laid(resource, instances.pop(address)))
        elif instances and address in shown:
            # By keys that only Terraform knows: what refers to the block refers to all that it makes.
            made = [_laid(_keyed(resource, each[0], scope), each) for each in instances.values()]
            instead[resource.id] = tuple(each.id for each in made)
            instances.clear()
            found += made
        else:
            found.append(resource)
    found = [replace(r, body=referring(r.body, instead)) for r in found] if instead else found
    return found + [_alone(each, scope) for instances in shown.values() for each in instances.values()]


def _prefix(scope: str) -> str:
    return f"{scope or '.'}: "


def _laid(resource: Resource, shown: Sequence[Shown]) -> Resource:
    return replace(resource, body=laid_over(resource.body, [each.body for each in shown]))


def _keyed(resource: Resource, shown: Shown, scope: str) -> Resource:
    variant = environment(shown.key.strip('[]"'))
    name = resource.name if variant else f"{resource.name}{shown.key}"
    return replace(resource, id=_prefix(scope) + shown.address, name=name, variant=variant)


def _alone(shown: Sequence[Shown], scope: str) -> Resource:
    first = shown[0]
    body = laid_over(Value({}, first.place), [each.body for each in shown]) if len(shown) > 1 else first.body
    bare = Resource(_prefix(scope) + first.address, first.type, first.name, body, first.place, scope=scope)
    return _keyed(bare, first, scope) if first.key else bare
