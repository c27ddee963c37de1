# SPDX-License-Identifier: Apache-2.0
"""Scan reports for machines: JSON with a schema, SARIF 2.1.0 and JUnit."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any
from xml.etree import ElementTree

from bastide import __version__
from bastide.errors import Diagnostic
from bastide.report.sarif_limits import MAX_RESULTS, MAX_TEXT, SCHEMA
from bastide.report.text import clean
from bastide.verify.artifacts.model import FileReport, Finding, Severity, Verdict
from bastide.verify.artifacts.scan import ENGINE

SCHEMA_VERSION = 1
_LEVELS = {Severity.CRITICAL: "error", Severity.HIGH: "error", Severity.MEDIUM: "warning", Severity.LOW: "note"}
_SCORES = {Severity.CRITICAL: "9.5", Severity.HIGH: "8.0", Severity.MEDIUM: "5.0", Severity.LOW: "2.0"}


def scan_json(reports: Sequence[FileReport], passed_over: Sequence[Diagnostic] = ()) -> dict[str, Any]:
    """The document of `bastide scan --format json` (`bastide schema scan`)."""
    left = [{"path": clean(one.location.file), "message": one.message} for one in passed_over]
    return {
        "schema_version": SCHEMA_VERSION,
        "engine": f"bastide {__version__}/{ENGINE}",
        "files": [_file(r) for r in reports],
        "summary": summary(reports),
        **({"passed_over": left} if left else {}),
    }


def summary(reports: Iterable[FileReport]) -> dict[str, int]:
    """Files in all and by verdict."""
    found = Counter(r.verdict for r in reports)
    return {"files": found.total(), **{verdict.value: found[verdict] for verdict in Verdict}}


def _file(report: FileReport) -> dict[str, Any]:
    return {
        "path": clean(report.path),
        "format": report.format,
        "sha256": report.sha256,
        "verdict": report.verdict.value,
        "findings": [_finding(f) for f in report.findings],
        "seconds": round(report.seconds, 6),
    }


def _finding(finding: Finding) -> dict[str, Any]:
    return {
        "id": finding.id,
        "tier": finding.tier.value,
        "severity": finding.severity.value,
        "message": clean(finding.message),
        "offset": finding.offset,
        "evidence": clean(finding.evidence),
        "member": clean(finding.member),
    }


def scan_sarif(reports: Sequence[FileReport]) -> dict[str, Any]:
    """SARIF: a result for each finding, with the byte in the file where it stands."""
    found = [(r, f) for r in reports for f in r.findings][:MAX_RESULTS]
    rules = {f.id: f for _, f in reversed(found)}
    index = {id: n for n, id in enumerate(rules)}
    driver = {"name": "Bastide", "semanticVersion": __version__, "rules": [_rule(f) for f in rules.values()]}
    results = [_result(r, f, index[f.id]) for r, f in found]
    run = {"tool": {"driver": driver}, "automationDetails": {"id": "bastide/scan/"}, "results": results}
    return {"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}


def _rule(finding: Finding) -> dict[str, Any]:
    return {
        "id": finding.id,
        "shortDescription": {"text": finding.id.replace("/", ": ").replace("-", " ")},
        "defaultConfiguration": {"level": _LEVELS[finding.severity]},
        "properties": {"security-severity": _SCORES[finding.severity], "tags": ["security", finding.tier.value]},
    }


def _result(report: FileReport, finding: Finding, rule: int) -> dict[str, Any]:
    place: dict[str, Any] = {"artifactLocation": {"uri": clean(report.path)}}
    if finding.offset is not None and not finding.member:
        place["region"] = {"byteOffset": finding.offset, "byteLength": 1}
    inside = f" (in {finding.member})" if finding.member else ""
    evidence = f": {finding.evidence}" if finding.evidence else ""
    return {
        "ruleId": finding.id,
        "ruleIndex": rule,
        "level": _LEVELS[finding.severity],
        "message": {"text": clean(f"{finding.message}{evidence}{inside}")[:MAX_TEXT]},
        "locations": [{"physicalLocation": place}],
        "partialFingerprints": {"bastide/v1": f"{finding.id}:{report.sha256[:16]}:{finding.offset}"},
    }


def scan_junit(reports: Sequence[FileReport]) -> str:
    """JUnit: a test case for each file; an unsafe one has failed, an unknown one is an error."""
    counts = summary(reports)
    facts = {
        "name": "bastide scan",
        "tests": str(counts["files"]),
        "failures": str(counts["unsafe"]),
        "errors": str(counts["unknown"]),
    }
    suite = ElementTree.Element("testsuite", facts)
    for report in reports:
        case = ElementTree.SubElement(
            suite, "testcase", name=clean(report.path), classname=report.format, time=f"{report.seconds:.3f}"
        )
        if report.verdict is not Verdict.SAFE:
            kind = "failure" if report.verdict is Verdict.UNSAFE else "error"
            first = report.findings[0]
            element = ElementTree.SubElement(case, kind, message=clean(first.message), type=first.id)
            element.text = "\n".join(clean(f"{f.severity}: {f.id}: {f.message} {f.evidence}") for f in report.findings)
    return ElementTree.tostring(suite, encoding="unicode", xml_declaration=True) + "\n"
