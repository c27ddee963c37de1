# SPDX-License-Identifier: Apache-2.0
"""A signature holds for the files that were signed, all of them, and no others."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from bastide.errors import UsageError
from bastide.verify.signing import tree as trees
from bastide.verify.signing.model import Decision, Outcome
from bastide.verify.signing.policy import Policy
from bastide.verify.signing.sign import Credentials, Signed, sign_model
from bastide.verify.signing.tree import read_tree
from bastide.verify.signing.verify import Options, verify_model
from tests.verify.signing.conftest import all_files, by_key, new_key, policy_of


def reasons(decision: Decision) -> str:
    return " | ".join(check.reason for check in decision.checks)


@pytest.fixture
def policy(alice: Credentials) -> Policy:
    return policy_of(by_key("alice", alice))


@pytest.mark.parametrize("kind", ["p256", "p384", "p521", "ed25519"])
def test_what_was_signed_holds(model: Path, kind: str) -> None:
    who = Credentials(new_key(kind))
    made = sign_model(model, who)
    decision = verify_model(model, policy_of(by_key("me", who)))
    assert (Outcome.HOLDS, made.digest["sha256"], 6, ()) == (
        decision.outcome, decision.digest, decision.files, decision.unsigned
    )  # fmt: skip


def test_a_single_file_is_a_model(tmp_path: Path, alice: Credentials, policy: Policy) -> None:
    file = tmp_path / "model.gguf"
    file.write_bytes(b"GGUF" * 100)
    sign_model(file, alice)
    assert Outcome.HOLDS is verify_model(file, policy).outcome
    file.write_bytes(b"GGUF" * 101)
    assert "changed since: ." in reasons(verify_model(file, policy))


@pytest.mark.parametrize("name", ["config.json", ".gitattributes", "tokenizer/vocab.txt", ".hidden/x"])
def test_each_changed_or_missing_file_is_named(model: Path, signed: Signed, policy: Policy, name: str) -> None:
    (model / name).write_text("other")
    changed = verify_model(model, policy)
    assert (changed.outcome, f"changed since: {name}" in reasons(changed)) == (Outcome.REFUSED, True)
    (model / name).unlink()
    missing = verify_model(model, policy)
    assert (missing.outcome, f"missing: {name}" in reasons(missing)) == (Outcome.REFUSED, True)


@pytest.mark.parametrize("name", [".git/hooks/pre-commit", ".gitignore", ".github/x.yml", "new.bin", "tokenizer/.x"])
def test_a_file_that_was_added_is_refused_wherever_it_lies(
    model: Path, signed: Signed, policy: Policy, name: str
) -> None:
    (model / name).parent.mkdir(parents=True, exist_ok=True)
    (model / name).write_text("import os")
    decision = verify_model(model, policy)
    assert (Outcome.REFUSED, (name,)) == (decision.outcome, decision.unsigned)
    assert f"not signed: {name}" in reasons(decision)


def test_what_the_signer_left_out_is_named_and_refused_unless_the_policy_allows_it(
    model: Path, alice: Credentials, policy: Policy
) -> None:
    made = sign_model(model, alice, ignored=[".hidden"])
    assert made.left_out == (".hidden/x",)
    decision = verify_model(model, policy)
    assert Outcome.REFUSED is decision.outcome
    assert "not signed, since the signer left them out: .hidden/x" in reasons(decision)
    allowed = verify_model(model, policy_of(by_key("alice", alice), unsigned=(".hidden/*",)))
    assert (allowed.outcome, allowed.unsigned) == (Outcome.HOLDS, (".hidden/x",))


def test_links_and_special_files_are_never_signed_and_never_verified(
    model: Path, alice: Credentials, signed: Signed, policy: Policy
) -> None:
    (model / "link").symlink_to(model / "config.json")
    os.mkfifo(model / "pipe")
    with pytest.raises(UsageError, match=r"(?s)link: is a symbolic link.*pipe: is no regular file"):
        sign_model(model, alice)
    decision = verify_model(model, policy)
    assert Outcome.REFUSED is decision.outcome
    assert "link: is a symbolic link" in reasons(decision)
    assert "pipe: is no regular file" in reasons(decision)


def test_a_linked_folder_is_refused(model: Path, signed: Signed, policy: Policy) -> None:
    (model / "tokenizer").rename(model.parent / "elsewhere")
    (model / "tokenizer").symlink_to(model.parent / "elsewhere")
    decision = verify_model(model, policy)
    assert Outcome.REFUSED is decision.outcome
    assert "tokenizer: is a symbolic link" in reasons(decision)


def test_signatures_may_lie_in_the_model(model: Path, alice: Credentials, bob: Credentials, policy: Policy) -> None:
    """Each signer's signature is left out of what the other signs, and both are named."""
    sign_model(model, alice, model / "alice.sig")
    sign_model(model, bob, model / "bob.sig")
    both = policy_of(by_key("alice", alice), by_key("bob", bob), threshold=2)
    decision = verify_model(model, both)
    assert (decision.outcome, decision.unsigned) == (Outcome.HOLDS, ("alice.sig", "bob.sig"))
    assert Outcome.REFUSED is verify_model(model, policy).outcome, "bob is nobody here, so his file is one too many"


def test_a_document_of_nobody_in_the_model_is_a_file_too_many(model: Path, alice: Credentials, policy: Policy) -> None:
    sign_model(model, alice, model / "model.sig")
    (model / "other.sig").write_text("{}")
    assert "not signed: other.sig" in reasons(verify_model(model, policy))


def test_the_name_is_signed_too(model: Path, alice: Credentials, policy: Policy) -> None:
    """A good model of another name isn't this one: an old version put in the place of a new one."""
    made = sign_model(model, alice)
    decision = verify_model(model, policy, Options(name="prod/payments"))
    assert (decision.outcome, "called `support`" in reasons(decision)) == (Outcome.REFUSED, True)
    assert Outcome.HOLDS is verify_model(model, policy, Options(name="prod/support")).outcome
    moved = model.rename(model.with_name("download"))
    loose = policy_of(by_key("alice", alice), same_name=False)
    assert Outcome.HOLDS is verify_model(moved, loose, Options(documents=(made.path,))).outcome


def test_an_empty_model_is_not_signed(tmp_path: Path, alice: Credentials) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match="nothing to sign"):
        sign_model(tmp_path / "empty", alice)


@pytest.mark.parametrize("missing", ["nothing", "support/none"])
def test_no_model_is_a_usage_error(model: Path, policy: Policy, missing: str) -> None:
    with pytest.raises(UsageError, match="there is no model"):
        verify_model(model.parent / missing, policy)


def test_a_file_that_changes_while_it_is_read_decides_nothing(
    model: Path, signed: Signed, policy: Policy, alice: Credentials, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The model is swapped after it was hashed and before the end: neither signed nor verified."""
    real = trees._digest

    def swap(*args: object) -> str:
        digest = real(*args)  # type: ignore[arg-type]
        (model / "config.json").write_text('{"auto_map": 1}')
        return digest

    monkeypatch.setattr(trees, "_digest", swap)
    decision = verify_model(model, policy)
    assert (decision.checks[0].outcome, "config.json: changed while" in reasons(decision)) == (Outcome.UNKNOWN, True)
    assert decision.outcome is not Outcome.HOLDS
    with pytest.raises(UsageError, match="changed while the model was read"):
        sign_model(model, alice)


def test_a_folder_that_becomes_a_link_while_it_is_read_is_seen(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = trees._hash

    def swap(root: Path, name: str, stamp: trees.Stamp) -> object:
        if (model / "tokenizer").is_dir() and not (model / "tokenizer").is_symlink():
            (model / "tokenizer").rename(model.parent / "moved")
            (model.parent / "other").mkdir()
            (model.parent / "other" / "vocab.txt").write_text("evil")
            (model / "tokenizer").symlink_to(model.parent / "other")
        return real(root, name, stamp)

    monkeypatch.setattr(trees, "_hash", swap)
    assert "tokenizer/vocab.txt" in {fault.name for fault in read_tree(model).faults}


def test_names_that_some_systems_take_for_one_are_refused(model: Path, alice: Credentials) -> None:
    (model / "CONFIG.json").write_text("{}")
    with pytest.raises(UsageError, match="for the same file"):
        sign_model(model, alice)
    (model / "CONFIG.json").unlink()
    (model / "caf\u00e9").write_text("1")
    (model / "cafe\u0301").write_text("2")
    with pytest.raises(UsageError, match="for the same file"):
        sign_model(model, alice)


@pytest.mark.parametrize("name", ["a\\b", "a\nb", "a\u202eb", b"a\xffb".decode("utf-8", "surrogateescape")])
def test_names_that_hide_something_are_refused(model: Path, alice: Credentials, name: str) -> None:
    (model / name).write_text("x")
    with pytest.raises(UsageError, match="the name has"):
        sign_model(model, alice)


def test_every_file_is_hashed(model: Path) -> None:
    names = {path.relative_to(model).as_posix() for path in all_files(model)}
    assert names == set(read_tree(model, 1).digests) == set(read_tree(model, 4).digests)


@pytest.mark.parametrize("bound", ["FILES", "DEPTH"])
def test_a_model_that_is_too_large_is_unknown(
    model: Path, signed: Signed, alice: Credentials, policy: Policy, monkeypatch: pytest.MonkeyPatch, bound: str
) -> None:
    monkeypatch.setattr(trees, bound, 0)
    decision = verify_model(model, policy)
    assert (decision.outcome, decision.digest) == (Outcome.UNKNOWN, "")
    with pytest.raises(UsageError, match="nothing of it was read"):
        sign_model(model, alice)


def test_a_file_that_cannot_be_read_is_unknown(
    model: Path, signed: Signed, policy: Policy, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = trees._opened

    def refuse(path: Path) -> object:
        if path.name == "config.json":
            raise PermissionError(13, "Permission denied")
        return real(path)

    monkeypatch.setattr(trees, "_opened", refuse)
    decision = verify_model(model, policy)
    assert (decision.outcome, decision.digest) == (Outcome.UNKNOWN, "")
    assert "config.json: can't be read: Permission denied" in reasons(decision)
    (model / "more").write_text("x")
    assert Outcome.REFUSED is verify_model(model, policy).outcome
