# SPDX-License-Identifier: Apache-2.0
"""What an expression refers to: qualified names through imports, variables, attributes of self and modules of the same tree."""

from __future__ import annotations

import ast
from collections.abc import Callable

from bastide.discover.importers.python.module import Module, chain, owner_of, scopes

_DEPTH = 12
PIPED = "langchain_core.runnables.RunnableSequence"
_BUILTINS = frozenset({"eval", "exec", "compile", "open", "__import__", "input"})


class Names:
    """Looks names up in a module and, one step away, in the modules that it imports."""

    def __init__(self, module: Module, other: Callable[[str], Module | None]) -> None:
        self.module = module
        self._other = other

    def qualified(self, node: ast.expr, scope: str, depth: int = 0) -> str:
        """The qualified name of an expression, `openai.OpenAI.chat.completions.create`; '' when it can't be told.

        A variable stands for what is assigned to it; an object for the class or function that made it.
        """
        if depth > _DEPTH:
            return ""
        base, attributes = chain(node)
        if isinstance(base, ast.Await):
            base = base.value
        root = ""
        if isinstance(base, ast.Call):
            root = self.qualified(base.func, scope, depth + 1)
        elif isinstance(base, ast.Subscript):
            root = self.qualified(base.value, scope, depth + 1)
        elif isinstance(base, ast.Name):
            root, attributes = self._name(base.id, attributes, scope, depth)
        elif isinstance(base, ast.BinOp) and isinstance(base.op, ast.BitOr):
            root = self._piped(base, scope, depth)
        return ".".join([root, *attributes]) if root else ""

    def _piped(self, node: ast.BinOp, scope: str, depth: int) -> str:
        """`prompt | model`: what LangChain's `__or__` makes, when one of them is from it."""
        sides = (self.qualified(side, scope, depth + 1) for side in (node.right, node.left))
        return PIPED if any(side.startswith("langchain") or side == PIPED for side in sides) else ""

    def _name(self, name: str, attributes: list[str], scope: str, depth: int) -> tuple[str, list[str]]:
        if name in ("self", "cls") and attributes:
            owner = owner_of(scope, self.module.definitions)
            value = self.module.values.get(f"{owner}:self.{attributes[0]}")
            if value is not None:
                return self.qualified(value, f"{owner}.__init__", depth + 1), attributes[1:]
            return (f"{self.module.name}.{owner}", attributes) if owner else ("", attributes)
        found = self.value(name, scope)
        if found is not None:
            value, where = found
            if not (isinstance(value, ast.Name) and value.id == name):
                return self.qualified(value, where, depth + 1), attributes
        for outer in scopes(scope):
            inner = f"{outer}.{name}" if outer else name
            if inner in self.module.definitions:
                return f"{self.module.name}.{inner}", attributes
        if name in self.module.names:
            return self._imported(self.module.names[name], attributes, depth)
        return (f"builtins.{name}", attributes) if name in _BUILTINS else ("", attributes)

    def _imported(self, qualified: str, attributes: list[str], depth: int) -> tuple[str, list[str]]:
        """What was imported; an object that another module of the tree makes is what made it."""
        module_name, _, name = qualified.rpartition(".")
        module = self._other(module_name) if module_name else None
        if module is not None and module is not self.module and f":{name}" in module.values:
            value = module.values[f":{name}"]
            found = Names(module, self._other).qualified(value, "", depth + 1)
            if found:
                return found, attributes
        return qualified, attributes

    def value(self, name: str, scope: str) -> tuple[ast.expr, str] | None:
        """The expression that is assigned to a name, seen from a scope, and the scope of that assignment."""
        for outer in scopes(scope):
            value = self.module.values.get(f"{outer}:{name}")
            if value is not None:
                return value, outer
        return None

    def elsewhere(self, name: str) -> tuple[Names, ast.expr] | None:
        """The expression of an imported constant, with the names of its own module."""
        module_name, _, attribute = self.module.names.get(name, "").rpartition(".")
        module = self._other(module_name) if module_name else None
        if module is None or f":{attribute}" not in module.values:
            return None
        return Names(module, self._other), module.values[f":{attribute}"]

    def definition(self, qualified: str) -> str:
        """The id of the resource of a definition or object of this tree; '' when there is none."""
        for module_name, name in _splits(qualified):
            module = self.module if module_name == self.module.name else self._other(module_name)
            if module is not None:
                node: ast.AST | None = module.definitions.get(name) or module.values.get(f":{name}")
                return module.ids.get(id(node), "") if node is not None else ""
        return ""


def _splits(qualified: str) -> list[tuple[str, str]]:
    parts = qualified.split(".")
    return [(".".join(parts[:n]), ".".join(parts[n:])) for n in range(len(parts) - 1, 0, -1)]
