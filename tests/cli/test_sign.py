# SPDX-License-Identifier: Apache-2.0
"""`bastide sign`, `bastide attest` and `bastide verify` from end to end."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import jsonschema
import pytest
from click.testing import Result
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from tests.verify.signing.conftest import Authority, private_pem

Run = Callable[..., Result]
POLICY = """\
bastide-trust: 1
signers:
  release: {key: release.pub.pem}
  ci: {key: ci.pub.pem}
rules:
  - models: "support*"
    signed-by: release
    attestations:
      - {type: scan, by: ci, max-age: 7d, min-engine: "1"}
      - {type: evaluation, by: ci, metrics: {accuracy: {min: 0.9}}}
      - {type: provenance, by: ci}
"""


@pytest.fixture
def work(folder: Path) -> Path:
    """A folder with a model, two keys and a policy."""
    for name in ("release", "ci"):
        key = ec.generate_private_key(ec.SECP256R1())
        (folder / f"{name}.pem").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        (folder / f"{name}.pub.pem").write_bytes(public)
    (folder / "support" / ".git").mkdir(parents=True)
    (folder / "support" / "config.json").write_text('{"a": 1}')
    (folder / "support" / ".git" / "HEAD").write_text("ref: refs/heads/main\n")
    (folder / "trust.yaml").write_text(POLICY)
    results = {
        "metrics": {"accuracy": 0.93},
        "dataset": {"name": "held-out", "sha256": "ab" * 32},
        "date": "2026-11-20",
    }
    (folder / "results.json").write_text(json.dumps(results))
    (folder / "run.yaml").write_text(
        "builder: https://ci.example/x\ntype: https://example.com/train\nmaterials: [{name: r, file: results.json}]\n"
        "started: 2026-11-20T08:00:00Z\nfinished: 2026-11-20T09:00:00Z\n"
    )
    return folder


def test_from_signing_to_the_verdict(run: Run, work: Path) -> None:
    assert run("sign", "support", "-k", "release.pem").exit_code == 0
    first = run("verify", "support", "--policy", "trust.yaml")
    assert first.exit_code == 1
    assert "attestation/scan: isn't attached" in first.stdout
    assert run("attest", "scan", "support", "-k", "ci.pem").exit_code == 0
    assert run("attest", "evaluation", "support", "-k", "ci.pem", "--results", "results.json").exit_code == 0
    assert run("attest", "provenance", "support", "-k", "ci.pem", "--run", "run.yaml").exit_code == 0
    result = run("verify", "support", "--policy", "trust.yaml", "--format", "json")
    document = json.loads(result.stdout)
    jsonschema.validate(document, json.loads(run("schema", "verify").stdout))
    assert (result.exit_code, document["outcome"], len(document["checks"])) == (0, "holds", 5)
    (work / "support" / ".git" / "hook").write_text("x")
    result = run("verify", "support", "--policy", "trust.yaml", "--format", "json")
    document = json.loads(result.stdout)
    jsonschema.validate(document, json.loads(run("schema", "verify").stdout))
    assert (result.exit_code, document["unsigned"]) == (1, [".git/hook"])
    assert "not signed: .git/hook" in " ".join(run("verify", "support", "-k", "release.pub.pem").stdout.split())


def test_signing_as_json(run: Run, work: Path) -> None:
    document = json.loads(run("sign", "support", "-k", "release.pem", "--ignore", ".git", "-f", "json").stdout)
    jsonschema.validate(document, json.loads(run("schema", "sign").stdout))
    assert (document["left_out"], document["files"]) == ([".git/HEAD"], 1)
    shown = run("sign", "support", "-k", "release.pem", "--ignore", ".git").stdout
    assert "not signed: .git/HEAD" in shown


def test_a_report_of_a_scan_is_attested(run: Run, work: Path) -> None:
    run("scan", "support", "--format", "json", "-o", "scan.json")
    assert run("attest", "scan", "support", "-k", "ci.pem", "--report", "scan.json").exit_code == 0
    (work / "support" / "config.json").write_text('{"a": 2}')
    result = run("attest", "scan", "support", "-k", "ci.pem", "--report", "scan.json")
    assert (result.exit_code, "was another file when it was scanned" in result.stderr) == (2, True)


def test_an_unsafe_model_is_attested_as_such(run: Run, work: Path) -> None:
    (work / "support" / "evil.pkl").write_bytes(b"cos\nsystem\n(S'touch x'\ntR.")
    run("sign", "support", "-k", "release.pem")
    assert run("attest", "scan", "support", "-k", "ci.pem").exit_code == 1
    result = run("verify", "support", "--policy", "trust.yaml")
    assert (result.exit_code, "says `unsafe`; allowed is safe" in " ".join(result.stdout.split())) == (1, True)


def test_the_ledger(run: Run, work: Path) -> None:
    run("sign", "support", "-k", "release.pem")
    options = ("verify", "support", "-k", "release.pub.pem", "--require-ledger")
    assert run(*options).exit_code == 3
    assert run(*options, "--ledger", "log").exit_code == 3
    run("sign", "support", "-k", "release.pem", "--ledger", "log")
    assert run(*options, "--ledger", "log").exit_code == 0
    assert run("ledger", "verify", "log").exit_code == 0
    assert '"outcome": "holds"' in run("ledger", "show", "log", "--format", "json").stdout.replace('":"', '": "')


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("verify", "support"), "say whose signature counts"),
        (("verify", "support", "--policy", "trust.yaml", "-k", "ci.pub.pem"), "say whose signature counts"),
        (("verify", "support", "--policy", "trust.yaml", "--threshold", "2"), "matters of the policy"),
        (("verify", "support", "--policy", "gone.yaml"), "no such file"),
        (("verify", "gone", "-k", "ci.pub.pem"), "there is no model"),
        (("verify", "support", "-k", "ci.pem"), "is no public key"),
        (("verify", "support", "--certificate", "ci.pub.pem"), "needs --subject"),
        (("verify", "support", "--sigstore", "a@b.example"), "needs --issuer and --trust-root"),
        (("sign", "support", "-k", "gone.pem"), "can't be read"),
        (("sign", "support", "-k", "ci.pub.pem"), "is no private key"),
        (("sign", "support", "-k", "ci.pem", "--chain", "ci.pem"), "--chain needs --certificate"),
        (("sign", "support", "-k", "ci.pem", "--certificate", "ci.pem"), "holds no certificates"),
        (("sign", "support", "-k", "ci.pem", "--ignore", "../x"), "is no path in the model"),
        (("sign", "support", "-k", "ci.pem", "-o", "support/config.json"), "has to be called"),
        (("sign", "support/config.json", "-k", "ci.pem", "-o", "support/config.json"), "is a file of the model"),
        (("attest", "evaluation", "support", "-k", "ci.pem", "--results", "run.yaml"), "is no JSON"),
        (("attest", "provenance", "support", "-k", "ci.pem", "--run", "results.json"), "`builder` is missing"),
    ],
)
def test_calls_that_are_wrong(run: Run, work: Path, arguments: tuple[str, ...], message: str) -> None:
    result = run(*arguments)
    assert (result.exit_code, message in result.stderr) == (2, True), result.stderr


def test_an_encrypted_key_needs_its_password(run: Run, work: Path) -> None:
    key = ec.generate_private_key(ec.SECP384R1())
    locked = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret"))
    (work / "locked.pem").write_bytes(locked)
    (work / "password").write_text("secret\n")
    (work / "wrong").write_text("guess\n")
    assert "no password was given" in run("sign", "support", "-k", "locked.pem").stderr
    assert run("sign", "support", "-k", "locked.pem", "--password-file", "wrong").exit_code == 2
    assert run("sign", "support", "-k", "locked.pem", "--password-file", "password").exit_code == 0


def test_each_signer_has_a_file_of_his_own(run: Run, work: Path) -> None:
    run("sign", "support", "-k", "release.pem")
    run("sign", "support", "-k", "ci.pem")
    assert len(list(work.glob("support.*.sig"))) == 2
    keys = ("-k", "release.pub.pem", "-k", "ci.pub.pem")
    assert run("verify", "support", *keys, "--threshold", "2").exit_code == 0


def test_a_certificate(run: Run, work: Path) -> None:
    root = Authority.root()
    who = root.intermediate().issue("release")
    leaf, middle = (x509.load_der_x509_certificate(one) for one in who.chain)
    (work / "key.pem").write_bytes(private_pem(who.key))
    for name, one in (("leaf", leaf), ("middle", middle), ("root", root.certificate)):
        (work / f"{name}.pem").write_bytes(one.public_bytes(Encoding.PEM))
    options = ("-k", "key.pem", "--certificate", "leaf.pem", "--chain", "middle.pem")
    assert run("sign", "support", *options).exit_code == 0
    trust = ("verify", "support", "--certificate", "root.pem", "--subject")
    assert run(*trust, "CN=rel*").exit_code == 0
    result = run(*trust, "CN=other")
    assert (result.exit_code, "which is no signer that is known" in " ".join(result.stdout.split())) == (1, True)
