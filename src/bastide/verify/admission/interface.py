# SPDX-License-Identifier: Apache-2.0
"""What a registry of models has to be able to do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from bastide.verify.admission.model import Approval, Decision, Version


class Registry(Protocol):
    """Keeps versions, approvals and decisions. Every method raises `StoreError` when the store can't be read or written."""

    def add(self, version: Version) -> Version:
        """The version with its number; the one that is there when the same bytes have that name already."""

    def versions(self, name: str = "") -> Sequence[Version]:
        """All versions, or those of a name; oldest first."""

    def approve(self, version: Version, approval: Approval) -> None:
        """Keeps an approval."""

    def approvals(self, version: Version) -> Sequence[Approval]:
        """Oldest first."""

    def record(self, version: Version, decision: Decision, *, promote: bool) -> None:
        """Keeps a decision; with `promote`, and when it holds, the version is in its stage from then on."""

    def decisions(self, version: Version) -> Sequence[Decision]:
        """Oldest first."""
