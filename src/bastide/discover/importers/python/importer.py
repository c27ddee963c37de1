# SPDX-License-Identifier: Apache-2.0
"""Calls and definitions of the files that use a library of which the type catalogue knows something."""

from __future__ import annotations

import ast
import re
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence, Set
from dataclasses import replace

from bastide.discover.importers.mcp import named_servers
from bastide.discover.importers.objects import on_the_only_one
from bastide.discover.importers.python.acts import does
from bastide.discover.importers.python.errors import OnError, around, guarded, on_error
from bastide.discover.importers.python.module import Function, Module, dotted, module_of, parameters, parse, scopes
from bastide.discover.importers.python.names import Names
from bastide.discover.importers.python.notebook import Code, notebook, parse_cells
from bastide.discover.importers.python.values import Evaluator, set_name
from bastide.discover.interface import Tree
from bastide.discover.model import Place, Problem, Reading, Resource, State, Value

TESTS = re.compile(
    r"(?:\A|/)(?:tests?|testing|__tests__)/|(?:\A|/)(?:test_[^/]*|[^/]*_test|conftest)\.(?:py|ipynb)\Z|(?:\A|/)\.ipynb_checkpoints/"
)
"""What tests a system isn't the system."""
_IMPORT = re.compile(r"^[ \t]*(?:from|import)[ \t][^\n]*", re.MULTILINE)
_WORD = re.compile(r"\w+")
_KEPT = 1_500_000
"""Characters of parsed modules that are kept; a syntax tree takes fifty times its text."""
_TIMES = 3
"""How often modules are parsed, on average; when they are used up, what another module says stays unknown."""


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
        self._heads = {name.partition(".")[0] for name in self._by_name}
        self._modules: OrderedDict[str, Module | None] = OrderedDict()
        self._notebooks: dict[str, Code] = {}
        self._functions: dict[str, dict[str, bool]] = {}
        self._known: set[str] = set()
        self._ids: dict[str, tuple[dict[int, str], dict[str, str]]] = {}
        """Ids of a module's calls by their number, and of its definitions by name: found once, because that may lead through many modules."""
        self._sizes: dict[str, int] = {}
        self._held = 0
        self._left = _TIMES * len(files)
        self._sites: dict[str, list[tuple[str, int]]] = {}
        """Function of the tree -> files in which it is called, with the number of the call there."""
        self._problems: dict[str, list[Problem]] = {}

    def read(self) -> Reading:
        telling = [file for file in self._files if self._mentions(file)]
        made = {dotted(file).rpartition(".")[2] for file in telling}
        rest = [f for f in self._files if f not in set(telling) and not f.endswith(".ipynb")]
        telling += [file for file in rest if self._uses(file, made)]
        # First who calls whom, in all of them: what a function is given stands elsewhere.
        for file in telling:
            self._module(file)
        of_file: dict[str, list[Resource]] = {}
        # Backwards, because the last are still at hand.
        for file in reversed(telling):
            module = self._module(file)
            of_file[file] = list(self._resources(module)) if module is not None else []
            self._notebooks.pop(file, None)
        found = [resource for file in telling for resource in of_file[file]]
        found += self._handed()
        problems = tuple(p for all_ in self._problems.values() for p in all_)
        return Reading(tuple(on_the_only_one(found, self._tree.files)), problems, frozenset(self._files))

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

    def _uses(self, file: str, modules: Set[str]) -> bool:
        """Whether it imports a module of one of these names: what is made there may be used here."""
        return any(not modules.isdisjoint(_WORD.findall(line)) for line in _IMPORT.findall(self._tree.read(file) or ""))

    def _named(self, name: str) -> Module | None:
        """Another module of the tree."""
        file = self._by_name.get(name)
        if file is None:
            return None
        if self._left <= 0 and file not in self._modules:
            why = "so many modules import each other that it wasn't looked up again what they say of each other: some of it may be missing"
            self._problems.setdefault("", [Problem(Place(file), why)])
            return None
        return self._module(file)

    def _module(self, file: str) -> Module | None:
        if file in self._modules:
            self._modules.move_to_end(file)
            return self._modules[file]
        self._left -= 1
        parsed = self._parsed(file)
        self._keep(file, parsed)
        if parsed is not None:
            parsed.functions = self._functions.setdefault(file, {})
            if file not in self._known:
                self._identify(parsed)
                # What this led to may have pushed it out.
                self._keep(file, parsed)
            elif file in self._ids:
                self._recall(parsed)
        return parsed

    def _parsed(self, file: str) -> Module | None:
        parsed: Module | Problem | None
        if file in self._notebooks:
            tree, self._problems[file] = parse_cells(self._notebooks[file], file)
            parsed = module_of(tree, file)
            self._sizes[file] = len(self._notebooks[file].text)
        else:
            text = self._tree.read(file)
            parsed = parse(text, file) if text is not None else None
            self._sizes[file] = len(text or "")
        if isinstance(parsed, Problem):
            if file not in self._known:
                self._problems.setdefault(file, []).append(parsed)
                self._known.add(file)
            return None
        return parsed

    def _keep(self, file: str, module: Module | None) -> None:
        """What was used longest ago goes, until there is room."""
        if file not in self._modules:
            self._held += self._sizes[file]
        self._modules[file] = module
        while len(self._modules) > 1 and self._held > _KEPT:
            oldest, _ = self._modules.popitem(last=False)
            self._held -= self._sizes[oldest]

    # --- ids: before any value is evaluated, so that values can refer to calls that come later --------------------
    def _identify(self, module: Module) -> None:
        names, taken, sites = self._names(module), dict[str, int](), self._sites
        self._known.add(module.file)
        for number, (scope, call, assigned) in enumerate(module.calls):
            called = names.qualified(call.func, scope)
            if called.partition(".")[0] in self._heads and names.function(called) is not None:
                sites.setdefault(called, []).append((module.file, number))
            elif called.partition(".")[0] in self._roots and id(call) not in module.decorators:
                name = ".".join(p for p in (scope, assigned or called.rpartition(".")[2]) if p)
                taken[name] = taken.get(name, 0) + 1
                module.ids[id(call)] = f"{module.file}: {name}" + (f"#{taken[name]}" if taken[name] > 1 else "")
                if function := self._around(scope, module):
                    module.functions.setdefault(function, False)
        for number, (scope, target, _) in enumerate(module.set):
            if (called := names.qualified(target, scope)).partition(".")[0] in self._roots:
                sites.setdefault(set_name(called), []).append((module.file, number))
        self._identify_definitions(module, names)
        calls = {n: module.ids[id(call)] for n, (_, call, _) in enumerate(module.calls) if id(call) in module.ids}
        definitions = {n: module.ids[id(d)] for n, d in module.definitions.items() if id(d) in module.ids}
        self._ids[module.file] = calls, definitions

    def _recall(self, module: Module) -> None:
        """The ids again, for a module that was parsed before."""
        calls, definitions = self._ids[module.file]
        module.ids |= {id(module.calls[number][1]): id_ for number, id_ in calls.items()}
        module.ids |= {id(module.definitions[name]): id_ for name, id_ in definitions.items()}
        for name in module.functions:
            module.ids.setdefault(id(module.definitions.get(name)), f"{module.file}: {name}")

    def _identify_definitions(self, module: Module, names: Names) -> None:
        for name, definition in module.definitions.items():
            if self._marks(definition, name, names):
                module.ids[id(definition)] = f"{module.file}: {name}"
                module.functions.pop(name, None)
        for name in module.functions:
            module.ids.setdefault(id(module.definitions.get(name)), f"{module.file}: {name}")

    def _names(self, module: Module) -> Names:
        return Names(module, lambda n: self._named(n) if n != module.name else module)

    @staticmethod
    def _around(scope: str, module: Module) -> str:
        """The innermost function around a scope; '' at the level of the module."""
        inside = (
            s for s in scopes(scope) if isinstance(module.definitions.get(s), (ast.FunctionDef, ast.AsyncFunctionDef))
        )
        return next(inside, "")

    def _calls_of(self, function: str) -> Iterator[tuple[Names, str, ast.expr]]:
        """The calls of a function of the tree; of a library's attribute (`package=Object.name`) what is assigned to it."""
        for file, number in self._sites.get(function, ()):
            module = self._module(file)
            if module is not None and number < len(module.set if "=" in function else module.calls):
                scope, _, value = (
                    module.set[number] if "=" in function else (*module.calls[number][:2], module.calls[number][1])
                )
                yield self._names(module), scope, value

    def _marks(self, definition: Function | ast.ClassDef, name: str, names: Names) -> list[str]:
        """The decorators and base classes that come from a library in question."""
        scope = name.rpartition(".")[0]
        nodes = [*definition.decorator_list, *(definition.bases if isinstance(definition, ast.ClassDef) else [])]
        marks = [names.qualified(n.func if isinstance(n, ast.Call) else n, scope) for n in nodes]
        return [m for m in marks if m.partition(".")[0] in self._roots]

    # --- resources --------------------------------------------------------------------------------------------------
    def _resources(self, module: Module) -> Iterator[Resource]:
        names = self._names(module)
        values = Evaluator(names, self._calls_of)
        place = Place(module.file, 1)
        roots = sorted({n.partition(".")[0] for n in module.names.values()})
        body = Value({"imports": Value(tuple(Value(r, place) for r in roots), place)}, place)
        yield Resource(f"{module.file}: module", "python/file", module.file, body, place, scope=module.file)
        for scope, call, assigned in module.calls:
            if id(call) in module.ids:
                resource, servers = named_servers(self._call(call, scope, assigned, values))
                yield resource
                yield from servers
        for scope, target, value in module.set:
            called = names.qualified(target, scope)
            if called.partition(".")[0] in self._roots:
                where = Place(module.file, target.lineno)
                given, id_ = Value({"0": values.value(value, scope)}, where), f"{module.file}: {scope}={called}"
                yield Resource(
                    id_, f"set/{called}", target.attr, given, where, scope=module.file, part_of=_owner(scope, module)
                )
        for name, definition in module.definitions.items():
            for mark in self._marks(definition, name, names) if id(definition) in module.ids else ():
                yield self._definition(name, definition, f"definition/{mark}", values)
                break

    def _call(self, call: ast.Call, scope: str, assigned: str, values: Evaluator) -> Resource:
        module = values.names.module
        called = values.names.qualified(call.func, scope)
        where = Place(module.file, call.lineno, call.end_lineno or call.lineno)
        given = {**values.arguments(call, scope), "$on": receiver(call.func, scope, values)}
        inside = module.definitions.get(scope)
        if inside is not None and scope not in module.guarded:
            module.guarded[scope] = guarded(inside)
        if inside is not None and (failing := around(call, module.guarded[scope])) is not None:
            given["fails-open"] = _failing(failing, module.file)
        own = next(
            (d for key in ("name", "id") if key in given and isinstance(d := given[key].data, str) and len(d) <= 80), ""
        )
        name, part_of = assigned or own or called.rpartition(".")[2], _owner(scope, module)
        return Resource(
            module.ids[id(call)], f"call/{called}", name, Value(given, where), where, scope=module.file, part_of=part_of
        )

    def _handed(self) -> Iterator[Resource]:
        """Functions that call a library, or are handed to one; more of them come up while they are looked at."""
        done: set[tuple[str, str]] = set()
        while todo := [(f, n) for f, names in self._functions.items() for n in names if (f, n) not in done]:
            for file, name in todo:
                done.add((file, name))
                module = self._module(file)
                function = module.definitions.get(name) if module is not None else None
                if module is not None and isinstance(function, (ast.FunctionDef, ast.AsyncFunctionDef)):
                    module.ids.setdefault(id(function), f"{file}: {name}")
                    values = Evaluator(self._names(module), self._calls_of)
                    yield self._definition(name, function, "python/function", values, module.functions.get(name, False))

    def _definition(
        self, name: str, definition: Function | ast.ClassDef, kind: str, values: Evaluator, acts: bool = True
    ) -> Resource:
        module, outer = values.names.module, name.rpartition(".")[0]
        place = Place(module.file, definition.lineno, definition.end_lineno or definition.lineno)
        marked = next((d for d in definition.decorator_list if isinstance(d, ast.Call)), None)
        body = values.arguments(marked, outer) if marked is not None else {}
        body["doc"] = Value((ast.get_docstring(definition) or "")[:1000], place)
        body |= does(name, values, place) if acts else {}
        if definition.decorator_list:
            first = definition.decorator_list[0]
            body["$on"] = receiver(first.func if isinstance(first, ast.Call) else first, outer, values)
            place = Place(module.file, first.lineno, place.end)
        if (failing := on_error(definition)) is not None:
            body["fails-open"] = _failing(failing, module.file)
        if isinstance(definition, ast.ClassDef):
            body |= {
                k.rpartition(":")[2]: values.value(v, name)
                for k, v in module.values.items()
                if k.rpartition(":")[0] == name
            }
        else:
            given = [
                Value(a.arg, Place(module.file, a.lineno))
                for a in parameters(definition)
                if a.arg not in ("self", "cls")
            ]
            body["parameters"] = Value(tuple(given), place)
        return Resource(
            module.ids[id(definition)], kind, definition.name, Value(body, place), place, scope=module.file, part_of=_owner(outer, module)
        )  # fmt: skip


def _owner(scope: str, module: Module) -> str:
    """The nearest function or class around a scope that is a resource; else the file."""
    ids = (module.ids.get(id(module.definitions.get(s))) for s in scopes(scope) if s)
    return next((i for i in ids if i), f"{module.file}: module")


def receiver(node: ast.expr, scope: str, values: Evaluator) -> Value:
    """The object whose method is called: `client` in `client.chat.completions.create()`, with what made it."""
    place = Place(values.names.module.file, node.lineno)
    while isinstance(node, ast.Attribute):
        node = node.value
        value = values.value(node, scope)
        if value.refs:
            return replace(value, place=place)
    return Value(None, place)


def _failing(failing: OnError, file: str) -> Value:
    state = State.UNKNOWN if failing.passes is None else State.KNOWN
    return Value(failing.passes, Place(file, failing.line), state)
