# SPDX-License-Identifier: Apache-2.0
"""Backends of AWS Amplify: `defineFunction`, `defineData`, `defineStorage`, and what `backend.chat.resources.lambda` stands for. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from bastide.discover.model import Place, Resource, State, Value
from bastide.discover.wires import route

_ROOT = "call/js:@aws-amplify/backend."
_BACKEND = _ROOT + "defineBackend"
_PART = re.compile(
    r"(?:call/)?js:@aws-amplify/backend\.defineBackend\.(\w+)(?:\.resources\.(?:cfnResources\.)?(\w+))?(?:\.(.*))?\Z"
)
_MADE: Mapping[str, str] = {
    "defineFunction": "AWS::Lambda::Function",
    "defineStorage": "AWS::S3::Bucket",
    "defineAuth": "AWS::Cognito::UserPool",
    "defineData": "amplify/data",
}
_CLASSES: Mapping[str, str] = {
    "AWS::Lambda::Function": "aws-lambda.Function", "AWS::S3::Bucket": "aws-s3.Bucket", "amplify/data": "aws-dynamodb.Table",
    "AWS::Cognito::UserPool": "aws-cognito.UserPool",
}  # fmt: skip
_ENTRY = "./handler.ts"
_DEEP = 12


def with_amplify(resources: Iterable[Resource]) -> Iterator[Resource]:
    """The resources; what a backend defines is what it makes."""
    given = tuple(resources)
    if not any(r.type.startswith(_ROOT) for r in given):
        yield from given
        return
    made = {
        r.id: _MADE[word] for r in given if (word := r.type.removeprefix(_ROOT)) in _MADE and r.type.startswith(_ROOT)
    }
    keys = _keys(given, made)
    data = next((Value(None, r.place, State.UNKNOWN, (r.id,)) for r in given if made.get(r.id) == "amplify/data"), None)
    guests = [place for r in given if (place := _guests(r)) is not None]
    for resource in given:
        if resource.id in made:
            whole = _definition(resource, made[resource.id], keys)
            open_ = guests and whole.type == "amplify/data"
            yield replace(whole, body=_with(whole.body, {"open": Value(True, guests[0])})) if open_ else whole
        elif resource.type == f"{_ROOT}a.handler.function" and data is not None:
            yield from _handler(resource, data, keys)
        elif resource.type in (f"{_ROOT}a.conversation", f"{_ROOT}a.generation") and data is not None:
            yield replace(resource, type="amplify/ai", body=_with(resource.body, {"api": data}), part_of="")
        elif resource.type == f"{_ROOT}a.model" and data is not None:
            yield replace(resource, type="amplify/model", body=_with(resource.body, {"api": data}), part_of="")
        else:
            yield _about(resource, made, keys)


def _keys(given: Iterable[Resource], made: Mapping[str, str]) -> dict[str, str]:
    """Under which name of the backend, or of its own, each definition goes."""
    keys: dict[str, str] = {}
    for resource in given:
        if resource.id in made:
            keys |= {str(v.data): resource.id for v in resource.find("name") if isinstance(v.data, str)}
            keys.setdefault(resource.name, resource.id)
        elif resource.type == _BACKEND and isinstance(resource.body.data, Mapping):
            parts = resource.body.data.get("0")
            for key, value in parts.data.items() if parts is not None and isinstance(parts.data, Mapping) else ():
                keys |= dict.fromkeys((key for ref in value.refs if ref in made), next(iter(value.refs), ""))
    return keys


def _guests(resource: Resource) -> Place | None:
    """Where a rule lets in whoever comes: `allow.guest()`."""
    if not (resource.type.startswith(f"{_ROOT}a.") and resource.type.endswith(".authorization")):
        return None
    return next((v.place for _, v in resource.body.leaves() if "allow.guest(" in v.text), None)


def _definition(resource: Resource, type_: str, keys: Mapping[str, str]) -> Resource:
    called = next((k for k, id_ in keys.items() if id_ == resource.id), resource.name)
    name = next((str(v.data) for v in resource.find("name") if isinstance(v.data, str)), called)
    more = {"entry": Value(_ENTRY, resource.place)} if type_.endswith("Function") and not resource.find("entry") else {}
    return replace(resource, type=type_, name=name, body=_with(resource.body, more), part_of="")


def _handler(call: Resource, api: Value, keys: Mapping[str, str]) -> Iterator[Resource]:
    """`a.handler.function(chat)`: an operation of the API that the function answers."""
    given = call.body.data.get("0") if isinstance(call.body.data, Mapping) else None
    if given is None:
        return
    refs = given.refs or tuple(keys[k] for k in [str(given.data)] if k in keys)
    if refs:
        yield route(call, api, Value(None, call.place, State.UNKNOWN, refs), Value(None, call.place))


def _about(resource: Resource, made: Mapping[str, str], keys: Mapping[str, str]) -> Resource:
    """A call of something of the backend is a call of the construct that it stands for; so is what is handed in."""
    body = _pointed(resource.body, keys)
    match = _PART.match(resource.type)
    if match is None or match[1] not in keys or not isinstance(body.data, Mapping):
        return replace(resource, body=body)
    id_ = keys[match[1]]
    method = resource.type.rpartition(".")[2]
    on = Value(None, resource.place, State.UNKNOWN, (id_,))
    type_ = f"call/js:aws-cdk-lib/{_CLASSES[made[id_]]}.{method}"
    return replace(resource, type=type_, body=_with(body, {"$on": on}))


def _pointed(value: Value, keys: Mapping[str, str], depth: int = 0) -> Value:
    """A value in which `backend.chat...` refers to what is defined under that name."""
    if depth > _DEEP:
        return value
    if isinstance(value.data, Mapping):
        return replace(value, data={k: _pointed(v, keys, depth + 1) for k, v in value.data.items()})
    if isinstance(value.data, tuple):
        return replace(value, data=tuple(_pointed(v, keys, depth + 1) for v in value.data))
    match = _PART.match(value.text)
    return replace(value, refs=(keys[match[1]],)) if match is not None and match[1] in keys else value


def _with(body: Value, more: Mapping[str, Value]) -> Value:
    return replace(body, data={**(body.data if isinstance(body.data, Mapping) else {}), **more})
