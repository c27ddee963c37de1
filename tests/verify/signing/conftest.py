# SPDX-License-Identifier: Apache-2.0
"""Keys, certificates, models and policies for tests of signing."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from bastide.verify.signing.certificates import der
from bastide.verify.signing.keys import PrivateKey
from bastide.verify.signing.policy import Demand, Policy, Rule, Signer
from bastide.verify.signing.sign import Credentials, Signed, sign_model

NOW = datetime.now(UTC)
CURVES: dict[str, ec.EllipticCurve] = {"p256": ec.SECP256R1(), "p384": ec.SECP384R1(), "p521": ec.SECP521R1()}


def new_key(kind: str = "p256") -> PrivateKey:
    if kind == "ed25519":
        return PrivateKey(ed25519.Ed25519PrivateKey.generate())
    return PrivateKey(ec.generate_private_key(CURVES[kind]))


def private_pem(key: PrivateKey) -> bytes:
    return key.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def by_key(name: str, who: Credentials, **facts: Any) -> Signer:
    return Signer(name, "key", who.key.public, **facts)


def policy_of(*signers: Signer, **rule: Any) -> Policy:
    names = tuple(s.name for s in signers)
    return Policy({s.name: s for s in signers}, (Rule(**{"models": ("*",), "signed_by": names, **rule}),))


def demanding(policy: Policy, *demands: Demand) -> Policy:
    return replace(policy, rules=(replace(policy.rules[0], attestations=demands),))


@dataclass
class Authority:
    """A certification authority of a test."""

    name: str
    key: PrivateKey
    certificate: x509.Certificate
    above: Authority | None = None

    @classmethod
    def root(cls, name: str = "Test Root") -> Authority:
        key = new_key()
        return cls(name, key, _certificate(name, key, name, key, True))

    def intermediate(self, name: str = "Test Intermediate") -> Authority:
        key = new_key()
        return Authority(name, key, _certificate(name, key, self.name, self.key, True), self)

    def issue(self, name: str, key: PrivateKey | None = None, **facts: Any) -> Credentials:
        key = key or new_key()
        leaf = _certificate(name, key, self.name, self.key, False, **facts)
        above = [self.certificate] if self.above else []
        return Credentials(key, tuple(der(one) for one in (leaf, *above)))


def _certificate(
    name: str, key: PrivateKey, issuer: str, by: PrivateKey, authority: bool, *, days: tuple[float, float] = (-1, 30),
    usage: bool = True, code: bool = True, mail: str = "", strange: bool = False, server: bool = False,
) -> x509.Certificate:  # fmt: skip
    def called(text: str) -> x509.Name:
        return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])

    first, last = (NOW + timedelta(days=d) for d in days)
    made = (
        x509.CertificateBuilder()
        .subject_name(called(name))
        .issuer_name(called(issuer))
        .public_key(key.key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(first)
        .not_valid_after(last)
        .add_extension(x509.BasicConstraints(authority, None), True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.key.public_key()), False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(by.key.public_key()), False)
    )
    if usage or authority:
        bits = (not authority, False, False, False, False, authority, authority, False, False)
        made = made.add_extension(x509.KeyUsage(*bits), True)
    if not authority and (code or server):
        kind = ExtendedKeyUsageOID.SERVER_AUTH if server else ExtendedKeyUsageOID.CODE_SIGNING
        made = made.add_extension(x509.ExtendedKeyUsage([kind]), False)
    if mail:
        made = made.add_extension(x509.SubjectAlternativeName([x509.RFC822Name(mail)]), False)
    if strange:
        made = made.add_extension(x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4.5"), b"x"), True)
    return made.sign(by.key, hashes.SHA256())


def by_certificate(name: str, authority: Authority, subject: str, **facts: Any) -> Signer:
    return Signer(name, "certificate", roots=(authority.certificate,), subject=subject, **facts)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A model of some files, hidden ones too."""
    folder = tmp_path / "support"
    for name, content in {
        "config.json": "{}", "model.safetensors": "weights " * 1000, "tokenizer/vocab.txt": "a\nb\n",
        "tokenizer.json": "[]", ".gitattributes": "* text", ".hidden/x": "1",
    }.items():  # fmt: skip
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content)
    return folder


@pytest.fixture
def alice() -> Credentials:
    return Credentials(new_key())


@pytest.fixture
def bob() -> Credentials:
    return Credentials(new_key("ed25519"))


Sign = Callable[..., Signed]


@pytest.fixture
def signed(model: Path, alice: Credentials) -> Signed:
    """The model, signed by Alice."""
    return sign_model(model, alice)


def all_files(folder: Path) -> Iterable[Path]:
    return (path for path in sorted(folder.rglob("*")) if path.is_file())
