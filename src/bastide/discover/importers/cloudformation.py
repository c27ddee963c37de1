# SPDX-License-Identifier: Apache-2.0
"""CloudFormation and SAM templates, in YAML and JSON, and what CDK synthesises: resources with parameters and references resolved."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import count

from bastide.discover.interface import Tree
from bastide.discover.model import Problem, Reading, Resource, State, Value
from bastide.discover.readers.embedded import embedded, hole
from bastide.discover.readers.json_ import read_json
from bastide.discover.readers.yaml_ import read_yaml

_RESOURCE = re.compile(r"""["']?Type["']?\s*:\s*["']?(?:AWS|Alexa|Custom)::""")
_VARIABLE = re.compile(r"\$\{([^{}!]{1,200})\}")
_DEPTH = 40


class CloudFormation:
    """Templates are recognised by their resources, whatever their names are."""

    name = "cloudformation"

    def wants(self, path: str, head: Callable[[], str]) -> bool:
        """YAML and JSON whose beginning is a template's."""
        if not path.endswith((".yaml", ".yml", ".json", ".template")):
            return False
        begin = head()
        return "AWSTemplateFormatVersion" in begin or "AWS::Serverless" in begin or bool(_RESOURCE.search(begin))

    def read(self, tree: Tree, files: Sequence[str]) -> Reading:
        """The resources of all templates."""
        found: list[Resource] = []
        problems: list[Problem] = []
        for file in files:
            text = tree.read(file)
            if text is None:
                continue
            root, wrong = document(text, file)
            problems += wrong
            if root is not None and isinstance(root.data, Mapping):
                found += Template(root, file, tree).resources()
        return Reading(tuple(found), tuple(problems), frozenset(files))


def document(text: str, file: str) -> tuple[Value | None, list[Problem]]:
    """The first document of a template, in YAML or JSON."""
    if text.lstrip()[:1] == "{":
        return read_json(text, file)
    documents, problems = read_yaml(text, file)
    return (documents[0] if documents else None), problems


@dataclass(frozen=True, slots=True)
class Template:
    """One template: its resources, with what parameters and functions stand for."""

    root: Value
    file: str
    tree: Tree | None = None

    def resources(self) -> Iterator[Resource]:
        """Each resource with its properties; one with a condition exists conditionally."""
        for common in self.root.find("Globals"):
            yield Resource(
                self._id("Globals"),
                "AWS::Serverless::Globals",
                "Globals",
                self.value(common, 0),
                common.place,
                scope=self.file,
            )
        for resources in self.root.find("Resources"):
            for name, resource in (resources.data if isinstance(resources.data, Mapping) else {}).items():
                kind = (
                    next((str(v.data) for v in resource.find("Type")), "") if isinstance(resource.data, Mapping) else ""
                )
                if not kind:
                    continue
                properties = resource.data.get("Properties")
                body = self.value(properties, 0) if properties is not None else Value({}, resource.place)
                body = self._beside(body)
                if "Metadata" in resource.data and isinstance(body.data, Mapping):
                    body = replace(body, data={**body.data, "Metadata": self.value(resource.data["Metadata"])})
                if "Condition" in resource.data:
                    body = replace(body, state=State.CONDITIONAL)
                place = (
                    resource.data["Type"].place
                    if resource.data["Type"].place.line < resource.place.line
                    else resource.place
                )
                yield Resource(self._id(name), kind, name, body, place, scope=self.file)

    def _id(self, name: str) -> str:
        return f"{self.file}: {name}"

    def _beside(self, body: Value) -> Value:
        """Properties with what stands in a file of its own: a state machine, a description of an API."""
        given = body.data if isinstance(body.data, Mapping) else {}
        found = {new: self._included(given[old]) for old, new in _BESIDE.items() if old in given and new not in given}
        return replace(body, data={**given, **{k: v for k, v in found.items() if v is not None}}) if found else body

    def _included(self, location: Value) -> Value | None:
        """The document in a file that the template names; None when it isn't here."""
        if self.tree is None or not isinstance(location.data, str) or location.data.startswith(("s3:", "http", "/")):
            return None
        path = posixpath.normpath(posixpath.join(posixpath.dirname(self.file), location.data))
        text = self.tree.read(path) if path in self.tree.files else None
        root = document(text, path)[0] if text is not None else None
        return self.value(root, _DEPTH // 2) if root is not None else None

    def _transform(self, argument: Value, depth: int) -> Value:  # noqa: ARG002
        """`AWS::Include` puts a file in."""
        named = any(v.data == "AWS::Include" for v in argument.find("Name"))
        found = next((f for v in argument.find("Parameters.Location") if (f := self._included(v)) is not None), None)
        return found if named and found is not None else Value(None, argument.place, State.UNKNOWN)

    def value(self, value: Value, depth: int = 0) -> Value:
        """A value with what its functions stand for."""
        if depth > _DEPTH:
            return Value(None, value.place, State.UNKNOWN)
        if isinstance(value.data, tuple):
            return replace(value, data=tuple(self.value(v, depth + 1) for v in value.data))
        if not isinstance(value.data, Mapping):
            return value
        if len(value.data) == 1:
            name, argument = next(iter(value.data.items()))
            function = name.lstrip("!").removeprefix("Fn::")
            if (name.startswith(("!", "Fn::")) or name == "Ref") and function in _FUNCTIONS:
                return _FUNCTIONS[function](self, argument, depth + 1)
            if name.startswith(("!", "Fn::")):
                return Value(None, value.place, State.UNKNOWN, self._named_in(argument))
        return replace(value, data={k: self.value(v, depth + 1) for k, v in value.data.items()})

    def _named_in(self, value: Value) -> tuple[str, ...]:
        return (
            tuple(r for _, leaf in value.leaves() for r in self._reference(str(leaf.data), leaf).refs)
            if value.data is not None
            else ()
        )

    def _reference(self, name: str, at: Value) -> Value:
        """What a name stands for: a parameter's default, or a resource."""
        base = name.partition(".")[0]
        for parameter in self.root.find("Parameters"):
            if isinstance(parameter.data, Mapping) and base in parameter.data:
                default = next(iter(parameter.data[base].find("Default")), None)
                if default is not None and default.data is not None:
                    return Value(default.data, at.place, State.CONDITIONAL, (f"var:{base}",))
                return Value(None, at.place, State.UNKNOWN, (f"var:{base}",))
        known = any(isinstance(r.data, Mapping) and base in r.data for r in self.root.find("Resources"))
        return Value(None, at.place, State.UNKNOWN, (self._id(base),) if known else (), name[:200])

    # --- functions --------------------------------------------------------------------------------------------------
    def _ref(self, argument: Value, depth: int) -> Value:  # noqa: ARG002 (all functions are called alike)
        return self._reference(str(argument.data), argument)

    def _get_att(self, argument: Value, depth: int) -> Value:  # noqa: ARG002
        first = next(argument.elements(), argument)
        return self._reference(str(first.data), argument)

    def _sub(self, argument: Value, depth: int) -> Value:
        parts = list(argument.elements()) if isinstance(argument.data, tuple) else [argument]
        own = self.value(parts[1], depth).data if len(parts) > 1 else {}
        text = parts[0].data
        if not isinstance(text, str):
            return Value(None, argument.place, State.UNKNOWN)
        values = [self._named(n, own, argument) for n in _VARIABLE.findall(text)]
        numbers = count()
        inside = embedded(_VARIABLE.sub(lambda _: hole(next(numbers)), text), values, argument.place)
        if inside is not None:
            return inside
        refs = tuple(dict.fromkeys(r for v in values for r in v.refs))
        if any(not v.known or isinstance(v.data, (Mapping, tuple)) for v in values):
            return Value(None, argument.place, State.UNKNOWN, refs, text[:200])
        filled = iter(values)
        whole = _VARIABLE.sub(lambda _: str(next(filled).data), text)
        return Value(whole, argument.place, State.CONDITIONAL if values else State.KNOWN, refs)

    def _named(self, name: str, own: object, at: Value) -> Value:
        if isinstance(own, Mapping) and isinstance(given := own.get(name), Value):
            return given
        return self._reference(name, at)

    def _if(self, argument: Value, depth: int) -> Value:
        """Which of the two isn't known: the first that says something, conditionally."""
        choices = (
            [self.value(v, depth) for v in list(argument.elements())[1:3]] if isinstance(argument.data, tuple) else []
        )
        said = next((c for c in choices if c.known and c.data is not None), None)
        refs = tuple(r for c in choices for r in c.refs)
        if said is None:
            return Value(None, argument.place, State.UNKNOWN, refs)
        return replace(said, state=State.CONDITIONAL, refs=refs)

    def _join(self, argument: Value, depth: int) -> Value:
        parts = list(argument.data) if isinstance(argument.data, tuple) else []
        pieces = [self.value(v, depth) for v in parts[1].elements()] if len(parts) == 2 else []
        refs = tuple(dict.fromkeys(r for p in pieces for r in p.refs))
        words = [str(p.data) if isinstance(p.data, (str, int)) else hole(n) for n, p in enumerate(pieces)]
        whole = embedded(str(parts[0].data).join(words), pieces, argument.place) if pieces else None
        if whole is not None:
            return whole
        if not pieces or any(not isinstance(p.data, (str, int)) for p in pieces):
            return Value(None, argument.place, State.UNKNOWN, refs)
        return Value(str(parts[0].data).join(str(p.data) for p in pieces), argument.place, State.KNOWN, refs)

    def _no_value(self, argument: Value, depth: int) -> Value:  # noqa: ARG002
        return Value(None, argument.place, State.UNKNOWN, self._named_in(argument))


_BESIDE: Mapping[str, str] = {
    "DefinitionUri": "Definition",
    "BodyS3Location": "Body",
    "DefinitionS3Location": "Definition",
}
"""Property that names a file -> property that would hold what stands in it."""


_FUNCTIONS: Mapping[str, Callable[[Template, Value, int], Value]] = {
    "Ref": Template._ref,
    "GetAtt": Template._get_att,
    "Sub": Template._sub,
    "If": Template._if,
    "Join": Template._join,
    "ImportValue": Template._no_value,
    "Transform": Template._transform,
}
