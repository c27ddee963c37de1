# SPDX-License-Identifier: Apache-2.0
"""Checks a ledger: every hash, the chain, every checkpoint, the stub, the bodies; and says truthfully what can't be known.

Reads only, and takes no lock, so a running guard's ledger can be checked. Whatever lies in the folder, the answer is a report.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from bastide.errors import LedgerError
from bastide.evidence import bodies, files
from bastide.evidence.line import LONGEST, ZERO, Line, unseal
from bastide.evidence.report import Problem, Report
from bastide.evidence.signing import Keyring, Signed, read_statement, statement

_MOST = 100
"""Problems that are kept; the others are only counted."""


def verify(folder: Path, public_keys: Iterable[bytes] | bytes | None = None, anchors: Iterable[Path] = ()) -> Report:
    """What is true of the ledger in a folder.

    public_keys: PEM; None takes those in the folder, which shows accidents but not a forger who replaced them too. anchors: checkpoints that
    were kept elsewhere. Raises `LedgerError` for a folder, key or anchor that can't be read; all that is wrong with the ledger itself is in
    the report.
    """
    given = public_keys is not None
    pems = [public_keys] if isinstance(public_keys, bytes) else list(public_keys or ())
    ring = Keyring.of(pems) if given else Keyring.in_folder(folder)
    outside = [(path, _anchor(path)) for path in anchors]
    if not folder.is_dir():
        raise LedgerError(f"{folder}: is no folder")
    if not files.segments(folder) and not (folder / files.STUB).exists():
        raise LedgerError(f"{folder}: holds no ledger")
    for _ in range(3):
        before = _stub_bytes(folder)
        report = _Check(folder, ring, given).run(outside)
        # Retention may have deleted segments in the meantime; then what was seen is no state that the ledger ever had.
        if before == _stub_bytes(folder):
            break
    return report


class _Check:
    """One pass over a folder."""

    def __init__(self, folder: Path, ring: Keyring, given: bool) -> None:
        self._folder, self._ring = folder, ring
        self._report = Report(folder=str(folder), key_given=given, keys=len(ring))
        self._before: Line | None = None
        self._start = (0, ZERO)
        self._heads: dict[int, str] = {}
        """Hashes of the entries that an anchor speaks of."""
        self._wanted: set[int] = set()
        self._references: list[tuple[str, int, int, dict[str, Any]]] = []
        self._erased: dict[str, int] = {}
        self._retired = (0, 0)
        """The last entry that deleted bodies for their age, and before which time they ended."""

    def run(self, outside: list[tuple[Path, Signed]]) -> Report:
        # The newest checkpoint is read before the segments: a writer that goes on meanwhile can only add.
        newest = self._statement(files.NEWEST)
        self._stub()
        self._wanted = {signed.seq for _, signed in outside} | ({newest.seq} if newest else set())
        known = files.segments(self._folder)
        for index, (first, path) in enumerate(known):
            if self._start[0] < first or index == len(known) - 1:
                self._segment(path, last=index == len(known) - 1)
        self._anchors(newest, outside)
        self._bodies()
        report = self._report
        report.uncovered = max(0, report.last - report.covered)
        return report

    def _problem(self, file: str, line: int, seq: int, what: str) -> None:
        self._report.problem_count += 1
        if len(self._report.problems) < _MOST:
            self._report.problems.append(Problem(file, line, seq, what))

    def _statement(self, name: str) -> Signed | None:
        try:
            return read_statement(self._folder / name)
        except LedgerError as problem:
            self._problem(name, 0, 0, str(problem).rpartition(": ")[2])
            return None

    def _stub(self) -> None:
        stub = self._statement(files.STUB)
        if stub is None:
            return
        if self._ring and (wrong := self._ring.wrong("stub", stub)):
            self._problem(files.STUB, 0, stub.seq, f"the stub {wrong}")
        self._start = (stub.seq, stub.head)
        self._report.pruned = stub.seq
        self._report.ledger = stub.ledger

    def _segment(self, path: Path, *, last: bool) -> None:
        number = 0
        try:
            with os.fdopen(files.open_for_reading(path), "rb") as stream:
                while raw := stream.readline(LONGEST + 1):
                    number += 1
                    if last and not raw.endswith(b"\n") and not stream.read(1):
                        self._report.torn = len(raw)
                        break
                    self._line(path.name, number, raw)
        except OSError as problem:
            self._problem(path.name, number, 0, f"can't be read: {problem.strerror}")

    def _line(self, file: str, number: int, raw: bytes) -> None:
        try:
            line = unseal(raw)
        except ValueError as problem:
            self._problem(file, number, 0, f"the line {problem}")
            # The next one is compared with the last good one, so that what is missing between them shows.
            return
        self._chain(file, number, line)
        self._before = line
        self._report.entries += 1
        self._report.first = self._report.first or line.seq
        self._report.last = line.seq
        if line.seq in self._wanted:
            self._heads[line.seq] = line.hash
        self._meaning(file, number, line)

    def _chain(self, file: str, number: int, line: Line) -> None:
        seq, head = (self._before.seq, self._before.hash) if self._before else self._start
        if line.seq > seq + 1:
            self._problem(file, number, line.seq, f"{_entries(seq + 1, line.seq - 1)} missing before it")
        elif line.seq <= seq:
            self._problem(file, number, line.seq, f"entry {line.seq} stands after entry {seq}")
        elif line.prev != head:
            self._problem(file, number, line.seq, "isn't chained to the entry before: one of the two was replaced")

    def _meaning(self, file: str, number: int, line: Line) -> None:
        entry, report = line.entry, self._report
        kind = entry.get("kind")
        if kind == "ledger":
            report.ledger = report.ledger or str(entry.get("ledger", ""))
        elif kind == "checkpoint":
            self._checkpoint(file, number, line)
        elif kind == "erasure":
            self._erased[str(entry.get("subject"))] = line.seq
        elif kind == "torn":
            report.repaired += 1
        elif kind == "clock":
            report.clock_jumps += 1
        elif kind == "retention" and isinstance(before := entry.get("bodies_before"), int):
            self._retired = (line.seq, before)
        content = entry.get("content")
        for text in content if isinstance(content, list) else ():
            if isinstance(text, dict) and isinstance(text.get("body"), dict):
                self._references.append((file, number, line.seq, text["body"]))

    def _checkpoint(self, file: str, number: int, line: Line) -> None:
        try:
            signed = statement(line.entry)
        except ValueError as problem:
            self._problem(file, number, line.seq, f"the checkpoint {problem}")
            return
        if not self._ring:
            return
        if signed.seq != line.seq - 1 or signed.head != line.prev or signed.ledger != self._ledger(signed):
            self._problem(file, number, line.seq, "the checkpoint is about another place in another ledger")
        elif wrong := self._ring.wrong("checkpoint", signed):
            self._problem(file, number, line.seq, f"the checkpoint {wrong}")
        else:
            self._report.checkpoints += 1
            self._report.covered = signed.seq
            self._report.ends_signed = True

    def _ledger(self, signed: Signed) -> str:
        self._report.ledger = self._report.ledger or signed.ledger
        return self._report.ledger

    def _anchors(self, newest: Signed | None, outside: list[tuple[Path, Signed]]) -> None:
        if newest is not None:
            self._anchor(files.NEWEST, newest)
        for path, signed in outside:
            if self._anchor(str(path), signed):
                self._report.anchored = max(self._report.anchored, signed.seq)

    def _anchor(self, name: str, signed: Signed) -> bool:
        """Whether a checkpoint from outside of the chain fits."""
        report = self._report
        if self._ring and (wrong := self._ring.wrong("checkpoint", signed)):
            self._problem(name, 0, signed.seq, f"the checkpoint {wrong}")
        elif signed.ledger != self._ledger(signed):
            self._problem(name, 0, signed.seq, "the checkpoint is of another ledger")
        elif signed.seq < self._start[0]:
            report.notes.append(f"{name}: is about entry {signed.seq}, which retention deleted; it can't be compared")
        elif signed.seq == self._start[0] and signed.head == self._start[1]:
            return True
        elif signed.seq > report.last:
            missing = _entries(report.last + 1, signed.seq)
            self._problem(name, 0, signed.seq, f"{missing} missing at the end: the tail was cut off")
        elif self._heads.get(signed.seq) != signed.head:
            self._problem(
                name, 0, signed.seq, f"entry {signed.seq} isn't the one that was signed: the ledger was rewritten"
            )
        elif signed.seq == report.last and report.covered < signed.seq:
            self._problem(name, 0, signed.seq, "the chain lacks the entry of this checkpoint: it was cut off")
        else:
            return True
        return False

    def _bodies(self) -> None:
        report = self._report
        known: dict[tuple[str, str], dict[str, str]] = {}
        for file, number, seq, reference in self._references:
            try:
                where = bodies.place(reference)
            except LedgerError as problem:
                self._problem(file, number, seq, str(problem))
                continue
            if where not in known:
                known[where] = bodies.commitments(self._folder, *where)
            found = known[where].get(str(reference.get("id")))
            if found is None and (self._erased.get(where[0], 0) > seq or self._is_retired(where[1], seq)):
                report.erased += 1
            elif found is None:
                self._problem(file, number, seq, "the body of this entry is missing, and no erasure says why")
            elif found != reference.get("commitment"):
                self._problem(file, number, seq, "the body of this entry was changed")
            else:
                report.bodies += 1

    def _is_retired(self, day: str, seq: int) -> bool:
        by, before = self._retired
        return by > seq and bodies.day_ended(day) <= before


def _anchor(path: Path) -> Signed:
    found = read_statement(path)
    if found is None:
        raise LedgerError(f"{path}: there is no such file")
    return found


def _stub_bytes(folder: Path) -> bytes | None:
    try:
        return files.read_small(folder / files.STUB)
    except LedgerError:
        return None


def _entries(first: int, last: int) -> str:
    return f"entry {first} is" if first == last else f"entries {first} to {last} are"
