# SPDX-License-Identifier: Apache-2.0
"""Decisions about models, and what a registry has, as JSON in the shape of `schemas/{admit,models}.json`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from bastide.report.document import head
from bastide.report.text import clean
from bastide.verify.admission.history import Entry
from bastide.verify.admission.model import Approval, Decision, Evidence, Version


def decision_json(decision: Decision) -> dict[str, Any]:
    """The document of `bastide admit`, `bastide models promote` and `retire` with `--format json`."""
    return {**head(), **_decision(decision)}


def models_json(versions: Iterable[Version], problems: Iterable[str] = ()) -> dict[str, Any]:
    """The document of `bastide models list` and `add`."""
    document = {**head(), "versions": [_version(one) for one in versions]}
    found = [clean(one) for one in problems]
    return {**document, "not_registered": found} if found else document


def history_json(entries: Iterable[Entry]) -> dict[str, Any]:
    """The document of `bastide models show` and `history`: versions with all that is known of them."""
    return {**head(), "versions": [_entry(one) for one in entries]}


def _entry(entry: Entry) -> dict[str, Any]:
    return {
        **_version(entry.version),
        "made_from": [
            {"name": clean(one.name), "version": one.number, "stage": clean(one.stage)} for one in entry.above
        ],
        "made_into": [
            {"name": clean(one.name), "version": one.number, "stage": clean(one.stage)} for one in entry.below
        ],
        "evidence": [_evidence(one) for one in entry.evidence],
        "approvals": [_approval(one) for one in entry.approvals],
        "decisions": [_decision(one) for one in entry.decisions],
    }


def _version(version: Version) -> dict[str, Any]:
    return {
        "name": clean(version.name),
        "version": version.number,
        "stage": clean(version.stage),
        "digest": version.digest,
        "dir_hash": version.paths,
        "path": clean(version.path),
        "layout": version.layout,
        "source": {clean(key): clean(value) for key, value in version.source.items()},
        "bases": [
            {"name": clean(base.name), "relation": clean(base.relation), "revision": clean(base.revision)}
            for base in version.bases
        ],
        "added": version.added.isoformat() if version.added else None,
        "added_by": clean(version.added_by),
    }


def _evidence(one: Evidence) -> dict[str, Any]:
    return {
        "type": clean(one.type),
        "payload_sha256": one.payload,
        "signer": clean(one.signer),
        "names": [clean(name) for name in one.names],
        "first_seen": one.seen.isoformat(),
    }


def _approval(one: Approval) -> dict[str, Any]:
    return {
        "stage": clean(one.stage),
        "by": clean(one.by),
        "at": one.at.isoformat(),
        "reason": clean(one.reason),
        "withdrawn": one.withdrawn,
    }


def _decision(decision: Decision) -> dict[str, Any]:
    return {
        "action": decision.action,
        "model": clean(decision.name),
        "version": decision.number or None,
        "stage": clean(decision.stage),
        "path": clean(decision.path),
        "digest": decision.digest,
        "dir_hash": decision.paths,
        "outcome": decision.outcome.value,
        "at": decision.at.isoformat(),
        "by": clean(decision.by),
        "policy": clean(decision.policy),
        "ledger_entry": decision.entry or None,
        "checks": [
            {
                "id": clean(check.id),
                "outcome": check.outcome.value,
                "reason": clean(check.reason),
                "hint": clean(check.hint),
                "location": {"file": clean(check.location.file), "line": check.location.line},
            }
            for check in decision.checks
        ],
    }
