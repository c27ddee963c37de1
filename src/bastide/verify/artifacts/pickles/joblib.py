# SPDX-License-Identifier: Apache-2.0
"""joblib writes the bytes of an array behind the object that describes it, in the middle of the pickle.

Source: `joblib.numpy_pickle.NumpyArrayWrapper.read_array`.
"""

from __future__ import annotations

import re

from bastide.verify.artifacts.pickles.judge import Hook
from bastide.verify.artifacts.pickles.literals import read_literal
from bastide.verify.artifacts.pickles.machine import Machine
from bastide.verify.artifacts.pickles.state import End, State
from bastide.verify.artifacts.pickles.values import Items, Made, Value

_TYPE = re.compile(r"[<>|=]?([a-zA-Z])([0-9]{0,9})\Z")


def _array(machine: State, state: Value, after: int) -> int:
    assert isinstance(machine, Machine)
    if not isinstance(state, Items):
        return after
    kind, width = _item(machine, state.of.get("dtype"))
    if kind == "O":
        inner = Machine(machine.data, machine.observer, after)
        outcome = inner.run()
        return outcome.offset if outcome.end is End.STOP else len(machine.data) + 1
    count = 1
    shape = state.of.get("shape")
    for size in shape if isinstance(shape, tuple) else ():
        number = read_literal(machine.data, size) if isinstance(size, int) else 0
        count *= number if isinstance(number, int) else 0
    if "numpy_array_alignment_bytes" in state.of and after < len(machine.data):
        after += 1 + machine.data[after]
    return after + count * width


def _item(machine: State, dtype: Value | None) -> tuple[str, int]:
    """Kind and width of an array's items: `numpy.dtype('f8', False, True)`."""
    match dtype:
        case Made(arguments=(code, *_)) if text := machine.text(code):
            found = _TYPE.match(text[0])
            if found:
                width = int(found[2] or 1)
                return found[1], width * 4 if found[1] == "U" else width
    return "", 0


HOOKS: dict[str, Hook] = {"joblib.numpy_pickle.NumpyArrayWrapper": _array}
