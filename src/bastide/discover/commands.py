# SPDX-License-Identifier: Apache-2.0
"""What a command line says: its options by name, and after each plain word the word that follows. Pure."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Iterator
from dataclasses import replace

from bastide.discover.model import REST, Place, State, Value

_ENDS = re.compile(r"\A(?:[;&|]+|\\)\Z")
_WORDS = 5_000


def options(command: Iterable[Value]) -> Value:
    """`serve org/model --api-key x --eager` as a mapping: `serve`, `api-key`, `eager` (true). Options that repeat become lists.

    Words with spaces (after `sh -c`) are split like a shell would. A word that isn't known hides what it may say.
    """
    found: dict[str, Value] = {}
    before: str | None = None
    place = Place("")
    for word in _split(command):
        place = place if place.file else word.place
        if not isinstance(word.data, str):
            before = _put(found, before, word, word.data is None) or None
            continue
        name, equals, rest = word.data.partition("=")
        if word.data.startswith("-") and len(word.data) > 1:
            _flush(found, before, word)
            key = name.lstrip("-").replace("_", "-")
            before = None if equals else f"-{key}"
            if equals:
                _add(found, key, replace(word, data=rest))
        elif _ENDS.match(word.data):
            _flush(found, before, word)
            before = None
        else:
            _put(found, before, word, False)
            before = word.data
    _flush(found, before, Value(True, place))
    return Value(found, place)


def _put(found: dict[str, Value], before: str | None, word: Value, unknown: bool) -> str:
    if before is not None:
        _add(found, before.removeprefix("-"), word)
    elif unknown:
        found[REST] = Value(None, word.place, State.UNKNOWN, word.refs)
    return ""


def _flush(found: dict[str, Value], before: str | None, at: Value) -> None:
    """An option that no value follows is on."""
    if before is not None and before.startswith("-"):
        _add(found, before[1:], Value(True, at.place))


def _add(found: dict[str, Value], name: str, value: Value) -> None:
    old = found.get(name)
    if old is None:
        found[name] = value
    else:
        found[name] = Value((*old.elements(), value), old.place)


def _split(command: Iterable[Value]) -> Iterator[Value]:
    count = 0
    for word in command:
        parts = [word]
        if isinstance(word.data, str) and re.search(r"\s", word.data):
            parts = [replace(word, data=w) for w in _shell(word.data)]
        for part in parts:
            count += 1
            if count > _WORDS:
                return
            yield part


def _shell(text: str) -> list[str]:
    try:
        lexer = shlex.shlex(text.replace("\\\n", " "), posix=True, punctuation_chars=";&|")
        lexer.whitespace_split = True
        lexer.commenters = ""
        return list(lexer)
    except ValueError:
        return text.split()
