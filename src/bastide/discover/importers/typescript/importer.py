# SPDX-License-Identifier: Apache-2.0
"""Calls and subclasses in the files that use a package of which the type catalogue knows something."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Iterator, Sequence

from tree_sitter import Node

from bastide.discover.importers.kept import Kept
from bastide.discover.importers.mcp import named_servers
from bastide.discover.importers.objects import on_the_only_one
from bastide.discover.importers.typescript.given import Given
from bastide.discover.importers.typescript.module import FUNCTIONS, Call, Module, around, parse
from bastide.discover.importers.typescript.names import Library, Names, package_name
from bastide.discover.importers.typescript.patterns import line_of, text_of
from bastide.discover.importers.typescript.servers import with_command
from bastide.discover.importers.typescript.values import Evaluator
from bastide.discover.interface import Tree
from bastide.discover.model import Place, Problem, Reading, Resource, Value

_FILE = re.compile(r"\.[cm]?[jt]sx?\Z")
_OTHERS = re.compile(r"\.d\.[cm]?ts\Z|\.min\.[cm]?js\Z|(?:\A|/)(?:node_modules|dist|vendor|third_party)/")
TESTS = re.compile(
    r"(?:\A|/)(?:tests?|testing|__tests__|__mocks__|e2e|cypress)/|\.(?:test|spec|stories)\.[cm]?[jt]sx?\Z|(?:\A|/)[^/]*\.config\.[cm]?[jt]s\Z"
)
"""What tests or builds a system isn't the system."""
_ENDINGS = (".ts", ".tsx", ".mts", ".cts", ".js", ".jsx", ".mjs", ".cjs")
_LONG = 5000
"""Characters of a line that nobody wrote: the file is a bundle."""
_LOCAL = re.compile(r"""(?:\bfrom|\bimport|\brequire)\s*\(?\s*["'`]((?:\.|[@~#]/|src/)[^"'`\n]{0,300})["'`]""")
_AWAY = 3
"""Steps from a file that uses a package to those that only use it through others."""
_NESTED = 300
Span = tuple[str, int, int]
"""Type of a node, first and last byte."""
_VAGUE = frozenset(
    {"result", "response", "res", "r", "stream", "completion", "output", "out", "answer", "text", "data", "object", "message", "msg", "model",
     "llm", "default", ""}
)  # fmt: skip
_VERBS = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE", "main", "handler", "default", "run", ""})


class TypeScript:
    """Files of TypeScript and JavaScript; those without any of the packages are only looked through for their names."""

    name = "typescript"

    def __init__(self, packages: frozenset[str]) -> None:
        """`packages`: of which the catalogue knows calls or classes, such as `openai`; `@langchain/*` for all of a scope."""
        words = "|".join(
            sorted(
                r"@[\w.-]+/".replace(r"@[\w.-]+", re.escape(p[:-2])) + r"[\w.-]+" if p.endswith("/*") else re.escape(p)
                for p in packages
            )
        )
        self._mention = re.compile(rf"""(?:\bfrom|\bimport|\brequire)\s*\(?\s*["'`](?:{words or "(?!)"})(?=["'`/])""")
        self._package = re.compile(rf"js:(?:{words or '(?!)'})(?=[./])")

    def wants(self, path: str, head: Callable[[], str]) -> bool:  # noqa: ARG002 (the name settles it)
        """By name; no declarations, bundles or tests."""
        return bool(_FILE.search(path)) and not _OTHERS.search(path) and not TESTS.search(path)

    def read(self, tree: Tree, files: Sequence[str]) -> Reading:
        """The calls and subclasses of all files."""
        return _Reader(tree, files, self._mention, self._package).read()


class _Reader:
    def __init__(self, tree: Tree, files: Sequence[str], mention: re.Pattern[str], package: re.Pattern[str]) -> None:
        self._tree, self._files, self._mention, self._package = tree, files, mention, package
        self._known = frozenset(files)
        self._modules = Kept(files, self._parsed, self._identify, self._recall)
        self._problems: dict[str, list[Problem]] = {}
        self._names = Names(self._find)
        self._given = Given(self._modules.get)
        self._values = Evaluator(self._names, self._given)
        self._ids: dict[str, dict[Span, str]] = {}
        """Ids of a module's calls, classes and functions by where they stand."""
        self._found: dict[tuple[str, str], str] = {}

    def read(self) -> Reading:
        telling = [f for f in self._files if (text := self._tree.read(f)) is not None and self._mention.search(text)]
        telling += self._users(telling)
        # First who calls whom, in all of them: what a function is given stands elsewhere.
        for file in telling:
            self._modules.get(file)
        of_file: dict[str, list[Resource]] = {}
        for file in reversed(telling):
            module = self._modules.get(file)
            of_file[file] = list(self._resources(module)) if module is not None else []
        found = [resource for file in telling for resource in of_file[file]]
        problems = [p for all_ in self._problems.values() for p in all_]
        problems += [self._modules.problem] if self._modules.problem else []
        return Reading(tuple(on_the_only_one(found, self._tree.files)), tuple(problems), self._known)

    def _users(self, telling: Sequence[str]) -> list[str]:
        """Files that import one of those, also through others: a handler may only hand on."""
        known, found = set(telling), list[str]()
        rest = {
            f: t for f in self._files if f not in known and (t := self._tree.read(f)) is not None and not _bundle(t)
        }
        local = {f: {self._path(posixpath.dirname(f), s) for s in _LOCAL.findall(t)} for f, t in rest.items()}
        for _ in range(_AWAY):
            more = [f for f, used in local.items() if f not in known and not used.isdisjoint(known)]
            known.update(more)
            found += more
        return found

    def _parsed(self, file: str) -> tuple[Module | None, int]:
        text = self._tree.read(file)
        if text is None or _bundle(text):
            return None, 0
        parsed, self._problems[file] = parse(text, file)
        return parsed, len(text)

    # --- modules of the tree --------------------------------------------------------------------------------------------
    def _find(self, file: str, source: str) -> Module | None:
        """The module that an import means, when it is in the tree."""
        key = posixpath.dirname(file), source
        if key not in self._found:
            self._found[key] = self._path(*key)
        return self._modules.other(self._found[key]) if self._found[key] else None

    def _path(self, folder: str, source: str) -> str:
        if source.startswith("."):
            return self._file(posixpath.normpath(posixpath.join(folder, source)))
        alias = re.match(r"(?:@|~|#|src)/(.+)", source)
        if alias is None:
            return ""
        # The usual aliases of bundlers: a folder above, or its `src`.
        while True:
            for below in ("src", "", "app"):
                if found := self._file(posixpath.normpath(posixpath.join(folder, below, alias[1]))):
                    return found
            if not folder:
                return ""
            folder = posixpath.dirname(folder)

    def _file(self, path: str) -> str:
        stem = _FILE.sub("", path)
        candidates = (path, *(stem + e for e in _ENDINGS), *(path + e for e in _ENDINGS), *(f"{path}/index{e}" for e in _ENDINGS))  # fmt: skip
        return next((c for c in candidates if c in self._known), "")

    # --- ids: before any value is evaluated, so that values can refer to calls that come later ------------------------
    def _identify(self, module: Module) -> None:
        taken: dict[str, int] = {}
        for number, call in enumerate(module.calls):
            called = self._names.called(call, module)
            if called and self._package.match(called):
                name = ".".join(p for p in (call.scope.label, call.assigned or called.rpartition(".")[2]) if p)
                taken[name] = taken.get(name, 0) + 1
                module.ids[call.node.id] = f"{module.file}: {name}" + (f"#{taken[name]}" if taken[name] > 1 else "")
                self._acts(call, module)
            elif not called:
                self._given.add(number, self._names.callee(call, module), module)
        for node, scope in module.classes:
            if self._base(node, module):
                module.ids[node.id] = f"{module.file}: {scope.label}"
        self._ids[module.file] = {span: module.ids[id_] for span, id_ in _spans(module) if id_ in module.ids}

    def _recall(self, module: Module) -> None:
        """The ids again, for a module that was parsed before."""
        known = self._ids[module.file]
        module.ids |= {id_: known[span] for span, id_ in _spans(module) if span in known}
        functions = (s.node for s in module.scopes.values() if s.node is not None and s.node.type in FUNCTIONS)
        module.functions |= {f.id: f for f in functions if f.id in module.ids}

    @staticmethod
    def _acts(call: Call, module: Module) -> None:
        """The named function around a call of a package is a resource: it may be handed to something that runs it."""
        function = around(call.node, FUNCTIONS)
        scope = module.scopes.get(function.id) if function is not None else None
        if function is not None and scope is not None and scope.label and function.id not in module.ids:
            module.ids[function.id] = f"{module.file}: {scope.label}()"
            module.functions[function.id] = function

    def _base(self, node: Node, module: Module) -> str:
        """The class of a library that a class extends."""
        heritage = next((c for c in node.children if c.type == "class_heritage"), None)
        clause = (
            next((c for c in heritage.named_children if c.type == "extends_clause"), heritage)
            if heritage is not None
            else None
        )
        base = (
            clause.child_by_field_name("value") or next(iter(clause.named_children), None)
            if clause is not None
            else None
        )
        scope = module.scopes[node.id].above or module.scope
        target = self._names.target(base, scope, module)
        return target.name if isinstance(target, Library) and self._package.match(target.name) else ""

    # --- resources --------------------------------------------------------------------------------------------------------
    def _resources(self, module: Module) -> Iterator[Resource]:
        file_id = f"{module.file}: module"
        folder = posixpath.dirname(module.file)
        outside = {
            s: line for s, line in module.sources.items() if not s.startswith((".", "/")) and not self._path(folder, s)
        }
        imports = {f"js:{package_name(s)}": line for s, line in outside.items()}
        seen = tuple(Value(name, Place(module.file, line)) for name, line in sorted(imports.items()))
        place = Place(module.file, 1)
        uses = (Value(path, place) for s in module.sources if (path := self._path(folder, s)))
        yield Resource(
            file_id,
            "typescript/file",
            module.file,
            Value({"imports": Value(seen, place), "uses": Value(tuple(uses), place)}, place),
            place,
            scope=module.file,
        )
        for call in module.calls:
            if call.node.id in module.ids:
                resource, servers = named_servers(self._call(call, module, file_id))
                yield resource
                yield from servers
        for node, _ in module.classes:
            if node.id in module.ids:
                yield self._class(node, module, file_id)
        for left, right, scope in module.set:
            target = self._names.target(left, scope, module)
            if isinstance(target, Library) and self._package.match(target.name):
                place = Place(module.file, line_of(left))
                given, part_of = (
                    Value({"0": self._values.value(right, scope, module)}, place),
                    _owner(left, module) or file_id,
                )
                id_ = f"{module.file}: {place.line}={target.name}"
                yield Resource(
                    id_, f"set/{target.name}", text_of(left), given, place, scope=module.file, part_of=part_of
                )
        for node in module.functions.values():
            place = Place(module.file, line_of(node), node.end_point[0] + 1)
            body = Value({**self._values.does(node, module)}, place)
            name = module.scopes[node.id].label.rpartition(".")[2]
            part_of = _owner(node, module) or file_id
            yield Resource(
                module.ids[node.id], "typescript/function", name, body, place, scope=module.file, part_of=part_of
            )

    def _call(self, call: Call, module: Module, file_id: str) -> Resource:
        called = self._names.called(call, module)
        where = Place(module.file, _line(call.node), call.node.end_point[0] + 1)
        arguments = with_command(self._values.arguments(call.node, call.scope, module))
        body = Value({**arguments, "$on": self._values.receiver(call.node, call.scope, module)}, where)
        name = _name(call, called, body, module.file)
        return Resource(
            module.ids[call.node.id],
            f"call/{called}",
            name,
            body,
            where,
            scope=module.file,
            part_of=_owner(call.node, module) or file_id,
        )

    def _class(self, node: Node, module: Module, file_id: str) -> Resource:
        scope = module.scopes[node.id]
        place = Place(module.file, line_of(node), node.end_point[0] + 1)
        body = {
            k: self._values.value(b.node, b.scope, module)
            for k, b in scope.names.items()
            if b is not None and b.node is not None
        }
        body["calls"] = Value(self._values.calls(node, module), place)
        name = text_of(node.child_by_field_name("name")) or scope.label.rpartition(".")[2]
        return Resource(
            module.ids[node.id], f"definition/{self._base(node, module)}", name, Value(body, place), place, scope=module.file, part_of=file_id
        )  # fmt: skip


def _spans(module: Module) -> Iterator[tuple[Span, int]]:
    """Where everything stands that may have an id, and its number in this parse."""
    nodes = [*(c.node for c in module.calls), *(s.node for s in module.scopes.values() if s.node is not None)]
    yield from (((n.type, n.start_byte, n.end_byte), n.id) for n in nodes)


def _owner(node: Node, module: Module) -> str:
    """What acts in the functions around a node: the function or class, or the call to which the function is given; '' for the file."""
    inside = False
    for _ in range(_NESTED):
        inside = inside or node.type in FUNCTIONS
        above = node.parent
        if above is None:
            break
        node = above
        if node.id in module.ids and (inside or node.type in FUNCTIONS):
            return module.ids[node.id]
    return ""


def _bundle(text: str) -> bool:
    start = 0
    while (end := text.find("\n", start)) != -1:
        if end - start > _LONG:
            return True
        start = end + 1
    return len(text) - start > _LONG


def _line(call: Node) -> int:
    """The line of what is called, not of the object at the beginning of a chain."""
    function = call.child_by_field_name("function")
    member = (
        function.child_by_field_name("property")
        if function is not None and function.type == "member_expression"
        else None
    )
    return line_of(member or call)


def _name(call: Call, called: str, body: Value, file: str) -> str:
    """What a reader would call it: what it is assigned to, else its own name, else the function in which it stands."""
    if call.assigned not in _VAGUE or called.rpartition(".")[2][:1].isupper():
        return call.assigned or called.rpartition(".")[2]
    own = next((t for key in ("0", "name") if key in body.data and isinstance(t := body.data[key].data, str)), "")
    if own and len(own) <= 80:
        return own
    around = next((s.label.rpartition(".")[2] for s in call.scope.around() if s.label), "")
    if around not in _VERBS:
        return around
    stem = posixpath.basename(_FILE.sub("", file))
    return (
        posixpath.basename(posixpath.dirname(file)) or stem
        if stem in ("route", "index", "page", "main", "server")
        else stem
    )
