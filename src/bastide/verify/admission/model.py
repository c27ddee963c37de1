# SPDX-License-Identifier: Apache-2.0
"""What admission speaks of: versions of models in a registry, approvals of people, and decisions with their reasons."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from bastide.verify.signing.model import Check, Outcome, worst


@dataclass(frozen=True, slots=True)
class Base:
    """A model that a version was made from."""

    name: str
    relation: str
    """`finetune`, `adapter`, `quantized`, `merge`, `base`."""


@dataclass(frozen=True, slots=True)
class Version:
    """The bytes of a model under a name. The same bytes are the same version."""

    name: str
    digest: str
    """SHA-256 over the digests of all files, as its signature has it."""
    path: str
    """Where it was when it was registered."""
    layout: str = "files"
    """`files`, `huggingface`, `mlflow`."""
    source: Mapping[str, str] = field(default_factory=dict)
    """What the layout says of it: `run`, `revision`, `user`, `created`."""
    bases: tuple[Base, ...] = ()
    number: int = 0
    """From 1, in the order of registration; 0 before."""
    stage: str = ""
    """'' until it is promoted."""
    added: datetime | None = None
    added_by: str = ""

    def __str__(self) -> str:
        """`support@3`."""
        return f"{self.name}@{self.number}"


@dataclass(frozen=True, slots=True)
class Approval:
    """Somebody's word that a version may go to a stage. Who it is isn't proven here: a signed attestation is for that."""

    stage: str
    by: str
    at: datetime
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether a model may go to a stage."""

    name: str
    stage: str
    """'' when it isn't about a stage."""
    path: str
    digest: str
    """'' when its files could not all be read."""
    at: datetime
    checks: tuple[Check, ...]
    policy: str = ""
    """The policy's file with its digest."""
    by: str = ""
    number: int = 0
    """Of the version in the registry; 0: none."""
    entry: int = 0
    """Number in the ledger; 0: none."""

    @property
    def outcome(self) -> Outcome:
        """Holds only when every check does."""
        return worst([check.outcome for check in self.checks])
