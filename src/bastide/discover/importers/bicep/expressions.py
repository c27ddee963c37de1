# SPDX-License-Identifier: Apache-2.0
"""Expressions of Bicep: what follows from the files, with what it is made from where it doesn't. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Protocol

from tree_sitter import Node

from bastide.discover.importers.bicep.functions import apply, as_text, refs, worst
from bastide.discover.model import TEXT, Place, State, Value
from bastide.discover.readers.hcl import line_of, text_of

DEPTH, LOOPS = 60, 50
Local = Mapping[str, Value]
_LOAD = {"loadTextContent", "loadJsonContent"}


class Names(Protocol):
    """What an expression can name."""

    file: str

    @property
    def steps(self) -> list[int]:
        """What is left of the work that one deployment may cost."""
        ...

    def named(self, name: str, place: Place) -> Value:
        """A parameter, variable, resource or module."""
        ...

    def output(self, module: str, index: int | None, name: str, place: Place) -> Value | None:
        """An output of a module; None where its file isn't in the tree."""
        ...

    def loaded(self, path: str, place: Place) -> Value | None:
        """The text of a file of the tree."""
        ...


@dataclass(frozen=True, slots=True)
class Body:
    """An object that is assigned to a resource or module, not evaluated yet."""

    node: Node
    local: Local
    state: State = State.KNOWN
    key: str = ""
    """In a loop: `[name]`."""
    index: int | None = None


def bodies(names: Names, node: Node, local: Local, key: str = "", index: int | None = None) -> Iterator[Body]:
    """The objects that are assigned: none when the condition is false, several in a loop over what is known."""
    parts = [c for c in node.children if c.is_named and c.type != "comment"]
    if node.type == "if_statement" and len(parts) >= 2:
        condition = value(names, parts[0], local)
        if condition.known and condition.data is False:
            return
        for body in bodies(names, parts[-1], local, key, index):
            yield body if condition.state is State.KNOWN else replace(body, state=State.CONDITIONAL)
    elif node.type == "for_statement" and len(parts) >= 3:
        for inner, name, number in _rounds(names, parts, local):
            yield from bodies(names, parts[-1], inner, name, number)
    else:
        yield Body(node, local, State.KNOWN, key, index)


def _rounds(names: Names, parts: Sequence[Node], local: Local) -> Iterator[tuple[Local, str, int | None]]:
    """Local names, key and number of each round. Over something unknown, or a list that is empty until somebody gives one, there
    is one round with unknown values.
    """
    head = [c for c in parts[0].children if c.is_named] or [parts[0]]
    variables = [text_of(c) for c in head]
    over = value(names, parts[-2], local)
    place = Place(names.file, line_of(parts[0]))
    to_be_given = over.state is State.CONDITIONAL and not over.data
    if not over.known or not isinstance(over.data, tuple) or to_be_given:
        unknown = Value(None, place, State.UNKNOWN, over.refs)
        yield {**local, **dict.fromkeys(variables, unknown)}, "", None
        return
    several = len(over.data) > 1
    for number, element in enumerate(over.data[:LOOPS]):
        round_ = dict(zip(variables, (element, Value(number, place)), strict=False))
        yield {**local, **round_}, f"[{_key(element) or number}]" if several else "", number


def _key(element: Value) -> str:
    held = next(iter(element.find("name")), element) if isinstance(element.data, Mapping) else element
    return held.data[:60] if isinstance(held.data, str) else ""


def value(names: Names, node: Node, local: Local, depth: int = 0) -> Value:
    """The value of an expression."""
    names.steps[0] -= 1
    place = Place(names.file, line_of(node))
    if depth > DEPTH or names.steps[0] < 0:
        return Value(None, place, State.UNKNOWN)
    inner = partial(value, names, local=local, depth=depth + 1)
    parts = [c for c in node.children if c.is_named and c.type != "comment"]
    if node.type == "identifier":
        name = text_of(node)
        return local[name] if name in local else names.named(name, place)
    if node.type == "for_statement":
        rounds = bodies(names, node, local)
        return Value(tuple(value(names, b.node, b.local, depth + 1) for b in rounds), place)
    if node.type in ("object", "array"):
        return _collection(node, parts, inner, replace(place, end=node.end_point[0] + 1))
    if node.type in ("string", "number", "boolean", "null"):
        return _literal(node, parts, inner, place)
    if node.type in ("member_expression", "subscript_expression") and len(parts) >= 2:
        found = _output(names, node, local, place, inner)
        return found if found is not None else _member(inner(parts[0]), parts[-1], place, inner)
    return _expression(names, node, parts, inner, place)


Inner = Callable[[Node], Value]


def _collection(node: Node, parts: Sequence[Node], inner: Inner, place: Place) -> Value:
    if node.type == "array":
        return Value(tuple(inner(c) for c in parts), place)
    pairs = [[c for c in p.children if c.is_named] for p in parts if p.type == "object_property"]
    found: dict[str, Value] = {}
    for pair in pairs:
        if len(pair) == 2:
            holes = any(c.type == "interpolation" for c in pair[0].children)
            name = inner(pair[0]) if holes else None
            # A key that isn't known keeps what it is made from: `'${identity.id}': {}`.
            key = text_of(pair[0]).strip("'") if name is None or not name.known else as_text(name)
            held = inner(pair[1])
            found[key] = held if name is None else replace(held, refs=(*held.refs, *name.refs))
    return Value(found, place)


def _literal(node: Node, parts: Sequence[Node], inner: Inner, place: Place) -> Value:
    if node.type == "string":
        holes = [[c for c in n.children if c.is_named] for n in parts if n.type == "interpolation"]
        return _string(node, [inner(h[0]) for h in holes if h], place)
    text = text_of(node)
    data = int(text) if text.isdecimal() and len(text) < 19 else {"true": True, "false": False}.get(text)
    return Value(data, place)


def _string(node: Node, values: Sequence[Value], place: Place) -> Value:
    if not values:
        text = "".join(text_of(c) for c in node.children if c.type in ("string_content", "escape_sequence"))
        return Value(text, place)
    if any(not v.known or isinstance(v.data, (Mapping, tuple)) for v in values):
        return Value(None, place, State.UNKNOWN, refs(values), text_of(node)[:TEXT])
    filled = iter(values)
    texts = [as_text(next(filled)) if c.type == "interpolation" else text_of(c) for c in node.children if c.is_named]
    return Value("".join(texts)[:10_000], place, worst(values), refs(values))


def _output(names: Names, node: Node, local: Local, place: Place, inner: Inner) -> Value | None:
    """`module.outputs.name` and `module[i].outputs.name`."""
    parts = [c for c in node.children if c.is_named]
    above = [c for c in parts[0].children if c.is_named] if parts[0].type == "member_expression" else []
    if node.type != "member_expression" or len(above) != 2 or text_of(above[1]) != "outputs":
        return None
    index, module = None, above[0]
    if module.type == "subscript_expression":
        module, at = [c for c in module.children if c.is_named][:2]
        number = inner(at)
        index = number.data if isinstance(number.data, int) else None
    name = text_of(module)
    return None if module.type != "identifier" or name in local else names.output(name, index, text_of(parts[1]), place)


def _member(held: Value, node: Node, place: Place, inner: Inner) -> Value:
    if node.type == "property_identifier":
        key: object = text_of(node)
    else:
        key = inner(node).data
    if isinstance(held.data, Mapping):
        return held.data.get(str(key)) or Value(None, place, *((State.UNKNOWN,) if "*" in held.data else ()))
    if isinstance(held.data, tuple):
        if isinstance(key, int) and not isinstance(key, bool):
            return held.data[key] if key < len(held.data) else Value(None, place)
        # Which of them isn't known.
        return Value(None, place, State.UNKNOWN, refs(held.data), held.text)
    return Value(None, place, State.UNKNOWN, held.refs, held.text)


def _expression(names: Names, node: Node, parts: Sequence[Node], inner: Inner, place: Place) -> Value:
    if node.type == "parenthesized_expression" and parts:
        return inner(parts[0])
    if node.type == "ternary_expression" and len(parts) == 3:
        return _ternary([inner(c) for c in parts], place)
    if node.type == "call_expression":
        return _call(names, node, inner, place)
    return _operation(node, [inner(c) for c in parts], place)


def _call(names: Names, node: Node, inner: Inner, place: Place) -> Value:
    name = text_of(node.children[0]).rpartition(".")[2]
    arguments = [c for a in node.children if a.type == "arguments" for c in a.children if c.is_named]
    given = [inner(c) for c in arguments if c.type != "lambda_expression"]
    loads = name in _LOAD and given and isinstance(given[0].data, str)
    found = names.loaded(str(given[0].data), place) if loads else apply(name, given, place)
    return found if found is not None else Value(None, place, State.UNKNOWN, refs(given), text_of(node)[:TEXT])


def _operation(node: Node, parts: Sequence[Value], place: Place) -> Value:
    """Operators that decide conditions."""
    sign = next((c.type for c in node.children if not c.is_named), "")
    if node.type == "unary_expression" and sign == "!" and parts and parts[0].known:
        return replace(parts[0], data=not parts[0].data, place=place)
    if sign == "??" and len(parts) == 2 and parts[0].known:
        return parts[0] if parts[0].data is not None else parts[1]
    if node.type == "binary_expression" and len(parts) == 2 and all(p.known for p in parts):
        left, right = parts[0].plain(), parts[1].plain()
        results = {"==": left == right, "!=": left != right, "&&": bool(left and right), "||": bool(left or right)}
        if isinstance(left, int) and isinstance(right, int):
            results |= {"<": left < right, ">": left > right, "<=": left <= right, ">=": left >= right}
        if sign in results:
            return Value(results[sign], place, worst(parts), refs(parts))
    if sign in ("&&", "||") and len(parts) == 2:
        deciding = [p for p in parts if p.known and bool(p.data) is (sign == "||")]
        if deciding:
            return Value(sign == "||", place, deciding[0].state, refs(parts))
    return Value(None, place, State.UNKNOWN, refs(parts), text_of(node)[:TEXT])


def _ternary(parts: Sequence[Value], place: Place) -> Value:
    condition, yes, no = parts
    if condition.known:
        chosen = yes if condition.data else no
        sure = condition.state is not State.CONDITIONAL or not chosen.known
        return chosen if sure else replace(chosen, state=State.CONDITIONAL)
    said = next((v for v in (yes, no) if v.known and v.data not in (None, "", (), {})), None)
    # What decides isn't what the value is made from, but who chooses there chooses the value.
    made = (*(r for r in condition.refs if r.startswith(("var:", "env:"))), *refs((yes, no)))
    if said is None:
        return Value(None, place, State.UNKNOWN, made)
    return replace(said, state=State.CONDITIONAL, refs=made)
