# SPDX-License-Identifier: Apache-2.0
"""What admission speaks of: versions of models in a registry, approvals of people, and decisions with their reasons."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from bastide.verify.signing.model import Check, Outcome, worst

Action = Literal["admit", "promote", "retire"]


@dataclass(frozen=True, slots=True)
class Base:
    """A model that a version was made from."""

    name: str
    relation: str
    """`finetune`, `adapter`, `quantized`, `merge`, `base`."""
    revision: str = ""
    """Where one is stated."""


@dataclass(frozen=True, slots=True)
class Version:
    """The bytes of a model under a name. The same bytes are the same version."""

    name: str
    digest: str
    """SHA-256 over the digests of all files, as its signature has it."""
    paths: str
    """The same with the files' paths (in-toto's `dirHash`): renamed files make another version."""
    path: str
    """Where it was when it was registered."""
    layout: str = "files"
    """`files`, `huggingface`, `mlflow`."""
    source: Mapping[str, str] = field(default_factory=dict)
    """What the layout says of it: `revision`, `run_id`, `user_id`, `start_time`."""
    bases: tuple[Base, ...] = ()
    number: int = 0
    """From 1, in the order of registration; 0 before."""
    stage: str = ""
    """'' until it is promoted."""
    added: datetime | None = None
    added_by: str = ""
    changes: int = 0
    """How often its stage or its approvals have changed."""

    def same_bytes(self, digest: str, paths: str) -> bool:
        """Whether it is what has these digests."""
        return (self.digest, self.paths) == (digest, paths)

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
    withdrawn: bool = False
    """Whether it takes back what was approved before."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """A signature or an attestation of a version that was valid when it was seen."""

    type: str
    """`signature`, `scan`, `evaluation`, `provenance`, or the type of another predicate."""
    payload: str
    """SHA-256 of what was signed."""
    signer: str
    """Fingerprint of the key, or the account."""
    names: tuple[str, ...]
    """How the trust policy calls the signer."""
    seen: datetime
    """For the first time."""


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether a model may be used, or go to a stage; or that it was taken out of its stage."""

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
    action: Action = "admit"
    paths: str = ""
    """As in `Version`."""

    @property
    def outcome(self) -> Outcome:
        """Holds only when every check does."""
        return worst([check.outcome for check in self.checks])
