# SPDX-License-Identifier: Apache-2.0
"""One Bicep file as it is called: its resources, those of the modules that it calls, and what it gives back."""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial

from tree_sitter import Node

from bastide.discover.importers.bicep.declarations import Declaration, Declarations, module_path, registry_type
from bastide.discover.importers.bicep.expressions import Body, bodies, value
from bastide.discover.interface import Tree
from bastide.discover.model import Place, Resource, State, Value
from bastide.discover.readers.json_ import read_json

_MODULES = 12


@dataclass(slots=True)
class Deployment:
    """What the files of one deployment share."""

    tree: Tree
    parsed: Mapping[str, Declarations]
    shared: frozenset[str]
    """Files that several modules call: what they declare is told apart by the caller's name."""
    steps: list[int]
    known: dict[tuple[str, str], str] = field(default_factory=dict)
    """Type and name of a resource -> its id, so that `existing` finds what another module declares."""


@dataclass(slots=True)
class Module:
    """A file as it is called."""

    deployment: Deployment
    file: str
    arguments: Mapping[str, Callable[[], Value]]
    prefix: str
    label: str = ""
    depth: int = 0
    via: tuple[Place, ...] = ()
    _values: dict[str, Value] = field(default_factory=dict)
    _children: dict[tuple[str, int | None], Module] = field(default_factory=dict)
    _open: set[str] = field(default_factory=set)

    @property
    def steps(self) -> list[int]:
        """What is left of the work that the deployment may cost."""
        return self.deployment.steps

    @property
    def _declared(self) -> Declarations:
        return self.deployment.parsed[self.file]

    # --- what is there --------------------------------------------------------------------------------------------
    def resources(self) -> Iterator[Resource]:
        """Of this file and of the modules that it calls."""
        for declared in self._declared.values():
            if declared.kind == "resource" and not declared.existing:
                yield from self._resource(declared)
            elif declared.kind == "module":
                yield from self._module(declared)

    def _bodies(self, declared: Declaration) -> Iterator[Body]:
        yield from bodies(self, declared.value, {}) if declared.value is not None else ()

    def _value(self, body: Body) -> Value:
        found = value(self, body.node, body.local)
        return found if body.state is State.KNOWN else replace(found, state=State.CONDITIONAL)

    def _resource(self, declared: Declaration) -> Iterator[Resource]:
        for body in self._bodies(declared):
            found = self._value(body)
            data = dict(found.data) if isinstance(found.data, Mapping) else {}
            id_, type_ = self._id(declared.name, body.key), self._type(declared)
            if declared.above:
                data["parent"] = Value(None, declared.place, State.UNKNOWN, tuple(self._ids(declared.above)))
            if named := _name(data.get("name")):
                self.deployment.known[type_.lower(), named] = id_
            name = f"{self.label}-{declared.name}" if self.label else declared.name
            yield Resource(
                id_, type_, f"{name}{body.key}", replace(found, data=data), declared.place,
                scope=posixpath.dirname(self.file), via=self.via,
            )  # fmt: skip

    def _type(self, declared: Declaration) -> str:
        own = declared.type.partition("@")[0]
        above = self._declared.get(f"resource:{declared.above}") if declared.above else None
        return f"{self._type(above)}/{own}" if above is not None and above is not declared and "/" not in own else own

    def _id(self, name: str, key: str = "") -> str:
        return f"{self.prefix}{name}{key}"

    def _ids(self, name: str) -> Iterator[str]:
        """The ids of a resource's or module's instances."""
        declared = self._declared.get(f"resource:{name}") or self._declared.get(f"module:{name}")
        if declared is None or declared.value is None or declared.value.type != "for_statement":
            yield self._id(name)
        else:
            yield from (self._id(name, b.key) for b in self._bodies(declared))

    # --- modules ----------------------------------------------------------------------------------------------------
    def _module(self, declared: Declaration) -> Iterator[Resource]:
        for body in self._bodies(declared):
            child = self._child(declared, body)
            if child is not None:
                yield from child.resources()
                continue
            found = self._value(body)
            params = next(iter(found.find("params")), None)
            data = {**found.data, **params.data} if params is not None and isinstance(params.data, Mapping) else {}
            yield Resource(
                self._id(declared.name, body.key), registry_type(declared.type), f"{declared.name}{body.key}",
                replace(found, data=data or found.data), declared.place, scope=posixpath.dirname(self.file), via=self.via,
            )  # fmt: skip

    def _child(self, declared: Declaration, body: Body) -> Module | None:
        path = module_path(self.file, declared.type)
        if path not in self.deployment.parsed or self.depth >= _MODULES:
            return None
        at = declared.name, body.index
        if at not in self._children:
            shared = path in self.deployment.shared
            self._children[at] = Module(
                self.deployment,
                path,
                self._arguments(body),
                f"{self.prefix}{declared.name}{body.key}: ",
                f"{declared.name}{body.key}" if shared else self.label,
                self.depth + 1,
                (declared.place, *self.via),
            )
        return self._children[at]

    def _arguments(self, body: Body) -> dict[str, Callable[[], Value]]:
        """Evaluated when they are asked for: modules may need each other's outputs."""
        given = _property(body.node, "params")
        pairs = [
            [c for c in p.children if c.is_named]
            for p in (given.children if given is not None else ())
            if p.type == "object_property"
        ]
        return {p[0].text.decode().strip("'"): partial(value, self, p[1], body.local) for p in pairs if len(p) == 2 and p[0].text}  # fmt: skip

    def output(self, module: str, index: int | None, name: str, place: Place) -> Value | None:
        """What a called file gives back."""
        declared = self._declared.get(f"module:{module}")
        if declared is None:
            return None
        found = [b for b in self._bodies(declared) if index is None or b.index in (index, None)]
        child = self._child(declared, found[0]) if found else None
        return child.given_back(name, place) if child is not None else None

    def given_back(self, name: str, place: Place) -> Value:
        """The value of an output of this file."""
        declared = self._declared.get(f"output:{name}")
        if declared is None:
            return Value(None, place, State.UNKNOWN)
        found = self._declared_value(declared, place)
        return found if isinstance(found.data, (Mapping, tuple)) else replace(found, place=place)

    # --- names --------------------------------------------------------------------------------------------------------
    def named(self, name: str, place: Place) -> Value:
        """What a name means in this file."""
        for kind in ("param", "var", "resource", "module"):
            declared = self._declared.get(f"{kind}:{name}")
            if declared is None:
                continue
            if kind in ("param", "var"):
                return self._declared_value(declared, place)
            if declared.existing:
                return self._existing(declared, place)
            ids = tuple(self._ids(name))
            if len(ids) > 1:
                return Value(tuple(Value(None, place, State.UNKNOWN, (i,), name) for i in ids), place)
            return Value(None, place, State.UNKNOWN, ids, name)
        return Value(None, place, State.UNKNOWN, (), name)

    def _existing(self, declared: Declaration, place: Place) -> Value:
        """Something that is declared elsewhere: found by what its name is made from, else by type and name."""
        node = _property(declared.value, "name") if declared.value is not None else None
        key = f"existing:{declared.name}"
        if node is None or key in self._open:
            return Value(None, place, State.UNKNOWN, (), declared.name)
        self._open.add(key)
        try:
            named = value(self, node, {})
        finally:
            self._open.discard(key)
        id_ = self.deployment.known.get((self._type(declared).lower(), _name(named)), "")
        refs = (id_,) if id_ else named.refs
        return Value(None, place, State.UNKNOWN, refs, declared.name)

    def _declared_value(self, declared: Declaration, place: Place) -> Value:
        key = f"{declared.kind}:{declared.name}"
        if key not in self._values:
            if key in self._open:
                return Value(None, place, State.UNKNOWN)
            self._open.add(key)
            try:
                self._values[key] = self._computed(declared, place)
            finally:
                self._open.discard(key)
        found = self._values[key]
        return found if isinstance(found.data, (Mapping, tuple)) else replace(found, place=place)

    def _computed(self, declared: Declaration, place: Place) -> Value:
        if declared.kind == "param" and declared.name in self.arguments:
            return self.arguments[declared.name]()
        if declared.value is None:
            return Value(None, place, State.UNKNOWN, (f"var:{declared.name}",), declared.name)
        found = value(self, declared.value, {})
        if declared.kind == "param" and not self.depth and found.state is State.KNOWN:
            return replace(found, state=State.CONDITIONAL, refs=(*found.refs, f"var:{declared.name}"))
        return found

    def loaded(self, path: str, place: Place) -> Value | None:
        """The content of a file beside this one."""
        file = module_path(self.file, path)
        if file not in self.deployment.tree.files:
            return None
        text = self.deployment.tree.read(file)
        if text is None:
            return None
        return (read_json(text, file)[0] if file.endswith(".json") else None) or Value(text, place)


def _name(found: Value | None) -> str:
    """A name in the form in which names are compared; of one that isn't known, the expression."""
    if found is None:
        return ""
    return found.data.lower() if isinstance(found.data, str) else found.text


def _property(node: Node, name: str) -> Node | None:
    """The expression of a property of the object in a node."""
    while node.type in ("if_statement", "for_statement"):
        node = [c for c in node.children if c.is_named][-1]
    for pair in node.children:
        parts = [c for c in pair.children if c.is_named] if pair.type == "object_property" else []
        if len(parts) == 2 and parts[0].text == name.encode():
            return parts[1]
    return None
