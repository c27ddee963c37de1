# SPDX-License-Identifier: Apache-2.0
"""One module: what its names mean, its definitions, and where its values are assigned."""

from __future__ import annotations

import ast
import posixpath
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from bastide.discover.model import Place, Problem, Value

Scope = ast.Module | ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
Function = ast.FunctionDef | ast.AsyncFunctionDef
NODES = 400_000
"""Nodes of one module; a larger one isn't read."""
_SEVERAL = 8
_GROWS = frozenset({"append", "extend", "insert", "add", "update"})


@dataclass(slots=True)
class Module:
    """A parsed file."""

    file: str
    name: str
    """Dotted, from the root of the tree: `app.agents.tools`."""
    tree: ast.Module
    names: dict[str, str] = field(default_factory=dict)
    """Name in the module -> what was imported under it, qualified."""
    values: dict[str, ast.expr] = field(default_factory=dict)
    """`name`, `function:name` or `Class:self.name` -> the expression that is assigned, for names with one assignment."""
    several: dict[str, list[ast.expr]] = field(default_factory=dict)
    """The same for names that are assigned more than once: the first of the expressions, in the order of the text."""
    grown: dict[str, list[ast.expr]] = field(default_factory=dict)
    """What is added to a list later: `tools.append(x)`, `tools += more`."""
    definitions: dict[str, Function | ast.ClassDef] = field(default_factory=dict)
    """Qualified name in the module -> the definition."""
    calls: list[tuple[str, ast.Call, str]] = field(default_factory=list)
    """Scope, call, and the name to which it is assigned ('' when it isn't)."""
    decorators: set[int] = field(default_factory=set)
    """`id(node)` of the calls that decorate a definition."""
    returned: dict[str, list[ast.expr]] = field(default_factory=dict)
    """Function -> what it returns or yields by itself, the first of the expressions."""
    known: dict[tuple[int, str], Value | None] = field(default_factory=dict)
    """Node and scope -> its value, of what was evaluated before; None while it is."""
    within: dict[str, list[tuple[str, ast.Call]]] = field(default_factory=dict)
    """Scope -> the calls in it and in functions in it; filled when it is first asked for."""
    names_of: dict[tuple[int, str], str] = field(default_factory=dict)
    """Node and scope -> qualified name, of what was looked up before."""
    ids: dict[int, str] = field(default_factory=dict)
    """`id(node)` -> id of the resource that the call or definition became."""
    set: list[tuple[str, ast.Attribute, ast.expr]] = field(default_factory=list)
    """Scope, attribute and expression where an attribute of another object is set: `Settings.llm = ...`."""
    guarded: dict[str, dict[int, ast.Try]] = field(default_factory=dict)
    """Function or class -> the `try` around each of its calls; filled when it is first asked for."""
    functions: dict[str, bool] = field(default_factory=dict)
    """Functions that are resources though no library marks them: they call one, or (true) are handed to one."""


def dotted(file: str) -> str:
    """The module name of a file, from the root of the tree."""
    path = posixpath.splitext(file)[0].removesuffix("/__init__")
    return path.replace("/", ".")


def parse(text: str, file: str) -> Module | Problem:
    """A module from its text. Python 2 and other texts that aren't Python are a problem with its line."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(text)
    except SyntaxError as error:
        return Problem(Place(file, error.lineno or 0), f"is not Python 3: {error.msg}")
    except (ValueError, RecursionError, MemoryError) as error:
        return Problem(Place(file), f"can't be parsed: {type(error).__name__}")
    return module_of(tree, file)


def module_of(tree: ast.Module, file: str) -> Module | Problem:
    """A module from its syntax tree."""
    module = Module(file, dotted(file), tree)
    try:
        _Collector(module).collect()
    except (RecursionError, _TooLarge):
        return Problem(Place(file), "is nested too deeply or too large to be read")
    return module


class _TooLarge(Exception):
    pass


class _Collector:
    """One walk over a module; with a stack of its own, so that depth is no limit."""

    def __init__(self, module: Module) -> None:
        self._module = module
        self._assigned: dict[str, list[ast.expr]] = {}
        self._named: dict[int, str] = {}

    def collect(self) -> None:
        count = 0
        stack: list[tuple[ast.AST, str, str]] = [(self._module.tree, "", "")]
        while stack:
            node, scope, owner = stack.pop()
            count += 1
            if count > NODES:
                raise _TooLarge
            if type(node) in _VISITED:
                scope, owner = self._visit(node, scope, owner)
            stack += [(child, scope, owner) for child in _children(node)]
        for name, values in self._assigned.items():
            if len(values) > 1:
                self._module.values.pop(name, None)
                self._module.several[name] = values

    def _visit(self, node: ast.AST, scope: str, owner: str) -> tuple[str, str]:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            inner = f"{scope}.{node.name}" if scope else node.name
            self._module.definitions.setdefault(inner, node)
            self._module.decorators |= {id(d) for d in node.decorator_list}
            return inner, inner if isinstance(node, ast.ClassDef) else owner
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            self._imports(node)
        elif isinstance(node, (ast.Return, ast.Yield)) and node.value is not None:
            found = self._module.returned.setdefault(scope, [])
            if len(found) < _SEVERAL:
                found.append(node.value)
        elif isinstance(node, ast.Call):
            if isinstance(node.func, ast.Attribute) and node.func.attr in _GROWS:
                self._grow(_key(node.func.value, scope, owner), node.args[-1:])
            self._module.calls.append((scope, node, self._named.get(id(node), "")))
        else:
            self._bindings(node, scope, owner)
        return scope, owner

    def _bindings(self, node: ast.AST, scope: str, owner: str) -> None:
        if isinstance(node, (ast.Assign, ast.AnnAssign, ast.NamedExpr)) and node.value is not None:
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            for target in targets:
                self._assign(target, node.value, scope, owner)
        elif isinstance(node, (ast.With, ast.AsyncWith)):
            for item in node.items:
                if item.optional_vars is not None:
                    self._assign(item.optional_vars, item.context_expr, scope, owner)
        elif isinstance(node, (ast.For, ast.AsyncFor)):
            # One of them stands for each: what is known is what they are made from.
            self._bind(_key(node.target, scope, owner), node.iter)
        elif isinstance(node, ast.AugAssign) and isinstance(node.op, ast.Add):
            self._grow(_key(node.target, scope, owner), [node.value])

    def _assign(self, target: ast.expr, value: ast.expr, scope: str, owner: str) -> None:
        key = _key(target, scope, owner)
        self._bind(key, value)
        if not key and isinstance(target, ast.Attribute) and len(self._module.set) < 200:
            self._module.set.append((scope, target, value))
        call = value.value if isinstance(value, ast.Await) else value
        name = target.attr if isinstance(target, ast.Attribute) else target.id if isinstance(target, ast.Name) else ""
        if name and isinstance(call, ast.Call):
            self._named[id(call)] = name

    def _bind(self, key: str, value: ast.expr) -> None:
        if key:
            self._module.values[key] = value
            values = self._assigned.setdefault(key, [])
            if len(values) < _SEVERAL:
                values.append(value)

    def _grow(self, key: str, values: list[ast.expr]) -> None:
        if key and len(grown := self._module.grown.setdefault(key, [])) < 100:
            grown += values

    def _imports(self, node: ast.Import | ast.ImportFrom) -> None:
        names = self._module.names
        if isinstance(node, ast.Import):
            for alias in node.names:
                names[alias.asname or alias.name.partition(".")[0]] = (
                    alias.name if alias.asname else alias.name.partition(".")[0]
                )
            return
        base = node.module or ""
        if node.level:
            package = self._module.name.split(".")
            if not self._module.file.endswith("__init__.py"):
                package = package[:-1]
            package = package[: len(package) - node.level + 1]
            base = ".".join([*package, *([base] if base else [])])
        for alias in node.names:
            names[alias.asname or alias.name] = f"{base}.{alias.name}" if base else alias.name


_VISITED = frozenset(
    {
        ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Import, ast.ImportFrom, ast.Return, ast.Yield, ast.Call, ast.Assign,
        ast.AnnAssign, ast.NamedExpr, ast.With, ast.AsyncWith, ast.For, ast.AsyncFor, ast.AugAssign,
    }
)  # fmt: skip
_LEAVES = frozenset({ast.Name, ast.Constant, ast.Pass, ast.Break, ast.Continue})
_WORDS = frozenset(
    {"id", "attr", "name", "names", "ctx", "op", "ops", "kind", "type_comment", "module", "level", "arg", "rest", "simple", "is_async", "conversion"}
)  # fmt: skip
"""Fields of nodes that hold no part with a call, a definition or an assignment in it."""


_PARTS = {
    kind: tuple(name for name in reversed(kind._fields) if name not in _WORDS)
    for kind in vars(ast).values()
    if isinstance(kind, type) and issubclass(kind, ast.AST)
}


def _children(node: ast.AST) -> list[ast.AST]:
    """The parts of a node that may hold something, the last first; `ast.iter_child_nodes` takes six times as long."""
    found: list[ast.AST] = []
    for name in _PARTS[type(node)]:
        value = getattr(node, name, None)
        if type(value) is list:
            found += [v for v in reversed(value) if isinstance(v, ast.AST) and type(v) not in _LEAVES]
        elif isinstance(value, ast.AST) and type(value) not in _LEAVES:
            found.append(value)
    return found


def _key(target: ast.expr, scope: str, owner: str) -> str:
    """Under which key the values of a name or an attribute of self are kept; '' for other targets."""
    if isinstance(target, ast.Name):
        return f"{scope}:{target.id}"
    own = (
        isinstance(target, ast.Attribute) and isinstance(target.value, ast.Name) and target.value.id in ("self", "cls")
    )
    return f"{owner}:self.{target.attr}" if own and isinstance(target, ast.Attribute) else ""


def parameters(function: Function) -> list[ast.arg]:
    """The parameters of a function by position, then those by name only."""
    return [*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs]


def chain(node: ast.expr) -> tuple[ast.expr, list[str]]:
    """`a.b().c` as its innermost expression and the attributes after it: a call on the way stays innermost."""
    attributes: list[str] = []
    while isinstance(node, ast.Attribute):
        attributes.insert(0, node.attr)
        node = node.value
    return node, attributes


def scopes(scope: str) -> Iterator[str]:
    """A scope and those around it, innermost first, the module's last."""
    while scope:
        yield scope
        scope = scope.rpartition(".")[0]
    yield ""


def owner_of(scope: str, definitions: Mapping[str, Function | ast.ClassDef]) -> str:
    """The class in which a scope stands."""
    return next((s for s in scopes(scope) if isinstance(definitions.get(s), ast.ClassDef)), "")
