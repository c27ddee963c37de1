# SPDX-License-Identifier: Apache-2.0
"""What a registry of models has to be able to do."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from bastide.errors import StoreError
from bastide.verify.admission.model import Approval, Decision, Evidence, Version


class ChangedMeanwhile(StoreError):
    """A stage or an approval has changed since the version was read: decide again."""


class Registry(Protocol):
    """Keeps versions, evidence, approvals and decisions. Every method raises `StoreError` when the store can't be read or written."""

    def add(self, version: Version, log: Callable[[Version], int] | None = None) -> Version:
        """The version with its number; the one that is there when the same bytes have that name already.

        `log` writes a new one into the ledger; when that fails, it isn't kept.
        """

    def versions(self, name: str = "") -> Sequence[Version]:
        """All versions, or those of a name; oldest first."""

    def approve(self, version: Version, approval: Approval, log: Callable[[], int] | None = None) -> None:
        """Keeps an approval, or that one is withdrawn; when `log` fails, it isn't kept."""

    def approvals(self, version: Version) -> Sequence[Approval]:
        """Oldest first."""

    def evidence(self, version: Version) -> Sequence[Evidence]:
        """What was seen of it, oldest first."""

    def record(
        self,
        version: Version,
        decision: Decision,
        evidence: Sequence[Evidence] = (),
        log: Callable[[], int] | None = None,
    ) -> Decision:
        """Keeps a decision with the number in the ledger that `log` gives it, and evidence that wasn't seen before.

        A promotion that holds moves the version to its stage, a retirement takes it out. Either all of that is kept or nothing.
        Raises `ChangedMeanwhile` when the version isn't as it was read any more; then nothing is logged.
        """

    def decisions(self, version: Version) -> Sequence[Decision]:
        """Oldest first."""
