# SPDX-License-Identifier: Apache-2.0
"""The files of Compose projects, and each service as a container."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePosixPath

from bastide.discover.importers.compose.container import container
from bastide.discover.importers.compose.interpolate import interpolate
from bastide.discover.importers.env_file import read_env
from bastide.discover.interface import Tree
from bastide.discover.model import REST, Place, Problem, Reading, Resource, State, Value
from bastide.discover.readers.yaml_ import read_yaml

_NAME = re.compile(r"(?:docker-)?compose[\w.-]*\.ya?ml\Z|[\w.-]*docker-compose[\w.-]*\.ya?ml\Z", re.IGNORECASE)
_SERVICES = re.compile(r"^services:\s*(?:#.*)?$", re.MULTILINE)
_IMAGE = re.compile(r"^ {2,8}image:\s*\S", re.MULTILINE)
_OTHERS = re.compile(
    r"^(?:apiVersion|stages|jobs|pipelines|default|include|on|trigger|parameters|framework)\s*:", re.MULTILINE
)
"""What files of CI systems and others have at the beginning of a line."""
_STANDARD = re.compile(r"(?:docker-)?compose\.ya?ml\Z")
_OVERRIDE = re.compile(r"(?:docker-)?compose\.override\.ya?ml\Z")
_TEMPLATES = (".env.example", ".env.sample", ".env.template", "env.example", ".env.dist")
_DEPTH = 8
"""Files that extend or include one another."""


class Compose:
    """A service becomes a container; services that are alternatives of one another differ in `variant` only."""

    name = "compose"

    def wants(self, path: str, head: Callable[[], str]) -> bool:
        """By name; other YAML files, such as stacks of Swarm, when they begin with services that have images."""
        if _NAME.match(PurePosixPath(path).name):
            return True
        if not path.endswith((".yml", ".yaml")) or "/.github/" in f"/{path}":
            return False
        begin = head()
        return bool(_SERVICES.search(begin) and _IMAGE.search(begin)) and not _OTHERS.search(begin)

    def read(self, tree: Tree, files: Sequence[str]) -> Reading:
        """The containers of each file; an override file counts with the file that it overrides."""
        reader = _Reader(tree)
        # The file that Compose takes by itself first: the others are variants of it.
        ordered = sorted(files, key=lambda f: (posixpath.dirname(f), not _STANDARD.search(f), f))
        resources = [r for file in ordered if not _OVERRIDE.search(file) for r in reader.project(file)]
        resources = list(_whole(resources, reader.problems))
        return Reading(tuple(_apart(_with_routes(resources))), tuple(dict.fromkeys(reader.problems)), frozenset(files))


def _whole(resources: list[Resource], problems: list[Problem]) -> Iterator[Resource]:
    """A service without an image is laid over the one of that name in another file of the folder: it is called like that."""
    names = {r.id: r.name for r in reversed(resources) if _has_image(r)}
    for resource in resources:
        if _has_image(resource):
            yield resource
        elif resource.id in names:
            file = PurePosixPath(resource.place.file).name
            yield replace(resource, name=names[resource.id], variant=resource.variant or file)
        else:
            problems.append(
                Problem(resource.place, f"`{resource.name}` has no image: it belongs over a file that isn't here")
            )


def _with_routes(resources: list[Resource]) -> list[Resource]:
    """Traefik sends requests to the services of its host whose labels say so."""
    routed = [r for r in resources if "routed" in r.body.data]
    found = []
    for resource in resources:
        behind = [r for r in routed if r.scope == resource.scope and r.name != resource.name]
        image = "".join(str(v.data) for v in resource.find("image")).partition(":")[0].rpartition("/")[2]
        if image == "traefik" and behind:
            routes = Value(tuple(Value(r.name, r.place) for r in behind), resource.place)
            body = replace(resource.body, data={**resource.body.data, "routes": routes})
            resource = replace(resource, body=body)  # noqa: PLW2901
        found.append(resource)
    return found


def _has_image(resource: Resource) -> bool:
    return bool({"image", "build"} & set(resource.body.data))


def _apart(resources: list[Resource]) -> Iterator[Resource]:
    """Resources of several files of a folder that declare the same service are variants of it."""
    seen: dict[str, int] = {}
    for resource in resources:
        count = seen[resource.id] = seen.get(resource.id, 0) + 1
        if count == 1:
            yield resource
        else:
            file = PurePosixPath(resource.place.file).name
            yield replace(resource, id=f"{resource.id} ({file})", variant=resource.variant or file)


@dataclass(slots=True)
class _Reader:
    tree: Tree
    problems: list[Problem]

    def __init__(self, tree: Tree) -> None:
        self.tree, self.problems = tree, []

    def project(self, file: str) -> Iterator[Resource]:
        """The services of a file with what it includes and its override."""
        folder = posixpath.dirname(file)
        services, root = self._services(file, 0)
        if _STANDARD.search(file):
            for name in (
                "compose.override.yml",
                "compose.override.yaml",
                "docker-compose.override.yml",
                "docker-compose.override.yaml",
            ):
                other = posixpath.join(folder, name)
                if other in self.tree.sizes:
                    for key, value in self._services(other, 0)[0].items():
                        services[key] = merged(services[key], value) if key in services else value
        for name, service in services.items():
            yield container(name, service, folder, root, services)

    def _services(self, file: str, depth: int) -> tuple[dict[str, Value], Value | None]:
        root = self._document(file)
        if root is None:
            return {}, None
        folder = posixpath.dirname(file)
        variables = self._variables(folder)
        found: dict[str, Value] = {}
        if depth < _DEPTH:
            for path in (
                str(v.data) for v in (*root.find("include.path"), *root.find("include")) if isinstance(v.data, str)
            ):
                if inside := self._inside(folder, path, root.place):
                    found |= self._services(inside, depth + 1)[0]
        for services in root.find("services"):
            for name, service in (services.data if isinstance(services.data, Mapping) else {}).items():
                if isinstance(service.data, Mapping):
                    whole = self._extended(interpolate(service, variables), file, depth)
                    found[name] = self._with_env_files(whole, folder)
        return found, root

    def _document(self, file: str) -> Value | None:
        text = self.tree.read(file)
        if text is None:
            return None
        documents, problems = read_yaml(text, file)
        self.problems += problems
        return documents[0] if documents and isinstance(documents[0].data, Mapping) else None

    def _variables(self, folder: str) -> dict[str, Value]:
        """From `.env`; else from a template of it, which only says what the values may be."""
        path = posixpath.join(folder, ".env")
        if path in self.tree.sizes and (text := self.tree.read(path)) is not None:
            return read_env(text, path)
        for name in _TEMPLATES:
            path = posixpath.join(folder, name)
            if path in self.tree.sizes and (text := self.tree.read(path)) is not None:
                return {k: replace(v, state=State.CONDITIONAL) for k, v in read_env(text, path).items()}
        return {}

    def _extended(self, service: Value, file: str, depth: int) -> Value:
        extends = service.data.get("extends")
        if extends is None or depth >= _DEPTH:
            return service
        name = extends.data if isinstance(extends.data, str) else next((v.data for v in extends.find("service")), None)
        path = next((v.data for v in extends.find("file")), None) if isinstance(extends.data, Mapping) else None
        source: str | None = file
        if isinstance(path, str):
            source = self._inside(posixpath.dirname(file), path, extends.place)
        if source is None:
            return service
        root = self._document(source)
        base = (
            next(iter(root.find(f"services.{name}")), None)
            if root and isinstance(name, str) and "." not in name
            else None
        )
        if base is None or not isinstance(base.data, Mapping) or base is service:
            self.problems.append(Problem(extends.place, f"extends service `{name}`, which isn't in {source}"))
            return service
        base = interpolate(base, self._variables(posixpath.dirname(source)))
        return merged(self._extended(base, source, depth + 1), service)

    def _with_env_files(self, service: Value, folder: str) -> Value:
        """The service with the variables of its `env_file`s, which its own `environment` goes before."""
        service = replace(
            service, data={**service.data, "x-project-env": Value(self._variables(folder), service.place)}
        )
        paths = [v for key in ("env_file", "env_file.path") for v in service.find(key) if isinstance(v.data, str)]
        if not paths:
            return service
        variables: dict[str, Value] = {}
        for path in paths:
            inside = self._inside(folder, path.data, path.place, note=False)
            text = self.tree.read(inside) if inside else None
            if inside is None or text is None:
                # Templates stand in for a file that nobody commits.
                stands_in = self._variables(posixpath.dirname(posixpath.join(folder, path.data)))
                variables |= stands_in or {REST: Value(None, path.place, State.UNKNOWN)}
            else:
                variables |= read_env(text, inside)
        return replace(service, data={**service.data, "x-env-file": Value(variables, paths[0].place)})

    def _inside(self, folder: str, path: str, place: Place, note: bool = True) -> str | None:
        """A path of the tree, or None with a problem."""
        whole = posixpath.normpath(posixpath.join(folder, path))
        if whole in self.tree.sizes:
            return whole
        if note:
            self.problems.append(
                Problem(place, f"names {path[:200]}, which isn't in this folder; what it declares isn't known")
            )
        return None


def merged(base: Value, over: Value) -> Value:
    """Two services as Compose merges them: mappings by key, lists one after the other, scalars from the second."""
    if isinstance(base.data, Mapping) and isinstance(over.data, Mapping):
        both = {k: merged(v, over.data[k]) if k in over.data else v for k, v in base.data.items()}
        return replace(over, data={**both, **{k: v for k, v in over.data.items() if k not in base.data}})
    if isinstance(base.data, tuple) and isinstance(over.data, tuple):
        return replace(over, data=base.data + over.data)
    return over
