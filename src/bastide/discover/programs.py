# SPDX-License-Identifier: Apache-2.0
"""Which files are one program, and which container runs it. Pure.

A program is the code below the nearest folder that is packaged by itself (a Dockerfile, a project file); without one, the code of the folder.
"""

from __future__ import annotations

import posixpath
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from bastide.discover.images import likeness
from bastide.discover.interpret import Piece, as_text
from bastide.discover.model import Place, Resource, State, Value
from bastide.discover.types import fits

CODE = ("python/file", "typescript/file")
_API = re.compile(r"(?:openapi|swagger)\b", re.IGNORECASE)
_FIRST = frozenset({"main", "app", "server", "api", "index", "__main__", "run", "cli"})
_PACKAGED = frozenset(
    {
        "Dockerfile",
        "Containerfile",
        "pyproject.toml",
        "setup.py",
        "requirements.txt",
        "package.json",
        "Pipfile",
        "environment.yml",
        "app.yaml",
    }
)


def with_programs(
    resources: Sequence[Resource], files: Iterable[str], needed: Iterable[Resource] = ()
) -> list[Resource]:
    """The resources, with one more for each program; code files are part of theirs, a program part of the container that is built from it."""
    roots = {
        posixpath.dirname(f)
        for f in files
        if posixpath.basename(f) in _PACKAGED or posixpath.basename(f).startswith("Dockerfile.")
    }
    members: dict[str, list[Resource]] = defaultdict(list)
    for resource in resources:
        if resource.type in CODE and not resource.part_of:
            members[_root(resource.place.file, roots)].append(resource)
    containers = [r for r in resources if r.type == "container" and not any(v.data is True for v in r.find("job"))]
    libraries: dict[str, list[Resource]] = defaultdict(list)
    for resource in needed:
        libraries[resource.scope].append(resource)
    programs = {
        root: _program(root, code, _container(root, containers, root in roots), libraries[root])
        for root, code in members.items()
    }
    placed = [
        replace(r, part_of=programs[_root(r.place.file, roots)].id) if r.type in CODE and not r.part_of else r
        for r in resources
    ]
    ids = {root: program.id for root, program in programs.items()}
    return [*(_described(r, ids, roots) for r in placed), *programs.values()]


def named(piece: Piece) -> Piece:
    """A program without a folder of its own is called after the file that makes it what it is, else after the one with which programs begin."""
    resource = piece.resource
    if resource.type != "program" or resource.scope or any(v.data for v in resource.find("root")):
        return piece
    wanted = piece.type.where.get("imports", ()) if piece.type is not None else ()
    telling = [v.place.file for v in resource.find("imports") if (text := as_text(v)) and wanted and fits(text, wanted)]
    first = [f for v in resource.find("files") if (f := as_text(v)) and _stem(f).lower() in _FIRST]
    file = next(iter([*telling, *first]), resource.place.file)
    changed = replace(resource, name=_stem(file), place=Place(file, 1))
    return replace(piece, resource=changed, label=_stem(file))


def _stem(file: str) -> str:
    return posixpath.splitext(posixpath.basename(file))[0]


def _described(resource: Resource, programs: Mapping[str, str], roots: set[str]) -> Resource:
    """A document that is called `openapi` or `swagger` describes the program in whose folder it stands; others may be somebody else's."""
    named = _API.match(posixpath.basename(resource.place.file)) if resource.type == "openapi/document" else None
    program = programs.get(_root(resource.place.file, roots), "") if named else ""
    if not program:
        return resource
    of = Value(None, resource.place, State.UNKNOWN, (program,))
    return replace(resource, body=Value({**resource.body.data, "of": of}, resource.body.place))


def _root(file: str, roots: set[str]) -> str:
    folder = posixpath.dirname(file)
    above = folder
    while True:
        if above in roots:
            return above
        if not above:
            return folder
        above = posixpath.dirname(above)


def _program(root: str, code: list[Resource], container: str, libraries: Sequence[Resource]) -> Resource:
    place = Place(code[0].place.file, 1)
    seen: dict[str, Value] = {}
    for value in (v for r in code for v in r.find("imports")):
        seen.setdefault(as_text(value) or "", value)
    files = Value(tuple(Value(r.place.file, r.place) for r in code), place)
    needs = Value(tuple(Value(r.type.partition("/")[2], r.place) for r in libraries), place)
    body = Value(
        {"imports": Value(tuple(seen.values()), place), "root": Value(root, place), "needs": needs, "files": files},
        place,
    )
    name = posixpath.basename(root) or posixpath.splitext(posixpath.basename(code[0].place.file))[0]
    return Resource(f"{root or '.'}: program", "program", name, body, place, scope=root, part_of=container)


def _container(root: str, containers: Sequence[Resource], packaged: bool) -> str:
    """The container whose image is built from the program's folder, or is called like it."""
    for container in containers:
        for build in container.find("build"):
            context = as_text(build)
            if context is not None and (context in (root, ".") or root.startswith(context + "/")):
                return container.id
    alike = [(likeness(c, posixpath.basename(root)), c) for c in containers]
    best = max((n for n, _ in alike), default=0)
    called = [c for n, c in alike if n == best]
    sure = best >= (_ITS_NAME if packaged else _ITS_IMAGE)
    return called[0].id if sure and len({(c.scope, c.name) for c in called}) == 1 else ""


_ITS_NAME, _ITS_IMAGE = 1, 3
"""How alike a folder and a container have to be called: something builds the folder into an image, or nothing is known to do so."""
