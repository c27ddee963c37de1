# SPDX-License-Identifier: Apache-2.0
"""JSON as hostile input: bounded, and with the keys that stand twice, of which loaders keep different ones."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

MAX_BYTES = 64 * 1024**2
"""Of a text that is parsed; larger ones are unknown."""
_BOM = b"\xef\xbb\xbf"


class NotJson(ValueError):
    """The text is no JSON, or too large; says why, and from which character on it isn't."""

    def __init__(self, why: str, at: int = 0) -> None:
        super().__init__(why)
        self.why, self.at = why, at


@dataclass(frozen=True, slots=True)
class Document:
    """A parsed text."""

    value: Any
    repeated: tuple[str, ...] = ()
    """Keys that stand more than once in one object."""
    constants: tuple[str, ...] = ()
    """`NaN`, `Infinity`: Python takes them, the standard and other readers don't."""


class _Keys:
    """Notes which keys stand twice, while an object is made of its pairs."""

    def __init__(self) -> None:
        self.repeated: dict[str, None] = {}
        self.constants: dict[str, None] = {}

    def pairs(self, items: list[tuple[str, Any]]) -> dict[str, Any]:
        made = dict(items)
        if len(made) != len(items):
            counts = Counter(key for key, _ in items)
            self.repeated |= dict.fromkeys(key[:200] for key, count in counts.items() if count > 1)
        return made

    def constant(self, name: str) -> float:
        self.constants[name] = None
        return float(name)


def parse_json(data: bytes, limit: int = MAX_BYTES) -> Document:
    """Raises `NotJson`, and nothing else."""
    if len(data) > limit:
        raise NotJson(f"more than {limit} bytes of JSON")
    keys = _Keys()
    try:
        text = data.removeprefix(_BOM).decode("utf-8")
        value = json.loads(text, object_pairs_hook=keys.pairs, parse_constant=keys.constant)
    except json.JSONDecodeError as problem:
        raise NotJson(problem.msg, problem.pos) from None
    except UnicodeDecodeError as problem:
        raise NotJson("no UTF-8", problem.start) from None
    except RecursionError:
        raise NotJson("nested deeper than loaders can read") from None
    except ValueError as problem:
        # A number of more digits than Python reads.
        raise NotJson(str(problem)[:100]) from None
    return Document(value, tuple(keys.repeated), tuple(keys.constants))


def walk(value: Any, limit: int = 1_000_000) -> Iterator[tuple[str, str, Any]]:
    """(path, key, value) of everything in objects, at most `limit` of them; the path names lists by their index."""
    stack: list[tuple[str, Any]] = [("", value)]
    left = limit
    while stack:
        path, at = stack.pop()
        items = at.items() if isinstance(at, dict) else enumerate(at) if isinstance(at, list) else ()
        for key, below in items:
            left -= 1
            if left < 0:
                return
            name = f"{path}.{key}"[:1000] if isinstance(at, dict) else f"{path}[{key}]"[:1000]
            if isinstance(at, dict):
                yield name.removeprefix("."), str(key), below
            if isinstance(below, dict | list):
                stack.append((name, below))


def texts_of(value: Any) -> Iterator[str]:
    """All texts that are no keys."""
    stack = [value]
    while stack:
        at = stack.pop()
        if isinstance(at, str):
            yield at
        elif isinstance(at, dict | list):
            stack += at.values() if isinstance(at, dict) else at
