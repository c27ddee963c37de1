# SPDX-License-Identifier: Apache-2.0
"""The ledger as a log of signatures: who signs and what is decided is in it, and a policy can demand that it is."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from bastide.evidence.ledger import Ledger
from bastide.evidence.ledger import Options as LedgerOptions
from bastide.evidence.read import entries
from bastide.verify.signing.logbook import read_logbook
from bastide.verify.signing.model import Decision, Outcome
from bastide.verify.signing.policy import Policy
from bastide.verify.signing.sign import Credentials, sign_model
from bastide.verify.signing.verify import Options, verify_model
from tests.verify.signing.conftest import NOW, Authority, by_certificate, by_key, policy_of


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "log"


@pytest.fixture
def policy(alice: Credentials) -> Policy:
    return policy_of(by_key("alice", alice), ledger=True)


def key_of(log: Path) -> bytes:
    [path] = log.glob("key-*.pub.pem")
    return path.read_bytes()


def kinds(log: Path) -> list[dict[str, Any]]:
    return [line.entry for line in entries(log) if line.entry["kind"] in ("signing", "verification")]


def signatures(decision: Decision) -> tuple[Outcome, str]:
    return decision.checks[1].outcome, decision.checks[1].reason


def test_each_signing_and_each_decision_is_written(model: Path, log: Path, alice: Credentials, policy: Policy) -> None:
    made = sign_model(model, alice, ledger=log)
    assert Outcome.HOLDS is verify_model(model, policy, Options(ledger=log)).outcome
    (model / "config.json").write_text("other")
    assert Outcome.REFUSED is verify_model(model, policy, Options(ledger=log)).outcome
    signing, held, refused = kinds(log)
    assert (made.payload, alice.id, "support") == (signing["payload"], signing["signer"], signing["model"])
    assert made.digest == signing["digest"]
    assert (held["outcome"], refused["outcome"]) == ("holds", "refused")
    assert "changed since: config.json" in refused["checks"][1]["reason"]


def test_a_signature_that_is_not_in_the_ledger_is_refused(
    model: Path, log: Path, alice: Credentials, policy: Policy
) -> None:
    made = sign_model(model, alice)
    assert ((one := signatures(verify_model(model, policy)))[0], "none was given" in one[1]) == (Outcome.UNKNOWN, True)
    one = signatures(verify_model(model, policy, Options(ledger=log)))
    assert (one[0], "is no folder" in one[1]) == (Outcome.UNKNOWN, True)
    other = sign_model(model, alice, model.with_name("other.sig"), ignored=[".hidden"], ledger=log)
    assert other.payload != made.payload
    one = signatures(verify_model(model, policy, Options(ledger=log)))
    assert (one[0], "isn't in the ledger" in one[1]) == (Outcome.REFUSED, True)


def test_an_entry_of_another_signer_does_not_count(
    model: Path, log: Path, alice: Credentials, bob: Credentials, policy: Policy
) -> None:
    sign_model(model, alice)
    sign_model(model, bob, model.with_name("bob.sig"), ledger=log)
    assert Outcome.REFUSED is verify_model(model, policy, Options(ledger=log)).outcome


def test_an_entry_without_a_checkpoint_after_it_does_not_count(
    model: Path, log: Path, alice: Credentials, policy: Policy
) -> None:
    sign_model(model, alice, ledger=log)
    [segment] = log.glob("segment-*")
    lines = segment.read_bytes().splitlines(keepends=True)
    at = next(n for n, line in enumerate(lines) if b'"signing"' in line)
    segment.write_bytes(b"".join(lines[: at + 1]))
    (log / "checkpoint.json").unlink()
    assert verify_model(model, policy, Options(ledger=log)).outcome is not Outcome.HOLDS


def test_a_ledger_that_was_changed_proves_nothing(model: Path, log: Path, alice: Credentials, policy: Policy) -> None:
    sign_model(model, alice, ledger=log)
    [segment] = log.glob("segment-*")
    segment.write_bytes(segment.read_bytes().replace(b'"model":"support"', b'"model":"suppork"'))
    book = read_logbook(log, None)
    assert "the ledger is broken" in book.problem
    assert not book.entries


def test_a_ledger_by_another_key_proves_nothing(model: Path, log: Path, alice: Credentials, tmp_path: Path) -> None:
    """Who can write files could write a ledger too; the key that was kept elsewhere shows it."""
    sign_model(model, alice, ledger=log)
    sign_model(model, alice, ledger=tmp_path / "forged")
    assert not read_logbook(log, key_of(log)).problem
    assert read_logbook(tmp_path / "forged", key_of(log)).problem


def test_a_certificate_that_expired_since_counts_by_the_time_of_the_ledger(model: Path, log: Path) -> None:
    root = Authority.root()
    who = root.issue("release", days=(-1, 2))
    sign_model(model, who, ledger=log)
    policy = policy_of(by_certificate("release", root, "CN=release"))
    later = NOW + timedelta(days=5)
    assert Outcome.REFUSED is verify_model(model, policy, Options(at=later)).outcome
    beside = verify_model(model, policy, Options(at=later, ledger=log))
    assert Outcome.REFUSED is beside.outcome, "the key lies beside the ledger, so its times aren't believed"
    assert any("times aren't believed" in note for note in beside.notes)
    kept = replace(policy, ledger_key=key_of(log))
    decision = verify_model(model, kept, Options(at=later, ledger=log))
    assert Outcome.HOLDS is decision.outcome
    assert decision.signatures[0].logged is not None


def test_a_signature_from_before_the_signer_expired_counts_by_the_ledger(
    model: Path, log: Path, alice: Credentials
) -> None:
    sign_model(model, alice, ledger=log)
    policy = policy_of(by_key("alice", alice, expires=NOW + timedelta(days=1)))
    told = Options(at=NOW + timedelta(days=2), ledger=log, ledger_key=key_of(log))
    assert Outcome.HOLDS is verify_model(model, policy, told).outcome
    assert Outcome.REFUSED is verify_model(model, policy, replace(told, ledger=None)).outcome


def test_entries_with_nonsense_are_no_signatures(log: Path) -> None:
    with Ledger(log, LedgerOptions(clock=lambda: 10**30)) as ledger:
        ledger.append({"kind": "signing", "payload": [1], "signer": None})
        ledger.checkpoint()
    assert read_logbook(log, None).problem or not read_logbook(log, None).has("x", "y")


def test_who_comes_second_waits_for_the_ledger(model: Path, log: Path, alice: Credentials) -> None:
    with Ledger(log):
        held = Thread(target=sign_model, args=(model, alice), kwargs={"ledger": log})
        held.start()
        held.join(0.2)
        assert held.is_alive()
    held.join(10)
    assert [entry["kind"] for entry in kinds(log)] == ["signing"]
