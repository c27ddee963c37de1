# SPDX-License-Identifier: Apache-2.0
"""What an attacker tries with bundles and statements: each is refused, with its reason, and nothing crashes."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from bastide.verify.signing.bundle import PAYLOAD_TYPE, Bundle, Key, encoded, read_bundle, write_bundle
from bastide.verify.signing.keys import PrivateKey
from bastide.verify.signing.manifest import PREDICATE_TYPE, from_statement, to_statement
from bastide.verify.signing.model import Decision, Outcome
from bastide.verify.signing.sign import Credentials, describe, sign_model
from bastide.verify.signing.statement import read_statement, write_statement
from bastide.verify.signing.strict import Wrong
from bastide.verify.signing.verify import verify_model
from tests.verify.signing.conftest import by_key, new_key, policy_of

Document = dict[str, Any]


def put(model: Path, data: bytes) -> None:
    model.with_name("support.x.sig").write_bytes(data)


def refused(model: Path, who: Credentials) -> str:
    """The reason why the one signature doesn't count."""
    decision: Decision = verify_model(model, policy_of(by_key("alice", who)))
    assert Outcome.REFUSED is decision.outcome
    return decision.signatures[0].reason


def payload_of(model: Path, change: Callable[[Document], Any] = lambda _: None) -> bytes:
    document = json.loads(write_statement(to_statement(describe(model).manifest)))
    change(document)
    return json.dumps(document).encode()


def signed(who: Credentials, payload: bytes, message: bytes | None = None) -> bytes:
    signature = who.key.sign(encoded(payload) if message is None else message)
    return write_bundle(Bundle(payload, signature, Key(who.key.public.hint)))


def test_a_signature_swapped_between_models(model: Path, alice: Credentials) -> None:
    other = model.with_name("other")
    other.mkdir()
    (other / "config.json").write_text("other")
    made = sign_model(other, alice)
    put(model, made.path.read_bytes())
    decision = verify_model(model, policy_of(by_key("alice", alice), same_name=False))
    assert Outcome.REFUSED is decision.outcome
    assert decision.signatures[0].differences.changed == ("config.json",)


@pytest.mark.parametrize(
    "message",
    [
        lambda payload: payload,
        base64.b64encode,
        lambda payload: encoded(payload, "application/json"),
        lambda payload: encoded(payload, "application/vnd.in-toto"),
        lambda payload: b"DSSEV1" + encoded(payload)[6:],
        lambda payload: f"DSSEV1 {len(PAYLOAD_TYPE)} {PAYLOAD_TYPE} {len(payload)} {payload!r}".encode(),
        lambda payload: encoded(payload + b" "),
        lambda payload: b"",
    ],
)
def test_a_signature_over_other_bytes(model: Path, alice: Credentials, message: Callable[[bytes], bytes]) -> None:
    """Over the bare payload, another type, and the faulty encoding that other verifiers still take."""
    payload = payload_of(model)
    put(model, signed(alice, payload, message(payload)))
    assert "the signature isn't valid" in refused(model, alice)


def change_bundle(model: Path, who: Credentials, change: Callable[[Document], Any]) -> bytes:
    document = json.loads(signed(who, payload_of(model)))
    change(document)
    return json.dumps(document).encode()


BUNDLES: list[tuple[Callable[[Document], Any], str]] = [
    (lambda d: d["dsseEnvelope"].update(payloadType="application/json"), "the payload is said to be"),
    (lambda d: d["dsseEnvelope"].update(payloadType="application/vnd.in-toto+json "), "the payload is said to be"),
    (lambda d: d["dsseEnvelope"].update(signatures=[]), "has 0 signatures"),
    (lambda d: d["dsseEnvelope"].update(signatures=d["dsseEnvelope"]["signatures"] * 2), "has 2 signatures"),
    (lambda d: d["dsseEnvelope"]["signatures"][0].update(keyid="x"), "names a key"),
    (lambda d: d["dsseEnvelope"]["signatures"][0].update(sig=""), "isn't valid"),
    (lambda d: d["dsseEnvelope"]["signatures"][0].update(sig="A"), "no base64"),
    (lambda d: d["dsseEnvelope"]["signatures"][0].update(sig=5), "isn't what stands there"),
    (lambda d: d["dsseEnvelope"].update(payload=d["dsseEnvelope"]["payload"] + "\n"), "no base64"),
    (lambda d: d.update(mediaType="application/vnd.dev.sigstore.bundle.v0.2+json"), "version 0.3"),
    (lambda d: d.update(messageSignature={}), "has a field `messageSignature`"),
    (lambda d: d["verificationMaterial"].update(publicKey=None), "in one way whose"),
    (lambda d: d["verificationMaterial"].update(certificate={"rawBytes": ""}), "in one way whose"),
    (lambda d: d["verificationMaterial"].update(x509CertificateChain={"certificates": []}), "in one way whose"),
    (lambda d: d["verificationMaterial"].update(tlogEntries=[{}]), "entries of a log"),
    (lambda d: d["verificationMaterial"]["publicKey"].update(hint="0" * 64), "by a key that isn't known"),
    (lambda d: d["verificationMaterial"]["publicKey"].update(extra=1), "has a field `extra`"),
    (lambda d: d["verificationMaterial"].update(publicKey=[]), "isn't what stands there"),
]


@pytest.mark.parametrize(("change", "reason"), BUNDLES)
def test_a_bundle_with_something_else_in_it(
    model: Path, alice: Credentials, change: Callable[[Document], Any], reason: str
) -> None:
    put(model, change_bundle(model, alice, change))
    assert reason in refused(model, alice)


@pytest.mark.parametrize(
    "data",
    [
        b"", b"{}", b"[]", b"null", b"\xff\xfe", b'{"mediaType": 1}', b"[" * 4000, b'{"a":' * 4000, b"[" * 2_000_000,
        b'{"a": ' + b"9" * 10_000 + b"}", b'{"a": Infinity}', b'{"mediaType": "x", "mediaType": "y"}',
        b'{"a": "\\ud800"}', b"PK\x03\x04", b'{"a": "' + b"x" * (33 << 20) + b'"}',
    ],
)  # fmt: skip
def test_what_is_no_bundle(model: Path, alice: Credentials, data: bytes) -> None:
    put(model, data)
    assert refused(model, alice)


def test_a_deep_or_broad_statement(model: Path, alice: Credentials) -> None:
    """What is signed by a known signer is read with bounds too."""
    for text in (b"[" * 100_000, b'{"a":' * 200 + b"1" + b"}" * 200):
        put(model, signed(alice, text))
        assert "nested" in refused(model, alice)


STATEMENTS: list[tuple[Callable[[Document], Any], str]] = [
    (lambda d: d.update(_type="https://in-toto.io/Statement/v0.1"), "no in-toto statement of version 1"),
    (lambda d: d.update(subject=[]), "isn't about one model"),
    (lambda d: d.update(subject=d["subject"] * 2), "isn't about one model"),
    (lambda d: d["subject"][0].update(digest={}), "has no digest"),
    (lambda d: d["subject"][0]["digest"].update(sha256="0" * 64), "the model's digest isn't that of the files"),
    (lambda d: d["subject"][0].update(digest={"sha512": "0"}), "the model's digest isn't that of the files"),
    (lambda d: d["predicate"]["resources"].pop(), "the model's digest isn't that of the files"),
    (lambda d: d["predicate"]["resources"].reverse(), "the model's digest isn't that of the files"),
    (lambda d: d["predicate"]["resources"][0].update(name="../x"), "isn't a plain path"),
    (lambda d: d["predicate"]["resources"][0].update(name="/etc/passwd"), "isn't a plain path"),
    (lambda d: d["predicate"]["resources"][0].update(name="a/./b"), "isn't a plain path"),
    (lambda d: d["predicate"]["resources"][0].update(name=""), "isn't a plain path"),
    (lambda d: d["predicate"]["resources"][0].update(name="a\\b"), "has a backslash"),
    (lambda d: d["predicate"]["resources"][0].update(name="a\x00b"), "can't be seen"),
    (lambda d: d["predicate"]["resources"][0].update(name="\ud800"), "can't be seen"),
    (lambda d: d["predicate"]["resources"][0].update(name="config.json"), "the same file twice"),
    (lambda d: d["predicate"]["resources"][0].update(name="CONFIG.JSON"), "take for the same file"),
    (lambda d: d["predicate"]["resources"][0].update(name="con\ufb01g.json"), "take for the same file"),
    (lambda d: d["predicate"]["resources"][0].update(algorithm="md5"), "hashed in another way"),
    (lambda d: d["predicate"]["resources"][0].update(digest="00"), "has no digest"),
    (lambda d: d["predicate"]["resources"][0].update(digest="A" * 64), "has no digest"),
    (lambda d: d["predicate"]["serialization"].update(hash_type="md5"), "isn't known here"),
    (lambda d: d["predicate"]["serialization"].update(method="guess"), "isn't known here"),
    (lambda d: d["predicate"]["serialization"].update(ignore_paths="config.json"), "isn't a list of paths"),
    (lambda d: d["predicate"]["serialization"].update(method="shards", shard_size=1e999), "shard_size"),
    (lambda d: d["predicate"]["serialization"].update(method="shards", shard_size=0), "is no size"),
    (lambda d: d["predicate"]["serialization"].update(method="shards", shard_size=True), "is no size"),
    (lambda d: d["predicate"].update(resources={}), "isn't what stands there"),
    (lambda d: d.update(predicate=[]), "isn't what stands there"),
    (lambda d: d.update(more=1), "has a field `more`"),
]


@pytest.mark.parametrize(("change", "reason"), STATEMENTS)
def test_a_statement_that_contradicts_itself(
    model: Path, alice: Credentials, change: Callable[[Document], Any], reason: str
) -> None:
    """Even a signer that is trusted can't say this."""
    put(model, signed(alice, payload_of(model, change)))
    said = refused(model, alice)
    assert reason in said or "for a number" in said


def test_duplicate_keys_in_the_payload(model: Path, alice: Credentials) -> None:
    """One reader would take the first list of files, another one the last."""
    payload = payload_of(model)
    twice = payload.replace(b'"predicate":', b'"predicate": {"resources": []}, "predicate":', 1)
    assert json.loads(twice) == json.loads(payload)
    put(model, signed(alice, twice))
    assert "same key twice" in refused(model, alice)


def test_a_manifest_with_fewer_files(model: Path, alice: Credentials) -> None:
    made = sign_model(model, alice, ignored=["model.safetensors"])
    payload = json.loads(base64.b64decode(json.loads(made.path.read_bytes())["dsseEnvelope"]["payload"]))
    del payload["predicate"]["serialization"]["ignore_paths"]
    made.path.write_bytes(signed(alice, json.dumps(payload).encode()))
    decision = verify_model(model, policy_of(by_key("alice", alice)))
    assert (decision.outcome, decision.unsigned) == (Outcome.REFUSED, ("model.safetensors",))


def test_an_attestation_is_no_signature(model: Path, alice: Credentials) -> None:
    """A statement about the model, by a signer, with the model's digest: but it isn't the one that lists the files."""
    put(model, signed(alice, payload_of(model, lambda d: d.update(predicateType="https://slsa.dev/provenance/v1"))))
    decision = verify_model(model, policy_of(by_key("alice", alice)))
    assert (decision.outcome, decision.signatures) == (Outcome.REFUSED, ())


def test_a_key_on_another_curve(model: Path, alice: Credentials) -> None:
    """A signature by a key of 160 bits that nobody named, under the hint of one that is known."""
    weak = PrivateKey(ec.generate_private_key(ec.SECP256K1()))
    payload = payload_of(model)
    forged = Bundle(payload, weak.sign(encoded(payload)), Key(alice.key.public.hint))
    put(model, write_bundle(forged))
    assert "the signature isn't valid" in refused(model, alice)


def test_a_key_of_another_kind_under_the_same_hint(model: Path, alice: Credentials, bob: Credentials) -> None:
    payload = payload_of(model)
    put(model, write_bundle(Bundle(payload, bob.key.sign(encoded(payload)), Key(alice.key.public.hint))))
    assert "the signature isn't valid" in refused(model, alice)


def test_an_unknown_signer_is_not_read(model: Path, alice: Credentials) -> None:
    """What nobody vouches for isn't even parsed."""
    put(model, signed(Credentials(new_key()), b"no JSON at all"))
    assert refused(model, alice) == "is by a key that isn't known"


def test_old_signatures_name_no_key(model: Path, alice: Credentials) -> None:
    put(model, change_bundle(model, alice, lambda d: d["verificationMaterial"]["publicKey"].pop("hint")))
    assert Outcome.HOLDS is verify_model(model, policy_of(by_key("alice", alice))).outcome


def test_bundles_and_statements_come_back_as_they_were(model: Path, alice: Credentials) -> None:
    manifest = describe(model).manifest
    statement = read_statement(write_statement(to_statement(manifest)))
    assert (manifest, PREDICATE_TYPE) == (from_statement(statement), statement.predicate_type)
    bundle = Bundle(b"payload", b"signature", Key("ab"))
    assert bundle == read_bundle(write_bundle(bundle))
    with pytest.raises(Wrong):
        read_statement(b"payload")
