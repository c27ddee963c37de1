# SPDX-License-Identifier: Apache-2.0
"""Containers whose image is built from a folder of the tree have what its Dockerfile says, where their own declaration says nothing. Pure."""

from __future__ import annotations

import posixpath
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from bastide.discover.interpret import as_text, repository
from bastide.discover.model import Resource, State, Value


def with_images(resources: Sequence[Resource]) -> Iterator[Resource]:
    """The resources; containers are filled up. A Dockerfile of a container is a part of it."""
    files: dict[str, list[Resource]] = defaultdict(list)
    for resource in resources:
        if resource.type == "docker/file":
            files[_folder(resource)].append(resource)
    called: dict[str, list[Resource]] = defaultdict(list)
    for folder, beside in files.items():
        called[posixpath.basename(folder)] += [f for f in beside if posixpath.basename(f.place.file) == "Dockerfile"]
    containers = [r for r in resources if r.type == "container"] if files else []
    built = {r.id: file for r in containers if (file := _built(r, files, called)) is not None}
    users = {file.id: container for container, file in reversed(built.items())}
    for resource in resources:
        if resource.type == "container" and resource.id in built:
            yield replace(resource, body=Value(_filled(resource.body.data, built[resource.id]), resource.body.place))
        elif resource.type == "docker/file":
            yield _part(resource, users.get(resource.id, ""))
        else:
            yield resource


def _part(file: Resource, container: str) -> Resource:
    """A Dockerfile with the container that it is built for; else it is of the program beside it."""
    whole = container or f"{_folder(file)}: program"
    return replace(
        file, body=Value({**file.body.data, "of": Value(None, file.place, State.UNKNOWN, (whole,))}, file.body.place)
    )


def _folder(file: Resource) -> str:
    return posixpath.dirname(file.place.file) or "."


def _built(
    container: Resource, files: Mapping[str, Sequence[Resource]], called: Mapping[str, Sequence[Resource]]
) -> Resource | None:
    """The Dockerfile of the folder from which it is built; without one, of the only folder that is called like it."""
    for build in container.find("build"):
        beside = files.get(as_text(build) or ".", ())
        plain = [f for f in beside if posixpath.basename(f.place.file) in ("Dockerfile", "Containerfile")]
        return next(iter(plain), None) or (beside[0] if len(beside) == 1 else None)
    alike = [(likeness(container, name), f) for name, found in called.items() for f in found]
    best = max((n for n, _ in alike), default=0)
    named = [f for n, f in alike if n == best]
    return named[0] if best and len(named) == 1 else None


def likeness(container: Resource, folder: str) -> int:
    """How surely a container is built from a folder with a Dockerfile: 3 its image is called like it, 2 it is itself, 1 its image ends so."""
    name = _plain(folder)
    images = [_plain(repository(t).rpartition("/")[2]) for v in container.find("image") if (t := as_text(v))]
    if not name:
        return 0
    if name in images:
        return 3
    if name == _plain(container.name):
        return 2
    return int("-" in name and any(image.endswith(f"-{name}") for image in images))


def _plain(name: str) -> str:
    return name.lower().replace("_", "-")


def _filled(body: Mapping[str, Value], file: Resource) -> dict[str, Value]:
    said = file.body.data
    found = {**body, "dockerfile": Value(file.place.file, file.place)}
    if "image" not in body:
        found["image"] = said["image"]
    if not _given(body, "command"):
        words = [w for key in ("entrypoint", "command") if key in said for w in said[key].elements()]
        if words:
            found["command"] = Value(tuple(words), words[0].place)
    for key in ("user", "ports"):
        if key in said and not _given(body, key):
            found[key] = said[key]
    env = body.get("env")
    own = env.data if env is not None and isinstance(env.data, Mapping) else {}
    if env is None or isinstance(env.data, Mapping):
        found["env"] = Value({**said["env"].data, **own}, env.place if env is not None else file.place)
    return found


def _given(body: Mapping[str, Value], key: str) -> bool:
    return (key in body and body[key].data not in (None, (), {})) or (key in body and body[key].state is State.UNKNOWN)
