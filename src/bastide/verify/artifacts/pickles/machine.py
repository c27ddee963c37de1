# SPDX-License-Identifier: Apache-2.0
"""The pickle machine: goes through a pickle exactly as CPython's readers do, but imports nothing and calls nothing.

CPython has two readers, in C and in Python, and the C one reads files and buffers differently. Where they would not do the same, the machine
goes the way on which more of the file is executed, and says that they disagree: a file made by an honest program never needs that.
"""

from __future__ import annotations

from bastide.verify.artifacts.pickles import opcodes
from bastide.verify.artifacts.pickles.state import NO_FRAME, End, Outcome, State, Stopped
from bastide.verify.artifacts.pickles.steps import STEPS


class Machine(State):
    """One reading of one pickle."""

    def run(self) -> Outcome:
        """Goes to the end of the pickle."""
        data, table = self.data, STEPS
        try:
            for _ in range(self.steps):
                self.at = at = self.pos
                self.pos = at + 1
                table[data[at]](self)
                if self.pos > self.frame_end:
                    self._leave_frame()
        except Stopped as stopped:
            offset = self.pos if stopped.end is End.STOP else self.at
            return Outcome(stopped.end, offset, stopped.why, stopped.value)
        except IndexError:
            # Only the data can be too short: what is taken from the stack is counted before.
            return Outcome(End.TRUNCATED, self.at, "the data end before the pickle does")
        return Outcome(End.BOUND, self.pos, f"over {self.steps} opcodes")

    def _leave_frame(self) -> None:
        """The Python reader wants each piece that it reads to lie in one frame; the C reader doesn't care, or drops what is left."""
        end, self.frame_end = self.frame_end, NO_FRAME
        if end not in _pieces(self):
            self.disagree("an argument lies across the end of a frame")


def _pieces(vm: State) -> set[int]:
    """Where the pieces end that the opcode was read in: its code, its size, and what follows."""
    width = opcodes.SIZED[vm.data[vm.at]][0] if vm.data[vm.at] in opcodes.SIZED else 0
    return {vm.at, vm.at + 1, vm.at + 1 + width, vm.pos}
