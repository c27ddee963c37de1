# SPDX-License-Identifier: Apache-2.0
"""Containers of the AWS CDK as the task definitions and load balancers that they become: `ecs_patterns`, `addContainer`. Pure."""

from __future__ import annotations

import posixpath
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from bastide.discover.model import Resource, State, Value, plain_key

_PATTERN = re.compile(
    r"call/(?:js:)?(?:aws_cdk\.aws_ecs_patterns|aws-cdk-lib/aws-ecs-patterns|aws-cdk-lib\.aws_ecs_patterns)\.(\w+)\Z"
)
_TASK = re.compile(
    r"call/(?:js:)?(?:aws_cdk\.aws_ecs|aws-cdk-lib/aws-ecs|aws-cdk-lib\.aws_ecs)\.(?:Fargate|Ec2|External)?TaskDefinition\Z"
)
_TASKS = "AWS::ECS::TaskDefinition"
_BALANCER = "AWS::ElasticLoadBalancingV2::LoadBalancer"


def with_fargate(resources: Iterable[Resource]) -> Iterator[Resource]:
    """The resources, with services of a higher level as what they make."""
    given = tuple(resources)
    index = {r.id: r for r in given}
    tasks = {r.id for r in given if _TASK.match(r.type)}
    containers: dict[str, list[Value]] = defaultdict(list)
    for resource in given:
        if plain_key(resource.type.rpartition(".")[2]) == "addcontainer":
            for task in (r for v in resource.find("$on") for r in v.refs if r in tasks):
                containers[task].append(_container(resource, index))
    for resource in given:
        if resource.id in tasks:
            yield _task(resource, containers[resource.id])
        elif (pattern := _PATTERN.match(resource.type)) is not None:
            yield from _service(resource, pattern[1], index)
        else:
            yield resource


def _task(call: Resource, containers: list[Value]) -> Resource:
    body = {"ContainerDefinitions": Value(tuple(containers), call.place)}
    if role := call.find("task_role"):
        body["task_role_arn"] = role[0]
    return replace(call, type=_TASKS, name=_id(call), body=Value(body, call.place), part_of="")


def _service(call: Resource, pattern: str, index: Mapping[str, Resource]) -> Iterator[Resource]:
    """A load-balanced service is both its containers and what is before them."""
    options = [o for v in call.find("task_image_options") for o in _laid_out(v, index)]
    named = [r for v in call.find("task_definition") for r in v.refs]
    if not options and not named:
        yield call
        return
    tasks = f"{call.id} tasks"
    if options:
        body = {"ContainerDefinitions": Value((_definition(options[0], index),), call.place)}
        if role := options[0].find("task_role"):
            body["task_role_arn"] = role[0]
        yield replace(call, type=_TASKS, name=_id(call), body=Value(body, call.place), part_of="")
    if "LoadBalanced" in pattern:
        public = [v for v in call.find("public_load_balancer") if isinstance(v.data, bool)]
        scheme = "internal" if public and public[0].data is False else "internet-facing"
        to = Value(None, call.place, State.UNKNOWN, (call.id if options else named[0],))
        body = {"Scheme": Value(scheme, public[0].place if public else call.place), "containers": to}
        id_ = f"{call.id} load balancer"
        yield replace(
            call,
            id=id_ if options else tasks,
            type=_BALANCER,
            name=f"{_id(call)}LB",
            body=Value(body, call.place),
            part_of="",
        )


def _container(call: Resource, index: Mapping[str, Resource]) -> Value:
    options = next((v for k in ("1", "2") for v in _given(call, k) if isinstance(v.data, Mapping)), call.body)
    name = next((v for k in ("0", "id") for v in _given(call, k) if isinstance(v.data, str)), None)
    whole = _definition(options, index)
    return whole if name is None else replace(whole, data={**whole.data, "Name": name})


def _definition(options: Value, index: Mapping[str, Resource]) -> Value:
    """Image, variables and ports as a task definition has them."""
    found: dict[str, Value] = {"Image": Value(None, options.place, State.UNKNOWN)}
    for image in options.find("image"):
        made = next((index[r] for r in image.refs if r in index), None)
        way = plain_key(made.type.rpartition(".")[2]) if made is not None else ""
        told = next((v for v in _given(made, "0")), None) if made is not None else None
        if way == "fromregistry" and told is not None:
            found["Image"] = told
        elif way == "fromasset" and told is not None and isinstance(told.data, str):
            found["build"] = Value(tuple(Value(f, told.place) for f in _folders(told)), told.place)
    variables = [v for v in options.find("environment") if isinstance(v.data, Mapping)]
    if variables:
        found["Environment"] = variables[0]
    ports = (*options.find("container_port"), *options.find("port_mappings.container_port"))
    found["PortMappings"] = Value(tuple(Value({"ContainerPort": p}, p.place) for p in ports), options.place)
    return Value(found, options.place)


def _folders(asset: Value) -> tuple[str, ...]:
    """An asset's folder is relative to the file that builds the path, or to where the tool is called."""
    beside = posixpath.normpath(posixpath.join(posixpath.dirname(asset.place.file), asset.data))
    above = posixpath.dirname(posixpath.dirname(asset.place.file))
    called = posixpath.normpath(posixpath.join(above, asset.data))
    return tuple(dict.fromkeys(f for f in (beside, called) if not f.startswith("..") and f != "."))


def _laid_out(value: Value, index: Mapping[str, Resource]) -> Iterator[Value]:
    """Options are an object; in Python one that a class makes."""
    if isinstance(value.data, Mapping):
        yield value
    yield from (index[r].body for r in value.refs if r in index and value.data is None)


def _given(call: Resource, key: str) -> Iterator[Value]:
    if isinstance(call.body.data, Mapping) and key in call.body.data:
        yield call.body.data[key]


def _id(call: Resource) -> str:
    return next((str(v.data) for k in ("1", "id") for v in _given(call, k) if isinstance(v.data, str)), call.name)
