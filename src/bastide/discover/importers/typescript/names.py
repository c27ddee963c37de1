# SPDX-License-Identifier: Apache-2.0
"""What an expression stands for: a name of a package, or an expression of the tree, through imports, variables and properties."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from weakref import ref

from tree_sitter import Node

from bastide.discover.importers.typescript.module import (
    CLASSES,
    FUNCTIONS,
    INTERFACES,
    Binding,
    Call,
    Module,
    Scope,
    bare,
    required,
)
from bastide.discover.importers.typescript.patterns import constant, text_of

_DEPTH = 24
_WAYS = 4
_GLOBALS = frozenset({"fetch", "eval", "Function", "Deno", "Bun", "setTimeout"})
_ENDING = re.compile(r"\.[cm]?[jt]sx?\Z")


@dataclass(frozen=True, slots=True)
class Library:
    """A name of a package, qualified: `js:openai.OpenAI.chat`."""

    name: str
    called: bool = False
    """Whether it is what a call of it returned."""

    def member(self, name: str) -> Library:
        """A property of it."""
        return Library(f"{self.name}.{name}")


@dataclass(frozen=True, slots=True)
class Here:
    """An expression or definition of the tree."""

    module: Module
    node: Node
    scope: Scope


@dataclass(frozen=True, slots=True)
class Space:
    """All exports of a module of the tree."""

    module: Module


Target = Library | Here | Space | None


def package_name(source: str) -> str:
    """A module of a package as names write it: without `node:` and, for a path in a package, without its ending."""
    name = source.removeprefix("node:")
    parts = name.split("/")
    depth = 2 if name.startswith("@") else 1
    return _ENDING.sub("", name) if len(parts) > depth else name


class Names:
    """Looks names up in modules. `find(file, source)` is the module of the tree that an import means, None for packages."""

    def __init__(self, find: Callable[[str, str], Module | None]) -> None:
        self._find = find

    def called(self, call: Call, module: Module) -> str:
        """The qualified name of what a call calls; '' for what is no package's."""
        if call.name is None:
            target = self.target(_function(call.node), call.scope, module)
            call.name = ""
            if isinstance(target, Library):
                name = target.name + ("()" if target.called and call.node.type == "call_expression" else "")
                # What is exported as a whole is the default of its package.
                call.name = name if "." in name.rpartition("/")[2] else f"{name}.default"
        return call.name

    def callee(self, call: Call, module: Module) -> Here | None:
        """The function of the tree that a call calls, of a class its constructor. It isn't remembered: that would hold its module."""
        target = self.target(_function(call.node), call.scope, module)
        if isinstance(target, Here) and target.node.type in CLASSES:
            inner = target.module.scopes.get(target.node.id)
            made = inner.names.get("constructor") if inner is not None else None
            return Here(target.module, made.node, made.scope) if made is not None and made.node is not None else None
        return target if isinstance(target, Here) and target.node.type in FUNCTIONS else None

    def target(self, node: Node | None, scope: Scope, module: Module, depth: int = 0) -> Target:
        """What an expression stands for; None when it can't be told."""
        if node is None or depth > _DEPTH:
            return None
        node = bare(node)
        if node.type in ("identifier", "shorthand_property_identifier", "type_identifier"):
            return self._name(text_of(node), scope, module, depth + 1)
        if node.type == "member_expression":
            return self._member_of(node, text_of(node.child_by_field_name("property")), scope, module, depth)
        if node.type == "subscript_expression":
            index = constant(node.child_by_field_name("index"))
            return self._member_of(node, index, scope, module, depth) if index is not None else None
        if node.type in ("call_expression", "new_expression"):
            return self._result(node, scope, module, depth + 1)
        if node.type in FUNCTIONS or node.type in CLASSES or node.type in INTERFACES or node.type == "object":
            return Here(module, node, scope)
        return None

    def object(self, node: Node, scope: Scope, module: Module) -> Target:
        """What an expression stands for, where that is more than the declaration of what it may be."""
        target = self.target(node, scope, module)
        return None if isinstance(target, Here) and target.node.type in INTERFACES else target

    def _result(self, call: Node, scope: Scope, module: Module, depth: int) -> Target:
        """What a call returns: the library's name stands for its results too."""
        source = required(call)
        if source is not None:
            return self.loaded(source, module)
        target = self.target(_function(call), scope, module, depth)
        if isinstance(target, Library) and target.name == "js:util.promisify":
            given = call.child_by_field_name("arguments")
            return (
                self.target(given.named_children[0], scope, module, depth + 1)
                if given is not None and given.named_children
                else None
            )
        if isinstance(target, Library):
            return replace(target, called=call.type == "call_expression")
        if isinstance(target, Here) and target.node.type in FUNCTIONS:
            inner = target.module.scopes.get(target.node.id)
            ways = (
                [self.target(n, inner, target.module, depth + 1) for n in returns(target.node)[:_WAYS]] if inner else []
            )
            return ways[0] if len(ways) == 1 else next((w for w in ways if isinstance(w, Library)), None)
        return target

    def loaded(self, source: str, module: Module) -> Target:
        """A module as a whole."""
        found = self._find(module.file, source)
        if found is not None:
            return Space(found)
        return None if source.startswith((".", "/", "#")) else Library(f"js:{package_name(source)}")

    def _name(self, name: str, scope: Scope, module: Module, depth: int) -> Target:
        for outer in scope.around():
            if name in outer.names and not outer.is_class:
                binding = outer.names[name]
                return self.bound(binding, module, depth) if binding is not None else None
        return Library(f"js:globalThis.{name}") if name in _GLOBALS else None

    def bound(self, binding: Binding, module: Module, depth: int = 0) -> Target:
        """What a binding stands for."""
        if depth > _DEPTH:
            return None
        if binding.source:
            target: Target = self.loaded(binding.source, module)
            target = target if binding.name == "*" else self.member(target, binding.name, depth + 1)
        elif binding.node is not None:
            target = self.target(binding.node, binding.scope, module, depth + 1)
        elif binding.type:
            first, *rest = binding.type.split(".")
            target = self._name(first, binding.scope, module, depth + 1)
            for step in rest:
                target = self.member(target, step, depth + 1)
        elif binding.name:
            return self._name(binding.name, binding.scope, module, depth + 1)
        else:
            return None
        for step in binding.path:
            target = self.member(target, step, depth + 1)
        return target

    def _member_of(self, node: Node, name: str, scope: Scope, module: Module, depth: int) -> Target:
        inner = bare(node.child_by_field_name("object") or node)
        if inner.type == "this":
            class_ = next((s for s in scope.around() if s.is_class), None)
            binding = class_.names.get(name) if class_ is not None else None
            return self.bound(binding, module, depth + 1) if binding is not None else None
        if inner.type == "identifier" and text_of(inner) == "globalThis":
            return Library(f"js:globalThis.{name}")
        return self.member(self.target(inner, scope, module, depth + 1), name, depth + 1)

    def member(self, target: Target, name: str, depth: int) -> Target:
        """A property of what something stands for."""
        if depth > _DEPTH or target is None:
            return None
        if isinstance(target, Library):
            return target.member(name)
        if isinstance(target, Space):
            return self.exported(target.module, name, depth + 1)
        if target.node.type == "object":
            value = prop(target.node, name)
            return self.target(value, target.scope, target.module, depth + 1) if value is not None else None
        inner = target.module.scopes.get(target.node.id)
        binding = inner.names.get(name) if inner is not None and inner.is_class else None
        return self.bound(binding, target.module, depth + 1) if binding is not None else None

    def exported(self, module: Module, name: str, depth: int = 0) -> Target:
        """What a module of the tree exports under a name, also from other modules."""
        if depth > _DEPTH:
            return None
        if name in module.exports:
            return self.bound(module.exports[name], module, depth + 1)
        whole = module.exports.get("default")
        if whole is not None and name != "default" and whole.node is not None and whole.node.type == "object":
            # `module.exports = { name }`
            return self.member(self.bound(whole, module, depth + 1), name, depth + 1)
        for source in module.stars[:50]:
            other = self._find(module.file, source)
            target = self.exported(other, name, depth + 8) if other is not None else None
            if target is not None:
                return target
        return None

    def expression(self, node: Node, scope: Scope, module: Module) -> tuple[Node, Scope, Module] | None:
        """The expression that a name or property is bound to, one step away: constants keep their own place."""
        node = bare(node)
        binding, home = self._binding(node, scope, module)
        for _ in range(_DEPTH):
            if binding is None or home is None:
                return None
            if binding.node is not None:
                value: Node | None = binding.node
                for step in binding.path:
                    value = prop(bare(value), step) if value is not None else None
                return (value, binding.scope, home) if value is not None else None
            if binding.source:
                other = self._find(home.file, binding.source)
                binding, home = self._export(other, binding.name), other
            elif binding.name:
                binding = next((s.names[binding.name] for s in binding.scope.around() if binding.name in s.names), None)
            else:
                return None
        return None

    def _export(self, module: Module | None, name: str) -> Binding | None:
        if module is None:
            return None
        whole = module.exports.get("default")
        if (
            name not in module.exports
            and whole is not None
            and whole.node is not None
            and (v := prop(whole.node, name)) is not None
        ):
            return Binding(whole.home, v)
        return module.exports.get(name)

    def _binding(self, node: Node, scope: Scope, module: Module) -> tuple[Binding | None, Module | None]:
        if node.type in ("identifier", "shorthand_property_identifier"):
            name = text_of(node)
            found = next((s for s in scope.around() if name in s.names and not s.is_class), None)
            return (found.names[name] if found is not None else None), module
        if node.type == "member_expression":
            inner, name = (
                bare(node.child_by_field_name("object") or node),
                text_of(node.child_by_field_name("property")),
            )
            if inner.type == "this":
                class_ = next((s for s in scope.around() if s.is_class), None)
                return (class_.names.get(name) if class_ is not None else None), module
            target = self.target(inner, scope, module)
            if isinstance(target, Space):
                return self._export(target.module, name), target.module
            if (
                isinstance(target, Here)
                and target.node.type == "object"
                and (value := prop(target.node, name)) is not None
            ):
                return Binding(ref(target.scope), value), target.module
            if isinstance(target, Here) and target.node.type in CLASSES:
                made = target.module.scopes.get(target.node.id)
                return (made.names.get(name) if made is not None else None), target.module
        return None, None


def _function(call: Node) -> Node | None:
    return call.child_by_field_name("constructor" if call.type == "new_expression" else "function")


def prop(node: Node, name: str) -> Node | None:
    """The value of a property of an object literal."""
    for child in node.named_children if node.type == "object" else ():
        if child.type == "pair":
            key = child.child_by_field_name("key")
            if key is not None and (constant(key) if key.type == "string" else text_of(key)) == name:
                return child.child_by_field_name("value")
        elif (child.type == "shorthand_property_identifier" and text_of(child) == name) or (
            child.type == "method_definition" and text_of(child.child_by_field_name("name")) == name
        ):
            return child
    return None


def returns(function: Node) -> list[Node]:
    """The expressions that a function returns by itself, at most 20."""
    body = function.child_by_field_name("body")
    if body is None:
        return []
    if body.type != "statement_block":
        return [bare(body)]
    found: list[Node] = []
    for node in _statements(body):
        if node.type == "return_statement" and node.named_children:
            found.append(bare(node.named_children[0]))
            if len(found) >= 20:
                break
    return found


def _statements(block: Node) -> Iterator[Node]:
    """Statements of a function, without those of functions in it."""
    stack, seen = [block], 0
    while stack and seen < 2000:
        node = stack.pop()
        seen += 1
        if node.type.endswith(
            ("_statement", "_clause", "statement_block", "switch_body", "switch_case", "switch_default")
        ):
            yield node
            if node.type not in ("return_statement", "expression_statement"):
                stack += reversed(node.named_children)
