# SPDX-License-Identifier: Apache-2.0
"""What the variables of a Jinja template are given, wherever that is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from jinja2 import nodes

DEPTH = 150
"""Expressions in expressions, and names that stand for others; a template with more isn't judged."""


WORK = 500_000
"""Steps that the variables of one template are followed; real ones take some thousands."""


class TooMuch(Exception):
    """A template whose variables refer to each other more than anybody follows."""


class Definitions:
    """Which expressions each variable of the template is given, wherever that is: the order isn't looked at."""

    def __init__(self, tree: nodes.Template) -> None:
        self.values: dict[str, list[nodes.Expr]] = {}
        """By variable, and by `.field` of namespaces."""
        self.items: dict[str, list[nodes.Expr]] = {}
        """Loop variables: what they go through."""
        self.macros: dict[str, list[str]] = {}
        """Their parameters."""
        self.left = WORK
        self.constants: dict[int, Any] = {}
        """What is known of expressions already, by identity."""
        self.content: dict[tuple[str, int], bool] = {}
        """Whether a variable is what somebody wrote, by its name and how deep it was asked."""
        for node in tree.find_all(nodes.Macro):
            self.macros[node.name] = [parameter.name for parameter in node.args]
            for parameter, default in zip(reversed(node.args), reversed(node.defaults), strict=False):
                self._give(parameter.name, default)
        for found in descendants(tree):
            self._learn(found)

    def step(self) -> None:
        """Counts one step; raises `TooMuch`."""
        self.left -= 1
        if self.left < 0:
            raise TooMuch

    def _give(self, name: str, value: nodes.Expr) -> None:
        self.values.setdefault(name, []).append(value)

    def _learn(self, node: nodes.Node) -> None:
        match node:
            case nodes.Assign(target=target, node=value):
                for name in _targets(target):
                    self._give(name, value)  # type: ignore[arg-type]
            case nodes.AssignBlock(target=target, body=body):
                for name in _targets(target):
                    self.values.setdefault(name, []).extend(_outputs(body))
            case nodes.For(target=target, iter=through):
                for name in _targets(target):
                    self.items.setdefault(name, []).append(through)  # type: ignore[arg-type]
            case nodes.Call(node=nodes.Name(name=function)):
                self._called(function, node)

    def _called(self, function: str, call: nodes.Call) -> None:
        field = "." if function == "namespace" else ""
        if field or function in self.macros:
            for parameter, value in zip(self.macros.get(function, ()), call.args, strict=False):
                self._give(parameter, value)
            for pair in call.kwargs:
                self._give(field + pair.key, pair.value)

    def of(self, node: nodes.Expr) -> list[nodes.Expr]:
        """What a variable, or a field of a namespace, is given."""
        if isinstance(node, nodes.Name):
            return self.values.get(node.name, [])
        if isinstance(node, nodes.Getattr):
            return self.values.get(f".{node.attr}", [])
        return []


def descendants(node: nodes.Node, skip: Callable[[nodes.Node], bool] | None = None) -> Iterator[nodes.Node]:
    """The node and everything below it, without recursion, and without what is to be skipped."""
    stack: list[nodes.Node] = [node]
    while stack:
        at = stack.pop()
        if skip is not None and skip(at):
            continue
        yield at
        stack.extend(at.iter_child_nodes())


def _targets(target: nodes.Node) -> Iterator[str]:
    for node in descendants(target):
        if isinstance(node, nodes.Name):
            yield node.name
        elif isinstance(node, nodes.NSRef):
            yield f".{node.attr}"


def _outputs(body: list[nodes.Node]) -> Iterator[nodes.Expr]:
    for part in body:
        for node in descendants(part):
            if isinstance(node, nodes.Output):
                yield from node.nodes
