# SPDX-License-Identifier: Apache-2.0
"""joblib writes the bytes of an array behind the object that describes it, in the middle of the pickle.

Source: `joblib.numpy_pickle.NumpyArrayWrapper.read_array`. Where the array ends must be known exactly, or the rest would be read as something
else than joblib reads; so what isn't as joblib writes it ends the reading, as a bound does.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from bastide.verify.artifacts.pickles.judge import Hook, Judge
from bastide.verify.artifacts.pickles.literals import read_literal
from bastide.verify.artifacts.pickles.machine import Machine
from bastide.verify.artifacts.pickles.state import End, State, Stopped
from bastide.verify.artifacts.pickles.values import Items, Made, Plain, Value

_TYPE = re.compile(r"[<>|=]?([biufcmMSUVO?])([0-9]{0,9})\Z")
_HAS_OBJECTS = 1
"""Bit in the flags of a dtype: some of its items are Python objects."""

ARRAY = Plain("array")
"""What stands in the place of the description then."""


@dataclass(frozen=True, slots=True)
class _Type:
    objects: bool
    width: int
    """Bytes of an item."""


def _array(machine: State, state: Value, after: int) -> int:
    judge = machine.observer
    assert isinstance(machine, Machine)
    assert isinstance(judge, Judge)
    if not isinstance(state, Items):
        raise _unlike("its description isn't at hand")
    items = _items(machine, judge, state.of.get("dtype"))
    if items.objects:
        inner = Machine(machine.data, judge, after)
        outcome = inner.run()
        if outcome.end is not End.STOP:
            raise Stopped(outcome.end, f"in an array of objects: {outcome.why}")
        machine.stack[-1] = ARRAY
        return outcome.offset
    count = 1
    for size in _shape(state.of.get("shape")):
        count *= _number(machine, size)
    start = after
    if _literal(machine, state.of.get("numpy_array_alignment_bytes")) is not None and after < len(machine.data):
        after += 1 + machine.data[after]
    after += count * items.width
    judge.skipped.append((start, after))
    machine.stack[-1] = ARRAY
    return after


def _shape(shape: Value | None) -> tuple[Value, ...]:
    if not isinstance(shape, tuple):
        raise _unlike("its shape is none")
    return shape


def _items(machine: State, judge: Judge, dtype: Value | None) -> _Type:
    """Of `numpy.dtype('V12', False, True)` and the state that it was given."""
    match dtype:
        case Made(arguments=(code, *_), offset=place) if (text := machine.text(code)) and (
            found := _TYPE.match(text[0])
        ):
            kind, width = found[1], int(found[2] or (8 if found[1] in "mM" else 1))
            width *= 4 if kind == "U" else 1
            match judge.states.get(place):
                case (_, _, _, _, _, size, _, *flags) if kind in "SUV":
                    told = _number(machine, size, least=-1)
                    width = told if told >= 0 else width
                    return _Type(bool(flags) and bool(_number(machine, flags[0]) & _HAS_OBJECTS), width)
            return _Type(kind == "O", width)
    raise _unlike("its type isn't known")


def _number(machine: State, value: Value, least: int = 0) -> int:
    found = _literal(machine, value)
    if not isinstance(found, int) or found < least:
        raise _unlike("a number that describes it isn't one")
    return found


def _literal(machine: State, value: Value | None) -> object:
    return read_literal(machine.data, value) if isinstance(value, int) else None


def _unlike(what: str) -> Stopped:
    return Stopped(End.BOUND, f"an array in it isn't as joblib writes arrays: {what}, so that its end isn't known")


HOOKS: dict[str, Hook] = {"joblib.numpy_pickle.NumpyArrayWrapper": _array}
