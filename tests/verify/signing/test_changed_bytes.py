# SPDX-License-Identifier: Apache-2.0
"""Any one changed byte, in the model or in its signature, never verifies."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bastide.verify.signing.model import Outcome
from bastide.verify.signing.policy import Policy
from bastide.verify.signing.sign import Credentials, sign_model
from bastide.verify.signing.verify import verify_model
from tests.verify.signing.conftest import Authority, by_certificate, by_key, new_key, policy_of

Case = tuple[Path, Path, Policy]


@pytest.fixture(scope="module", params=["p256", "ed25519", "certificate"])
def case(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Case:
    model = tmp_path_factory.mktemp("bytes") / "m"
    (model / "sub").mkdir(parents=True)
    (model / "a.json").write_text('{"a": 1}')
    (model / "sub" / "b").write_bytes(bytes(range(64)))
    if request.param == "certificate":
        root = Authority.root()
        who = root.intermediate().issue("release", mail="release@acme.example")
        policy = policy_of(by_certificate("release", root, "CN=release"))
    else:
        who = Credentials(new_key(request.param))
        policy = policy_of(by_key("me", who))
    made = sign_model(model, who)
    assert Outcome.HOLDS is verify_model(model, policy).outcome
    return model, made.path, policy


def changed(data: bytes, at: int, by: int, how: str) -> bytes:
    at %= len(data)
    if how == "replace":
        return data[:at] + bytes([data[at] ^ by]) + data[at + 1 :]
    if how == "insert":
        return data[:at] + bytes([by]) + data[at:]
    return data[:at] + data[at + 1 :]


@settings(max_examples=300)
@given(at=st.integers(0, 10_000), by=st.integers(1, 255), how=st.sampled_from(["replace", "delete"]))
def test_of_the_bundle(case: Case, at: int, by: int, how: str) -> None:
    model, path, policy = case
    good = path.read_bytes()
    try:
        path.write_bytes(changed(good, at, by, how))
        assert verify_model(model, policy).outcome is not Outcome.HOLDS
    finally:
        path.write_bytes(good)


@settings(max_examples=60)
@given(
    file=st.sampled_from(["a.json", "sub/b"]), at=st.integers(0, 100), by=st.integers(1, 255),
    how=st.sampled_from(["replace", "insert", "delete"]),
)  # fmt: skip
def test_of_the_model(case: Case, file: str, at: int, by: int, how: str) -> None:
    model, _, policy = case
    good = (model / file).read_bytes()
    other = changed(good, at, by, how)
    try:
        (model / file).write_bytes(other)
        assert verify_model(model, policy).outcome is not Outcome.HOLDS
    finally:
        (model / file).write_bytes(good)


@settings(max_examples=200)
@given(data=st.binary(max_size=400) | st.text(max_size=400).map(str.encode))
def test_any_bytes_are_no_signature_and_no_crash(case: Case, data: bytes) -> None:
    model, path, policy = case
    good = path.read_bytes()
    try:
        path.write_bytes(data)
        assert verify_model(model, policy).outcome is not Outcome.HOLDS
    finally:
        path.write_bytes(good)
