# SPDX-License-Identifier: Apache-2.0
"""The pickle machine: goes through a pickle exactly as CPython's readers do, but imports nothing and calls nothing.

CPython has two readers, in C and in Python, and the C one reads files and buffers differently. Where they would not do the same, the machine
goes the way on which more of the file is executed, and says that they disagree: a file made by an honest program never needs that.
"""

from __future__ import annotations

from bastide.verify.artifacts.pickles import leap, opcodes
from bastide.verify.artifacts.pickles.state import NO_FRAME, End, Outcome, State, Stopped, Unseen
from bastide.verify.artifacts.pickles.steps import STEPS
from bastide.verify.artifacts.pickles.values import Plain

FEW, MANY = 32, 4096
"""Steps between two looks for a stretch that can be leapt over: more where there was none."""
NEAR = 64
_OPEN = frozenset(b"(eutld\x90\x91\x95")
"""Opcodes behind which a stretch may begin: a container was just opened, filled or made."""
_DATA = (int, Plain)


class Machine(State):
    """One reading of one pickle."""

    def run(self) -> Outcome:
        """Goes to the end of the pickle."""
        start = self.pos
        try:
            return self._run(leaping=self.size - start >= leap.LONG)
        except Unseen:
            # What was leapt over is asked for: all of it again, step by step. The observer hears of some things twice.
            self.__init__(self.data, self.observer, start, self.steps)  # type: ignore[misc]
            return self._run(leaping=False)

    def _run(self, *, leaping: bool) -> Outcome:
        # Most large files have few opcodes and large literals: nothing to leap over.
        budget, block = self.steps, MANY
        try:
            while budget > 0:
                self._walk(min(block, budget))
                budget -= block
                block = FEW if leaping and self._leap() else min(2 * block, MANY)
        except Stopped as stopped:
            offset = self.pos if stopped.end is End.STOP else self.at
            return Outcome(stopped.end, offset, stopped.why, stopped.value)
        except IndexError:
            # Only the data can be too short: what is taken from the stack is counted before.
            return Outcome(End.TRUNCATED, self.at, "the data end before the pickle does")
        return Outcome(End.BOUND, self.pos, f"over {self.steps} opcodes")

    def _walk(self, steps: int) -> None:
        data, table = self.data, STEPS
        for _ in range(steps):
            self.at = at = self.pos
            self.pos = at + 1
            table[data[at]](self)
            if self.pos > self.frame_end:
                self._leave_frame()

    def _leap(self) -> bool:
        """Passes a stretch of mere data, if there is a long one here."""
        for _ in range(NEAR):
            if self.data[self.at] in _OPEN:
                break
            # Inside of a small container nothing long begins.
            self._walk(1)
        if self.sparse or self.keeping or not all(type(value) in _DATA for value in self.stack[self.fence :]):
            return False
        end = leap.stretch(self.data, self.pos, min(self.size, self.frame_end))
        if end - self.pos < leap.WORTH:
            return False
        first = len(self.memo)
        self.memo.update(dict.fromkeys(range(first, first + leap.memoized(self.data, self.pos, end)), leap.UNSEEN))
        self.stack[self.fence :] = [leap.ELASTIC]
        self.pos = end
        return True

    def _leave_frame(self) -> None:
        """The Python reader wants each piece that it reads to lie in one frame; the C reader doesn't care, or drops what is left."""
        end, self.frame_end = self.frame_end, NO_FRAME
        if end not in _pieces(self):
            self.disagree("an argument lies across the end of a frame")


def _pieces(vm: State) -> set[int]:
    """Where the pieces end that the opcode was read in: its code, its size, and what follows."""
    width = opcodes.SIZED[vm.data[vm.at]][0] if vm.data[vm.at] in opcodes.SIZED else 0
    return {vm.at, vm.at + 1, vm.at + 1 + width, vm.pos}
