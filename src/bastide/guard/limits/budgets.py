# SPDX-License-Identifier: Apache-2.0
"""Which budgets a call falls under, and what a refusal says.

A window is cut into `SLOTS` slots. What is used is the sum of all slots that reach into the window, the oldest of them whole: so no window,
wherever it begins, ever holds more than its limit. The price is that use is forgotten up to a slot (1/16 of the window) late.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b
from math import ceil

from msgspec import Struct

from bastide.errors import OverLimit
from bastide.guard.model import Caller
from bastide.guard.settings import Budget

SLOTS = 16
"""Slots of a window."""
MILLIONTH = 1_000_000
"""Costs are counted in whole millionths, so that sums are exact."""

Amounts = tuple[int, int, int]
"""Requests, tokens, millionths of cost."""
_MOST_TOKENS = 10**15
MEASURES = ("requests", "tokens", "cost")


class Claim(Struct, frozen=True):
    """One budget that applies to a caller."""

    budget: Budget
    key: str
    """Of its counter: a digest of the budget and of whose it is."""
    slot: float
    """Length of a slot, seconds."""
    limits: tuple[tuple[int, int], ...]
    """Index into `MEASURES`, and how much of it; only what is limited."""


class Reservation(Struct):
    """What was taken, until it is settled."""

    claims: tuple[Claim, ...]
    slots: tuple[int, ...]
    """Number of the slot in which each claim was taken."""
    amounts: Amounts
    settled: bool = False


class Budgets:
    """The budgets of the settings."""

    def __init__(self, budgets: Sequence[Budget]) -> None:
        self._budgets = tuple(budgets)
        self._known: dict[tuple[str, ...], tuple[Claim, ...]] = {}

    def of(self, caller: Caller) -> tuple[Claim, ...]:
        """All that apply to a caller. Callers without a user (a team, a tenant) share one budget of those that are per user."""
        who = (caller.agent, caller.tenant, caller.user, caller.team, caller.key)
        found = self._known.get(who)
        if found is None:
            if len(self._known) >= 10_000:
                self._known.clear()
            claims = (self._claim(number, budget, caller) for number, budget in enumerate(self._budgets))
            found = self._known[who] = tuple(claim for claim in claims if claim is not None)
        return found

    @staticmethod
    def _claim(number: int, budget: Budget, caller: Caller) -> Claim | None:
        name = "" if budget.per == "all" else getattr(caller, budget.per)
        if budget.only and budget.only != name:
            return None
        # A user's name means somebody only within a tenant; so does a team's.
        tenant = caller.tenant if budget.per in ("user", "team") else ""
        parts = (str(number), budget.per, str(budget.window), tenant, name)
        key = blake2b(
            "\0".join(f"{len(p)}:{p}" for p in parts).encode("utf-8", "surrogatepass"), digest_size=16
        ).hexdigest()
        amounts = (budget.requests, budget.tokens, millionths(budget.cost))
        limits = tuple((measure, limit) for measure, limit in enumerate(amounts) if limit)
        return Claim(budget, key, budget.window / SLOTS, limits)


def amounts_of(tokens: int, cost: float) -> Amounts:
    """What one call takes. A client may write any number as what it needs, so less than nothing is nothing."""
    return 1, min(max(tokens, 0), _MOST_TOKENS), millionths(cost)


def millionths(cost: float) -> int:
    """A cost in whole millionths, rounded up. Raises `ValueError` for what is no amount."""
    if not 0 <= cost < 1e12:
        raise ValueError("a cost is a number, 0 or more")
    # Rounded first: 0.1 * 1,000,000 must not become 100,001.
    return ceil(round(cost * MILLIONTH, 3)) if cost else 0


def over(claim: Claim, measure: int, wait: float, needed: int) -> OverLimit:
    """The refusal. `wait` in seconds; 0 when it never fits."""
    budget, name = claim.budget, MEASURES[measure]
    limit = getattr(budget, name)
    whose = "of all callers together" if budget.per == "all" else f"per {budget.per}"
    scale = MILLIONTH if name == "cost" else 1
    if wait <= 0:
        text = (
            f"this call alone needs {needed / scale:g} {name}; the budget {whose} is {limit:g} in {budget.window:g} s"
        )
    else:
        text = f"the budget {whose} of {limit:g} {name} in {budget.window:g} s is used up"
    return OverLimit(
        text,
        code="over_budget",
        retry_after=wait,
        details={"per": budget.per, "measure": name, "limit": limit, "window": budget.window},
    )
