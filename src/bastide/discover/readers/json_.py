# SPDX-License-Identifier: Apache-2.0
"""JSON as editors and agents write it: comments and trailing commas are allowed, the last of two keys counts, every value has its line."""

from __future__ import annotations

import re
from bisect import bisect_right
from json import JSONDecodeError
from json.decoder import scanstring  # type: ignore[attr-defined]
from typing import Any

from bastide.discover.model import Place, Problem, Value

DEPTH = 64
NODES = 400_000
_SPACE = re.compile(r"(?:[ \t\r\n\ufeff]+|//[^\n]*|/\*(?:[^*]|\*(?!/))*\*/)*")
_ATOM = re.compile(r"(?:true|false|null|-?[0-9]{1,18}(?:\.[0-9]{1,18})?(?:[eE][-+]?[0-9]{1,3})?)(?![\w.])")
_WORDS: dict[str, Any] = {"true": True, "false": False, "null": None}


def read_json(text: str, file: str, first_line: int = 1) -> tuple[Value | None, list[Problem]]:
    """The value of a text; None with a problem where it isn't JSON. `first_line`: where the text begins in the file."""
    reader = _Reader(text, file, first_line)
    try:
        return reader.document(), []
    except _Wrong as wrong:
        return None, [Problem(reader.place(wrong.at), f"is not JSON: {wrong}")]


class _Wrong(Exception):
    def __init__(self, message: str, at: int) -> None:
        super().__init__(message)
        self.at = at


class _Reader:
    def __init__(self, text: str, file: str, first_line: int) -> None:
        self._text, self._file, self._first = text, file, first_line
        self._breaks = [m.start() for m in re.finditer("\n", text)]
        self._nodes = 0

    def place(self, at: int) -> Place:
        return Place(self._file, bisect_right(self._breaks, at - 1) + self._first)

    def document(self) -> Value:
        value, at = self._value(self._skip(0), 0)
        at = self._skip(at)
        if at < len(self._text):
            raise _Wrong("something follows the value", at)
        return value

    def _skip(self, at: int) -> int:
        found = _SPACE.match(self._text, at)
        return found.end() if found else at

    def _value(self, at: int, depth: int) -> tuple[Value, int]:
        self._nodes += 1
        if depth > DEPTH or self._nodes > NODES:
            raise _Wrong(f"nested deeper than {DEPTH} or more than {NODES} values", at)
        start = self._text[at : at + 1]
        if start == "{":
            return self._object(at, depth)
        if start == "[":
            return self._array(at, depth)
        if start == '"':
            text, end = self._string(at)
            return Value(text, self.place(at)), end
        if found := _ATOM.match(self._text, at):
            word = found.group()
            number: Any = _WORDS[word] if word in _WORDS else float(word) if re.search("[.eE]", word) else int(word)
            return Value(number, self.place(at)), found.end()
        raise _Wrong("a value was expected", at)

    def _string(self, at: int) -> tuple[str, int]:
        try:
            text, end = scanstring(self._text, at + 1, False)
        except JSONDecodeError as error:
            raise _Wrong(error.msg, error.pos) from None
        return text, end

    def _object(self, at: int, depth: int) -> tuple[Value, int]:
        items: dict[str, Value] = {}
        here = self._skip(at + 1)
        while self._text[here : here + 1] != "}":
            if self._text[here : here + 1] != '"':
                raise _Wrong("a key in double quotes was expected", here)
            key, here = self._string(here)
            here = self._skip(here)
            if self._text[here : here + 1] != ":":
                raise _Wrong("`:` was expected", here)
            items[key], here = self._value(self._skip(here + 1), depth + 1)
            here = self._comma(here, "}")
        return Value(items, self._span(at, here)), here + 1

    def _array(self, at: int, depth: int) -> tuple[Value, int]:
        items: list[Value] = []
        here = self._skip(at + 1)
        while self._text[here : here + 1] != "]":
            value, here = self._value(here, depth + 1)
            items.append(value)
            here = self._comma(here, "]")
        return Value(tuple(items), self._span(at, here)), here + 1

    def _comma(self, at: int, close: str) -> int:
        at = self._skip(at)
        following = self._text[at : at + 1]
        if following == ",":
            return self._skip(at + 1)
        if following != close:
            raise _Wrong(f"`,` or `{close}` was expected", at)
        return at

    def _span(self, start: int, end: int) -> Place:
        first = self.place(start)
        return Place(self._file, first.line, self.place(end).line)
