# SPDX-License-Identifier: Apache-2.0
"""`bastide admit` and `bastide models`: from a model on a disk to one in production, and what stops it on the way."""

from __future__ import annotations

import json
import os
import pickle
import sqlite3
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from click.testing import Result

Run = Callable[..., Result]
POLICY = """\
bastide-admission: 1
stages: [candidate, staging, production]
trust: trust.yaml
rules:
  - models: ["support*"]
    scan: {formats: [safetensors, "text*", "json*", repository, "repository*", empty], deny: ["secret/*"]}
    licences: {allow: ["apache-*", mit]}
  - models: ["support*"]
    stages: [production]
    signature: true
    card: 5
    metrics: {accuracy: {min: 0.9}}
    approvals: {count: 1}
    after: staging
"""
CARD = """\
---
license: apache-2.0
library_name: transformers
model-index:
  - name: support
    results:
      - task: {type: text-classification}
        dataset: {name: tickets, type: tickets}
        metrics:
          - {type: accuracy, value: 0.93}
---
# Support
Answers questions about orders.
"""
TRUST = """\
bastide-trust: 1
signers:
  release: {key: key.pub.pem}
rules:
  - {models: ["support*"], signed-by: [release], attestations: [{type: scan, by: release, max-age: 1d}]}
"""


@pytest.fixture
def model(tmp_path: Path) -> Path:
    folder = tmp_path / "support"
    folder.mkdir()
    header = json.dumps({"w": {"dtype": "U8", "shape": [4], "data_offsets": [0, 4]}}).encode()
    (folder / "model.safetensors").write_bytes(struct.pack("<Q", len(header)) + header + bytes(4))
    (folder / "README.md").write_text(CARD)
    (tmp_path / "admission.yaml").write_text(POLICY)
    return folder


@pytest.fixture
def signed(model: Path, run: Run) -> Path:
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    folder = model.parent
    plain = serialization.NoEncryption()
    (folder / "key.pem").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
    )
    (folder / "key.pub.pem").write_bytes(
        key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    )
    (folder / "trust.yaml").write_text(TRUST)
    assert run("sign", str(model), "--key", str(folder / "key.pem")).exit_code == 0
    assert run("attest", "scan", str(model), "--key", str(folder / "key.pem")).exit_code == 0
    return model


def admitted(run: Run, model: Path, *more: str) -> tuple[int, dict[str, tuple[str, str]]]:
    done = run("admit", str(model), "-p", str(model.parent / "admission.yaml"), "-f", "json", *more)
    document = json.loads(done.stdout)
    jsonschema.validate(document, json.loads(run("schema", "admit").stdout))
    return done.exit_code, {check["id"]: (check["outcome"], check["reason"]) for check in document["checks"]}


def test_at_a_stage_without_rules_of_its_own_the_general_rule_decides(run: Run, model: Path) -> None:
    code, checks = admitted(run, model, "--stage", "candidate")
    assert (code, checks["scan"][0], checks["licences"]) == (0, "holds", ("holds", "Apache-2.0"))


def test_the_whole_way(run: Run, signed: Path, tmp_path: Path) -> None:
    """Register, stage, approve, promote; then one byte is changed."""
    registry, policy = str(tmp_path / "models.db"), str(tmp_path / "admission.yaml")
    common = ["--registry", registry, "--ledger", str(tmp_path / "log"), "--by", "ci"]
    assert run("models", "add", str(signed), "--registry", registry, "--by", "ada").exit_code == 0
    early = run("models", "promote", "support@1", "--to", "production", "-p", policy, *common)
    assert (early.exit_code, "has to be in `staging` before" in early.stdout, "0 of 1" in early.stdout) == (
        1,
        True,
        True,
    )
    assert run("models", "promote", "support", "--to", "staging", "-p", policy, *common).exit_code == 0
    own = ["models", "approve", "support@1", "--for", "production", "--registry", registry]
    assert run(*own, "--by", "ada").exit_code == 0
    still = run("models", "promote", "support@1", "--to", "production", "-p", policy, *common)
    assert (still.exit_code, "not by who registered it" in still.stdout) == (1, True)
    assert run(*own, "--by", "grace", "--reason", "looked at it", "--ledger", str(tmp_path / "log")).exit_code == 0
    done = run("models", "promote", "support@1", "--to", "production", "-p", policy, *common)
    assert done.exit_code == 0, done.stdout
    assert admitted(run, signed, "--stage", "production", "--registry", registry)[0] == 0

    (signed / "README.md").write_text(CARD + "\nmore\n")
    code, checks = admitted(run, signed, "--stage", "production", "--registry", registry)
    assert (code, checks["signature"][0], checks["approvals"][0], checks["after"][0]) == (
        1,
        "refused",
        "refused",
        "refused",
    )
    moved = run("models", "promote", "support@1", "--to", "staging", "-p", policy, *common)
    assert (moved.exit_code, "aren't those that were registered as support@1" in " ".join(moved.stdout.split())) == (
        1,
        True,
    )

    shown = json.loads(run("models", "show", "support", "--registry", registry, "-f", "json").stdout)
    jsonschema.validate(shown, json.loads(run("schema", "models").stdout))
    [version] = shown["versions"]
    assert version["stage"] == "production"
    outcomes = [f"{d['stage']} {d['outcome']}" for d in version["decisions"]]
    early, late = (
        ["production refused", "staging holds", "production refused"],
        ["production holds", "production holds"],
    )
    assert outcomes == [*early, *late, "staging refused"]
    assert [a["by"] for a in version["approvals"]] == ["ada", "grace"]
    assert run("ledger", "verify", str(tmp_path / "log")).exit_code == 0
    entries = run("ledger", "show", str(tmp_path / "log"), "--kind", "admission").stdout
    assert "admission" in entries
    told = run("models", "show", "support@1", "--registry", registry).stdout
    assert all(
        words in told
        for words in ("promoted for production by ci", "signature by release, first seen", "scan by release")
    )
    assert "support@1: registered by ada" in run("models", "history", "--registry", registry).stdout
    assert "support@1" in run("models", "list", "--registry", registry, "--stage", "production").stdout


@pytest.mark.parametrize(
    ("change", "check", "outcome"),
    [
        (lambda m: (m / "model.pkl").write_bytes(b"cos\nsystem\n(S'touch x'\ntR."), "scan", "refused"),
        (lambda m: (m / "weights.pkl").write_bytes(pickle.dumps([1])), "scan", "refused"),
        (
            lambda m: (m / ".env").write_text("T=ghp_" + "mgMsRcgizeg8Psh4487Q7j58M1cIaH" + "1xZClS\n"),
            "scan",
            "refused",
        ),
        (lambda m: (m / "README.md").write_text(CARD.replace("apache-2.0", "cc-by-nc-4.0")), "licences", "refused"),
        (lambda m: (m / "README.md").unlink(), "licences", "unknown"),
        (lambda m: (m / "out").symlink_to("/etc/hostname"), "files", "unknown"),
    ],
)
def test_what_does_not_hold(run: Run, model: Path, change: Callable[[Path], Any], check: str, outcome: str) -> None:
    change(model)
    code, checks = admitted(run, model)
    assert (checks[check][0], code) == (outcome, {"refused": 1, "unknown": 3}[outcome])


def test_a_stage_without_a_registry_cannot_be_decided(run: Run, signed: Path) -> None:
    code, checks = admitted(run, signed, "--stage", "production")
    assert (code, checks["approvals"][0], checks["after"][0], checks["signature"][0]) == (
        3,
        "unknown",
        "unknown",
        "holds",
    )


def test_no_rule_is_no_admission(run: Run, model: Path) -> None:
    code, checks = admitted(run, model, "--name", "other")
    assert (code, checks["rule"][0]) == (1, "refused")


def test_layouts(run: Run, tmp_path: Path) -> None:
    """A hub's cache and MLflow's store give names, revisions, runs and users."""
    repo = tmp_path / "hub" / "models--acme--base"
    (repo / "blobs").mkdir(parents=True)
    (repo / "snapshots" / "5c1f").mkdir(parents=True)
    (repo / "blobs" / "aa").write_text("{}")
    (repo / "snapshots" / "5c1f" / "config.json").symlink_to("../../blobs/aa")
    run_ = tmp_path / "mlruns" / "0" / "abc123"
    (run_ / "artifacts" / "model").mkdir(parents=True)
    (run_ / "meta.yaml").write_text("run_id: abc123\nuser_id: ada\nstart_time: 1700000000000\n")
    (run_ / "artifacts" / "model" / "MLmodel").write_text("flavors: {}\n")
    version = tmp_path / "mlruns" / "models" / "tickets" / "version-3"
    version.mkdir(parents=True)
    (version / "meta.yaml").write_text(
        "name: tickets\nversion: 3\nsource: file:///elsewhere/mlruns/0/abc123/artifacts/model\nrun_id: abc123\n"
    )
    registry = str(tmp_path / "models.db")
    assert run("models", "add", str(tmp_path / "hub"), str(tmp_path / "mlruns"), "--registry", registry).exit_code == 0
    document = json.loads(run("models", "list", "--registry", registry, "-f", "json").stdout)
    jsonschema.validate(document, json.loads(run("schema", "models").stdout))
    found = {v["name"]: v for v in document["versions"]}
    assert found.keys() == {"acme/base", "tickets"}
    assert (found["acme/base"]["layout"], found["acme/base"]["source"]) == ("huggingface", {"revision": "5c1f"})
    assert found["tickets"]["source"]["user_id"] == "ada"
    assert found["tickets"]["source"]["start_time"] == "2023-11-14T22:13:20+00:00"


def test_the_same_bytes_are_the_same_version(run: Run, model: Path, tmp_path: Path) -> None:
    registry = str(tmp_path / "models.db")
    for _ in range(2):
        run("models", "add", str(model), "--registry", registry)
    (model / "more.txt").write_text("x")
    done = run("models", "add", str(model), "--registry", registry, "-f", "json")
    assert [v["version"] for v in json.loads(done.stdout)["versions"]] == [2]


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (["models", "list", "--registry", "none.db"], "there is no such registry"),
        (["models", "list", "--registry", "text.db"], "isn't a registry of models"),
        (["models", "list", "--registry", "other.db"], "is a database of something else"),
        (["models", "list", "--registry", "."], "isn't a registry of models"),
        (["models", "add", "empty"], "no model was found"),
        (["models", "add", "nowhere"], "there is no such file"),
        (["admit", "support", "-p", "none.yaml"], "none.yaml"),
        (["admit", "nowhere", "-p", "admission.yaml"], "nowhere"),
        (["admit", "support", "-p", "admission.yaml", "--stage", "prod"], "production"),
        (["admit", "support", "-p", "admission.yaml", "-o", "admission.yaml"], "is an input"),
    ],
)
def test_wrong_calls(run: Run, model: Path, monkeypatch: pytest.MonkeyPatch, call: list[str], words: str) -> None:
    monkeypatch.chdir(model.parent)
    Path("text.db").write_text("no database, but long enough to be looked at as one" * 20)
    Path("empty").mkdir()
    with sqlite3.connect("other.db") as other:
        other.execute("CREATE TABLE x (y)")
    other.close()
    done = run(*call)
    assert (done.exit_code, words in done.stderr) == (2, True), done.stderr


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("rules: [{models: ['*']}]", "`bastide-admission: 1` is missing"),
        ("bastide-admission: 1", "there is no rule"),
        ("bastide-admission: 1\nrules: [{models: ['*'], sacn: {}}]", "sacn"),
        ("bastide-admission: 1\nrules: [{models: ['*'], signature: true}]", "nobody says whose signature counts"),
        ("bastide-admission: 1\nrules: [{models: ['*'], scan: {verdicts: [unsafe]}}]", "can't be allowed"),
        ("bastide-admission: 1\nstages: [a]\nrules: [{models: ['*'], stages: [b]}]", "there is no stage `b`"),
        ("bastide-admission: 1\nrules: [{models: ['*'], card: 101}]", "from 0 to 100"),
        (
            "bastide-admission: 1\nrules: [{models: ['*'], approvals: {by: [a], count: 2}}]",
            "no model could ever be admitted",
        ),
        ("bastide-admission: 1\nrules: [{models: ['*'], bases: all}]", "known or promoted"),
        ("- 1", "mapping"),
        ("a: &a [*a]", "bastide-admission"),
    ],
)
def test_wrong_policies(run: Run, model: Path, text: str, words: str) -> None:
    (model.parent / "admission.yaml").write_text(text)
    done = run("admit", str(model), "-p", str(model.parent / "admission.yaml"))
    assert (done.exit_code, words in done.stderr) == (2, True), done.stderr


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_registry_that_cannot_be_written(run: Run, model: Path, tmp_path: Path) -> None:
    (tmp_path / "closed").mkdir(mode=0o500)
    assert run("models", "add", str(model), "--registry", str(tmp_path / "closed" / "m.db")).exit_code == 2


@pytest.mark.parametrize("content", [b"", b"cbuiltins\nprint\n(S'x'\ntR."])
def test_a_path_that_is_no_utf8_is_decided_like_any_other(
    content: bytes, model: Path, tmp_path: Path, run: Run
) -> None:
    """Reports show such bytes as text, and nobody takes that for another file: neither changed meanwhile, nor without a scan."""
    folder = Path(os.fsdecode(os.fsencode(tmp_path) + b"/of \xff"))
    model.rename(folder)
    if content:
        (folder / "more.safetensors").write_bytes(content)
    result = run(
        "admit", str(folder), "--name", "support", "--policy", str(tmp_path / "admission.yaml"), "--stage", "candidate"
    )
    assert result.exit_code == (1 if content else 0), result.output
    assert "changed while" not in result.output
