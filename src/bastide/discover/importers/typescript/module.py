# SPDX-License-Identifier: Apache-2.0
"""One module: its scopes with what their names stand for, its imports and exports, its calls in order.

Trees are walked by a query, so depth is no limit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Set
from dataclasses import dataclass, field
from functools import cache
from weakref import ReferenceType, ref

import tree_sitter_typescript
from tree_sitter import Language, Node, Parser, Query, QueryCursor

from bastide.discover.importers.typescript.patterns import (
    bound_names,
    constant,
    declared,
    imported,
    line_of,
    text_of,
    type_name,
)
from bastide.discover.model import Place, Problem

NODES = 200_000
"""Nodes of one module that are looked at; a larger one isn't read."""
_NESTED = 200
FUNCTIONS = frozenset(
    {"function_declaration", "generator_function_declaration", "function_expression", "generator_function", "arrow_function", "method_definition"}
)  # fmt: skip
CLASSES = frozenset({"class_declaration", "abstract_class_declaration", "class"})
INTERFACES = frozenset({"interface_declaration"})
_WANTED = (
    *sorted(FUNCTIONS | CLASSES), "import_statement", "export_statement", "variable_declarator", "assignment_expression",
    "augmented_assignment_expression", "call_expression", "new_expression", "public_field_definition", "required_parameter",
    "optional_parameter", "pair", "interface_declaration",
)  # fmt: skip
_WRAPPED = frozenset(
    {"parenthesized_expression", "as_expression", "satisfies_expression", "non_null_expression", "type_assertion", "await_expression"}
)  # fmt: skip


@dataclass(slots=True, eq=False, weakref_slot=True)
class Scope:
    """A function, a class or the module. Blocks are no scopes: a name that two blocks of a function have isn't known."""

    label: str
    """Dotted, of the names of the functions and classes around it."""
    above: Scope | None = None
    names: dict[str, Binding | None] = field(default_factory=dict)
    """None: more than one thing is assigned to it. Of a class, `this.name`."""
    is_class: bool = False
    depth: int = 0
    node: Node | None = None
    """The function or class; None of the module."""

    def around(self) -> Iterator[Scope]:
        """This scope and those around it, innermost first."""
        scope: Scope | None = self
        while scope is not None:
            yield scope
            scope = scope.above


@dataclass(frozen=True, slots=True, eq=False)
class Binding:
    """What a name stands for: an expression or definition, an export of another module, or an object of a declared type."""

    home: ReferenceType[Scope]
    """Weak, so that a module that is no longer kept is gone at once; while it is held, its scopes are."""
    node: Node | None = None
    path: tuple[str, ...] = ()
    """Properties of the expression, for `const { a } = ...`."""
    source: str = ""
    """Module from which it is imported, as written."""
    name: str = ""
    """What is imported: an export, `default`, or `*`."""
    type: str = ""
    """Its declared type, when nothing more is known of it."""

    @property
    def scope(self) -> Scope:
        """Where the expression stands."""
        scope = self.home()
        if scope is None:
            raise ReferenceError(self.name)
        return scope


@dataclass(slots=True, eq=False)
class Call:
    """A call or `new`, with its scope and what it is assigned to."""

    node: Node
    scope: Scope
    start: int
    assigned: str = ""
    name: str | None = None
    """Qualified name of what is called, once it was looked up."""


@dataclass(slots=True, eq=False)
class Module:
    """A parsed file."""

    file: str
    root: Node
    scope: Scope
    exports: dict[str, Binding] = field(default_factory=dict)
    stars: list[str] = field(default_factory=list)
    """Modules of which everything is exported again."""
    sources: dict[str, int] = field(default_factory=dict)
    """Modules that are imported, as written, with their line."""
    calls: list[Call] = field(default_factory=list)
    scopes: dict[int, Scope] = field(default_factory=dict)
    """`node.id` of a function or class -> its scope."""
    classes: list[tuple[Node, Scope]] = field(default_factory=list)
    set: list[tuple[Node, Node, Scope]] = field(default_factory=list)
    """Where a property of another object is set: the property, the expression, the scope."""
    functions: dict[int, Node] = field(default_factory=dict)
    """Named functions that call a package, by `node.id`."""
    ids: dict[int, str] = field(default_factory=dict)
    """`node.id` -> id of the resource that the call or definition became."""


def around(node: Node, types: Set[str]) -> Node | None:
    """The innermost node of some types in which a node stands."""
    above = node.parent
    for _ in range(_NESTED * 4):
        if above is None or above.type in types:
            return above
        above = above.parent
    return None


def bare(node: Node) -> Node:
    """An expression without parentheses, casts and `await`."""
    for _ in range(50):
        if node.type not in _WRAPPED:
            break
        children = node.named_children
        inner = (children[-1] if node.type == "type_assertion" else children[0]) if children else None
        if inner is None:
            break
        node = inner
    return node


def required(call: Node) -> str | None:
    """The module that `require("x")` or `import("x")` loads; None for other calls."""
    function, arguments = call.child_by_field_name("function"), call.child_by_field_name("arguments")
    if function is None or arguments is None or not (function.type == "import" or function.text == b"require"):
        return None
    return constant(next(iter(arguments.named_children), None))


@cache
def _language(tsx: bool) -> tuple[Parser, Query]:
    language = Language(tree_sitter_typescript.language_tsx() if tsx else tree_sitter_typescript.language_typescript())
    return Parser(language), Query(language, "\n".join(f"({name}) @{name}" for name in _WANTED))


def parse(text: str, file: str) -> tuple[Module | None, list[Problem]]:
    """A module from its text; what isn't the language is a problem with its line, and what stands around it is read."""
    parser, query = _language(not file.endswith((".ts", ".mts", ".cts")))
    root = parser.parse(text.encode("utf-8", "surrogatepass")).root_node
    problems = [_wrong(root, file)] if root.has_error else []
    captured = QueryCursor(query).captures(root)
    if sum(map(len, captured.values())) > NODES:
        return None, [Problem(Place(file), "is too large to be read as code")]
    module = Module(file, root, Scope(""))
    nodes = sorted(
        (n for all_ in captured.values() for n in all_ if n.is_named), key=lambda n: (n.start_byte, -n.end_byte)
    )
    try:
        _Collector(module).collect(nodes)
    except _TooDeepError:
        return None, [Problem(Place(file), "is nested too deeply to be read")]
    return module, problems


def _wrong(root: Node, file: str) -> Problem:
    """The first place that isn't the language."""
    node = root
    for _ in range(10_000):
        inner = next((c for c in node.children if c.has_error or c.is_missing), None)
        if node.is_error or inner is None:
            break
        node = inner
    return Problem(Place(file, line_of(node)), "is not TypeScript here; what stands around it may be missing")


class _TooDeepError(Exception):
    pass


class _Collector:
    """One pass over the nodes in the order of the text, with the scopes that are open."""

    def __init__(self, module: Module) -> None:
        self._module = module
        self._labels: dict[int, str] = {}
        """`node.id` of an expression -> the name that it gets."""
        self._open: list[tuple[int, Scope]] = [(module.root.end_byte + 1, module.scope)]
        self._later: list[tuple[Node, Node, Scope]] = []
        self._visits: Mapping[str, Callable[[Node, Scope], None]] = {
            "import_statement": self._import, "export_statement": self._export, "variable_declarator": self._variable,
            "assignment_expression": self._assignment, "augmented_assignment_expression": self._assignment,
            "call_expression": self._call, "new_expression": self._call,
            "public_field_definition": self._field, "required_parameter": self._parameter, "optional_parameter": self._parameter, "pair": self._pair,
            "interface_declaration": self._interface,
        }  # fmt: skip

    def collect(self, nodes: list[Node]) -> None:
        for node in nodes:
            start = node.start_byte
            while start >= self._open[-1][0]:
                self._open.pop()
            scope = self._open[-1][1]
            if node.type in FUNCTIONS or node.type in CLASSES:
                self._enter(node, scope)
            else:
                self._visits[node.type](node, scope)
        for left, right, scope in self._later:
            self._assign(left, right, scope)

    # --- scopes ---------------------------------------------------------------------------------------------------
    def _enter(self, node: Node, scope: Scope) -> None:
        named = node.child_by_field_name("name")
        name = text_of(named) or self._labels.get(node.id, "")
        if scope.depth > _NESTED:
            raise _TooDeepError
        label = ".".join(p for p in (scope.label, name) if p)[:300]
        inner = Scope(label, scope, {}, node.type in CLASSES, scope.depth + 1, node)
        if node.type in CLASSES:
            self._module.classes.append((node, inner))
        if named is not None and not node.type.endswith(("expression", "arrow_function")):
            _bind(scope, name, Binding(ref(scope), node))
        single = node.child_by_field_name("parameter") if node.type == "arrow_function" else None
        if single is not None:
            _bind(inner, text_of(single), Binding(ref(inner)))
        self._module.scopes[node.id] = inner
        self._open.append((node.end_byte, inner))

    def _interface(self, node: Node, scope: Scope) -> None:
        """What is declared of an interface's properties is known of every object of it."""
        named, body = node.child_by_field_name("name"), node.child_by_field_name("body")
        inner = Scope(text_of(named), scope, {}, True, scope.depth + 1, node)
        for member in body.named_children if body is not None else ():
            if member.type == "property_signature" and (type_ := type_name(member.child_by_field_name("type"))):
                inner.names[text_of(member.child_by_field_name("name"))] = Binding(ref(inner), type=type_)
        if inner.names:
            _bind(scope, text_of(named), Binding(ref(scope), node))
            self._module.scopes[node.id] = inner

    def _parameter(self, node: Node, scope: Scope) -> None:
        pattern, typed = node.child_by_field_name("pattern"), node.child_by_field_name("type")
        if pattern is None:
            return
        type_ = type_name(typed)
        for name, path in bound_names(pattern):
            _bind(scope, name, Binding(ref(scope), None, path, type=type_ if not path else ""))
        if (
            type_
            and scope.above is not None
            and scope.above.is_class
            and any(c.type in ("accessibility_modifier", "readonly") for c in node.children)
        ):
            _bind(scope.above, text_of(pattern), Binding(ref(scope.above), type=type_))  # fmt: skip

    # --- names ----------------------------------------------------------------------------------------------------
    def _variable(self, node: Node, scope: Scope) -> None:
        left, right = node.child_by_field_name("name"), node.child_by_field_name("value")
        if left is None:
            return
        if right is None:
            # Declared now, assigned later; in `for (const x of ...)` nobody knows.
            scope.names.setdefault(text_of(left), Binding(ref(scope), type=type_name(node.child_by_field_name("type"))))
            return
        for name, path in bound_names(left):
            if right.type == "null" or text_of(right) == "undefined":
                scope.names.setdefault(name, Binding(ref(scope), type=type_name(node.child_by_field_name("type"))))
                continue
            _bind(scope, name, Binding(ref(scope), right, path))
            self._name(right, name)

    def _assignment(self, node: Node, scope: Scope) -> None:
        left, right = node.child_by_field_name("left"), node.child_by_field_name("right")
        operator = node.child_by_field_name("operator")
        if left is not None and right is not None and (operator is None or text_of(operator) in ("??=", "||=")):
            self._name(
                right, text_of(left).rpartition(".")[2] if left.type in ("identifier", "member_expression") else ""
            )
            self._later.append((left, right, scope))

    def _assign(self, left: Node, right: Node, scope: Scope) -> None:
        if left.type == "identifier":
            owner = next((s for s in scope.around() if text_of(left) in s.names), None)
            if owner is not None:
                _bind(owner, text_of(left), Binding(ref(scope), right))
        elif left.type == "member_expression":
            written = text_of(left)
            if written.startswith("this."):
                class_ = next((s for s in scope.around() if s.is_class), None)
                if class_ is not None:
                    _bind(class_, written.removeprefix("this."), Binding(ref(scope), right))
            elif written == "module.exports":
                self._module.exports["default"] = Binding(ref(scope), right)
            elif written.startswith(("module.exports.", "exports.")):
                self._module.exports[written.rpartition(".")[2]] = Binding(ref(scope), right)
            elif len(self._module.set) < 200:
                self._module.set.append((left, right, scope))

    def _field(self, node: Node, scope: Scope) -> None:
        name, value = text_of(node.child_by_field_name("name")), node.child_by_field_name("value")
        if value is not None:
            _bind(scope, name, Binding(ref(scope), value))
            self._name(value, name)
        elif type_ := type_name(node.child_by_field_name("type")):
            scope.names.setdefault(name, Binding(ref(scope), type=type_))

    def _pair(self, node: Node, scope: Scope) -> None:  # noqa: ARG002 (a property is no name of the scope)
        key, value = node.child_by_field_name("key"), node.child_by_field_name("value")
        if key is not None and value is not None:
            self._name(value, constant(key) or (text_of(key) if key.type == "property_identifier" else ""))

    def _name(self, node: Node, name: str) -> None:
        if not name:
            return
        self._labels[bare(node).id] = name
        inner: Node | None = bare(node)
        for _ in range(100):
            # `const graph = new StateGraph(...).addNode(...)`: what is made first is what the name is about.
            if inner is None or inner.type not in ("call_expression", "member_expression"):
                break
            inner = inner.child_by_field_name("function" if inner.type == "call_expression" else "object")
        if inner is not None and inner.type == "new_expression":
            self._labels.setdefault(inner.id, name)

    def _call(self, node: Node, scope: Scope) -> None:
        self._module.calls.append(Call(node, scope, node.start_byte, self._labels.get(node.id, "")))
        if (source := required(node)) is not None:
            self._module.sources.setdefault(source, line_of(node))

    # --- imports and exports ----------------------------------------------------------------------------------------
    def _import(self, node: Node, scope: Scope) -> None:
        only_types = any(c.type in ("type", "typeof") for c in node.children)
        for clause in node.named_children:
            required = clause.type == "import_require_clause"
            source = constant((clause if required else node).child_by_field_name("source"))
            if source is None:
                continue
            if not only_types:
                self._module.sources.setdefault(source, line_of(node))
            if required:
                _bind(scope, text_of(clause.named_children[0]), Binding(ref(scope), source=source, name="*"))
            elif clause.type == "import_clause":
                for name, export in imported(clause):
                    _bind(scope, name, Binding(ref(scope), source=source, name=export))

    def _export(self, node: Node, scope: Scope) -> None:
        source = constant(node.child_by_field_name("source"))
        exports = self._module.exports
        if source is not None:
            self._module.sources.setdefault(source, line_of(node))
        value = node.child_by_field_name("value")
        if value is not None:
            exports["default"] = Binding(ref(scope), value)
            self._name(value, "default")
        inner = node.child_by_field_name("declaration")
        for name in declared(inner) if inner is not None else ():
            exports["default" if any(c.type == "default" for c in node.children) else name] = Binding(
                ref(scope), name=name
            )
        if source is not None and any(c.type == "*" for c in node.children):
            self._module.stars.append(source)
        for clause in node.named_children:
            if clause.type == "namespace_export" and source is not None:
                exports[text_of(clause.named_children[0])] = Binding(ref(scope), source=source, name="*")
            for one in clause.named_children if clause.type == "export_clause" else ():
                name = text_of(one.child_by_field_name("name"))
                exports[text_of(one.child_by_field_name("alias")) or name] = Binding(ref(scope), source=source or "", name=name)  # fmt: skip


def _bind(scope: Scope, name: str, binding: Binding) -> None:
    old = scope.names.get(name)
    if name in scope.names and (old is None or old.node is not None or old.source):
        scope.names[name] = None
    else:
        scope.names[name] = binding
