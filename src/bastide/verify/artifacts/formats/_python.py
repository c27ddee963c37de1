# SPDX-License-Identifier: Apache-2.0
"""Which harmful calls are in Python code, by the names that its imports give them, and which of them run at once.

It sees what is written plainly. Code that hides what it does is not found out here, so code is never called safe.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass

from bastide.verify.artifacts.formats._repository_rules import RULES

_BUILTINS = frozenset({"eval", "exec"})


@dataclass(frozen=True, slots=True)
class Harm:
    """A call."""

    name: str
    effect: str
    line: int
    column: int
    at_import: bool


def imports_do(tree: ast.Module) -> Iterator[Harm]:
    """The harmful calls of a module, those that run at once first."""
    names = _imported(tree)
    functions = {node.name: node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
    at_once: set[int] = set()
    waiting: list[ast.AST] = [tree]
    reached: set[str] = set()
    while waiting:
        for node in _runs(waiting.pop()):
            if isinstance(node, ast.Call):
                at_once.add(id(node))
                called = _path(node.func)
                if called in functions and called not in reached:
                    reached.add(called)
                    waiting += functions[called].body
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    for call in sorted(calls, key=lambda c: id(c) not in at_once):
        name = _resolved(call, names)
        if effect := _effect(name):
            yield Harm(name, effect, call.lineno, call.col_offset, id(call) in at_once)


def _imported(tree: ast.Module) -> dict[str, str]:
    names: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                bound = alias.asname or alias.name.partition(".")[0]
                names[bound] = alias.name if alias.asname else bound
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            for alias in node.names:
                names[alias.asname or alias.name] = f"{node.module}.{alias.name}"
    return names


def _runs(top: ast.AST) -> Iterator[ast.AST]:
    """What is executed with a node: not the bodies of the functions that it only defines."""
    stack = [top]
    while stack:
        node = stack.pop()
        yield node
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            stack += [*node.decorator_list, *node.args.defaults, *(d for d in node.args.kw_defaults if d)]
        elif isinstance(node, ast.Lambda):
            stack += [*node.args.defaults, *(d for d in node.args.kw_defaults if d)]
        elif not (isinstance(node, ast.If) and _is_main(node)):
            stack += ast.iter_child_nodes(node)


def _is_main(node: ast.If) -> bool:
    """`if __name__ == "__main__"`: not run by an import."""
    return isinstance(node.test, ast.Compare) and _path(node.test.left) == "__name__"


def _path(node: ast.expr) -> str:
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    if isinstance(node, ast.Name):
        return ".".join([node.id, *reversed(parts)])
    if isinstance(node, ast.Call) and _path(node.func) in ("__import__", "importlib.import_module") and node.args:
        module = node.args[0]
        if isinstance(module, ast.Constant) and isinstance(module.value, str):
            return ".".join([module.value, *reversed(parts)])
    return ""


def _resolved(call: ast.Call, names: dict[str, str]) -> str:
    path = _path(call.func)
    head, dot, rest = path.partition(".")
    if not dot and head in _BUILTINS and head not in names:
        return f"builtins.{head}"
    return names.get(head, head) + dot + rest if path else ""


def _effect(name: str) -> str:
    for effect, prefixes in RULES.code.items():
        if any(name.startswith(prefix) for prefix in prefixes):
            return effect
    return ""
