# SPDX-License-Identifier: Apache-2.0
"""Trust policies: what is wrong is said with its place and what was meant, and a policy that isn't understood isn't applied."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from bastide.errors import SettingsError
from bastide.verify.signing.policy import Policy, Range
from bastide.verify.signing.policy_file import load_policy, parse_policy
from tests.verify.signing.conftest import Authority, new_key

WHOLE = """\
bastide-trust: 1
signers:
  release: {key: release.pem, models: ["support-*"], not-before: 2026-01-01, expires: 2027-06-30T12:00:00Z}
  ci: {certificate: root.pem, subject: "CN=ci*", alternative-name: "*@acme.example"}
  build: {sigstore: https://github.com/acme/x, issuer: https://token.example, trust-root: root.json}
revoked:
  - {fingerprint: "sha256:FIRST", reason: lost}
rules:
  - models: support-*
    signed-by: [release, ci]
    threshold: 2
    same-name: false
    unsigned: [".git/*"]
    ledger: true
    attestations:
      - {type: scan, by: ci, max-age: 7d, min-engine: "1", verdicts: [safe, unknown]}
      - {type: evaluation, by: [ci], metrics: {accuracy: {min: 0.9}, toxicity: {max: 0.01}}, datasets: ["sha256:SECOND"]}
      - {type: provenance, by: build, builders: ["https://*"], materials: ["git+https://*"]}
      - {type: "https://example.com/red-team/v1", by: [ci, release], threshold: 2}
ledger-key: release.pem
""".replace("FIRST", "ab" * 32).replace("SECOND", "cd" * 32)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "release.pem").write_bytes(new_key().public.pem)
    (tmp_path / "root.pem").write_bytes(Authority.root().certificate.public_bytes(Encoding.PEM))
    return tmp_path


def read(folder: Path, text: str) -> Policy:
    (folder / "trust.yaml").write_text(text)
    return load_policy(folder / "trust.yaml")


def refused(folder: Path, text: str) -> str:
    with pytest.raises(SettingsError) as found:
        parse_policy(text, "trust.yaml", folder)
    return str(found.value)


def test_everything_that_can_be_said(folder: Path) -> None:
    policy = read(folder, WHOLE)
    release, ci, build = policy.signers.values()
    assert (release.method, ci.method, build.method) == ("key", "certificate", "sigstore")
    assert (datetime(2026, 1, 1, tzinfo=UTC), datetime(2027, 6, 30, 12, tzinfo=UTC)) == (
        release.not_before, release.expires
    )  # fmt: skip
    [rule] = policy.rules
    assert (rule.threshold, rule.same_name, rule.ledger, rule.unsigned) == (2, False, True, (".git/*",))
    scan, evaluation, provenance, other = rule.attestations
    assert (scan.max_age, scan.min_engine, scan.verdicts) == (604800.0, "1", ("safe", "unknown"))
    assert {"accuracy": Range(min=0.9), "toxicity": Range(max=0.01)} == evaluation.metrics
    assert (evaluation.datasets, provenance.builders, other.threshold) == (("cd" * 32,), ("https://*",), 2)
    assert policy.revoked == {"sha256:" + "ab" * 32: "lost"}
    assert policy.rules_for("support-v2")
    assert not policy.rules_for("other")
    assert folder / "root.json" == build.trust_root


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ("bastide-trust: 1", "bastide-trust: 2", "trust.yaml:1:16: `bastide-trust: 1` is missing"),
        ("threshold: 2\n    same", "treshold: 2\n    same", "unknown key `treshold` in a rule"),
        ("threshold: 2\n    same", "treshold: 2\n    same", "did you mean `threshold`?"),
        ("signed-by: [release, ci]", "signed-by: [relase, ci]", "did you mean `release`?"),
        ("type: scan", "type: scann", "`scann` is no type of attestation"),
        ("type: scan", "type: scann", "did you mean `scan`?"),
        ("verdicts: [safe, unknown]", "verdicts: [save]", "did you mean `safe`?"),
        ("max-age: 7d", "max-age: 7 days", "`7 days` is no time"),
        ("threshold: 2\n    same", "threshold: 3\n    same", "3 signers are asked for and 2 are named"),
        ("threshold: 2\n    same", "threshold: 0\n    same", "whole number, 1 or more"),
        ("threshold: 2\n    same", "threshold: true\n    same", "whole number, 1 or more"),
        ("not-before: 2026-01-01", "not-before: 2026-13-01", "`2026-13-01` is no date"),
        ("expires: 2027-06-30T12:00:00Z", "expires: 2027-06-30T12:00:00", "in which time zone"),
        ("key: release.pem, ", "key: nothing.pem, ", "No such file"),
        ("key: release.pem, ", "key: root.pem, ", "is no public key in PEM form"),
        ("certificate: root.pem", "certificate: release.pem", "holds no certificates"),
        (', subject: "CN=ci*", alternative-name: "*@acme.example"', "", "whom does the certificate name?"),
        (", issuer: https://token.example", "", "`issuer` is missing"),
        ("min: 0.9", "min: high", "`min` is a number"),
        ("{min: 0.9}", "{minimum: 0.9}", "did you mean `min`?"),
        ("{min: 0.9}", "{}", "`min` or `max` is missing"),
        ("same-name: false", "same-name: nope", "`true` or `false`"),
        ("ab" * 32, "ab" * 31, "is no SHA-256"),
        ("cd" * 32, "xy" * 32, "is no SHA-256"),
        ("models: support-*\n", "models: []\n", "`models` is missing"),
        ("{sigstore: ", "{key: release.pem, sigstore: ", "needs one of `key`, `certificate` and `sigstore`"),
        ("build: {sigstore", "build: {oops", "needs one of"),
        ("min-engine: ", "builders: [x], min-engine: ", "unknown key `builders` in a demand for `scan`"),
        ("rules:\n", "rulez:\n", "there is no rule"),
        ("  ci: {cert", "  twin: {key: release.pem}\n  ci: {cert", "`release` and `twin` have the same key"),
        ("  ci: {cert", "  release: {key: release.pem}\n  ci: {cert", "duplicate key `release`"),
    ],
)
def test_what_is_wrong_is_said(folder: Path, before: str, after: str, message: str) -> None:
    assert before in WHOLE
    assert message in refused(folder, WHOLE.replace(before, after, 1))


@pytest.mark.parametrize("text", ["", "[]", "x", "a: b: c", "bastide-trust: 1\nrules: 5\nsigners: [x]\n", "{" * 200])
def test_what_is_no_policy_is_refused(folder: Path, text: str) -> None:
    assert refused(folder, text)


@pytest.mark.parametrize(
    ("key", "message"),
    [
        (ec.generate_private_key(ec.SECP256K1()).public_key(), "on the curve secp256k1"),
        (ec.generate_private_key(ec.SECP224R1()).public_key(), "on the curve secp224r1"),
        (rsa.generate_private_key(65537, 2048).public_key(), "is no ECDSA and no Ed25519 key"),
    ],
)
def test_keys_of_other_kinds_do_not_count(
    folder: Path, key: ec.EllipticCurvePublicKey | rsa.RSAPublicKey, message: str
) -> None:
    (folder / "release.pem").write_bytes(key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    assert message in refused(folder, WHOLE)


def test_the_policy_of_the_documents_is_one(repo: Path, folder: Path) -> None:
    text = (repo / "docs/scan/signing.md").read_text()
    block = text.split("```yaml\n")[1].split("```")[0]
    block = block.replace("sha256:0f3b...", "sha256:" + "0f" * 32).replace("sha256:...", "sha256:" + "ab" * 32)
    (folder / "keys").mkdir()
    for name in ("release.pub.pem", "ledger.pub.pem"):
        (folder / "keys" / name).write_bytes(new_key().public.pem)
    (folder / "keys" / "ca.crt").write_bytes((folder / "root.pem").read_bytes())
    policy = read(folder, block)
    assert tuple(one.type for one in policy.rules[0].attestations) == ("scan", "evaluation", "provenance")
