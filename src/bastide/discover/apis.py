# SPDX-License-Identifier: Apache-2.0
"""API gateways whose operations stand in an OpenAPI document among their attributes. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from bastide.discover.importers.openapi import described, document
from bastide.discover.model import Resource, Value

_BODIES: Mapping[str, str] = {
    "AWS::ApiGateway::RestApi": "Body", "AWS::ApiGatewayV2::Api": "Body", "AWS::Serverless::Api": "DefinitionBody",
    "AWS::Serverless::HttpApi": "DefinitionBody", "aws_api_gateway_rest_api": "body", "aws_apigatewayv2_api": "body",
}  # fmt: skip


_ROUTES = ("aws_apigatewayv2_route", "AWS::ApiGatewayV2::Route")


def with_apis(resources: Iterable[Resource]) -> Iterator[Resource]:
    """The resources; gateways with an attribute `openapi`, as `importers.openapi` describes documents."""
    given = tuple(resources)
    index = {r.id: r for r in given}
    for resource in given:
        said = _key(resource, index) if resource.type in _ROUTES else ""
        if said:
            key = Value(said, resource.place)
            yield replace(resource, body=replace(resource.body, data={**resource.body.data, "route_key": key}))
            continue
        found = _document(resource) if resource.type in _BODIES else None
        if found is None:
            yield resource
        else:
            api = Value(described(found, deployed=True), found.place)
            yield replace(resource, body=replace(resource.body, data={**resource.body.data, "openapi": api}))


def _key(route: Resource, index: Mapping[str, Resource]) -> str:
    """`$default` of an HTTP API is a way in for every path; of a web socket, only who connects is asked. '' where the key says it all."""
    apis = [index[r] for v in route.find("api_id") for r in v.refs if r in index]
    protocols = {str(v.data).upper() for api in apis for v in api.find("protocol_type")}
    keys = {str(v.data) for v in route.find("route_key")}
    if protocols == {"HTTP"} and keys == {"$default"}:
        return "ANY /{proxy+}"
    return "$default" if protocols == {"WEBSOCKET"} and keys and "$connect" not in keys else ""


def _document(resource: Resource) -> Value | None:
    for value in resource.find(_BODIES[resource.type]):
        root: Value | None = value
        if isinstance(value.data, str):
            root = document(value.data, value.place.file)[0]
            # Lines of a text in a text aren't known.
            root = _placed(root, value) if root is not None else None
        if root is not None and isinstance(root.data, Mapping) and "paths" in root.data:
            return root
    return None


def _placed(root: Value, at: Value) -> Value:
    data = root.data
    if isinstance(data, Mapping):
        data = {k: _placed(v, at) for k, v in data.items()}
    elif isinstance(data, tuple):
        data = tuple(_placed(v, at) for v in data)
    return Value(data, at.place, at.state, (), root.text)
