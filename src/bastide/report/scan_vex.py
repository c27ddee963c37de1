# SPDX-License-Identifier: Apache-2.0
"""Scan reports as CycloneDX VEX: what was found in which file, and whether it can be exploited."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator, Sequence
from typing import Any

from bastide import __version__
from bastide.report.text import clean
from bastide.verify.artifacts.cache import engine
from bastide.verify.artifacts.model import FileReport, Finding, Severity, Tier

_CVE = re.compile(r"CVE-\d{4}-\d{4,7}")
_CWES = {
    "pickle": 502, "joblib": 502, "torch": 502, "keras": 502, "skops": 502, "numpy": 502, "py": 502, "nemo": 502, "yaml": 502, "hydra": 502,
    "mlflow": 502, "chat-template": 1336, "zip": 22, "tar": 22, "saved-model": 22, "onnx": 22,
}  # fmt: skip
"""Weaknesses by the format, of findings that execute: untrusted deserialisation, templates, paths."""
_STATES = {Severity.CRITICAL: "exploitable", Severity.HIGH: "exploitable", Severity.MEDIUM: "in_triage"}
"""Notes are no vulnerabilities."""


def scan_vex(reports: Sequence[FileReport]) -> dict[str, Any]:
    """A CycloneDX 1.6 document: each file with its digest, and each kind of finding once, with the files that it affects.

    What is unsafe is `exploitable`, what is unknown `in_triage`. The same reports make the same document.
    """
    refs = {report.path: f"file:{n}" for n, report in enumerate(reports)}
    found: dict[tuple[str, str], list[tuple[FileReport, Finding]]] = {}
    for report in reports:
        for finding in report.findings:
            if finding.severity in _STATES:
                found.setdefault((finding.id, _STATES[finding.severity]), []).append((report, finding))
    name = uuid.uuid5(uuid.NAMESPACE_URL, engine() + "".join(f"{r.path}\0{r.sha256}\0{r.findings}" for r in reports))
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{name}",
        "version": 1,
        "metadata": {"tools": {"components": [{"type": "application", "name": "bastide", "version": __version__}]}},
        "components": [_component(report, refs[report.path]) for report in reports],
        "vulnerabilities": [_vulnerability(id, state, cases, refs) for (id, state), cases in found.items()],
    }


def _component(report: FileReport, ref: str) -> dict[str, Any]:
    hashes = {"hashes": [{"alg": "SHA-256", "content": report.sha256}]} if report.sha256 else {}
    properties = [
        {"name": "bastide:verdict", "value": report.verdict.value},
        {"name": "bastide:format", "value": report.format},
    ]
    return {"type": "file", "bom-ref": ref, "name": clean(report.path), **hashes, "properties": properties}


def _vulnerability(
    id: str, state: str, cases: Sequence[tuple[FileReport, Finding]], refs: dict[str, str]
) -> dict[str, Any]:
    worst = max((f for _, f in cases), key=lambda f: list(reversed(Severity)).index(f.severity))
    family = id.partition("/")[0]
    cwes = {"cwes": [_CWES[family]]} if worst.tier is Tier.EXECUTES and family in _CWES else {}
    known = sorted({cve for _, f in cases for cve in _CVE.findall(f.message)})
    references = [{"id": cve, "source": {"name": "CVE"}} for cve in known]
    return {
        "bom-ref": f"vulnerability:{id}:{state}",
        "id": id,
        "source": {"name": "Bastide"},
        **({"references": references} if references else {}),
        "ratings": [{"source": {"name": "Bastide"}, "severity": worst.severity.value, "method": "other"}],
        **cwes,
        "description": clean(worst.message),
        "analysis": {"state": state, "detail": "\n".join(_details(cases))},
        "affects": [{"ref": ref} for ref in dict.fromkeys(refs[report.path] for report, _ in cases)],
    }


def _details(cases: Sequence[tuple[FileReport, Finding]]) -> Iterator[str]:
    for report, finding in cases[:100]:
        inside = f"!{finding.member}" if finding.member else ""
        place = f"@{finding.offset}" if finding.offset is not None else ""
        evidence = f": {finding.evidence}" if finding.evidence else ""
        yield clean(f"{report.path}{inside}{place}: {finding.message}{evidence}")
