# SPDX-License-Identifier: Apache-2.0
"""What a conversation contains, prepared for looking values up: who said it, and the structure of results that have one.

A structured result (JSON, or what tools print: YAML, Python literals) is taken apart into *atoms*, the short values of its fields, and
*prose*, everything longer than two words. The tool made the structure; what an attacker writes stands inside one field. So an attack that has to
spell out a value to be understood spells it in prose, and that is how `provenance` tells the two apart.
"""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Iterator, Mapping
from decimal import Decimal
from functools import cached_property
from typing import Any, NamedTuple

import msgspec
import yaml

from bastide.guard.flow.words import Day, amounts, bare_url, compact, days, fold, numbers, times, tokens, words
from bastide.guard.model import Label

SHORT, FEW_WORDS = 80, 8
"""Longest atom, in characters and in words; longer values are prose."""
MAX_PARSED, MAX_NODES, MAX_DEPTH = 400_000, 50_000, 40
_YAML_START = re.compile(r"\s*(?:- \S|[A-Za-z_][\w -]{0,40}:(?:\s|$))")
_GLUE = re.compile(r"[-_./\\]+")
_COLUMN = re.compile(r"[a-z][a-z0-9_]*")
_EXTENSION = re.compile(r"\.[a-z0-9]{1,5}$")


class Atom(NamedTuple):
    """A short value of a structured result."""

    value: str
    """Folded."""
    tokens: str
    """The same as whole tokens."""
    key: str
    """The nearest key above it; '' in a plain list."""
    record: int
    """Which object or list element of the result it belongs to."""
    integrity: int


class Said:
    """A text with its label. The forms in which it is looked up are made when they are first needed."""

    def __init__(
        self, text: str, label: Label, role: str, fields: Mapping[str, int] | None = None, level: int = 2
    ) -> None:
        """role: user, system, assistant or tool; fields: a result's field -> integrity; level: integrity that counts as trusted."""
        self.text, self.label, self.role = text, label, role
        self.fields: Mapping[str, int] = fields or {}
        self.level = level
        self.question: Mapping[str, Any] = {}
        """The arguments of the call that it answers."""

    def echoes(self, value: str) -> bool:
        """Whether it was asked with this value: to repeat a question vouches for nothing in it."""
        if not self.question:
            return False
        sought, tight = words(value), compact(value)
        return sought in self._asked[0] or (len(tight) >= 8 and tight in self._asked[1])

    @cached_property
    def _asked(self) -> tuple[str, str]:
        """The question as loose words, and as letters and digits."""
        texts = _texts(self.question)
        return "\n".join(map(words, texts)), compact("".join(texts))

    @property
    def trusted(self) -> bool:
        """Whether all of it is trusted."""
        return self.label.integrity >= self.level

    @cached_property
    def tokens(self) -> str:
        """Whole tokens of all of it."""
        return tokens(self.text)

    @cached_property
    def words(self) -> str:
        """Loose words of all of it."""
        return words(self.text)

    @cached_property
    def lines(self) -> frozenset[str]:
        """Loose words of each of its lines and values, and of all of it."""
        return frozenset((self.words, *map(words, self.text.splitlines()), *(words(a.value) for a in self.atoms)))

    @cached_property
    def addresses(self) -> frozenset[str]:
        """What may be addresses on the web, without their scheme."""
        return frozenset(bare_url(t) for t in self.tokens.split() if "." in t)

    @cached_property
    def atoms(self) -> tuple[Atom, ...]:
        """The short values of its fields; none when it has no structure."""
        return self._taken_apart[0]

    @cached_property
    def prose(self) -> str:
        """Its values of more than two words, or all of it when it has no structure."""
        return "\n".join(self._taken_apart[1])

    @cached_property
    def prose_words(self) -> str:
        """Loose words of the prose, a line for each value."""
        return "".join(f"\n{words(part)}\n" for part in self._taken_apart[1])

    @cached_property
    def prose_compact(self) -> str:
        """Letters and digits of the prose."""
        return compact(self.prose)

    @cached_property
    def numbers(self) -> frozenset[tuple[Decimal, bool]]:
        """Numbers in the prose, and whether each is a percentage."""
        return frozenset(numbers(self.prose))

    @cached_property
    def amounts(self) -> frozenset[Decimal]:
        """Those of them that aren't the number of a thing."""
        return amounts(fold(self.prose))

    @cached_property
    def days(self) -> frozenset[Day]:
        """Days named in the prose."""
        return days(self.prose)

    @cached_property
    def times(self) -> frozenset[tuple[int, int]]:
        """Times of day named in the prose."""
        return times(self.prose)

    @cached_property
    def _taken_apart(self) -> tuple[tuple[Atom, ...], tuple[str, ...]]:
        tree = structure(self.text) if self.role == "tool" else None
        if tree is None and self.role == "tool" and len(self.text) <= SHORT and self.text.strip().count(" ") < 2:
            tree = [self.text.strip()]  # a single value: what a clock or a counter says
        if tree is None:
            return (), (self.text,)
        taken = _Taking(self.fields, self.label.integrity, self.level)
        if not taken.take(tree):
            return (), (self.text,)
        return tuple(taken.atoms), tuple(taken.prose)


class _Taking:
    """Takes a tree apart, with bounds."""

    def __init__(self, fields: Mapping[str, int], integrity: int, level: int) -> None:
        self.fields, self.integrity, self.level = fields, integrity, level
        self.atoms: list[Atom] = []
        self.prose: list[str] = []
        self.records = 0
        self.nodes = 0
        self.keys: set[str] = set()

    def take(self, tree: Any) -> bool:
        """False when a bound was reached: the result then counts as text without structure."""
        todo: list[tuple[Any, str, str, int, int]] = [(tree, "", "", 0, 0)]
        while todo:
            node, key, path, record, depth = todo.pop()
            self.nodes += 1
            if self.nodes > MAX_NODES or depth > MAX_DEPTH:
                return False
            if isinstance(node, dict):
                self.records += 1
                here = self.records
                for k, v in node.items():
                    name = str(k)
                    # Keys can be values (`{"City Hub": "4.3"}`); those of a table's columns are needed once.
                    if name not in self.keys or not _COLUMN.fullmatch(name):
                        self.keys.add(name)
                        self._leaf(name, "", "", self._of_key(v, record, here))
                    todo.append((v, name, f"{path}.{name}" if path else name, here, depth + 1))
            elif isinstance(node, list | tuple | set):
                for item in node:
                    # An element of a plain list is a record of its own only when the list isn't a field's value.
                    self.records += not key
                    todo.append((item, key, path, record if key else self.records, depth + 1))
            else:
                self._leaf("" if node is None else str(node), key, path, record)
        return True

    @staticmethod
    def _of_key(value: Any, record: int, here: int) -> int:
        return here if not isinstance(value, dict | list) else record

    def _leaf(self, text: str, key: str, path: str, record: int) -> None:
        integrity = self.fields.get(path, self.fields.get(key.strip("_"), self.fields.get(key, self.integrity)))
        if not text:
            return
        spaces = text.count(" ")
        short = len(text) <= SHORT and spaces < FEW_WORDS
        if short or integrity >= self.level:
            self._atom(text, key, record, integrity)
        # A short sentence is both: a value of its own, and enough to tell a model what to do.
        if integrity < self.level and (spaces >= 2 or not short):
            self.prose.append(text)

    def _atom(self, text: str, key: str, record: int, integrity: int) -> None:
        self.atoms.append(Atom(fold(text).strip(), tokens(text), key.lower().strip("_"), record, integrity))


def structure(text: str) -> Any:
    """The tree of a structured text, or None. Nothing in it is run, and what is too large isn't read."""
    start = text.lstrip()[:1]
    if not start or len(text) > MAX_PARSED:
        return None
    if start in '{["':
        try:
            return _container(msgspec.json.decode(text))
        except (msgspec.DecodeError, RecursionError, UnicodeError):
            return _literal(text) if start != '"' else None
    if (_YAML_START.match(text) and "\n" in text.strip()) or text.startswith("- "):
        try:
            return _container(_built(yaml.parse(text, Loader=_Loader)))
        except (yaml.YAMLError, ValueError, TypeError):
            return None
    return None


def _container(tree: Any) -> Any:
    return tree if isinstance(tree, dict | list) else None


def _literal(text: str) -> Any:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a literal with a bad escape is the tool's business
            return _container(ast.literal_eval(text.strip()))
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return None


def _built(events: Iterator[Any]) -> Any:
    """The tree of YAML events: strings, lists and mappings only. None at a second document, an alias or beyond a bound.

    Event by event, because building with libyaml's composer ends the process on deep nesting.
    """
    root: list[Any] = []
    stack: list[tuple[Any, list[Any]]] = [(root, [])]
    for count, event in enumerate(events):
        if count > 2 * MAX_NODES or len(stack) > MAX_DEPTH or isinstance(event, yaml.AliasEvent):
            return None
        if isinstance(event, yaml.MappingStartEvent | yaml.SequenceStartEvent):
            node: Any = {} if isinstance(event, yaml.MappingStartEvent) else []
            _put(stack[-1], node)
            stack.append((node, []))
        elif isinstance(event, yaml.ScalarEvent):
            _put(stack[-1], event.value if event.style or event.value not in ("null", "~") else "")
        elif isinstance(event, yaml.MappingEndEvent | yaml.SequenceEndEvent):
            stack.pop()
    return root[0] if len(root) == 1 else None


def _put(top: tuple[Any, list[Any]], node: Any) -> None:
    """Adds a node to a list, or as the key or the value that is next in a mapping."""
    into, key = top
    if isinstance(into, list):
        into.append(node)
    elif key:
        into[key.pop()] = node
    else:
        key.append(str(node))


_Loader: Any = getattr(yaml, "CBaseLoader", yaml.BaseLoader)


def _texts(value: Any) -> list[str]:
    """Every key and value in some arguments, in their order."""
    found: list[str] = []
    todo = [value]
    while todo:
        node = todo.pop()
        if isinstance(node, Mapping):
            todo += [x for key, inner in list(node.items())[::-1] for x in (inner, key)]
        elif isinstance(node, list | tuple):
            todo += list(node)[::-1]
        elif node is not None:
            found.append(str(node))
    return found


def names(value: str) -> Iterator[str]:
    """The ways in which people may write a name: as it stands, and a file's without separators and extension."""
    yield tokens(value)
    bare = _GLUE.sub(" ", _EXTENSION.sub("", value))
    if bare != value:
        yield tokens(bare)
