# SPDX-License-Identifier: Apache-2.0
"""What was signed and what was decided about a model, as JSON in the shape of `schemas/{sign,verify}.json`."""

from __future__ import annotations

from typing import Any

from bastide.report.document import head
from bastide.report.text import clean
from bastide.verify.signing.model import Decision, Differences, Envelope, Identity
from bastide.verify.signing.sign import Signed


def signed_json(signed: Signed) -> dict[str, Any]:
    """The document of `bastide sign` and `bastide attest` with `--format json`."""
    return {
        **head(),
        "file": clean(str(signed.path)),
        "model": clean(signed.model),
        "digest": dict(signed.digest),
        "files": signed.files,
        "left_out": [clean(name) for name in signed.left_out],
        "signer": signed.signer,
        "predicate_type": signed.predicate_type,
        "payload_sha256": signed.payload,
        "ledger_entry": signed.entry or None,
    }


def decision_json(decision: Decision) -> dict[str, Any]:
    """The document of `bastide verify --format json`."""
    return {
        **head(),
        "model": clean(decision.model),
        "name": clean(decision.name),
        "digest": decision.digest,
        "files": decision.files,
        "at": decision.at.isoformat(),
        "policy": clean(decision.policy),
        "outcome": decision.outcome.value,
        "checks": [
            {
                "id": check.id,
                "outcome": check.outcome.value,
                "reason": clean(check.reason),
                "location": {
                    "file": check.location.file,
                    "line": check.location.line,
                    "column": check.location.column,
                },
            }
            for check in decision.checks
        ],
        "signatures": [_envelope(one) for one in decision.signatures],
        "attestations": [_envelope(one) for one in decision.attestations],
        "unsigned": [clean(name) for name in decision.unsigned],
        "notes": [clean(note) for note in decision.notes],
    }


def _envelope(one: Envelope) -> dict[str, Any]:
    return {
        "file": clean(one.file),
        "payload_sha256": one.sha256,
        "predicate_type": clean(one.statement.predicate_type) if one.statement else None,
        "outcome": one.outcome.value,
        "reason": clean(one.reason),
        "identity": _identity(one.identity) if one.identity else None,
        "logged": one.logged.isoformat() if one.logged else None,
        "differences": _differences(one.differences),
    }


def _identity(one: Identity) -> dict[str, Any]:
    return {
        "method": one.method,
        "id": clean(one.id),
        "signers": list(one.names),
        "certificate": one.certificate,
        "subject": clean(one.subject),
        "issuer": clean(one.issuer),
        "valid_from": one.valid_from.isoformat() if one.valid_from else None,
        "valid_until": one.valid_until.isoformat() if one.valid_until else None,
    }


def _differences(one: Differences) -> dict[str, list[str]]:
    return {
        "changed": [clean(n) for n in one.changed],
        "missing": [clean(n) for n in one.missing],
        "not_signed": [clean(n) for n in one.extra],
        "left_out": [clean(n) for n in one.left_out],
    }
