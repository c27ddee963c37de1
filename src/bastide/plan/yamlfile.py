# SPDX-License-Identifier: Apache-2.0
"""Reads YAML into nodes that know their line and column, and refuses what makes YAML dangerous.

PyYAML's loaders take the last of two duplicate keys in silence, read `no` as False, expand aliases without a bound and give values
no position. So this builds its own tree from libyaml's events: YAML 1.2 core scalars, duplicate keys and tags reported, aliases
and merge keys allowed up to a bound on the expanded size.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Any

import yaml

from bastide.errors import Diagnostic, InputError, LimitError, Location, PlanError

MAX_BYTES = 16 * 1024 * 1024
MAX_DEPTH = 48
MAX_NODES = 1_500_000
MAX_PROBLEMS = 200
"""Of one file; nobody reads more, and each costs a search for what was meant."""
_PARSER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_INTEGER = re.compile(r"[-+]?[0-9]{1,18}\Z")
_FLOAT = re.compile(r"[-+]?(\.[0-9]{1,40}|[0-9]{1,40}(\.[0-9]{0,40})?)([eE][-+]?[0-9]{1,3})?\Z")
_WORDS: dict[str, bool | None] = {
    "": None, "~": None, "null": None, "Null": None, "NULL": None,
    "true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False,
}  # fmt: skip

Scalar = str | bool | int | float | None


class Document:
    """One file that was read: its name, its lines (for messages) and what was found wrong while reading."""

    __slots__ = ("file", "lines", "problems")

    def __init__(self, file: str, text: str) -> None:
        self.file = file
        self.lines = text.split("\n")
        self.problems: list[Diagnostic] = []

    def location(self, line: int, column: int) -> Location:
        """A place in this file."""
        return Location(self.file, line, column)

    def line(self, number: int) -> str:
        """The text of a line (from 1), or ''."""
        return self.lines[number - 1].rstrip("\r") if 0 < number <= len(self.lines) else ""


@dataclass(frozen=True, slots=True, eq=False)
class Node:
    """A value with its place. `value` is a scalar, a list of nodes, or a dict from key text to node."""

    value: Any
    line: int
    column: int
    document: Document
    length: int = 1
    plain: bool = True
    """False for quoted scalars."""
    keys: dict[str, Node] | None = None
    """For mappings: the node of each key."""
    weight: int = 1
    """Number of nodes in it, aliases expanded."""
    written: str = ""
    """Of a scalar: the characters that stand in the file, so that the name `1.10` doesn't become `1.1`."""

    @property
    def location(self) -> Location:
        """Where it stands."""
        return Location(self.document.file, self.line, self.column)

    @property
    def is_map(self) -> bool:
        """Whether it is a mapping."""
        return isinstance(self.value, dict)

    @property
    def is_list(self) -> bool:
        """Whether it is a sequence."""
        return isinstance(self.value, list)

    def items(self) -> Iterator[tuple[str, Node, Node]]:
        """Of a mapping: key text, key node, value node. Nothing otherwise."""
        if self.is_map and self.keys is not None:
            for key, node in self.value.items():
                yield key, self.keys[key], node

    def get(self, key: str) -> Node | None:
        """The value of a key of a mapping."""
        return self.value.get(key) if self.is_map else None

    def problem(self, message: str, hint: str = "") -> None:
        """Notes a problem at this place; `Document.problems` collects them.

        Raises `PlanError` with all of them when there are too many to go on.
        """
        problems = self.document.problems
        problems.append(self.diagnostic(message, hint))
        if len(problems) >= MAX_PROBLEMS:
            found = sorted(problems, key=lambda p: (p.location.line, p.location.column))
            last = Diagnostic(
                f"has {MAX_PROBLEMS} problems or more; the rest was not read", Location(self.document.file)
            )
            raise PlanError([last, *found])

    def diagnostic(self, message: str, hint: str = "") -> Diagnostic:
        """A diagnostic at this place."""
        return Diagnostic(message, self.location, self.document.line(self.line), hint, self.length)

    def plain_data(self) -> Any:
        """The same as plain Python data."""
        if self.is_map:
            return {key: node.plain_data() for key, node in self.value.items()}
        if self.is_list:
            return [node.plain_data() for node in self.value]
        return self.value

    def describe(self) -> str:
        """What it is, for messages."""
        if self.is_map:
            return "a mapping"
        if self.is_list:
            return "a list"
        return "nothing" if self.value is None else f"`{str(self.value)[:60]}`"


def read_text(path: Path, error: type[InputError] = PlanError) -> str:
    """The text of a file.

    Raises `error` when it is missing, not a regular file, too big or not UTF-8 text.
    """
    try:
        if not path.is_file():
            what = "is a directory" if path.is_dir() else "no such file"
            raise error(Diagnostic(what, Location(str(path))))
        with path.open("rb") as stream:
            raw = stream.read(MAX_BYTES + 1)
    except (OSError, ValueError) as problem:
        reason = getattr(problem, "strerror", None) or str(problem)
        raise error(Diagnostic(f"can't be read: {reason}", Location(str(path)))) from None
    if len(raw) > MAX_BYTES:
        raise error(Diagnostic(f"is larger than {MAX_BYTES // 2**20} MiB", Location(str(path))))
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as problem:
        message = f"is not UTF-8 text (byte {problem.start})"
        raise error(Diagnostic(message, Location(str(path)), hint="save the file as UTF-8")) from None


def parse_documents(text: str, file: str, error: type[InputError] = PlanError) -> list[Node]:
    """All YAML documents of a text, one root node each.

    Raises `error` for a syntax error or when a bound is reached; duplicate keys and tags go to `Document.problems`.
    """
    document = Document(file, text)
    try:
        return list(_Builder(document).documents(text))
    except yaml.MarkedYAMLError as problem:
        raise error(_syntax_error(problem, document)) from None
    except yaml.YAMLError as problem:
        raise error(Diagnostic(f"not YAML: {_first_line(problem)}", Location(file))) from None
    except LimitError as problem:
        raise error(Diagnostic(str(problem), Location(file))) from None
    except (ValueError, RecursionError) as problem:
        raise error(Diagnostic(f"not YAML: {_first_line(problem)}", Location(file))) from None


def parse(text: str, file: str, error: type[InputError] = PlanError) -> Node:
    """The single YAML document of a text; see `parse_documents`."""
    roots = parse_documents(text, file, error)
    if len(roots) != 1:
        what = "is empty" if not roots else "has more than one YAML document"
        raise error(Diagnostic(what, Location(file, 1, 1)))
    return roots[0]


def _first_line(problem: Exception) -> str:
    return (str(problem).strip().splitlines() or ["unreadable"])[0][:200]


def _syntax_error(problem: yaml.MarkedYAMLError, document: Document) -> Diagnostic:
    mark = problem.problem_mark or problem.context_mark
    line, column = (mark.line + 1, mark.column + 1) if mark else (0, 0)
    what = ", ".join(part for part in (problem.context, problem.problem) if part)
    hint = ""
    text = document.line(line)
    if "\t" in text[: len(text) - len(text.lstrip())]:
        hint = "indent with spaces; YAML doesn't allow tabs"
    return Diagnostic(f"not YAML: {what}", document.location(line, column), text, hint)


class _Builder:
    """Turns one stream of events into nodes, without recursion."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self.anchors: dict[str, Node | None] = {}
        self.total = 0

    def documents(self, text: str) -> Iterator[Node]:
        loader = _PARSER(text)
        try:
            while loader.check_event():
                event = loader.get_event()
                if isinstance(event, yaml.DocumentStartEvent):
                    self.anchors = {}
                    yield self._tree(loader)
        finally:
            loader.dispose()

    def _tree(self, loader: Any) -> Node:
        stack: list[_Open] = []
        while True:
            event = loader.get_event()
            node: Node
            if isinstance(event, yaml.ScalarEvent):
                node = self._scalar(event)
            elif isinstance(event, yaml.AliasEvent):
                node = self._alias(event)
            elif isinstance(event, (yaml.MappingStartEvent, yaml.SequenceStartEvent)):
                if len(stack) >= MAX_DEPTH:
                    raise LimitError(f"is nested deeper than {MAX_DEPTH} levels")
                self._no_tag(event)
                if event.anchor:
                    self.anchors[event.anchor] = None
                stack.append(_Open(event, isinstance(event, yaml.MappingStartEvent)))
                continue
            else:  # the end of a mapping or sequence
                closed = stack.pop()
                node = closed.close(self.document)
                if closed.start.anchor:
                    self.anchors[closed.start.anchor] = node
            self.total += 1
            if self.total > MAX_NODES or node.weight > MAX_NODES:
                raise LimitError(f"has more than {MAX_NODES} values when its aliases are expanded")
            if not stack:
                return node
            stack[-1].add(node)

    def _scalar(self, event: Any) -> Node:
        mark, text = event.start_mark, event.value
        self._no_tag(event)
        plain = event.style is None or event.style == ""
        length = max(1, event.end_mark.index - mark.index) if event.end_mark.line == mark.line else 1
        value = plain_scalar(text) if plain else text
        node = Node(value, mark.line + 1, mark.column + 1, self.document, length, plain, written=text)
        if event.anchor:
            self.anchors[event.anchor] = node
        return node

    def _alias(self, event: Any) -> Node:
        mark = event.start_mark
        here = Node(None, mark.line + 1, mark.column + 1, self.document, len(event.anchor) + 1)
        known = self.anchors.get(event.anchor)
        if known is None:
            what = "contains itself" if event.anchor in self.anchors else "has no anchor before it"
            here.problem(f"alias `*{event.anchor[:60]}` {what}")
            return here
        self.total += known.weight
        return known

    def _no_tag(self, event: Any) -> None:
        if event.tag and event.tag not in ("!", "tag:yaml.org,2002:str"):
            mark = event.start_mark
            here = Node(None, mark.line + 1, mark.column + 1, self.document)
            here.problem(f"tag `{event.tag[:60]}` is not allowed", "write the plain value")


class _Open:
    """A mapping or sequence that has not ended yet."""

    __slots__ = ("items", "mapping", "start")

    def __init__(self, start: Any, mapping: bool) -> None:
        self.start, self.mapping = start, mapping
        self.items: list[Node] = []

    def add(self, node: Node) -> None:
        self.items.append(node)

    def close(self, document: Document) -> Node:
        mark = self.start.start_mark
        line, column = mark.line + 1, mark.column + 1
        weight = 1 + sum(n.weight for n in self.items)
        if not self.mapping:
            return Node(self.items, line, column, document, weight=weight)
        values: dict[str, Node] = {}
        keys: dict[str, Node] = {}
        merges: list[Node] = []
        for key, value in zip(self.items[::2], self.items[1::2], strict=True):
            if isinstance(key.value, (dict, list)):
                key.problem("a key must be a plain word")
                continue
            text = key_text(key)
            if text == "<<" and key.plain:
                merges.append(value)
            elif text in values:
                key.problem(f"duplicate key `{text[:60]}`", f"it stands already in line {keys[text].line}")
            else:
                values[text], keys[text] = value, key
        for merged in merges:
            _merge(merged, values, keys)
        return Node(values, line, column, document, weight=weight, keys=keys)


def key_text(key: Node) -> str:
    """A key as it was written (YAML reads `1` or `true` as other types)."""
    if isinstance(key.value, bool):
        return "true" if key.value else "false"
    if isinstance(key.value, (int, float)):
        return key.written or str(key.value)
    return "" if key.value is None else str(key.value)


def _merge(merged: Node, values: dict[str, Node], keys: dict[str, Node]) -> None:
    parts = merged.value if merged.is_list else [merged]
    for part in parts:
        if not part.is_map:
            part.problem("`<<` needs a mapping (or a list of mappings) to merge", "such as `<<: *defaults`")
            continue
        for name, key, value in part.items():
            if name not in values:
                values[name], keys[name] = value, key


def plain_scalar(text: str) -> Scalar:
    """What an unquoted scalar means, by the core rules of YAML 1.2."""
    if text in _WORDS:
        return _WORDS[text]
    first = text[0]
    if first in "0123456789+-.":
        if _INTEGER.match(text):
            return int(text)
        if _FLOAT.match(text):
            # What is too large for a float stays text: infinity couldn't be saved.
            return number if isfinite(number := float(text)) else text
    return text
