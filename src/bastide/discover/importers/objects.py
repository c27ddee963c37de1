# SPDX-License-Identifier: Apache-2.0
"""What is done with an object that is handed in belongs to the only object of its kind that the program makes. Pure."""

from __future__ import annotations

import posixpath
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from bastide.discover.model import Resource, State, Value

_PROJECTS = frozenset({"package.json", "pyproject.toml", "setup.py", "requirements.txt"})


def on_the_only_one(found: Sequence[Resource], files: Iterable[str]) -> Iterator[Resource]:
    """The resources; those whose object isn't known (`def register(server: FastMCP)`) on the only one that their project makes."""
    made: dict[tuple[str, str], list[str]] = defaultdict(list)
    roots = {posixpath.dirname(f) for f in files if posixpath.basename(f) in _PROJECTS}
    for resource in found:
        if resource.type.startswith("call/"):
            made[_root(resource.place.file, roots), resource.type].append(resource.id)
    for resource in found:
        on = resource.body.data.get("$on")
        class_ = f"call/{resource.type.partition('/')[2].rpartition('.')[0]}"
        makers = made.get((_root(resource.place.file, roots), class_), [])
        if on is None or on.refs or len(makers) != 1:
            yield resource
            continue
        here = Value(None, on.place, State.UNKNOWN, (makers[0],), on.text)
        yield replace(resource, body=Value({**resource.body.data, "$on": here}, resource.body.place))


def _root(file: str, roots: set[str]) -> str:
    folder = posixpath.dirname(file)
    while folder and folder not in roots:
        folder = posixpath.dirname(folder)
    return folder
