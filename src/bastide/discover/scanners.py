# SPDX-License-Identifier: Apache-2.0
"""Results of other scanners as evidence: JSON of Checkov, Trivy and Prowler, and SARIF, mapped to expectations by check id.

A scanner's failure makes an expectation fail, its pass answers one that couldn't be told. What Bastide itself has seen to fail stays failing.
Checks to which no expectation corresponds are counted and left alone. Pure.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from bastide.discover.baselines import Baseline
from bastide.discover.model import Place
from bastide.discover.result import Discovery, Found, Weakness
from bastide.errors import Diagnostic, InputError, Location

_SIGNS = frozenset({"runs", "results", "Results", "status_code", "CheckID"})
MOST = 200_000
"""Results of one file that are read."""


@dataclass(frozen=True, slots=True)
class Result:
    """What a scanner says about one place."""

    scanner: str
    check: str
    passed: bool
    place: Place
    """In the files that both read; of scanners of running clouds the line of their report."""
    names: tuple[str, ...] = ()
    """What the scanned thing is called, where the scanner looked at a running cloud and not at files."""


def read_results(text: str, file: str) -> list[Result]:
    """The results in a scanner's output. Raises `InputError` when it is none that is known."""
    try:
        document: Any = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(Diagnostic(f"is not JSON: {str(error)[:100]}", Location(file))) from None
    parts = document if isinstance(document, list) else [document]
    found = [r for part in parts if isinstance(part, Mapping) for r in _of(part, file)][:MOST]
    if not found and not any(isinstance(p, Mapping) and _SIGNS & set(p) for p in parts):
        message = "is no output of Checkov, Trivy, Prowler or SARIF"
        raise InputError(Diagnostic(message, Location(file), hint="use `-o json`, `--format sarif` or `-M json-ocsf`"))
    return found


def _of(part: Mapping[str, Any], file: str) -> Iterator[Result]:
    try:
        if "runs" in part:
            yield from _sarif(part)
        elif "Results" in part:
            yield from _trivy(part)
        elif isinstance(part.get("results"), Mapping):
            yield from _checkov(part["results"])
        elif "status_code" in part or "CheckID" in part:
            yield from _prowler(part, file)
    except (TypeError, KeyError, AttributeError, ValueError):
        return


def _checkov(results: Mapping[str, Any]) -> Iterator[Result]:
    for key, passed in (("failed_checks", False), ("passed_checks", True)):
        for check in results.get(key, ()):
            lines = check.get("file_line_range") or [0, 0]
            yield Result(
                "checkov",
                str(check["check_id"]),
                passed,
                Place(_relative(check["file_path"]), int(lines[0]), int(lines[-1])),
            )


def _trivy(document: Mapping[str, Any]) -> Iterator[Result]:
    for target in document["Results"]:
        for found in target.get("Misconfigurations") or ():
            cause = found.get("CauseMetadata") or {}
            place = Place(_relative(target["Target"]), int(cause.get("StartLine") or 0), int(cause.get("EndLine") or 0))
            for check in {found.get("ID"), found.get("AVDID")} - {None}:
                yield Result("trivy", str(check), found.get("Status") == "PASS", place)


def _prowler(finding: Mapping[str, Any], file: str) -> Iterator[Result]:
    """OCSF (`-M json-ocsf`), and the JSON of versions before 4."""
    status = str(finding.get("status_code") or finding.get("Status"))
    if status not in ("PASS", "FAIL"):
        return
    check = finding["metadata"]["event_code"] if "metadata" in finding else finding["CheckID"]
    named = [str(r.get(key) or "") for r in finding.get("resources") or () for key in ("uid", "name")]
    named += [str(finding.get(key) or "") for key in ("ResourceArn", "ResourceId")]
    # The last part of an ARN or of an Azure resource's id is its name.
    short = [re.split(r"[/:]", name)[-1] for name in named]
    yield Result(
        "prowler", str(check), status == "PASS", Place(file), tuple(dict.fromkeys(n for n in (*named, *short) if n))
    )


def _sarif(document: Mapping[str, Any]) -> Iterator[Result]:
    for run in document["runs"]:
        scanner = str(run["tool"]["driver"]["name"]).lower().partition(" ")[0]
        for result in run.get("results") or ():
            for location in result.get("locations") or ():
                physical = location["physicalLocation"]
                region = physical.get("region") or {}
                line = int(region.get("startLine") or 0)
                place = Place(_relative(physical["artifactLocation"]["uri"]), line, int(region.get("endLine") or line))
                yield Result(scanner, str(result.get("ruleId", "")), result.get("kind") == "pass", place)


def _relative(path: Any) -> str:
    return str(path).removeprefix("file://").lstrip("/").removeprefix("./")


def with_results(found: Discovery, results: Sequence[Result], baselines: Iterable[Baseline]) -> tuple[Discovery, int]:
    """The discovery with what scanners have shown, and how many results belong to no expectation or component."""
    meant = {(s, c): b for b in baselines for s, checks in b.checks.items() for c in checks}
    states = {(w.expectation, w.element): w for w in found.weaknesses}
    passed = set(found.passed)
    left = 0
    for result in results:
        baseline = meant.get((result.scanner, result.check))
        component = _meant(found, result, baseline) if baseline is not None else None
        if baseline is None or component is None:
            left += 1
            continue
        key = baseline.id, component.id
        old = states.get(key)
        if result.passed and (old is None or old.state == "unknown"):
            states.pop(key, None)
            passed.add(key)
        elif not result.passed and (old is None or old.state == "unknown"):
            title = baseline.title.rstrip(".")
            verdict = f"not so for {component.name}, says {result.scanner} ({result.check})"
            states[key] = Weakness(
                baseline.id, component.id, "fail", result.place, title, verdict, baseline.fix, baseline.severity, baseline.category
            )  # fmt: skip
            passed.discard(key)
    return replace(found, weaknesses=tuple(states.values()), passed=tuple(sorted(passed))), left


def _meant(found: Discovery, result: Result, baseline: Baseline) -> Found | None:
    if not result.names:
        return _component(found.components.values(), result.place)
    judged = {w.element for w in found.weaknesses if w.expectation == baseline.id}
    judged |= {element for expectation, element in found.passed if expectation == baseline.id}
    names = {name.casefold() for name in result.names}
    called = [c for c in found.components.values() if c.id in judged and names & {c.name.casefold(), c.id.casefold()}]
    # Two that are called the same: nobody knows which one was meant.
    return called[0] if len(called) == 1 else None


def _component(components: Iterable[Found], place: Place) -> Found | None:
    """The component that is declared there: the one with the narrowest declaration around the line."""
    around = [
        (max(p.end, p.line) - p.line, c.id, c)
        for c in components
        for p in c.provenance
        if (p.file == place.file or p.file.endswith("/" + place.file))
        and p.line <= max(place.end, place.line)
        and place.line <= max(p.end, p.line)
    ]
    return min(around, key=lambda x: x[:2])[2] if around else None
