# SPDX-License-Identifier: Apache-2.0
"""Rows of the registry and what they mean. Whoever can write the file can write anything into it, so every value is looked at."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import wraps
from typing import Any, ParamSpec, TypeVar

from bastide.errors import Location, StoreError
from bastide.verify.admission.model import Action, Approval, Base, Decision, Evidence, Version
from bastide.verify.signing.model import Check, Outcome

Row = Sequence[Any]
P = ParamSpec("P")
T = TypeVar("T")
_MOST = 1000
_LONGEST = 2000
_ACTIONS: dict[str, Action] = {"admit": "admit", "promote": "promote", "retire": "retire"}


def _strict(read: Callable[P, T]) -> Callable[P, T]:
    """A damaged row is said, whatever is wrong with it."""

    @wraps(read)
    def reading(*values: P.args, **named: P.kwargs) -> T:
        try:
            return read(*values, **named)
        except (ValueError, TypeError, KeyError, RecursionError, OverflowError) as problem:
            what = str(problem)[:100] or type(problem).__name__
            raise StoreError(f"the registry is damaged: a {read.__name__} in it can't be read ({what})") from None

    return reading


@_strict
def version(row: Row) -> Version:
    """A row of `versions`. Raises `StoreError`."""
    name, number, digest, paths, path, layout, source, bases, stage, added, added_by, changes = row
    return Version(
        name=_text(name),
        number=_number(number),
        digest=_hex(digest),
        paths=_hex(paths),
        path=_text(path),
        layout=_text(layout),
        source={_text(key): _text(value) for key, value in _list(json.loads(source))},
        bases=tuple(Base(*(_text(part) for part in one)) for one in _list(json.loads(bases))),
        stage=_text(stage),
        added=_time(added),
        added_by=_text(added_by),
        changes=_number(changes),
    )


def of_version(one: Version) -> Row:
    """The row of a version. Raises `StoreError` for one without a time."""
    if one.added is None:
        raise StoreError(f"{one}: nobody says when it was registered")
    source = _dumped([[key, value] for key, value in one.source.items()])
    bases = _dumped([[base.name, base.relation, base.revision] for base in one.bases])
    return (
        one.name, one.number, one.digest, one.paths, one.path, one.layout, source, bases, one.stage, one.added.isoformat(), one.added_by,
        one.changes,
    )  # fmt: skip


@_strict
def approval(row: Row) -> Approval:
    """A row of `approvals`. Raises `StoreError`."""
    stage, by, at, reason, withdrawn = row
    return Approval(_text(stage), _text(by), _time(at), _text(reason), bool(_number(withdrawn)))


def of_approval(one: Approval) -> Row:
    """The row of an approval."""
    return one.stage, one.by, one.at.isoformat(), one.reason, int(one.withdrawn)


@_strict
def evidence(row: Row) -> Evidence:
    """A row of `evidence`. Raises `StoreError`."""
    type_, payload, signer, names, seen = row
    called = tuple(_text(name) for name in _list(json.loads(names)))
    return Evidence(_text(type_), _hex(payload), _text(signer), called, _time(seen))


def of_evidence(one: Evidence) -> Row:
    """The row of a piece of evidence."""
    return one.type, one.payload, one.signer, _dumped(list(one.names)), one.seen.isoformat()


@_strict
def decision(row: Row, of: Version) -> Decision:
    """A row of `decisions`. Raises `StoreError`."""
    action, stage, path, digest, paths, at, policy, by, entry, checks = row
    return Decision(
        name=of.name,
        stage=_text(stage),
        path=_text(path),
        digest=_hex(digest),
        at=_time(at),
        checks=tuple(_check(one) for one in _list(json.loads(checks))),
        policy=_text(policy),
        by=_text(by),
        number=of.number,
        entry=_number(entry),
        action=_ACTIONS[action],
        paths=_hex(paths),
    )


def of_decision(one: Decision) -> Row:
    """The row of a decision."""
    checks = [[c.id, c.outcome.value, c.reason, c.location.file, c.location.line, c.hint] for c in one.checks]
    return (
        one.action, one.stage, one.path, one.digest, one.paths, one.at.isoformat(), one.policy, one.by, one.entry, _dumped(checks),
    )  # fmt: skip


def _dumped(value: list[Any]) -> str:
    """JSON that can be read again: texts without halves of characters, and none that is longer than anybody reads."""
    return json.dumps(_clean(value))


def _clean(value: Any) -> Any:
    if isinstance(value, list):
        return [_clean(one) for one in value[:_MOST]]
    return value.encode("utf-8", "replace").decode()[:_LONGEST] if isinstance(value, str) else value


def _check(row: Any) -> Check:
    id, outcome, reason, file, line, hint = row
    return Check(_text(id), Outcome(outcome), _text(reason), Location(_text(file), _number(line)), _text(hint))


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError("text expected")
    value.encode()
    return value


def _number(value: Any) -> int:
    if not isinstance(value, int) or value < 0:
        raise TypeError("number expected")
    return value


def _list(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise TypeError("list expected")
    return value


def _hex(value: Any) -> str:
    """A digest, or ''."""
    text = _text(value)
    if text and (len(text) != 64 or set(text) - set("0123456789abcdef")):
        raise ValueError("digest expected")
    return text


def _time(value: Any) -> datetime:
    found = datetime.fromisoformat(_text(value))
    if found.tzinfo is None:
        raise ValueError("a time without its zone")
    return found
