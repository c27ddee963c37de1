# SPDX-License-Identifier: Apache-2.0
"""What a check of a ledger found."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, Literal

State = Literal["whole", "broken", "unproven"]


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong."""

    file: str
    """Name in the folder."""
    line: int
    """From 1; 0: the file as a whole."""
    seq: int
    """The entry; 0: unknown."""
    what: str

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else self.file
        return f"{place}: {self.what}"


@dataclass(slots=True)
class Report:
    """All that was found. `state` sums it up."""

    folder: str
    key_given: bool
    """Whether the public key came from outside of the folder."""
    keys: int
    """Public keys known."""
    ledger: str = ""
    entries: int = 0
    first: int = 0
    last: int = 0
    checkpoints: int = 0
    """Checkpoints whose signature and place are right."""
    covered: int = 0
    """The last entry that a valid checkpoint is about."""
    uncovered: int = 0
    """Entries after it."""
    ends_signed: bool = False
    pruned: int = 0
    """The last entry that retention deleted."""
    anchored: int = 0
    """The last entry that a checkpoint from elsewhere confirms."""
    torn: int = 0
    """Bytes of a half written last line; was never acknowledged."""
    repaired: int = 0
    """How often the writer cut off such a line after a crash."""
    clock_jumps: int = 0
    bodies: int = 0
    """Bodies that are there and are what was written."""
    erased: int = 0
    """Bodies that are gone by an erasure, or for their age; the chain says so."""
    problem_count: int = 0
    problems: list[Problem] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def state(self) -> State:
        """whole; broken; or unproven: nothing is wrong, but nothing is signed, or no key is known."""
        if self.problem_count:
            return "broken"
        return "whole" if self.keys and (self.checkpoints or (self.pruned and not self.entries)) else "unproven"

    @property
    def whole(self) -> bool:
        """Whether all is well and proven."""
        return self.state == "whole"

    @property
    def first_break(self) -> Problem | None:
        """The first thing that is wrong, in the order of the files."""
        return self.problems[0] if self.problems else None

    @property
    def limits(self) -> list[str]:
        """What this check can't know, in sentences."""
        said = list(self.notes)
        if not self.keys:
            said.append("no public key is known, so no signature was checked")
        elif not self.key_given:
            said.append(
                "the public key lies beside the ledger: who could rewrite one could replace the other; keep a copy elsewhere"
            )
        if self.keys and not self.checkpoints:
            said.append("no checkpoint is signed yet: the chain fits together, but anybody could have written it")
        elif self.uncovered > 1:
            said.append(f"entries after {self.covered} are chained but not yet signed: they could have been replaced")
        if self.anchored < self.last - 1:
            after = f"after entry {self.anchored}" if self.anchored else "at the end"
            said.append(
                f"whether entries {after} were removed can't be seen without a newer checkpoint that was kept elsewhere"
            )
        if self.torn:
            said.append(f"the last line is half written ({self.torn} bytes): a crash, or a write that is going on")
        return said

    def document(self) -> dict[str, Any]:
        """For machines."""
        found = asdict(self)
        found.pop("notes")
        return {"schema_version": "1.0", "state": self.state, **found, "limits": self.limits}
