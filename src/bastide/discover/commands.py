# SPDX-License-Identifier: Apache-2.0
"""What a command line says: its options by name, and after each plain word the word that follows. Pure."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from bastide.discover.model import REST, TEXT, Place, State, Value

_ENDS = re.compile(r"\A(?:[;&|]+|\\)\Z")
_WORDS = 5_000
_PUT_IN = re.compile(r"\$\{[^{}]*\}|\$\([^()]*\)|\$[A-Za-z_]\w*|\{\{.*?\}\}")
"""What stands for a value: `${NAME}`, `$(NAME)`, `$NAME`, `{{ template }}`."""


def options(command: Iterable[Value]) -> Value:
    """`serve org/model --api-key x --eager` as a mapping: `serve`, `api-key`, `eager` (true). Options that repeat become lists.

    Words with spaces (after `sh -c`) are split like a shell would. A word that isn't known hides what it may say.
    """
    found: dict[str, Value] = {}
    before: str | None = None
    given = False
    place = Place("")
    for word in _split(command):
        place = place if place.file else word.place
        if not isinstance(word.data, str):
            _put(found, before, word)
            if word.data is None and (before is None or given):
                # It may be any option. (Not what it is made from: that need not be the option which is asked for.)
                found[REST] = Value(None, word.place, State.UNKNOWN)
            before, given = None, False
            continue
        name, equals, rest = word.data.partition("=")
        if word.data.startswith("-") and len(word.data) > 1:
            _flush(found, before, word)
            key = name.lstrip("-").replace("_", "-")
            before, given = None if equals else f"-{key}", False
            if equals:
                _add(found, key, replace(word, data=rest))
        elif _ENDS.match(word.data):
            _flush(found, before, word)
            before, given = None, False
        else:
            _put(found, before, word)
            before, given = word.data, (before or "").startswith("-")
    _flush(found, before, Value(True, place))
    return Value(found, place)


def _put(found: dict[str, Value], before: str | None, word: Value) -> None:
    if before is not None:
        _add(found, before.removeprefix("-"), word)


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
        elif word.data is None and word.state is State.UNKNOWN and _PUT_IN.search(word.text):
            parts = list(_written(word))
        for part in parts:
            count += 1
            if count > _WORDS:
                return
            yield part


def _written(word: Value) -> Iterator[Value]:
    """The words of a text into which something unknown is put: the others are known."""
    places = list(_PUT_IN.finditer(word.text))
    text = word.text
    for number, place in reversed(tuple(enumerate(places))):
        text = f"{text[: place.start()]}\0{number}\0{text[place.end() :]}"
    if "(" in text:
        # A call in some language, no command line.
        yield word
        return
    for part in _shell(text):
        known, unknown, _ = part.partition("\0")
        if not unknown:
            yield replace(word, data=part, state=State.KNOWN, refs=())
            continue
        if known.startswith("-") and known.endswith("="):
            yield replace(word, data=known[:-1], state=State.KNOWN, refs=())
        inside = "".join(places[int(n)][0] for n in re.findall("\0([0-9]+)\0", part))
        refs = tuple(r for r in word.refs if r.rpartition(":")[2] in inside)
        yield replace(word, refs=refs, text=_restored(part, places))
    if len(word.text) >= TEXT:
        # It goes on, with whatever.
        yield replace(word, data=";", state=State.KNOWN, refs=())
        yield replace(word, text="", refs=())


def _restored(part: str, places: Sequence[re.Match[str]]) -> str:
    return re.sub("\0([0-9]+)\0", lambda m: places[int(m[1])][0], part)


def _shell(text: str) -> list[str]:
    try:
        lexer = shlex.shlex(text.replace("\\\n", " "), posix=True, punctuation_chars=";&|")
        lexer.whitespace_split = True
        lexer.commenters = ""
        return list(lexer)
    except ValueError:
        return text.split()
