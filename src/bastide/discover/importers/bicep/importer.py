# SPDX-License-Identifier: Apache-2.0
"""Which Bicep files are deployed, with which parameters, and what they declare."""

from __future__ import annotations

import posixpath
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial

from bastide.discover.importers.bicep.declarations import Declarations, declarations, given, module_path
from bastide.discover.importers.bicep.module import Deployment, Module
from bastide.discover.interface import Tree
from bastide.discover.model import Place, Problem, Reading, Resource, State, Value
from bastide.discover.readers.json_ import read_json

_STEPS = 100_000
_ENTRY = frozenset({"main", "azuredeploy", "deploy"})
_VARIABLE = re.compile(r"\A\$\{(\w+)(?:=([^}]*))?\}\Z")


class Bicep:
    """`*.bicep`; a file that another one calls is read through its callers, with what they give it."""

    name = "bicep"

    def wants(self, path: str, head: Callable[[], str]) -> bool:  # noqa: ARG002 (the name settles it)
        """By name."""
        return path.endswith(".bicep")

    def read(self, tree: Tree, files: Sequence[str]) -> Reading:
        """The resources of all files that nobody calls, and of what they call."""
        problems: list[Problem] = []
        parsed = {f: declarations(text, f, problems) for f in files if (text := tree.read(f)) is not None}
        calls = {f: _calls(f, found, parsed) for f, found in parsed.items()}
        roots = _roots(tree, parsed, calls, problems)
        shared = frozenset(f for f, n in Counter(c for f in _reached(roots, calls) for c in calls[f]).items() if n > 1)
        found: list[Resource] = []
        for root in roots:
            found += _deployed(Deployment(tree, parsed, shared, [_STEPS]), root, problems)
        return Reading(tuple(found), tuple(problems), frozenset(files))


def _deployed(deployment: Deployment, root: str, problems: list[Problem]) -> list[Resource]:
    """Read twice where something refers to what is declared after it."""
    arguments = _parameters(deployment.tree, root)
    found: list[Resource] = []
    for _ in range(2):
        deployment.steps[0] = _STEPS
        found = list(Module(deployment, root, arguments, f"{root}: ").resources())
        if not any(d.existing for f in deployment.parsed.values() for d in f.values()):
            break
    if deployment.steps[0] < 0:
        problems.append(Problem(Place(root), "is too much work to evaluate; part of it is unknown"))
    return found


# --- which files are deployed -----------------------------------------------------------------------------------------
def _calls(file: str, found: Declarations, parsed: Mapping[str, Declarations]) -> list[str]:
    paths = [module_path(file, d.type) for d in found.values() if d.kind == "module"]
    return [p for p in paths if p in parsed and p != file]


def _reached(roots: Sequence[str], calls: Mapping[str, Sequence[str]]) -> set[str]:
    found: set[str] = set()
    todo = list(roots)
    while todo:
        file = todo.pop()
        if file not in found:
            found.add(file)
            todo += calls[file]
    return found


def _roots(
    tree: Tree, parsed: Mapping[str, Declarations], calls: Mapping[str, Sequence[str]], problems: list[Problem]
) -> list[str]:
    """The files that nobody calls, without the modules of a library of which this deployment makes no use."""
    called = {c for own in calls.values() for c in own}
    free = [f for f in parsed if f not in called] or sorted(parsed)[:1]
    callers = [f for f in free if calls[f]]
    unused = [f for f in free if any(_is_unused(tree, f, parsed[f], r) for r in callers if r != f)]
    problems += [
        Problem(Place(f, 1), "is a module that nothing here deploys; it was left out", hides=False) for f in unused
    ]
    return [f for f in free if f not in unused]


def _is_unused(tree: Tree, file: str, found: Declarations, root: str) -> bool:
    """Whether a file lies below one that calls modules, needs to be given something, and nothing gives it."""
    above = posixpath.dirname(root)
    inside = posixpath.dirname(file) != above and (not above or posixpath.dirname(file).startswith(f"{above}/"))
    stem = posixpath.splitext(posixpath.basename(file))[0]
    asks = any(d.kind == "param" and d.value is None for d in found.values())
    return inside and asks and stem not in _ENTRY and not _parameter_file(tree, file)


# --- parameters -------------------------------------------------------------------------------------------------------
def _parameter_file(tree: Tree, file: str) -> str:
    stem = file.removesuffix(".bicep")
    return next((n for n in (f"{stem}.bicepparam", f"{stem}.parameters.json") if n in tree.files), "")


def _parameters(tree: Tree, root: str) -> dict[str, Callable[[], Value]]:
    """What the file of parameters beside a template gives it."""
    file = _parameter_file(tree, root)
    text = tree.read(file) if file else None
    if text is None:
        return {}
    if file.endswith(".bicepparam"):
        parsed = {file: given(text, file)}
        values = Module(Deployment(tree, parsed, frozenset(), [_STEPS]), file, {}, "")
        return {d.name: partial(values.named, d.name, d.place) for d in parsed[file].values() if d.kind == "var"}
    document = read_json(text, file)[0]
    held = next(iter(document.find("parameters")), None) if document is not None else None
    entries = held.data.items() if held is not None and isinstance(held.data, Mapping) else ()
    pairs = [(name, next(iter(entry.find("value")), None)) for name, entry in entries]
    return {name: partial(_filled, value) for name, value in pairs if value is not None}


def _filled(value: Value) -> Value:
    """`${NAME=default}`: from the environment of whoever deploys."""
    match = _VARIABLE.match(value.data) if isinstance(value.data, str) else None
    if match is None:
        return value
    refs = (f"env:{match[1]}",)
    if match[2]:
        word = {"true": True, "false": False}.get(match[2], match[2])
        return replace(value, data=word, state=State.CONDITIONAL, refs=refs)
    return Value(None, value.place, State.UNKNOWN, refs)
