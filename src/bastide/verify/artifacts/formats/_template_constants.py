# SPDX-License-Identifier: Apache-2.0
"""Which texts the expressions of a Jinja template make, found without evaluating the template."""

from __future__ import annotations

from typing import Any

from jinja2 import nodes

from bastide.verify.artifacts.formats._template_values import DEPTH, Definitions, TooMuch, descendants
from bastide.verify.artifacts.formats._template_words import WORDS

MAX_TEXT = 4096
"""Characters of a text that is put together here."""


def constant(node: nodes.Node | None, known: Definitions, depth: int = 0) -> Any:
    """The value that an expression of constants has: a text, a number, or a list of them; None when it isn't known."""
    if node is None:
        return None
    if depth > DEPTH:
        raise TooMuch
    if id(node) in known.constants:
        return known.constants[id(node)]
    known.step()
    known.constants[id(node)] = None  # Until it is known: a variable may stand for itself.
    value = _constant(node, known, depth + 1)
    too_long = isinstance(value, str | list) and len(value) > MAX_TEXT
    known.constants[id(node)] = None if too_long else value
    return known.constants[id(node)]


def _constant(node: nodes.Node, known: Definitions, depth: int) -> Any:  # noqa: PLR0911 - one kind of node each
    match node:
        case nodes.Const():
            return node.value if isinstance(node.value, str | int) else None
        case nodes.TemplateData():
            return node.data
        case nodes.Name() | nodes.Getattr() if (given := known.of(node)) and len(given) == 1:
            return constant(given[0], known, depth)
        case nodes.List() | nodes.Tuple():
            parts = [constant(item, known, depth) for item in node.items[:MAX_TEXT]]
            return None if None in parts else parts
        case nodes.Concat():
            parts = [constant(item, known, depth) for item in node.nodes]
            return None if None in parts else "".join(str(part) for part in parts)
        case nodes.Add() | nodes.Mul() | nodes.Mod():
            return _arithmetic(node, constant(node.left, known, depth), constant(node.right, known, depth))
        case nodes.Filter() if node.node is not None:
            arguments = [constant(argument, known, depth) for argument in node.args]
            return _filtered(node.name, constant(node.node, known, depth), arguments)
        case nodes.Call(node=nodes.Getattr() as method):
            arguments = [constant(argument, known, depth) for argument in node.args]
            return _method(method.attr, constant(method.node, known, depth), arguments)
        case nodes.Getitem():
            return _item(node, constant(node.node, known, depth), known, depth)
    return None


def _item(node: nodes.Getitem, value: Any, known: Definitions, depth: int) -> Any:
    if not isinstance(value, str | list):
        return None
    try:
        if isinstance(node.arg, nodes.Slice):
            start, stop, step = (
                constant(part, known, depth) for part in (node.arg.start, node.arg.stop, node.arg.step)
            )
            negative = isinstance(node.arg.step, nodes.Neg)
            return value[::-1] if negative else value[start:stop:step]
        return value[constant(node.arg, known, depth)]
    except (TypeError, IndexError, ValueError):
        return None


def _arithmetic(node: nodes.BinExpr, left: Any, right: Any) -> Any:
    match node, left, right:
        case nodes.Add(), str(), str():
            return left + right
        case nodes.Mul(), int(), int() if abs(left) < 1 << 64 and abs(right) < 1 << 64:
            return left * right
        case nodes.Mul(), str(), int():
            return left * min(right, MAX_TEXT // max(1, len(left)))
        case nodes.Mul(), int(), str():
            return right * min(left, MAX_TEXT // max(1, len(right)))
        case nodes.Mod(), str(), _ if right is not None:
            return _formatted(left, right if isinstance(right, list) else [right])
    return None


def _formatted(pattern: str, values: list[Any]) -> str | None:
    """`%` formatting of few, short values; a width could make a text of gigabytes."""
    if any(character.isdigit() or character == "*" for character in pattern) and "%" in pattern:
        return None
    try:
        return pattern % tuple(values)
    except (TypeError, ValueError, KeyError, OverflowError):
        return None


_AS_METHODS = {"trim": "strip"} | {name: name for name in ("replace", "lower", "upper", "title", "capitalize")}
"""Filters that are methods of texts."""


def _filtered(name: str, value: Any, arguments: list[Any]) -> Any:
    if value is None or None in arguments:
        return None
    if isinstance(value, str) and name in _AS_METHODS:
        return _method(_AS_METHODS[name], value, arguments)
    match name, value, arguments:
        case "join", list(), _:
            return str(arguments[0] if arguments else "").join(str(part) for part in value)
        case "format", str(), _:
            return _formatted(value, arguments)
        case "reverse", (str() | list()), _:
            return value[::-1]
        case "list", str(), _:
            return list(value)
        case (("first" | "last"), (str() | list()), _) if value:
            return value[0 if name == "first" else -1]
        case (("string" | "safe" | "e" | "escape" | "forceescape"), _, _):
            return str(value)
    return None


def _method(name: str, value: Any, arguments: list[Any]) -> Any:
    if value is None or None in arguments:
        return None
    match name, value, arguments:
        case "join", str(), [list() as parts]:
            return value.join(str(part) for part in parts)
        case "replace", str(), [str() as old, str() as new] if len(value) * len(new) < MAX_TEXT * 16:
            return value.replace(old, new)
        case (("lower" | "upper" | "title" | "capitalize" | "swapcase" | "strip" | "lstrip" | "rstrip"), str(), []):
            return getattr(value, name)()
        case "format", str(), _ if "{" not in value.replace("{}", "") and value.count("{}") <= len(arguments):
            return value.format(*arguments)
    return None


def built(node: nodes.Node | None, known: Definitions, depth: int = 0) -> bool:  # noqa: PLR0911 - one kind of node each
    """Whether an expression is a text that the template puts together, and not one that it was given or that stands there."""
    if node is None or depth > DEPTH:
        return node is not None
    known.step()
    match node:
        case nodes.Concat():
            return True
        case nodes.Add() | nodes.Mul():
            return any(_textual(side, known) for side in (node.left, node.right))
        case nodes.Mod():
            return _textual(node.left, known)
        case nodes.Filter():
            return node.name in WORDS.builds and not _given(node, known)
        case nodes.Call(node=nodes.Getattr(attr=name) as method):
            return name in WORDS.building_methods and not _given(method.node, known)
        case nodes.CondExpr():
            return any(built(part, known, depth + 1) for part in (node.expr1, node.expr2))
        case nodes.Getitem(arg=nodes.Slice()):
            return _textual(node.node, known)
        case nodes.Name() | nodes.Getattr():
            return any(built(value, known, depth + 20) for value in known.of(node))
    return False


def _textual(node: nodes.Node, known: Definitions) -> bool:
    """Whether a constant text is in it."""
    for at in descendants(node):
        known.step()
        if isinstance(at, nodes.Const | nodes.TemplateData | nodes.Name | nodes.Getattr) and isinstance(
            constant(at, known), str
        ):
            return True
    return False


def _given(node: nodes.Node | None, known: Definitions) -> bool:
    """Whether it is only something that was given, in another case: `role|lower`."""
    while isinstance(node, nodes.Filter) and node.name in {"lower", "upper", "trim", "string", "title", "capitalize"}:
        node = node.node
    return isinstance(node, nodes.Name | nodes.Getattr | nodes.Getitem) and not _textual(node, known)
