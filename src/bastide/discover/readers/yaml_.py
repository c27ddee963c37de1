# SPDX-License-Identifier: Apache-2.0
"""YAML as deployment tools read it: several documents, anchors, merge keys, tags, the last of two keys; every value with its line.

The plan's own reader (`plan.yamlfile`) is stricter on purpose: there a person can mend the file. A tag becomes a mapping: `!Ref x` reads as
`{"!Ref": x}`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import yaml

from bastide.discover.model import Place, Problem, State, Value
from bastide.errors import LimitError

DEPTH = 64
NODES = 400_000
"""Values of one file, those that aliases repeat included."""
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_NUMBER = re.compile(
    r"[-+]?(0x[0-9a-fA-F]{1,16}|0o?[0-7]{1,21}|[0-9]{1,18}|[0-9]*\.[0-9]{1,18}([eE][-+]?[0-9]{1,3})?)\Z"
)
_WORDS: Mapping[str, bool | None] = {
    "": None, "~": None, "null": None, "Null": None, "NULL": None,
    "true": True, "True": True, "TRUE": True, "yes": True, "Yes": True, "YES": True, "on": True, "On": True, "ON": True,
    "false": False, "False": False, "FALSE": False, "no": False, "No": False, "NO": False, "off": False, "Off": False, "OFF": False,
}  # fmt: skip
_STANDARD = "tag:yaml.org,2002:"


def read_yaml(text: str, file: str, first_line: int = 1) -> tuple[list[Value], list[Problem]]:
    """The documents of a text, as many as can be read, and what stopped the reading. Empty documents are left out.

    `first_line`: where the text begins in the file, for YAML that is embedded in something else.
    """
    documents: list[Value] = []
    try:
        documents.extend(_Builder(file, first_line - 1).documents(text))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + first_line if mark else 0
        return documents, [Problem(Place(file, line), f"is not YAML: {error.problem or error.context}")]
    except (yaml.YAMLError, LimitError, ValueError) as error:
        reason = (str(error).splitlines() or ["unreadable"])[0][:200]
        return documents, [Problem(Place(file), f"can't be read as YAML: {reason}")]
    return documents, []


def scalar(text: str) -> Any:
    """What a plain YAML 1.1 scalar means; dates and other exotic types stay text."""
    if text in _WORDS:
        return _WORDS[text]
    if not _NUMBER.match(text):
        return text
    try:
        if text.lstrip("+-").startswith(("0x", "0o")):
            return int(text, 0)
        return float(text) if "." in text else int(text)
    except ValueError:
        return text


@dataclass(slots=True)
class _Open:
    """A collection whose end hasn't come."""

    line: int
    anchor: str | None
    tag: str
    items: dict[str, Value] | list[Value]
    key: str | None = None
    key_line: int = 0
    merged: list[Value] = field(default_factory=list)
    weight: int = 1


class _Builder:
    def __init__(self, file: str, offset: int) -> None:
        self._file, self._offset = file, offset
        self._anchors: dict[str, tuple[Value, int]] = {}
        self._stack: list[_Open] = []
        self._nodes = 0

    def documents(self, text: str) -> Iterator[Value]:
        root: Value | None = None
        for event in yaml.parse(text, Loader=_LOADER):
            if isinstance(event, yaml.DocumentEndEvent):
                self._anchors.clear()
                if root is not None and root.data is not None:
                    yield root
                root = None
            elif (done := self._done(event)) is not None:
                if self._stack:
                    self._add(self._stack[-1], *done)
                else:
                    root = done[0]

    def _done(self, event: Any) -> tuple[Value, int] | None:
        """The value that ends with an event, and its weight."""
        if isinstance(event, yaml.ScalarEvent):
            value = self._scalar(event, self._line(event.start_mark))
            self._anchor(event.anchor, value, 1)
            return value, 1
        if isinstance(event, yaml.AliasEvent):
            # Within itself an anchor has no value yet.
            place = Place(self._file, self._line(event.start_mark))
            return self._anchors.get(event.anchor or "", (Value(None, place, State.UNKNOWN), 1))
        if isinstance(event, (yaml.MappingStartEvent, yaml.SequenceStartEvent)):
            self._open(event)
        elif isinstance(event, (yaml.MappingEndEvent, yaml.SequenceEndEvent)):
            opened = self._stack.pop()
            value = self._close(opened, self._line(event.end_mark) - 1)
            self._anchor(opened.anchor, value, opened.weight)
            return value, opened.weight
        return None

    def _open(self, event: Any) -> None:
        if len(self._stack) >= DEPTH:
            raise LimitError(f"nested deeper than {DEPTH}")
        empty: dict[str, Value] | list[Value] = {} if isinstance(event, yaml.MappingStartEvent) else []
        self._stack.append(_Open(self._line(event.start_mark), event.anchor, event.tag or "", empty))

    def _line(self, mark: Any) -> int:
        return int(mark.line) + 1 + self._offset

    def _anchor(self, name: str | None, value: Value, weight: int) -> None:
        if name:
            self._anchors[name] = value, weight

    def _scalar(self, event: Any, line: int) -> Value:
        # A literal block begins in the next line: whoever looks for a place in it can count.
        place = Place(self._file, line, self._line(event.end_mark) - 1 if event.style == "|" else 0)
        tag = event.tag or ""
        plain = bool(event.implicit[0])
        value = Value(scalar(event.value) if plain else event.value, place, text=event.value[:200] if plain else "")
        return _tagged(tag, value)

    def _close(self, opened: _Open, last: int) -> Value:
        place = Place(self._file, opened.line, max(last, opened.line))
        if isinstance(opened.items, list):
            return _tagged(opened.tag, Value(tuple(opened.items), place))
        items = opened.items
        for merged in opened.merged:
            for one in merged.data if isinstance(merged.data, tuple) else (merged,):
                if isinstance(one.data, Mapping):
                    items = {**one.data, **items}
        return _tagged(opened.tag, Value(items, place))

    def _add(self, opened: _Open, value: Value, weight: int) -> None:
        opened.weight += weight
        self._nodes += weight
        if self._nodes > NODES:
            raise LimitError(f"more than {NODES} values")
        if isinstance(opened.items, list):
            opened.items.append(value)
        elif opened.key is None:
            opened.key, opened.key_line = value.text or str(value.data), value.place.line
        elif opened.key == "<<":
            opened.merged.append(value)
            opened.key = None
        else:
            if value.place.line > opened.key_line and isinstance(value.data, (Mapping, tuple)):
                # People find a block by its name.
                value = replace(value, place=replace(value.place, line=opened.key_line))
            opened.items[opened.key] = value
            opened.key = None


def _tagged(tag: str, value: Value) -> Value:
    if not tag or tag == "!" or tag.startswith(_STANDARD):
        return value
    return Value({tag: value}, value.place)
