# SPDX-License-Identifier: Apache-2.0
"""The check of a data set for machines, in the shape of `schemas/dataset.json`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from bastide import __version__
from bastide.report.text import clean
from bastide.verify.datasets.model import Card, FieldFacts, FileFacts, Finding, Report, Severity

SCHEMA_VERSION = 1


def dataset_json(report: Report, threshold: Severity) -> dict[str, Any]:
    """The document of `bastide dataset check --format json` (`bastide schema dataset`)."""
    counts = Counter(f.severity for f in report.findings)
    return {
        "schema_version": SCHEMA_VERSION,
        "tool": {"name": "bastide", "version": __version__},
        "verdict": report.verdict(threshold).value,
        "fail_on": threshold.value,
        "complete": not report.unread,
        "unread": [clean(why) for why in report.unread],
        "summary": {
            "files": len(report.files),
            "rows": report.rows,
            "fields": len(report.fields),
            "findings": {s.value: counts[s] for s in reversed(Severity)},
        },
        "findings": [_finding(f) for f in report.findings],
        "files": [_file(f) for f in report.files],
        "fields": [_field(f) for f in report.fields],
        "card": _card(report.card),
        "seconds": round(report.seconds, 3),
    }


def _finding(finding: Finding) -> dict[str, Any]:
    return {
        "id": finding.id,
        "severity": finding.severity.value,
        "message": clean(finding.message),
        "kind": clean(finding.kind),
        "field": clean(finding.field),
        "file": clean(finding.place.file),
        "row": finding.place.row or None,
        "count": finding.count,
        "rate": None if finding.rate is None else round(finding.rate, 6),
        "evidence": clean(finding.evidence),
    }


def _file(file: FileFacts) -> dict[str, Any]:
    return {
        "path": clean(file.path),
        "format": file.format,
        "bytes": file.size,
        "rows": file.rows,
        "sha256": file.sha256,
        "split": file.split,
        "complete": file.complete,
    }


def _field(field: FieldFacts) -> dict[str, Any]:
    return {
        "name": clean(field.name),
        "role": field.role,
        "types": dict(field.types),
        "longest": field.longest,
        "found": dict(field.found),
    }


def _card(card: Card) -> dict[str, Any]:
    """What was not measured is null."""
    return {
        "purpose": clean(card.purpose) or None,
        "classification": card.classification or None,
        "licences": _counts(card.licences),
        "sources": _counts(card.sources),
        "rows_without_source": card.without_source,
        "labels": _counts(card.labels),
        "splits": _counts(card.splits),
        "sensitive": _counts(card.categories),
        "duplicates": card.duplicates,
        "near_duplicates": card.near_duplicates,
        "leaked": card.leaked,
        "consent": _counts(card.consent),
        "poisoning": {test: clean(result) for test, result in card.poisoning.items()},
    }


def _counts(counts: Mapping[str, int]) -> list[dict[str, Any]]:
    return [{"value": clean(value), "rows": rows} for value, rows in counts.items()]
