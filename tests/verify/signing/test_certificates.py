# SPDX-License-Identifier: Apache-2.0
"""A certificate counts when it leads to a root of the policy, is valid, made for signatures, and names the signer."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from bastide.errors import UsageError
from bastide.verify.signing.bundle import Bundle, Chain, encoded, write_bundle
from bastide.verify.signing.manifest import to_statement
from bastide.verify.signing.model import Decision, Outcome
from bastide.verify.signing.policy import Policy, Signer
from bastide.verify.signing.sign import Credentials, credentials, describe, sign_model
from bastide.verify.signing.statement import write_statement
from bastide.verify.signing.verify import Options, verify_model
from tests.verify.signing.conftest import NOW, Authority, by_certificate, new_key, policy_of, private_pem


@pytest.fixture(scope="module")
def root() -> Authority:
    return Authority.root()


def decided(model: Path, who: Credentials, policy: Policy, days: float = 0) -> Decision:
    sign_model(model, who, model.with_name("support.x.sig"))
    return verify_model(model, policy, Options(at=NOW + timedelta(days=days)))


def why(decision: Decision) -> str:
    return decision.signatures[0].reason


def test_a_chain_to_the_root_holds(model: Path, root: Authority) -> None:
    decision = decided(model, root.intermediate().issue("release"), policy_of(by_certificate("r", root, "CN=release")))
    assert (decision.outcome, decision.signatures[0].identity.subject) == (Outcome.HOLDS, "CN=release")  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("days", "facts", "reason"),
    [
        (31, {}, "doesn't lead to a root"),
        (-2, {}, "doesn't lead to a root"),
        (0, {"usage": False, "code": False}, "doesn't say what it is made for"),
        (0, {"code": False, "server": True}, "isn't made for signing code"),
        (0, {"strange": True}, "critical extension"),
        (0, {"days": (-10, -5)}, "doesn't lead to a root"),
    ],
)
def test_what_a_certificate_has_to_be(
    model: Path, root: Authority, days: float, facts: dict[str, Any], reason: str
) -> None:
    decision = decided(model, root.issue("release", **facts), policy_of(by_certificate("r", root, "CN=release")), days)
    assert (decision.outcome, reason in why(decision)) == (Outcome.REFUSED, True), why(decision)


def test_another_root_with_the_same_name_is_no_root(model: Path, root: Authority) -> None:
    decision = decided(model, Authority.root().issue("release"), policy_of(by_certificate("r", root, "CN=release")))
    assert Outcome.REFUSED is decision.outcome
    assert "doesn't lead to a root" in why(decision)


def test_a_self_signed_certificate_is_nobody(model: Path, root: Authority) -> None:
    key = new_key()
    own = Authority("release", key, root.certificate).issue("release", key)
    decision = decided(model, own, policy_of(by_certificate("r", root, "CN=release")))
    assert Outcome.REFUSED is decision.outcome


@pytest.mark.parametrize(
    ("signer", "outcome"),
    [
        ({"subject": "CN=release"}, Outcome.HOLDS),
        ({"subject": "CN=rel*"}, Outcome.HOLDS),
        ({"subject": "CN=Release"}, Outcome.REFUSED),
        ({"subject": "CN=other"}, Outcome.REFUSED),
        ({"alternative": "release@acme.example"}, Outcome.HOLDS),
        ({"alternative": "*@acme.example"}, Outcome.HOLDS),
        ({"alternative": "*@other.example"}, Outcome.REFUSED),
        ({"subject": "CN=release", "alternative": "*@other.example"}, Outcome.REFUSED),
    ],
)
def test_whom_it_names(model: Path, root: Authority, signer: dict[str, str], outcome: Outcome) -> None:
    who = root.issue("release", mail="release@acme.example")
    policy = policy_of(Signer("r", "certificate", roots=(root.certificate,), **signer))  # type: ignore[arg-type]
    assert outcome is decided(model, who, policy).outcome


def test_an_authority_does_not_sign_models(model: Path, root: Authority) -> None:
    middle = root.intermediate("release")
    from bastide.verify.signing.certificates import der

    who = Credentials(middle.key, (der(middle.certificate),))
    decision = decided(model, who, policy_of(by_certificate("r", root, "CN=release")))
    assert (decision.outcome, why(decision)) == (Outcome.REFUSED, "is signed with an authority's certificate")
    itself = decided(
        model, Credentials(root.key, (der(root.certificate),)), policy_of(by_certificate("r", root, "CN=Test Root"))
    )
    assert Outcome.REFUSED is itself.outcome


def test_certificates_that_lead_nowhere_are_refused(model: Path, root: Authority) -> None:
    """What isn't part of the path isn't covered by any signature."""
    who = root.issue("release")
    other = Authority.root("Other").issue("x")
    more = Credentials(who.key, (*who.chain, *other.chain))
    decision = decided(model, more, policy_of(by_certificate("r", root, "CN=release")))
    assert (decision.outcome, "aren't part of the path" in why(decision)) == (Outcome.REFUSED, True)


def test_the_signature_has_to_be_by_the_certificate_that_comes_first(model: Path, root: Authority) -> None:
    payload = write_statement(to_statement(describe(model).manifest))
    stolen = root.issue("release").chain
    forged = write_bundle(Bundle(payload, new_key().sign(encoded(payload)), Chain(stolen)))
    model.with_name("support.x.sig").write_bytes(forged)
    decision = verify_model(model, policy_of(by_certificate("r", root, "CN=release")))
    assert (decision.outcome, "isn't valid" in why(decision)) == (Outcome.REFUSED, True)


def test_a_revoked_key_of_the_signer_or_an_authority_does_not_count(model: Path, root: Authority) -> None:
    middle = root.intermediate()
    who = middle.issue("release")
    policy = policy_of(by_certificate("r", root, "CN=release"))
    assert Outcome.HOLDS is decided(model, who, policy).outcome
    for fingerprint in (who.id, middle.key.public.fingerprint):
        revoked = Policy(policy.signers, policy.rules, {fingerprint: "stolen"})
        decision = verify_model(model, revoked)
        assert (decision.outcome, "revoked: stolen" in why(decision)) == (Outcome.REFUSED, True)


def test_a_certificate_whose_bytes_were_changed_beside_its_signature(model: Path, root: Authority) -> None:
    """The count of unused bits of the signature isn't signed, and some parsers take any."""
    for _ in range(20):
        who = root.issue("release")
        leaf = bytearray(who.chain[0])
        if not leaf[-1] & 1:
            break
    at = leaf.rindex(b"\x00\x30")
    leaf[at] = 1
    changed = Credentials(who.key, (bytes(leaf),))
    decision = decided(model, changed, policy_of(by_certificate("r", root, "CN=release")))
    assert Outcome.REFUSED is decision.outcome


def test_credentials_have_to_fit_together(tmp_path: Path, root: Authority) -> None:
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import Encoding

    def write(name: str, who: Credentials) -> Path:
        leaf = x509.load_der_x509_certificate(who.chain[0])
        (tmp_path / name).write_bytes(leaf.public_bytes(Encoding.PEM))
        return tmp_path / name

    who, other = root.issue("a"), root.issue("b")
    (tmp_path / "key.pem").write_bytes(private_pem(who.key))
    assert who.id == credentials(tmp_path / "key.pem", None, write("a.pem", who)).id
    with pytest.raises(UsageError, match="isn't the certificate of the key"):
        credentials(tmp_path / "key.pem", None, write("b.pem", other))
    with pytest.raises(UsageError, match="isn't valid now"):
        credentials(tmp_path / "key.pem", None, write("c.pem", root.issue("a", who.key, days=(-9, -3))))
