# SPDX-License-Identifier: Apache-2.0
"""Policies are read strictly: what isn't understood is an error with its line, never a demand less."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bastide.errors import SettingsError
from bastide.verify.admission.policy import Approvals, Licences, Policy, Scan
from bastide.verify.admission.policy_file import load_policy, parse_policy
from bastide.verify.signing.policy import Range

HERE = Path("/policies")
WHOLE = f"""\
bastide-admission: 1
stages: [staging, production]
trust: trust.yaml
rules:
  - models: ["*"]
    scan: {{verdicts: [safe, unknown], formats: ["safe*"], deny: ["secret/*"]}}
  - models: [support, "x-*"]
    stages: [production]
    signature: true
    evaluations: [{{by: ci, metrics: {{accuracy: {{min: 0.9}}}}, datasets: ["sha256:{"a" * 64}"], max-age: 90d}}]
    metrics: {{loss: {{max: 2}}}}
    card: 60
    annex-iv: 40
    licences: {{allow: [mit], deny: ["gpl*"]}}
    bases: promoted
    approvals: {{by: [risk, security, risk], count: 2, max-age: 4w}}
    after: staging
    x-note: keys with x- are notes
"""


def read(text: str) -> Policy:
    return parse_policy(text, "admission.yaml", HERE)


def test_everything_is_read() -> None:
    policy = read(WHOLE)
    first, second = policy.rules
    assert (policy.stages, policy.trust) == (("staging", "production"), HERE / "trust.yaml")
    assert (first.scan, first.stages) == (Scan(("safe", "unknown"), ("safe*",), ("secret/*",)), ())
    assert (second.signature, second.card, second.annex, second.bases, second.after) == (
        True,
        60,
        40,
        "promoted",
        "staging",
    )
    assert (second.metrics, second.licences) == ({"loss": Range(max=2.0)}, Licences(("mit",), ("gpl*",)))
    assert second.approvals == Approvals(("risk", "security"), 2, 28 * 86400.0)
    [demand] = second.evaluations
    assert (demand.by, demand.metrics, demand.datasets, demand.max_age) == (
        ("ci",), {"accuracy": Range(min=0.9)}, ("a" * 64,), 90 * 86400.0,
    )  # fmt: skip
    assert policy.rules_for("x-1", "production") == (first, second)
    assert policy.rules_for("x-1", "") == policy.rules_for("X-1", "production") == (first,)


@pytest.mark.parametrize(
    ("old", "new", "line", "words"),
    [
        ("signature: true", "signatur: true", 9, "signature"),
        ("signature: true", "signature: yes please", 9, "`true` or `false`"),
        ("card: 60", "card: sixty", 12, "whole number"),
        ("card: 60", "card: -1", 12, "from 0 to 100"),
        ("by: ci, ", "", 10, "`by` is missing"),
        ("metrics: {accuracy: {min: 0.9}}, ", "", 10, "`metrics` is missing"),
        ("{min: 0.9}", "{least: 0.9}", 10, "unknown key"),
        ("sha256:aa", "sha256:g", 10, "no SHA-256"),
        ("90d", "90 days", 10, "is no time"),
        ("after: staging", "after: stagin", 17, "staging"),
        ("bases: promoted", "bases: everything", 15, "known or promoted"),
        ("count: 2", "count: 3", 16, "could ever be admitted"),
        ("count: 2", "count: 0", 16, "from 1 to 100"),
        ("licences: {allow: [mit], ", "licences: {alow: [mit], ", 14, "allow"),
        ("licences: {allow: [mit], deny: [\"gpl*\"]}", "licences: all", 14, "is a mapping"),
        ("verdicts: [safe, unknown]", "verdicts: [safe, unsafe]", 6, "can't be allowed"),
        ("stages: [staging, production]", "stages: [staging, staging, production]", 2, "stands twice"),
        ("trust: trust.yaml", "", 9, "whose signature counts"),
        ("bastide-admission: 1", "bastide-admission: 2", 1, "`bastide-admission: 1` is missing"),
        ('models: [support, "x-*"]', "models: []", 7, "`models` is missing"),
        ("after: staging", "after: [staging, production]", 17, "is one stage"),
        ("after: staging", "after:", 17, "says nothing"),
        ("bases: promoted", "bases:", 15, "says nothing"),
        ("metrics: {loss: {max: 2}}", "metrics: {}", 11, "says nothing"),
        ('scan: {verdicts: [safe, unknown], formats: ["safe*"], deny: ["secret/*"]}', "scan:", 6, "says nothing"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_with_its_line(old: str, new: str, line: int, words: str) -> None:
    assert old in WHOLE
    with pytest.raises(SettingsError) as caught:
        read(WHOLE.replace(old, new, 1))
    assert (f"admission.yaml:{line}:" in str(caught.value), words in str(caught.value)) == (True, True), str(
        caught.value
    )


@pytest.mark.parametrize(
    "text", ["", "[" * 100_000, "a: &a [*a]", "{", "\0", "rules: " + "[{}, " * 3000, "x: " + "y" * 70_000_000]
)
def test_hostile_files_are_said(tmp_path: Path, text: str) -> None:
    path = tmp_path / "admission.yaml"
    path.write_text(text)
    with pytest.raises(SettingsError):
        load_policy(path)


@given(st.integers(0, len(WHOLE)), st.integers(0, 40), st.text("{}[]:,-*&!'\" \n\tab01.x", max_size=12))
def test_no_text_breaks_the_reader(at: int, length: int, put: str) -> None:
    """Whatever stands there, it is a policy or an error that says where."""
    problems = []
    try:
        read(WHOLE[:at] + put + WHOLE[at + length :])
    except SettingsError as problem:
        problems = [one.location.file for one in problem.diagnostics]
    assert set(problems) <= {"admission.yaml"}
