# SPDX-License-Identifier: Apache-2.0
"""Expressions of HCL as values: known, conditional on a variable, or unknown with what they refer to."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import count
from typing import Any

from tree_sitter import Node

from bastide.discover.importers.terraform.functions import FUNCTIONS
from bastide.discover.model import REST, Place, State, Value
from bastide.discover.readers.embedded import embedded, hole
from bastide.discover.readers.hcl import line_of, text_of
from bastide.errors import LimitError

_DEPTH = 60
_STEPS = 300_000
_TEXT = 200_000
_ORDER = (State.KNOWN, State.DEFAULT, State.CONDITIONAL, State.UNKNOWN)
_SUFFIXES = frozenset({"get_attr", "index", "splat"})
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", '"': '"', "\\": "\\"}

Resolve = Callable[[list[str], Place], Value]
"""What a name with its attributes means: `["var", "x"]`, `["aws_x", "y", "arn"]`."""


@dataclass(slots=True)
class Budget:
    """Work that is left for one root; a for-expression can be a bomb."""

    steps: int = _STEPS

    def spend(self) -> None:
        """One step. Raises `LimitError` when none is left."""
        self.steps -= 1
        if self.steps < 0:
            raise LimitError("is too much work to evaluate")


@dataclass(frozen=True, slots=True)
class Evaluator:
    """Evaluates expressions of one file in one module instance."""

    file: str
    resolve: Resolve
    budget: Budget
    local: Mapping[str, Value] = field(default_factory=dict)
    """Names of for-expressions and dynamic blocks."""
    depth: int = 0

    def value(self, node: Node) -> Value:
        """The value of an expression. Raises `LimitError` when it is too much work."""
        self.budget.spend()
        if self.depth > _DEPTH:
            raise LimitError("is nested too deeply")
        inner = replace(self, depth=self.depth + 1)
        return inner._sequence(node.children if node.type == "expression" else [node], node)

    # --- a primary with its attributes, indexes and splats ---------------------------------------------------------
    def _sequence(self, nodes: Sequence[Node], whole: Node) -> Value:
        nodes = [n for n in nodes if n.is_named and n.type != "comment"]
        if not nodes:
            return self._unknown(whole)
        first, rest = nodes[0], list(nodes[1:])
        if first.type == "variable_expr":
            name = text_of(first)
            if name not in self.local:
                path = [name]
                while rest and rest[0].type == "get_attr":
                    path.append(text_of(rest.pop(0).children[-1]))
                return self._suffixes(self.resolve(path, self._place(first)), rest)
            return self._suffixes(self.local[name], rest)
        return self._suffixes(self._primary(first), rest)

    def _suffixes(self, value: Value, rest: Sequence[Node]) -> Value:
        for number, suffix in enumerate(rest):
            if suffix.type == "get_attr":
                value = attribute(value, text_of(suffix.children[-1]))
            elif suffix.type == "index":
                value = self._index(value, suffix)
            elif suffix.type == "splat":
                inside = [n for n in suffix.children[0].children if n.is_named]
                elements = list(value.elements()) if value.data is not None else []
                if value.state is State.UNKNOWN:
                    return value
                parts = [self._suffixes(e, [*inside, *rest[number + 1 :]]) for e in elements]
                return Value(tuple(parts), value.place, value.state, _refs(parts))
        return value

    def _index(self, value: Value, node: Node) -> Value:
        inner = next((n for n in node.children[0].children if n.is_named), None)
        if inner is None:
            return unknown(value)
        if inner.type != "expression":
            key: Any = text_of(inner)
        else:
            found = self.value(inner)
            if not found.known:
                return unknown(value, *found.refs)
            key = found.data
        if isinstance(value.data, tuple) and str(key).lstrip("-").isdecimal():
            elements = list(value.elements())
            return elements[int(key)] if -len(elements) <= int(key) < len(elements) else unknown(value)
        if value.data is None and (one := tuple(r for r in value.refs if r.endswith(f'["{key}"]'))):
            # Of the instances of a resource the one with this key.
            return replace(value, refs=one)
        return attribute(value, str(key)) if isinstance(value.data, Mapping) else value

    # --- primaries ---------------------------------------------------------------------------------------------------
    def _primary(self, node: Node) -> Value:
        kinds: dict[str, Callable[[Node], Value]] = {
            "expression": self.value,
            "literal_value": self._literal,
            "template_expr": lambda n: self._template(n.children[0]),
            "collection_value": lambda n: self._collection(n.children[0]),
            "function_call": self._call,
            "for_expr": lambda n: self._for(n.children[0]),
            "conditional": self._conditional,
            "operation": lambda n: self._operation(n.children[0]),
        }
        read = kinds.get(node.type)
        return read(node) if read is not None else self._unknown(node)

    def _literal(self, node: Node) -> Value:
        inner = node.children[0]
        place, text = self._place(node), text_of(inner)
        if inner.type == "string_lit":
            return Value(unescaped(text[1:-1]), place)
        if inner.type == "bool_lit":
            return Value(text == "true", place)
        if inner.type == "null_lit":
            return Value(None, place)
        number = re.fullmatch(r"\d{1,18}|\d{1,18}\.\d{1,18}", text)
        return Value((float(text) if "." in text else int(text)) if number else text, place)

    def _template(self, node: Node) -> Value:
        """A text with interpolations: put together from the bytes between them, since white space belongs to it."""
        parts = [c for c in node.children if c.type in ("template_interpolation", "template_directive")]
        start, end = _inside(node)
        source = node.text or b""
        offset = node.start_byte
        pieces: list[str | Value] = []
        at = start
        for part in parts:
            pieces.append(source[at - offset : part.start_byte - offset].decode("utf-8", "replace"))
            expression = next((c for c in part.children if c.type == "expression"), None)
            pieces.append(
                self.value(expression)
                if part.type == "template_interpolation" and expression is not None
                else self._unknown(part)
            )
            at = part.end_byte
        pieces.append(source[at - offset : end - offset].decode("utf-8", "replace"))
        heredoc = node.type == "heredoc_template"
        place = replace(self._place(node), end=node.end_point[0] + 1) if heredoc else self._place(node)
        values = [p for p in pieces if isinstance(p, Value)]
        if len(values) == 1 and all(p == "" for p in pieces if isinstance(p, str)):
            return values[0]
        state, refs = worst(values), _refs(values)
        if state is State.UNKNOWN or any(isinstance(v.data, (Mapping, tuple)) for v in values):
            numbers = count()
            holed = "".join(p if isinstance(p, str) else hole(next(numbers)) for p in pieces)
            if heredoc and len(holed) <= _TEXT and (whole := embedded(holed, values, place)) is not None:
                return whole
            return Value(None, place, State.UNKNOWN, refs, text_of(node)[:200])
        text = "".join(p if isinstance(p, str) else as_template(p.data) for p in pieces)
        if len(text) > _TEXT:
            raise LimitError("is a text that grows too large")
        return Value(_dedented(text) if heredoc else unescaped(text), place, state, refs)

    def _collection(self, node: Node) -> Value:
        place = replace(self._place(node), end=node.end_point[0] + 1)
        if node.type == "tuple":
            elements = [self.value(c) for c in node.children if c.type == "expression"]
            return Value(tuple(elements), place, refs=())
        found: dict[str, Value] = {}
        for element in (c for c in node.children if c.type == "object_elem"):
            key, value = (c for c in element.children if c.type == "expression")
            found[self._key(key)] = self.value(value)
        return Value(found, place)

    def _key(self, node: Node) -> str:
        text = text_of(node)
        if re.fullmatch(r"[A-Za-z_][\w-]*", text):
            return text
        value = self.value(node)
        return str(value.data) if value.known and value.data is not None else REST

    def _call(self, node: Node) -> Value:
        name = text_of(node.children[0])
        arguments = next((c for c in node.children if c.type == "function_arguments"), None)
        nodes = [c for c in arguments.children if c.type == "expression"] if arguments is not None else []
        if name in ("try", "can"):
            return self._try(nodes, node)
        values = [self.value(n) for n in nodes]
        function = FUNCTIONS.get(name)
        result = function(values, self._place(node)) if function is not None else None
        if result is None:
            return Value(None, self._place(node), State.UNKNOWN, _refs(values), text_of(node)[:200])
        return result

    def _try(self, nodes: Sequence[Node], whole: Node) -> Value:
        """The first that is there; one that isn't known may fail, so it only conditions the next."""
        values = [self.value(n) for n in nodes]
        for value in values:
            if value.known:
                return value if value is values[0] else replace(value, state=State.CONDITIONAL)
        return values[0] if values else self._unknown(whole)

    # --- choices, loops, operators -----------------------------------------------------------------------------------
    def _conditional(self, node: Node) -> Value:
        condition, yes, no = (c for c in node.children if c.type == "expression")
        chosen = self.value(condition)
        if not chosen.known or chosen.data is None:
            either = [self.value(yes), self.value(no)]
            known = [v for v in either if v.known and v.data not in (None, "", ())]
            if len(known) == 1 or (known and all(v.plain() == known[0].plain() for v in known)):
                return replace(known[0], state=State.CONDITIONAL, refs=_refs([chosen, *either]))
            return Value(None, self._place(node), State.UNKNOWN, _refs([chosen, *either]), text_of(node)[:200])
        value = self.value(yes if chosen.data in (True, "true") else no)
        return replace(value, state=worst([value, chosen]), refs=value.refs)

    def _for(self, node: Node) -> Value:
        intro = next(c for c in node.children if c.type == "for_intro")
        names = [text_of(c) for c in intro.children if c.type == "identifier"]
        over = self.value(next(c for c in intro.children if c.type == "expression"))
        bodies = [c for c in node.children if c.type == "expression"]
        condition = next((c.children[-1] for c in node.children if c.type == "for_cond"), None)
        if not over.known or over.data is None:
            return Value(None, self._place(node), State.UNKNOWN, over.refs, text_of(node)[:200])
        results: list[tuple[str, Value]] = []
        for key, value in items(over):
            scope = {**self.local, names[-1]: value}
            if len(names) > 1:
                scope[names[0]] = Value(key, value.place)
            inner = replace(self, local=scope)
            kept = inner.value(condition) if condition is not None else None
            if kept is not None and kept.known and kept.data in (False, "false"):
                continue
            name = inner.value(bodies[0]).data if len(bodies) > 1 else key
            results.append((str(name), inner.value(bodies[-1])))
        if len(bodies) > 1:
            return Value(dict(results), self._place(node), over.state)
        return Value(tuple(v for _, v in results), self._place(node), over.state)

    def _operation(self, node: Node) -> Value:
        children = list(node.children)
        if node.type == "unary_operation":
            operand = self._sequence(children[1:], node)
            return operation(text_of(children[0]), [operand], self._place(node))
        split = next((n for n, c in enumerate(children) if not c.is_named), 0)
        operands = [self._sequence(children[:split], node), self._sequence(children[split + 1 :], node)]
        return operation(text_of(children[split]), operands, self._place(node))

    def _place(self, node: Node) -> Place:
        return Place(self.file, line_of(node))

    def _unknown(self, node: Node) -> Value:
        return Value(None, self._place(node), State.UNKNOWN, (), text_of(node)[:200])


def operation(sign: str, operands: Sequence[Value], place: Place) -> Value:
    """The result of an operator; unknown when an operand is, unless the other decides."""
    state, refs = worst(operands), _refs(operands)
    plain = [v.data for v in operands]
    if sign in ("&&", "||"):
        decides = sign == "||"
        if any(v.known and v.data is decides for v in operands):
            return Value(decides, place, state if state is not State.UNKNOWN else State.KNOWN, refs)
    if state is State.UNKNOWN or any(isinstance(p, (Mapping, tuple)) for p in plain):
        if sign in ("==", "!=") and state is not State.UNKNOWN:
            equal = operands[0].plain() == operands[1].plain()
            return Value(equal if sign == "==" else not equal, place, state, refs)
        return Value(None, place, State.UNKNOWN, refs)
    try:
        result = _OPERATIONS[sign, len(plain)](*plain)
    except (TypeError, ZeroDivisionError, KeyError, OverflowError, ValueError):
        return Value(None, place, State.UNKNOWN, refs)
    return Value(result, place, state, refs)


_OPERATIONS: Mapping[tuple[str, int], Callable[..., Any]] = {
    ("!", 1): lambda a: not a,
    ("-", 1): lambda a: -a,
    ("==", 2): lambda a, b: a == b,
    ("!=", 2): lambda a, b: a != b,
    (">", 2): lambda a, b: a > b,
    ("<", 2): lambda a, b: a < b,
    (">=", 2): lambda a, b: a >= b,
    ("<=", 2): lambda a, b: a <= b,
    ("&&", 2): lambda a, b: bool(a and b),
    ("||", 2): lambda a, b: bool(a or b),
    ("+", 2): lambda a, b: a + b,
    ("-", 2): lambda a, b: a - b,
    ("*", 2): lambda a, b: a * b if max(abs(a), abs(b)) < 10**12 else None,
    ("/", 2): lambda a, b: a / b,
    ("%", 2): lambda a, b: a % b,
}


def attribute(value: Value, name: str) -> Value:
    """An attribute of an object; unknown when the object is, or doesn't say."""
    if isinstance(value.data, Mapping):
        if name in value.data:
            found: Value = value.data[name]
            return found if value.state is State.KNOWN else replace(found, state=worst([value, found]))
        return unknown(value) if REST in value.data or value.refs else Value(None, value.place)
    if isinstance(value.data, tuple):
        parts = [attribute(v, name) for v in value.elements()]
        return Value(tuple(parts), value.place, value.state, _refs(parts))
    return value if not value.known else unknown(value)


def items(value: Value) -> Iterator[tuple[str, Value]]:
    """Key and value of the elements of a collection."""
    if isinstance(value.data, Mapping):
        yield from value.data.items()
    elif isinstance(value.data, tuple):
        yield from ((str(n), v) for n, v in enumerate(value.data))


def unknown(value: Value, *refs: str) -> Value:
    """An unknown value in the place of one."""
    return Value(None, value.place, State.UNKNOWN, (*value.refs, *refs), value.text)


def worst(values: Sequence[Value]) -> State:
    """The least sure state of some values; known for none."""
    return max((v.state for v in values), key=_ORDER.index, default=State.KNOWN)


def _refs(values: Sequence[Value]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(r for v in values for r in v.refs))


def as_template(data: Any) -> str:
    """A scalar as it stands in a text."""
    return "" if data is None else str(data).lower() if isinstance(data, bool) else str(data)


def unescaped(text: str) -> str:
    """A quoted text with its escapes put in."""
    text = re.sub(r"\\(.)", lambda m: _ESCAPES.get(m[1], m[0]), text, flags=re.DOTALL)
    return text.replace("$${", "${").replace("%%{", "%{")


def _inside(node: Node) -> tuple[int, int]:
    """Where the text of a template begins and ends, in bytes."""
    if node.type == "heredoc_template":
        source = node.text or b""
        first = source.find(b"\n")
        last = max((c.start_byte for c in node.children if c.type == "heredoc_identifier"), default=node.end_byte)
        return node.start_byte + first + 1, max(last, node.start_byte + first + 1)
    return node.children[0].end_byte, node.children[-1].start_byte


def _dedented(text: str) -> str:
    lines = text.split("\n")
    margin = min((len(x) - len(x.lstrip()) for x in lines if x.strip()), default=0)
    return "\n".join(x[margin:] for x in lines)
