# SPDX-License-Identifier: Apache-2.0
"""What a definition does: which functions it calls, itself and through functions of the tree, and what of its parameters ends in a command.

A parameter of a tool is written by the model. In a shell's command line or a database's statement it is code.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from bastide.discover.importers.python.module import Module, parameters, scopes
from bastide.discover.importers.python.names import Names
from bastide.discover.importers.python.values import Evaluator
from bastide.discover.model import Place, State, Value

_CALLED = 400
_FUNCTIONS = 60
"""Names of called functions that a definition carries, and functions through which it is followed."""
_SHELL = re.compile(
    r"(?:os\.(?:system|popen)|subprocess\.get(?:status)?output|asyncio\.(?:subprocess\.)?create_subprocess_shell)\Z"
)
_PROGRAM = re.compile(
    r"(?:subprocess\.(?:run|call|Popen|check_output|check_call)|asyncio\.(?:subprocess\.)?create_subprocess_exec|os\.exec\w+)\Z"
)
_STATEMENT = re.compile(r"execute(?:many|script|_query|_sql)?\Z|query_df\Z")
_DATABASE = re.compile(
    r"cur(?:sor)?\b|conn(?:ection)?\b|\bdb\b|database|engine|session|duckdb|sqlite|\bcon\b", re.IGNORECASE
)
_ENTRIES = re.compile(r"_?a?run|forward|execute|call|invoke|__call__|run_async|_run_async_impl")
_CONTEXT = frozenset({"self", "cls", "ctx", "context", "config", "runtime", "state", "wrapper", "tool_context"})
_QUOTES = frozenset({"shlex.quote", "pipes.quote"})
_DEPTH = 8


@dataclass(frozen=True, slots=True)
class _Visit:
    """A function on the way, with those of its names that the caller of the definition writes."""

    names: Names
    scope: str
    written: frozenset[str]


def does(name: str, values: Evaluator, place: Place) -> dict[str, Value]:
    """`calls` of a definition; `$shell` and `$sql` where it runs commands or statements: `written` (from a parameter), `fixed`, or unknown."""
    calls: dict[str, Value] = {}
    commands: dict[str, list[tuple[str | None, Place]]] = {}
    for visit, call, called in _reached(name, values.names):
        module = visit.names.module
        where = Place(module.file, call.lineno)
        if called and len(calls) < _CALLED:
            refs = (module.ids[id(call)],) if id(call) in module.ids else ()
            calls.setdefault(refs[0] if refs else called, Value(called, where, State.KNOWN, refs))
        for kind, argument in _command(call, called):
            origin = _origin(_program(argument, visit) if kind == "$program" else argument, visit, values)
            if kind != "$sql" or origin or _from_outside(argument, visit, values):
                commands.setdefault(kind.replace("$program", "$shell"), []).append((origin, where))
    found = {"calls": Value(tuple(calls.values()), place)}
    for kind, all_ in commands.items():
        origin, where = min(all_, key=lambda c: ("written", None, "fixed").index(c[0]))
        found[kind] = Value(origin, where, State.KNOWN if origin else State.UNKNOWN)
    return found


def _reached(name: str, names: Names) -> Iterator[tuple[_Visit, ast.Call, str]]:
    todo, seen = list(_entries(name, names)), set[tuple[str, str, frozenset[str]]]()
    while todo and len(seen) < _FUNCTIONS:
        visit = todo.pop()
        module = visit.names.module
        key = module.file, visit.scope, visit.written
        if key in seen:
            continue
        seen.add(key)
        for scope, call in _inside(module, visit.scope):
            called = visit.names.qualified(call.func, scope)
            target = visit.names.function(called) if called else None
            if target is None:
                yield visit, call, called or _written_name(call.func)
            else:
                todo.append(_Visit(target[0], target[2], _given(call, target, visit)))


def _entries(name: str, names: Names) -> Iterator[_Visit]:
    definition = names.module.definitions.get(name)
    if isinstance(definition, ast.ClassDef):
        for inner in definition.body:
            if isinstance(inner, (ast.FunctionDef, ast.AsyncFunctionDef)):
                entry = _ENTRIES.fullmatch(inner.name) is not None
                yield _Visit(names, f"{name}.{inner.name}", _parameters(inner) if entry else frozenset())
    elif definition is not None:
        yield _Visit(names, name, _parameters(definition))


def _parameters(function: ast.FunctionDef | ast.AsyncFunctionDef) -> frozenset[str]:
    return frozenset(a.arg for a in parameters(function)) - _CONTEXT


def _inside(module: Module, scope: str) -> Iterable[tuple[str, ast.Call]]:
    """The calls in a function, also in functions in it."""
    if not module.within:
        for where, call, _ in module.calls:
            for outer in scopes(where):
                module.within.setdefault(outer, []).append((where, call))
    return module.within.get(scope, ())


def _given(
    call: ast.Call, target: tuple[Names, ast.FunctionDef | ast.AsyncFunctionDef, str], visit: _Visit
) -> frozenset[str]:
    """The parameters of a called function to which something is given that is written."""
    _, function, scope = target
    method = isinstance(target[0].module.definitions.get(scope.rpartition(".")[0]), ast.ClassDef)
    named = [a.arg for a in parameters(function)]
    if method and named[:1] in (["self"], ["cls"]):
        named = named[1:]
    pairs = [*zip(named, call.args, strict=False), *((k.arg, k.value) for k in call.keywords if k.arg in named)]
    return frozenset(n for n, argument in pairs if n and _is_written(argument, visit))


def _command(call: ast.Call, called: str) -> Iterator[tuple[str, ast.expr]]:
    """What a call runs: a shell's command, a program, a statement."""
    options: Mapping[str | None, ast.expr] = {k.arg: k.value for k in call.keywords}
    first = (
        call.args[0]
        if call.args
        else next((options[k] for k in ("args", "cmd", "command", "sql_query", "query") if k in options), None)
    )
    if first is None:
        return
    shell = options.get("shell")
    if _SHELL.match(called) or (_PROGRAM.match(called) and isinstance(shell, ast.Constant) and shell.value is True):
        yield "$shell", first
    elif _PROGRAM.match(called):
        yield "$program", first
    elif isinstance(call.func, ast.Attribute) and _STATEMENT.match(call.func.attr) and _on_database(call.func, called):
        yield "$sql", options.get("sql_query", first)


def _on_database(function: ast.Attribute, called: str) -> bool:
    return _DATABASE.search(f"{called} {_written_name(function.value)}") is not None


def _program(node: ast.expr, visit: _Visit) -> ast.expr:
    """The first word of a command that is given as a list."""
    for _ in range(_DEPTH):
        before = visit.names.before(node.id, visit.scope, node.lineno) if isinstance(node, ast.Name) else None
        if isinstance(node, (ast.List, ast.Tuple)) and node.elts:
            node = node.elts[0]
        elif isinstance(node, ast.BinOp):
            node = node.left
        elif isinstance(node, ast.Starred):
            node = node.value
        elif before is not None and isinstance(before[0], (ast.List, ast.Tuple, ast.BinOp)):
            node = before[0]
        else:
            break
    return node


def _from_outside(node: ast.expr, visit: _Visit, values: Evaluator) -> bool:
    """Whether an expression is a setting."""
    here = visit.names.module is values.names.module
    return here and any(ref.startswith("env:") for ref in values.value(node, visit.scope).refs)


def _origin(node: ast.expr, visit: _Visit, values: Evaluator) -> str | None:
    if _is_written(node, visit):
        return "written"
    constant = isinstance(node, ast.Constant) or (
        visit.names.module is values.names.module and values.value(node, visit.scope).known
    )
    return "fixed" if constant else None


def _is_written(node: ast.AST, visit: _Visit, depth: int = 0) -> bool:
    """Whether a name of the caller's is in an expression, itself or through variables."""
    if depth > _DEPTH:
        return False
    stack = [node]
    while stack:
        inner = stack.pop()
        if isinstance(inner, ast.Call) and visit.names.qualified(inner.func, visit.scope) in _QUOTES:
            continue
        if isinstance(inner, ast.Name):
            if inner.id in visit.written:
                return True
            before = visit.names.before(inner.id, visit.scope, getattr(inner, "lineno", 0))
            if before is not None and before[0] is not node and _is_written(before[0], visit, depth + 1):
                return True
        stack += ast.iter_child_nodes(inner)
    return False


def _written_name(node: ast.expr) -> str:
    """A dotted name as it is written, `cursor.execute`; '' for other expressions."""
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    if isinstance(node, ast.Call):
        return ".".join([p for p in [_written_name(node.func), *reversed(parts)] if p])
    return ".".join([node.id, *reversed(parts)]) if isinstance(node, ast.Name) else ".".join(reversed(parts))
