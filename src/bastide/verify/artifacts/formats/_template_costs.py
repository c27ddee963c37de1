# SPDX-License-Identifier: Apache-2.0
"""What rendering a Jinja template would cost: loops in loops, texts that double, numbers of millions of digits.

The sandbox bounds one loop and nothing else, so few words can keep a server busy for days or fill its memory.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from jinja2 import nodes

from bastide.verify.artifacts.formats._template_access import MAX_RANGE, Trouble
from bastide.verify.artifacts.formats._template_constants import constant
from bastide.verify.artifacts.formats._template_values import Definitions, descendants
from bastide.verify.artifacts.model import Severity, Tier

MAX_ROUNDS = 1_000_000
"""Rounds of loops in loops, as far as their numbers stand in the template; real ones go through messages and tools."""
MAX_LENGTH = 1_000_000
"""Characters of a text that is made by a number."""
MAX_POWER = 100
_FILLS = frozenset({"center", "indent", "ljust", "rjust", "zfill"})
"""Filters and methods that make a text as long as they are told."""
_WIDTH = re.compile(r"%[-+ #0]*\d{6,}|\{[^{}]*:[^{}]*\d{6,}")
_MAYBE = (nodes.If, nodes.For, nodes.CondExpr, nodes.And, nodes.Or)


def costs(tree: nodes.Template, known: Definitions) -> Iterator[Trouble]:
    """Everything that takes far more time or memory than a chat template needs."""
    yield from _Rounds(tree, known).troubles()
    numbers = {
        name for name, values in known.values.items() if any(isinstance(constant(v, known), int) for v in values)
    }
    for loop in _outermost(tree):
        yield from _doubles(loop, known, numbers)
    for node in descendants(tree):
        match node:
            case nodes.Mul():
                yield from _repeated(node, known)
            case nodes.Pow():
                yield from _power(node, known)
            case nodes.Filter(name=name) | nodes.Call(node=nodes.Getattr(attr=name)) if name in _FILLS:
                yield from _filled(node, known)
            case nodes.Const(value=str() as text) if found := _WIDTH.search(text):
                yield _trouble("huge-text", "makes a text of millions of characters", node, found.group())
            case nodes.Macro():
                yield from _endless(node)


def _trouble(id: str, what: str, node: nodes.Node, evidence: str) -> Trouble:
    message = f"{what}: it makes the loader slow, fills its memory, or is refused"
    return Trouble(f"chat-template/{id}", Tier.MALFORMED, Severity.MEDIUM, message, node.lineno, evidence[:60])


class _Rounds:
    """How often the innermost loop goes round."""

    def __init__(self, tree: nodes.Template, known: Definitions) -> None:
        self._tree, self._known = tree, known
        self._macros = {node.name: node for node in tree.find_all(nodes.Macro)}
        self._inside: dict[str, int] = {}
        self._worst: tuple[int, nodes.Node] = (1, tree)

    def troubles(self) -> Iterator[Trouble]:
        self._most(self._tree)
        rounds, node = self._worst
        if rounds > MAX_ROUNDS:
            yield _trouble("huge-loop", "has loops in loops of millions of rounds", node, str(rounds))

    def _most(self, top: nodes.Node) -> int:
        most = 1
        stack = [(child, 1) for child in top.iter_child_nodes()]
        while stack:
            node, rounds = stack.pop()
            self._known.step()
            if isinstance(node, nodes.Macro):
                self._macro(node.name)
                continue
            if isinstance(node, nodes.For):
                rounds *= self._length(node.iter)
            elif isinstance(node, nodes.Call) and isinstance(node.node, nodes.Name) and node.node.name in self._macros:
                rounds *= self._macro(node.node.name)
            rounds = min(rounds, 1 << 64)
            most = max(most, rounds)
            if rounds > self._worst[0]:
                self._worst = (rounds, node)
            stack += [(child, rounds) for child in node.iter_child_nodes()]
        return most

    def _macro(self, name: str) -> int:
        if name not in self._inside:
            self._inside[name] = 1  # Until it is known: a macro may call itself.
            self._inside[name] = self._most(self._macros[name])
        return self._inside[name]

    def _length(self, through: nodes.Node) -> int:
        for value in (through, *self._known.of(through)):  # type: ignore[arg-type]
            if isinstance(value, nodes.Call) and isinstance(value.node, nodes.Name) and value.node.name == "range":
                numbers: list[Any] = [constant(argument, self._known) for argument in value.args[:2]]
                if numbers and all(isinstance(number, int) for number in numbers):
                    # One that is larger is refused, and reported where it stands.
                    first = numbers[0] if len(numbers) > 1 else 0
                    length: int = min(numbers[-1] - first, MAX_RANGE)
                    return max(1, length)
        return 1


def _repeated(node: nodes.Mul, known: Definitions) -> Iterator[Trouble]:
    for text, number in ((node.left, node.right), (node.right, node.left)):
        times, what = constant(number, known), constant(text, known)
        if isinstance(times, int) and isinstance(what, str | list) and len(what) * times > MAX_LENGTH:
            yield _trouble("huge-text", "repeats a text millions of times", node, str(times))


def _power(node: nodes.Pow, known: Definitions) -> Iterator[Trouble]:
    """Jinja reads `a ** b ** c` from the left, so that the exponents multiply."""
    exponent = 1
    power: nodes.Expr = node
    while isinstance(power, nodes.Pow) and exponent <= MAX_POWER:
        known.step()
        times = constant(power.right, known)
        exponent *= times if isinstance(times, int) and times > 0 else 1
        power = power.left
    if exponent > MAX_POWER:
        yield _trouble("huge-number", "makes a number of very many digits", node, str(exponent))


def _filled(node: nodes.Filter | nodes.Call, known: Definitions) -> Iterator[Trouble]:
    for argument in [*node.args, *(pair.value for pair in node.kwargs)]:
        width = constant(argument, known)
        if isinstance(width, int) and width > MAX_LENGTH:
            yield _trouble("huge-text", "makes a text of millions of characters", node, str(width))


def _outermost(tree: nodes.Template) -> Iterator[nodes.For]:
    stack: list[nodes.Node] = [tree]
    while stack:
        node = stack.pop()
        if isinstance(node, nodes.For):
            yield node
        else:
            stack += node.iter_child_nodes()


def _doubles(loop: nodes.For, known: Definitions, numbers: set[str]) -> Iterator[Trouble]:
    """A variable that each round makes of itself and itself."""
    for node in descendants(loop):
        if not isinstance(node, nodes.Assign):
            continue
        name = _name(node.target)
        if name and _variable(name) not in numbers and _times(name, node.node, known) > 1:
            yield _trouble("doubling", "doubles a text in each round of a loop", node, name)


def _variable(name: str) -> str:
    """As `Definitions` calls it."""
    field = name.partition(".")[2]
    return f".{field}" if field else name


def _times(name: str, value: nodes.Node, known: Definitions) -> int:
    """How often a variable is put behind itself, as far as twice."""
    count = 0
    waiting: list[tuple[nodes.Node, int]] = [(value, 1)]
    while waiting and count < 2:
        known.step()
        match waiting.pop():
            case (nodes.Concat(nodes=parts), weight):
                waiting += [(part, weight) for part in parts]
            case (nodes.Add(left=left, right=right), weight):
                waiting += [(left, weight), (right, weight)]
            case (nodes.Mul(left=left, right=right), _):
                numbers = [constant(side, known) for side in (left, right)]
                if any(isinstance(number, int) and number > 1 for number in numbers):
                    waiting += [(left, 2), (right, 2)]
            case (nodes.Name() | nodes.Getattr() as part, weight) if _name(part) == name:
                count += weight
    return count


def _name(node: nodes.Node) -> str:
    match node:
        case nodes.Name(name=name):
            return name
        case nodes.NSRef(name=name, attr=attribute) | nodes.Getattr(node=nodes.Name(name=name), attr=attribute):
            return f"{name}.{attribute}"
    return ""


def _endless(macro: nodes.Macro) -> Iterator[Trouble]:
    """A macro that calls itself whatever it is given."""
    for part in macro.body:
        for node in descendants(part, lambda at: isinstance(at, _MAYBE)):
            if isinstance(node, nodes.Call) and isinstance(node.node, nodes.Name) and node.node.name == macro.name:
                yield _trouble("endless", "calls a macro in itself without end", node, macro.name)
                return
