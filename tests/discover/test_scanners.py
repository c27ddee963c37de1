# SPDX-License-Identifier: Apache-2.0
"""Other scanners' results as evidence."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bastide.discover.baselines import load_baselines
from bastide.discover.discover import discover
from bastide.discover.scanners import read_results, with_results
from bastide.errors import InputError

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
