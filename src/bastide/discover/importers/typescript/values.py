# SPDX-License-Identifier: Apache-2.0
"""Expressions as values: constants, what is built from them, the environment, functions with what they call, and references to calls."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping, Sequence
from operator import attrgetter
from typing import cast

from tree_sitter import Node

from bastide.discover.importers.typescript.acts import SHELL, commands
from bastide.discover.importers.typescript.given import Given
from bastide.discover.importers.typescript.module import CLASSES, FUNCTIONS, Call, Module, Scope, bare
from bastide.discover.importers.typescript.names import Here, Library, Names, Space, returns
from bastide.discover.importers.typescript.paths import joined
from bastide.discover.importers.typescript.patterns import constant, line_of, parameters, text_of
from bastide.discover.model import REST, Place, State, Value

CONSTRUCTS = re.compile(r"js:(?:aws-cdk-lib|@aws-cdk/|@cdklabs/|@aws-amplify/|@aws-solutions-constructs/)")
_DEPTH = 12
_ITEMS = 200
_CALLED = 400
_WAYS = 6
_PASSING = frozenset({"filter", "slice", "sort", "concat", "reverse", "flat", "toSorted"})
"""Methods of lists that give some of their elements."""
_FUNCTIONS = 150
"""Names that a function calls, and functions through which it is followed."""
_WORK = 40_000
"""Expressions that are evaluated for one call; what is beyond is unknown."""
_ENVIRONMENT = ("process.env", "import.meta.env", "Bun.env")
_PLAIN = {"true": True, "false": False, "null": None, "undefined": None}


class Evaluator:
    """Evaluates the arguments of calls."""

    def __init__(self, names: Names, given: Given) -> None:
        self._names, self._given = names, given
        self._calls: dict[tuple[str, int, int], tuple[Value, ...]] = {}
        self._work = 0
        self._kinds: Mapping[str, Callable[[Node, Scope, Module, int], Value]] = {
            "array": self._array, "object": self._object, "template_string": self._template, "binary_expression": self._binary,
            "ternary_expression": self._ternary, "number": self._number, "new_expression": self._made, "unary_expression": self._number,
        }  # fmt: skip

    def arguments(self, call: Node, scope: Scope, module: Module) -> dict[str, Value]:
        """Arguments under `0`, `1`, ...; properties of object literals among them by name too (JavaScript's way of naming arguments).

        `calls` is what functions among the arguments call.
        """
        self._work = 0
        found: dict[str, Value] = {}
        named: dict[str, Value] = {}
        inside: dict[str, Value] = {}
        given = call.child_by_field_name("arguments")
        for number, node in enumerate((given.named_children if given is not None else [])[:_ITEMS]):
            if node.type == "comment":
                continue
            if node.type == "spread_element":
                found[REST] = _unknown(node, module)
                break
            value = found[str(number)] = self.value(node, scope, module)
            if isinstance(value.data, Mapping):
                functions = [value, *value.data.values()]
                inside |= {
                    c.data: c
                    for f in functions
                    if isinstance(f.data, Mapping) and "calls" in f.data
                    for c in f.data["calls"].elements()
                }
                if "calls" not in value.data or "parameters" not in value.data:
                    named = {**value.data, **named}
        found = {**named, **found}
        shells = [v.data[SHELL] for v in found.values() if isinstance(v.data, Mapping) and SHELL in v.data]
        if shells:
            found[SHELL] = min(shells, key=lambda s: ("written", None, "fixed").index(s.data))
        if inside:
            found["calls"] = Value(tuple(inside.values()), Place(module.file, line_of(call)))
        return found

    def value(self, node: Node, scope: Scope, module: Module, depth: int = 0) -> Value:
        """An expression as a value, with its place."""
        node = bare(node)
        self._work += 1
        if depth > _DEPTH or self._work > _WORK:
            return _unknown(node, module)
        place = Place(module.file, line_of(node))
        if node.type in _PLAIN:
            return Value(_PLAIN[node.type], place)
        if (text := constant(node)) is not None:
            return Value(text, place)
        if node.type in FUNCTIONS or node.type in CLASSES:
            return self._function(node, module, depth)
        if node.type in self._kinds:
            return self._kinds[node.type](node, scope, module, depth)
        return self._reference(node, scope, module, depth)

    # --- literals ---------------------------------------------------------------------------------------------------
    def _number(self, node: Node, scope: Scope, module: Module, depth: int) -> Value:  # noqa: ARG002
        written = text_of(node).replace("_", "")
        try:
            number = (
                float(written) if any(c in written for c in ".eE") and not written.startswith("0x") else int(written, 0)
            )
        except ValueError:
            return _unknown(node, module)
        return Value(number, Place(module.file, line_of(node)))

    def _array(self, node: Node, scope: Scope, module: Module, depth: int) -> Value:
        values = [
            self.value(
                c.named_children[0] if c.type == "spread_element" and c.named_children else c, scope, module, depth + 1
            )
            for c in node.named_children[:_ITEMS]
            if c.type != "comment"
        ]
        return Value(tuple(values), Place(module.file, line_of(node)))

    def _object(self, node: Node, scope: Scope, module: Module, depth: int) -> Value:
        found: dict[str, Value] = {}
        for child in node.named_children[:_ITEMS]:
            if child.type == "pair":
                key, value = child.child_by_field_name("key"), child.child_by_field_name("value")
                if key is not None and value is not None:
                    name = self._key(key, scope, module, depth)
                    found[name] = self.value(value, scope, module, depth + 1)
            elif child.type == "shorthand_property_identifier":
                found[text_of(child)] = self.value(child, scope, module, depth + 1)
            elif child.type == "method_definition":
                found[text_of(child.child_by_field_name("name"))] = self._function(child, module, depth + 1)
            elif child.type == "spread_element" and child.named_children:
                spread = self.value(child.named_children[0], scope, module, depth + 1)
                found |= spread.data if isinstance(spread.data, Mapping) else {REST: spread}
        return Value(found, Place(module.file, line_of(node)))

    def _key(self, key: Node, scope: Scope, module: Module, depth: int) -> str:
        if key.type == "computed_property_name" and key.named_children:
            data = self.value(key.named_children[0], scope, module, depth + 1).data
            return str(data) if isinstance(data, str) else REST
        return constant(key) or text_of(key)

    def _template(self, node: Node, scope: Scope, module: Module, depth: int) -> Value:
        pieces = [
            self.value(c.named_children[0], scope, module, depth + 1)
            if c.type == "template_substitution" and c.named_children
            else Value(text_of(c), Place(module.file, line_of(c)))
            for c in node.named_children
        ]
        return self._joined(pieces, node, module)

    def _binary(self, node: Node, scope: Scope, module: Module, depth: int) -> Value:
        operator, left, right = (
            text_of(node.child_by_field_name("operator")),
            node.child_by_field_name("left"),
            node.child_by_field_name("right"),
        )
        if left is None or right is None or operator not in ("+", "||", "??"):
            return _unknown(node, module)
        values = [self.value(left, scope, module, depth + 1), self.value(right, scope, module, depth + 1)]
        return self._joined(values, node, module) if operator == "+" else _either(values)

    def _ternary(self, node: Node, scope: Scope, module: Module, depth: int) -> Value:
        branches = [n for f in ("consequence", "alternative") if (n := node.child_by_field_name(f)) is not None]
        return (
            _either([self.value(n, scope, module, depth + 1) for n in branches]) if branches else _unknown(node, module)
        )

    @staticmethod
    def _joined(values: Sequence[Value], node: Node, module: Module) -> Value:
        refs = tuple(dict.fromkeys(r for v in values for r in v.refs))
        place = Place(module.file, line_of(node))
        if values and all(v.known and isinstance(v.data, (str, int, float)) for v in values):
            worst = State.CONDITIONAL if any(v.state is State.CONDITIONAL for v in values) else State.KNOWN
            return Value("".join(str(v.data) for v in values)[:4000], place, worst, refs)
        return Value(None, place, State.UNKNOWN, refs, text_of(node)[:200])

    # --- references -------------------------------------------------------------------------------------------------
    def _made(self, node: Node, scope: Scope, module: Module, depth: int) -> Value:
        """`new URL("...")` is its text, of whatever else is made there is the reference."""
        arguments = node.child_by_field_name("arguments")
        first = next(iter(arguments.named_children), None) if arguments is not None else None
        if text_of(node.child_by_field_name("constructor")) == "URL" and first is not None:
            return self.value(first, scope, module, depth + 1)
        return self._reference(node, scope, module, depth)

    def _reference(self, node: Node, scope: Scope, module: Module, depth: int) -> Value:
        place = Place(module.file, line_of(node))
        if node.id in module.ids and node.type not in FUNCTIONS:
            return Value(None, place, State.UNKNOWN, (module.ids[node.id],), text_of(node)[:200])
        if (variable := self._environment(node, scope, module)) is not None:
            return variable
        found = self._names.expression(node, scope, module)
        if found is not None and found[0].id != node.id:
            value = self.value(*found, depth + 1)
            return Value(value.data, place if value.refs else value.place, value.state, value.refs, value.text)
        target = self._names.object(node, scope, module)
        if isinstance(target, Here):
            if target.node.id in target.module.ids and target.node.type not in FUNCTIONS:
                return Value(None, place, State.UNKNOWN, (target.module.ids[target.node.id],), text_of(node)[:200])
            if node.type not in ("call_expression", "new_expression"):
                return self.value(target.node, target.scope, target.module, depth + 1)
        if node.type == "call_expression":
            return self._called(node, scope, module, depth)
        if not isinstance(target, (Here, Space)) and (given := self._argument(node, scope, module, depth)) is not None:
            return given
        if not isinstance(target, Space) and (of := self._property(node, scope, module, depth)) is not None:
            return of
        text = target.name if isinstance(target, Library) else text_of(node)[:200]
        return Value(None, place, State.UNKNOWN, self._part(node, target, scope, module, depth), text)

    def _part(self, node: Node, target: object, scope: Scope, module: Module, depth: int) -> tuple[str, ...]:
        """`table.tableName` is made from the table, where the object is one that declares something."""
        of = node.child_by_field_name("object")
        if of is None or not (isinstance(target, Library) and CONSTRUCTS.match(target.name)):
            return ()
        return self.value(of, scope, module, depth + 1).refs

    def _argument(self, node: Node, scope: Scope, module: Module, depth: int) -> Value | None:
        """A parameter is what the calls of its function give it."""
        if node.type not in ("identifier", "shorthand_property_identifier"):
            return None
        values = [self.value(*site, depth + 1) for site in self._given.arguments(text_of(node), scope, module)]
        if not values:
            return None
        value = values[0] if len(values) == 1 else _either(values)
        state = State.CONDITIONAL if value.state is State.KNOWN else value.state
        place = Place(module.file, line_of(node)) if value.refs else value.place
        return Value(value.data, place, state, value.refs, value.text)

    def _property(self, node: Node, scope: Scope, module: Module, depth: int) -> Value | None:
        """A property of a literal that another name stands for: `profile.model`, `PROFILES[name]` (any of them)."""
        of = node.child_by_field_name("object")
        if node.type not in ("member_expression", "subscript_expression") or of is None:
            return None
        data = self.value(of, scope, module, depth + 1).data
        if not isinstance(data, Mapping) or "calls" in data:
            return None
        index = node.child_by_field_name("index")
        key = (
            self.value(index, scope, module, depth + 1).data
            if index is not None
            else text_of(node.child_by_field_name("property"))
        )
        if key in data:
            return cast(Value, data[key])
        found = list(data.values()) if index is not None and key is None else []
        return _either(found) if found else None

    def _called(self, node: Node, scope: Scope, module: Module, depth: int) -> Value:
        """What a function of the tree returns, one way out or the other; else what made its object."""
        place, function = Place(module.file, line_of(node)), node.child_by_field_name("function")
        target = self._names.target(function, scope, module)
        passed = self._passed(node, function, scope, module, depth) if target is None and function is not None else None
        if passed is not None:
            return passed
        if isinstance(target, Here) and target.node.type in FUNCTIONS:
            found, inner = returns(target.node), target.module.scopes.get(target.node.id)
            if found and inner is not None:
                values = [self.value(n, inner, target.module, depth + 1) for n in found[:_WAYS]]
                value = values[0] if len(values) == 1 else _either(values)
                return Value(value.data, place if value.refs else value.place, value.state, value.refs, value.text)
        arguments = node.child_by_field_name("arguments")
        refs: tuple[str, ...] = ()
        if isinstance(target, Library) and function is not None and arguments is not None:
            given = [self.value(n, scope, module, depth + 1) for n in arguments.named_children[:_WAYS]]
            if (path := joined(target.name, given)) is not None:
                return Value(path, place, State.CONDITIONAL)
            refs = self._part(function, target, scope, module, depth)
        text = target.name if isinstance(target, Library) else text_of(node)[:200]
        return Value(None, place, State.UNKNOWN, refs, text)

    def _passed(self, node: Node, function: Node, scope: Scope, module: Module, depth: int) -> Value | None:
        """`tools.filter(...)` is of the tools, `Object.values(tools)` too."""
        if function.type != "member_expression":
            return None
        of, name = function.child_by_field_name("object"), text_of(function.child_by_field_name("property"))
        given = node.child_by_field_name("arguments")
        if (
            of is not None
            and text_of(of) == "Object"
            and name == "values"
            and given is not None
            and given.named_children
        ):
            value = self.value(given.named_children[0], scope, module, depth + 1)
            return Value(tuple(value.data.values()), value.place) if isinstance(value.data, Mapping) else value
        if of is None or name not in _PASSING:
            return None
        value = self.value(of, scope, module, depth + 1)
        return value if isinstance(value.data, tuple) else None

    def receiver(self, call: Node, scope: Scope, module: Module) -> Value:
        """The object whose method is called, with what made it: `client` in `client.chat.completions.create()`."""
        node = call.child_by_field_name("function")
        for _ in range(20):
            if node is None or node.type not in ("member_expression", "call_expression"):
                break
            node = node.child_by_field_name("object" if node.type == "member_expression" else "function")
            if node is not None:
                node = bare(node)
                value = self.value(node, scope, module)
                if value.refs:
                    return value
        return Value(None, Place(module.file, line_of(call)))

    def _environment(self, node: Node, scope: Scope, module: Module) -> Value | None:
        """`process.env.X`, `process.env["X"]`, `Deno.env.get("X")`, and `X` after `const { X } = process.env`."""
        place = Place(module.file, line_of(node))
        if node.type in ("member_expression", "subscript_expression"):
            if text_of(node.child_by_field_name("object")).replace("?", "") not in _ENVIRONMENT:
                return None
            index = node.child_by_field_name("index")
            name = (
                self.value(index, scope, module, _DEPTH - 2).data
                if index is not None
                else text_of(node.child_by_field_name("property"))
            )
        elif node.type == "call_expression" and text_of(node.child_by_field_name("function")) == "Deno.env.get":
            arguments = node.child_by_field_name("arguments")
            name = constant(next(iter(arguments.named_children), None)) if arguments is not None else None
        elif node.type in ("identifier", "shorthand_property_identifier"):
            bindings = (s.names[text_of(node)] for s in scope.around() if text_of(node) in s.names)
            binding = next(bindings, None)
            if binding is None or not binding.path or binding.node is None or text_of(binding.node) not in _ENVIRONMENT:
                return None
            name = binding.path[0]
        else:
            return None
        return Value(None, place, State.UNKNOWN, (f"env:{name}",) if isinstance(name, str) else ())

    # --- functions --------------------------------------------------------------------------------------------------
    def _function(self, node: Node, module: Module, depth: int) -> Value:
        """A function as what it calls, its parameters, and what it returns where that is a literal."""
        place = Place(module.file, line_of(node))
        body = self.does(node, module)
        inner = module.scopes.get(node.id)
        literal = [n for n in returns(node) if n.type in ("object", "array")] if node.type in FUNCTIONS else []
        if literal and inner is not None and depth < _DEPTH - 4:
            body["returns"] = Value(tuple(self.value(n, inner, module, depth + 4) for n in literal), place)
        refs = (module.ids[node.id],) if node.id in module.ids and node.type in FUNCTIONS else ()
        return Value(body, place, State.KNOWN, refs)

    def does(self, function: Node, module: Module) -> dict[str, Value]:
        """What a function calls, its parameters, and `$shell` where it runs commands."""
        place = Place(module.file, line_of(function))
        found = {
            "calls": Value(self.calls(function, module), place),
            "parameters": Value(tuple(Value(n, Place(module.file, line)) for n, line in parameters(function)), place),
        }
        shell = commands(function, module, self._names, _inside) if function.type in FUNCTIONS else None
        return found if shell is None else {**found, SHELL: shell}

    def calls(self, function: Node, module: Module) -> tuple[Value, ...]:
        """What a function calls, itself and through functions of the tree."""
        key = module.file, function.start_byte, function.end_byte
        if key in self._calls:
            return self._calls[key]
        found: dict[str, Value] = {}
        seen: set[tuple[str, int, int]] = set()
        todo: list[tuple[Node, Module]] = [(function, module)]
        while todo and len(found) < _CALLED and len(seen) < _FUNCTIONS:
            current, home = todo.pop()
            where = home.file, current.start_byte, current.end_byte
            if where in seen:
                continue
            seen.add(where)
            for call in _inside(current, home):
                name = self._names.called(call, home)
                if name:
                    refs = (home.ids[call.node.id],) if call.node.id in home.ids else ()
                    found.setdefault(name, Value(name, Place(home.file, line_of(call.node)), State.KNOWN, refs))
                    continue
                if (target := self._names.callee(call, home)) is not None:
                    todo.append((target.node, target.module))
        self._calls[key] = tuple(found.values())
        return self._calls[key]


def _inside(function: Node, module: Module) -> Iterator[Call]:
    start = bisect_left(module.calls, function.start_byte, key=attrgetter("start"))
    for call in module.calls[start : start + 2000]:
        if call.start >= function.end_byte:
            break
        yield call


def _either(values: Sequence[Value]) -> Value:
    """`a ?? b`, `c ? a : b`: the first that is known, depending on something."""
    refs = tuple(dict.fromkeys(r for v in values for r in v.refs))
    known = next((v for v in values if v.known and v.data is not None), None)
    if known is None:
        return Value(None, values[0].place, State.UNKNOWN, refs, values[0].text)
    return Value(known.data, known.place, State.CONDITIONAL, refs)


def _unknown(node: Node, module: Module) -> Value:
    return Value(None, Place(module.file, line_of(node)), State.UNKNOWN, (), text_of(node)[:200])
