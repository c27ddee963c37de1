# SPDX-License-Identifier: Apache-2.0
"""PyTorch's old files: five pickles in a row (a magic number, a version, facts about the system, the object, the keys of its storages), then
raw storages. The oldest ones are tar archives of pickles (`formats.tar`).
"""

from __future__ import annotations

from bastide.verify.artifacts.interface import Scan, Source
from bastide.verify.artifacts.model import Severity, Tier
from bastide.verify.artifacts.pickles.judge import Judge
from bastide.verify.artifacts.pickles.literals import read_literal
from bastide.verify.artifacts.pickles.reading import read_pickle
from bastide.verify.artifacts.pickles.state import End, Outcome
from bastide.verify.artifacts.pickles.values import Imported, Made

MAGIC = 0x1950A86A20F9469CFC6C
OBJECT = "object"
"""The pickle that has storages and may name modules by persistent ids."""
REST = ("version", "facts about the system", OBJECT, "keys of its storages")


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
