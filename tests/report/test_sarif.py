# SPDX-License-Identifier: Apache-2.0
"""SARIF 2.1.0 as GitHub's code scanning takes it."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import jsonschema
import pytest
from tests.report.factory import assessment, finding, rag_agent

from bastide.catalog.load import load_catalog
from bastide.errors import Location
from bastide.report.document import dumps
from bastide.report.sarif import artifact_location, render_sarif, security_severity
from bastide.report.sarif_limits import MAX_RESULTS
from bastide.threats.model import FindingState, Rating, Severity

PLAN = rag_agent()
ASSESSMENT = assessment(PLAN)
CATALOG = load_catalog()


def obj(required: dict[str, Any], **optional: Any) -> dict[str, Any]:
    """An object that has these properties and may have those, and no other."""
    return {
        "type": "object",
        "required": list(required),
        "properties": required | optional,
        "additionalProperties": False,
    }


def items(schema: dict[str, Any], least: int = 0, most: int = 10**6) -> dict[str, Any]:
    return {"type": "array", "items": schema, "minItems": least, "maxItems": most}


TEXT = {"type": "string", "minLength": 1}
SHORT = {"type": "string", "minLength": 1, "maxLength": 1024}
MESSAGE = obj({"text": SHORT})
LEVEL = {"enum": ["none", "note", "warning", "error"]}
REGION = obj({"startLine": {"type": "integer", "minimum": 1}}, startColumn={"type": "integer", "minimum": 1})
ADDRESS = {"type": "string", "minLength": 1, "pattern": r"^[A-Za-z0-9._~%/:+@-]+$"}
LOCATION = {
    "physicalLocation": obj(
        {"artifactLocation": obj({"uri": ADDRESS}, uriBaseId={"const": "%SRCROOT%"}), "region": REGION}
    )
}
STEP = obj({"location": obj(LOCATION | {"message": MESSAGE})})
RULE = obj(
    {
        "id": TEXT,
        "name": {"type": "string", "pattern": "^[A-Z][A-Za-z0-9]*$", "maxLength": 255},
        "shortDescription": MESSAGE,
        "fullDescription": MESSAGE,
        "help": obj({"text": TEXT, "markdown": TEXT}),
        "defaultConfiguration": obj({"level": LEVEL}),
        "properties": obj(
            {
                "tags": {**items(TEXT, 1, 20), "contains": {"const": "security"}, "uniqueItems": True},
                "precision": {"enum": ["very-high", "high", "medium", "low"]},
                "problem.severity": {"enum": ["error", "warning", "recommendation"]},
                "security-severity": {"type": "string", "pattern": r"^(10\.0|[0-9]\.[0-9])$"},
            }
        ),
    }
)
RESULT = obj(
    {
        "ruleId": TEXT,
        "ruleIndex": {"type": "integer", "minimum": 0},
        "level": LEVEL,
        "message": MESSAGE,
        "locations": items(obj(LOCATION), 1, 1),
        "partialFingerprints": obj({"bastideFinding/v1": {"type": "string", "pattern": "^B-[0-9a-f]{10}$"}}),
        "rank": {"type": "number", "minimum": 0, "maximum": 100},
        "properties": {"type": "object"},
    },
    codeFlows=items(obj({"threadFlows": items(obj({"locations": items(STEP, 2, 10_000)}), 1)}), 1, 1),
    suppressions=items(
        obj({"kind": {"enum": ["external", "inSource"]}}, status={"const": "accepted"}, justification=SHORT), 1
    ),
)
SARIF = obj(
    {
        "$schema": {"type": "string", "pattern": r"sarif-schema-2\.1\.0\.json$"},
        "version": {"const": "2.1.0"},
        "runs": items(
            obj(
                {
                    "tool": obj(
                        {"driver": obj({"name": TEXT, "semanticVersion": TEXT, "rules": items(RULE, 0, 25_000)})}
                    ),
                    "results": items(RESULT, 0, 5_000),
                },
                invocations=items(
                    obj(
                        {"executionSuccessful": {"type": "boolean"}},
                        toolExecutionNotifications=items(obj({"level": LEVEL, "message": MESSAGE})),
                    )
                ),
                automationDetails=obj({"id": TEXT}),
                originalUriBaseIds=obj({"%SRCROOT%": obj({"description": MESSAGE})}),
                columnKind={"enum": ["utf16CodeUnits", "unicodeCodePoints"]},
                properties={"type": "object"},
            ),
            1,
            1,
        ),
    }
)
"""What of SARIF 2.1.0 (OASIS, errata 01) this writer uses, with GitHub's limits; nothing beside it may appear."""


def run_of(found: dict) -> dict:
    jsonschema.validate(found, SARIF)
    return found["runs"][0]


def test_the_whole_document(snapshot) -> None:
    """Every key and value, with a catalogue that doesn't know the rules."""
    empty = replace(CATALOG, threats={}, controls={}, frameworks={})
    shown = render_sarif(PLAN, ASSESSMENT, empty)
    run_of(shown)
    shown["runs"][0]["tool"]["driver"]["semanticVersion"] = "VERSION"
    assert dumps(shown) == snapshot


def test_open_findings_are_results_and_decided_ones_suppressed() -> None:
    """What is mitigated is no result; who accepted what and why is in the justification."""
    results = run_of(render_sarif(PLAN, ASSESSMENT, CATALOG))["results"]
    by_id = {r["partialFingerprints"]["bastideFinding/v1"]: r for r in results}
    wanted = [f for f in ASSESSMENT.findings if f.state is not FindingState.MITIGATED]
    assert set(by_id) == {f.id for f in wanted}
    for one in wanted:
        assert ("suppressions" in by_id[one.id]) == (one.state is not FindingState.OPEN)
    suppression = by_id["B-0000000007"]["suppressions"][0]
    assert (
        suppression["justification"]
        == "accepted by support-eng, until 2027-03-31: Memory ends with the session; reviewed."
    )


def test_results_point_to_their_rules_and_places() -> None:
    run = run_of(render_sarif(PLAN, ASSESSMENT, CATALOG))
    rules = run["tool"]["driver"]["rules"]
    assert len({r["id"] for r in rules}) == len(rules)
    for result in run["results"]:
        assert rules[result["ruleIndex"]]["id"] == result["ruleId"]
    place = run["results"][0]["locations"][0]["physicalLocation"]
    assert place == {
        "artifactLocation": {"uri": "bastide.yaml", "uriBaseId": "%SRCROOT%"},
        "region": {"startLine": 43, "startColumn": 5},
    }


def test_the_path_is_a_code_flow() -> None:
    """Each stop with its line in the plan."""
    result = run_of(render_sarif(PLAN, ASSESSMENT, CATALOG))["results"][0]
    steps = result["codeFlows"][0]["threadFlows"][0]["locations"]
    words = [s["location"]["message"]["text"] for s in steps]
    assert words[:3] == ["Vendor (vendor)", "flow vendor->intake", "Document intake (intake)"]
    assert [s["location"]["physicalLocation"]["region"]["startLine"] for s in steps][:3] == [21, 38, 23]


@pytest.mark.parametrize("impact", range(1, 6))
@pytest.mark.parametrize("likelihood", range(1, 6))
def test_github_shows_our_severity(impact: int, likelihood: int) -> None:
    """GitHub: critical over 9.0, high from 7.0, medium from 4.0, low above 0; a higher score is never a lower number."""
    found = replace(finding(1, ("a",), 1, 1), rating=Rating(impact, likelihood, (), ()))
    number = float(security_severity(found))
    assert 0.1 <= number <= 10
    shown = (
        Severity.CRITICAL
        if number > 9
        else Severity.HIGH
        if number >= 7
        else Severity.MEDIUM
        if number >= 4
        else Severity.LOW
    )
    assert shown is found.severity
    less = replace(found, rating=Rating(max(impact - 1, 1), likelihood, (), ()))
    assert float(security_severity(less)) <= number


def test_the_help_of_every_rule_explains_attack_and_fix() -> None:
    """With the shipped rules: steps, controls and references, as text and as Markdown."""
    found = tuple(finding(n, ("vendor",), 3, 3, rule=rule) for n, rule in enumerate(CATALOG.threats))
    run = run_of(render_sarif(PLAN, replace(ASSESSMENT, findings=found), CATALOG))
    rules = run["tool"]["driver"]["rules"]
    assert {r["id"] for r in rules} == set(CATALOG.threats)
    for rule in rules:
        assert "**How it goes**" in rule["help"]["markdown"]
        assert "1. " in rule["help"]["text"]
        assert "What breaks it" in rule["help"]["text"] or "What makes it less likely" in rule["help"]["text"]


def test_too_many_are_cut_and_it_is_said() -> None:
    """The worst are kept, suppressed ones go first, and a notification counts the rest."""
    opened = [finding(n, ("vendor",), 3, 3) for n in range(MAX_RESULTS)]
    accepted = [finding(MAX_RESULTS + n, ("vendor",), 5, 5, state=FindingState.ACCEPTED) for n in range(3)]
    run = run_of(render_sarif(PLAN, replace(ASSESSMENT, findings=(*accepted, *opened)), CATALOG))
    assert len(run["results"]) == MAX_RESULTS
    assert not any("suppressions" in r for r in run["results"])
    assert "3 findings are left out" in run["invocations"][0]["toolExecutionNotifications"][0]["message"]["text"]


def test_addresses_are_relative_and_encoded() -> None:
    """GitHub wants addresses relative to the repository; what lies outside is a `file:` address."""
    assert artifact_location("plans/my plan #1.yaml") == {
        "uri": "plans/my%20plan%20%231.yaml",
        "uriBaseId": "%SRCROOT%",
    }
    assert artifact_location("./a/b.yaml")["uri"] == "a/b.yaml"
    assert artifact_location("/etc/plan.yaml") == {"uri": "file:///etc/plan.yaml"}
    outside = artifact_location("../plan.yaml")["uri"]
    assert re.match(r"file:///.*plan\.yaml$", outside)
    assert ".." not in outside


def test_findings_without_a_place_and_with_hostile_names() -> None:
    """Every result has a file and a line, whatever the plan says."""
    evil = finding(
        1, ("nowhere", "vendor", "nothing"), 5, 5, title="", message="x" * 5000 + "\x00\ud800", location=Location()
    )
    run = run_of(
        render_sarif(replace(PLAN, location=Location("p\u0000.yaml")), replace(ASSESSMENT, findings=(evil,)), CATALOG)
    )
    assert run["results"][0]["locations"][0]["physicalLocation"]["region"]["startLine"] == 1
    dumps(run).encode("utf-8")
