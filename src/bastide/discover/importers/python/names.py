# SPDX-License-Identifier: Apache-2.0
"""What an expression refers to: qualified names through imports, variables, attributes, functions and modules of the same tree."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator

from bastide.discover.importers.python.module import Function, Module, chain, owner_of, parameters, scopes

_DEPTH = 12
PIPED = "langchain_core.runnables.RunnableSequence"
_BUILTINS = frozenset({"eval", "exec", "compile", "open", "__import__", "input"})
_PROPERTIES = frozenset({"property", "cached_property", "computed_field"})
Bound = tuple["Names", ast.expr, str]
"""An expression with the names of its module and its scope."""


class Names:
    """Looks names up in a module and in the modules that it imports."""

    def __init__(self, module: Module, other: Callable[[str], Module | None]) -> None:
        self.module = module
        self._other = other

    def qualified(self, node: ast.expr, scope: str, depth: int = 0) -> str:
        """The qualified name of an expression, `openai.OpenAI.chat.completions.create`; '' when it can't be told.

        A variable stands for what is assigned to it; an object for the class or function that made it; a call of a function of
        the tree for what that returns.
        """
        if depth > _DEPTH:
            return ""
        key = id(node), scope
        if key not in self.module.names_of:
            found = self._qualified(node, scope, depth)
            if not found and depth:
                return ""  # perhaps only because it is so deep
            self.module.names_of[key] = found
        return self.module.names_of[key]

    def _qualified(self, node: ast.expr, scope: str, depth: int) -> str:
        base, attributes = chain(node)
        if isinstance(base, ast.Await):
            base = base.value
        root = ""
        if isinstance(base, ast.Call):
            root = self._made(self.qualified(base.func, scope, depth + 1), depth + 1)
        elif isinstance(base, ast.Subscript):
            root = self.qualified(base.value, scope, depth + 1)
        elif isinstance(base, ast.Name):
            root, attributes = self._name(base, attributes, scope, depth)
        elif isinstance(base, ast.BinOp) and isinstance(base.op, ast.BitOr):
            root = self._piped(base, scope, depth)
        return self._through(".".join([root, *attributes]), depth + 1) if root else ""

    def _piped(self, node: ast.BinOp, scope: str, depth: int) -> str:
        """`prompt | model`: what LangChain's `__or__` makes, when one of them is from it."""
        sides = (self.qualified(side, scope, depth + 1) for side in (node.right, node.left))
        return PIPED if any(side.startswith("langchain") or side == PIPED for side in sides) else ""

    def _made(self, qualified: str, depth: int) -> str:
        """What a call gives: the class or function of a library itself; of a function of the tree what it returns."""
        if not (found := self.function(qualified)):
            return qualified
        names, _, scope = found
        for expression in names.module.returned.get(scope, ()):
            if name := names.qualified(expression, scope, depth + 1):
                return name
        return qualified

    def _through(self, qualified: str, depth: int) -> str:
        """An attribute of an object or module of the tree is what is assigned to it."""
        for bound, rest in self._attributes(qualified):
            names, expression, scope = bound
            if name := names.qualified(expression, scope, depth + 1):
                return ".".join([name, *rest])
        return qualified

    def _name(self, node: ast.Name, attributes: list[str], scope: str, depth: int) -> tuple[str, list[str]]:
        name = node.id
        if name in ("self", "cls") and attributes:
            owner = owner_of(scope, self.module.definitions)
            for value, where in self.own(attributes[0], owner):
                if found := self.qualified(value, where, depth + 1):
                    return found, attributes[1:]
            return (f"{self.module.name}.{owner}", attributes) if owner else ("", attributes)
        bound = self.before(name, scope, node.lineno)
        if bound is not None and not (isinstance(bound[0], ast.Name) and bound[0].id == name):
            return self.qualified(*bound, depth + 1), attributes
        for outer in scopes(scope):
            inner = f"{outer}.{name}" if outer else name
            if inner in self.module.definitions:
                return f"{self.module.name}.{inner}", attributes
        if name in self.module.names:
            return self._imported(self.module.names[name], attributes, depth)
        if (parameter := self.parameter(name, scope)) is not None:
            return self._declared(parameter[1].annotation, parameter[0], depth), attributes
        return (f"builtins.{name}", attributes) if name in _BUILTINS else ("", attributes)

    def _declared(self, annotation: ast.expr | None, scope: str, depth: int) -> str:
        """The class that a type annotation names: `Client`, `Client | None`, `Annotated[Client, ...]`."""
        while isinstance(annotation, (ast.Subscript, ast.BinOp)):
            if isinstance(annotation, ast.BinOp):
                annotation = annotation.left
            elif self.qualified(annotation.value, "", depth + 1).rpartition(".")[2] in ("Optional", "Annotated"):
                inner = annotation.slice
                annotation = inner.elts[0] if isinstance(inner, ast.Tuple) and inner.elts else inner
            else:
                annotation = annotation.value
        named = isinstance(annotation, (ast.Name, ast.Attribute))
        return self.qualified(annotation, scope.rpartition(".")[0], depth + 1) if named and annotation else ""

    def _imported(self, qualified: str, attributes: list[str], depth: int) -> tuple[str, list[str]]:
        """What was imported; an object that another module of the tree makes is what made it."""
        module_name, _, name = qualified.rpartition(".")
        module = self._other(module_name) if module_name else None
        if module is not None and module is not self.module:
            names = Names(module, self._other)
            for value in names.assigned(name, ""):
                if found := names.qualified(*value, depth + 1):
                    return found, attributes
            if name in module.names and name not in module.definitions:
                # Exported again, by an `__init__.py`.
                return names._imported(module.names[name], attributes, depth + 1) if depth < _DEPTH else ("", [])
        return qualified, attributes

    # --- what is bound ----------------------------------------------------------------------------------------------
    def assigned(self, name: str, scope: str) -> list[tuple[ast.expr, str]]:
        """The expressions that are assigned to a name, seen from a scope, with the scope of the assignment."""
        for outer in scopes(scope):
            key = f"{outer}:{name}"
            if key in self.module.values:
                return [(self.module.values[key], outer)]
            if key in self.module.several:
                return [(value, outer) for value in self.module.several[key]]
        return []

    def before(self, name: str, scope: str, line: int) -> tuple[ast.expr, str] | None:
        """The expression that a name stands for on a line: the last that was assigned before it."""
        values = self.assigned(name, scope)
        if len(values) < 2:
            return values[0] if values else None
        earlier = [v for v in values if v[0].lineno < line]
        return earlier[-1] if earlier else None

    def grown(self, name: str, scope: str) -> list[tuple[ast.expr, str]]:
        """What is added to the list of that name."""
        for outer in scopes(scope):
            if f"{outer}:{name}" in self.module.grown:
                return [(value, scope) for value in self.module.grown[f"{outer}:{name}"]]
        return []

    def own(self, name: str, owner: str) -> list[tuple[ast.expr, str]]:
        """The expressions of an attribute of a class: of `self`, of the class, or what a property returns."""
        module = self.module
        for key, where in ((f"{owner}:self.{name}", f"{owner}.__init__"), (f"{owner}:{name}", owner)):
            values = [module.values[key]] if key in module.values else module.several.get(key, [])
            if values:
                return [(value, where) for value in values]
        function = module.definitions.get(f"{owner}.{name}")
        marks = {
            chain(d)[1][-1] if chain(d)[1] else getattr(d, "id", "") for d in getattr(function, "decorator_list", ())
        }
        if isinstance(function, (ast.FunctionDef, ast.AsyncFunctionDef)) and marks & _PROPERTIES:
            return [(value, f"{owner}.{name}") for value in module.returned.get(f"{owner}.{name}", ())]
        return []

    def parameter(self, name: str, scope: str) -> tuple[str, ast.arg] | None:
        """The function around a scope that has a parameter of that name, and the parameter."""
        for outer in scopes(scope):
            function = self.module.definitions.get(outer)
            if isinstance(function, (ast.FunctionDef, ast.AsyncFunctionDef)):
                found = next((a for a in parameters(function) if a.arg == name), None)
                if found is not None:
                    return outer, found
        return None

    # --- other modules ----------------------------------------------------------------------------------------------
    def elsewhere(self, name: str, depth: int = 0) -> list[Bound]:
        """The expressions of an imported constant, with the names of its own module."""
        module_name, _, attribute = self.module.names.get(name, "").rpartition(".")
        module = self._other(module_name) if module_name else None
        if module is None:
            return []
        names = Names(module, self._other)
        found = [(names, value, "") for value, _ in names.assigned(attribute, "")]
        again = attribute in module.names and module is not self.module and depth < _DEPTH
        return found or (names.elsewhere(attribute, depth + 1) if again else [])

    def attribute(self, node: ast.Attribute, scope: str) -> list[Bound]:
        """The expressions that are assigned to an attribute: of self, of an object of the tree, of a module."""
        if isinstance(node.value, ast.Name) and node.value.id in ("self", "cls"):
            owner = owner_of(scope, self.module.definitions)
            return [(self, value, where) for value, where in self.own(node.attr, owner)]
        of = self.qualified(node.value, scope)
        return [bound for bound, rest in self._attributes(f"{of}.{node.attr}") if not rest] if of else []

    def _attributes(self, qualified: str) -> Iterator[tuple[Bound, list[str]]]:
        for module, names, parts in self._homes(qualified):
            owner = parts[0]
            if isinstance(module.definitions.get(owner), ast.ClassDef) and len(parts) > 1:
                yield from (((names, value, where), parts[2:]) for value, where in names.own(parts[1], owner))
            elif module is not self.module or len(parts) > 1:
                yield from (((names, value, where), parts[1:]) for value, where in names.assigned(owner, ""))

    def function(self, qualified: str) -> tuple[Names, Function, str] | None:
        """The function of the tree of that name, with its scope."""
        for module, names, parts in self._homes(qualified):
            scope = ".".join(parts)
            found = module.definitions.get(scope)
            if isinstance(found, (ast.FunctionDef, ast.AsyncFunctionDef)):
                return names, found, scope
        return None

    def definition(self, qualified: str) -> str:
        """The id of the resource of a definition or object of this tree; '' when there is none."""
        for module, _, parts in self._homes(qualified):
            name = ".".join(parts)
            node: ast.AST | None = module.definitions.get(name) or module.values.get(f":{name}")
            unmarked = id(node) not in module.ids or name in module.functions
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and unmarked:
                # Handed to a library: from now on it is somebody who acts.
                module.ids[id(node)] = f"{module.file}: {name}"
                module.functions[name] = True
            return module.ids.get(id(node), "") if node is not None else ""
        return ""

    def _homes(self, qualified: str) -> Iterator[tuple[Module, Names, list[str]]]:
        """The module of the tree in which a name stands, with what the name is there."""
        parts = qualified.split(".")
        for n in range(len(parts) - 1, 0, -1):
            name = ".".join(parts[:n])
            module = self.module if name == self.module.name else self._other(name)
            if module is not None:
                yield module, self if module is self.module else Names(module, self._other), parts[n:]
                return
