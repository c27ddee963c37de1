# SPDX-License-Identifier: Apache-2.0
"""Where approvals are kept: an SQLite file, so that a restart loses none and two processes can't use one twice.

Times are wall-clock time, since they have to survive a restart. A clock that jumps back revives nothing: the store never takes a
time before one that it has seen, and what was seen to be expired is written down as expired.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

import msgspec

from bastide.errors import Denied, NotFound, OverLimit, TooLarge, Unavailable
from bastide.guard.approvals.book import Approval, Binding, Proposal, State, who
from bastide.guard.approvals.canonical import canonical, digest
from bastide.guard.model import Caller, Untraced

DECIDER = "decide-approvals"
"""The role that a decider needs."""
PENDING = 50
"""How many open requests one caller may have: who has to look at hundreds looks at none."""
ARGUMENTS = 256 * 1024
"""Bytes of arguments that a person can be asked about."""
NOTE = 2000
KEEP = 30 * 86_400.0
"""Seconds for which closed ones are kept; the ledger has them for longer."""

Log = Callable[[Approval], None]
"""Writes a decision into the log; raises when it can't."""
_SCHEMA = (
    """CREATE TABLE IF NOT EXISTS approvals (
  id TEXT PRIMARY KEY, bound TEXT NOT NULL, caller TEXT NOT NULL, state TEXT NOT NULL, created REAL NOT NULL, expires REAL NOT NULL,
  asked BLOB NOT NULL, decided_by TEXT NOT NULL DEFAULT '', decided_at REAL NOT NULL DEFAULT 0, note TEXT NOT NULL DEFAULT '',
  used_at REAL NOT NULL DEFAULT 0, logged INTEGER NOT NULL DEFAULT 0
) STRICT""",
    "CREATE INDEX IF NOT EXISTS by_binding ON approvals (bound, state)",
    "CREATE INDEX IF NOT EXISTS by_caller ON approvals (caller, state)",
)
_FORMAT = 1
"""1: the binding names the component, and a decision is in force when it is logged."""
_COLUMNS = "id, state, created, expires, asked, decided_by, decided_at, note, used_at, logged"


class _Asked(msgspec.Struct, frozen=True):
    """The part of an approval that never changes."""

    binding: Binding
    arguments: dict[str, Any]
    reason: str
    flow: str
    untraced: tuple[Untraced, ...]
    key: str


def _encode(asked: _Asked) -> bytes:
    # The standard library's JSON: arguments may hold numbers of any size and lone surrogates, which others refuse.
    return json.dumps(msgspec.to_builtins(asked)).encode("ascii")


class ApprovalStore:
    """All approvals. Safe to use from several threads and, with a file, from several processes."""

    def __init__(
        self,
        file: Path | None = None,
        expires: float = 900.0,
        clock: Callable[[], float] = time.time,
        notify: Callable[[Approval], None] = lambda _: None,
    ) -> None:
        """Opens the store.

        Parameters: `file`, None for one that lives in memory; `expires`, seconds from the request in which an approval has to be given
        *and* used; `clock`, Unix time; `notify` is called with each new request and must not block.

        Raises `Unavailable` when the file can't be used.
        """
        self._expires = expires
        self._clock = clock
        self._seen = 0.0
        self._notify = notify
        self._lock = threading.Lock()
        try:
            self._db = _open(file)
        except (sqlite3.Error, OSError) as problem:
            raise Unavailable(
                f"the approvals can't be kept in {file}: {problem}", code="approvals_unavailable"
            ) from None

    def close(self) -> None:
        """Closes the file."""
        self._db.close()

    def request(self, caller: Caller, proposal: Proposal) -> Approval:
        """Asks for an approval of a call; the open request when there is one, or the denial while that stands.

        Raises `OverLimit` when the caller has too many open requests, `TooLarge`, `Malformed`, `Unavailable`.
        """
        call, ruling = proposal.call, proposal.ruling
        binding = Binding.of(caller, proposal)
        arguments = dict(call.arguments or {})
        if len(canonical(arguments)) > ARGUMENTS:
            raise TooLarge(f"arguments of over {ARGUMENTS} bytes are more than a person can be asked about")
        asked = _Asked(binding, arguments, ruling.reason, ruling.flow, proposal.influence.untraced, caller.key)
        made = self._ask(asked)
        if isinstance(made, Approval):
            return made
        approval = self.get(made)
        self._notify(approval)
        return approval

    def _ask(self, asked: _Asked) -> Approval | str:
        bound, caller = _bound(asked.binding), digest([asked.binding.agent, asked.binding.user, asked.binding.tenant])
        with self._writing() as now:
            row = self._db.execute(
                f"SELECT {_COLUMNS} FROM approvals WHERE bound = ? AND state IN ('pending', 'approved', 'denied') AND expires > ?"
                " ORDER BY created DESC LIMIT 1",
                (bound, now),
            ).fetchone()
            if row:
                return _read(row)
            [(count,)] = self._db.execute(
                "SELECT count(*) FROM approvals WHERE caller = ? AND state = 'pending' AND expires > ?", (caller, now)
            )
            if count >= PENDING:
                raise OverLimit(f"{count} approvals are waiting for a decision already", code="too_many_approvals")
            self._db.execute("DELETE FROM approvals WHERE expires < ?", (now - KEEP,))
            id = "apr_" + secrets.token_hex(12)
            self._db.execute(
                "INSERT INTO approvals (id, bound, caller, state, created, expires, asked) VALUES (?, ?, ?, 'pending', ?, ?, ?)",
                (id, bound, caller, now, now + self._expires, _encode(asked)),
            )
            return id

    def get(self, id: str, viewer: Caller | None = None) -> Approval:
        """One approval, as far as `viewer` may see it (its own tenant's; every one without a tenant). Raises `NotFound`."""
        with self._reading() as now:
            row = self._db.execute(f"SELECT {_COLUMNS} FROM approvals WHERE id = ?", (_storable(id[:100]),)).fetchone()
        approval = _at(_read(row), now) if row else None
        if approval is None or (viewer is not None and not _sees(viewer, approval)):
            raise NotFound("there is no such approval", code="approval_not_found")
        return approval

    def pending(self, viewer: Caller | None = None, limit: int = 500) -> list[Approval]:
        """The open requests that `viewer` may see, oldest first."""
        with self._reading() as now:
            rows = self._db.execute(
                f"SELECT {_COLUMNS} FROM approvals WHERE state = 'pending' AND expires > ? ORDER BY created, id", (now,)
            ).fetchall()
        seen = (approval for approval in map(_read, rows) if viewer is None or _sees(viewer, approval))
        return [approval for approval, _ in zip(seen, range(limit), strict=False)]

    def decide(
        self, id: str, decider: Caller, answer: Literal["allow", "deny"], note: str = "", log: Log = lambda _: None
    ) -> Approval:
        """Takes a person's decision, then has it logged, then puts it in force: so nothing is logged that wasn't decided, and nothing can
        be used that isn't logged. One that could not be logged is so when anybody decides the same request again.

        Raises what `log` raises; `Denied` when the decider lacks the role, is who asked (the user, the key or the agent), or the request is closed;
        `NotFound`, also for another tenant's.
        """
        if DECIDER not in decider.roles:
            raise Denied(f"deciding needs the role `{DECIDER}`", code="approval_role")
        approval = self.get(id, decider)
        _not_oneself(decider, approval)
        state = State.APPROVED if answer == "allow" else State.DENIED
        with self._writing() as now:
            done = self._db.execute(
                "UPDATE approvals SET state = ?, decided_by = ?, decided_at = ?, note = ?"
                " WHERE id = ? AND state = 'pending' AND expires > ?",
                (state.value, _storable(who(decider)), now, _storable(note[:NOTE]), approval.id, now),
            ).rowcount
        found = self.get(id)
        if found.state in (State.APPROVED, State.DENIED) and not found.logged:
            log(found)
            with self._writing():
                self._db.execute("UPDATE approvals SET logged = 1 WHERE id = ?", (approval.id,))
        if not done:
            raise Denied(f"this approval is {found.state.value} already", code="approval_closed")
        return self.get(id)

    def consume(self, binding: Binding) -> Approval | None:
        """Uses the approval for exactly this call up, if there is one that was given and has not expired.

        Of several that try at once, exactly one gets it. Raises `Unavailable` when the store can't be written: no approval then.
        """
        bound = _bound(binding)
        with self._reading() as now:
            found = self._db.execute(
                "SELECT id FROM approvals WHERE bound = ? AND state = 'approved' AND logged AND expires > ? LIMIT 1",
                (bound, now),
            ).fetchone()
        if not found:
            return None
        with self._writing() as now:
            done = self._db.execute(
                "UPDATE approvals SET state = 'used', used_at = ? WHERE id = ? AND state = 'approved' AND logged AND expires > ?",
                (now, found[0], now),
            ).rowcount
        return self.get(found[0]) if done else None

    @contextlib.contextmanager
    def _reading(self) -> Iterator[float]:
        with self._lock:
            self._seen = now = max(self._seen, self._clock())
            try:
                yield now
            except sqlite3.Error as problem:
                raise Unavailable(f"the approvals can't be read: {problem}", code="approvals_unavailable") from None

    @contextlib.contextmanager
    def _writing(self) -> Iterator[float]:
        """A transaction that holds the only right to write, across processes."""
        with self._reading() as now:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                self._db.execute(
                    "UPDATE approvals SET state = 'expired' WHERE state IN ('pending', 'approved') AND expires <= ?",
                    (now,),
                )
                yield now
                self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise


def _open(file: Path | None) -> sqlite3.Connection:
    if file is not None:
        # The arguments are in it in full, so it is nobody else's to read.
        os.close(os.open(file, os.O_RDWR | os.O_CREAT, 0o600))
    db = sqlite3.connect(file or ":memory:", timeout=5.0, isolation_level=None, check_same_thread=False)
    db.execute("PRAGMA journal_mode = WAL")
    # With less, a power failure could make a used approval usable again.
    db.execute("PRAGMA synchronous = FULL")
    db.execute("BEGIN IMMEDIATE")
    if db.execute("PRAGMA user_version").fetchone() == (0,) and db.execute("PRAGMA table_info(approvals)").fetchone():
        # What an earlier version kept and is still open names no component, so it would open the same tool of any: it expires.
        db.execute("ALTER TABLE approvals ADD COLUMN logged INTEGER NOT NULL DEFAULT 0")
        db.execute("UPDATE approvals SET logged = 1")
        db.execute("UPDATE approvals SET state = 'expired' WHERE state IN ('pending', 'approved')")
    for statement in _SCHEMA:
        db.execute(statement)
    db.execute(f"PRAGMA user_version = {_FORMAT}")
    db.execute("COMMIT")
    return db


def _storable(text: str) -> str:
    """Without lone surrogates, which a database of UTF-8 can't hold."""
    return text.encode("utf-8", "replace").decode("utf-8")


def _bound(binding: Binding) -> str:
    return digest(list(msgspec.structs.astuple(binding)))


def _read(row: tuple[Any, ...]) -> Approval:
    id, state, created, expires, asked, decided_by, decided_at, note, used_at, logged = row
    document = json.loads(asked)
    # Closed ones of before the binding named the component.
    document["binding"].setdefault("component", "")
    a = msgspec.convert(document, _Asked)
    return Approval(
        id, a.binding, State(state), a.arguments, a.reason, a.flow, a.untraced, a.key, created, expires,
        decided_by, decided_at, note, used_at, bool(logged),
    )  # fmt: skip


def _at(approval: Approval, now: float) -> Approval:
    closed = approval.state in (State.PENDING, State.APPROVED) and approval.expires <= now
    return msgspec.structs.replace(approval, state=State.EXPIRED) if closed else approval


def _sees(viewer: Caller, approval: Approval) -> bool:
    return viewer.tenant in ("", approval.binding.tenant)


def _not_oneself(decider: Caller, approval: Approval) -> None:
    if decider.user and decider.user == approval.binding.user:
        raise Denied("who asks can't decide: another person has to", code="approval_own")
    if decider.agent == approval.binding.agent or (not decider.user and decider.key == approval.key):
        raise Denied("the agent that asks can't decide, nor can its key", code="approval_own")
