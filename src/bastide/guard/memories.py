# SPDX-License-Identifier: Apache-2.0
"""The labels of what memories hold, in an SQLite file: what was tainted when it was written is so after a restart, too.

A label here only ever gets worse. It is written when it does, before whoever made it worse goes on; that is seldom, since the lattice is low.
"""

from __future__ import annotations

import json
import os
import sqlite3
import threading
from collections.abc import Iterator, MutableMapping
from pathlib import Path

from bastide.errors import Unavailable
from bastide.guard.model import CLASSES, Label
from bastide.plan.vocabulary import TRUST_LEVELS

MEMORIES, SOURCES = 10_000, 256
"""Memories, and names of sources of one; beyond, everything counts as the worst."""
WORST = Label(0, len(CLASSES) - 1, frozenset({"more memories than are remembered"}))
_SELECT = "SELECT component, author, class, sources FROM memories"
_SCHEMA = """CREATE TABLE IF NOT EXISTS memories (
  component TEXT PRIMARY KEY, author TEXT NOT NULL, class TEXT NOT NULL, sources TEXT NOT NULL
) STRICT"""


class MemoryLabels(MutableMapping[str, Label]):
    """Memory component -> label of what it holds."""

    def __init__(self, file: Path | None = None) -> None:
        """file: None for labels that a restart may forget. Raises `Unavailable` when the file can't be read."""
        self._lock = threading.Lock()
        try:
            self._db = _open(file)
            rows = self._db.execute(_SELECT).fetchall()
            self._written = {str(row[0]): _label(*row[1:]) for row in rows}
        except (sqlite3.Error, OSError, ValueError) as problem:
            raise Unavailable(f"the labels of memories can't be kept in {file}: {problem}", code=_CODE) from None
        self._labels = dict(self._written)

    def __getitem__(self, component: str) -> Label:
        """The label."""
        if component not in self._labels and len(self._labels) >= MEMORIES:
            return WORST
        return self._labels[component]

    def __setitem__(self, component: str, label: Label) -> None:
        """Joins a label. Raises `Unavailable` when it can't be written; it counts in this process all the same."""
        before = self._labels.get(component)
        if before is None and len(self._labels) >= MEMORIES:
            return
        joined = label if before is None else before.join(label)
        if len(joined.sources) > SOURCES:
            joined = Label(joined.integrity, joined.confidentiality, frozenset({"more sources than are remembered"}))
        self._labels[component] = joined
        if self._written.get(component) != joined:
            self._write(component, joined)

    def __delitem__(self, component: str) -> None:
        """What a memory holds is never known to be clean again."""
        raise TypeError("labels of memories aren't taken back")

    def __iter__(self) -> Iterator[str]:
        return iter(self._labels)

    def __len__(self) -> int:
        return len(self._labels)

    def close(self) -> None:
        """Closes the file."""
        self._db.close()

    def _write(self, component: str, label: Label) -> None:
        try:
            with self._lock, self._db:
                # Another process may have made it worse meanwhile.
                self._db.execute("BEGIN IMMEDIATE")
                found = self._db.execute(f"{_SELECT} WHERE component = ?", (component,)).fetchone()
                label = label.join(_label(*found[1:])) if found else label
                row = (component, label.author, label.class_, json.dumps(sorted(label.sources)))
                self._db.execute("INSERT OR REPLACE INTO memories VALUES (?, ?, ?, ?)", row)
        except (sqlite3.Error, ValueError) as problem:
            raise Unavailable(f"the label of a memory can't be written: {problem}", code=_CODE) from None
        self._labels[component] = self._written[component] = label


_CODE = "memories_unavailable"


def _open(file: Path | None) -> sqlite3.Connection:
    if file is not None:
        file.parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(file, os.O_CREAT | os.O_RDWR, 0o600))
    # Each statement is a transaction of its own, on the disk when it returns.
    db = sqlite3.connect(file or ":memory:", isolation_level=None, check_same_thread=False, timeout=5.0)
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = FULL")
    db.execute(_SCHEMA)
    return db


def _label(author: str, class_: str, sources: str) -> Label:
    """A label as it was written; words that this version doesn't know are the worst. Raises `ValueError`."""
    integrity = TRUST_LEVELS.index(author) if author in TRUST_LEVELS else 0
    confidentiality = CLASSES.index(class_) if class_ in CLASSES else len(CLASSES) - 1
    return Label(integrity, confidentiality, frozenset(map(str, json.loads(sources))))
