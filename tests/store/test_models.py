# SPDX-License-Identifier: Apache-2.0
"""The registry: what is written is there as a whole, whoever writes beside it and whenever somebody is killed."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sqlite3
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from bastide.errors import LedgerError, Location, StoreError
from bastide.store.models import SqliteRegistry
from bastide.verify.admission.interface import ChangedMeanwhile
from bastide.verify.admission.model import Action, Approval, Base, Decision, Evidence, Version
from bastide.verify.signing.model import Check, Outcome

NOW = datetime(2027, 6, 30, 12, tzinfo=UTC)
VERSION = Version(
    "acme/support", "a" * 64, "b" * 64, "/models/support", "huggingface", {"revision": "5c1f"}, (Base("acme/base", "finetune"),), added=NOW,
    added_by="ada",
)  # fmt: skip
SEEN = Evidence("scan", "d" * 64, "sha256:" + "e" * 64, ("ci",), NOW)
NO_TEXT = "bytes that are no text"
CHECK = Check("scan", Outcome.HOLDS, "3 files", Location("admission.yaml", 4))


def decision(stage: str, outcome: Outcome = Outcome.HOLDS) -> Decision:
    checks = (replace(CHECK, outcome=outcome),)
    return Decision(
        VERSION.name, stage, VERSION.path, VERSION.digest, NOW, checks, "admission.yaml (sha256 ...)", "ci", 1, 7, "promote", VERSION.paths
    )  # fmt: skip


def test_what_is_kept_comes_back(tmp_path: Path) -> None:
    registry = SqliteRegistry(tmp_path / "models.db")
    kept = registry.add(VERSION)
    assert kept == replace(VERSION, number=1)
    approvals = [Approval("production", "grace", NOW, "looked at it"), Approval("production", "grace", NOW, "", True)]
    for one in approvals:
        registry.approve(kept, one)
    registry.record(registry.versions()[0], decision("staging"), [SEEN, SEEN])
    again = SqliteRegistry(tmp_path / "models.db", make=False)
    [found] = again.versions(VERSION.name)
    assert found == replace(kept, stage="staging", changes=3)
    assert (list(again.approvals(found)), list(again.decisions(found))) == (approvals, [decision("staging")])
    assert list(again.evidence(found)) == [SEEN]


def test_the_same_bytes_have_one_number(tmp_path: Path) -> None:
    """Renamed files make another version, though the digest that the signature has is the same."""
    registry = SqliteRegistry(tmp_path / "models.db")
    numbers = [registry.add(replace(VERSION, digest=digest * 64)).number for digest in "abab"]
    assert numbers == [1, 2, 1, 2]
    assert registry.add(replace(VERSION, paths="c" * 64)).number == 3
    assert registry.add(replace(VERSION, name="other")).number == 1


@pytest.mark.parametrize(
    ("outcome", "action", "stage"),
    [
        (Outcome.HOLDS, "promote", "production"),
        (Outcome.HOLDS, "admit", ""),
        (Outcome.HOLDS, "retire", ""),
        (Outcome.REFUSED, "promote", ""),
        (Outcome.UNKNOWN, "promote", ""),
    ],
)
def test_only_a_promotion_that_holds_promotes(tmp_path: Path, outcome: Outcome, action: Action, stage: str) -> None:
    registry = SqliteRegistry(tmp_path / "models.db")
    kept = registry.add(VERSION)
    registry.record(kept, replace(decision("production", outcome), action=action))
    assert registry.versions()[0].stage == stage
    assert len(registry.decisions(kept)) == 1


def test_who_decided_on_what_has_changed_meanwhile_has_to_decide_again(tmp_path: Path) -> None:
    """Nothing is kept and nothing is logged; taking a version out of its stage is always possible."""
    registry = SqliteRegistry(tmp_path / "models.db")
    read = registry.add(VERSION)
    registry.approve(read, Approval("production", "grace", NOW, "", withdrawn=True))
    logged: list[int] = []
    with pytest.raises(ChangedMeanwhile):
        registry.record(read, decision("production"), log=lambda: logged.append(1) or 1)
    assert (logged, registry.decisions(read), registry.versions()[0].stage) == ([], [], "")
    registry.record(read, replace(decision(""), action="retire"))
    assert len(registry.decisions(read)) == 1


def test_what_cannot_be_logged_is_not_kept(tmp_path: Path) -> None:
    registry = SqliteRegistry(tmp_path / "models.db")
    kept = registry.add(VERSION)

    def full() -> int:
        raise LedgerError("the disk is full")

    with pytest.raises(LedgerError):
        registry.record(kept, decision("production"), [SEEN], full)
    with pytest.raises(LedgerError):
        registry.approve(kept, Approval("production", "grace", NOW), full)
    assert registry.versions() == [kept]
    assert (registry.decisions(kept), registry.approvals(kept), registry.evidence(kept)) == ([], [], [])
    assert registry.record(kept, decision("production"), log=lambda: 42).entry == 42
    assert registry.decisions(kept)[0].entry == 42


def _many(path: Path, worker: int) -> None:
    registry = SqliteRegistry(path)
    for number in range(20):
        kept = registry.add(replace(VERSION, digest=f"{number:064x}"))
        while True:
            try:
                registry.record(kept, decision(f"stage-{worker}"))
                break
            except ChangedMeanwhile:
                kept = next(one for one in registry.versions() if one.number == kept.number)


def test_several_write_at_once(tmp_path: Path) -> None:
    """They wait for each other, from the moment on at which the file is made."""
    context = multiprocessing.get_context("fork")
    workers = [context.Process(target=_many, args=(tmp_path / "models.db", worker)) for worker in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert [worker.exitcode for worker in workers] == [0, 0, 0]
    registry = SqliteRegistry(tmp_path / "models.db", make=False)
    versions = registry.versions()
    assert [v.number for v in versions] == list(range(1, 21))
    assert all(len(registry.decisions(v)) == 3 == v.changes for v in versions)


def test_a_kill_leaves_a_whole_registry(tmp_path: Path) -> None:
    for attempt in range(8):
        path = tmp_path / f"{attempt}.db"
        worker = multiprocessing.get_context("fork").Process(target=_many, args=(path, 0))
        worker.start()
        time.sleep(0.01 * attempt)
        os.kill(worker.pid or 0, signal.SIGKILL)
        worker.join()
        registry = SqliteRegistry(path)
        for version in registry.versions():
            assert (version.stage == "stage-0") == (len(registry.decisions(version)) == 1) == (version.changes == 1)


@pytest.mark.parametrize("damage", [b"", b"x" * 5000, b"SQLite format 3\0" + b"\xff" * 5000])
def test_what_is_no_registry_is_said(tmp_path: Path, damage: bytes) -> None:
    path = tmp_path / "models.db"
    path.write_bytes(damage)
    with pytest.raises(StoreError):
        SqliteRegistry(path, make=False)
    if damage:
        with pytest.raises(StoreError, match="isn't a registry"):
            SqliteRegistry(path)
        assert path.read_bytes() == damage
    else:
        SqliteRegistry(path)  # An empty file is an empty database.


@pytest.mark.parametrize("make", ["fifo", "folder", "device"])
def test_what_is_no_file_is_not_opened(tmp_path: Path, make: str) -> None:
    path = tmp_path / "models.db"
    {"fifo": os.mkfifo, "folder": os.mkdir, "device": lambda p: p.symlink_to("/dev/zero")}[make](path)
    with pytest.raises(StoreError, match="it is no file"):
        SqliteRegistry(path)


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TRIGGER up AFTER INSERT ON decisions BEGIN UPDATE versions SET stage = 'production'; END",
        "CREATE VIEW more AS SELECT * FROM versions",
        "CREATE TABLE more (x)",
        "DROP TABLE approvals",
        "ALTER TABLE approvals ADD COLUMN x TEXT",
        "DROP TABLE approvals; CREATE VIEW approvals AS WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x FROM n) SELECT x FROM n",
    ],
)
def test_a_registry_with_anything_else_in_it_is_not_used(tmp_path: Path, statement: str) -> None:
    """A trigger could promote, a view could count for ever."""
    path = tmp_path / "models.db"
    SqliteRegistry(path).add(VERSION)
    changed(path, statement)
    with pytest.raises(StoreError, match="other tables"):
        SqliteRegistry(path)


@pytest.mark.parametrize(
    ("table", "column", "value"),
    [
        ("versions", "source", "{"),
        ("versions", "source", "{}"),
        ("versions", "source", '[["a", 1]]'),
        ("versions", "source", "[" * 100_000),
        ("versions", "added", "yesterday"),
        ("versions", "added", "2027-06-30T12:00:00"),
        ("versions", "bases", "[[1]]"),
        ("versions", "bases", "7"),
        ("versions", "digest", "../../x"),
        ("versions", "number", -1),
        ("versions", "name", NO_TEXT),
        ("approvals", "at", "2027-06-30T12:00:00"),
        ("evidence", "names", '["\\ud800"]'),
        ("decisions", "action", "delete"),
        ("decisions", "checks", '[["a", "perhaps", "", "", 1, ""]]'),
        ("decisions", "checks", "null"),
    ],
)
def test_damaged_rows_are_said(tmp_path: Path, table: str, column: str, value: object) -> None:
    path = tmp_path / "models.db"
    registry = SqliteRegistry(path)
    kept = registry.add(VERSION)
    registry.approve(kept, Approval("production", "grace", NOW))
    registry.record(registry.versions()[0], decision("staging"), [SEEN])
    with sqlite3.connect(path) as connection:
        connection.execute(f"UPDATE {table} SET {column} = iif(?1 = '{NO_TEXT}', CAST(x'ff' AS TEXT), ?1)", (value,))
    connection.close()
    read = {
        "versions": registry.versions,
        "approvals": lambda: registry.approvals(kept),
        "evidence": lambda: registry.evidence(kept),
        "decisions": lambda: registry.decisions(kept),
    }
    with pytest.raises(StoreError):
        read[table]()


def test_what_is_kept_can_be_read_again(tmp_path: Path) -> None:
    """Halves of characters and texts without end in a model's description make no row that nobody can read."""
    registry = SqliteRegistry(tmp_path / "models.db")
    odd = "\ud800" + "x" * 100_000
    registry.add(replace(VERSION, bases=(Base(odd, "finetune"),) * 5000, source={"user_id": odd}))
    [found] = registry.versions()
    assert (len(found.bases), len(found.bases[0].name)) == (1000, 2000)
    with pytest.raises(StoreError, match="isn't text"):
        registry.add(replace(VERSION, name=odd))


def test_a_newer_schema_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "models.db"
    SqliteRegistry(path)
    changed(path, "PRAGMA user_version = 99")
    with pytest.raises(StoreError, match="newer Bastide"):
        SqliteRegistry(path)


def test_a_registry_can_be_read_where_it_cannot_be_written(tmp_path: Path) -> None:
    path = tmp_path / "models.db"
    SqliteRegistry(path).add(VERSION)
    path.chmod(0o400)
    assert len(SqliteRegistry(path, make=False).versions()) == 1


def changed(path: Path, script: str) -> None:
    connection = sqlite3.connect(path)
    connection.executescript(script)
    connection.close()
