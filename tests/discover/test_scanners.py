# SPDX-License-Identifier: Apache-2.0
"""Other scanners' results as evidence."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bastide.catalog.load import load_vocabulary
from bastide.discover.baselines import load_baselines
from bastide.discover.discover import discover
from bastide.discover.plan import to_plan
from bastide.discover.scanners import read_results, with_results
from bastide.errors import InputError
from bastide.plan.model import Source

MODEL = (
    'variable "closed" {}\nresource "aws_sagemaker_model" "m" {\n  enable_network_isolation = var.closed\n'
    '  primary_container {\n    model_data_url = "s3://m/m"\n  }\n}\n'
)
EXPECTATION = ("cloud/model-network", "m")


def checkov(passed: bool, line: int = 2, check: str = "CKV_AWS_370") -> str:
    """Checkov's JSON with one result."""
    one = {
        "check_id": check,
        "file_path": "/main.tf",
        "file_line_range": [line, line + 5],
        "resource": "aws_sagemaker_model.m",
    }
    return json.dumps(
        {"check_type": "terraform", "results": {"passed_checks": [one] * passed, "failed_checks": [one] * (not passed)}}
    )


def sarif(passed: bool) -> str:
    """The same as SARIF."""
    where = {"physicalLocation": {"artifactLocation": {"uri": "main.tf"}, "region": {"startLine": 3}}}
    result = {"ruleId": "CKV_AWS_370", "kind": "pass" if passed else "fail", "locations": [where]}
    return json.dumps({"version": "2.1.0", "runs": [{"tool": {"driver": {"name": "Checkov"}}, "results": [result]}]})


@pytest.mark.parametrize("form", [checkov, sarif])
def test_what_could_not_be_told_is_answered(tmp_path: Path, form: object) -> None:
    """Unknown before; a failure makes it fail at the scanner's place, a pass makes it pass."""
    (tmp_path / "main.tf").write_text(MODEL)
    found = discover(tmp_path)
    assert EXPECTATION in {(w.expectation, w.element) for w in found.weaknesses if w.state == "unknown"}
    failed, _ = with_results(found, read_results(form(False), "r"), load_baselines())  # type: ignore[operator]
    assert EXPECTATION in {(w.expectation, w.element) for w in failed.weaknesses if w.state == "fail"}
    passed, _ = with_results(found, read_results(form(True), "r"), load_baselines())  # type: ignore[operator]
    assert EXPECTATION in passed.passed
    assert EXPECTATION not in {(w.expectation, w.element) for w in passed.weaknesses}


def test_what_was_seen_to_fail_stays_failing(tmp_path: Path) -> None:
    """Another scanner's pass doesn't argue away a line of the file."""
    (tmp_path / "main.tf").write_text(MODEL.replace("var.closed", "false"))
    found, _ = with_results(discover(tmp_path), read_results(checkov(True), "r"), load_baselines())
    assert EXPECTATION in {(w.expectation, w.element) for w in found.weaknesses if w.state == "fail"}


def test_what_belongs_to_nothing_is_counted(tmp_path: Path) -> None:
    """Checks without an expectation, places without a component."""
    (tmp_path / "main.tf").write_text(MODEL)
    results = [*read_results(checkov(False, check="CKV_X"), "r"), *read_results(checkov(False, line=900), "r")]
    before = discover(tmp_path)
    after, left = with_results(before, results, load_baselines())
    assert (left, after.weaknesses) == (2, before.weaknesses)


@pytest.mark.parametrize("text", ["", "[", "{}", '{"a": 1}', "[" * 100_000, '"x"'])
def test_what_is_no_result_is_refused(text: str) -> None:
    """With what to do."""
    with pytest.raises(InputError):
        read_results(text, "r")


@pytest.mark.parametrize(
    "text", ['{"runs": 1}', '{"results": {"failed_checks": [1]}}', '{"Results": [{}]}', '{"runs": [{"tool": {}}]}']
)
def test_broken_results_are_no_crash(text: str) -> None:
    """What is left of them is nothing."""
    assert read_results(text, "r") == []


def ocsf(passed: bool, arn: str = "arn:aws:sagemaker:eu-west-1:1:model/m") -> str:
    """Prowler's JSON: findings about a running account."""
    finding = {
        "metadata": {"event_code": "sagemaker_models_network_isolation_enabled"},
        "status_code": "PASS" if passed else "FAIL",
        "resources": [{"uid": arn, "name": "", "type": "AwsSageMakerModel"}],
    }
    return json.dumps([finding, {**finding, "status_code": "MANUAL"}])


def old_prowler(passed: bool) -> str:
    """As versions before 4 write it."""
    return json.dumps(
        [
            {
                "CheckID": "sagemaker_models_network_isolation_enabled",
                "Status": "PASS" if passed else "FAIL",
                "ResourceId": "m",
            }
        ]
    )


@pytest.mark.parametrize("form", [ocsf, old_prowler])
def test_a_running_account_is_matched_by_name(tmp_path: Path, form: object) -> None:
    """Prowler knows no files; the thing has to have the same name, and only one may have it."""
    (tmp_path / "main.tf").write_text(MODEL)
    found = discover(tmp_path)
    failed, left = with_results(found, read_results(form(False), "prowler.json"), load_baselines())  # type: ignore[operator]
    [weakness] = [w for w in failed.weaknesses if (w.expectation, w.element) == EXPECTATION]
    assert (weakness.state, weakness.place.file, left) == ("fail", "prowler.json", 0)
    passed, _ = with_results(found, read_results(form(True), "prowler.json"), load_baselines())  # type: ignore[operator]
    assert EXPECTATION in passed.passed


def test_a_name_that_nothing_has_is_left(tmp_path: Path) -> None:
    (tmp_path / "main.tf").write_text(MODEL)
    found = discover(tmp_path)
    results = read_results(ocsf(False, "arn:aws:sagemaker:eu-west-1:1:model/other"), "r")
    assert with_results(found, results, load_baselines()) == (found, 1)


def test_what_holds_is_evidence_for_controls(tmp_path: Path) -> None:
    """The plan claims the control, with the line that shows it; where it doesn't hold, it claims nothing."""
    vocabulary = load_vocabulary(())
    (tmp_path / "main.tf").write_text(MODEL.replace("var.closed", "true"))
    [claim] = [
        c
        for c in to_plan(discover(tmp_path), vocabulary, "s", load_baselines()).claims
        if c.control == "egress-allow-list"
    ]
    assert (claim.on, claim.by, claim.evidence, claim.source) == (
        ("m",),
        "cloud/model-network",
        "main.tf:3",
        Source.DISCOVERED,
    )
    (tmp_path / "main.tf").write_text(MODEL)
    assert "egress-allow-list" not in {
        c.control for c in to_plan(discover(tmp_path), vocabulary, "s", load_baselines()).claims
    }
