# SPDX-License-Identifier: Apache-2.0
"""PyTorch's old files: five pickles in a row (a magic number, a version, facts about the system, the object, the keys of its storages), then
raw storages. The oldest ones are tar archives of pickles (`formats.tar`).
"""

from __future__ import annotations

from bastide.verify.artifacts.interface import Buffer, Scan, Source
from bastide.verify.artifacts.model import Severity, Tier
from bastide.verify.artifacts.pickles.judge import Judge
from bastide.verify.artifacts.pickles.literals import read_literal
from bastide.verify.artifacts.pickles.reading import read_pickle
from bastide.verify.artifacts.pickles.state import End, Outcome
from bastide.verify.artifacts.pickles.values import Imported, Made, Value

MAGIC = 0x1950A86A20F9469CFC6C
OBJECT = "object"
"""The pickle that has storages and may name modules by persistent ids."""
REST = ("version", "facts about the system", OBJECT, "keys of its storages")

PARTS = frozenset({"storages", "tensors", "pickle"})
"""Members of the tar archives."""
WIDTHS = {
    "Double": 8,
    "Float": 4,
    "Half": 2,
    "Long": 8,
    "Int": 4,
    "Short": 2,
    "Char": 1,
    "Byte": 1,
    "Bool": 1,
    "BFloat16": 2,
}
"""Bytes of an item of a storage, by the name of its class."""


def begins(outcome: Outcome, judge: Judge) -> bool:
    """Whether the first pickle of a file is the magic number, or what a loader may compute to be it."""
    match outcome.value:
        case int() as literal if judge.machine is not None:
            return read_literal(judge.machine.data, literal) == MAGIC
        case Made(by=Imported(name="int")):
            return True
    return False


def read_rest(source: Source, scan: Scan, first: Outcome) -> str:
    """The pickles behind the magic number; the storages behind them are raw bytes."""
    if isinstance(first.value, Made):
        scan.add(
            "torch/computed-magic", Tier.MALFORMED, Severity.HIGH,
            "computes the number by which PyTorch's files are known; no honest program does that, and scanners don't see what the file is",
            0,
        )  # fmt: skip
    at = first.offset
    for what in REST:
        if at >= source.size:
            scan.malformed("torch/cut-off", f"ends before its {what}", at)
            return "torch"
        outcome, _ = read_pickle(source.data, scan, at, persistent=what == OBJECT)
        if outcome.end is not End.STOP:
            return "torch"
        at = outcome.offset
    return "torch"


def read_part(name: str, content: Buffer, scan: Scan) -> None:
    """A member of a tar archive: `pickle` is one; the others are a count and as many pickles, each with numbers behind it."""
    outcome, judge = read_pickle(content, scan, persistent=name == "pickle")
    if name == "pickle" or outcome.end is not End.STOP:
        return
    for _ in range(_number(outcome.value, judge)):
        outcome, judge = read_pickle(content, scan, outcome.offset)
        if outcome.end is not End.STOP:
            return
        after = (_behind_storage if name == "storages" else _behind_tensor)(content, outcome)
        if after is None or after > len(content):
            scan.unread("the numbers behind a pickle don't end where they should", outcome.offset)
            return
        outcome = Outcome(outcome.end, after)
    if name == "storages":
        # The last one lists the views into storages.
        read_pickle(content, scan, outcome.offset)


def _number(value: Value | None, judge: Judge) -> int:
    found = read_literal(judge.machine.data, value) if isinstance(value, int) and judge.machine else 0
    return found if isinstance(found, int) else 0


def _behind_storage(content: Buffer, outcome: Outcome) -> int | None:
    match outcome.value:
        case (_, _, Imported(name=name)) if name.removesuffix("Storage") in WIDTHS:
            count = int.from_bytes(content[outcome.offset : outcome.offset + 8], "little")
            return outcome.offset + 8 + count * WIDTHS[name.removesuffix("Storage")]
    return None


def _behind_tensor(content: Buffer, outcome: Outcome) -> int:
    dimensions = int.from_bytes(content[outcome.offset : outcome.offset + 4], "little")
    return outcome.offset + 8 + 16 * dimensions + 8
