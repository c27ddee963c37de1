# SPDX-License-Identifier: Apache-2.0
"""What the Serverless Application Model makes of the events of functions and state machines: APIs, routes, triggers, addresses. Pure.

The Serverless Framework's functions come here in the same shape.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from bastide.discover.model import Resource, State, Value, plain_key
from bastide.discover.wires import route, trigger

_RUN = ("AWS::Serverless::Function", "AWS::Serverless::StateMachine")
_GLOBALS = "AWS::Serverless::Globals"
_APIS: Mapping[str, tuple[str, str, str]] = {
    "Api": ("RestApiId", "ServerlessRestApi", "AWS::Serverless::Api"),
    "HttpApi": ("ApiId", "ServerlessHttpApi", "AWS::Serverless::HttpApi"),
    "WebSocket": ("ApiId", "WebsocketsApi", "AWS::ApiGatewayV2::Api"),
}
"""Kind of event -> the property that names its API, the API that it makes otherwise, and that one's type."""
_SOURCES: Mapping[str, str] = {
    "S3": "Bucket",
    "SQS": "Queue",
    "SNS": "Topic",
    "DynamoDB": "Stream",
    "Kinesis": "Stream",
}


def with_sam(resources: Iterable[Resource]) -> Iterator[Resource]:
    """The resources, with what events and `Globals` add."""
    given = tuple(resources)
    index = {r.id: r for r in given}
    common = {r.scope: r for r in given if r.type == _GLOBALS}
    made: dict[str, Resource] = {}
    more: list[Resource] = []
    rest: list[Resource] = []
    for resource in given:
        if resource.type in _RUN:
            whole = _with_common(resource, common.get(resource.scope))
            more += [whole, *_address(whole)]
            for name, event in _events(whole):
                more += _event(whole, name, event, index, common.get(resource.scope), made)
        elif resource.type != _GLOBALS:
            rest.append(resource)
    # What an API asks by default, its routes say.
    routed = {r for one in more if one.type == "aws/route" for v in one.find("api") for r in v.refs}
    yield from (_without(r, "Auth") if r.id in routed else r for r in (*rest, *made.values()))
    yield from more


def _without(resource: Resource, key: str) -> Resource:
    data = resource.body.data if isinstance(resource.body.data, Mapping) else {}
    return replace(resource, body=replace(resource.body, data={k: v for k, v in data.items() if k != key}))


def _with_common(resource: Resource, common: Resource | None) -> Resource:
    """A function with the properties that all have; maps are put together."""
    shared = [v for v in common.find("Function") if isinstance(v.data, Mapping)] if common is not None else []
    if resource.type != _RUN[0] or not shared:
        return resource
    return replace(resource, body=_over(shared[0], resource.body))


def _over(under: Value, value: Value) -> Value:
    if not isinstance(under.data, Mapping) or not isinstance(value.data, Mapping):
        return value
    both = {k: _over(under.data[k], v) if k in under.data else v for k, v in value.data.items()}
    return replace(value, data={**under.data, **both})


def _events(resource: Resource) -> Iterator[tuple[str, Value]]:
    for events in resource.find("Events"):
        yield from events.data.items() if isinstance(events.data, Mapping) else ()


def _event(
    function: Resource,
    name: str,
    event: Value,
    index: Mapping[str, Resource],
    common: Resource | None,
    made: dict[str, Resource],
) -> Iterator[Resource]:
    kind = next((str(v.data) for v in event.find("Type")), "")
    at = replace(function, id=f"{function.id} {name}", place=event.place)
    own = Value(None, event.place, State.UNKNOWN, (function.id,))
    if kind in _SOURCES:
        sources = [v for v in event.find(f"Properties.{_SOURCES[kind]}") if v.refs]
        yield from (trigger(at, v, own) for v in sources[:1])
    elif kind in _APIS:
        key, implied, type_ = _APIS[kind]
        named = [v for v in event.find(f"Properties.{key}") if any(r in index for r in v.refs)]
        api = named[0] if named else Value(None, event.place, State.UNKNOWN, (f"{function.scope}: {implied}",))
        holder = index.get(api.refs[0]) if named else _implied(function, implied, type_, event, common, made)
        made_route = route(at, api, own, _authorization(event, holder, kind))
        asks = [v for v in event.find("Properties.Auth.function") if v.refs]
        body = {**made_route.body.data, **({"authorizer": asks[0]} if asks else {})}
        yield replace(made_route, body=replace(made_route.body, data=body))


def _implied(
    function: Resource, name: str, type_: str, event: Value, common: Resource | None, made: dict[str, Resource]
) -> Resource:
    id_ = f"{function.scope}: {name}"
    if id_ not in made:
        kind = type_.rpartition("::")[2]
        body = next((v for v in common.find(kind) if isinstance(v.data, Mapping)), None) if common is not None else None
        made[id_] = Resource(id_, type_, name, body or Value({}, event.place), event.place, scope=function.scope)
    return made[id_]


def _authorization(event: Value, api: Resource | None, kind: str) -> Value:
    """What callers present: said by the event, else by its API."""
    if kind == "WebSocket" and not any(v.data == "$connect" for v in event.find("Properties.Route")):
        # Only who connects is asked.
        return Value(None, event.place)
    for said in event.find("Properties.Auth.Authorizer"):
        return _named(said)
    if any(v.data is True for v in event.find("Properties.Auth.ApiKeyRequired")):
        return Value("API_KEY", event.place)
    for said in api.find("Auth.DefaultAuthorizer") if api is not None else ():
        return _named(said)
    if api is not None and any(v.data is True for v in api.find("Auth.ApiKeyRequired")):
        return Value("API_KEY", event.place)
    return Value("NONE", event.place)


def _named(authorizer: Value) -> Value:
    name = str(authorizer.data)
    return Value(name if name in ("NONE", "AWS_IAM") else "CUSTOM", authorizer.place)


def _address(function: Resource) -> Iterator[Resource]:
    """`FunctionUrlConfig`: an address of its own."""
    for config in function.find("FunctionUrlConfig"):
        kinds = [
            v
            for k, v in (config.data.items() if isinstance(config.data, Mapping) else ())
            if plain_key(k) == "authtype"
        ]
        own = Value(None, config.place, State.UNKNOWN, (function.id,))
        body = Value({"TargetFunctionArn": own, **({"AuthType": kinds[0]} if kinds else {})}, config.place)
        yield replace(
            function,
            id=f"{function.id} url",
            type="AWS::Lambda::Url",
            name=f"{function.name}Url",
            body=body,
            place=config.place,
        )
