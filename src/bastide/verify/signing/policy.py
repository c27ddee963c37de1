# SPDX-License-Identifier: Apache-2.0
"""The trust policy: who may sign which models, how many have to, and what has to be attached by whom."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from bastide.errors import Location
from bastide.verify.signing.keys import PublicKey

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

Method = Literal["key", "certificate", "sigstore"]


@dataclass(frozen=True, slots=True)
class Signer:
    """Somebody whose signature counts."""

    name: str
    method: Method
    key: PublicKey | None = None
    """Of a `key` signer."""
    roots: tuple[Certificate, ...] = ()
    """Of a `certificate` signer: one of them has to vouch for the certificate."""
    subject: str = ""
    """Pattern for the certificate's subject as RFC 4514 writes it; '' when `alternative` says who it is."""
    alternative: str = ""
    """Pattern for a mail address, an address or a host name in the certificate."""
    identity: str = ""
    """Of a `sigstore` signer: the account, exactly."""
    issuer: str = ""
    """Who vouches for the account: address of the OpenID provider."""
    trust_root: Path | None = None
    """Sigstore's trusted root, or a client's trust configuration, as a file."""
    models: tuple[str, ...] = ("*",)
    not_before: datetime | None = None
    expires: datetime | None = None
    location: Location = Location()


@dataclass(frozen=True, slots=True)
class Range:
    """What a metric may be."""

    min: float | None = None
    max: float | None = None

    def __str__(self) -> str:
        parts = [
            f"at least {self.min:g}" if self.min is not None else "",
            f"at most {self.max:g}" if self.max is not None else "",
        ]
        return " and ".join(filter(None, parts))

    def holds(self, value: float) -> bool:
        """Whether a value is in it."""
        return (self.min is None or value >= self.min) and (self.max is None or value <= self.max)


@dataclass(frozen=True, slots=True)
class Demand:
    """An attestation that has to be attached."""

    type: str
    """`scan`, `evaluation`, `provenance`, or the predicate type of another one."""
    by: tuple[str, ...]
    threshold: int = 1
    max_age: float | None = None
    """Seconds since what is attested was done."""
    min_engine: str = ""
    """Of a scan: the oldest version of the engine."""
    verdicts: tuple[str, ...] = ("safe",)
    """Of a scan."""
    metrics: Mapping[str, Range] = field(default_factory=dict)
    """Of an evaluation."""
    datasets: tuple[str, ...] = ()
    """Of an evaluation: SHA-256 of the data sets on which it may be done; empty: any."""
    builders: tuple[str, ...] = ()
    """Of provenance: patterns for the builder's id; empty: any."""
    materials: tuple[str, ...] = ()
    """Of provenance: patterns for what may have gone in; empty: anything."""
    location: Location = Location()


@dataclass(frozen=True, slots=True)
class Rule:
    """What is asked of some models."""

    models: tuple[str, ...]
    signed_by: tuple[str, ...]
    threshold: int = 1
    """Different signers; neither two names for one key nor two keys of one name make two."""
    same_name: bool = True
    """Whether the model has to be called what its signers called it."""
    unsigned: tuple[str, ...] = ()
    """Patterns for files that nobody has to have signed."""
    ledger: bool = False
    """Whether the signatures have to be in the ledger, before a signed checkpoint."""
    attestations: tuple[Demand, ...] = ()
    location: Location = Location()


@dataclass(frozen=True, slots=True)
class Policy:
    """All of it. A model for which there is no rule is refused; when there are several, all of them have to hold."""

    signers: Mapping[str, Signer]
    rules: tuple[Rule, ...]
    revoked: Mapping[str, str] = field(default_factory=dict)
    """Fingerprints of keys, of signers and authorities, that don't count any more, with the reason.

    Not of certificates: the bytes of a certificate can be changed without breaking its signature, its key can't.
    """
    file: str = ""
    digest: str = ""
    """SHA-256 of the file, hex."""
    ledger_key: bytes | None = None
    """Public key of the ledger, PEM."""

    def rules_for(self, name: str) -> tuple[Rule, ...]:
        """The rules for a model."""
        return tuple(rule for rule in self.rules if matches(name, rule.models))


def matches(name: str, patterns: tuple[str, ...]) -> bool:
    """Whether a name fits one of some patterns (`*`, `?`, `[...]`); case counts."""
    return any(fnmatchcase(name, pattern) for pattern in patterns)
