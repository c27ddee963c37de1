# SPDX-License-Identifier: Apache-2.0
"""Attestations: bound to the model, by whom the policy says, fresh, and saying what it demands."""

from __future__ import annotations

import json
import os
import pickle
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from bastide.errors import SettingsError, UsageError
from bastide.report.scan_json import scan_json
from bastide.verify.artifacts.pool import scan_files
from bastide.verify.signing import evidence, predicates
from bastide.verify.signing.manifest import digests_of
from bastide.verify.signing.model import Decision, Outcome, Statement, Subject
from bastide.verify.signing.policy import Demand, Policy, Range
from bastide.verify.signing.sign import Credentials, attestation, describe, sign_model, sign_statement
from bastide.verify.signing.verify import Options, verify_model
from tests.verify.signing.conftest import by_key, demanding, new_key, policy_of

NOW = datetime.now(UTC)
DATA = "cd" * 32


@pytest.fixture
def policy(alice: Credentials, bob: Credentials) -> Policy:
    """Alice signs; Bob may attest."""
    return policy_of(by_key("alice", alice), by_key("bob", bob))


def stamp(days: float = 0) -> str:
    return (NOW + timedelta(days=days)).isoformat()


def scan(model: Path, days: float = 0, **changes: Any) -> dict[str, Any]:
    files = [
        {"path": r.name, "sha256": r.digest, "verdict": "safe", "findings": []}
        for r in describe(model).manifest.resources
    ]
    return {
        "scanner": {"name": "bastide", "version": "0.1.0", "engine": "1"}, "finishedOn": stamp(days), "verdict": "safe",
        "files": files, **changes,
    }  # fmt: skip


def evaluation(days: float = 0, **metrics: float) -> dict[str, Any]:
    return {"evaluatedOn": stamp(days), "metrics": metrics, "dataset": {"name": "held-out", "digest": {"sha256": DATA}}}


def provenance(builder: str = "https://ci.example/x", materials: Any = (), days: float = 0) -> dict[str, Any]:
    return {
        "buildDefinition": {
            "buildType": "https://x",
            "externalParameters": {},
            "resolvedDependencies": list(materials),
        },
        "runDetails": {"builder": {"id": builder}, "metadata": {"finishedOn": stamp(days)}},
    }


def put(model: Path, who: Credentials, type_: str, predicate: Mapping[str, Any], name: str = "x") -> Path:
    about = describe(model)
    path = model.with_name(f"support.{name}.att")
    sign_statement(about, attestation(about, predicates.TYPES.get(type_, type_), predicate), who, path)
    return path


def decided(model: Path, policy: Policy, demand: Demand) -> tuple[Outcome, str]:
    decision = verify_model(model, demanding(policy, demand), Options(at=NOW))
    [found] = [c for c in decision.checks if c.id.startswith("attestation/")]
    return found.outcome, found.reason


SCAN = {"max_age": 7 * 86400.0}
CASES: list[tuple[str, dict[str, Any], dict[str, Any], str, str]] = [
    ("scan", SCAN, {"days": -1}, "holds", "says `safe`"),
    ("scan", SCAN, {"days": -8}, "refused", "8.0 days old"),
    ("scan", SCAN, {"days": 1}, "refused", "lies in the future"),
    ("scan", {}, {"days": -800}, "holds", "says `safe`"),
    ("scan", {"min_engine": "1"}, {}, "holds", ""),
    ("scan", {"min_engine": "1.1"}, {}, "refused", "oldest allowed is 1.1"),
    ("scan", {"min_engine": "2"}, {}, "refused", "was made with engine 1"),
    ("scan", {"min_engine": "2"}, {"scanner": {"engine": "new"}}, "unknown", "can't be compared"),
    ("scan", {"min_engine": "2"}, {"scanner": {}}, "refused", "`engine` is missing"),
    ("scan", {}, {"verdict": "unknown"}, "refused", "isn't that of its files"),
    ("scan", {}, {"finishedOn": "yesterday"}, "refused", "is no time"),
    ("scan", {}, {"finishedOn": "2026-01-01T00:00:00"}, "refused", "time zone"),
    ("scan", {}, {"finishedOn": "0001-01-01T00:00:00+23:59"}, "refused", "is no time"),
    ("scan", {}, {"files": []}, "refused", "other files"),
    ("scan", {}, {"files": "x"}, "refused", "isn't what such an attestation looks like"),
]


@pytest.mark.parametrize(("type_", "demand", "changes", "outcome", "reason"), CASES)
def test_scans(
    *, model: Path, bob: Credentials, policy: Policy, type_: str, demand: dict[str, Any], changes: dict[str, Any],
    outcome: str, reason: str,
) -> None:  # fmt: skip
    put(model, bob, type_, scan(model, **changes))
    found = decided(model, policy, Demand(type_, ("bob",), **demand))
    assert (outcome, True) == (found[0].value, reason in found[1]), found


@pytest.mark.parametrize(
    ("metrics", "demand", "outcome", "reason"),
    [
        ({"accuracy": 0.93}, {"accuracy": Range(min=0.9)}, "holds", "accuracy 0.93"),
        ({"accuracy": 0.9}, {"accuracy": Range(min=0.9)}, "holds", ""),
        ({"accuracy": 0.89}, {"accuracy": Range(min=0.9)}, "refused", "`accuracy` is 0.89, asked for is at least 0.9"),
        ({"toxicity": 0.02}, {"toxicity": Range(max=0.01)}, "refused", "at most 0.01"),
        ({"accuracy": 0.93}, {"f1": Range(min=0.9)}, "unknown", "says nothing of `f1`"),
        ({"accuracy": True}, {"accuracy": Range(min=0.9)}, "unknown", "says nothing of"),
        ({"accuracy": 0.1}, {"f1": Range(min=0.9), "accuracy": Range(min=0.9)}, "refused", "`accuracy`"),
        ({}, {}, "holds", ""),
    ],
)
def test_evaluations(
    *, model: Path, bob: Credentials, policy: Policy, metrics: dict[str, float], demand: dict[str, Range], outcome: str,
    reason: str,
) -> None:  # fmt: skip
    put(model, bob, "evaluation", evaluation(**metrics))
    found = decided(model, policy, Demand("evaluation", ("bob",), metrics=demand, datasets=(DATA,)))
    assert (outcome, True) == (found[0].value, reason in found[1]), found


def test_an_evaluation_on_another_data_set(model: Path, bob: Credentials, policy: Policy) -> None:
    put(model, bob, "evaluation", evaluation(accuracy=0.99))
    found = decided(model, policy, Demand("evaluation", ("bob",), datasets=("ab" * 32,)))
    assert (found[0], "another data set" in found[1]) == (Outcome.REFUSED, True)


GIT = {"uri": "git+https://example.com/x", "digest": {"gitCommit": "a" * 40}}


@pytest.mark.parametrize(
    ("predicate", "demand", "outcome", "reason"),
    [
        (provenance(materials=[GIT]), {"builders": ("https://ci.example/*",)}, "holds", "from 1 materials"),
        (provenance("https://laptop"), {"builders": ("https://ci.example/*",)}, "refused", "built by `https://laptop`"),
        (provenance(materials=[GIT, {"uri": "https://evil"}]), {"materials": ("git+*",)}, "refused", "isn't allowed"),
        (provenance(materials=[{"uri": "git+x"}]), {}, "unknown", "without a digest"),
        (
            {"buildDefinition": {}, "runDetails": {"builder": {"id": "x"}, "metadata": {}}},
            SCAN,
            "unknown",
            "when the run",
        ),
        ({"buildDefinition": {}}, {}, "refused", "`runDetails` is missing"),
        (provenance(days=-30), SCAN, "refused", "30.0 days old"),
    ],
)
def test_provenance(
    *, model: Path, bob: Credentials, policy: Policy, predicate: dict[str, Any], demand: dict[str, Any], outcome: str,
    reason: str,
) -> None:  # fmt: skip
    put(model, bob, "provenance", predicate)
    found = decided(model, policy, Demand("provenance", ("bob",), **demand))
    assert (outcome, True) == (found[0].value, reason in found[1]), found


def test_other_predicates_are_demanded_by_their_type(model: Path, bob: Credentials, policy: Policy) -> None:
    put(model, bob, "https://example.com/red-team/v1", {"anything": 1})
    assert Outcome.HOLDS is decided(model, policy, Demand("https://example.com/red-team/v1", ("bob",)))[0]
    assert Outcome.REFUSED is decided(model, policy, Demand("https://example.com/red-team/v2", ("bob",)))[0]
    fresh = decided(model, policy, Demand("https://example.com/red-team/v1", ("bob",), max_age=60))
    assert (fresh[0], "isn't known" in fresh[1]) == (Outcome.UNKNOWN, True)


def test_who_attests_matters(model: Path, alice: Credentials, bob: Credentials, policy: Policy) -> None:
    assert decided(model, policy, Demand("scan", ("bob",))) == (Outcome.REFUSED, "isn't attached")
    put(model, alice, "scan", scan(model), "alice")
    found = decided(model, policy, Demand("scan", ("bob",)))
    assert (found[0], "alice may not attest this" in found[1]) == (Outcome.REFUSED, True)
    put(model, Credentials(new_key()), "scan", scan(model), "nobody")
    assert Outcome.REFUSED is decided(model, policy, Demand("scan", ("bob",)))[0]
    put(model, bob, "scan", scan(model), "bob")
    assert Outcome.HOLDS is decided(model, policy, Demand("scan", ("bob",)))[0]


def test_two_have_to_attest(model: Path, alice: Credentials, bob: Credentials, policy: Policy) -> None:
    demand = Demand("scan", ("alice", "bob"), threshold=2)
    put(model, bob, "scan", scan(model), "1")
    put(model, bob, "scan", scan(model), "2")
    assert ((one := decided(model, policy, demand))[0], "1 of 2" in one[1]) == (Outcome.REFUSED, True) or one
    put(model, alice, "scan", scan(model), "3")
    assert Outcome.HOLDS is decided(model, policy, demand)[0]


def test_the_newest_of_each_signer_counts_and_unsafe_is_never_outvoted(
    model: Path, alice: Credentials, bob: Credentials, policy: Policy
) -> None:
    demand = Demand("scan", ("alice", "bob"))

    def unsafe(days: float) -> dict[str, Any]:
        found = scan(model, days, verdict="unsafe")
        found["files"][0]["verdict"] = "unsafe"
        return found

    put(model, bob, "scan", unsafe(-3), "old")
    assert Outcome.REFUSED is decided(model, policy, demand)[0]
    put(model, bob, "scan", scan(model, -2), "new")
    assert Outcome.HOLDS is decided(model, policy, demand)[0]
    put(model, alice, "scan", unsafe(-5), "alice")
    found = decided(model, policy, demand)
    assert (found[0], "says `unsafe`" in found[1]) == (Outcome.REFUSED, True)


def test_an_attestation_about_another_model(model: Path, bob: Credentials, policy: Policy) -> None:
    path = put(model, bob, "evaluation", evaluation(accuracy=1))
    (model / "config.json").write_text("changed")
    found = decided(model, policy, Demand("evaluation", ("bob",)))
    assert (Outcome.REFUSED, f"{path}: is about another model") == found


def test_renamed_files_are_another_model(model: Path, alice: Credentials, bob: Credentials, policy: Policy) -> None:
    """The digest of model signing leaves the paths out; that of attestations doesn't."""
    put(model, bob, "evaluation", evaluation(accuracy=1))
    before = digests_of(describe(model).manifest)
    (model / "config.json").rename(model / "config.jsn")
    after = digests_of(describe(model).manifest)
    assert before["sha256"] == after["sha256"]
    assert before["dirHash"] != after["dirHash"]
    sign_model(model, alice)
    assert Outcome.REFUSED is decided(model, policy, Demand("evaluation", ("bob",)))[0]


def test_one_of_several_subjects_is_enough_and_one_digest_is_not(model: Path, bob: Credentials, policy: Policy) -> None:
    about = describe(model)
    digests = digests_of(about.manifest)

    def outcome(*found: dict[str, str]) -> Outcome:
        subjects = tuple(Subject("x", one) for one in found)
        path = model.with_name("support.x.att")
        sign_statement(about, Statement(predicates.EVALUATION, subjects, evaluation()), bob, path)
        return decided(model, policy, Demand("evaluation", ("bob",)))[0]

    assert Outcome.HOLDS is outcome({"sha256": "0" * 64}, digests)
    assert Outcome.HOLDS is outcome({"sha256": digests["sha256"], "sha512": "unknown"})
    assert Outcome.REFUSED is outcome({"sha256": digests["sha256"], "dirHash": "0" * 64})
    assert Outcome.REFUSED is outcome({"dirHash": digests["dirHash"]})
    assert Outcome.REFUSED is outcome()


def test_a_scan_made_now(model: Path) -> None:
    (model / "evil.pkl").write_bytes(b"cos\nsystem\n(S'touch x'\ntR.")
    about = describe(model)
    paths = [evidence.scanned_path(model, r) for r in about.manifest.resources]
    reports = list(scan_files(paths, 1))
    made = evidence.of_scan(about.manifest, reports, NOW, NOW)
    assert made["verdict"] == "unsafe"
    [evil] = [f for f in made["files"] if f["path"] == "evil.pkl"]
    assert (evil["verdict"], "pickle/runs-a-program" in evil["findings"]) == ("unsafe", True)
    (model / "evil.pkl").write_bytes(pickle.dumps({}))
    again = list(scan_files(paths, 1))
    with pytest.raises(UsageError, match="changed while the model was read"):
        evidence.of_scan(about.manifest, again, NOW, NOW)


@pytest.fixture
def report(model: Path, tmp_path: Path) -> Path:
    paths = [path for path in sorted(model.rglob("*")) if path.is_file()]
    (tmp_path / "scan.json").write_text(json.dumps(scan_json(list(scan_files(paths, 1)))))
    return tmp_path / "scan.json"


def test_a_report_of_the_same_files(model: Path, report: Path) -> None:
    os.utime(report, (1_700_000_000, 1_700_000_000))
    made = evidence.of_report(report, model, describe(model).manifest)
    assert (made["finishedOn"], made["scanner"]["engine"]) == ("2023-11-14T22:13:20.000000Z", "1")
    assert {r.name for r in describe(model).manifest.resources} == {f["path"] for f in made["files"]}


def test_a_report_of_other_files(model: Path, report: Path) -> None:
    (model / "config.json").write_text("other")
    with pytest.raises(UsageError, match="was another file when it was scanned"):
        evidence.of_report(report, model, describe(model).manifest)
    (model / "more.json").write_text("{}")
    with pytest.raises(UsageError, match="isn't the report of this model"):
        evidence.of_report(report, model, describe(model).manifest)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{}", "`metrics` is missing"),
        ("[]", "is no JSON object"),
        ('{"metrics": {"a": 1}, "metrics": {"a": 2}}', "same key twice"),
        ('{"metrics": {"a": NaN}, "dataset": {"sha256": "x"}, "date": "2026-01-01"}', "has `NaN` for a number"),
        ('{"metrics": {"a": "x"}, "dataset": {"sha256": "%s"}, "date": "2026-01-01"}', "names to numbers"),
        ('{"metrics": {"a": 1}, "dataset": {"sha256": "x"}, "date": "2026-01-01"}', "is no sha256"),
        ('{"metrics": {"a": 1}, "dataset": {"sha256": "%s"}, "date": "today"}', "is no time"),
        ('{"metrics": {"a": 1}, "dataset": {"sha256": "%s"}, "date": "2026-01-01", "x": 1}', "has a field `x`"),
    ],
)
def test_results_that_say_nothing(tmp_path: Path, text: str, reason: str) -> None:
    (tmp_path / "results.json").write_text(text.replace("%s", DATA))
    with pytest.raises(UsageError, match=reason):
        evidence.of_evaluation(tmp_path / "results.json")


RUN = """\
builder: https://ci.example/trainer@v3
type: https://example.com/train/v1
invocation: run-7
parameters: {epochs: 3, rate: 0.001}
materials:
  - {name: train, file: train.jsonl}
  - {name: base, model: support}
  - {uri: git+https://example.com/code, digest: {gitCommit: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa}}
started: 2026-11-20T08:00:00Z
finished: 2026-11-20T09:30:00+01:00
"""


def test_a_run_is_slsa_provenance(model: Path) -> None:
    """https://slsa.dev/spec/v1.0/provenance: the names of the fields."""
    (model.parent / "train.jsonl").write_text("{}\n")
    (model.parent / "run.yaml").write_text(RUN)
    made = evidence.of_run(model.parent / "run.yaml")
    assert {"buildDefinition", "runDetails"} == made.keys()
    definition = made["buildDefinition"]
    assert {"buildType", "externalParameters", "resolvedDependencies"} == definition.keys()
    assert definition["externalParameters"] == {"epochs": 3, "rate": 0.001}
    train, base, code = definition["resolvedDependencies"]
    assert len(train["digest"]["sha256"]) == 64
    assert digests_of(describe(model).manifest) == base["digest"]
    assert code["digest"] == {"gitCommit": "a" * 40}
    metadata = made["runDetails"]["metadata"]
    assert (metadata["invocationId"], metadata["finishedOn"]) == ("run-7", "2026-11-20T08:30:00.000000Z")


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ("builder:", "bulder:", "did you mean `builder`?"),
        ("file: train.jsonl", "file: gone.jsonl", "No such file"),
        ("model: support", "model: gone", "there is no model"),
        ("gitCommit: aaaa", "gitCommit: zzzz", "is no gitCommit"),
        ("gitCommit:", "gitComit:", "digest `gitComit` isn't known"),
        ("{name: train, file: train.jsonl}", "{name: train}", "a material has a `digest`"),
        ("{name: train, file", "{file", "a material has a `name` or a `uri`"),
        ("2026-11-20T08:00:00Z", "2026-11-20 08:00", "time zone"),
    ],
)
def test_a_run_that_is_wrong_is_said(model: Path, before: str, after: str, message: str) -> None:
    (model.parent / "train.jsonl").write_text("{}\n")
    assert before in RUN
    (model.parent / "run.yaml").write_text(RUN.replace(before, after))
    with pytest.raises(SettingsError) as found:
        evidence.of_run(model.parent / "run.yaml")
    assert message in str(found.value)


def test_everything_together(model: Path, alice: Credentials, bob: Credentials, policy: Policy) -> None:
    sign_model(model, alice)
    put(model, bob, "scan", scan(model), "1")
    put(model, bob, "evaluation", evaluation(accuracy=0.95), "2")
    put(model, bob, "provenance", provenance(materials=[GIT]), "3")
    demands = [Demand("scan", ("bob",)), Demand("evaluation", ("bob",)), Demand("provenance", ("bob",))]
    decision: Decision = verify_model(model, demanding(policy, *demands), Options(at=NOW))
    assert [(c.id, c.outcome.value) for c in decision.checks] == [
        ("files", "holds"), ("signatures", "holds"), ("attestation/scan", "holds"), ("attestation/evaluation", "holds"),
        ("attestation/provenance", "holds"),
    ]  # fmt: skip
    assert (len(decision.signatures), len(decision.attestations)) == (1, 3)
