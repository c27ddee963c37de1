# SPDX-License-Identifier: Apache-2.0
"""Crews of CrewAI whose agents are described in YAML beside the code: a method makes each agent, a file says its role and its model.

After CrewAI's documentation of `@CrewBase`: `agents_config` names the file, its keys are the names of the methods.
"""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace

from bastide.discover.model import Problem, Resource, State, Value
from bastide.discover.readers.yaml_ import read_yaml

_CLASS, _METHOD = "definition/crewai.project.CrewBase", "definition/crewai.project.agent"
_USUAL = "config/agents.yaml"


def with_crews(
    found: Sequence[Resource], read: Callable[[str], str | None], problems: list[Problem]
) -> Iterator[Resource]:
    """The resources; agents of crews have what their file says, and crews their agents. What can't be read is added to the problems."""
    classes = {r.id: r for r in found if r.type == _CLASS}
    methods = {r.id: r for r in found if r.type == _METHOD and r.part_of in classes}
    files = {id_: _described(class_, read, problems) for id_, class_ in classes.items()}
    agents: dict[str, list[str]] = {}
    for resource in found:
        if resource.type == "call/crewai.Agent" and resource.part_of in methods:
            agents.setdefault(methods[resource.part_of].part_of, []).append(resource.id)
    for resource in found:
        method = methods.get(resource.part_of)
        class_ = resource.part_of.rpartition(".")[0]
        if resource.type == "call/crewai.Agent" and method is not None:
            said = files[method.part_of].get(method.name)
            yield _changed(resource, said.data if said and isinstance(said.data, Mapping) else {}, method.name)
        elif resource.type == "call/crewai.Crew" and class_ in agents and not _refs(resource, "agents"):
            all_ = Value(None, resource.place, State.UNKNOWN, tuple(agents[class_]))
            yield _changed(resource, {}, classes[class_].name, {"agents": all_})
        else:
            yield resource


def _described(class_: Resource, read: Callable[[str], str | None], problems: list[Problem]) -> Mapping[str, Value]:
    name = next((v.data for v in class_.find("agents_config") if isinstance(v.data, str)), _USUAL)
    file = posixpath.normpath(posixpath.join(posixpath.dirname(class_.place.file), name))
    text = None if file.startswith(("..", "/")) else read(file)
    documents, wrong = read_yaml(text, file) if text is not None else ([], [])
    problems += wrong
    return documents[0].data if documents and isinstance(documents[0].data, Mapping) else {}


def _refs(resource: Resource, key: str) -> list[str]:
    return [r for v in resource.find(key) for r in v.refs]


def _changed(
    resource: Resource, under: Mapping[str, Value], name: str, over: Mapping[str, Value] | None = None
) -> Resource:
    """With what the file says where the code says nothing. The file's words are the agent's, also its `config`."""
    own = {k: v for k, v in resource.body.data.items() if k != "config"}
    places = tuple(v.place for v in under.values())[:1]
    body = Value({**under, **own, **(over or {})}, resource.place)
    return replace(resource, name=name, body=body, via=(*resource.via, *places))
