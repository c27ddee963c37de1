# SPDX-License-Identifier: Apache-2.0
"""Runs the machine and notes what it tells, in the words of the oracle."""

from __future__ import annotations

from bastide.verify.artifacts.pickles.machine import Machine
from bastide.verify.artifacts.pickles.state import Outcome
from bastide.verify.artifacts.pickles.values import Imported, Made, Persistent, Value


def path_of(value: Value) -> str:
    while isinstance(value, Made):
        value = value.by
    return value.path if isinstance(value, Imported) else ""


class Notes:
    """An observer that only writes down."""

    def __init__(self) -> None:
        self.events: list[tuple[str, str]] = []
        self.disagreements: list[tuple[int, str]] = []
        self.names: list[tuple[str, str]] = []

    def imported(self, value: Imported, how: str, protocol: int) -> Value:
        self.events.append(("import", value.path))
        self.names.append((how, value.path))
        return value

    def called(self, callee: Value, arguments: Value, how: str, offset: int) -> Value:
        self.events.append(("call", path_of(callee)))
        return Made(callee, arguments, offset)

    def changed(self, target: Value, state: Value, how: str, after: int) -> int:
        if path_of(target):
            self.events.append(("BUILD" if how == "BUILD" else "put", path_of(target)))
        return after

    def persistent(self, id: Value, offset: int) -> Value:
        self.events.append(("persistent", ""))
        return Persistent(id, offset)

    def disagreement(self, offset: int, what: str) -> None:
        self.disagreements.append((offset, what))


def run(data: bytes) -> tuple[Outcome, Notes]:
    notes = Notes()
    return Machine(data, notes).run(), notes
