# SPDX-License-Identifier: Apache-2.0
"""What a template would give, with every value at its place: in the template, or in the values that it takes it from.

Each action becomes a mark in the text; the text is read as YAML; then marks are replaced by the values that the actions have. So a
known value keeps its own line, an unknown one stays unknown, and no text is ever pasted into YAML.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from bastide.discover.importers.helm.expressions import Result, Scope, evaluate, truth
from bastide.discover.importers.helm.syntax import Action, Block, Node, Text, Word
from bastide.discover.model import REST, Place, Problem, State, Value
from bastide.discover.readers.yaml_ import read_yaml

DEPTH = 12
"""Named templates in named templates."""
ROUNDS = 40
"""Elements of a list that `range` goes through."""
OUTPUT = 1 << 20
WORK = 16 << 20
"""Characters that all templates of a chart give together, each action taken for `_ACTION` of them: templates in templates, and lists in
lists, multiply."""
_ACTION = 100
_MARK = re.compile(r"\ue000(\d+)\ue001")
_NO_MARKS = {0xE000: "?", 0xE001: "?"}
_ALONE = re.compile(r"( *)(- )?\ue000(\d+)\ue001 *\Z")


@dataclass(slots=True)
class _Output:
    pieces: list[tuple[str, int]] = field(default_factory=list)
    size: int = 0

    def put(self, text: str, line: int) -> None:
        self.size += len(text)
        if self.size <= OUTPUT:
            self.pieces.append((text, line))


class Renderer:
    """The templates of a chart with its values."""

    def __init__(self, root: Mapping[str, Value], defines: Mapping[str, tuple[str, tuple[Node, ...]]]) -> None:
        """root: `Values`, `Chart`, `Release`, `Capabilities`; defines: named templates, with the file that each stands in."""
        self._root, self._defines = root, defines
        self._depth = 0
        self._left = WORK
        self.cut = False
        """Whether a bound was reached."""

    def documents(self, nodes: Sequence[Node], file: str) -> tuple[list[Value], list[Problem]]:
        """The YAML documents of a template."""
        place = Place(file, 1)
        return _Rendering(self, file).documents(nodes, Value(self._root, place))

    def include(self, name: str, dot: Value, scope: Scope) -> Value:
        """The value of a named template: the YAML that it gives, or a text."""
        found = self._defines.get(name)
        if found is None or self._depth >= DEPTH:
            self.cut |= self._depth >= DEPTH
            return scope.unknown(f"include {name}")
        file, nodes = found
        self._depth += 1
        try:
            documents, problems = _Rendering(self, file).documents(nodes, dot)
        finally:
            self._depth -= 1
        if problems or len(documents) > 1:
            return scope.unknown(f"include {name}")
        return documents[0] if documents else scope.of("")

    def spend(self, size: int) -> bool:
        """Whether there is still room for so much."""
        self._left -= size
        self.cut |= self._left < 0
        return self._left >= 0

    def scope(self, dot: Value, file: str) -> Scope:
        """A fresh scope with another dot."""
        return Scope(self._root, dot, self.include, Place(file, 1))


class _Rendering:
    def __init__(self, renderer: Renderer, file: str) -> None:
        self._renderer, self._file = renderer, file
        self._marks: list[Value] = []
        self._open: set[int] = set()
        """Lines that are there only under a condition that can't be told."""
        self._out = _Output()

    def documents(self, nodes: Sequence[Node], dot: Value) -> tuple[list[Value], list[Problem]]:
        self._nodes(nodes, self._renderer.scope(dot, self._file))
        self._renderer.cut |= self._out.size > OUTPUT
        text, lines = self._text()
        documents, problems = read_yaml(text, self._file)
        moved = [replace(p, place=Place(self._file, _line(lines, p.place.line))) for p in problems]
        return [self._filled(d, lines) for d in documents], moved

    # --- from nodes to a text with marks ---------------------------------------------------------------------------
    def _nodes(self, nodes: Sequence[Node], scope: Scope) -> None:
        for node in nodes:
            size = len(node.text) if isinstance(node, Text) else 0
            if self._out.size > OUTPUT or not self._renderer.spend(size + _ACTION):
                return
            if isinstance(node, Text):
                self._out.put(node.text.translate(_NO_MARKS), node.line)
            elif isinstance(node, Action):
                scope.place = Place(self._file, node.line)
                self._put(evaluate(node.words, scope), node)
            elif node.keyword in ("if", "with"):
                self._choice(node, scope)
            elif node.keyword == "range":
                self._range(node, scope)

    def _put(self, result: Result, node: Action) -> None:
        value = result.value
        if value.state is State.UNKNOWN and not value.text:
            value = replace(value, text=f"{{{{ {node.source} }}}}")
        if (value.data is None and value.known) or value.data == "":
            return
        if result.breaks:
            self._out.put("\n", node.line)
        self._out.put(" " * (result.indent or 0) + f"\ue000{len(self._marks)}\ue001", node.line)
        self._marks.append(value)

    def _choice(self, block: Block, scope: Scope) -> None:
        for words, nodes in block.branches:
            scope.place = Place(self._file, block.line)
            value = evaluate(words, scope).value if words else scope.of(True)
            known = truth(value)
            if known is False:
                continue
            if known is None:
                self._open |= set(range(block.line, min(block.end, block.line + 5000) + 1))
            inner = scope
            if block.keyword == "with" and words:
                inner = replace(scope, dot=value)
            self._nodes(nodes, inner)
            return

    def _range(self, block: Block, scope: Scope) -> None:
        (loop, nodes), *rest = block.branches
        names, words = _loop(loop)
        scope.place = Place(self._file, block.line)
        value = evaluate(words, scope).value if words else scope.unknown()
        items = _items(value, scope)
        if not items:
            for _, others in rest:
                self._nodes(others, scope)
            return
        if value.state is State.UNKNOWN:
            self._open |= set(range(block.line, min(block.end, block.line + 5000) + 1))
        self._renderer.cut |= len(items) > ROUNDS
        for key, item in items[:ROUNDS]:
            variables = {
                **scope.variables,
                **dict(zip(names, (key, item) if len(names) > 1 else (item,), strict=False)),
            }
            self._nodes(nodes, replace(scope, dot=item, variables=variables))

    def _text(self) -> tuple[str, list[int]]:
        """The text, and for each of its lines the line of the template it comes from."""
        rows: list[str] = [""]
        lines: list[int] = [0]
        for piece, start in self._out.pieces:
            for number, part in enumerate(piece.split("\n")):
                if number:
                    rows.append("")
                    lines.append(0)
                if part.strip() and not lines[-1]:
                    lines[-1] = start + number if "\ue000" not in part else start
                rows[-1] += part
        return "\n".join(_siblings(rows)), lines

    # --- from marks to values --------------------------------------------------------------------------------------
    def _filled(self, value: Value, lines: list[int]) -> Value:
        place = Place(
            self._file, _line(lines, value.place.line), _line(lines, value.place.end) if value.place.end else 0
        )
        if isinstance(value.data, Mapping):
            return Value(self._mapping(value.data, lines, place), place)
        if isinstance(value.data, tuple):
            return Value(tuple(self._filled(v, lines) for v in value.data), place)
        state = State.CONDITIONAL if place.line in self._open and value.known else value.state
        if not isinstance(value.data, str) or "\ue000" not in value.data:
            return replace(value, place=place, state=state)
        return self._put_in(value.data, replace(value, place=place, state=state))

    def _mapping(self, data: Mapping[str, Value], lines: list[int], place: Place) -> dict[str, Value]:
        found: dict[str, Value] = {}
        for key, value in data.items():
            marks = _MARK.findall(key)
            if not marks:
                found[key] = self._filled(value, lines)
                continue
            merged = self._marks[int(marks[0])]
            if _MARK.fullmatch(key) and isinstance(merged.data, Mapping):
                found = {**merged.data, **found}
            elif _MARK.sub(self._shown, key) == key or not merged.known or isinstance(merged.data, (Mapping, tuple)):
                found[REST] = Value(None, place, State.UNKNOWN)
            else:
                found[_MARK.sub(self._shown, key)] = self._filled(value, lines)
        return found

    def _put_in(self, text: str, value: Value) -> Value:
        alone = _MARK.fullmatch(text.strip())
        if alone:
            found = self._marks[int(alone[1])]
            return (
                replace(found, state=State.CONDITIONAL) if value.state is State.CONDITIONAL and found.known else found
            )
        parts = [self._marks[int(n)] for n in _MARK.findall(text)]
        if _MARK.match(text):
            # What is to be changed stands where the beginning comes from: the repository of an image.
            value = replace(value, place=parts[0].place)
        if all(p.known and not isinstance(p.data, (Mapping, tuple)) for p in parts):
            return replace(value, data=_MARK.sub(self._shown, text), text="")
        shown = _MARK.sub(self._shown, text)
        if re.fullmatch(r"(\{\{[^{}]*\}\}\s*)+", shown):
            return Value(None, value.place, State.UNKNOWN, text=shown[:200])
        return replace(value, data=shown, state=State.CONDITIONAL, text="")

    def _shown(self, match: re.Match[str]) -> str:
        value = self._marks[int(match[1])]
        if not value.known or isinstance(value.data, (Mapping, tuple)):
            return value.text or "{{ ... }}"
        return (
            {True: "true", False: "false", None: ""}.get(value.data, str(value.data))
            if isinstance(value.data, (bool, type(None)))
            else str(value.data)
        )


def _siblings(rows: list[str]) -> Iterator[str]:
    """Marks that stand alone on a line, as what their neighbours are: an entry of a mapping, an element of a list, or all that is there."""
    for number, row in enumerate(rows):
        match = _ALONE.match(row)
        if not match or match[2]:
            yield row
            continue
        indent = len(match[1])
        beside = _beside(rows, number, indent)
        mark = f"\ue000{match[3]}\ue001"
        if beside == "-":
            yield f"{match[1]}- {mark}"
        elif beside == ":":
            yield f"{match[1]}{mark}: {mark}"
        else:
            yield row


def _beside(rows: list[str], number: int, indent: int) -> str:
    """What the nearest line of the same depth is: `-`, `:` or nothing."""
    for step in (-1, 1):
        at = number + step
        while 0 <= at < len(rows):
            row = rows[at]
            depth = len(row) - len(row.lstrip())
            if row.strip() and not row.lstrip().startswith("#"):
                if depth < indent or row.startswith("---"):
                    # `- name: x` above, with the mark among the keys of the same element.
                    if step < 0 and row[depth : depth + 2] == "- " and depth + 2 == indent and ":" in row:
                        return ":"
                    break
                if depth == indent:
                    return (
                        "-"
                        if row.lstrip().startswith("- ")
                        else ":"
                        if ":" in row or (_ALONE.match(row) and _more(rows, at, indent))
                        else ""
                    )
            at += step
    return ""


def _more(rows: list[str], number: int, indent: int) -> bool:
    """Two marks below each other: entries of a mapping, since a list's elements would be one."""
    return any(
        _ALONE.match(rows[at]) and len(rows[at]) - len(rows[at].lstrip()) == indent
        for at in (number - 1, number + 1)
        if 0 <= at < len(rows)
    )


def _loop(words: Sequence[Word]) -> tuple[list[str], Sequence[Word]]:
    """The variables of a `range`, and what it goes through."""
    for at, word in enumerate(words):
        if word.kind == "sign" and word.text == ":=":
            return [w.text for w in words[:at] if w.kind == "name"], words[at + 1 :]
    return [], words


def _items(value: Value, scope: Scope) -> list[tuple[Value, Value]]:
    if value.state is State.UNKNOWN:
        return [(scope.unknown("range"), scope.unknown("range"))]
    if isinstance(value.data, Mapping):
        return [(scope.of(key), item) for key, item in value.data.items()]
    if isinstance(value.data, tuple):
        return [(scope.of(n), item) for n, item in enumerate(value.data)]
    return []


def _line(lines: list[int], line: int) -> int:
    """The line of the template of a line of the output; lines in a value are near the one before."""
    at = min(max(line, 1), len(lines)) - 1
    while at >= 0:
        if lines[at]:
            return lines[at]
        at -= 1
    return 1
