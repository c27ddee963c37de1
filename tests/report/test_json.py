# SPDX-License-Identifier: Apache-2.0
"""JSON: fits its schema, says everything, and is read back for comparisons."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.report.factory import assessment, finding, rag_agent

from bastide.errors import StateError
from bastide.plan.diff import compare_plans
from bastide.report.baseline import read_assessment
from bastide.report.document import dumps, schema, schema_names
from bastide.report.json_ import assessment_json, diff_json, gate_json
from bastide.threats.diff import Changes, compare
from bastide.threats.model import Assessment, FindingState, Severity

PLAN = rag_agent()
ASSESSMENT = assessment(PLAN)


def document(found: Assessment = ASSESSMENT, **options) -> dict:
    return json.loads(dumps(assessment_json(PLAN, found, **options)))


def test_the_whole_document(snapshot) -> None:
    """Every key and value; a change of the contract shows here."""
    shown = document(assessed_on=date(2026, 11, 23))
    shown["tool"]["version"] = "VERSION"
    assert dumps(shown) == snapshot


def test_it_fits_its_schema() -> None:
    jsonschema.validate(document(), schema("assess"))
    jsonschema.validate(document(replace(ASSESSMENT, hardening=None, findings=(), questions=())), schema("assess"))
    changed = Changes(
        (finding(1, ("a",), 5, 5),),
        (finding(2, ("b",), 2, 2),),
        ((finding(3, ("c",), 1, 1), finding(3, ("c",), 2, 2)),),
    )
    jsonschema.validate(document(changes=changed), schema("assess"))


def test_the_schema_refuses_other_documents() -> None:
    """It isn't so loose that anything fits."""
    for damage in (
        lambda d: d.pop("findings"),
        lambda d: d["findings"][0].pop("path"),
        lambda d: d["findings"][0].update(severity="awful"),
        lambda d: d["findings"][0].update(id="F-1"),
        lambda d: d["findings"][0].update(new=1),
        lambda d: d["summary"]["by_severity"].pop("low"),
        lambda d: d.update(schema_version="2.0"),
        lambda d: d["questions"][0].update(element=None),
    ):
        broken = document()
        damage(broken)
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(broken, schema("assess"))


@pytest.mark.parametrize("name", schema_names())
def test_every_schema_is_whole(name: str) -> None:
    """Each is valid, and has the definitions that it refers to and no other."""
    found = schema(name)
    jsonschema.Draft202012Validator.check_schema(found)
    text = json.dumps({**found, "$defs": {}}) + json.dumps(found["$defs"])
    for part in found["$defs"]:
        assert f'"#/$defs/{part}"' in text
    assert text.count('"#/$defs/') >= len(found["$defs"])


def test_numbers_agree() -> None:
    """The summary counts what is listed; open findings only are counted by severity."""
    shown = document()
    opened = [f for f in shown["findings"] if f["state"] == "open"]
    assert shown["summary"]["open"] == len(opened) == 5
    assert shown["summary"]["by_severity"] == {"critical": 1, "high": 2, "medium": 1, "low": 1}
    assert shown["summary"]["by_state"] == {"open": 5, "mitigated": 1, "accepted": 1, "false-positive": 1}
    assert shown["summary"]["questions"] == len(shown["questions"])


def test_difference_and_verdict_fit_their_schemas() -> None:
    other = replace(PLAN, exposure="internal", components={k: v for k, v in PLAN.components.items() if k != "vendor"})
    now = replace(ASSESSMENT, findings=ASSESSMENT.findings[1:])
    shown = json.loads(dumps(diff_json(PLAN, other, compare_plans(PLAN, other), compare(ASSESSMENT, now))))
    jsonschema.validate(shown, schema("diff"))
    assert [f["id"] for f in shown["threats"]["closed"]] == [ASSESSMENT.findings[0].id]
    assert {"type": "component", "id": "vendor"} in shown["plan"]["removed"]
    verdict = json.loads(dumps(gate_json(PLAN, Severity.HIGH, "fail", ASSESSMENT.open, ASSESSMENT.questions)))
    verdict["questions"][0]["could_open"] = ["B-00000000aa"]
    jsonschema.validate(verdict, schema("gate"))


def test_a_document_is_read_back_for_comparison() -> None:
    """Comparing an assessment with what was written of it finds no difference."""
    back, least = read_assessment(dumps(assessment_json(PLAN, ASSESSMENT)).encode(), "old.json")
    assert least is Severity.LOW
    assert compare(back, ASSESSMENT) == Changes((), (), ())
    assert [f.state for f in back.findings] == [f.state for f in ASSESSMENT.findings]
    assert [q.could_open for q in back.questions] == [q.could_open for q in ASSESSMENT.questions]
    worse = replace(
        ASSESSMENT, findings=(replace(ASSESSMENT.findings[4], state=FindingState.MITIGATED), *ASSESSMENT.findings[:4])
    )
    assert [f.id for f in compare(back, worse).closed] == [ASSESSMENT.findings[4].id]


def test_the_least_severity_is_read_back() -> None:
    raw = dumps(assessment_json(PLAN, ASSESSMENT, severity_min=Severity.HIGH)).encode()
    assert read_assessment(raw, "old.json")[1] is Severity.HIGH


def test_a_later_minor_version_is_read() -> None:
    """New keys don't stop a reader of 1.x."""
    later = document() | {"schema_version": "1.7", "news": {}}
    later["findings"][0]["news"] = 1
    assert len(read_assessment(json.dumps(later).encode(), "f")[0].findings) == len(ASSESSMENT.findings)


@given(st.binary(max_size=60) | st.text(max_size=60).map(str.encode))
def test_anything_else_is_refused(raw: bytes) -> None:
    with pytest.raises(StateError):
        read_assessment(raw, "old.json")


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@given(st.sampled_from(["schema_version", "plan", "findings", "questions", "severity_min"]), json_values)
def test_a_damaged_document_is_read_or_refused(key: str, value: object) -> None:
    """Whatever stands in a known key, there is an assessment or a `StateError`."""
    try:
        found, _ = read_assessment(json.dumps(document() | {key: value}).encode(), "old.json")
    except StateError:
        return
    assert compare(found, ASSESSMENT)
