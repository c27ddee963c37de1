# SPDX-License-Identifier: Apache-2.0
"""The containers of ECS task definitions, whichever language declares them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from bastide.discover.model import Resource, State, Value

TASKS = ("aws_ecs_task_definition", "AWS::ECS::TaskDefinition")


def containers(task: Resource) -> Iterator[Resource]:
    """One for each definition, in the shape that all containers have. None when the definitions aren't known."""
    if task.type not in TASKS:
        return
    for definition in task.find("container_definitions"):
        if not isinstance(definition.data, Mapping) or not definition.find("image"):
            continue
        name = next((str(v.data) for v in definition.find("name")), task.name)
        place = definition.place
        body: dict[str, Value] = {"platform": Value("ecs", place), "image": definition.find("image")[0]}
        words = tuple(w for key in ("entryPoint", "command") for w in definition.find(key))
        body["command"] = Value(words, words[0].place if words else place)
        body["env"] = Value(dict(_environment(definition)), place)
        ports = tuple(Value({"container": p}, p.place) for p in definition.find("portMappings.containerPort"))
        body["ports"] = Value(ports, ports[0].place if ports else place)
        body |= {k: v[0] for k in ("privileged", "user") if (v := definition.find(k))}
        body["role"] = Value(tuple(task.find("task_role_arn")), place)
        yield Resource(
            f"{task.id}/{name}",
            "container",
            name,
            Value(body, place),
            place,
            scope=task.scope,
            via=(task.place, *task.via),
            part_of=task.id,
        )


def _environment(definition: Value) -> Iterator[tuple[str, Value]]:
    for entry in definition.find("environment"):
        for name in entry.find("name"):
            value = next(iter(entry.find("value")), None)
            yield str(name.data), value if value is not None else Value(None, entry.place, State.UNKNOWN)
    for entry in definition.find("secrets"):
        for name in entry.find("name"):
            yield str(name.data), Value(None, entry.place, State.UNKNOWN, (f"secret:{name.data}",))
