# SPDX-License-Identifier: Apache-2.0
"""Signatures of Sigstore's accounts, against an instance of a test: authority, certificate log and signature log, all on this machine."""

from __future__ import annotations

import base64
import hashlib
import json
import socket
import struct
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from bastide.verify.signing.bundle import MEDIA_TYPE, PAYLOAD_TYPE, encoded
from bastide.verify.signing.manifest import to_statement
from bastide.verify.signing.model import Decision, Outcome
from bastide.verify.signing.policy import Signer
from bastide.verify.signing.sign import describe
from bastide.verify.signing.statement import write_statement
from bastide.verify.signing.verify import verify_model
from tests.verify.signing.conftest import policy_of

pytest.importorskip("sigstore.verify")

NOW = datetime.now(UTC).replace(microsecond=0)
ACCOUNT, ISSUER = "release@acme.example", "https://accounts.example"
ISSUED_BY = x509.ObjectIdentifier("1.3.6.1.4.1.57264.1.1")
TIMESTAMPS = x509.ObjectIdentifier("1.3.6.1.4.1.11129.2.4.2")
EC = ec.ECDSA(hashes.SHA256())


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def spki(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def named(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


@dataclass
class Instance:
    """An authority, a log of its certificates and a log of signatures, each with one key."""

    authority: ec.EllipticCurvePrivateKey
    certificates: ec.EllipticCurvePrivateKey
    signatures: ec.EllipticCurvePrivateKey
    root: x509.Certificate

    @classmethod
    def new(cls) -> Instance:
        keys = [ec.generate_private_key(ec.SECP256R1()) for _ in range(3)]
        builder = cls._dated(named("authority"), named("authority"), keys[0], 100)
        usage = x509.KeyUsage(False, False, False, False, False, True, True, False, False)
        builder = builder.add_extension(x509.BasicConstraints(True, None), True).add_extension(usage, True)
        identifier = x509.SubjectKeyIdentifier.from_public_key(keys[0].public_key())
        return cls(*keys, builder.add_extension(identifier, False).sign(keys[0], hashes.SHA256()))

    @staticmethod
    def _dated(
        subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, days: float
    ) -> x509.CertificateBuilder:
        builder = x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(key.public_key())
        builder = builder.serial_number(x509.random_serial_number())
        return builder.not_valid_before(NOW - timedelta(days=days)).not_valid_after(NOW + timedelta(days=days))

    def certify(self, key: ec.EllipticCurvePrivateKey, account: str) -> x509.Certificate:
        builder = self._dated(x509.Name([]), named("authority"), key, 0.01)
        usage = x509.KeyUsage(True, False, False, False, False, False, False, False, False)
        identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(self.authority.public_key())
        for extension, critical in (
            (usage, True), (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CODE_SIGNING]), False), (identifier, False),
            (x509.SubjectAlternativeName([x509.RFC822Name(account)]), True),
            (x509.UnrecognizedExtension(ISSUED_BY, ISSUER.encode()), False),
        ):  # fmt: skip
            builder = builder.add_extension(extension, critical)
        tbs = builder.sign(self.authority, hashes.SHA256()).tbs_certificate_bytes
        logged = x509.UnrecognizedExtension(TIMESTAMPS, self._timestamps(tbs))
        return builder.add_extension(logged, False).sign(self.authority, hashes.SHA256())

    def _timestamps(self, tbs: bytes) -> bytes:
        """RFC 6962: that the certificate is in the log of certificates."""
        time = struct.pack("!Q", int(NOW.timestamp() * 1000))
        issuer = hashlib.sha256(spki(self.authority)).digest()
        entry = b"\0\0" + time + b"\0\1" + issuer + struct.pack("!I", len(tbs))[1:] + tbs + b"\0\0"
        signature = self.certificates.sign(entry, EC)
        log = hashlib.sha256(spki(self.certificates)).digest()
        one = b"\0" + log + time + b"\0\0\4\3" + struct.pack("!H", len(signature)) + signature
        inner = struct.pack("!H", len(one)) + one
        whole = struct.pack("!H", len(inner)) + inner
        return (b"\x04" + bytes([len(whole)]) if len(whole) < 128 else b"\x04\x81" + bytes([len(whole)])) + whole

    def sign(self, payload: bytes, account: str = ACCOUNT) -> dict[str, Any]:
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = self.certify(key, account)
        signature = key.sign(encoded(payload), EC)
        envelope = {"payload": b64(payload), "payloadType": PAYLOAD_TYPE, "signatures": [{"sig": b64(signature)}]}
        entry = self._entry(payload, signature, certificate)
        material = {"certificate": {"rawBytes": b64(certificate.public_bytes(Encoding.DER))}, "tlogEntries": [entry]}
        return {"mediaType": MEDIA_TYPE, "verificationMaterial": material, "dsseEnvelope": envelope}

    def _entry(self, payload: bytes, signature: bytes, certificate: x509.Certificate) -> dict[str, Any]:
        """That the signature is in the log of signatures, which has no other."""
        verifier = b64(certificate.public_bytes(Encoding.PEM))
        spec = {
            "envelopeHash": {"algorithm": "sha256", "value": "00" * 32},
            "payloadHash": {"algorithm": "sha256", "value": hashlib.sha256(payload).hexdigest()},
            "signatures": [{"signature": b64(signature), "verifier": verifier}],
        }
        body = json.dumps({"apiVersion": "0.0.1", "kind": "dsse", "spec": spec}).encode()
        log, root = hashlib.sha256(spki(self.signatures)).digest(), hashlib.sha256(b"\0" + body).digest()
        note = f"log.example - 1\n1\n{b64(root)}\n"
        signed = b64(log[:4] + self.signatures.sign(note.encode(), EC))
        time = int(NOW.timestamp())
        promise = {"body": b64(body), "integratedTime": time, "logID": log.hex(), "logIndex": 0}
        canonical = json.dumps(promise, sort_keys=True, separators=(",", ":")).encode()
        return {
            "logIndex": "0", "logId": {"keyId": b64(log)}, "kindVersion": {"kind": "dsse", "version": "0.0.1"},
            "integratedTime": str(time), "canonicalizedBody": b64(body),
            "inclusionPromise": {"signedEntryTimestamp": b64(self.signatures.sign(canonical, EC))},
            "inclusionProof": {
                "logIndex": "0", "rootHash": b64(root), "treeSize": "1", "hashes": [],
                "checkpoint": {"envelope": f"{note}\n\u2014 log.example {signed}\n"},
            },
        }  # fmt: skip

    def trusted_root(self, path: Path) -> Path:
        valid = {"start": "2020-01-01T00:00:00Z"}

        def log(key: ec.EllipticCurvePrivateKey) -> dict[str, Any]:
            public = {"rawBytes": b64(spki(key)), "keyDetails": "PKIX_ECDSA_P256_SHA_256", "validFor": valid}
            identity = {"keyId": b64(hashlib.sha256(spki(key)).digest())}
            return {
                "baseUrl": "https://log.example",
                "hashAlgorithm": "SHA2_256",
                "publicKey": public,
                "logId": identity,
            }

        chain = {"certificates": [{"rawBytes": b64(self.root.public_bytes(Encoding.DER))}]}
        subject = {"organization": "example", "commonName": "authority"}
        authority = {"subject": subject, "uri": "https://ca.example", "certChain": chain, "validFor": valid}
        document = {
            "mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1", "tlogs": [log(self.signatures)],
            "certificateAuthorities": [authority], "ctlogs": [log(self.certificates)], "timestampAuthorities": [],
        }  # fmt: skip
        path.write_text(json.dumps(document))
        return path


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("something wanted the network")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


@pytest.fixture(scope="module")
def instance() -> Instance:
    return Instance.new()


def decided(model: Path, bundle: dict[str, Any], root: Path, account: str = ACCOUNT, issuer: str = ISSUER) -> Decision:
    model.with_name("support.sig").write_text(json.dumps(bundle))
    signer = Signer("release", "sigstore", identity=account, issuer=issuer, trust_root=root)
    return verify_model(model, policy_of(signer))


def why(decision: Decision) -> str:
    return decision.signatures[0].reason


def payload_of(model: Path) -> bytes:
    return write_statement(to_statement(describe(model).manifest))


def test_an_account_that_signed_holds_without_the_network(model: Path, tmp_path: Path, instance: Instance) -> None:
    root = instance.trusted_root(tmp_path / "root.json")
    decision = decided(model, instance.sign(payload_of(model)), root)
    assert Outcome.HOLDS is decision.outcome, why(decision)
    assert f"{ACCOUNT} ({ISSUER})" == decision.signatures[0].identity.id  # type: ignore[union-attr]
    (model / "config.json").write_text("other")
    assert Outcome.REFUSED is verify_model(
        model, policy_of(Signer("r", "sigstore", identity=ACCOUNT, issuer=ISSUER, trust_root=root))
    ).outcome  # fmt: skip


def test_another_account_issuer_or_instance_is_refused(model: Path, tmp_path: Path, instance: Instance) -> None:
    root = instance.trusted_root(tmp_path / "root.json")
    bundle = instance.sign(payload_of(model))
    for account, issuer in (("other@acme.example", ISSUER), (ACCOUNT, "https://other.example")):
        assert Outcome.REFUSED is decided(model, bundle, root, account, issuer).outcome
    elsewhere = Instance.new().trusted_root(tmp_path / "other.json")
    assert Outcome.REFUSED is decided(model, bundle, elsewhere).outcome


def test_a_payload_that_was_not_logged_is_refused(model: Path, tmp_path: Path, instance: Instance) -> None:
    root = instance.trusted_root(tmp_path / "root.json")
    bundle, other = instance.sign(payload_of(model)), instance.sign(b"{}")
    bundle["verificationMaterial"]["tlogEntries"] = other["verificationMaterial"]["tlogEntries"]
    assert Outcome.REFUSED is decided(model, bundle, root).outcome


@pytest.mark.parametrize("content", [None, "", "{}", "[]", "\0"])
def test_without_a_trusted_root_nothing_is_known(
    model: Path, tmp_path: Path, instance: Instance, content: str | None
) -> None:
    if content is not None:
        (tmp_path / "root.json").write_text(content)
    decision = decided(model, instance.sign(payload_of(model)), tmp_path / "root.json")
    assert Outcome.UNKNOWN is decision.outcome, why(decision)


def test_an_account_is_nobody_where_no_account_is_known(model: Path, instance: Instance, alice: Any) -> None:
    from tests.verify.signing.conftest import by_key

    model.with_name("support.sig").write_text(json.dumps(instance.sign(payload_of(model))))
    decision = verify_model(model, policy_of(by_key("alice", alice)))
    assert (decision.outcome, "no such signer is known" in why(decision)) == (Outcome.REFUSED, True)
