# SPDX-License-Identifier: Apache-2.0
"""The state of a pickle machine, how a reading ends, and who is told of what the readers would do."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from bastide.verify.artifacts.pickles import opcodes
from bastide.verify.artifacts.pickles.leap import ELASTIC
from bastide.verify.artifacts.pickles.literals import Buffer, find_line_feed, text_of
from bastide.verify.artifacts.pickles.values import (
    Imported,
    Plain,
    Value,
)

NO_FRAME = 1 << 63
MAX_KEPT = 64


class End(Enum):
    """Why the machine stopped."""

    STOP = "stop"
    """At its STOP: the pickle is whole."""
    ERROR = "error"
    """Every reader raises an error here; what stands before has been executed by then."""
    TRUNCATED = "truncated"
    """The data end in the middle."""
    BOUND = "bound"
    """A bound was reached: nothing is known of the rest."""


class Unseen(Exception):
    """Somebody asks for a value of a stretch that was leapt over."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How the reading ended."""

    end: End
    offset: int
    """Where: behind the STOP, or at the opcode that can't be executed."""
    why: str = ""
    value: Value | None = None
    """What the pickle is, when it is whole."""


class Observer(Protocol):
    """Is told what the readers would do, and says what would come of it."""

    def imported(self, value: Imported, how: str, protocol: int) -> Value:
        """Something is fetched from a module; how: GLOBAL, STACK_GLOBAL, INST, EXT, or COMPUTED when its name was built at run time."""

    def called(self, callee: Value, arguments: Value, how: str, offset: int) -> Value:
        """Something is called; how: REDUCE, NEWOBJ, NEWOBJ_EX, OBJ, INST."""

    def changed(self, target: Value, state: Value, how: str, after: int) -> int:
        """State is set or items are put into something that the machine didn't make itself; `after`: behind the opcode.

        Returns where the reading goes on: loaders that are called at a BUILD may take more bytes of the file (joblib's arrays).
        """

    def persistent(self, id: Value, offset: int) -> Value:
        """The program that loads the file is asked for an object by an id of its own."""

    def disagreement(self, offset: int, what: str) -> None:
        """The readers don't do the same here."""


class Stopped(Exception):
    """The reading ends here."""

    def __init__(self, end: End, why: str = "", value: Value | None = None) -> None:
        super().__init__(why)
        self.end, self.why, self.value = end, why, value


class State:
    """One reading of one pickle."""

    def __init__(self, data: Buffer, observer: Observer, start: int = 0, max_steps: int = 1 << 28) -> None:
        self.data = data
        self.observer = observer
        self.at = self.pos = start
        """Offset of the opcode, and of the next byte to read."""
        self.size = len(data)
        self.protocol = 0
        self.stack: list[Value] = []
        self.marks: list[int] = []
        self.fence = 0
        """Height of the stack at the last mark: nothing below it can be reached."""
        self.memo: dict[int, Value] = {}
        self.sparse = False
        """Whether a memo number was far beyond the others: then the readers count differently."""
        self.frame_end = NO_FRAME
        self.steps = max_steps
        self.keeping = False
        """Whether dicts keep their entries from now on."""

    # What the steps share

    def take(self, count: int) -> int:
        """Skips `count` bytes; returns where they begin."""
        start = self.pos
        self.pos = start + count
        if self.pos > self.size:
            raise Stopped(End.TRUNCATED, "the data end before the pickle does")
        return start

    def number(self, width: int, *, signed: bool = False) -> int:
        """A little-endian number."""
        start = self.take(width)
        return int.from_bytes(self.data[start : start + width], "little", signed=signed)

    def line(self) -> bytes:
        """The bytes up to the next line feed."""
        start = self.pos
        end = find_line_feed(self.data, start)
        if end < 0:
            raise Stopped(End.TRUNCATED, "a line has no end")
        self.pos = end + 1
        return bytes(self.data[start:end])

    def pop(self) -> Value:
        """The topmost value."""
        if len(self.stack) <= self.fence:
            raise self.underflow()
        if self.stack[-1] is ELASTIC:
            raise Unseen
        return self.stack.pop()

    def top(self) -> Value:
        """The topmost value, left there."""
        if len(self.stack) <= self.fence:
            raise self.underflow()
        if self.stack[-1] is ELASTIC:
            raise Unseen
        return self.stack[-1]

    def unmark(self) -> int:
        """Height of the stack at the last mark, which is taken away."""
        if not self.marks:
            raise Stopped(End.ERROR, "there is no MARK")
        found = self.marks.pop()
        self.fence = self.marks[-1] if self.marks else 0
        return found

    def popped(self) -> tuple[Value, ...]:
        """Everything above the last mark."""
        mark = self.unmark()
        if ELASTIC in self.stack[mark : mark + 1]:
            raise Unseen
        items = tuple(self.stack[mark:])
        del self.stack[mark:]
        return items

    def underflow(self) -> Stopped | Unseen:
        """Too little on the stack, or so it looks."""
        if ELASTIC in self.stack[self.fence : self.fence + 1]:
            return Unseen()
        name = opcodes.NAMES.get(self.data[self.at], "opcode")
        return Stopped(End.ERROR, f"{name} takes more than there is on the stack")

    def text(self, value: Value) -> tuple[str, bool] | None:
        """A text, and whether it was computed; None for anything else."""
        if isinstance(value, int):
            found = text_of(self.data, value)
            return None if found is None else (found, False)
        if isinstance(value, Plain) and value.text is not None:
            return value.text, True
        return None

    def disagree(self, what: str) -> None:
        """The readers don't do the same at this opcode."""
        self.observer.disagreement(self.at, what)
