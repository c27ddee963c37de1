# SPDX-License-Identifier: Apache-2.0
"""Expressions as values: constants, what is built from them, environment variables, and references to calls and definitions."""

from __future__ import annotations

import ast
from collections.abc import Iterable

from bastide.discover.importers.python.module import Module
from bastide.discover.importers.python.names import Names
from bastide.discover.model import REST, Place, State, Value

_DEPTH = 10
_ITEMS = 200
_ENVIRONMENT = ("os.environ.get", "os.getenv", "os.environ", "decouple.config", "environ.Env", "config")


class Evaluator:
    """Evaluates the arguments of calls in one module."""

    def __init__(self, names: Names) -> None:
        self.names = names
        self._module: Module = names.module

    def arguments(self, call: ast.Call, scope: str) -> dict[str, Value]:
        """Positional arguments under `0`, `1`, ..., keyword arguments by name, `**` as what can't be known."""
        found: dict[str, Value] = {}
        for number, argument in enumerate(call.args[:_ITEMS]):
            if isinstance(argument, ast.Starred):
                found[REST] = self._unknown(argument)
                break
            found[str(number)] = self.value(argument, scope)
        for keyword in call.keywords[:_ITEMS]:
            if keyword.arg is not None:
                found[keyword.arg] = self.value(keyword.value, scope)
            elif isinstance(keyword.value, ast.Dict):
                found |= self._mapping(keyword.value, scope, 0)
            else:
                found[REST] = self._unknown(keyword.value)
        return found

    def value(self, node: ast.expr, scope: str, depth: int = 0) -> Value:
        """An expression as a value, with its place."""
        if depth > _DEPTH:
            return self._unknown(node)
        place = Place(self._module.file, node.lineno)
        if isinstance(node, ast.Constant):
            known = isinstance(node.value, (str, bool, int, float, type(None)))
            return Value(node.value, place) if known else self._unknown(node)
        if isinstance(node, (ast.List, ast.Tuple, ast.Set)):
            return Value(tuple(self._elements(node.elts, scope, depth)), place)
        if isinstance(node, ast.Dict):
            return Value(self._mapping(node, scope, depth), place)
        if isinstance(node, ast.Await):
            return self.value(node.value, scope, depth + 1)
        if isinstance(node, (ast.JoinedStr, ast.BinOp)):
            piped = isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr)
            return self._piped(node, scope, depth) if piped else self._text(node, scope, depth)
        if isinstance(node, ast.BoolOp) and isinstance(node.op, ast.Or):
            return self._either(node.values, scope, depth)
        if isinstance(node, ast.IfExp):
            return self._either([node.body, node.orelse], scope, depth)
        return self._reference(node, scope, depth)

    def _elements(self, nodes: Iterable[ast.expr], scope: str, depth: int) -> Iterable[Value]:
        for node in list(nodes)[:_ITEMS]:
            inner = node.value if isinstance(node, ast.Starred) else node
            yield self.value(inner, scope, depth + 1)

    def _mapping(self, node: ast.Dict, scope: str, depth: int) -> dict[str, Value]:
        found = {}
        for key, value in list(zip(node.keys, node.values, strict=True))[:_ITEMS]:
            if key is None:
                found[REST] = self._unknown(value)
                continue
            name = self.value(key, scope, depth + 1).data
            found[str(name) if name is not None else REST] = self.value(value, scope, depth + 1)
        return found

    def _text(self, node: ast.JoinedStr | ast.BinOp, scope: str, depth: int) -> Value:
        if isinstance(node, ast.BinOp):
            pieces = [node.left, node.right] if isinstance(node.op, ast.Add) else []
        else:
            pieces = [v.value if isinstance(v, ast.FormattedValue) else v for v in node.values]
        values = [self.value(p, scope, depth + 1) for p in pieces]
        refs = tuple(r for v in values for r in v.refs)
        place = Place(self._module.file, node.lineno)
        if values and all(isinstance(v.data, (str, int, float)) and v.known for v in values):
            worst = State.CONDITIONAL if any(v.state is State.CONDITIONAL for v in values) else State.KNOWN
            return Value("".join(str(v.data) for v in values)[:4000], place, worst, refs)
        return Value(None, place, State.UNKNOWN, refs, _source(node))

    def _piped(self, node: ast.expr, scope: str, depth: int) -> Value:
        """`prompt | model | parser`: it is about all of them."""
        parts: list[ast.expr] = []
        while isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr) and len(parts) < _ITEMS:
            parts.append(node.right)
            node = node.left
        values = [self.value(part, scope, depth + 1) for part in [node, *reversed(parts)]]
        refs = dict.fromkeys(r for v in values for r in (*v.refs, *(r for _, leaf in v.leaves() for r in leaf.refs)))
        return Value(None, values[0].place, State.UNKNOWN, tuple(refs))

    def _either(self, nodes: list[ast.expr], scope: str, depth: int) -> Value:
        """`a or b`, `a if c else b`: the first that is known, depending on something."""
        values = [self.value(n, scope, depth + 1) for n in nodes]
        refs = tuple(dict.fromkeys(r for v in values for r in v.refs))
        known = next((v for v in values if v.known and v.data is not None), None)
        if known is None:
            return Value(None, values[0].place, State.UNKNOWN, refs, values[0].text)
        return Value(known.data, known.place, State.CONDITIONAL, refs)

    def _reference(self, node: ast.expr, scope: str, depth: int) -> Value:
        place = Place(self._module.file, node.lineno)
        if isinstance(node, ast.Call) and id(node) in self._module.ids:
            return Value(None, place, State.UNKNOWN, (self._module.ids[id(node)],), _source(node))
        if (variable := self._environment(node, scope, depth)) is not None:
            return variable
        if isinstance(node, ast.Name):
            found = self.names.value(node.id, scope)
            if found is not None:
                value = self.value(found[0], found[1], depth + 1)
                return Value(value.data, place if value.refs else value.place, value.state, value.refs, value.text)
            if (other := self.names.elsewhere(node.id)) is not None:
                return Evaluator(other[0]).value(other[1], "", depth + 1)
        if isinstance(node, ast.Attribute) and (of := self.value(node.value, scope, depth + 1)).refs:
            # `role.arn`: an attribute of something that is known is about it.
            return Value(None, place, State.UNKNOWN, of.refs, _source(node))
        qualified = self.names.qualified(node.func if isinstance(node, ast.Call) else node, scope)
        reference = self.names.definition(qualified) if qualified else ""
        return Value(None, place, State.UNKNOWN, (reference,) if reference else (), qualified or _source(node))

    def _environment(self, node: ast.expr, scope: str, depth: int) -> Value | None:
        """`os.environ["X"]`, `os.getenv("X", "default")` and what is like them."""
        if isinstance(node, ast.Call):
            called, arguments = self.names.qualified(node.func, scope), node.args
            if called not in _ENVIRONMENT or not arguments:
                return None
        elif isinstance(node, ast.Subscript) and self.names.qualified(node.value, scope) == "os.environ":
            arguments = [node.slice]
        else:
            return None
        name = self.value(arguments[0], scope, depth + 1).data
        refs = (f"env:{name}",) if isinstance(name, str) else ()
        place = Place(self._module.file, node.lineno)
        if len(arguments) > 1:
            default = self.value(arguments[1], scope, depth + 1)
            if default.known and default.data is not None:
                return Value(default.data, place, State.CONDITIONAL, refs)
        return Value(None, place, State.UNKNOWN, refs)

    def _unknown(self, node: ast.AST) -> Value:
        line = getattr(node, "lineno", 0)
        return Value(None, Place(self._module.file, line), State.UNKNOWN)


def _source(node: ast.expr) -> str:
    try:
        return ast.unparse(node)[:200]
    except (RecursionError, ValueError):
        return ""
