# SPDX-License-Identifier: Apache-2.0
"""Calls and definitions of the files that use a library of which the type catalogue knows something."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator, Sequence, Set
from dataclasses import replace

from bastide.discover.importers.kept import Kept
from bastide.discover.importers.mcp import named_servers
from bastide.discover.importers.objects import on_the_only_one
from bastide.discover.importers.python.acts import does
from bastide.discover.importers.python.crews import with_crews
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
        self._modules = Kept(files, self._parsed, self._identify, self._recall)
        self._notebooks: dict[str, Code] = {}
        self._functions: dict[str, dict[str, bool]] = {}
        self._seen: dict[tuple[str, str], tuple[bool, Resource | None]] = {}
        """File and name of a function -> whether it was handed to a library when it was looked at, and what it became."""
        self._ids: dict[str, tuple[dict[int, str], dict[str, str]]] = {}
        """Ids of a module's calls by their number, and of its definitions by name: found once, because that may lead through many modules."""
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
            self._modules.get(file)
        of_file: dict[str, list[Resource]] = {}
        # Backwards, because the last are still at hand.
        for file in reversed(telling):
            module = self._modules.get(file)
            of_file[file] = list(self._resources(module)) if module is not None else []
            # Now, because it is at hand.
            self._look(file)
            self._notebooks.pop(file, None)
        found = [resource for file in telling for resource in of_file[file]]
        found += self._handed()
        problems = [p for all_ in self._problems.values() for p in all_]
        problems += [self._modules.problem] if self._modules.problem else []
        found = list(with_crews(found, self._tree.read, problems))
        return Reading(tuple(on_the_only_one(found, self._tree.files)), tuple(problems), frozenset(self._files))

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
        return self._modules.other(file) if file is not None else None

    def _parsed(self, file: str) -> tuple[Module | None, int]:
        parsed: Module | Problem | None
        if file.endswith(".ipynb"):
            code = self._notebooks.get(file) or notebook(self._tree.read(file) or "", file)[0]
            if code is None:
                return None, 0
            text = code.text
            tree, self._problems[file] = parse_cells(code, file)
            parsed = module_of(tree, file)
        else:
            text = self._tree.read(file) or ""
            parsed = parse(text, file)
        if isinstance(parsed, Problem):
            self._problems[file] = [*(p for p in self._problems.get(file, ()) if p != parsed), parsed]
            return None, len(text)
        parsed.functions = self._functions.setdefault(file, {})
        return parsed, len(text)

    # --- ids: before any value is evaluated, so that values can refer to calls that come later --------------------
    def _identify(self, module: Module) -> None:
        names, taken, sites = self._names(module), dict[str, int](), self._sites
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
            module = self._modules.get(file)
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
        # Packages, and what is taken from them: `azure.functions` makes another program than `azure.identity`.
        seen = {".".join(n.split(".")[:depth]) for n in module.names.values() for depth in (1, 2)}
        uses = sorted(
            {self._by_name[k] for n in module.names.values() for k in (n, n.rpartition(".")[0]) if k in self._by_name}
        )
        body = Value(
            {
                "imports": Value(tuple(Value(n, place) for n in sorted(seen)), place),
                "uses": Value(tuple(Value(f, place) for f in uses), place),
            },
            place,
        )
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
        while todo := {f for f, names in self._functions.items() if any(self._unseen(f, n) for n in names)}:
            for file in [f for f in self._functions if f in todo]:
                self._look(file)
        yield from (r for f, names in self._functions.items() for n in names if (r := self._seen[f, n][1]) is not None)

    def _unseen(self, file: str, name: str) -> bool:
        """Whether a function is to be looked at: it is new, or by now handed to a library."""
        return (file, name) not in self._seen or self._seen[file, name][0] != self._functions[file][name]

    def _look(self, file: str) -> None:
        for name in [n for n in self._functions.get(file, ()) if self._unseen(file, n)]:
            handed = self._functions[file][name]
            self._seen[file, name] = handed, None
            module = self._modules.get(file)
            function = module.definitions.get(name) if module is not None else None
            if module is not None and isinstance(function, (ast.FunctionDef, ast.AsyncFunctionDef)):
                module.ids.setdefault(id(function), f"{file}: {name}")
                values = Evaluator(self._names(module), self._calls_of)
                found = self._definition(name, function, "python/function", values, handed)
                self._seen[file, name] = handed, found

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
