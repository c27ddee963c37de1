# SPDX-License-Identifier: Apache-2.0
"""What constructs of the AWS CDK are wired to by calls of their methods: event sources, notifications, routes of APIs. Pure.

A call such as `queue -> function.addEventSource(new SqsEventSource(queue))` becomes a resource of its own with two ends, so that the
catalogue reads one shape: `aws/trigger` (`from`, `to`) and `aws/route` (`api`, `to`, `authorization`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace

from bastide.discover.action_groups import GROUP
from bastide.discover.model import Resource, State, Value, plain_key

_CDK = re.compile(r"call/(?:js:)?(?:aws_cdk|aws-cdk-lib|@aws-cdk|@?cdklabs)\b")
_NESTED = 8
_Index = Mapping[str, Resource]
API = ("AWS::ApiGateway::RestApi", "AWS::ApiGatewayV2::Api", "AWS::AppSync::GraphQLApi")


def with_wires(resources: Iterable[Resource]) -> Iterator[Resource]:
    """The resources; calls that wire constructs are what they wire."""
    given = tuple(resources)
    index = {r.id: r for r in given}
    for resource in given:
        wire = _METHODS.get(plain_key(resource.type.rpartition(".")[2])) if _CDK.match(resource.type) else None
        made = list(wire(resource, index)) if wire is not None else []
        yield from made or [resource]
        if resource.type in API:
            yield from _own_routes(resource, index)


def trigger(at: Resource, source: Value, target: Value, id_: str = "") -> Resource:
    """Something that happens at `source` runs `target`."""
    body = Value({"from": source, "to": target}, at.place)
    return replace(at, id=id_ or at.id, type="aws/trigger", body=body, part_of="", names=())


def route(at: Resource, api: Value, target: Value | None, authorization: Value, id_: str = "") -> Resource:
    """A way in at an API; `target`: what answers there."""
    body = {"api": api, "authorization": authorization, **({"to": target} if target is not None else {})}
    return replace(at, id=id_ or at.id, type="aws/route", body=Value(body, at.place), part_of="", names=())


def meant(value: Value | None, index: _Index) -> Value | None:
    """What a reference leads to, through the calls that only wrap it: `new LambdaIntegration(fn)` is `fn`, `api.root` is `api`."""
    todo, seen = [*(value.refs if value is not None else ())], 0
    while todo and seen < _NESTED * 4:
        seen += 1
        found = index.get(todo.pop(0))
        if found is not None and not found.type.startswith("call/"):
            return Value(None, value.place if value else found.place, State.UNKNOWN, (found.id,))
        if found is not None:
            given = [v for k in ("0", "1", "handler", "$on") for v in _whole(found, k)]
            todo = [*(r for v in given for r in v.refs), *todo]
    return None


def _whole(resource: Resource, key: str) -> Iterator[Value]:
    if isinstance(resource.body.data, Mapping) and key in resource.body.data:
        yield resource.body.data[key]


def _argument(call: Resource, *keys: str) -> Value | None:
    return next((v for key in keys for v in _whole(call, key)), None)


# --- events -------------------------------------------------------------------------------------------------------------
def _event_source(call: Resource, index: _Index) -> Iterator[Resource]:
    yield from _between(call, meant(_argument(call, "0", "source"), index), meant(_argument(call, "$on"), index))


def _notification(call: Resource, index: _Index) -> Iterator[Resource]:
    """The destination comes last but for filters: after the kind of event, or alone."""
    ends = (meant(_argument(call, key), index) for key in ("dest", "1", "0"))
    yield from _between(call, meant(_argument(call, "$on"), index), next((e for e in ends if e is not None), None))


def _subscription(call: Resource, index: _Index) -> Iterator[Resource]:
    yield from _between(call, meant(_argument(call, "$on"), index), meant(_argument(call, "0", "subscription"), index))


def _consumed(call: Resource, index: _Index) -> Iterator[Resource]:
    yield from _between(call, meant(_argument(call, "$on"), index), meant(_argument(call, "0", "grantee"), index))


def _between(call: Resource, source: Value | None, target: Value | None) -> Iterator[Resource]:
    if source is not None and target is not None:
        yield trigger(call, source, target)


# --- APIs ---------------------------------------------------------------------------------------------------------------
def _method(call: Resource, index: _Index) -> Iterator[Resource]:
    """`resource.addMethod("POST", integration, options)`."""
    api = meant(_argument(call, "$on"), index)
    verb = _argument(call, "0", "http_method")
    if api is None or (verb is not None and verb.data == "OPTIONS"):
        return
    target = meant(_argument(call, "1", "integration", "target"), index) or _handler(api, index)
    yield route(call, api, target, _authorization(call, api, index))


def _routes(call: Resource, index: _Index) -> Iterator[Resource]:
    """`api.addRoutes({path, integration, authorizer})`, `webSocket.addRoute("key", {integration})`."""
    api = meant(_argument(call, "$on"), index)
    if api is None:
        return
    target = next((m for v in call.find("integration") if (m := meant(v, index)) is not None), None)
    # Of a web socket (`addRoute`) only who connects is asked, and that stands among its own options.
    asked = plain_key(call.type.rpartition(".")[2]) == "addroutes"
    yield route(call, api, target, _authorization(call, api, index) if asked else Value(None, call.place))


def _own_routes(api: Resource, index: _Index) -> Iterator[Resource]:
    """What an API is given when it is made: routes of a web socket, the function of a `LambdaRestApi`."""
    own = Value(None, api.place, State.UNKNOWN, (api.id,))
    for key in ("connectRouteOptions", "disconnectRouteOptions", "defaultRouteOptions"):
        options = [v for v in api.find(key) if isinstance(v.data, Mapping)]
        for option in options:
            target = next((m for v in option.find("integration") if (m := meant(v, index)) is not None), None)
            open_ = _state(option.find("authorizer"), "NONE", option) if key.startswith("connect") else None
            silent = Value(None, option.place)
            yield route(api, own, target, open_ if open_ is not None else silent, f"{api.id} {key}")
    handler = _handler(own, index)
    if handler is not None and not any(v.data is False for v in api.find("proxy")):
        yield route(api, own, handler, _authorization(api, own, index), f"{api.id} proxy")


def _handler(api: Value, index: _Index) -> Value | None:
    made = index[api.refs[0]]
    given = (*made.find("handler"), *made.find("default_integration"), *made.find("stateMachine"))
    return next((m for v in given if (m := meant(v, index)) is not None), None)


def _authorization(call: Resource, api: Value, index: _Index) -> Value:
    """What callers present: said by the route, else by the API for all its routes."""
    made = index[api.refs[0]]
    for holder, prefix in ((call, ""), (made, "default_method_options."), (made, "default")):
        kinds = holder.find(f"{prefix}authorization_type")
        written = next((v.text or str(v.data or "") for v in kinds), "").upper()
        if written.endswith(("NONE", "IAM")):
            return Value("NONE" if written.endswith("NONE") else "AWS_IAM", kinds[0].place)
        authorizers = holder.find(f"{prefix}authorizer")
        if authorizers or kinds:
            return _state(authorizers, "CUSTOM", holder.body)
        if any(v.data is True for v in holder.find(f"{prefix}api_key_required")):
            return Value("API_KEY", holder.place)
    if any(v.state is State.UNKNOWN and v.data is None for v in made.find("default_method_options")):
        return Value(None, call.place, State.UNKNOWN)
    return Value("NONE", call.place)


def _state(authorizers: tuple[Value, ...], silent: str, at: Value) -> Value:
    """An authorizer that is there may still be none: `new HttpNoneAuthorizer()`."""
    if not authorizers:
        return Value(silent, at.place)
    none = any("NoneAuthorizer" in v.text for v in authorizers)
    return Value("NONE" if none else "CUSTOM", authorizers[0].place)


def _url(call: Resource, index: _Index) -> Iterator[Resource]:
    """`function.addFunctionUrl({authType})`; requests are signed unless it says otherwise."""
    function = meant(_argument(call, "$on"), index)
    if function is None:
        return
    kinds = call.find("auth_type")
    written = next((v.text or str(v.data or "") for v in kinds), "AWS_IAM").upper()
    known = written.endswith(("NONE", "IAM"))
    kind = Value("NONE" if written.endswith("NONE") else "AWS_IAM", kinds[0].place if kinds else call.place)
    auth = kind if known else Value(None, call.place, State.UNKNOWN)
    body = Value({"TargetFunctionArn": function, "AuthType": auth}, call.place)
    name = f"{index[function.refs[0]].name}Url"
    yield replace(call, type="AWS::Lambda::Url", name=name, body=body, part_of="")


def _action_group(call: Resource, index: _Index) -> Iterator[Resource]:
    """`agent.addActionGroup(new AgentActionGroup({name, executor}))`."""
    agent, given = meant(_argument(call, "$on"), index), _argument(call, "0", "action_group")
    made = next((index[r] for r in (given.refs if given is not None else ()) if r in index), None)
    if agent is None or made is None:
        return
    name = next((str(v.data) for v in made.find("name") if isinstance(v.data, str)), made.name)
    function = next((m for v in made.find("executor") if (m := meant(v, index)) is not None), None)
    executor = {"action_group_executor": Value({"lambda": function}, made.place)} if function is not None else {}
    body = Value({"agent_id": agent, "action_group_name": Value(name, made.place), **executor}, made.place)
    yield replace(call, type=GROUP, name=name, body=body, part_of="")


def _knowledge(call: Resource, index: _Index) -> Iterator[Resource]:
    agent, base = meant(_argument(call, "$on"), index), meant(_argument(call, "0", "knowledge_base"), index)
    if agent is not None and base is not None:
        body = Value({"agent_id": agent, "knowledge_base_id": base}, call.place)
        yield replace(call, type="aws_bedrockagent_agent_knowledge_base_association", body=body, part_of="")


_METHODS: Mapping[str, Callable[[Resource, _Index], Iterator[Resource]]] = {
    "addeventsource": _event_source, "grantconsumemessages": _consumed, "addeventnotification": _notification,
    "addobjectcreatednotification": _notification, "addsubscription": _subscription, "addmethod": _method, "addroutes": _routes,
    "addactiongroup": _action_group, "addknowledgebase": _knowledge, "addroute": _routes, "addfunctionurl": _url,
}  # fmt: skip
