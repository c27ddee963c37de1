# SPDX-License-Identifier: Apache-2.0
"""What a pickle machine has on its stack when nothing is imported and nothing is called.

A literal is only the offset of its opcode (an `int`): most of a model file is literals, and they are read again in the rare case that
somebody asks what one says. A tuple is a tuple of values, because it may become the arguments of a call. Lists, dicts and sets are only
known to be such: what is put into them was judged when it was made.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class Imported:
    """Something that the reader would fetch from a module."""

    module: str
    name: str
    """May be dotted: attributes of attributes."""
    offset: int

    @property
    def path(self) -> str:
        """`module.name`."""
        return f"{self.module}.{self.name}"

    def __str__(self) -> str:
        """As in an import of a name: `module.name`."""
        return self.path


@dataclass(frozen=True, slots=True)
class Made:
    """What came of a call; `by` is what was called."""

    by: Value
    arguments: Value
    offset: int

    def __str__(self) -> str:
        """As a call."""
        return f"{show(self.by)}(...)"


@dataclass(frozen=True, slots=True)
class Plain:
    """A container or buffer that the machine itself makes, or a text that was computed (`text`)."""

    kind: str
    text: str | None = None

    def __str__(self) -> str:
        """Its kind."""
        return self.kind if self.text is None else repr(self.text)


@dataclass(frozen=True, slots=True)
class Persistent:
    """What the program that loads the file gives for an id of its own."""

    id: Value
    offset: int

    def __str__(self) -> str:
        """What it is."""
        return "persistent object"


@dataclass(frozen=True, slots=True)
class Items:
    """A dict whose entries are kept, as far as their keys are texts; the machine makes them when it is asked to (`Machine.keeping`)."""

    of: dict[str, Value]

    def __str__(self) -> str:
        """Its kind."""
        return "dict"


Value: TypeAlias = "int | tuple[Value, ...] | Imported | Made | Plain | Persistent | Items"

LIST, DICT, SET, FROZENSET, BUFFER = (Plain(k) for k in ("list", "dict", "set", "frozenset", "buffer"))
UNKNOWN = Plain("unknown")
"""Something that wasn't kept because there is too much of it."""


def show(value: Value) -> str:
    """A value for a person; literals are only named as such."""
    if isinstance(value, int):
        return "literal"
    if isinstance(value, tuple):
        return f"({', '.join(show(v) for v in value[:8])})"
    return str(value)
