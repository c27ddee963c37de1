# SPDX-License-Identifier: Apache-2.0
"""Signatures go both ways between Bastide and the library `model-signing`, by key and by certificate."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from bastide.verify.signing.model import Outcome
from bastide.verify.signing.sign import Credentials, sign_model
from bastide.verify.signing.verify import Options, verify_model
from tests.verify.signing.conftest import Authority, by_certificate, by_key, new_key, policy_of, private_pem

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    hashing = pytest.importorskip("model_signing.hashing")
    signing = pytest.importorskip("model_signing.signing")
    verifying = pytest.importorskip("model_signing.verifying")


def everything() -> Any:
    """Their hashing without the files that they ignore by default."""
    return hashing.Config().set_ignored_paths(paths=[], ignore_git_paths=False)


@pytest.mark.parametrize("kind", ["p256", "p384", "p521"])
def test_theirs_verifies_ours_by_key(model: Path, tmp_path: Path, kind: str) -> None:
    who = Credentials(new_key(kind))
    made = sign_model(model, who)
    (tmp_path / "key.pub").write_bytes(who.key.public.pem)
    theirs = verifying.Config().use_elliptic_key_verifier(public_key=tmp_path / "key.pub")
    theirs.set_hashing_config(everything()).verify(model, made.path)
    (model / "config.json").write_text("other")
    with pytest.raises(ValueError, match="Hash mismatch"):
        theirs.verify(model, made.path)


@pytest.mark.parametrize("kind", ["p256", "p384", "p521"])
def test_ours_verifies_theirs_by_key(model: Path, tmp_path: Path, kind: str) -> None:
    who = Credentials(new_key(kind))
    (tmp_path / "key.pem").write_bytes(private_pem(who.key))
    theirs = signing.Config().use_elliptic_key_signer(private_key=tmp_path / "key.pem")
    theirs.set_hashing_config(everything()).sign(model, tmp_path / "support.sig")
    policy = policy_of(by_key("me", who))
    assert Outcome.HOLDS is verify_model(model, policy).outcome
    (model / "config.json").write_text("other")
    assert Outcome.REFUSED is verify_model(model, policy).outcome


def test_what_theirs_ignores_ours_names(model: Path, tmp_path: Path) -> None:
    """A file below `.git` verifies clean there; here it doesn't."""
    who = Credentials(new_key())
    (model / ".gitattributes").unlink()
    (tmp_path / "key.pem").write_bytes(private_pem(who.key))
    (tmp_path / "key.pub").write_bytes(who.key.public.pem)
    signing.Config().use_elliptic_key_signer(private_key=tmp_path / "key.pem").sign(model, tmp_path / "support.sig")
    assert Outcome.HOLDS is verify_model(model, policy_of(by_key("me", who))).outcome
    (model / ".git").mkdir()
    (model / ".git" / "config").write_text("[core]")
    verifying.Config().use_elliptic_key_verifier(public_key=tmp_path / "key.pub").verify(
        model, tmp_path / "support.sig"
    )
    decision = verify_model(model, policy_of(by_key("me", who)))
    assert (decision.outcome, decision.unsigned) == (Outcome.REFUSED, (".git/config",))


def test_theirs_in_shards(model: Path, tmp_path: Path) -> None:
    """Signatures over stretches of files, of which every byte has to be covered."""
    who = Credentials(new_key())
    (tmp_path / "key.pem").write_bytes(private_pem(who.key))
    shards = hashing.Config().use_shard_serialization(shard_size=1000)
    shards.set_ignored_paths(paths=[], ignore_git_paths=False)
    theirs = signing.Config().use_elliptic_key_signer(private_key=tmp_path / "key.pem").set_hashing_config(shards)
    theirs.sign(model, tmp_path / "support.sig")
    policy = policy_of(by_key("me", who))
    assert Outcome.HOLDS is verify_model(model, policy).outcome
    (model / "empty").write_bytes(b"")
    assert verify_model(model, policy).unsigned == ("empty",), "an empty file has no stretch, so it isn't signed"
    (model / "empty").unlink()
    with (model / "model.safetensors").open("ab") as stream:
        stream.write(b"more" * 1000)
    assert Outcome.REFUSED is verify_model(model, policy).outcome


def test_theirs_of_one_file(tmp_path: Path) -> None:
    who = Credentials(new_key())
    file = tmp_path / "model.gguf"
    file.write_bytes(b"GGUF" * 100)
    (tmp_path / "key.pem").write_bytes(private_pem(who.key))
    (tmp_path / "key.pub").write_bytes(who.key.public.pem)
    signing.Config().use_elliptic_key_signer(private_key=tmp_path / "key.pem").sign(file, tmp_path / "model.gguf.sig")
    assert Outcome.HOLDS is verify_model(file, policy_of(by_key("me", who))).outcome
    ours = sign_model(file, who, tmp_path / "ours.sig")
    verifying.Config().use_elliptic_key_verifier(public_key=tmp_path / "key.pub").verify(file, ours.path)


def test_certificates_go_both_ways(model: Path, tmp_path: Path) -> None:
    root = Authority.root()
    middle = root.intermediate()
    who = middle.issue("release")
    (tmp_path / "root.pem").write_bytes(root.certificate.public_bytes(Encoding.PEM))
    made = sign_model(model, who)
    theirs = verifying.Config().use_certificate_verifier(certificate_chain=[tmp_path / "root.pem"])
    theirs.set_hashing_config(everything()).verify(model, made.path)
    from cryptography import x509

    (tmp_path / "key.pem").write_bytes(private_pem(who.key))
    for name, one in zip(("leaf", "middle"), who.chain, strict=True):
        (tmp_path / f"{name}.pem").write_bytes(x509.load_der_x509_certificate(one).public_bytes(Encoding.PEM))
    signer = signing.Config().use_certificate_signer(
        private_key=tmp_path / "key.pem",
        signing_certificate=tmp_path / "leaf.pem",
        certificate_chain=[tmp_path / "middle.pem", tmp_path / "root.pem"],
    )
    signer.set_hashing_config(everything()).sign(model, tmp_path / "theirs.sig")
    policy = policy_of(by_certificate("release", root, "CN=release"))
    for path in (made.path, tmp_path / "theirs.sig"):
        decision = verify_model(model, policy, Options(documents=(path,)))
        assert Outcome.HOLDS is decision.outcome, decision.checks
