# SPDX-License-Identifier: Apache-2.0
"""The ledger as a log of signatures: what was signed and decided is appended, and a signature can be looked up in it.

An entry counts when the ledger is what was written and a signed checkpoint comes after it. The time of an entry is believed only when the
ledger's public key came from elsewhere: who could rewrite the folder could replace a key that lies in it.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bastide.errors import LedgerError, LedgerHeld
from bastide.verify.signing.model import Decision

_PATIENCE = 10.0
"""Seconds to wait for another writer."""


@dataclass(frozen=True, slots=True)
class Logbook:
    """The signatures that a ledger has."""

    problem: str = ""
    """Why nothing in it can be believed; '' when all is well."""
    timely: bool = False
    """Whether its times can be believed."""
    entries: Mapping[tuple[str, str], datetime] = field(default_factory=dict)
    """Payload's SHA-256 and signer's id -> when it was first written there."""

    def has(self, payload: str, signer: str) -> bool:
        """Whether a signature is in it."""
        return (payload, signer) in self.entries

    def time(self, payload: str, signer: str) -> datetime | None:
        """When a signature was written into it, where that can be believed."""
        return self.entries.get((payload, signer)) if self.timely else None


def read_logbook(folder: Path, key: bytes | None) -> Logbook:
    """What a ledger says about signatures. key: its public key, PEM."""
    from bastide.evidence.read import entries
    from bastide.evidence.verify import verify

    try:
        report = verify(folder, key)
        if report.state != "whole":
            why = report.first_break or "; ".join(report.limits[:1]) or "it isn't signed"
            return Logbook(f"the ledger is {report.state}: {why}")
        found: dict[tuple[str, str], datetime] = {}
        for line in entries(folder):
            entry = line.entry
            if line.seq <= report.covered and entry.get("kind") == "signing":
                at = datetime.fromtimestamp(line.time / 1e9, UTC)
                found.setdefault((str(entry.get("payload")), str(entry.get("signer"))), at)
    except LedgerError as problem:
        return Logbook(str(problem))
    except (OverflowError, OSError, ValueError):
        return Logbook(f"{folder}: an entry has no time")
    return Logbook("", key is not None, found)


def record(folder: Path, entry: Mapping[str, Any]) -> int:
    """Appends an entry and signs a checkpoint over it; returns its number. Raises `LedgerError`."""
    from bastide.evidence.ledger import Ledger

    end = time.monotonic() + _PATIENCE
    while True:
        try:
            with Ledger(folder) as ledger:
                seq = ledger.append(entry, "disk")
                ledger.checkpoint()
                return seq
        except LedgerHeld:
            if time.monotonic() > end:
                raise
            time.sleep(0.02)


def signing_entry(
    payload: str, signer: str, model: str, predicate_type: str, digest: Mapping[str, str]
) -> dict[str, Any]:
    """The entry of a signature or an attestation."""
    return {
        "kind": "signing",
        "payload": payload,
        "signer": signer,
        "model": model,
        "predicate_type": predicate_type,
        "digest": dict(digest),
    }


def decision_entry(decision: Decision) -> dict[str, Any]:
    """The entry of a verification."""
    return {
        "kind": "verification",
        "model": decision.name,
        "digest": decision.digest,
        "outcome": decision.outcome.value,
        "policy": decision.policy,
        "at": decision.at.isoformat(),
        "checks": [{"id": c.id, "outcome": c.outcome.value, "reason": c.reason} for c in decision.checks],
        "signatures": [
            {"payload": e.sha256, "signer": e.identity.id if e.identity else "", "outcome": e.outcome.value}
            for e in (*decision.signatures, *decision.attestations)
        ],
    }
