# SPDX-License-Identifier: Apache-2.0
"""The registry of models in one SQLite file. Several processes may use it at once; a write is there as a whole or not at all.

A file that isn't exactly what this module makes (a damaged one, another program's, one with triggers or views) is refused.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

from bastide.errors import StoreError
from bastide.store import rows
from bastide.verify.admission.interface import ChangedMeanwhile
from bastide.verify.admission.model import Approval, Decision, Evidence, Version
from bastide.verify.signing.model import Outcome

_APPLICATION = 0x42_53_4D_44
"""`BSMD` in the file's header: that it is such a registry."""
_SCHEMA = 1
_PATIENCE = 30.0
"""Seconds to wait for another writer."""
_LONGEST = 8 << 20
"""Bytes of a value."""
_TABLES = (
    """CREATE TABLE versions (
    id INTEGER PRIMARY KEY, name TEXT NOT NULL, number INTEGER NOT NULL, digest TEXT NOT NULL, paths TEXT NOT NULL, path TEXT NOT NULL,
    layout TEXT NOT NULL, source TEXT NOT NULL, bases TEXT NOT NULL, stage TEXT NOT NULL, added TEXT NOT NULL, added_by TEXT NOT NULL,
    changes INTEGER NOT NULL, UNIQUE (name, digest, paths), UNIQUE (name, number)
)""",
    """CREATE TABLE approvals (
    id INTEGER PRIMARY KEY, version INTEGER NOT NULL REFERENCES versions (id), stage TEXT NOT NULL, by TEXT NOT NULL, at TEXT NOT NULL,
    reason TEXT NOT NULL, withdrawn INTEGER NOT NULL
)""",
    """CREATE TABLE evidence (
    id INTEGER PRIMARY KEY, version INTEGER NOT NULL REFERENCES versions (id), type TEXT NOT NULL, payload TEXT NOT NULL, signer TEXT NOT NULL,
    names TEXT NOT NULL, seen TEXT NOT NULL, UNIQUE (version, payload, signer)
)""",
    """CREATE TABLE decisions (
    id INTEGER PRIMARY KEY, version INTEGER NOT NULL REFERENCES versions (id), action TEXT NOT NULL, stage TEXT NOT NULL, path TEXT NOT NULL,
    digest TEXT NOT NULL, paths TEXT NOT NULL, at TEXT NOT NULL, policy TEXT NOT NULL, by TEXT NOT NULL, entry INTEGER NOT NULL,
    checks TEXT NOT NULL
)""",
    "CREATE INDEX approvals_of ON approvals (version)",
    "CREATE INDEX decisions_of ON decisions (version)",
)
_COLUMNS = "name, number, digest, paths, path, layout, source, bases, stage, added, added_by, changes"
_THE_ID = "(SELECT id FROM versions WHERE name = ? AND number = ?)"


class SqliteRegistry:
    """A registry in a file, which is made when it isn't there."""

    def __init__(self, path: Path, *, make: bool = True) -> None:
        """Raises `StoreError` when the file can't be opened or is something else; without `make`, when it isn't there."""
        self.path = path
        if path.exists() and not path.is_file():
            raise StoreError(f"{path}: isn't a registry of models: it is no file")
        if make:
            with self._writing(check=False) as connection:
                self._make(connection)
        elif not path.exists():
            why = "there is no such registry; `bastide models add` makes one (--registry names another)"
            raise StoreError(f"{path}: {why}")
        with self._reading():
            pass

    def add(self, version: Version, log: Callable[[Version], int] | None = None) -> Version:
        """The version with its number; the one that is there when the same bytes have that name already."""
        of = (version.name, version.digest, version.paths)
        with self._writing() as connection:
            question = f"SELECT {_COLUMNS} FROM versions WHERE name = ? AND digest = ? AND paths = ?"
            known = connection.execute(question, of).fetchone()
            if known is not None:
                found: Version = rows.version(known)
                return found
            [number] = connection.execute(
                "SELECT COALESCE(MAX(number), 0) + 1 FROM versions WHERE name = ?", (version.name,)
            ).fetchone()
            made = replace(version, number=number, stage="", changes=0)
            values = rows.of_version(made)
            marks = ", ".join("?" * len(values))
            connection.execute(f"INSERT INTO versions ({_COLUMNS}) VALUES ({marks})", values)
            if log is not None:
                log(made)
            return made

    def versions(self, name: str = "") -> Sequence[Version]:
        """All versions, or those of a name; oldest first."""
        question = f"SELECT {_COLUMNS} FROM versions WHERE ? IN ('', name) ORDER BY name, number"
        return [rows.version(row) for row in self._read(question, (name,))]

    def approve(self, version: Version, approval: Approval, log: Callable[[], int] | None = None) -> None:
        """Keeps an approval, or that one is withdrawn; `log` writes it into the ledger."""
        with self._writing() as connection:
            self._changed(connection, version)
            connection.execute(
                f"INSERT INTO approvals (version, stage, by, at, reason, withdrawn) VALUES ({_THE_ID}, ?, ?, ?, ?, ?)",
                (version.name, version.number, *rows.of_approval(approval)),
            )
            if log is not None:
                log()

    def approvals(self, version: Version) -> Sequence[Approval]:
        """Oldest first."""
        columns = "stage, by, at, reason, withdrawn"
        return [rows.approval(row) for row in self._of(version, columns, "approvals")]

    def evidence(self, version: Version) -> Sequence[Evidence]:
        """Oldest first."""
        columns = "type, payload, signer, names, seen"
        return [rows.evidence(row) for row in self._of(version, columns, "evidence")]

    def record(
        self,
        version: Version,
        decision: Decision,
        evidence: Sequence[Evidence] = (),
        log: Callable[[], int] | None = None,
    ) -> Decision:
        """Keeps a decision with the number in the ledger that `log` gives it, and evidence that wasn't seen before."""
        stage = {"promote": decision.stage, "retire": ""}.get(decision.action)
        key = (version.name, version.number)
        with self._writing() as connection:
            state = connection.execute("SELECT changes FROM versions WHERE name = ? AND number = ?", key).fetchone()
            if state is None or (decision.action != "retire" and state[0] != version.changes):
                raise ChangedMeanwhile(f"{version}: its stage or its approvals have changed meanwhile")
            if stage is not None and decision.outcome is Outcome.HOLDS:
                connection.execute("UPDATE versions SET stage = ? WHERE name = ? AND number = ?", (stage, *key))
                self._changed(connection, version)
            for one in evidence:
                connection.execute(
                    f"INSERT OR IGNORE INTO evidence (version, type, payload, signer, names, seen) VALUES ({_THE_ID}, ?, ?, ?, ?, ?)",
                    (*key, *rows.of_evidence(one)),
                )
            # Last, so that what could not be kept isn't in the ledger; and what isn't in the ledger isn't kept.
            kept = replace(decision, entry=log()) if log is not None else decision
            connection.execute(
                "INSERT INTO decisions (version, action, stage, path, digest, paths, at, policy, by, entry, checks) "
                f"VALUES ({_THE_ID}, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (*key, *rows.of_decision(kept)),
            )
        return kept

    def decisions(self, version: Version) -> Sequence[Decision]:
        """Oldest first."""
        columns = "action, stage, path, digest, paths, at, policy, by, entry, checks"
        return [rows.decision(row, version) for row in self._of(version, columns, "decisions")]

    def _changed(self, connection: sqlite3.Connection, version: Version) -> None:
        connection.execute(
            "UPDATE versions SET changes = changes + 1 WHERE name = ? AND number = ?", (version.name, version.number)
        )

    def _of(self, version: Version, columns: str, table: str) -> Sequence[tuple[Any, ...]]:
        question = f"SELECT {columns} FROM {table} WHERE version = {_THE_ID} ORDER BY id"
        return self._read(question, (version.name, version.number))

    def _read(self, question: str, values: Sequence[Any]) -> Sequence[tuple[Any, ...]]:
        with self._reading() as connection:
            return connection.execute(question, values).fetchall()

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        # Not for reading only: what a killed writer left behind has to be undone first.
        with self._connected("rw") as connection:
            connection.execute("BEGIN")
            self._check(connection)
            yield connection

    @contextmanager
    def _writing(self, check: bool = True) -> Iterator[sqlite3.Connection]:
        """One transaction: what goes wrong in it undoes it."""
        with self._connected("rw" if check else "rwc") as connection:
            connection.execute("BEGIN IMMEDIATE")
            if check:
                self._check(connection)
            yield connection
            connection.execute("COMMIT")

    @contextmanager
    def _connected(self, mode: str) -> Iterator[sqlite3.Connection]:
        try:
            address = f"file:{quote(str(self.path.absolute()))}?mode={mode}"
            connection = sqlite3.connect(address, uri=True, timeout=_PATIENCE, isolation_level=None)
            try:
                connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _LONGEST)
                connection.execute("PRAGMA trusted_schema = OFF")
                connection.execute("PRAGMA cell_size_check = ON")
                connection.execute("PRAGMA foreign_keys = ON")
                yield connection
            finally:
                connection.close()
        except sqlite3.Error as problem:
            raise StoreError(f"{self.path}: isn't a registry of models that can be used: {problem}") from None
        except UnicodeError:
            raise StoreError(f"{self.path}: what isn't text can't be kept") from None

    def _check(self, connection: sqlite3.Connection) -> None:
        """That the file is what `_make` makes, to the letter: nothing else in it is ever run."""
        [application] = connection.execute("PRAGMA application_id").fetchone()
        [schema] = connection.execute("PRAGMA user_version").fetchone()
        if application == _APPLICATION and schema > _SCHEMA:
            raise StoreError(f"{self.path}: was written by a newer Bastide; use that one")
        if application != _APPLICATION or schema != _SCHEMA:
            raise StoreError(f"{self.path}: is a database of something else; name another file with --registry")
        found = connection.execute("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL").fetchmany(len(_TABLES) + 1)
        if sorted(str(row[0]) for row in found) != sorted(_TABLES):
            raise StoreError(f"{self.path}: isn't a registry of models as Bastide makes them: it has other tables")

    def _make(self, connection: sqlite3.Connection) -> None:
        [tables] = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        if tables:  # It is there already, or something else is.
            return
        for statement in _TABLES:
            connection.execute(statement)
        connection.execute(f"PRAGMA application_id = {_APPLICATION}")
        connection.execute(f"PRAGMA user_version = {_SCHEMA}")
