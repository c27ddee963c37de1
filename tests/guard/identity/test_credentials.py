# SPDX-License-Identifier: Apache-2.0
"""The guard's own credentials."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import pytest

from bastide.errors import Unavailable
from bastide.guard.identity.credentials import ASK_AGAIN, LONGEST, Credentials
from bastide.guard.settings import Secret


def test_from_the_environment() -> None:
    """A variable's value, without white space around it."""
    assert Credentials({"K": " s3cret\n"}).get(Secret(env="K")) == "s3cret"


def test_from_a_file_that_changes(tmp_path: Path) -> None:
    """A file is read again when it changes, and its value shows nowhere."""
    file, one = tmp_path / "key", Credentials({})
    file.write_text("first\n")
    assert one.get(Secret(file=file)) == "first"
    file.write_text("second!\n")
    os.utime(file, (1, 1))
    assert one.get(Secret(file=file)) == "second!"
    assert "second" not in repr(one)


def test_from_a_program_in_the_background(tmp_path: Path) -> None:
    """A program is run once, and again in the background when its answer is old; when it fails then, the old answer goes on."""
    now, file = [0.0], tmp_path / "v"
    file.write_text("one")
    secret = Secret(command=(sys.executable, "-c", f"print(open({str(file)!r}).read())"))
    credentials = Credentials({}, lambda: now[0])
    assert credentials.get(secret) == "one"
    file.write_text("two")
    assert credentials.get(secret) == "one"
    now[0] = ASK_AGAIN
    until = time.monotonic() + 10
    while credentials.get(secret) != "two" and time.monotonic() < until:
        time.sleep(0.01)
    assert credentials.get(secret) == "two"
    file.unlink()
    now[0] *= 3
    assert credentials.get(secret) == "two"


@pytest.mark.parametrize(
    "secret",
    [
        Secret(), Secret(env="NONE"), Secret(env="EMPTY"), Secret(env="LONG"), Secret(file=Path("/nonexistent")), Secret(file=Path("/")),
        Secret(command=("/nonexistent",)), Secret(command=(sys.executable, "-c", "print('s3cret'); exit(1)")),
    ],
)  # fmt: skip
def test_what_is_missing(secret: Secret) -> None:
    """What gives no credential is an error that says where, and nothing of what it saw."""
    with pytest.raises(Unavailable) as caught:
        Credentials({"EMPTY": " ", "LONG": "s3cret" * LONGEST}).load([secret])
    assert caught.value.code == "credential_missing"
    assert "s3cret" not in f"{caught.value} {caught.value.__context__ and ''}"


def test_all_that_is_missing_is_said_at_once() -> None:
    """Nobody starts a gateway as often as it has credentials."""
    with pytest.raises(Unavailable) as caught:
        Credentials({"B": "x"}).load([Secret(env="A"), Secret(env="B"), Secret(env="C"), Secret(env="A")])
    assert (
        str(caught.value)
        == "the environment variable `A` gives no credential; the environment variable `C` gives no credential"
    )
