# SPDX-License-Identifier: Apache-2.0
"""Which harmful calls are in Python code, by the names that its imports give them, and which of them run at once.

It sees what is written plainly. Code that hides what it does is not found out here, so code is never called safe.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from bastide.verify.artifacts.formats._repository_rules import RULES

SET_UP = frozenset(
    {
        "__init__",
        "__new__",
        "__init_subclass__",
        "__setstate__",
        "from_pretrained",
        "load_context",
        "_load_pyfunc",
        "initialize",
    }
)
"""Methods by which loaders make an object: no import, but as sure to run."""
PROGRAM = "runs a program"
"""What a model has no reason to do when it is made; files and other models it may load then."""
_BUILTINS = frozenset({"eval", "exec"})


@dataclass(frozen=True, slots=True)
class Harm:
    """A call."""

    name: str
    effect: str
    line: int
    column: int
    at_import: bool
    command: str = ""
    """Of a program that it runs, as far as it stands there."""


def imports_do(tree: ast.Module) -> Iterator[Harm]:
    """The harmful calls of a module, those that run at once first."""
    names = imported(tree)
    defined = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    functions = {node.name: node for node in defined}
    at_once = _reached([tree], functions)
    at_load = _reached([part for node in defined if node.name in SET_UP for part in node.body], functions)
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    for call in sorted(calls, key=lambda c: id(c) not in at_once):
        name = resolved(call, names)
        if effect := _effect(name):
            runs = id(call) in at_once or (id(call) in at_load and effect == PROGRAM)
            yield Harm(name, effect, call.lineno, call.col_offset, runs, _command(call))


def _reached(waiting: Sequence[ast.AST], functions: dict[str, ast.FunctionDef | ast.AsyncFunctionDef]) -> set[int]:
    """The calls that are made with some code, and in the functions that it calls."""
    left: list[ast.AST] = [*waiting]
    calls: set[int] = set()
    reached: set[str] = set()
    while left:
        for node in _runs(left.pop()):
            if isinstance(node, ast.Call):
                calls.add(id(node))
                called = dotted(node.func)
                if called in functions and called not in reached:
                    reached.add(called)
                    left += functions[called].body
    return calls


def _command(call: ast.Call) -> str:
    """The command in a text, or in a list of words; other values in the list stand as `_`."""
    match call.args[:1]:
        case [ast.Constant(value=str() as text)]:
            return text
        case [ast.List(elts=[first, *rest])]:
            program = (
                "python"
                if dotted(first) == "sys.executable"
                else first.value
                if isinstance(first, ast.Constant)
                else ""
            )
            words = [part.value if isinstance(part, ast.Constant) else "_" for part in rest]
            return " ".join(map(str, [program, *words])) if program else ""
    return ""


def imported(tree: ast.Module) -> dict[str, str]:
    """What the names mean that imports give."""
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
    return isinstance(node.test, ast.Compare) and dotted(node.test.left) == "__name__"


def dotted(node: ast.expr) -> str:
    """A name with its attributes; '' for anything else."""
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    if isinstance(node, ast.Name):
        return ".".join([node.id, *reversed(parts)])
    if isinstance(node, ast.Call) and dotted(node.func) in ("__import__", "importlib.import_module") and node.args:
        module = node.args[0]
        if isinstance(module, ast.Constant) and isinstance(module.value, str):
            return ".".join([module.value, *reversed(parts)])
    return ""


def resolved(call: ast.Call, names: dict[str, str]) -> str:
    """The whole name of what is called."""
    path = dotted(call.func)
    head, dot, rest = path.partition(".")
    if not dot and head in _BUILTINS and head not in names:
        return f"builtins.{head}"
    return names.get(head, head) + dot + rest if path else ""


def _effect(name: str) -> str:
    for effect, prefixes in RULES.code.items():
        if any(name.startswith(prefix) for prefix in prefixes):
            return effect
    return ""
