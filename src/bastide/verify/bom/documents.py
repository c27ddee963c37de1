# SPDX-License-Identifier: Apache-2.0
"""YAML and JSON as plain data in which each value knows its line. Numbers stay as they are written: `1.10` is no `1.1`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

from bastide.errors import InputError, LimitError
from bastide.plan.yamlfile import Node, parse
from bastide.verify.artifacts.formats._json import NotJson, parse_json
from bastide.verify.bom.model import Origin

MOST = 1000
"""Values that are taken of one list."""
VALUES = 200_000
"""Values of one YAML document."""
LONGEST = 4000
"""Characters that are taken of one text."""


@dataclass(frozen=True, slots=True)
class Value:
    """A value with its place."""

    raw: Any
    """Text, truth value, None; list or mapping of `Value`."""
    origin: Origin

    @property
    def text(self) -> str:
        """A scalar as text, '' of anything else."""
        if self.raw is None or isinstance(self.raw, list | dict):
            return ""
        return str(self.raw).lower() if isinstance(self.raw, bool) else str(self.raw).strip()[:LONGEST]

    def get(self, *keys: str) -> Value:
        """Below one of some keys, the first that has something; an empty value where none does."""
        if isinstance(self.raw, dict):
            for key in keys:
                if key in self.raw and self.raw[key].raw is not None:
                    return self.raw[key]  # type: ignore[no-any-return]
        return Value(None, self.origin)

    def items(self) -> Iterator[tuple[str, Value]]:
        """Of a mapping; nothing of anything else."""
        if isinstance(self.raw, dict):
            yield from islice(self.raw.items(), MOST)

    def each(self) -> Iterator[Value]:
        """The items of a list, or the value itself; nothing of an empty one."""
        if isinstance(self.raw, list):
            yield from islice(self.raw, MOST)
        elif self.raw is not None:
            yield self


class Unreadable(ValueError):
    """The text isn't what its name says, or is too large; says why."""


def read_yaml(text: str, file: str, above: int = 0) -> tuple[Value, list[str]]:
    """A YAML document and what is odd about it. above: lines of the file before it. Raises `Unreadable`."""
    try:
        root = parse(text, file, InputError)
    except InputError as problem:
        raise Unreadable(f"is no YAML that can be read: {problem.diagnostics[0].message[:200]}") from None
    except (LimitError, RecursionError) as problem:
        raise Unreadable(f"is no YAML that can be read: {str(problem)[:200]}") from None
    odd = [f"{file}:{p.location.line + above}: {p.message[:200]}" for p in root.document.problems[:20]]
    return _of_node(root, file, above), odd


def _of_node(node: Node, file: str, above: int) -> Value:
    origin = Origin(file, node.line + above)
    if node.is_map:
        return Value({key: _of_node(one, file, above) for key, one in node.value.items()}, origin)
    if node.is_list:
        return Value([_of_node(one, file, above) for one in node.value], origin)
    if isinstance(node.value, int | float) and not isinstance(node.value, bool):
        return Value(node.written or str(node.value), origin)
    return Value(node.value, origin)


def read_json(text: str, file: str) -> tuple[Value, list[str]]:
    """A JSON document and what is odd about it. Raises `Unreadable`."""
    try:
        document = parse_json(text.encode("utf-8", "replace"))
        if sum(map(text.count, ",[{")) > VALUES:
            raise Unreadable(f"has more than {VALUES} values")
        odd = [f"{file}: has the key `{key[:60]}` twice; the last one counts" for key in document.repeated[:20]]
        return _of_json(document.value, file, _Lines(text), 0), odd
    except NotJson as problem:
        raise Unreadable(f"is no JSON: {problem.why[:200]}") from None
    except RecursionError:
        raise Unreadable("is nested deeper than it can be read") from None


class _Lines:
    """Tells on which line a key stands: where it is found first after the place of the value that holds it."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._breaks = [m.start() for m in re.finditer("\n", text)]
        self._searches = 0

    def find(self, key: str, after: int) -> int:
        self._searches += 1
        # In a document of many keys the lines of the later ones aren't worth the time.
        if self._searches > 2000:
            return after
        quoted = '"' + key + '"'
        at = self._text.find(quoted, after)
        return after if at < 0 else at

    def line(self, at: int) -> int:
        from bisect import bisect_left

        return bisect_left(self._breaks, at) + 1


def _of_json(raw: Any, file: str, lines: _Lines, at: int) -> Value:
    origin = Origin(file, lines.line(at))
    if isinstance(raw, Mapping):
        return Value({key: _of_json(one, file, lines, lines.find(key, at)) for key, one in raw.items()}, origin)
    if isinstance(raw, list):
        return Value([_of_json(one, file, lines, at) for one in raw[: MOST * 10]], origin)
    if isinstance(raw, int | float) and not isinstance(raw, bool):
        return Value(_number(raw), origin)
    return Value(raw, origin)


def _number(raw: float) -> str:
    try:
        return str(raw)[:100]
    except ValueError:  # more digits than Python writes
        return "a very large number"
