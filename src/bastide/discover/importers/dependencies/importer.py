# SPDX-License-Identifier: Apache-2.0
"""Requirement files, pyproject, Pipfile, package.json and conda environments: `dependency/<ecosystem>/<name>` for what is named there itself."""

from __future__ import annotations

import posixpath
import re
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bastide.discover.importers.dependencies.locks import LOCKS, locked
from bastide.discover.interface import Tree
from bastide.discover.model import Place, Problem, Reading, Resource, Value
from bastide.discover.readers.json_ import read_json
from bastide.discover.readers.yaml_ import read_yaml

_REQUIREMENTS = re.compile(
    r"(?:\A|/)(?:requirements?(?:[-_.][\w.-]+)?|[\w.-]+[-_.]requirements?)\.(?:txt|in)\Z|(?:\A|/)requirements/[\w.-]+\.(?:txt|in)\Z"
)
_ENVIRONMENT = re.compile(r"(?:\A|/)environment[\w.-]*\.ya?ml\Z")
_NAMES = ("pyproject.toml", "Pipfile", "package.json")
_REQUIREMENT = re.compile(r"\s*([A-Za-z0-9][\w.-]{0,100})\s*(?:\[[^\]]{0,300}\])?\s*([^;#]{0,300})")
_EXACT = re.compile(r"(?:={1,3})?\s*v?(\d[\w.+!-]{0,60})\Z")
_DEVELOPMENT = re.compile(r"(?:dev|test|lint|docs?|types?|typing|ci|bench|example)", re.IGNORECASE)
"""Groups that people need who work on a program, not the program."""
_MOST = 5000
_LARGEST = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class _Need:
    name: str
    wanted: str
    place: Place
    ecosystem: str = "pypi"
    development: bool = False


class Dependencies:
    """Files by their usual names."""

    name = "dependencies"

    def wants(self, path: str, head: Callable[[], str]) -> bool:  # noqa: ARG002 (the name settles it)
        """By name. Lock files are looked up where they stand beside one of these."""
        return posixpath.basename(path) in _NAMES or bool(_REQUIREMENTS.search(path) or _ENVIRONMENT.search(path))

    def read(self, tree: Tree, files: Sequence[str]) -> Reading:
        """What the files name, with the version that is locked beside them."""
        found: list[Resource] = []
        problems: list[Problem] = []
        versions = _Versions(tree)
        for file in files:
            if (text := tree.read(file)) is None:
                continue
            needs, wrong = _needs(text, file)
            problems += wrong
            if len(needs) > _MOST:
                problems.append(
                    Problem(Place(file), f"names more than {_MOST} libraries; the others were not read", hides=False)
                )
            taken: set[str] = set()
            for need in needs[:_MOST]:
                id_ = f"{file}: {need.name}"
                if id_ not in taken:
                    taken.add(id_)
                    found.append(_resource(id_, need, versions.of(file, need)))
        return Reading(tuple(found), tuple(problems), frozenset(files))


def normal(name: str) -> str:
    """A name of PyPI in the form in which names are compared; names of npm are it already."""
    return re.sub(r"[-_.]+", "-", name).lower() if not name.startswith("@") else name.lower()


def _resource(id_: str, need: _Need, version: str) -> Resource:
    exact = _EXACT.match(need.wanted)
    body = {"requirement": Value(need.wanted, need.place), "development": Value(need.development, need.place)}
    if version or exact:
        body["version"] = Value(version or (exact[1] if exact else ""), need.place)
    return Resource(
        id_,
        f"dependency/{need.ecosystem}/{need.name}",
        need.name,
        Value(body, need.place),
        need.place,
        scope=posixpath.dirname(need.place.file),
    )


class _Versions:
    """Lock files, read once each; the nearest one above counts."""

    def __init__(self, tree: Tree) -> None:
        self._tree = tree
        self._files = {f for f in tree.files if posixpath.basename(f) in LOCKS}
        self._read: dict[str, dict[str, str]] = {}

    def of(self, file: str, need: _Need) -> str:
        if posixpath.basename(file) not in _NAMES:
            return ""
        folder = posixpath.dirname(file)
        while True:
            for name, (ecosystem, _) in LOCKS.items():
                lock = f"{folder}/{name}" if folder else name
                if (
                    ecosystem == need.ecosystem
                    and lock in self._files
                    and (version := self._locked(lock).get(need.name))
                ):
                    return version
            if not folder:
                return ""
            folder = posixpath.dirname(folder)

    def _locked(self, lock: str) -> dict[str, str]:
        if lock not in self._read:
            text = self._tree.read(lock) if self._tree.sizes.get(lock, 0) <= _LARGEST else None
            self._read[lock] = locked(posixpath.basename(lock), text, normal) if text is not None else {}
        return self._read[lock]


# --- files --------------------------------------------------------------------------------------------------------------------
def _needs(text: str, file: str) -> tuple[list[_Need], list[Problem]]:
    name = posixpath.basename(file)
    if name == "package.json":
        root, problems = read_json(text, file)
        return list(_package_json(root)) if root is not None else [], problems
    if name.endswith((".yml", ".yaml")):
        documents, problems = read_yaml(text, file)
        return [need for document in documents[:1] for need in _environment(document)], problems
    if name in ("pyproject.toml", "Pipfile"):
        try:
            document = tomllib.loads(text)
        except (tomllib.TOMLDecodeError, RecursionError) as error:
            return [], [Problem(Place(file), f"is not TOML: {str(error)[:200]}")]
        places = _Lines(text, file)
        return list(_pyproject(document, places) if name == "pyproject.toml" else _pipfile(document, places)), []
    development = bool(re.search(r"dev|test|lint|docs", name))
    return [
        n
        for number, line in enumerate(text.splitlines(), 1)
        if (n := _requirement(line, Place(file, number), development))
    ], []


def _requirement(text: str, place: Place, development: bool = False) -> _Need | None:
    """One line of a requirements file, or one dependency of a project."""
    line = text.split(" #", maxsplit=1)[0].strip()
    found = None if line.startswith(("#", "-", ".", "/", "git+", "http")) else _REQUIREMENT.match(line)
    return (
        _Need(normal(found[1]), found[2].strip().rstrip("\\").strip()[:100], place, "pypi", development)
        if found
        else None
    )


class _Lines:
    """Where names stand in a text without positions."""

    def __init__(self, text: str, file: str) -> None:
        self._file = file
        self._first: dict[str, int] = {}
        for number, line in enumerate(text.splitlines(), 1):
            for word in re.findall(r"[\w@][\w@./-]*", line.split("#")[0]):
                self._first.setdefault(normal(word), number)

    def of(self, name: str) -> Place:
        return Place(self._file, self._first.get(normal(name), 0))


def _pyproject(document: Mapping[str, Any], places: _Lines) -> Iterator[_Need]:
    project, tool = _table(document.get("project")), _table(document.get("tool"))
    yield from _listed(project.get("dependencies"), places)
    for name, extra in _table(project.get("optional-dependencies")).items():
        yield from _listed(extra, places, development=bool(_DEVELOPMENT.match(name)))
    for group in _table(document.get("dependency-groups")).values():
        yield from _listed(group, places, development=True)
    poetry = _table(tool.get("poetry"))
    yield from _named(poetry.get("dependencies"), places)
    for name, group in _table(poetry.get("group")).items():
        yield from _named(_table(group).get("dependencies"), places, development=bool(_DEVELOPMENT.match(name)))


def _pipfile(document: Mapping[str, Any], places: _Lines) -> Iterator[_Need]:
    yield from _named(document.get("packages"), places)
    yield from _named(document.get("dev-packages"), places, development=True)


def _table(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _listed(entries: object, places: _Lines, development: bool = False) -> Iterator[_Need]:
    for entry in entries if isinstance(entries, list) else ():
        if isinstance(entry, str) and (need := _requirement(entry, Place(""), development)):
            yield _Need(need.name, need.wanted, places.of(need.name), "pypi", development)


def _named(entries: object, places: _Lines, development: bool = False) -> Iterator[_Need]:
    for name, wanted in _table(entries).items():
        version = wanted if isinstance(wanted, str) else _table(wanted).get("version", "")
        if name != "python":
            yield _Need(
                normal(name), str(version)[:100] if version != "*" else "", places.of(name), "pypi", development
            )


def _package_json(root: Value) -> Iterator[_Need]:
    for key in ("dependencies", "peerDependencies", "optionalDependencies", "devDependencies"):
        table = root.data.get(key) if isinstance(root.data, Mapping) else None
        for name, wanted in (table.data if table is not None and isinstance(table.data, Mapping) else {}).items():
            yield _Need(name.lower()[:200], str(wanted.data or "")[:100], wanted.place, "npm", key == "devDependencies")


def _environment(root: Value) -> Iterator[_Need]:
    for entry in root.find("dependencies") if isinstance(root.data, Mapping) else ():
        if isinstance(entry.data, str) and (found := re.match(r"(?:[\w-]+::)?([\w.-]+)\s*([^\s]*)", entry.data)):
            yield _Need(
                normal(found[1]),
                found[2].replace("==", "=").replace("=", "==", 1).partition("=py")[0][:100],
                entry.place,
                "conda",
            )
        elif isinstance(entry.data, Mapping):
            yield from (
                n for v in entry.find("pip") if isinstance(v.data, str) and (n := _requirement(v.data, v.place))
            )
