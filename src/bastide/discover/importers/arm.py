# SPDX-License-Identifier: Apache-2.0
"""Azure Resource Manager templates in JSON, also those that Bicep was compiled to: resources with parameters, variables and references."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from bastide.discover.interface import Tree
from bastide.discover.model import Problem, Reading, Resource, State, Value
from bastide.discover.readers.json_ import read_json

_CALL = re.compile(r"\A\[(parameters|variables)\('([^']{1,200})'\)\]\Z")
_EXPRESSION = re.compile(r"\A\[(?!\[).*\]\Z", re.DOTALL)
_STRINGS = re.compile(r"'([^']{1,300})'")
_DEPTH = 12


class Arm:
    """Templates are recognised by their schema."""

    name = "arm"

    def wants(self, path: str, head: Callable[[], str]) -> bool:
        """JSON with the schema of a deployment template."""
        return path.endswith(".json") and "deploymentTemplate.json" in head()

    def read(self, tree: Tree, files: Sequence[str]) -> Reading:
        """The resources of all templates, those of nested deployments too."""
        found: list[Resource] = []
        problems: list[Problem] = []
        for file in files:
            if (text := tree.read(file)) is None:
                continue
            root, wrong = read_json(text, file)
            problems += wrong
            if root is not None and isinstance(root.data, Mapping) and not _is_compiled(tree, file, root):
                found += _Template(root, file, "", {}, 0).resources()
        return Reading(tuple(found), tuple(problems), frozenset(files))


def _is_compiled(tree: Tree, file: str, root: Value) -> bool:
    """Whether it was made from a Bicep file that is there too: that one is read."""
    if not any(v.data == "bicep" for v in root.find("metadata._generator.name")):
        return False
    stem, main = file.removesuffix(".json"), posixpath.join(posixpath.dirname(file), "main")
    return any(f"{name}.bicep" in tree.files for name in (stem, main))


@dataclass(frozen=True, slots=True)
class _Template:
    root: Value
    file: str
    prefix: str
    arguments: Mapping[str, Value]
    depth: int

    def resources(self) -> Iterator[Resource]:
        """Resources, and their child resources, in the shape that `azapi` and Bicep give them."""
        names = dict(self._names())
        for resource, kind, name in self._all():
            if kind == "Microsoft.Resources/deployments":
                yield from self._nested(resource, name)
                continue
            body = self._value(resource, names, 0)
            place = resource.data["type"].place if "type" in resource.data else resource.place
            yield Resource(
                f"{self.file}: {self.prefix}{kind}/{name}",
                kind,
                name.rpartition("/")[2],
                body,
                replace(place, end=resource.place.end),
                scope=self.file,
            )

    def _all(self) -> Iterator[tuple[Value, str, str]]:
        pending = [(r, "", "") for r in self._listed(self.root)]
        while pending:
            resource, above, parent = pending.pop()
            if not isinstance(resource.data, Mapping) or any(v.data is False for v in resource.find("condition")):
                continue
            kind = next((str(v.data) for v in resource.find("type")), "")
            kind = f"{above}/{kind}" if above and "/" not in kind else kind
            named = self._value(resource.data["name"], {}, 0) if "name" in resource.data else resource
            said = _STRINGS.findall(named.text)
            name = str(named.data) if isinstance(named.data, str) else (said[-1].strip("/") if said else kind)
            if kind:
                yield resource, kind, f"{parent}/{name}" if parent else name
                pending += [(r, kind, name) for r in self._listed(resource)]

    def _listed(self, holder: Value) -> list[Value]:
        """`resources` is a list, and a mapping in newer templates."""
        found = holder.data.get("resources") if isinstance(holder.data, Mapping) else None
        if found is None:
            return []
        return list(found.data.values()) if isinstance(found.data, Mapping) else list(found.elements())

    def _names(self) -> Iterator[tuple[str, str]]:
        for _, kind, name in self._all():
            yield name.rpartition("/")[2], f"{self.file}: {self.prefix}{kind}/{name}"

    def _nested(self, deployment: Value, name: str) -> Iterator[Resource]:
        for template in deployment.find("properties.template"):
            if self.depth < _DEPTH and isinstance(template.data, Mapping):
                given = {}
                for parameters in deployment.find("properties.parameters"):
                    for key, value in (parameters.data if isinstance(parameters.data, Mapping) else {}).items():
                        given[key] = next((self._value(v, {}, 0) for v in value.find("value")), value)
                yield from _Template(template, self.file, f"{self.prefix}{name}: ", given, self.depth + 1).resources()

    def _value(self, value: Value, names: Mapping[str, str], depth: int) -> Value:
        if depth > 40:
            return Value(None, value.place, State.UNKNOWN)
        if isinstance(value.data, Mapping):
            return replace(
                value, data={k: self._value(v, names, depth + 1) for k, v in value.data.items() if k != "resources"}
            )
        if isinstance(value.data, tuple):
            return replace(value, data=tuple(self._value(v, names, depth + 1) for v in value.data))
        if not isinstance(value.data, str) or not _EXPRESSION.match(value.data):
            return value
        if (call := _CALL.match(value.data)) is not None:
            return self._looked_up(call[1], call[2], value, names, depth)
        refs = tuple(dict.fromkeys(names[s] for s in self._said(value.data, depth) if s in names))
        return Value(None, value.place, State.UNKNOWN, refs, value.data[:200])

    def _said(self, expression: str, depth: int) -> Iterator[str]:
        """The names in an expression: as texts, and as what parameters and variables hold."""
        yield from _STRINGS.findall(expression)
        for kind, name in re.findall(r"(parameters|variables)\('([^']{1,200})'\)", expression):
            found = self._looked_up(kind, name, self.root, {}, depth + 1)
            if isinstance(found.data, str):
                yield found.data

    def _looked_up(self, kind: str, name: str, at: Value, names: Mapping[str, str], depth: int) -> Value:
        if kind == "parameters" and name in self.arguments:
            given = self.arguments[name]
            return replace(given, place=at.place)
        for holder in self.root.find(kind):
            declared = holder.data.get(name) if isinstance(holder.data, Mapping) else None
            if declared is None:
                continue
            if kind == "variables":
                return replace(self._value(declared, names, depth + 1), place=at.place)
            default = next(iter(declared.find("defaultValue")), None)
            if default is not None:
                known = self._value(default, names, depth + 1)
                return replace(
                    known,
                    place=at.place,
                    state=State.CONDITIONAL if known.known else State.UNKNOWN,
                    refs=(f"var:{name}",),
                )
        return Value(None, at.place, State.UNKNOWN, (f"var:{name}",))
