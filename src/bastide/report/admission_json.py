# SPDX-License-Identifier: Apache-2.0
"""Decisions about models, and what a registry has, as JSON in the shape of `schemas/{admit,models}.json`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from bastide.report.json_ import head
from bastide.report.text import clean
from bastide.verify.admission.model import Approval, Decision, Version


def decision_json(decision: Decision) -> dict[str, Any]:
    """The document of `bastide admit` and `bastide models promote` with `--format json`."""
    return {**head(), **_decision(decision)}


def models_json(versions: Iterable[Version]) -> dict[str, Any]:
    """The document of `bastide models list` and `add`."""
    return {**head(), "versions": [_version(one) for one in versions]}


def history_json(entries: Iterable[tuple[Version, Sequence[Approval], Sequence[Decision]]]) -> dict[str, Any]:
    """The document of `bastide models show`: versions with approvals and decisions."""
    return {
        **head(),
        "versions": [
            {
                **_version(version),
                "approvals": [
                    {"stage": clean(a.stage), "by": clean(a.by), "at": a.at.isoformat(), "reason": clean(a.reason)}
                    for a in approvals
                ],
                "decisions": [_decision(one) for one in decisions],
            }
            for version, approvals, decisions in entries
        ],
    }


def _version(version: Version) -> dict[str, Any]:
    return {
        "name": clean(version.name),
        "version": version.number,
        "stage": clean(version.stage),
        "digest": version.digest,
        "path": clean(version.path),
        "layout": version.layout,
        "source": {clean(key): clean(value) for key, value in version.source.items()},
        "bases": [{"name": clean(base.name), "relation": base.relation} for base in version.bases],
        "added": version.added.isoformat() if version.added else None,
        "added_by": clean(version.added_by),
    }


def _decision(decision: Decision) -> dict[str, Any]:
    return {
        "model": clean(decision.name),
        "version": decision.number or None,
        "stage": clean(decision.stage),
        "path": clean(decision.path),
        "digest": decision.digest,
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
                "location": {"file": check.location.file, "line": check.location.line},
            }
            for check in decision.checks
        ],
    }
