# SPDX-License-Identifier: Apache-2.0
"""Templates that the AWS CDK made from code that is here too: a resource of the template is the construct that it was made from. Pure.

The CDK writes into its templates of which construct a resource is (`aws:cdk:path`,
https://docs.aws.amazon.com/cdk/v2/guide/identifiers.html). The construct keeps its lines and what is written there; the template has what
the code leaves open. What only the template has (roles and policies that constructs add) stays.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from bastide.discover.model import Resource, Value
from bastide.discover.overlay import laid_over, referring

_FOR_DEPLOYMENT = re.compile(r"(?:\A|/)(?:Custom::|LogRetention[0-9a-f]{32}|AWS[0-9a-f]{32}|@aws-cdk--)")
"""Functions that the CDK adds to act while it deploys."""
_Kind = tuple[str, str]
"""Type and the construct's id."""


def with_synthesized(resources: Iterable[Resource]) -> Iterator[Resource]:
    """The resources, each thing once that stands in the code and in the template made from it."""
    given = tuple(resources)
    paths = {r.id: path for r in given if r.type.startswith("AWS::") and (path := _path(r))}
    made = [_named(r, paths[r.id]) for r in given if r.id in paths and not _FOR_DEPLOYMENT.search(paths[r.id])]
    code = [r for r in given if r.type.startswith("AWS::") and r.id not in paths]
    pairs = _pairs(code, made)
    instead = {each.id: (construct,) for construct, all_ in pairs.items() for each in all_}
    ids = frozenset(r.id for r in code) | frozenset(r.id for r in given if r.type.startswith("call/"))
    for resource in (*(r for r in given if r.id not in paths), *made):
        if resource.id not in instead:
            body = _laid(resource.body, pairs[resource.id], ids) if resource.id in pairs else resource.body
            yield replace(resource, body=referring(body, instead) if instead else body)


def _path(resource: Resource) -> str:
    """`Stack/Agent` of `Stack/Agent/Resource`; nothing where the CDK didn't make it."""
    metadata = resource.body.data.get("Metadata") if isinstance(resource.body.data, Mapping) else None
    path = metadata.data.get("aws:cdk:path") if metadata is not None and isinstance(metadata.data, Mapping) else None
    return re.sub(r"/(?:Resource|Default)\Z", "", path.data) if path is not None and isinstance(path.data, str) else ""


def _named(resource: Resource, path: str) -> Resource:
    """Called like its construct, not by the id with a digest."""
    return replace(resource, name=path.rpartition("/")[2] or resource.name)


def _pairs(code: Sequence[Resource], made: Sequence[Resource]) -> dict[str, list[Resource]]:
    """Each construct with what was made from it: by type and name, then what is left as the only one of its type."""
    found: dict[str, list[Resource]] = {}
    for key in (_by_name, _by_type):
        constructs, templates = _grouped(code, key), _grouped(made, key)
        for kind, all_ in constructs.items():
            there = templates.get(kind, [])
            if len(all_) == 1 and (len(there) == 1 or (there and key is _by_name)):
                found[all_[0].id] = there
            elif len(all_) == len(there):
                found |= {one.id: [each] for one, each in zip(all_, there, strict=True) if key is _by_name}
        taken = {each.id for all_ in found.values() for each in all_}
        code = [r for r in code if r.id not in found]
        made = [r for r in made if r.id not in taken]
    return found


def _by_name(resource: Resource) -> _Kind:
    return resource.type, resource.name


def _by_type(resource: Resource) -> _Kind:
    return resource.type, ""


def _grouped(resources: Sequence[Resource], key: Callable[[Resource], _Kind]) -> Mapping[_Kind, list[Resource]]:
    groups: dict[_Kind, list[Resource]] = defaultdict(list)
    for resource in resources:
        groups[key(resource)].append(resource)
    return groups


def _laid(written: Value, made: Sequence[Resource], ids: frozenset[str]) -> Value:
    """What refers to something in the code keeps that reference: it leads on to the code."""
    return _with_references(written, laid_over(written, [each.body for each in made]), ids)


def _with_references(written: Value, filled: Value, ids: frozenset[str]) -> Value:
    if isinstance(written.data, Mapping) and isinstance(filled.data, Mapping):
        there = {k: _with_references(v, filled.data[k], ids) for k, v in written.data.items() if k in filled.data}
        return replace(filled, data={**filled.data, **there})
    return written if not written.known and not ids.isdisjoint(written.refs) else filled
