# SPDX-License-Identifier: Apache-2.0
"""What signing and verifying speak of: files with their digests, what somebody signed, and what was decided."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from bastide.errors import Location


class Outcome(StrEnum):
    """What is known of a demand."""

    HOLDS = "holds"
    REFUSED = "refused"
    UNKNOWN = "unknown"
    """It can't be decided, so it doesn't hold."""


def worst(outcomes: list[Outcome]) -> Outcome:
    """Refused when one is, else unknown when one is, else holds; unknown when there is none."""
    for outcome in (Outcome.REFUSED, Outcome.UNKNOWN):
        if outcome in outcomes:
            return outcome
    return Outcome.HOLDS if outcomes else Outcome.UNKNOWN


@dataclass(frozen=True, slots=True)
class Resource:
    """A file of a model, or a stretch of one."""

    name: str
    """Path in the model with `/`; `.` when the model is one file; with `:start:end` for a stretch."""
    digest: str
    """Hex."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """All files of a model, as one signature covers them."""

    name: str
    """What the signer called the model: the last part of its path."""
    resources: tuple[Resource, ...]
    ignored: tuple[str, ...] = ()
    """Paths, with everything below them, that the signer left out."""
    algorithm: str = "sha256"
    """Of the resources: sha256 or blake2b."""
    shard_size: int = 0
    """Bytes of a stretch; 0: whole files."""


@dataclass(frozen=True, slots=True)
class Differences:
    """How the files on the disk differ from a manifest."""

    changed: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    extra: tuple[str, ...] = ()
    """Files that nobody signed."""
    left_out: tuple[str, ...] = ()
    """Files that the signer left out knowingly; nobody signed them either."""

    def __bool__(self) -> bool:
        return bool(self.changed or self.missing or self.extra or self.left_out)


@dataclass(frozen=True, slots=True)
class Statement:
    """An in-toto statement, version 1: somebody says something (`predicate`) about things with digests (`subjects`).

    https://github.com/in-toto/attestation/blob/main/spec/v1/statement.md
    """

    predicate_type: str
    subjects: tuple[Subject, ...]
    predicate: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Subject:
    """What a statement is about."""

    name: str
    digest: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Identity:
    """Whose signature it is, after its check: a key, with the certificate or account that vouches for it."""

    method: str
    """`key`, `certificate` or `sigstore`."""
    id: str
    """What makes two signers different: `sha256:` and the fingerprint of the public key, or an account with its issuer."""
    names: tuple[str, ...] = ()
    """Signers of the policy that this is."""
    certificate: str = ""
    """`sha256:` and the fingerprint of the certificate."""
    subject: str = ""
    """Of the certificate, or the account."""
    issuer: str = ""
    valid_from: datetime | None = None
    valid_until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Envelope:
    """One signature or attestation that was read, with what was found out about it."""

    file: str
    sha256: str = ""
    """Hex, of what is signed (the payload)."""
    statement: Statement | None = None
    manifest: Manifest | None = None
    """Of a signature of a model."""
    identity: Identity | None = None
    """None when the signature isn't valid, or nobody knows whose it is."""
    outcome: Outcome = Outcome.REFUSED
    """Whether the signature is valid and from a signer of the policy."""
    reason: str = ""
    differences: Differences = Differences()
    """Of a signature of a model: between what was signed and what is there."""
    logged: datetime | None = None
    """When it was written into the ledger, where that is proven."""


@dataclass(frozen=True, slots=True)
class Check:
    """One demand, and whether it holds."""

    id: str
    """`files`, `signatures`, `attestation/scan`, ..."""
    outcome: Outcome
    reason: str
    location: Location = Location()
    """Where the policy demands it."""
    hint: str = ""
    """What to do about it."""


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether a model may be used, with the reasons."""

    model: str
    """Path."""
    name: str
    """Under which the policy judged it."""
    digest: str
    """SHA-256 over all files, as the signature has it; '' when they could not be read."""
    files: int
    at: datetime
    checks: tuple[Check, ...]
    signatures: tuple[Envelope, ...] = ()
    attestations: tuple[Envelope, ...] = ()
    unsigned: tuple[str, ...] = ()
    """Files that are there and that no signature covers: the policy allows them, or they are the signatures themselves."""
    policy: str = ""
    """The policy's file with its digest; '' for one made of options."""
    notes: tuple[str, ...] = field(default=())
    demanded: tuple[Check, ...] = ()
    """What came of the attestations that the caller demanded beside the policy, in their order. They aren't part of the outcome."""

    @property
    def outcome(self) -> Outcome:
        """Holds only when every check does."""
        return worst([check.outcome for check in self.checks])
