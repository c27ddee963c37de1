# SPDX-License-Identifier: Apache-2.0
"""What of a function's parameters ends in a command: a parameter of a tool is written by the model, and in a shell it is code."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Set
from dataclasses import dataclass

from tree_sitter import Node

from bastide.discover.importers.typescript.module import FUNCTIONS, Call, Module, Scope, bare
from bastide.discover.importers.typescript.names import Names
from bastide.discover.importers.typescript.patterns import bound_names, constant, line_of, text_of
from bastide.discover.model import Place, State, Value

SHELL = "$shell"
"""Attribute that says what a command is made from; no name that code could give."""
_SHELL = re.compile(r"js:(?:child_process\.exec(?:Sync)?|shelljs\.(?:default\.)?exec|execa\.execaCommand(?:Sync)?)\Z")
_PROGRAM = re.compile(
    r"js:(?:child_process\.(?:spawn|spawnSync|execFile|execFileSync|fork)|execa\.(?:execa|execaSync|default)|node-pty\.spawn|globalThis\.Bun\.spawn(?:Sync)?)\Z"
)
_SHELL_ON = re.compile(r"\bshell\s*:\s*(?!false)")
_FUNCTIONS = 60
_DEPTH = 8
_NODES = 2_000


@dataclass(frozen=True, slots=True)
class _Visit:
    function: Node
    module: Module
    written: frozenset[str]
    """Parameters that the caller of the definition writes."""


Inside = Callable[[Node, Module], Iterator[Call]]


def commands(function: Node, module: Module, names: Names, inside: Inside) -> Value | None:
    """`written` when a command holds a parameter of the function, `fixed` when none does; None when it runs none."""
    found: list[tuple[str, Place]] = []
    for visit, call in _reached(function, module, names, inside):
        command = _command(call)
        if command is not None:
            fixed = constant(command) is not None or command.type == "string"
            origin = "written" if _is_written(command, call.scope, visit) else "fixed" if fixed else "unknown"
            found.append((origin, Place(visit.module.file, line_of(call.node))))
    if not found:
        return None
    origin, place = min(found, key=lambda f: ("written", "unknown", "fixed").index(f[0]))
    return Value(origin, place) if origin != "unknown" else Value(None, place, State.UNKNOWN)


def _reached(function: Node, module: Module, names: Names, inside: Inside) -> Iterator[tuple[_Visit, Call]]:
    todo, seen = (
        [_Visit(function, module, frozenset(n for n, _ in _parameters(function)))],
        set[tuple[str, int, frozenset[str]]](),
    )
    while todo and len(seen) < _FUNCTIONS:
        visit = todo.pop()
        key = visit.module.file, visit.function.start_byte, visit.written
        if key in seen:
            continue
        seen.add(key)
        for call in inside(visit.function, visit.module):
            if names.called(call, visit.module):
                yield visit, call
            elif (target := names.callee(call, visit.module)) is not None:
                given = [bare(n) for n in _arguments(call)]
                written = {
                    n
                    for n, at in _parameters(target.node)
                    if at < len(given) and _is_written(given[at], call.scope, visit)
                }
                todo.append(_Visit(target.node, target.module, frozenset(written)))


def _parameters(function: Node) -> Iterator[tuple[str, int]]:
    """The names of parameters, also those that are taken out of one, with its position."""
    single = function.child_by_field_name("parameter")
    if single is not None:
        yield text_of(single), 0
    parameters = function.child_by_field_name("parameters")
    for position, parameter in enumerate((parameters.named_children if parameters is not None else [])[:50]):
        pattern = parameter.child_by_field_name("pattern") or parameter
        yield from ((name, position) for name, _ in bound_names(pattern))


def _arguments(call: Call) -> list[Node]:
    given = call.node.child_by_field_name("arguments")
    return [n for n in (given.named_children if given is not None else ()) if n.type != "comment"]


def _command(call: Call) -> Node | None:
    given, name = _arguments(call), call.name or ""
    if not given:
        return None
    first = bare(given[0])
    if _SHELL.match(name):
        return first
    if not _PROGRAM.match(name):
        return None
    if len(given) > 1 and any(n.type == "object" and _SHELL_ON.search(text_of(n)) for n in given[1:]):
        return call.node.child_by_field_name("arguments")
    return bare(first.named_children[0]) if first.type == "array" and first.named_children else first


def _is_written(node: Node, scope: Scope, visit: _Visit, depth: int = 0) -> bool:
    """Whether a parameter is in an expression, itself or through variables."""
    stack, count = [node], 0
    while stack and count < _NODES and depth < _DEPTH:
        count += 1
        inner = stack.pop()
        if inner.type in ("identifier", "shorthand_property_identifier") and _name_is(
            text_of(inner), scope, visit, depth
        ):
            return True
        stack += [c for c in inner.named_children if c.type not in _NOT_VALUES]
    return False


_NOT_VALUES: Set[str] = frozenset({"property_identifier", "type_annotation", "comment"})


def _name_is(name: str, scope: Scope, visit: _Visit, depth: int) -> bool:
    for outer in scope.around():
        if name in outer.names and not outer.is_class:
            binding = outer.names[name]
            if binding is None:
                return False
            if binding.node is not None:
                return binding.node.type not in FUNCTIONS and _is_written(binding.node, binding.scope, visit, depth + 1)
            return outer.node is not None and outer.node.id == visit.function.id and name in visit.written
    return False
