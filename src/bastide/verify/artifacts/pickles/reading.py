# SPDX-License-Identifier: Apache-2.0
"""Reads one pickle and reports what it would do."""

from __future__ import annotations

from bastide.verify.artifacts.interface import Buffer, Scan
from bastide.verify.artifacts.model import Severity, Tier
from bastide.verify.artifacts.pickles.joblib import HOOKS
from bastide.verify.artifacts.pickles.judge import Hook, Judge
from bastide.verify.artifacts.pickles.knowledge import load_knowledge
from bastide.verify.artifacts.pickles.literals import content_of
from bastide.verify.artifacts.pickles.machine import Machine
from bastide.verify.artifacts.pickles.state import End, Outcome

_HARM = frozenset({Severity.HIGH, Severity.CRITICAL})


def read_pickle(
    data: Buffer, scan: Scan, start: int = 0, *, persistent: bool = False, script: bool = False
) -> tuple[Outcome, Judge]:
    """Reads one pickle and reports what it would do; returns how it ended, and who judged it.

    persistent: whether it is PyTorch that gives objects for persistent ids; script: whether it is a part of a TorchScript file.
    """
    outcome, judge = try_pickle(data, start, persistent=persistent, script=script)
    report(outcome, judge, scan)
    return outcome, judge


def try_pickle(
    data: Buffer, start: int = 0, *, persistent: bool = False, script: bool = False
) -> tuple[Outcome, Judge]:
    """Reads one pickle and reports nothing yet."""
    outcome, judge = _run(data, start, HOOKS, persistent=persistent, script=script)
    if judge.skipped:
        # `pickle.load` reads as opcodes what joblib takes for the numbers of an array.
        _, plain = _run(data, start, {}, persistent=persistent, script=script)
        judge.findings += [f for f in plain.findings if f.severity in _HARM and _within(f.offset or 0, judge.skipped)]
    return outcome, judge


def _within(offset: int, places: list[tuple[int, int]]) -> bool:
    return any(start <= offset < end for start, end in places)


def _run(data: Buffer, start: int, hooks: dict[str, Hook], *, persistent: bool, script: bool) -> tuple[Outcome, Judge]:
    judge = Judge(load_knowledge(), persistent=persistent, hooks=hooks, own=("__torch__.",) if script else ())
    judge.machine = machine = Machine(data, judge, start)
    outcome = machine.run()
    # Without this the two would hold each other, and the file's mapping with them, until they are collected.
    del machine.observer
    return outcome, judge


def report(outcome: Outcome, judge: Judge, scan: Scan) -> None:
    """Reports what a pickle would do, and that it isn't whole."""
    scan.take(judge.findings)
    for literal in judge.files:
        inner = content_of(judge.machine.data, literal) if judge.machine else b""
        scan.into(f"bytes at {literal}.pt", inner)
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
