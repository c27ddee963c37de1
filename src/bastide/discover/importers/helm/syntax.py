# SPDX-License-Identifier: Apache-2.0
"""The syntax of Go's templates, as Helm uses them: text, actions, and the blocks that actions open and close.

After the documentation of Go's `text/template`. What isn't closed ends with the file; what closes nothing is left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

_ACTION = re.compile(
    r"""\{\{(-?)(\s*+/\*(?:(?!\{\{-?/\*).)*?\*/\s*+-?|(?:"(?:\\.|[^"\\])*+"|`[^`]*+`|[^{}"`]++|\{(?!\{)|\}(?!\})){0,500}+)\}\}""", re.DOTALL
)  # fmt: skip
"""An action; it ends at the next one that begins, so that what is never closed isn't read again and again."""
_WORD = re.compile(
    r"\"((?:\\.|[^\"\\])*)\"|`([^`]*)`|(:=|=|\||\(|\)|,)|(-?\d+(?:\.\d+)?)(?![\w.])|((?:\$[\w]*|[A-Za-z_]\w*)?(?:\.[\w-]*)*|[^\s|(),=]+)"
)
OPENERS = frozenset({"if", "with", "range", "define", "block"})
DEPTH = 40
ACTIONS = 20_000


@dataclass(frozen=True, slots=True)
class Word:
    """A part of an action: a quoted text, a number, a sign, or a name such as `.Values.image.tag`."""

    kind: str
    """text, number, sign or name."""
    text: str
    glued: bool = False
    """Whether no space stands before it: `(index .Values "a").b` is a field, `(f) .b` another argument."""


@dataclass(frozen=True, slots=True)
class Text:
    """What is put out as it stands."""

    text: str
    line: int


@dataclass(frozen=True, slots=True)
class Action:
    """A pipeline whose value is put out, or an assignment."""

    words: tuple[Word, ...]
    line: int
    source: str


@dataclass(frozen=True, slots=True)
class Block:
    """`if`, `with`, `range` with its branches (each a pipeline and what it opens; the last pipeline may be empty: `else`), or a `define`."""

    keyword: str
    branches: tuple[tuple[tuple[Word, ...], tuple[Node, ...]], ...]
    line: int
    end: int


Node = Text | Action | Block


@dataclass(slots=True)
class _Open:
    keyword: str
    line: int
    branches: list[tuple[tuple[Word, ...], list[Node]]] = field(default_factory=list)


def parse(text: str) -> tuple[Node, ...]:
    """The nodes of a template."""
    root = _Open("", 1, [((), [])])
    stack = [root]
    for node in _tokens(text):
        holder = stack[-1].branches[-1][1]
        if isinstance(node, Text):
            holder.append(node)
            continue
        first = node.words[0].text if node.words and node.words[0].kind == "name" else ""
        if first in OPENERS and len(stack) < DEPTH:
            stack.append(_Open(first, node.line, [(node.words[1:], [])]))
        elif first == "else" and len(stack) > 1:
            rest = node.words[1:]
            stack[-1].branches.append((rest[1:] if rest and rest[0].text in OPENERS else (), []))
        elif first == "end":
            if len(stack) > 1:
                _close(stack, node.line)
        elif node.words:
            holder.append(node)
    while len(stack) > 1:
        _close(stack, 0)
    return tuple(root.branches[0][1])


def _close(stack: list[_Open], line: int) -> None:
    done = stack.pop()
    branches = tuple((words, tuple(nodes)) for words, nodes in done.branches)
    stack[-1].branches[-1][1].append(Block(done.keyword, branches, done.line, line or done.line))


def _tokens(text: str) -> Iterator[Text | Action]:
    at, line, trim = 0, 1, False
    for number, match in enumerate(_ACTION.finditer(text)):
        if number > ACTIONS:
            return
        piece = text[at : match.start()]
        yield from _text(piece, line, trim, bool(match[1]))
        line += piece.count("\n")
        source = match[2].strip()
        right = source.endswith("-")
        source = source[:-1].rstrip() if right else source
        if not source.startswith("/*"):
            yield Action(tuple(words(source)), line, source[:200])
        line += match[0].count("\n")
        at, trim = match.end(), right
    yield from _text(text[at:], line, trim, False)


def _text(piece: str, line: int, left: bool, right: bool) -> Iterator[Text]:
    if left:
        shorter = piece.lstrip()
        line += piece[: len(piece) - len(shorter)].count("\n")
        piece = shorter
    if right:
        piece = piece.rstrip()
    if piece:
        yield Text(piece, line)


def words(source: str) -> Iterator[Word]:
    """The parts of an action."""
    end = 0
    for match in _WORD.finditer(source):
        quoted, raw, sign, number, name = match.groups()
        glued = match.start() == end > 0
        if quoted is not None:
            yield Word("text", re.sub(r"\\(.)", lambda m: {"n": "\n", "t": "\t"}.get(m[1], m[1]), quoted), glued)
        elif raw is not None:
            yield Word("text", raw, glued)
        elif sign or number or name:
            yield Word("sign" if sign else "number" if number else "name", match[0], glued)
        end = match.end() if match[0] else end
