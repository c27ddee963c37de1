# SPDX-License-Identifier: Apache-2.0
"""One instance of a module: its variables and locals, its resources, the modules that it calls."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial

from bastide.discover.importers.terraform.evaluate import Budget, Evaluator, attribute, items
from bastide.discover.importers.terraform.names import environment, local_path, registry_type
from bastide.discover.interface import Tree
from bastide.discover.model import REST, Place, Problem, Resource, State, Value
from bastide.discover.readers.hcl import Block, Body
from bastide.discover.readers.json_ import read_json
from bastide.errors import LimitError

_MODULES = 12
"""Depth of modules in modules."""
_INSTANCES = 50
"""Instances of one block that are told apart."""
_LARGEST = 50_000
"""Elements of one value with all that is in it: one that is named in the next, twice each time, would double."""
_META = frozenset({"count", "for_each", "provider", "lifecycle", "depends_on", "provisioner", "connection", "dynamic"})


@dataclass(slots=True)
class Folder:
    """The blocks of a module's folder."""

    path: str
    blocks: list[tuple[str, Block]]
    """File and block."""
    variables: dict[str, tuple[str, Block]] = field(default_factory=dict)
    local_values: dict[str, tuple[str, Body, str]] = field(default_factory=dict)
    _at: dict[str, tuple[str, Block]] | None = None

    def at(self, address: str) -> tuple[str, Block] | None:
        """The resource, or data source, with an address, and its file."""
        if self._at is None:
            self._at = {_address(b): (f, b) for f, b in self.blocks if b.type in ("resource", "data")}
        return self._at.get(address)

    def of(self, type_: str) -> Iterator[tuple[str, Block]]:
        """The blocks of a type."""
        return ((f, b) for f, b in self.blocks if b.type == type_)


@dataclass(slots=True)
class Instance:
    """A module as it is called."""

    tree: Tree
    folders: Mapping[str, Folder]
    folder: Folder
    arguments: Mapping[str, Callable[[], Value]]
    """Of the call, by variable; evaluated when they are asked for."""
    address: str
    """`module.ai.` or ''."""
    root: str
    budget: Budget
    problems: list[Problem]
    depth: int = 0
    via: tuple[Place, ...] = ()
    """The calls of this module and of those around it, innermost first."""
    _values: dict[str, Value] = field(default_factory=dict)
    _children: dict[str, list[tuple[str, Instance | None, Value]]] = field(default_factory=dict)
    _bodies: dict[str, list[tuple[str, Value]]] = field(default_factory=dict)
    _open: set[str] = field(default_factory=set)
    """What is being evaluated: a cycle ends there."""

    def evaluator(self, file: str, local: Mapping[str, Value] | None = None) -> Evaluator:
        """An evaluator of expressions in one of the module's files."""
        return Evaluator(file, self.resolve, self.budget, local or {})

    # --- names ------------------------------------------------------------------------------------------------------
    def resolve(self, path: list[str], place: Place) -> Value:
        """What a name means in this module. A value is placed where it is used, so that a finding shows the resource."""
        found, rest = self._base(path, place)
        for name in rest:
            found = attribute(found, name)
        if found.data is None or isinstance(found.data, (str, bool, int, float)):
            return replace(found, place=place)
        return found

    def _base(self, path: list[str], place: Place) -> tuple[Value, list[str]]:
        first = path[0]
        if first == "var" and len(path) > 1:
            return self._once(f"var.{path[1]}", place, lambda: self._variable(path[1], place)), path[2:]
        if first == "local" and len(path) > 1:
            return self._once(f"local.{path[1]}", place, lambda: self._local(path[1], place)), path[2:]
        if first == "module" and len(path) > 1:
            return self._module_value(path[1], place), path[2:]
        if first in ("path", "terraform", "self"):
            data = {"module": self.folder.path or ".", "root": self.root or ".", "workspace": "default"}.get(path[-1])
            return Value(data, place, State.KNOWN if data else State.UNKNOWN), []
        if first in ("each", "count"):
            return Value(None, place, State.UNKNOWN), []
        if first == "data" and len(path) > 2:
            return self._resource_value(f"data.{path[1]}.{path[2]}", place, path[3:]), []
        if len(path) > 1:
            return self._resource_value(f"{path[0]}.{path[1]}", place, path[2:]), []
        return Value(None, place, State.UNKNOWN, (), ".".join(path)), []

    def _once(self, key: str, place: Place, compute: Callable[[], Value]) -> Value:
        if key in self._values:
            return self._values[key]
        if key in self._open:
            return Value(None, place, State.UNKNOWN)
        self._open.add(key)
        try:
            value = compute()
            if value.is_larger(_LARGEST):
                raise LimitError("is a list that grows too large")
            self._values[key] = value
        finally:
            self._open.discard(key)
        return self._values[key]

    def _variable(self, name: str, place: Place) -> Value:
        declared = self.folder.variables.get(name)
        given = self.arguments[name]() if name in self.arguments else None
        default = None
        if declared is not None and "default" in declared[1].body.attributes:
            node, _ = declared[1].body.attributes["default"]
            default = self.evaluator(declared[0]).value(node)
        if given is not None and not (given.known and given.data is None and default is not None and self.address):
            return given
        if default is not None:
            return _conditional(default, f"var:{name}") if not self.address else default
        return Value(None, place, State.UNKNOWN, (f"var:{name}",))

    def _local(self, name: str, place: Place) -> Value:
        found = self.folder.local_values.get(name)
        if found is None:
            return Value(None, place, State.UNKNOWN)
        file, body, key = found
        return self.evaluator(file).value(body.attributes[key][0])

    def _resource_value(self, address: str, place: Place, rest: list[str]) -> Value:
        """An attribute of another resource: what is written there when it is written, else unknown; with the reference in any case."""
        bodies = self.bodies(address)
        if not bodies:
            if self.declares(address):
                return Value(None, place, refs=())
            return Value(None, place, State.UNKNOWN, (), ".".join([address, *rest]))
        refs = tuple(self.id_of(f"{address}{key}") for key, _ in bodies)
        found = bodies[0][1]
        for name in rest:
            found = attribute(found, name)
        if rest and found.known and isinstance(found.data, (str, bool, int, float)):
            return replace(found, place=place, refs=(*found.refs, *refs))
        return Value(None, place, State.UNKNOWN, refs, ".".join([address, *rest]))

    def id_of(self, address: str) -> str:
        """The id of a resource's address."""
        return f"{self.root or '.'}: {self.address}{address}"

    def declares(self, address: str) -> bool:
        """Whether there is such a block, whatever its count."""
        return self.folder.at(address) is not None

    # --- modules ------------------------------------------------------------------------------------------------------
    def _module_value(self, name: str, place: Place) -> Value:
        children = self.children().get(name, [])
        if not children:
            return (
                Value(None, place)
                if any(b.labels == (name,) for _, b in self.folder.of("module"))
                else Value(None, place, State.UNKNOWN)
            )
        _, child, stands = children[0]
        if child is None:
            return Value(None, place, State.UNKNOWN, stands.refs)
        return child.outputs(place)

    def outputs(self, place: Place) -> Value:
        """What the module gives to its caller."""
        found = {}
        for file, block in self.folder.of("output"):
            if block.labels and "value" in block.body.attributes:
                key = f"output.{block.labels[0]}"
                node = block.body.attributes["value"][0]
                found[block.labels[0]] = self._once(key, place, partial(self.evaluator(file).value, node))
        return Value(found, place)

    def children(self) -> Mapping[str, list[tuple[str, Instance | None, Value]]]:
        """The modules that it calls: name -> instances with their key; None for one whose source isn't in the tree."""
        if not self._children and "children" not in self._open:
            self._open.add("children")
            for file, block in self.folder.of("module"):
                if block.labels:
                    self._children[block.labels[0]] = list(self._called(file, block))
        return self._children

    def _called(self, file: str, block: Block) -> Iterator[tuple[str, Instance | None, Value]]:
        name = block.labels[0]
        source = self._attribute(file, block, "source")
        path = local_path(self.folder.path, source.data) if source is not None else None
        folder = self.folders.get(path) if path is not None else None
        for key, local, _ in self._instances(file, block):
            address = f"{self.address}module.{name}{key}."
            reference = Value(None, block.place, State.UNKNOWN, (f"{self.root or '.'}: {address[:-1]}",))
            if folder is None or self.depth >= _MODULES:
                yield key, None, reference
                continue
            evaluator = self.evaluator(file, local)
            # Evaluated when they are asked for: modules may need each other's outputs.
            arguments = {
                a: partial(evaluator.value, node)
                for a, (node, _) in block.body.attributes.items()
                if a not in ("source", "version", *_META)
            }
            yield (
                key,
                Instance(
                    self.tree,
                    self.folders,
                    folder,
                    arguments,
                    address,
                    self.root,
                    self.budget,
                    self.problems,
                    self.depth + 1,
                    (block.place, *self.via),
                ),
                reference,
            )

    def _attribute(self, file: str, block: Block, name: str) -> Value | None:
        return self.evaluator(file).value(block.body.attributes[name][0]) if name in block.body.attributes else None

    # --- resources ------------------------------------------------------------------------------------------------------
    def resources(self) -> Iterator[Resource]:
        """The resources of this module and of those that it calls."""
        for _, block in self.folder.blocks:
            if block.type in ("resource", "data") and len(block.labels) == 2:
                try:
                    yield from self._of_block(block)
                except (LimitError, RecursionError) as error:
                    self.problems.append(Problem(block.place, f"could not be evaluated: {str(error)[:100]}"))
        for name, children in self.children().items():
            for key, child, _ in children:
                if child is not None:
                    yield from child.resources()
                else:
                    yield from self._foreign(name, key)

    def _of_block(self, block: Block) -> Iterator[Resource]:
        address = _address(block)
        for key, body in self.bodies(address):
            type_, name = block.labels
            kind = f"data.{type_}" if block.type == "data" else type_
            variant = environment(key.strip('[]"'))
            shown = name if not key or variant else f"{name}{key}"
            yield Resource(
                self.id_of(f"{address}{key}"), kind, shown, body, block.place, scope=self.root, via=self.via, variant=variant
            )  # fmt: skip

    def _foreign(self, name: str, key: str) -> Iterator[Resource]:
        for file, block in self.folder.of("module"):
            if block.labels == (name,):
                body = self.body(file, block.body, {})
                type_ = registry_type(next((v.data for v in body.find("source")), None))
                shown = f"{name}{key}"
                yield Resource(self.id_of(f"module.{name}{key}"), type_, shown, body, block.place, scope=self.root)

    def bodies(self, address: str) -> list[tuple[str, Value]]:
        """The instances of a resource: key (`["a"]`, '') and attributes."""
        if address not in self._bodies:
            self._bodies[address] = []
            if found := self.folder.at(address):
                file, block = found
                self._bodies[address] = [
                    (key, self._whole(file, block, local, certain))
                    for key, local, certain in self._instances(file, block)
                ]
        return self._bodies[address]

    def _whole(self, file: str, block: Block, local: Mapping[str, Value], certain: bool) -> Value:
        body = self.body(file, block.body, local)
        return body if certain else replace(body, state=State.CONDITIONAL)

    def body(self, file: str, body: Body, local: Mapping[str, Value]) -> Value:
        """The attributes and inner blocks of a block; blocks of one type are a list."""
        evaluator = self.evaluator(file, local)
        found: dict[str, Value] = {}
        for name, (node, place) in body.attributes.items():
            if name in _META:
                continue
            value = document_in(name, evaluator.value(node))
            found[name] = (
                value if isinstance(value.data, (Mapping, tuple)) else replace(value, place=replace(place, end=0))
            )
        inner: dict[str, list[Value]] = {}
        for block in body.blocks:
            if block.type == "dynamic" and block.labels:
                self._dynamic(file, block, local, inner, found)
            elif block.type not in _META:
                inner.setdefault(block.type, []).append(self.body(file, block.body, local))
        place = next((b.place for b in body.blocks), next((p for _, p in body.attributes.values()), Place(file)))
        return Value({**found, **{k: Value(tuple(v), v[0].place) for k, v in inner.items()}}, place)

    def _dynamic(
        self,
        file: str,
        block: Block,
        local: Mapping[str, Value],
        inner: dict[str, list[Value]],
        found: dict[str, Value],
    ) -> None:
        name = block.labels[0]
        content = next((b for b in block.body.blocks if b.type == "content"), None)
        over = (
            self.evaluator(file, local).value(block.body.attributes["for_each"][0])
            if "for_each" in block.body.attributes
            else None
        )
        if content is None or over is None or not over.known:
            found[name] = Value(None, block.place, State.UNKNOWN, over.refs if over is not None else ())
            return
        node = block.body.attributes.get("iterator")
        variable = name if node is None else str(self.evaluator(file, local).value(node[0]).text or name)
        for key, value in list(items(over))[:_INSTANCES]:
            each = Value({"key": Value(key, value.place), "value": value}, value.place)
            inner.setdefault(name, []).append(self.body(file, content.body, {**local, variable: each}))

    def _instances(self, file: str, block: Block) -> Iterator[tuple[str, Mapping[str, Value], bool]]:
        """Key, local names, and whether it surely exists. Instances by count are alike, so one stands for them."""
        attributes = block.body.attributes
        if "count" in attributes:
            count = self.evaluator(file).value(attributes["count"][0])
            if count.known and count.data in (0, "0", False, None):
                return
            yield "", {"count": Value({"index": Value(0, block.place)}, block.place)}, count.state is State.KNOWN
        elif "for_each" in attributes:
            over = self.evaluator(file).value(attributes["for_each"][0])
            if not over.known:
                nothing = Value(None, block.place, State.UNKNOWN, over.refs)
                yield "", {"each": Value({"key": nothing, "value": nothing}, block.place)}, False
                return
            by_key = isinstance(over.data, Mapping)
            if not by_key and isinstance(over.data, tuple) and over.data and not any(v.known for v in over.data):
                # How many there are is known, but not what tells them apart.
                yield "", {"each": Value({"key": over.data[0], "value": over.data[0]}, block.place)}, True
                return
            for key, value in list(items(over))[:_INSTANCES]:
                if key == REST:
                    continue
                name = key if by_key else str(value.data)
                each = {"key": Value(name, value.place), "value": value if by_key else Value(name, value.place)}
                yield f'["{name}"]', {"each": Value(each, block.place)}, over.state is State.KNOWN
        else:
            yield "", {}, True


def _address(block: Block) -> str:
    name = ".".join(block.labels)
    return f"data.{name}" if block.type == "data" else name


def _conditional(value: Value, ref: str) -> Value:
    return replace(value, state=State.CONDITIONAL, refs=(*value.refs, ref)) if value.state is State.KNOWN else value


def document_in(name: str, value: Value) -> Value:
    """The document that an attribute such as `policy` or `container_definitions` holds as JSON; anything else as it is."""
    if not isinstance(value.data, str) or value.data.lstrip()[:1] not in ("{", "["):
        return value
    if "policy" not in name and "definition" not in name and name != "body":
        return value
    first = value.place.line + (1 if value.place.end else 0)
    root, problems = read_json(value.data, value.place.file, first)
    return root if root is not None and not problems else value
