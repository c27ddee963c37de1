# SPDX-License-Identifier: Apache-2.0
"""Network policies of OpenSearch Serverless with the collections that they are about. Pure.

They name collections by patterns (`collection/notes-*`), and often from variables: where there is only one collection, it is that one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from bastide.discover.model import Resource, State, Value
from bastide.discover.readers.embedded import document
from bastide.discover.types import fits

_COLLECTION = (
    "aws_opensearchserverless_collection",
    "awscc_opensearchserverless_collection",
    "AWS::OpenSearchServerless::Collection",
)
_POLICY = (
    "aws_opensearchserverless_security_policy", "awscc_opensearchserverless_security_policy", "AWS::OpenSearchServerless::SecurityPolicy",
)  # fmt: skip


def with_collections(resources: Iterable[Resource]) -> Iterator[Resource]:
    """The resources; policies refer to their collections."""
    given = tuple(resources)
    collections = [r for r in given if r.type in _COLLECTION]
    for resource in given:
        yield _policy(resource, collections) if resource.type in _POLICY and collections else resource


def _policy(resource: Resource, collections: list[Resource]) -> Resource:
    rules = [_rule(v, collections) for written in resource.find("policy") for v in document(written).elements()]
    if not rules or not isinstance(resource.body.data, Mapping):
        return resource
    body = {k: v for k, v in resource.body.data.items() if k.lower() != "policy"}
    return replace(resource, body=replace(resource.body, data={**body, "policy": Value(tuple(rules), resource.place)}))


def _rule(rule: Value, collections: list[Resource]) -> Value:
    """One policy with `collections`: those that it is about."""
    if not isinstance(rule.data, Mapping):
        return rule
    named = rule.find("Rules.Resource")
    known = [c for c in collections if any(_names(v, c) for v in named)]
    # A policy whose names aren't known is about the only one that there is.
    open_ = any(v.data is None for v in named) or not named
    about = known or (collections if len(collections) == 1 and open_ else [])
    refs = Value(None, rule.place, State.UNKNOWN, tuple(c.id for c in about))
    return replace(rule, data={**rule.data, "collections": refs})


def _names(resource: Value, collection: Resource) -> bool:
    if collection.id in resource.refs:
        return True
    names = [str(v.data) for v in collection.find("name") if isinstance(v.data, str)]
    pattern = resource.data.partition("/")[2] if isinstance(resource.data, str) else ""
    return bool(pattern) and (pattern == "*" or any(fits(name, (pattern,)) for name in names))
