# SPDX-License-Identifier: Apache-2.0
"""API keys: only their hashes are known here, and a key is never passed on to anybody.

A key has 256 random bits, so one round of SHA-256 is enough. It is looked up by its hash: how long that takes says nothing about the keys.
"""

from __future__ import annotations

import math
import secrets
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256

from bastide.errors import Diagnostic, SettingsError, Unauthenticated
from bastide.guard.model import CLASSES, Caller
from bastide.guard.settings import ApiKey

PREFIX = "bst_"
LONGEST = 512
"""Characters of a key."""


def new_key() -> tuple[str, str]:
    """A new key and its hash. The key is shown once and kept nowhere."""
    key = PREFIX + secrets.token_urlsafe(32)
    return key, key_hash(key)


def key_hash(key: str) -> str:
    """SHA-256 of the whole key, in hexadecimal."""
    return sha256(key.encode("utf-8", "surrogatepass")).hexdigest()


@dataclass(frozen=True, slots=True)
class KeyHolder:
    """Whose key it is, and when it is good."""

    caller: Caller
    actor: str
    may_name_user: bool
    not_before: float
    """Unix time, as is `expires`."""
    expires: float


class Keys:
    """All keys of the settings. Rotation: two keys with overlapping times."""

    def __init__(self, keys: Iterable[ApiKey]) -> None:
        """Raises `SettingsError` with everything that is wrong with them."""
        self._holders: dict[str, KeyHolder] = {}
        problems: list[Diagnostic] = []
        ids: set[str] = set()
        for key in keys:
            if key.id in ids or key.sha256 in self._holders:
                problems.append(Diagnostic(f"the key `{key.id}` is there twice, by its id or its hash", key.location))
            ids.add(key.id)
            wrong = [Diagnostic(f"the key `{key.id}`: {why}", key.location) for _, why in faults(key)]
            if not wrong:
                self._holders[key.sha256] = _holder(key)
            problems += wrong
        if problems:
            raise SettingsError(problems)

    def find(self, key: str, now: float) -> KeyHolder:
        """Whose key it is. Raises `Unauthenticated`, with the same words for an unknown, an early and an expired one."""
        if len(key) <= LONGEST:
            holder = self._holders.get(key_hash(key))
            if holder is not None and holder.not_before <= now < holder.expires:
                return holder
        raise Unauthenticated("the API key is not valid", code="invalid_api_key")


def faults(key: ApiKey) -> Iterator[tuple[str, str]]:
    """What makes no sense in a key: the field, and why."""
    if key.clearance not in CLASSES:
        yield "clearance", f"`{key.clearance}` is no class; known: {', '.join(CLASSES)}"
    if key.user and key.may_name_user:
        yield "may_name_user", "it has a fixed user, so it can't name one too"
    times = {"not_before": key.not_before, "expires": key.expires}
    moments = {field: _moment(text) for field, text in times.items() if text}
    for field, moment in moments.items():
        if moment is None:
            yield field, f"`{times[field][:40]}` is no ISO date, such as 2027-06-30"
    first, last = moments.get("not_before"), moments.get("expires")
    if first is not None and last is not None and last <= first:
        yield "expires", f"it expires at {key.expires}, before it is good at {key.not_before}"


def _holder(key: ApiKey) -> KeyHolder:
    caller = Caller(
        agent=key.agent,
        user=key.user,
        actor=key.actor if key.user else "",
        tenant=key.tenant,
        team=key.team,
        key=key.id,
        scopes=key.scopes,
        purpose=key.purpose,
        clearance=CLASSES.index(key.clearance),
        roles=key.roles,
    )
    expires = _moment(key.expires)
    return KeyHolder(
        caller, key.actor, key.may_name_user, _moment(key.not_before) or 0.0, math.inf if expires is None else expires
    )


def _moment(text: str) -> float | None:
    """Unix time of an ISO date or moment, UTC where it names no zone; None for what is none."""
    try:
        moment = datetime.fromisoformat(text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None
