# SPDX-License-Identifier: Apache-2.0
"""Settings files of programs, given to the container that runs with them: what they declare, that container does. Pure."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from bastide.discover.importers.litellm import CONFIG, config
from bastide.discover.importers.mcp import mcp_server
from bastide.discover.interpret import as_text, repository
from bastide.discover.model import Resource, State, Value
from bastide.discover.readers.yaml_ import read_yaml
from bastide.discover.types import fits

_IMAGES = ("berriai/litellm*", "*/litellm*", "litellm")
_ENVIRONMENT = "os.environ/"
_DEPTH = 24


def with_settings(resources: Sequence[Resource]) -> Iterator[Resource]:
    """The resources, with what settings files declare for the containers that run with them.

    Where containers run the program, a file that none of them runs with is a spare one and says nothing about the system.
    """
    files = [r for r in resources if r.type == CONFIG]
    inside = [c for r in resources if r.type == "kubernetes/ConfigMap" for c in _in_map(r)]
    users = [r for r in resources if r.type == "container" and _runs(r)] if files or inside else []
    used = {
        c.id: user for c in files for user in resources if user.type == "container" and c.place.file in _mounted(user)
    }
    free = [u for u in users if not any(u.name == other.name and u.scope == other.scope for other in used.values())]
    used |= {c.id: user for c in (*files, *inside) if c.id not in used and (user := _beside(c, free)) is not None}
    marked = {user.id: Value(id_, user.place, refs=(id_,)) for id_, user in reversed(used.items())}
    for resource in (*resources, *inside):
        if resource.type == CONFIG:
            if resource.id in used or not users:
                yield from _declared(resource, used.get(resource.id))
        elif resource.id in marked:
            body = {**resource.body.data, "settings": marked[resource.id]}
            yield replace(resource, body=replace(resource.body, data=body))
        else:
            yield resource


def _in_map(map_: Resource) -> Iterator[Resource]:
    """Settings in the text of a ConfigMap."""
    for data in map_.find("data"):
        for key, value in (data.data if isinstance(data.data, Mapping) else {}).items():
            if isinstance(value.data, str) and "model_list:" in value.data:
                documents, wrong = read_yaml(value.data, value.place.file, value.place.line + 1)
                found = config(documents[0], value.place.file, f"{map_.id}.{key}") if documents and not wrong else None
                if found is not None:
                    yield replace(found, name=map_.name, scope=map_.scope)


def _runs(container: Resource) -> bool:
    images = [repository(text) for v in container.find("image") if (text := as_text(v))]
    return any(fits(image, _IMAGES) for image in images)


def _beside(settings: Resource, users: Sequence[Resource]) -> Resource | None:
    """Who runs the program in the namespace or folder of a file; else the only one who runs it."""
    folder = posixpath.dirname(settings.place.file)
    near = [u for u in users if u.scope == settings.scope or u.scope.partition(":")[2] == folder]
    for some in (near, users):
        if len({(u.scope, u.name) for u in some}) == 1:
            return some[0]
    return None


def _mounted(container: Resource) -> Iterator[str]:
    folder = container.scope.partition(":")[2]
    for value in container.find("mounts.source"):
        if isinstance(value.data, str):
            yield posixpath.normpath(posixpath.join(folder, value.data))


def _declared(settings: Resource, user: Resource | None) -> Iterator[Resource]:
    """The settings and, one by one, the models, MCP servers and guardrails that they name."""
    env = next((v.data for v in user.find("env") if isinstance(v.data, Mapping)), {}) if user is not None else {}
    root = _filled(settings.body, env, 0)
    home, scope = (user.id, user.scope) if user is not None else (settings.id, settings.scope)
    of = Value(None, settings.place, State.UNKNOWN, (home,))
    body = {**root.data, "of": of} if user is not None else dict(root.data)
    yield replace(settings, body=Value(body, root.place), scope=scope)
    for key, kind, named in (("model_list", "model", "model_name"), ("guardrails", "guardrail", "guardrail_name")):
        entries = root.data[key].elements() if key in root.data else ()
        for number, entry in enumerate(entries):
            if isinstance(entry.data, Mapping):
                name = next((t for v in entry.find(named) if (t := as_text(v))), f"{kind}-{number}")
                id_ = f"{settings.id}.{key}[{number}]"
                yield Resource(id_, f"litellm/{kind}", name, entry, entry.place, scope=scope, part_of=home)
    for servers in root.find("mcp_servers"):
        for name, server in (servers.data if isinstance(servers.data, Mapping) else {}).items():
            if isinstance(server.data, Mapping):
                id_ = f"{settings.id}.mcp_servers.{name}"
                yield replace(mcp_server(name, server, settings.place.file, id_, ""), scope=scope)
                link = Value({"server": Value(id_, server.place, refs=(id_,))}, server.place)
                yield Resource(f"{id_}.use", "litellm/mcp", name, link, server.place, scope=scope, part_of=home)


def _filled(value: Value, env: Mapping[str, Value], depth: int) -> Value:
    """The settings with `os.environ/NAME` as the container has it."""
    if depth > _DEPTH:
        return value
    if isinstance(value.data, Mapping):
        return replace(value, data={k: _filled(v, env, depth + 1) for k, v in value.data.items()})
    if isinstance(value.data, tuple):
        return replace(value, data=tuple(_filled(v, env, depth + 1) for v in value.data))
    if isinstance(value.data, str) and value.data.startswith(_ENVIRONMENT):
        name = value.data.removeprefix(_ENVIRONMENT)
        given = env.get(name)
        return given if given is not None else Value(None, value.place, State.UNKNOWN, (f"env:{name}",))
    return value
