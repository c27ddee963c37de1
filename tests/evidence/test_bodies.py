# SPDX-License-Identifier: Apache-2.0
"""Bodies beside the chain: committed to, readable, erasable, and missed when they vanish."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, Literal

import pytest

from bastide.errors import LedgerError
from bastide.evidence.bodies import Bodies, read
from bastide.evidence.erase import erase, erase_marked
from bastide.evidence.ledger import Ledger
from bastide.evidence.verify import verify

KEPT: tuple[Literal["redacted", "encrypted"], ...] = ("redacted", "encrypted")
DAY = 86_400 * 10**9


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "log"


def write(folder: Path, *texts: tuple[str, Literal["redacted", "encrypted"], str]) -> list[dict[str, Any]]:
    """A ledger with entries that speak of texts `(subject, kept, text)`; the references."""
    with Ledger(folder) as ledger:
        bodies = Bodies(folder)
        references = [bodies.put(*text) for text in texts]
        for reference in references:
            ledger.append({"kind": "request", "content": [{"body": reference}]})
        bodies.close()
    return references


def everything(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize("kept", KEPT)
@pytest.mark.parametrize("text", ["", "plums", "ä\ud800\n" * 50])
def test_kept_as_written(folder: Path, kept: Literal["redacted", "encrypted"], text: str) -> None:
    """What was kept can be read, and the check confirms it."""
    [reference] = write(folder, ("ada", kept, text))
    assert read(folder, reference) == text.encode("utf-8", "replace").decode()
    report = verify(folder)
    assert (report.state, report.bodies) == ("whole", 1)


def test_encrypted_shows_nothing(folder: Path) -> None:
    """An encrypted text, and who it is of, stand in no file."""
    write(folder, ("ada@example.com", "encrypted", "likes plums"))
    assert b"plums" not in everything(folder)
    assert b"ada@" not in everything(folder)


def test_same_text_has_another_commitment(folder: Path) -> None:
    """The commitment is salted: two equal texts can't be seen to be equal."""
    one, two = write(folder, ("ada", "redacted", "yes"), ("ada", "redacted", "yes"))
    assert one["commitment"] != two["commitment"]


@pytest.mark.parametrize("kept", KEPT)
def test_erased(folder: Path, kept: Literal["redacted", "encrypted"]) -> None:
    """After an erasure the text, its salt and its key are in no file; the chain verifies; other subjects keep theirs."""
    gone, stays = write(folder, ("ada", kept, "likes plums"), ("bob", kept, "likes pears"))
    file = next((folder / "bodies").glob(f"*/{gone['subject']}.jsonl"))
    record = json.loads(file.read_text())
    key = folder / "keys" / f"{gone['subject']}.key"
    secrets = [v.encode() for k, v in record.items() if k != "id"] + ([key.read_bytes()] if key.exists() else [])
    with Ledger(folder) as ledger:
        bodies = Bodies(folder)
        assert erase(ledger, bodies, bodies.mark("ada")) == 1
        assert not bodies.marked()
    assert not [secret for secret in secrets if secret in everything(folder)]
    assert read(folder, gone) is None
    assert read(folder, stays) == "likes pears"
    report = verify(folder)
    assert (report.state, report.erased, report.bodies) == ("whole", 1, 1)


def test_erasure_that_was_interrupted(folder: Path) -> None:
    """An erasure that a crash stopped after its mark is done later."""
    write(folder, ("ada", "encrypted", "likes plums"))
    Bodies(folder).mark("ada")
    assert erase_marked(folder) == 1
    assert verify(folder).whole


def test_after_an_erasure(folder: Path) -> None:
    """A subject that comes back has a new key, and its new texts are kept."""
    write(folder, ("ada", "encrypted", "likes plums"))
    Bodies(folder).mark("ada")
    erase_marked(folder)
    [new] = write(folder, ("ada", "encrypted", "likes figs"))
    assert read(folder, new) == "likes figs"
    report = verify(folder)
    assert (report.state, report.erased, report.bodies) == ("whole", 1, 1)


@pytest.mark.parametrize("kept", KEPT)
def test_changed_body(folder: Path, kept: Literal["redacted", "encrypted"]) -> None:
    """A body that was changed is found."""
    [reference] = write(folder, ("ada", kept, "likes plums"))
    [file] = (folder / "bodies").glob("*/*.jsonl")
    record = json.loads(file.read_text())
    field = "text" if kept == "redacted" else "box"
    record[field] = record[field][:-6] + ("aaaaaa" if kept == "redacted" else "AAAA" + record[field][-2:])
    file.write_text(json.dumps(record) + "\n")
    assert "body of this entry was changed" in str(verify(folder).first_break)
    with pytest.raises(LedgerError, match="changed"):
        read(folder, reference)


@pytest.mark.parametrize("what", ["file", "key"])
def test_missing_body(folder: Path, what: str) -> None:
    """A body or a key that vanished without an erasure is found."""
    write(folder, ("ada", "encrypted", "likes plums"))
    [path] = (folder / "bodies").glob("*/*.jsonl") if what == "file" else set((folder / "keys").glob("?" * 32 + ".key"))
    path.unlink()
    assert "missing" in str(verify(folder).first_break)


def test_torn_body(folder: Path) -> None:
    """A half written body doesn't spoil the next one."""
    write(folder, ("ada", "redacted", "one"))
    [file] = (folder / "bodies").glob("*/*.jsonl")
    file.write_bytes(file.read_bytes() + b'{"id":"x')
    write(folder, ("ada", "redacted", "two"))
    assert verify(folder).bodies == 2


def test_write_error(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A body that can't be written is an error, and leaves nothing."""
    Ledger(folder).close()
    bodies = Bodies(folder)
    bodies.put("ada", "redacted", "one")
    [file] = (folder / "bodies").glob("*/*.jsonl")
    before, real = file.read_bytes(), os.write

    def write(handle: int, data: bytes) -> int:
        monkeypatch.setattr(os, "write", full)
        return real(handle, data[:10])

    def full(handle: int, data: bytes) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "write", write)
    with pytest.raises(LedgerError, match="No space left"):
        bodies.put("ada", "redacted", "two")
    monkeypatch.setattr(os, "write", real)
    assert file.read_bytes() == before


def test_old_days_go(folder: Path) -> None:
    """Bodies go by the day; the files that are open are closed first."""
    Ledger(folder).close()
    now = [100 * DAY]
    bodies = Bodies(folder, lambda: now[0])
    first = bodies.put("ada", "encrypted", "one")
    now[0] += DAY
    second = bodies.put("ada", "encrypted", "two")
    bodies.prune(bodies.old(101 * DAY))
    assert read(folder, first) is None
    assert read(folder, second) == "two"


def test_many_subjects(folder: Path) -> None:
    """More subjects than files may be open."""
    texts = [(f"user-{n}", KEPT[n % 2], f"text {n}") for n in range(150)]
    references = write(folder, *texts)
    assert [read(folder, reference) for reference in references] == [text for _, _, text in texts]


@pytest.mark.parametrize(
    "reference", [{}, {"subject": "../../etc"}, {"subject": "a" * 32, "day": "../x"}, {"subject": "a" * 32, "day": "²"}]
)
def test_reference_that_leads_elsewhere(folder: Path, reference: dict[str, str]) -> None:
    """A reference can't name a file outside of the bodies."""
    with pytest.raises(LedgerError, match="isn't what one looks like"):
        read(folder, reference)
