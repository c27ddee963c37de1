# SPDX-License-Identifier: Apache-2.0
"""Findings as SARIF 2.1.0, within the limits of GitHub's code scanning."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import PurePath
from typing import Any
from urllib.parse import quote

from bastide import __version__
from bastide.catalog.model import Catalog, Threat
from bastide.discover.result import Weakness, failing
from bastide.errors import Location
from bastide.plan.model import Element, Flow, Plan
from bastide.report.sarif_limits import MAX_RESULTS, MAX_TAGS, MAX_TEXT, SCHEMA
from bastide.report.text import clean
from bastide.threats.model import Assessment, ControlState, Finding, FindingState, Severity

_LEVELS = {Severity.CRITICAL: "error", Severity.HIGH: "error", Severity.MEDIUM: "warning", Severity.LOW: "note"}
_BANDS = {Severity.CRITICAL: (20, 25, 91, 100), Severity.HIGH: (12, 19, 70, 89), Severity.MEDIUM: (6, 11, 40, 69),
          Severity.LOW: (1, 5, 10, 39)}  # fmt: skip
"""Severity -> the scores it has, and the tenths of GitHub's number (critical from 9.1, high from 7.0, medium from 4.0)."""


def render_sarif(
    plan: Plan, assessment: Assessment, catalog: Catalog, weaknesses: Sequence[Weakness] = ()
) -> dict[str, Any]:
    """The SARIF document: open findings as results; accepted ones and false positives as suppressed results.

    weaknesses: settings that don't hold in the files that the plan was made from; they are results at their lines.
    """
    shown = [f for f in assessment.findings if f.state is not FindingState.MITIGATED]
    # Suppressed ones go first when there are too many.
    shown.sort(key=lambda f: f.state is not FindingState.OPEN)
    settings = failing(weaknesses)[:MAX_RESULTS]
    kept = shown[: MAX_RESULTS - len(settings)]
    rules = _worst(kept)
    expected = {w.expectation: w for w in reversed(settings)}
    index = {rule: n for n, rule in enumerate((*rules, *(f"expectation/{id}" for id in expected)))}
    parts: dict[str, Element] = {}
    for group in (plan.components, plan.flows, plan.data, plan.identities, plan.zones):
        parts |= group
    return {
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [
            {
                "tool": {
                    "driver": {
                        "name": "Bastide",
                        "semanticVersion": __version__,
                        "rules": [
                            *(_rule(f, catalog) for f in rules.values()),
                            *(_setting_rule(w) for w in expected.values()),
                        ],
                    }
                },
                "invocations": [_invocation(len(shown) - len(kept))],
                "automationDetails": {"id": f"bastide/{clean(plan.id)}/"},
                "originalUriBaseIds": {"%SRCROOT%": {"description": {"text": "The folder in which Bastide ran."}}},
                "results": [
                    *(_result(f, index[f.rule], plan, parts) for f in kept),
                    *(_setting(w, index[f"expectation/{w.expectation}"]) for w in settings),
                ],
                "columnKind": "unicodeCodePoints",
                "properties": {"planDigest": assessment.plan_digest, "questions": len(assessment.questions)},
            }
        ],
    }


def _setting_rule(weakness: Weakness) -> dict[str, Any]:
    severity = Severity(weakness.severity)
    return {
        "id": f"expectation/{weakness.expectation}",
        "shortDescription": {"text": _text(weakness.message.partition(":")[0])},
        "defaultConfiguration": {"level": _LEVELS[severity]},
        "properties": {
            "tags": ["security", "ai", weakness.category],
            "security-severity": f"{_BANDS[severity][3] / 10:.1f}",
        },
    }


def _setting(weakness: Weakness, rule: int) -> dict[str, Any]:
    place: dict[str, Any] = {"artifactLocation": {"uri": quote(clean(weakness.place.file)), "uriBaseId": "%SRCROOT%"}}
    if weakness.place.line:
        place["region"] = {"startLine": weakness.place.line}
    id = f"expectation/{weakness.expectation}"
    return {
        "ruleId": id,
        "ruleIndex": rule,
        "level": _LEVELS[Severity(weakness.severity)],
        "message": {"text": _text(weakness.message)},
        "locations": [{"physicalLocation": place}],
        "partialFingerprints": {"bastide/v1": f"{id}:{clean(weakness.element)}"},
    }


def security_severity(finding: Finding) -> str:
    """The score as GitHub's number, so that GitHub shows the severity that Bastide computed."""
    low, high, least, most = _BANDS[finding.severity]
    tenths = least + (finding.rating.score - low) * (most - least) // (high - low)
    return f"{tenths / 10:.1f}"


def _worst(findings: Iterable[Finding]) -> dict[str, Finding]:
    """Rule -> its worst finding, rules in the order of their first appearance."""
    found: dict[str, Finding] = {}
    for finding in findings:
        known = found.get(finding.rule)
        if known is None or finding.rating.score > known.rating.score:
            found[finding.rule] = finding
    return found


def _rule(worst: Finding, catalog: Catalog) -> dict[str, Any]:
    threat = catalog.threats.get(worst.rule)
    tags = ["security", "ai", *(f"{framework}/{id}" for framework, ids in worst.refs.items() for id in ids)]
    return {
        "id": worst.rule,
        "name": "".join(word.capitalize() for word in worst.rule.replace("/", "-").split("-")),
        "shortDescription": {"text": _text(worst.title)},
        "fullDescription": {"text": _text(threat.summary if threat else worst.title)},
        "help": {"text": _help(worst, threat, catalog), "markdown": _help(worst, threat, catalog, markdown=True)},
        "defaultConfiguration": {"level": _LEVELS[worst.severity]},
        "properties": {
            "tags": tags[:MAX_TAGS],
            "precision": "high",
            "problem.severity": {"note": "recommendation"}.get(_LEVELS[worst.severity], _LEVELS[worst.severity]),
            "security-severity": security_severity(worst),
        },
    }


def _help(finding: Finding, threat: Threat | None, catalog: Catalog, markdown: bool = False) -> str:
    """How the attack goes and what breaks it, from the catalogue."""
    if threat is None:
        return _text(finding.title)
    bold = "**" if markdown else ""
    lines = [threat.summary, "", f"{bold}How it goes{bold}", ""]
    lines += [f"{n}. {step}" for n, step in enumerate(threat.attack, 1)]
    for heading, controls in (("What breaks it", threat.breaks), ("What makes it less likely", threat.reduces)):
        if controls:
            lines += ["", f"{bold}{heading}{bold}", ""]
            lines += [f"- {_control(id, catalog, markdown)}" for id in controls]
    refs = [
        f"{framework}/{id} {catalog.name_of(framework, id)}".strip()
        for framework, ids in threat.refs.items() for id in ids
    ]  # fmt: skip
    return "\n".join([*lines, "", f"{bold}References{bold}: {'; '.join(refs)}"] if refs else lines)


def _control(id: str, catalog: Catalog, markdown: bool) -> str:
    known = catalog.controls.get(id)
    name = f"`{id}`" if markdown else id
    return f"{name}: {known.title}. {known.how}" if known else name


def _result(finding: Finding, rule: int, plan: Plan, parts: Mapping[str, Element]) -> dict[str, Any]:
    found: dict[str, Any] = {
        "ruleId": finding.rule,
        "ruleIndex": rule,
        "level": _LEVELS[finding.severity],
        "message": {"text": _message(finding)},
        "locations": [_location(finding.location, plan)],
        "partialFingerprints": {"bastideFinding/v1": finding.id},
        "rank": float(finding.rating.score * 4),
        "properties": {
            "finding": finding.id,
            "score": finding.rating.score,
            "impact": finding.rating.impact,
            "likelihood": finding.rating.likelihood,
            "severity": finding.severity.value,
        },
    }
    steps = [_step(id, parts, plan) for id in finding.path]
    if len(steps) > 1:
        found["codeFlows"] = [{"threadFlows": [{"locations": steps}]}]
    if finding.state is not FindingState.OPEN:
        found["suppressions"] = [_suppression(finding)]
    return found


def _message(finding: Finding) -> str:
    fixes = list(dict.fromkeys(_fixes(finding)))[:3]
    advice = f" Fix: {', or '.join(fixes)}." if fixes else ""
    return _text(f"{finding.message}. {finding.severity.value.capitalize()}, {finding.rating.score} of 25.{advice}")


def _fixes(finding: Finding) -> Iterator[str]:
    for control in finding.controls:
        if control.breaks and control.state in (ControlState.REQUIRED, ControlState.UNKNOWN):
            yield f"{control.id} on {control.element}"


def _suppression(finding: Finding) -> dict[str, Any]:
    found: dict[str, Any] = {"kind": "external", "status": "accepted"}
    decision = finding.decision
    if decision is not None:
        until = f", until {decision.expires}" if decision.expires else ""
        found["justification"] = _text(f"{finding.state.value} by {decision.owner}{until}: {decision.reason}")
    return found


def _step(id: str, parts: Mapping[str, Element], plan: Plan) -> dict[str, Any]:
    element = parts.get(id)
    words = f"flow {id}" if isinstance(element, Flow) else id
    if element is not None and element.name:
        words = f"{element.name} ({id})"
    place = element.location if element is not None else Location()
    return {"location": {**_location(place, plan), "message": {"text": _text(words)}}}


def _location(location: Location, plan: Plan) -> dict[str, Any]:
    """A place; GitHub wants a file for each result, so what has none gets the plan's first line."""
    artifact = artifact_location(location.file or plan.location.file or "bastide.yaml")
    region: dict[str, int] = {"startLine": max(location.line, 1)}
    if location.column:
        region["startColumn"] = location.column
    return {"physicalLocation": {"artifactLocation": artifact, "region": region}}


def artifact_location(file: str) -> dict[str, str]:
    """A relative address for a file below the working directory, a `file:` address for others."""
    path = PurePath(file)
    if path.is_absolute() or ".." in path.parts:
        return {"uri": "file://" + quote(clean(os.path.abspath(file)))}  # noqa: PTH100 - no file system access
    return {"uri": quote(clean(path.as_posix())), "uriBaseId": "%SRCROOT%"}


def _invocation(left_out: int) -> dict[str, Any]:
    found: dict[str, Any] = {"executionSuccessful": True}
    if left_out:
        message = f"{left_out} findings are left out: GitHub shows {MAX_RESULTS:,} at most. The JSON and HTML outputs have all."
        found["toolExecutionNotifications"] = [{"level": "warning", "message": {"text": message}}]
    return found


def _text(text: str) -> str:
    """Text within GitHub's limit, never empty."""
    text = clean(text).strip() or "-"
    return text if len(text) <= MAX_TEXT else text[: MAX_TEXT - 1] + "…"
