# SPDX-License-Identifier: Apache-2.0
"""The registry of models in one SQLite file. Several processes may use it at once; a write is there as a whole or not at all."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from bastide.errors import Location, StoreError
from bastide.verify.admission.model import Approval, Base, Decision, Version
from bastide.verify.signing.model import Check, Outcome

_APPLICATION = 0x42_53_4D_44
"""`BSMD` in the file's header: that it is such a registry."""
_SCHEMA = 1
_PATIENCE = 30.0
"""Seconds to wait for another writer."""
_TABLES = """
CREATE TABLE versions (
    id INTEGER PRIMARY KEY, name TEXT NOT NULL, number INTEGER NOT NULL, digest TEXT NOT NULL, path TEXT NOT NULL, layout TEXT NOT NULL,
    source TEXT NOT NULL, bases TEXT NOT NULL, stage TEXT NOT NULL DEFAULT '', added TEXT NOT NULL, added_by TEXT NOT NULL,
    UNIQUE (name, digest), UNIQUE (name, number)
) STRICT;
CREATE TABLE approvals (
    id INTEGER PRIMARY KEY, version INTEGER NOT NULL REFERENCES versions (id), stage TEXT NOT NULL, by TEXT NOT NULL, at TEXT NOT NULL,
    reason TEXT NOT NULL
) STRICT;
CREATE TABLE decisions (
    id INTEGER PRIMARY KEY, version INTEGER NOT NULL REFERENCES versions (id), stage TEXT NOT NULL, path TEXT NOT NULL, digest TEXT NOT NULL,
    at TEXT NOT NULL, policy TEXT NOT NULL, by TEXT NOT NULL, entry INTEGER NOT NULL, outcome TEXT NOT NULL, checks TEXT NOT NULL
) STRICT;
CREATE INDEX approvals_of ON approvals (version);
CREATE INDEX decisions_of ON decisions (version);
"""


class SqliteRegistry:
    """A registry in a file, which is made when it isn't there."""

    def __init__(self, path: Path, *, make: bool = True) -> None:
        """Raises `StoreError` when the file can't be opened or is something else; without `make`, when it isn't there."""
        self.path = path
        if not make and not path.exists():
            raise StoreError(
                f"{path}: there is no such registry; `bastide models add` makes one (--registry names another)"
            )
        with self._connected() as connection:
            self._prepare(connection)

    def add(self, version: Version) -> Version:
        """The version with its number; the one that is there when the same bytes have that name already."""
        with self._connected() as connection:
            connection.execute("BEGIN IMMEDIATE")
            known = connection.execute(
                f"SELECT {_COLUMNS} FROM versions WHERE name = ? AND digest = ?", (version.name, version.digest)
            ).fetchone()
            if known is None:
                connection.execute(
                    "INSERT INTO versions (name, number, digest, path, layout, source, bases, added, added_by) "
                    "SELECT ?, COALESCE(MAX(number), 0) + 1, ?, ?, ?, ?, ?, ?, ? FROM versions WHERE name = ?",
                    (
                        version.name, version.digest, version.path, version.layout, json.dumps(dict(version.source)),
                        json.dumps([[b.name, b.relation] for b in version.bases]), _written(version.added), version.added_by, version.name,
                    ),
                )  # fmt: skip
            row = connection.execute(
                f"SELECT {_COLUMNS} FROM versions WHERE name = ? AND digest = ?", (version.name, version.digest)
            ).fetchone()
            connection.execute("COMMIT")
            return _version(row)

    def versions(self, name: str = "") -> Sequence[Version]:
        """All versions, or those of a name; oldest first."""
        with self._connected() as connection:
            rows = connection.execute(
                f"SELECT {_COLUMNS} FROM versions WHERE ? IN ('', name) ORDER BY name, number", (name,)
            ).fetchall()
            return [_version(row) for row in rows]

    def approve(self, version: Version, approval: Approval) -> None:
        """Keeps an approval."""
        with self._connected() as connection:
            connection.execute(
                "INSERT INTO approvals (version, stage, by, at, reason) SELECT id, ?, ?, ?, ? FROM versions WHERE name = ? AND number = ?",
                (approval.stage, approval.by, _written(approval.at), approval.reason, version.name, version.number),
            )

    def approvals(self, version: Version) -> Sequence[Approval]:
        """Oldest first."""
        with self._connected() as connection:
            rows = connection.execute(
                "SELECT a.stage, a.by, a.at, a.reason FROM approvals a JOIN versions v ON v.id = a.version "
                "WHERE v.name = ? AND v.number = ? ORDER BY a.id", (version.name, version.number),
            ).fetchall()  # fmt: skip
            return [Approval(stage, by, datetime.fromisoformat(at), reason) for stage, by, at, reason in rows]

    def record(self, version: Version, decision: Decision, *, promote: bool) -> None:
        """Keeps a decision; with `promote`, and when it holds, the version is in its stage from then on."""
        checks = [[c.id, c.outcome.value, c.reason, c.location.file, c.location.line] for c in decision.checks]
        with self._connected() as connection:
            connection.execute("BEGIN IMMEDIATE")
            connection.execute(
                "INSERT INTO decisions (version, stage, path, digest, at, policy, by, entry, outcome, checks) "
                "SELECT id, ?, ?, ?, ?, ?, ?, ?, ?, ? FROM versions WHERE name = ? AND number = ?",
                (
                    decision.stage, decision.path, decision.digest, _written(decision.at), decision.policy, decision.by, decision.entry,
                    decision.outcome.value, json.dumps(checks), version.name, version.number,
                ),
            )  # fmt: skip
            if promote and decision.outcome is Outcome.HOLDS:
                connection.execute(
                    "UPDATE versions SET stage = ? WHERE name = ? AND number = ?",
                    (decision.stage, version.name, version.number),
                )
            connection.execute("COMMIT")

    def decisions(self, version: Version) -> Sequence[Decision]:
        """Oldest first."""
        with self._connected() as connection:
            rows = connection.execute(
                "SELECT d.stage, d.path, d.digest, d.at, d.checks, d.policy, d.by, d.entry FROM decisions d JOIN versions v ON v.id = d.version "
                "WHERE v.name = ? AND v.number = ? ORDER BY d.id", (version.name, version.number),
            ).fetchall()  # fmt: skip
            return [
                Decision(
                    version.name,
                    stage,
                    path,
                    digest,
                    datetime.fromisoformat(at),
                    _checks(checks),
                    policy,
                    by,
                    version.number,
                    entry,
                )
                for stage, path, digest, at, checks, policy, by, entry in rows
            ]

    @contextmanager
    def _connected(self) -> Iterator[sqlite3.Connection]:
        try:
            connection = sqlite3.connect(self.path, timeout=_PATIENCE, isolation_level=None)
            try:
                connection.execute("PRAGMA foreign_keys = ON")
                yield connection
            finally:
                connection.close()
        except (sqlite3.Error, ValueError, TypeError) as problem:
            raise StoreError(f"{self.path}: isn't a registry of models that can be used: {problem}") from None

    def _prepare(self, connection: sqlite3.Connection) -> None:
        connection.execute("BEGIN IMMEDIATE")
        application = connection.execute("PRAGMA application_id").fetchone()[0]
        tables = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
        schema = connection.execute("PRAGMA user_version").fetchone()[0]
        if application == _APPLICATION and schema == _SCHEMA:
            connection.execute("ROLLBACK")
            return
        if application == _APPLICATION and schema > _SCHEMA:
            raise StoreError(f"{self.path}: was written by a newer Bastide; use that one")
        if tables or application:
            raise StoreError(f"{self.path}: is a database of something else; name another file with --registry")
        for statement in _TABLES.split(";"):
            if statement.strip():
                connection.execute(statement)
        connection.execute(f"PRAGMA application_id = {_APPLICATION}")
        connection.execute(f"PRAGMA user_version = {_SCHEMA}")
        connection.execute("COMMIT")


_COLUMNS = "name, digest, path, layout, source, bases, number, stage, added, added_by"


def _version(row: Sequence[Any]) -> Version:
    name, digest, path, layout, source, bases, number, stage, added, added_by = row
    made = tuple(Base(str(n), str(r)) for n, r in json.loads(bases))
    return Version(
        name, digest, path, layout, json.loads(source), made, number, stage, datetime.fromisoformat(added), added_by
    )


def _checks(text: str) -> tuple[Check, ...]:
    return tuple(
        Check(id, Outcome(outcome), reason, Location(file, line))
        for id, outcome, reason, file, line in json.loads(text)
    )


def _written(at: datetime | None) -> str:
    assert at is not None
    return at.isoformat()
