# SPDX-License-Identifier: Apache-2.0
"""Calls and definitions of the files that use a library of which the type catalogue knows something."""

from __future__ import annotations

import ast
import re
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence, Set
from dataclasses import replace

from bastide.discover.importers.python.errors import OnError, around, on_error
from bastide.discover.importers.python.module import Function, Module, dotted, module_of, parse
from bastide.discover.importers.python.names import Names
from bastide.discover.importers.python.notebook import Code, notebook, parse_cells
from bastide.discover.importers.python.values import Evaluator
from bastide.discover.interface import Tree
from bastide.discover.model import Place, Problem, Reading, Resource, State, Value

TESTS = re.compile(
    r"(?:\A|/)(?:tests?|testing|__tests__)/|(?:\A|/)(?:test_[^/]*|[^/]*_test|conftest)\.(?:py|ipynb)\Z|(?:\A|/)\.ipynb_checkpoints/"
)
"""What tests a system isn't the system."""
_IMPORT = re.compile(r"^[ \t]*(?:from|import)[ \t][^\n]*", re.MULTILINE)
_WORD = re.compile(r"\w+")
_KEPT = 400
"""Parsed modules that are kept; a syntax tree takes a hundred times its text."""
_CALLED = 400
"""Names of called functions that a definition carries."""
_ACTING = frozenset(
    {
        "subprocess",
        "os",
        "shutil",
        "smtplib",
        "socket",
        "requests",
        "httpx",
        "urllib",
        "aiohttp",
        "sqlite3",
        "builtins",
        "paramiko",
    }
)


class Python:
    """Files of Python; those without any of the libraries are only looked through for their names."""

    name = "python"

    def __init__(self, roots: frozenset[str]) -> None:
        """`roots`: packages of which the catalogue knows calls or classes, such as `openai`."""
        self._roots = roots
        words = "|".join(sorted(map(re.escape, roots))) or r"(?!)"
        mention = rf"(?:from|import)\s+(?:[\w.]+\s*,\s*)*(?:{words})\b"
        self._mention = re.compile(rf"^\s*{mention}", re.MULTILINE)
        self._anywhere = re.compile(mention)

    def wants(self, path: str, head: Callable[[], str]) -> bool:  # noqa: ARG002 (the name settles it)
        """`*.py` and notebooks, without tests."""
        return path.endswith((".py", ".ipynb")) and not TESTS.search(path)

    def read(self, tree: Tree, files: Sequence[str]) -> Reading:
        """The calls and definitions of all files."""
        return _Reader(tree, files, self._roots, (self._mention, self._anywhere)).read()


class _Reader:
    def __init__(
        self, tree: Tree, files: Sequence[str], roots: frozenset[str], mention: tuple[re.Pattern[str], re.Pattern[str]]
    ) -> None:
        self._tree, self._files, self._roots = tree, files, roots
        self._mention, self._anywhere = mention
        self._by_name = {dotted(f): f for f in files if not f.endswith(".ipynb")}
        for file in list(self._by_name.values()):
            # Code often runs with a folder below the root on its path.
            parts = dotted(file).split(".")
            for start in range(1, len(parts)):
                self._by_name.setdefault(".".join(parts[start:]), file)
        self._modules: OrderedDict[str, Module | None] = OrderedDict()
        self._notebooks: dict[str, Code] = {}
        self._problems: dict[str, list[Problem]] = {}

    def read(self) -> Reading:
        found: list[Resource] = []
        made: set[str] = set()
        others: list[str] = []
        for file in self._files:
            if self._mentions(file):
                found += self._contents(file)
                self._notebooks.pop(file, None)
                made.add(dotted(file).rpartition(".")[2])
            elif not file.endswith(".ipynb"):
                others.append(file)
        for file in others:
            if self._uses(file, made):
                found += self._contents(file)
        problems = tuple(p for all_ in self._problems.values() for p in all_)
        return Reading(tuple(found), problems, frozenset(self._files))

    def _mentions(self, file: str) -> bool:
        text = self._tree.read(file)
        if text is None or not file.endswith(".ipynb"):
            return text is not None and bool(self._mention.search(text))
        if not self._anywhere.search(text):
            return False
        code, self._problems[file] = notebook(text, file)
        if code is None or not self._mention.search(code.text):
            return False
        self._notebooks[file] = code
        return True

    def _contents(self, file: str) -> Iterator[Resource]:
        module = self._module(file)
        if module is not None:
            yield from self._resources(module)

    def _uses(self, file: str, modules: Set[str]) -> bool:
        """Whether it imports a module of one of these names: what is made there may be used here."""
        return any(not modules.isdisjoint(_WORD.findall(line)) for line in _IMPORT.findall(self._tree.read(file) or ""))

    def _named(self, name: str) -> Module | None:
        file = self._by_name.get(name)
        return self._module(file) if file is not None else None

    def _module(self, file: str) -> Module | None:
        if file in self._modules:
            self._modules.move_to_end(file)
            return self._modules[file]
        parsed: Module | Problem | None
        if file in self._notebooks:
            tree, self._problems[file] = parse_cells(self._notebooks[file], file)
            parsed = module_of(tree, file)
        else:
            text = self._tree.read(file)
            parsed = parse(text, file) if text is not None else None
        if isinstance(parsed, Problem):
            self._problems.setdefault(file, []).append(parsed)
            parsed = None
        if parsed is not None:
            self._identify(parsed)
        self._modules[file] = parsed
        if len(self._modules) > _KEPT:
            self._modules.popitem(last=False)
        return parsed

    # --- ids: before any value is evaluated, so that values can refer to calls that come later --------------------
    def _identify(self, module: Module) -> None:
        names = Names(module, lambda n: self._named(n) if n != module.name else module)
        taken: dict[str, int] = {}
        for scope, call, assigned in module.calls:
            called = names.qualified(call.func, scope)
            if called.partition(".")[0] in self._roots:
                name = ".".join(p for p in (scope, assigned or called.rpartition(".")[2]) if p)
                taken[name] = taken.get(name, 0) + 1
                module.ids[id(call)] = f"{module.file}: {name}" + (f"#{taken[name]}" if taken[name] > 1 else "")
        for name, definition in module.definitions.items():
            if self._marks(definition, name, names):
                module.ids[id(definition)] = f"{module.file}: {name}"

    def _marks(self, definition: Function | ast.ClassDef, name: str, names: Names) -> list[str]:
        """The decorators and base classes that come from a library in question."""
        scope = name.rpartition(".")[0]
        nodes = [*definition.decorator_list, *(definition.bases if isinstance(definition, ast.ClassDef) else [])]
        marks = [names.qualified(n.func if isinstance(n, ast.Call) else n, scope) for n in nodes]
        return [m for m in marks if m.partition(".")[0] in self._roots]

    # --- resources --------------------------------------------------------------------------------------------------
    def _resources(self, module: Module) -> Iterator[Resource]:
        names = Names(module, lambda n: self._named(n) if n != module.name else module)
        values = Evaluator(names)
        place = Place(module.file, 1)
        roots = sorted({n.partition(".")[0] for n in module.names.values()})
        body = Value({"imports": Value(tuple(Value(r, place) for r in roots), place)}, place)
        file_id = f"{module.file}: module"
        yield Resource(file_id, "python/file", module.file, body, place, scope=module.file)
        for scope, call, assigned in module.calls:
            if id(call) in module.ids:
                called = names.qualified(call.func, scope)
                where = Place(module.file, call.lineno, call.end_lineno or call.lineno)
                given = {**values.arguments(call, scope), "$on": self._receiver(call, scope, names, values)}
                inside = module.definitions.get(scope)
                if inside is not None and (failing := around(call, inside)) is not None:
                    given["fails-open"] = _failing(failing, module.file)
                arguments = Value(given, where)
                name = assigned or called.rpartition(".")[2]
                yield Resource(
                    module.ids[id(call)], f"call/{called}", name, arguments, where, scope=module.file, part_of=file_id
                )
        for name, definition in module.definitions.items():
            for mark in self._marks(definition, name, names) if id(definition) in module.ids else ():
                yield self._definition(name, definition, mark, values, file_id)
                break

    def _receiver(self, call: ast.Call, scope: str, names: Names, values: Evaluator) -> Value:
        """The object whose method is called: `client` in `client.chat.completions.create()`, with what made it."""
        node: ast.expr = call.func
        while isinstance(node, ast.Attribute):
            node = node.value
            value = values.value(node, scope)
            if value.refs:
                return replace(value, place=Place(names.module.file, call.lineno))
        return Value(None, Place(names.module.file, call.lineno))

    def _definition(
        self, name: str, definition: Function | ast.ClassDef, mark: str, values: Evaluator, file_id: str
    ) -> Resource:
        names = values.names
        module = names.module
        place = Place(module.file, definition.lineno, definition.end_lineno or definition.lineno)
        marked = next((d for d in definition.decorator_list if isinstance(d, ast.Call)), None)
        body = values.arguments(marked, name.rpartition(".")[0]) if marked is not None else {}
        doc = ast.get_docstring(definition) or ""
        body["doc"] = Value(doc[:1000], place)
        body["calls"] = Value(tuple(_called(module, name, names)), place)
        if (failing := on_error(definition)) is not None:
            body["fails-open"] = _failing(failing, module.file)
        if isinstance(definition, (ast.FunctionDef, ast.AsyncFunctionDef)):
            arguments = [*definition.args.posonlyargs, *definition.args.args, *definition.args.kwonlyargs]
            body["parameters"] = Value(
                tuple(Value(a.arg, Place(module.file, a.lineno)) for a in arguments if a.arg not in ("self", "cls")),
                place,
            )
        else:
            body |= {
                k.rpartition(":")[2]: values.value(v, name)
                for k, v in module.values.items()
                if k.rpartition(":")[0] == name
            }
        if definition.decorator_list:
            place = Place(module.file, definition.decorator_list[0].lineno, place.end)
        return Resource(
            module.ids[id(definition)],
            f"definition/{mark}",
            definition.name,
            Value(body, place),
            place,
            scope=module.file,
            part_of=file_id,
        )


def _failing(failing: OnError, file: str) -> Value:
    state = State.UNKNOWN if failing.passes is None else State.KNOWN
    return Value(failing.passes, Place(file, failing.line), state)


def _called(module: Module, name: str, names: Names) -> list[Value]:
    """What a definition calls, itself and through functions of the same file."""
    found: dict[str, Value] = {}
    seen, todo = set(), [name]
    while todo and len(found) < _CALLED:
        current = todo.pop()
        if current in seen:
            continue
        seen.add(current)
        for scope, call, _ in module.calls:
            if scope != current and not scope.startswith(current + "."):
                continue
            called = names.qualified(call.func, scope)
            inside = called.removeprefix(module.name + ".")
            if inside != called and inside in module.definitions:
                todo.append(inside)
            elif called:
                refs = (module.ids[id(call)],) if id(call) in module.ids else ()
                found.setdefault(called, Value(called, Place(module.file, call.lineno), State.KNOWN, refs))
    return list(found.values())
