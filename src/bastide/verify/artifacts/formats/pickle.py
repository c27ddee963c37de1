# SPDX-License-Identifier: Apache-2.0
"""Pickles as such: pickle, joblib, dill, cloudpickle, and PyTorch's old files of several pickles in a row."""

from __future__ import annotations

import re

from bastide.verify.artifacts.interface import Buffer, Scan, Source
from bastide.verify.artifacts.model import Severity, Tier
from bastide.verify.artifacts.pickles.judge import Hook, Judge
from bastide.verify.artifacts.pickles.knowledge import load_knowledge
from bastide.verify.artifacts.pickles.literals import read_literal
from bastide.verify.artifacts.pickles.machine import Machine
from bastide.verify.artifacts.pickles.state import End, Outcome, State
from bastide.verify.artifacts.pickles.values import Items, Made, Value

EXTENSIONS = frozenset(
    [
        "pkl",
        "pickle",
        "p",
        "pk",
        "pckl",
        "joblib",
        "dill",
        "cloudpickle",
        "pt",
        "pth",
        "bin",
        "ckpt",
        "data",
        "dat",
        "model",
        "sav",
        "mdl",
    ]
)
"""Files that people load as pickles whatever is in them."""
TORCH_MAGIC = 0x1950A86A20F9469CFC6C
PICKLES = 5
"""In PyTorch's old format: magic number, protocol, system, the object, the keys of its storages."""
MAX_PICKLES = 1000
TRIAL = 20_000
"""Opcodes after which something that doesn't look like a pickle isn't one."""
_TYPE = re.compile(r"[<>|=]?([a-zA-Z])([0-9]{0,9})\Z")


class PickleReader:
    """Reads files of pickles."""

    format = "pickle"

    def claims(self, source: Source) -> bool:
        """By its first bytes, or by a name under which people load pickles; a pickle of protocol 0 looks like text."""
        head = source.head(2)
        if len(head) == 2 and head[0] == 0x80 and head[1] <= 5:
            return True
        return source.extension in EXTENSIONS or _would_call(source)

    def read(self, source: Source, scan: Scan) -> None:
        """All pickles of the file, one after the other."""
        start = 0
        for number in range(MAX_PICKLES):
            outcome, judge = read_pickle(source.data, scan, start)
            if number and outcome.end is not End.STOP and not judge.calls:
                # What follows a whole pickle needs not be one: storages, arrays.
                return
            start = outcome.offset
            if outcome.end is not End.STOP or start >= source.size:
                return
        scan.unread(f"more than {MAX_PICKLES} pickles in a row", start)


def _would_call(source: Source) -> bool:
    """Whether it is a pickle under another name: a text that a reader of pickles would call something for.

    Texts begin with letters that are opcodes as well, but none comes to a call by chance.
    """
    judge = Judge(load_knowledge())
    judge.machine = Machine(source.data, judge, max_steps=TRIAL)
    judge.machine.run()
    return judge.calls > 0


def read_pickle(data: Buffer, scan: Scan, start: int = 0, *, persistent: bool = False) -> tuple[Outcome, Judge]:
    """Reads one pickle and reports what it would do; returns how it ended, and who judged it."""
    judge = Judge(load_knowledge(), persistent=persistent, hooks=JOBLIB)
    machine = Machine(data, judge, start)
    judge.machine = machine
    outcome = machine.run()
    scan.take(judge.findings)
    _ended(outcome, judge, scan)
    return outcome, judge


def _ended(outcome: Outcome, judge: Judge, scan: Scan) -> None:
    if outcome.end is End.STOP:
        return
    if outcome.end is End.BOUND:
        scan.unread(outcome.why, outcome.offset)
    elif judge.calls:
        scan.add(
            "pickle/broken-tail", Tier.MALFORMED, Severity.MEDIUM,
            f"can't be loaded to its end ({outcome.why}), but what stands before is executed all the same", outcome.offset,
        )  # fmt: skip
    else:
        scan.malformed("pickle/broken", f"is no whole pickle: {outcome.why}", outcome.offset)


def _joblib_array(machine: State, state: Value, after: int) -> int:
    """joblib writes the bytes of an array behind the object that describes it.

    Source: `joblib.numpy_pickle.NumpyArrayWrapper.read_array`.
    """
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


_WRAPPER = "joblib.numpy_pickle.NumpyArrayWrapper"
JOBLIB: dict[str, Hook] = {_WRAPPER: _joblib_array}
