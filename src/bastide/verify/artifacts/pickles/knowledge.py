# SPDX-License-Identifier: Apache-2.0
"""What is known of the functions and classes that pickles name: `knowledge/artifacts/pickle/*.yaml`."""

from __future__ import annotations

import _compat_pickle
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from functools import cache, lru_cache
from pathlib import Path

from bastide.errors import KnowledgeError
from bastide.plan.yamlfile import Node, parse, read_text

FOLDER = Path(__file__).resolve().parents[3] / "knowledge" / "artifacts" / "pickle"
_CLASS = re.compile(r"_*[A-Z]")
_COMPILED = "__pyx_unpickle_"
"""How Cython calls the functions that make objects of its classes again."""
_BRACES = re.compile(r"(.*)\{([^}]*)\}(.*)\Z")


class Standing(Enum):
    """What may be done with something that a pickle imports."""

    CALL = "may be called"
    CLASS = "may be made without being set up, and given a state"
    VALUE = "may be named"
    FUNCTION = "may be named, and is no class"
    REFUSED = "does harm when it is called"
    UNKNOWN = "nothing is known of it"


@dataclass(frozen=True, slots=True)
class Entry:
    """What is known of one name."""

    standing: Standing
    why: str = ""
    """What it does; of a refused one, its effect."""
    library: str = ""


@dataclass(slots=True)
class Library:
    """One file of the knowledge."""

    name: str
    roots: tuple[str, ...] = ()
    """Modules whose classes may be made by `__new__` and given a state: their authors' code runs, and no other."""
    not_under: tuple[str, ...] = ()
    """Modules below them of which that isn't true."""
    calls: dict[str, str] = field(default_factory=dict)
    classes: dict[str, str] = field(default_factory=dict)
    values: dict[str, str] = field(default_factory=dict)
    functions: dict[str, str] = field(default_factory=dict)
    small_classes: tuple[str, ...] = ()
    """Names of classes in small letters, of a library of which all are known: other names in small letters are functions then."""
    refuse: dict[str, str] = field(default_factory=dict)
    """Pattern -> effect."""
    same_as: dict[str, str] = field(default_factory=dict)
    """Old name of a module -> its present one."""
    harmful_names: tuple[str, ...] = ()
    """Names in code objects by which code does harm."""


class Knowledge:
    """All libraries together."""

    def __init__(self, libraries: tuple[Library, ...]) -> None:
        self._exact: dict[str, Entry] = {}
        self._under: dict[str, Entry] = {}
        """Module -> what is known of everything below it."""
        self._renamed: dict[str, str] = {"posix": "os", "nt": "os", "__builtin__": "builtins", "copy_reg": "copyreg"}
        self._small: dict[str, frozenset[str]] = {}
        self.harmful_names = frozenset(name for library in libraries for name in library.harmful_names)
        for library in libraries:
            self._add(library)
        self.entry = lru_cache(16384)(self._entry)
        self.canonical = lru_cache(16384)(self._canonical)

    def _add(self, library: Library) -> None:
        for pattern, effect in library.refuse.items():
            self._put(pattern, Entry(Standing.REFUSED, effect, library.name))
        for names, standing in (
            (library.values, Standing.VALUE),
            (library.functions, Standing.FUNCTION),
            (library.classes, Standing.CLASS),
            (library.calls, Standing.CALL),
        ):
            for pattern, why in names.items():
                self._put(pattern, Entry(standing, why, library.name))
        for root in library.roots:
            self._under.setdefault(root, Entry(Standing.CLASS, library=library.name))
        for module in library.not_under:
            self._under.setdefault(module, Entry(Standing.UNKNOWN, library=library.name))
        if library.small_classes:
            self._small[library.name] = frozenset(library.small_classes)
        self._renamed |= library.same_as

    def _put(self, pattern: str, entry: Entry) -> None:
        if pattern.endswith(".*"):
            self._under[pattern[:-2]] = entry
        else:
            self._exact[pattern] = entry

    def _canonical(self, path: str) -> str:
        """The present name of something: modules are renamed, and some have more than one name."""
        head, dot, rest = path.partition(".")
        path = self._renamed.get(head, head) + dot + rest
        for old, new in self._renamed.items():
            if path.startswith(old + "."):
                return new + path[len(old) :]
        return path

    def listed(self, path: str) -> bool:
        """Whether it is known by its whole name, and may be named."""
        found = self._exact.get(self.canonical(path))
        return found is not None and found.standing is not Standing.REFUSED

    def _entry(self, path: str) -> Entry:
        path = self.canonical(path)
        found = self._exact.get(path)
        if found is not None:
            return found
        for module in _parents(path):
            below = self._under.get(module)
            if below is not None:
                whole = below.standing is not Standing.CALL and (below.standing is not Standing.CLASS or below.why)
                return below if whole else self._by_name(path, below)
        return Entry(Standing.UNKNOWN)

    def _by_name(self, path: str, root: Entry) -> Entry:
        """Inside of a known library: a class by its name, else something that may be named but not called."""
        name = path.rpartition(".")[2]
        if _CLASS.match(name) or (root.standing is Standing.CALL and name.startswith(_COMPILED)):
            return root
        small = self._small.get(root.library)
        standing = Standing.VALUE if small is None or name in small else Standing.FUNCTION
        return Entry(standing, "a part of the library", root.library)


def _parents(path: str) -> Iterator[str]:
    while path:
        yield path
        path = path.rpartition(".")[0]


def old_names(module: str, name: str) -> tuple[str, str]:
    """What the readers make of a Python 2 name in a pickle of protocol 2 and below."""
    if (module, name) in _compat_pickle.NAME_MAPPING:
        return _compat_pickle.NAME_MAPPING[module, name]
    return _compat_pickle.IMPORT_MAPPING.get(module, module), name


@cache
def load_knowledge(folder: Path = FOLDER) -> Knowledge:
    """The knowledge that ships with Bastide. Raises `KnowledgeError`."""
    return Knowledge(tuple(_read(path) for path in sorted(folder.glob("*.yaml"))))


def _read(path: Path) -> Library:
    node = parse(read_text(path), str(path))
    if node.document.problems:
        raise KnowledgeError(node.document.problems)
    parts: Mapping[str, Node] = node.value
    refuse = {
        pattern: effect
        for effect, patterns in _items(parts, "refuse")
        for item in patterns.value
        for pattern in _spread(str(item.value))
    }
    return Library(
        str(parts["library"].value),
        _list(parts, "roots"),
        _list(parts, "not-under"),
        _texts(parts, "calls"),
        _texts(parts, "classes"),
        _texts(parts, "values"),
        _texts(parts, "functions"),
        _list(parts, "small-classes"),
        refuse,
        _texts(parts, "same-as"),
        _list(parts, "harmful-names"),
    )


def _items(parts: Mapping[str, Node], key: str) -> list[tuple[str, Node]]:
    return list(parts[key].value.items()) if key in parts else []


def _list(parts: Mapping[str, Node], key: str) -> tuple[str, ...]:
    return tuple(str(item.value) for item in parts[key].value) if key in parts else ()


def _texts(parts: Mapping[str, Node], key: str) -> dict[str, str]:
    return {name: str(node.value) for pattern, node in _items(parts, key) for name in _spread(pattern)}


def _spread(pattern: str) -> list[str]:
    """`os.{system,popen}` -> `os.system`, `os.popen`."""
    found = _BRACES.match(pattern)
    return [found[1] + word.strip() + found[3] for word in found[2].split(",")] if found else [pattern]
