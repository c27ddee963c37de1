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

from bastide.errors import Location, StoreError
from bastide.store.models import SqliteRegistry
from bastide.verify.admission.model import Approval, Base, Decision, Version
from bastide.verify.signing.model import Check, Outcome

NOW = datetime(2027, 6, 30, 12, tzinfo=UTC)
VERSION = Version(
    "acme/support", "a" * 64, "/models/support", "huggingface", {"revision": "5c1f"}, (Base("acme/base", "finetune"),), added=NOW, added_by="ada",
)  # fmt: skip
CHECK = Check("scan", Outcome.HOLDS, "3 files", Location("admission.yaml", 4))


def decision(stage: str, outcome: Outcome = Outcome.HOLDS) -> Decision:
    checks = (replace(CHECK, outcome=outcome),)
    return Decision(
        VERSION.name, stage, VERSION.path, VERSION.digest, NOW, checks, "admission.yaml (sha256 ...)", "ci", 1, 7
    )


def test_what_is_kept_comes_back(tmp_path: Path) -> None:
    registry = SqliteRegistry(tmp_path / "models.db")
    kept = registry.add(VERSION)
    assert kept == replace(VERSION, number=1)
    approval = Approval("production", "grace", NOW, "looked at it")
    registry.approve(kept, approval)
    registry.record(kept, decision("staging"), promote=True)
    again = SqliteRegistry(tmp_path / "models.db", make=False)
    [found] = again.versions(VERSION.name)
    assert found == replace(kept, stage="staging")
    assert (list(again.approvals(found)), list(again.decisions(found))) == ([approval], [decision("staging")])


def test_the_same_bytes_have_one_number(tmp_path: Path) -> None:
    registry = SqliteRegistry(tmp_path / "models.db")
    numbers = [registry.add(replace(VERSION, digest=digest * 64)).number for digest in "abab"]
    assert numbers == [1, 2, 1, 2]
    assert registry.add(replace(VERSION, name="other")).number == 1


@pytest.mark.parametrize(
    ("outcome", "promote", "stage"),
    [
        (Outcome.HOLDS, True, "production"),
        (Outcome.HOLDS, False, ""),
        (Outcome.REFUSED, True, ""),
        (Outcome.UNKNOWN, True, ""),
    ],
)
def test_only_a_decision_that_holds_promotes(tmp_path: Path, outcome: Outcome, promote: bool, stage: str) -> None:
    registry = SqliteRegistry(tmp_path / "models.db")
    kept = registry.add(VERSION)
    registry.record(kept, decision("production", outcome), promote=promote)
    assert registry.versions()[0].stage == stage
    assert len(registry.decisions(kept)) == 1


def _many(path: Path, worker: int) -> None:
    registry = SqliteRegistry(path)
    for number in range(20):
        kept = registry.add(replace(VERSION, digest=f"{number:064x}"))
        registry.record(kept, decision(f"stage-{worker}"), promote=True)


def test_several_write_at_once(tmp_path: Path) -> None:
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
    assert all(len(registry.decisions(v)) == 3 for v in versions)


def test_a_kill_leaves_a_whole_registry(tmp_path: Path) -> None:
    for attempt in range(5):
        path = tmp_path / f"{attempt}.db"
        worker = multiprocessing.get_context("fork").Process(target=_many, args=(path, 0))
        worker.start()
        time.sleep(0.01 * attempt)
        os.kill(worker.pid or 0, signal.SIGKILL)
        worker.join()
        registry = SqliteRegistry(path)
        for version in registry.versions():
            assert (version.stage == "stage-0") == (len(registry.decisions(version)) == 1)


@pytest.mark.parametrize("damage", [b"", b"x" * 5000, b"SQLite format 3\0" + b"\xff" * 5000])
def test_what_is_no_registry_is_said(tmp_path: Path, damage: bytes) -> None:
    path = tmp_path / "models.db"
    path.write_bytes(damage)
    if damage:
        with pytest.raises(StoreError, match="isn't a registry"):
            SqliteRegistry(path)
    else:
        SqliteRegistry(path)  # An empty file is an empty database.


def test_damaged_rows_are_said(tmp_path: Path) -> None:
    path = tmp_path / "models.db"
    SqliteRegistry(path).add(VERSION)
    for column, value in (("source", "{"), ("added", "yesterday"), ("bases", "[[1]]"), ("bases", "7")):
        with sqlite3.connect(path) as connection:
            connection.execute(f"UPDATE versions SET source = '{{}}', added = '{NOW.isoformat()}', bases = '[]'")
            connection.execute(f"UPDATE versions SET {column} = ?", (value,))
        connection.close()
        with pytest.raises(StoreError):
            SqliteRegistry(path).versions()


def test_a_newer_schema_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "models.db"
    SqliteRegistry(path)
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(StoreError, match="newer Bastide"):
        SqliteRegistry(path)
