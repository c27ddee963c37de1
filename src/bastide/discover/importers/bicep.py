# SPDX-License-Identifier: Apache-2.0
"""Bicep: resources and modules of a deployment, with parameters, variables, conditions and loops evaluated as far as the files say them."""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, partial

import tree_sitter_bicep
from tree_sitter import Language, Node, Parser

from bastide.discover.interface import Tree
from bastide.discover.model import Place, Problem, Reading, Resource, State, Value
from bastide.discover.readers.hcl import line_of, text_of

_DEPTH, _MODULES, _STEPS, _LOOPS = 60, 12, 100_000, 50
_DECLARED = {"parameter_declaration": "param", "variable_declaration": "var", "resource_declaration": "resource", "module_declaration": "module",
             "output_declaration": "output"}  # fmt: skip


class Bicep:
    """`*.bicep`; a file that another one calls is read through its callers, with what they give it."""

    name = "bicep"

    def wants(self, path: str, head: Callable[[], str]) -> bool:  # noqa: ARG002 (the name settles it)
        """By name."""
        return path.endswith(".bicep")

    def read(self, tree: Tree, files: Sequence[str]) -> Reading:
        """The resources of all files that nobody calls, and of what they call."""
        problems: list[Problem] = []
        parsed = {f: _declarations(text, f, problems) for f in files if (text := tree.read(f)) is not None}
        called = {
            path
            for f, found in parsed.items()
            for d in found.values()
            if d.kind == "module" and (path := _path(f, d.type))
        }
        roots = [f for f in parsed if f not in called] or sorted(parsed)[:1]
        found: list[Resource] = []
        for root in roots:
            steps = [_STEPS]
            found += _File(parsed, root, {}, f"{root}: ", steps, 0).resources()
            if steps[0] < 0:
                problems.append(Problem(Place(root), "is too much work to evaluate; part of it is unknown"))
        return Reading(tuple(found), tuple(problems), frozenset(files))


@dataclass(frozen=True, slots=True)
class _Declaration:
    kind: str
    name: str
    type: str
    """Of a resource or module: the text after its name."""
    value: Node | None
    place: Place
    existing: bool = False
    above: str = ""
    """The resource in which it is declared."""


@cache
def _parser() -> Parser:
    return Parser(Language(tree_sitter_bicep.language()))


def _declarations(text: str, file: str, problems: list[Problem]) -> dict[str, _Declaration]:
    root = _parser().parse(text.encode("utf-8", "surrogatepass")).root_node
    found: dict[str, _Declaration] = {}
    stack: list[tuple[Node, str]] = [(root, "")]
    errors = 0
    while stack:
        node, above = stack.pop()
        if node.is_error or node.is_missing:
            errors += 1
            if errors <= 5:
                problems.append(
                    Problem(Place(file, line_of(node)), "is not Bicep here; what stands around it may be missing")
                )
        kind = _DECLARED.get(node.type)
        inside = above
        if kind is not None:
            declared = _declared(node, kind, file, above)
            found.setdefault(f"{kind}:{declared.name}", declared)
            inside = declared.name if kind == "resource" else above
        stack += [(c, inside) for c in reversed(node.children)]
    return found


def _declared(node: Node, kind: str, file: str, above: str) -> _Declaration:
    named = [c for c in node.children if c.is_named and c.type != "decorators"]
    name = text_of(named[0]) if named else ""
    typed = kind in ("resource", "module")
    type_ = text_of(named[1]).strip("'") if typed and len(named) > 1 else ""
    rest = named[2:] if typed else [c for c in named[1:] if c.type not in ("type", "parameterized_type", "array_type")]
    existing = any(not c.is_named and c.type == "existing" for c in node.children)
    return _Declaration(
        kind,
        name,
        type_,
        rest[-1] if rest else None,
        Place(file, line_of(node), node.end_point[0] + 1),
        existing,
        above,
    )


def _path(file: str, source: str) -> str:
    """The file of a module in the tree; '' for registries and what lies outside."""
    if source.startswith(("br:", "br/", "ts:", "ts/")):
        return ""
    path = posixpath.normpath(posixpath.join(posixpath.dirname(file), source))
    return "" if path.startswith("..") else path


@dataclass(slots=True)
class _File:
    parsed: Mapping[str, Mapping[str, _Declaration]]
    file: str
    arguments: Mapping[str, Callable[[], Value]]
    prefix: str
    steps: list[int]
    depth: int
    via: tuple[Place, ...] = ()
    _open: set[str] = field(default_factory=set)

    def resources(self) -> Iterator[Resource]:
        """Of this file and of the modules that it calls."""
        for declared in self.parsed[self.file].values():
            if declared.kind == "resource" and not declared.existing:
                yield from self._resource(declared)
            elif declared.kind == "module":
                yield from self._module(declared)

    def _resource(self, declared: _Declaration) -> Iterator[Resource]:
        for body in self._bodies(declared):
            data = dict(body.data) if isinstance(body.data, Mapping) else {}
            if declared.above:
                data["parent"] = Value(None, declared.place, State.UNKNOWN, (self._id(declared.above),))
            yield Resource(
                self._id(declared.name), self._type(declared), declared.name, replace(body, data=data), declared.place,
                scope=posixpath.dirname(self.file), via=self.via,
            )  # fmt: skip

    def _type(self, declared: _Declaration) -> str:
        own = declared.type.partition("@")[0]
        above = self.parsed[self.file].get(f"resource:{declared.above}") if declared.above else None
        return f"{self._type(above)}/{own}" if above is not None and above is not declared and "/" not in own else own

    def _id(self, name: str) -> str:
        return f"{self.prefix}{name}"

    def _bodies(self, declared: _Declaration) -> Iterator[Value]:
        """The object that is assigned: none when its condition is false, several in a loop that is known."""
        yield from self._unfolded(declared.value, {}) if declared.value is not None else ()

    def _unfolded(self, node: Node, local: Mapping[str, Value]) -> Iterator[Value]:
        named = [c for c in node.children if c.is_named]
        if node.type == "if_statement" and len(named) >= 2:
            condition = self.value(named[0], local)
            if condition.known and condition.data is False:
                return
            for body in self._unfolded(named[-1], local):
                yield body if condition.state is State.KNOWN else replace(body, state=State.CONDITIONAL)
        elif node.type == "for_statement" and len(named) >= 3:
            names, over = named[:-2], self.value(named[-2], local)
            if not over.known or not isinstance(over.data, tuple):
                unknown = Value(None, self._place(node), State.UNKNOWN, over.refs)
                yield from self._unfolded(named[-1], {**local, text_of(names[0]): unknown})
                return
            for element in over.data[:_LOOPS]:
                yield from self._unfolded(named[-1], {**local, text_of(names[0]): element})
        else:
            yield self.value(node, local)

    def _module(self, declared: _Declaration) -> Iterator[Resource]:
        path = _path(self.file, declared.type)
        for body in self._bodies(declared):
            if path not in self.parsed or self.depth >= _MODULES:
                yield Resource(self._id(declared.name), "module", declared.name, body, declared.place, via=self.via)
                continue
            yield from self._called(declared, path, body).resources()

    def _called(self, declared: _Declaration, path: str, body: Value) -> _File:
        given = next(iter(body.find("params")), None)
        arguments = (
            {k: partial(_same, v) for k, v in given.data.items()}
            if given is not None and isinstance(given.data, Mapping)
            else {}
        )
        return _File(
            self.parsed,
            path,
            arguments,
            f"{self.prefix}{declared.name}: ",
            self.steps,
            self.depth + 1,
            (declared.place, *self.via),
        )

    # --- expressions ------------------------------------------------------------------------------------------------
    def value(self, node: Node, local: Mapping[str, Value], depth: int = 0) -> Value:
        """The value of an expression."""
        self.steps[0] -= 1
        place = self._place(node)
        if depth > _DEPTH or self.steps[0] < 0:
            return Value(None, place, State.UNKNOWN)
        inner = partial(self.value, local=local, depth=depth + 1)
        named = [c for c in node.children if c.is_named and c.type != "comment"]
        if node.type == "identifier":
            return self._name(text_of(node), place, local)
        if node.type == "for_statement":
            return Value(tuple(self._unfolded(node, local)), place)
        if node.type in ("object", "array"):
            return self._collection(node, named, inner)
        if node.type in ("string", "number", "boolean", "null"):
            return self._literal(node, named, inner)
        return self._expression(node, named, inner)

    def _expression(self, node: Node, named: Sequence[Node], inner: Callable[[Node], Value]) -> Value:
        place = self._place(node)
        if node.type == "parenthesized_expression" and named:
            return inner(named[0])
        if node.type in ("member_expression", "subscript_expression") and len(named) >= 2:
            return self._member(inner(named[0]), named[-1], place, inner)
        if node.type == "ternary_expression" and len(named) == 3:
            return self._ternary([inner(c) for c in named], place)
        return self._computed(node, [inner(c) for c in named if c.type != "arguments"], place)

    def _collection(self, node: Node, named: Sequence[Node], inner: Callable[[Node], Value]) -> Value:
        place = replace(self._place(node), end=node.end_point[0] + 1)
        if node.type == "array":
            return Value(tuple(inner(c) for c in named), place)
        pairs = [[c for c in p.children if c.is_named] for p in named if p.type == "object_property"]
        return Value({text_of(p[0]).strip("'"): inner(p[1]) for p in pairs if len(p) == 2}, place)

    def _literal(self, node: Node, named: Sequence[Node], inner: Callable[[Node], Value]) -> Value:
        if node.type == "string":
            holes = [[c for c in n.children if c.is_named] for n in named if n.type == "interpolation"]
            return self._string(node, [inner(h[0]) for h in holes if h])
        text = text_of(node)
        data = int(text) if text.isdecimal() and len(text) < 19 else {"true": True, "false": False}.get(text)
        return Value(data, self._place(node))

    def _computed(self, node: Node, parts: Sequence[Value], place: Place) -> Value:
        """Operators that decide conditions; functions are unknown, with what they are given."""
        sign = next((c.type for c in node.children if not c.is_named), "")
        if node.type == "unary_expression" and sign == "!" and parts and parts[0].known:
            return replace(parts[0], data=not parts[0].data, place=place)
        if sign == "??" and len(parts) == 2 and parts[0].known:
            return parts[0] if parts[0].data is not None else parts[1]
        if node.type == "binary_expression" and len(parts) == 2 and all(p.known for p in parts):
            left, right = parts[0].plain(), parts[1].plain()
            results = {"==": left == right, "!=": left != right, "&&": bool(left and right), "||": bool(left or right)}
            if sign in results:
                worst = State.CONDITIONAL if any(p.state is State.CONDITIONAL for p in parts) else State.KNOWN
                return Value(results[sign], place, worst, _refs(parts))
        arguments = [c for a in node.children if a.type == "arguments" for c in a.children if c.is_named]
        given = [self.value(c, {}, 1) for c in arguments]
        if node.type == "call_expression" and text_of(node.children[0]) == "empty" and given and given[0].known:
            return replace(given[0], data=given[0].data in (None, "", (), {}), place=place)
        return Value(None, place, State.UNKNOWN, _refs([*parts, *given]), text_of(node)[:200])

    def _string(self, node: Node, values: Sequence[Value]) -> Value:
        place = self._place(node)
        if not values:
            return Value(
                "".join(text_of(c) for c in node.children if c.type in ("string_content", "escape_sequence")), place
            )
        if any(not v.known or isinstance(v.data, (Mapping, tuple)) for v in values):
            return Value(None, place, State.UNKNOWN, _refs(values), text_of(node)[:200])
        filled = iter(values)
        parts = [
            _as_text(next(filled)) if c.type == "interpolation" else text_of(c) for c in node.children if c.is_named
        ]
        worst = State.CONDITIONAL if any(v.state is not State.KNOWN for v in values) else State.KNOWN
        return Value("".join(parts)[:10_000], place, worst, _refs(values))

    def _name(self, name: str, place: Place, local: Mapping[str, Value]) -> Value:
        if name in local:
            return local[name]
        for kind in ("param", "var", "resource", "module"):
            declared = self.parsed[self.file].get(f"{kind}:{name}")
            if declared is None:
                continue
            if kind in ("resource", "module"):
                return Value(None, place, State.UNKNOWN, (self._id(name),), name)
            return self._declared_value(declared, place)
        return Value(None, place, State.UNKNOWN, (), name)

    def _declared_value(self, declared: _Declaration, place: Place) -> Value:
        key = f"{declared.kind}:{declared.name}"
        if key in self._open:
            return Value(None, place, State.UNKNOWN)
        self._open.add(key)
        try:
            if declared.kind == "param" and declared.name in self.arguments:
                found = self.arguments[declared.name]()
            elif declared.value is None:
                return Value(None, place, State.UNKNOWN, (f"var:{declared.name}",))
            else:
                found = self.value(declared.value, {})
                if declared.kind == "param" and not self.depth and found.state is State.KNOWN:
                    found = replace(found, state=State.CONDITIONAL, refs=(*found.refs, f"var:{declared.name}"))
        finally:
            self._open.discard(key)
        return found if isinstance(found.data, (Mapping, tuple)) else replace(found, place=place)

    def _member(self, value: Value, node: Node, place: Place, inner: Callable[[Node], Value]) -> Value:
        if isinstance(value.data, Mapping):
            name = text_of(node) if node.type == "property_identifier" else str(inner(node).data)
            return value.data.get(name) or Value(None, place)
        if isinstance(value.data, tuple) and text_of(node).isdecimal():
            index = int(text_of(node))
            return value.data[index] if index < len(value.data) else Value(None, place)
        return Value(None, place, State.UNKNOWN, value.refs, value.text)

    def _ternary(self, parts: Sequence[Value], place: Place) -> Value:
        condition, yes, no = parts
        if condition.known:
            chosen = yes if condition.data else no
            return (
                replace(chosen, state=State.CONDITIONAL)
                if condition.state is State.CONDITIONAL and chosen.known
                else chosen
            )
        said = next((v for v in (yes, no) if v.known and v.data not in (None, "", (), {})), None)
        if said is None:
            return Value(None, place, State.UNKNOWN, _refs(parts))
        return replace(said, state=State.CONDITIONAL, refs=_refs(parts))

    def _place(self, node: Node) -> Place:
        return Place(self.file, line_of(node))


def _as_text(value: Value) -> str:
    return str(value.data).lower() if isinstance(value.data, bool) else str(value.data)


def _same(value: Value) -> Value:
    return value


def _refs(values: Sequence[Value]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(r for v in values for r in v.refs))
