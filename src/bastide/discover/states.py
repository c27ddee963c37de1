# SPDX-License-Identifier: Apache-2.0
"""What the states of a state machine call: functions, models, stores, wherever its definition stands. Pure.

Definitions are mappings, texts of JSON, or constructs of the CDK beside the machine. The machine has an attribute `tasks` with the resource and
the parameters of each task.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from bastide.discover.model import Resource, State, Value, plain_key
from bastide.discover.readers.embedded import document

MACHINES = ("AWS::StepFunctions::StateMachine", "AWS::Serverless::StateMachine", "aws_sfn_state_machine")
_DEFINITIONS = ("definition", "definition_string", "definition_body")
_TASKS = ("aws_stepfunctions_tasks.", "aws-cdk-lib/aws-stepfunctions-tasks.")
_MOST = 2000


def with_states(resources: Iterable[Resource]) -> Iterator[Resource]:
    """The resources, with machines that have their tasks."""
    given = tuple(resources)
    beside: dict[str, list[Resource]] = defaultdict(list)
    for resource in given:
        if any(t in resource.type for t in _TASKS):
            beside[resource.place.file].append(resource)
    machines = defaultdict(list)
    for resource in given:
        if resource.type in MACHINES:
            machines[resource.place.file].append(resource)
    for resource in given:
        if resource.type not in MACHINES:
            yield resource
            continue
        tasks = list(_tasks(resource))
        if len(machines[resource.place.file]) == 1:
            tasks += [Value(t.body.data, t.place) for t in beside[resource.place.file]]
        body = {**(resource.body.data or {}), "tasks": Value(tuple(tasks), resource.place)}
        yield replace(resource, body=replace(resource.body, data=body))


def _tasks(machine: Resource) -> Iterator[Value]:
    put = next((v.data for v in machine.find("DefinitionSubstitutions") if isinstance(v.data, Mapping)), {})
    for name in _DEFINITIONS:
        for value in machine.find(name):
            for task in _found(document(value)):
                yield _substituted(task, put)


def _found(root: Value) -> Iterator[Value]:
    """Resource and parameters of all tasks, also of those in branches and maps."""
    todo, seen = [root], 0
    while todo and seen < _MOST:
        value = todo.pop(0)
        seen += 1
        data = value.data
        if isinstance(data, tuple):
            todo += data
        elif isinstance(data, Mapping):
            keys = {plain_key(k): v for k, v in data.items()}
            if "type" in keys and keys["type"].data == "Task" and "resource" in keys:
                given = keys.get("arguments") or keys.get("parameters")
                yield Value({"resource": keys["resource"], **({"parameters": given} if given else {})}, value.place)
            todo += [v for v in data.values() if isinstance(v.data, (Mapping, tuple))]


def _substituted(value: Value, put: Mapping[str, Value]) -> Value:
    """A task with what the template gives for `${Name}`."""
    if not put:
        return value
    if isinstance(value.data, Mapping):
        return replace(value, data={k: _substituted(v, put) for k, v in value.data.items()})
    if isinstance(value.data, tuple):
        return replace(value, data=tuple(_substituted(v, put) for v in value.data))
    if not isinstance(value.data, str) or "${" not in value.data:
        return value
    names = [n for n in put if f"${{{n}}}" in value.data]
    if len(names) == 1 and value.data == f"${{{names[0]}}}":
        return put[names[0]]
    refs = tuple(dict.fromkeys(r for n in names for r in put[n].refs))
    return Value(None, value.place, State.UNKNOWN, refs, value.data[:200])
