# SPDX-License-Identifier: Apache-2.0
"""`bastide models`: from the training run to production, and whatever somebody might try on the way."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import jsonschema
import pytest
from click.testing import Result

Run = Callable[..., Result]
POLICY = """\
bastide-admission: 1
stages: [staging, production]
trust: trust.yaml
rules:
  - models: ["*"]
    scan: {}
  - models: ["support"]
    stages: [production]
    signature: true
    evaluations: [{by: ci, metrics: {accuracy: {min: 0.9}}, max-age: 90d}]
    licences: {allow: [apache-2.0]}
    bases: promoted
    approvals: {by: [risk, security], count: 2, max-age: 90d}
    after: staging
"""
TRUST = """\
bastide-trust: 1
signers:
  release: {key: release.pub.pem}
  ci: {key: ci.pub.pem}
rules:
  - {models: ["*"], signed-by: [release], attestations: [{type: scan, by: ci, max-age: 1d}]}
"""
CARD = "---\nlicense: apache-2.0\nbase_model: acme/base\n---\n# Support\nAnswers questions about orders.\n"


def weights(byte: int) -> bytes:
    header = json.dumps({"w": {"dtype": "U8", "shape": [4], "data_offsets": [0, 4]}}).encode()
    return struct.pack("<Q", len(header)) + header + bytes([byte]) * 4


def evaluation(accuracy: float) -> str:
    dataset = {"name": "held-out", "sha256": "0" * 64}
    return json.dumps({"metrics": {"accuracy": accuracy}, "dataset": dataset, "date": datetime.now(UTC).isoformat()})


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a model, the model it was made from, keys and policies; it is the working directory."""
    from cryptography.hazmat.primitives import serialization as ser
    from cryptography.hazmat.primitives.asymmetric import ec

    monkeypatch.chdir(tmp_path)
    for name, byte in (("support", 1), ("base", 2)):
        Path(name).mkdir()
        Path(name, "model.safetensors").write_bytes(weights(byte))
    Path("support", "README.md").write_text(CARD)
    for name in ("release", "ci"):
        key = ec.generate_private_key(ec.SECP256R1())
        private = key.private_bytes(ser.Encoding.PEM, ser.PrivateFormat.PKCS8, ser.NoEncryption())
        public = key.public_key().public_bytes(ser.Encoding.PEM, ser.PublicFormat.SubjectPublicKeyInfo)
        Path(f"{name}.pem").write_bytes(private)
        Path(f"{name}.pub.pem").write_bytes(public)
    Path("admission.yaml").write_text(POLICY)
    Path("trust.yaml").write_text(TRUST)
    Path("results.json").write_text(evaluation(0.94))
    return tmp_path


def promoted(run: Run, name: str, stage: str, *more: str) -> tuple[int, dict[str, str]]:
    """Exit code, and what does not hold with its reason."""
    done = run("models", "promote", name, "--to", stage, "-p", "admission.yaml", "--by", "bot", "-f", "json", *more)
    document = json.loads(done.stdout)
    jsonschema.validate(document, json.loads(run("schema", "admit").stdout))
    return done.exit_code, {c["id"]: c["reason"] for c in document["checks"] if c["outcome"] != "holds"}


def shown(run: Run, name: str) -> dict[str, Any]:
    document = json.loads(run("models", "show", name, "-f", "json").stdout)
    jsonschema.validate(document, json.loads(run("schema", "models").stdout))
    found: dict[str, Any] = document["versions"][-1]
    return found


def right(run: Run, *calls: str) -> None:
    for call in calls:
        done = run(*call.split())
        assert done.exit_code == 0, done.output


@pytest.fixture
def ready(place: Path, run: Run) -> Path:
    """The model is registered, signed, attested, in staging, and approved: nothing stops it any more."""
    right(
        run,
        "models add support --by ada",
        "models add base --name acme/base --by ada",
        "sign support --key release.pem",
        "attest scan support --key ci.pem",
        "attest evaluation support --results results.json --key ci.pem",
        "models promote acme/base --to staging -p admission.yaml",
        "models promote support --to staging -p admission.yaml",
        "models approve support@1 --for production --by risk -p admission.yaml",
        "models approve support@1 --for production --by security",
    )
    Path("trust.yaml").write_text(TRUST)
    return place


def base_up(run: Run) -> None:
    """The base goes to production by a policy of its own."""
    Path("base.yaml").write_text(
        "bastide-admission: 1\nstages: [production]\nrules: [{models: [acme/base], scan: {}}]\n"
    )
    right(run, "models promote acme/base@1 --to production -p base.yaml")


def test_the_whole_way(ready: Path, run: Run) -> None:
    """The base has to go first; then everything holds, and who did what is in the registry and in the ledger."""
    assert promoted(run, "support@1", "production") == (
        1,
        {"bases": "not promoted that far: acme/base (README.md:3)"},
    )
    base_up(run)
    assert promoted(run, "support@1", "production") == (0, {})
    found = shown(run, "support")
    assert (found["stage"], found["made_from"]) == (
        "production",
        [{"name": "acme/base", "version": 1, "stage": "production"}],
    )
    assert shown(run, "acme/base")["made_into"] == [{"name": "support", "version": 1, "stage": "production"}]
    assert sorted(one["type"] for one in found["evidence"]) == ["evaluation", "scan", "signature"]
    assert [(d["action"], d["outcome"], bool(d["ledger_entry"])) for d in found["decisions"]] == [
        ("promote", "holds", True), ("promote", "refused", True), ("promote", "holds", True),
    ]  # fmt: skip
    right(run, "admit support -p admission.yaml --stage production --registry models.db", "ledger verify models.ledger")
    logged = [json.loads(line) for line in Path("models.ledger").glob("segment-*").__next__().read_text().splitlines()]
    kinds = [line.get("entry", line).get("kind") for line in logged]
    assert [kinds.count(kind) for kind in ("registration", "approval", "admission")] == [2, 2, 6]


def test_pipelines_can_show_it_as_tests(place: Path, run: Run) -> None:
    """What is refused is a failure, what can't be decided an error; names can't break the document."""
    Path("support").rename("support<&\x01>")
    done = run(
        "admit", "support<&\x01>", "-p", "admission.yaml", "--stage", "production", "--name", "support", "-f", "junit"
    )
    root = ElementTree.fromstring(done.stdout)
    cases = {case.attrib["name"]: [one.tag for one in case] for case in root.iter("testcase")}
    assert (cases["scan"], cases["signature"], cases["approvals"]) == (["system-out"], ["failure"], ["error"])
    assert (root.attrib["tests"], done.exit_code) == (str(len(cases)), 1)


def test_one_byte_more_is_another_model(ready: Path, run: Run) -> None:
    base_up(run)
    Path("support", "model.safetensors").write_bytes(weights(3))
    code, wrong = promoted(run, "support@1", "production")
    assert (code, wrong["files"]) == (1, "aren't those that were registered as support@1")
    assert "changed since: model.safetensors" in wrong["signature"]
    right(run, "models add support --by ada")
    code, wrong = promoted(run, "support@2", "production")
    assert code == 1
    assert wrong.keys() == {"signature", "evaluation/accuracy", "approvals", "after"}
    assert shown(run, "support@1")["stage"] == "staging"


def test_a_renamed_file_is_another_model(ready: Path, run: Run) -> None:
    """Though the digest that the signature has stays the same."""
    base_up(run)
    Path("support", "model.safetensors").rename("support/other.safetensors")
    code, wrong = promoted(run, "support@1", "production")
    assert (code, wrong["files"]) == (1, "aren't those that were registered as support@1")


@pytest.mark.parametrize(
    ("taken", "check"),
    [
        ("*.sig", "signature"),
        ("*.scan.*", "signature"),
        ("*.evaluation.*", "evaluation/accuracy"),
        ("support/README.md", "licences"),
        ("trust.yaml", None),
        ("models.db", None),
    ],
)
def test_what_is_taken_away_admits_nothing(ready: Path, run: Run, taken: str, check: str | None) -> None:
    base_up(run)
    for path in list(ready.glob(taken)):
        path.unlink()
    done = run("models", "promote", "support@1", "--to", "production", "-p", "admission.yaml", "-f", "json")
    if check is None:
        assert (done.exit_code, done.stdout) == (2, "")
    else:
        assert done.exit_code in (1, 3)
        assert check in {c["id"] for c in json.loads(done.stdout)["checks"] if c["outcome"] != "holds"}


def test_a_bad_evaluation_cannot_be_hidden(ready: Path, run: Run) -> None:
    """The newest of a signer counts; when it was seen once, deleting it doesn't bring the older one back."""
    base_up(run)
    assert promoted(run, "support@1", "production")[0] == 0
    Path("bad.json").write_text(evaluation(0.4))
    right(run, "attest evaluation support --results bad.json --key ci.pem -o support.bad.att")
    code, wrong = promoted(run, "support@1", "production")
    assert (code, wrong.keys()) == (1, {"evaluation/accuracy"})
    Path("support.bad.att").unlink()
    code, wrong = promoted(run, "support@1", "production")
    assert (code, list(wrong)) == (3, ["evidence"])
    assert "evaluation by ci" in wrong["evidence"]


def test_stale_and_foreign_evaluations_do_not_count(ready: Path, run: Run) -> None:
    base_up(run)
    [attached] = ready.glob("*.evaluation.*")
    attached.unlink()
    Path("old.json").write_text(json.dumps({**json.loads(evaluation(0.99)), "date": "2020-01-01"}))
    right(run, "attest evaluation support --results old.json --key ci.pem -o support.old.att")
    assert "days old" in promoted(run, "support@1", "production")[1]["evaluation/accuracy"]
    Path("support.old.att").unlink()
    right(run, "attest evaluation support --results results.json --key release.pem -o support.own.att")
    assert "release may not attest this" in promoted(run, "support@1", "production")[1]["evaluation/accuracy"]
    Path("support.own.att").unlink()
    right(run, "attest evaluation base --results results.json --key ci.pem -o support.base.att")
    assert "is about another model" in promoted(run, "support@1", "production")[1]["evaluation/accuracy"]


def test_approvals_can_be_withdrawn_and_what_is_bad_can_go(ready: Path, run: Run) -> None:
    base_up(run)
    right(run, "models approve support@1 --for production --by Risk --withdraw")
    assert "1 of 2 (by security)" in promoted(run, "support@1", "production")[1]["approvals"]
    right(run, "models approve support@1 --for production --by risk")
    assert promoted(run, "support@1", "production")[0] == 0
    right(run, "models retire support@1 --reason incident")
    found = shown(run, "support@1")
    assert (found["stage"], found["decisions"][-1]["action"], found["decisions"][-1]["stage"]) == (
        "",
        "retire",
        "production",
    )
    assert promoted(run, "support@1", "production")[1].keys() == {"after"}
    told = run("models", "history", "support@1").stdout
    assert "(admission.yaml, sha256 " in told
    assert all(words in told for words in ("withdrawn for production by Risk", "retired", "registered by ada"))


def test_who_registered_it_approves_nothing(place: Path, run: Run) -> None:
    Path("admission.yaml").write_text(
        "bastide-admission: 1\nstages: [production]\nrules: [{models: ['*'], approvals: {by: [ada, risk]}}]\n"
    )
    right(run, "models add support --by ada", "models approve support@1 --for production --by ada")
    assert promoted(run, "support@1", "production")[0] == 1
    right(run, "models approve support@1 --for production --by risk")
    assert promoted(run, "support@1", "production")[0] == 0


def test_a_moved_model_is_named_by_path(ready: Path, run: Run) -> None:
    base_up(run)
    Path("moved").mkdir()
    for path in [*ready.glob("support.*"), Path("support")]:
        path.rename(Path("moved", path.name))
    gone = run("models", "promote", "support@1", "--to", "production", "-p", "admission.yaml")
    assert (gone.exit_code, "there is no model" in gone.stderr) == (2, True)
    assert promoted(run, "support@1", "production", "--path", "moved/support") == (0, {})


def test_a_hubs_cache_is_admitted_as_it_lies(place: Path, run: Run) -> None:
    """Its links are the model's files: they are scanned, described and hashed; one that leads out makes it undecided."""
    Path("admission.yaml").write_text(
        "bastide-admission: 1\nstages: [staging]\nrules: [{models: [acme/*], scan: {}, licences: {allow: [apache-2.0]}, bases: known}]\n"
    )
    repo = Path("hub", "models--acme--support")
    snapshot = repo / "snapshots" / "5c1f"
    snapshot.mkdir(parents=True)
    for path in Path("support").iterdir():
        content = path.read_bytes()
        blob = repo / "blobs" / hashlib.sha256(content).hexdigest()
        blob.parent.mkdir(exist_ok=True)
        blob.write_bytes(content)
        (snapshot / path.name).symlink_to(f"../../blobs/{blob.name}")
    right(run, "models add hub", "models add base --name acme/base")
    found = shown(run, "acme/support")
    assert (found["layout"], found["source"]["revision"], [b["name"] for b in found["bases"]]) == (
        "huggingface",
        "5c1f",
        ["acme/base"],
    )
    assert promoted(run, "acme/support@1", "staging") == (0, {})
    assert run("admit", str(snapshot), "-p", "admission.yaml", "--registry", "models.db").exit_code == 0
    (snapshot / "out.md").symlink_to("/etc/hostname")
    code, wrong = promoted(run, "acme/support@1", "staging")
    assert (code, wrong.keys()) == (3, {"files", "scan", "licences", "bases"})


def bastide(*args: str) -> list[str]:
    return [sys.executable, "-m", "bastide", *args]


def test_two_promote_at_once(ready: Path, run: Run) -> None:
    """One after the other: each decision is made on what is there when it is kept."""
    base_up(run)
    call = bastide("models", "promote", "support@1", "-p", "admission.yaml", "-q")
    workers = [
        subprocess.Popen([*call, "--to", stage], stdout=subprocess.DEVNULL) for stage in ("production", "staging")
    ]
    assert {worker.wait(120) for worker in workers} == {0}
    decisions = shown(run, "support@1")["decisions"]
    assert shown(run, "support@1")["stage"] == decisions[-1]["stage"]
    assert {d["stage"] for d in decisions[-2:]} == {"production", "staging"}
    right(run, "ledger verify models.ledger")


@pytest.mark.slow
def test_a_kill_leaves_registry_and_ledger_whole(ready: Path, run: Run) -> None:
    base_up(run)
    call = bastide("models", "promote", "support@1", "-p", "admission.yaml", "-q", "--to", "production")
    for attempt in range(6):
        worker = subprocess.Popen(call, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(0.3 + 0.15 * attempt)
        os.kill(worker.pid, signal.SIGKILL)
        worker.wait()
        found = shown(run, "support@1")
        assert found["stage"] == found["decisions"][-1]["stage"]
        assert run("ledger", "verify", "models.ledger").exit_code == 0
    assert promoted(run, "support@1", "production") == (0, {})


@pytest.mark.parametrize(
    ("call", "words"),
    [
        ("models promote support --to prodction -p admission.yaml", "production"),
        ("models promote supprt --to production -p admission.yaml", "support"),
        ("models promote support@7 --to production -p admission.yaml", "no version 7"),
        ("models approve support --for production", "say which version: support@1"),
        ("models approve support@1 --for prodction -p admission.yaml", "production"),
        ("models retire support", "say which version"),
        ("models show support@99999999999", "no model"),
        ("models add support base --name x", "2 paths"),
        ("models add support --registry .", "it is no file"),
        ("models add support --registry support/models.db", "lies in the model"),
        ("models promote support --to staging -p admission.yaml --ledger support/log", "lies in the model"),
        ("admit support -p admission.yaml -o support/decision.json", "lies in the model"),
        ("models promote support --to staging -p admission.yaml --registry ..", "it is no file"),
        ("models approve support@1 --for production --ledger trust.yaml", "trust.yaml"),
    ],
)
def test_wrong_calls(place: Path, run: Run, call: str, words: str) -> None:
    right(run, "models add support --by ada")
    done = run(*call.split())
    assert (done.exit_code, words in done.stderr, "Traceback" in done.output) == (2, True, False), done.output
    assert shown(run, "support")["approvals"] == []


def test_an_evaluator_whom_nobody_knows_is_said_with_the_line(place: Path, run: Run) -> None:
    Path("admission.yaml").write_text(POLICY.replace("by: ci,", "by: cii,"))
    right(run, "models add support --by ada")
    done = run("models", "promote", "support", "--to", "production", "-p", "admission.yaml")
    assert (done.exit_code, "admission.yaml:10" in done.stderr, "`ci`" in done.stderr) == (2, True, True), done.stderr


def test_without_its_package_nothing_is_decided_that_is_not_logged(
    place: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(*_: object) -> int:
        raise ModuleNotFoundError("No module named 'cryptography'")

    monkeypatch.setattr("bastide.verify.signing.logbook.record", missing)
    done = run("models", "add", "support")
    assert (done.exit_code, "bastide[signing]" in done.stderr) == (2, True), done.stderr
    assert json.loads(run("models", "list", "-f", "json").stdout)["versions"] == []


def test_names_that_nobody_could_read_are_not_kept(place: Path, run: Run) -> None:
    for name in ("a\u202eb", " x", "n" * 400):
        done = run("models", "add", "support", "--name", name)
        assert (done.exit_code, "can't be the name" in done.stderr) == (3, True), done.output
    assert run("models", "add", "support", "--by", "a\nb").exit_code == 0  # becomes one line
    assert run("models", "add", "support", "--by", "\x1b[2J").exit_code == 2
