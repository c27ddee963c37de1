# SPDX-License-Identifier: Apache-2.0
"""Budgets in the memory of one process."""

from __future__ import annotations

import time
from collections import OrderedDict, deque
from collections.abc import Callable, Sequence

from bastide.errors import Unavailable
from bastide.guard.limits.budgets import SLOTS, Amounts, Budgets, Claim, Reservation, amounts_of, millionths, over
from bastide.guard.model import Caller
from bastide.guard.settings import Budget

COUNTERS = 200_000
"""Counters that are kept; idle ones are dropped first."""


class _Counter:
    """What was used in the slots that reach into the window."""

    __slots__ = ("slots", "totals")

    def __init__(self) -> None:
        self.slots: deque[list[int]] = deque()
        """Number, requests, tokens, cost of each slot with something in it, oldest first."""
        self.totals = [0, 0, 0]

    def forget(self, now: int) -> None:
        """Drops what has left the window that ends in slot `now`."""
        slots = self.slots
        while slots and slots[0][0] < now - SLOTS:
            _, requests, tokens, cost = slots.popleft()
            self._count(-requests, -tokens, -cost)

    def add(self, slot: int, amounts: Amounts) -> None:
        """Adds to a slot, or takes from it; what is no longer there is not taken again."""
        slots = self.slots
        if slots and slots[-1][0] == slot:
            found = slots[-1]
        elif slots and slots[-1][0] > slot:
            earlier = next((one for one in slots if one[0] == slot), None)
            if earlier is None:
                return
            found = earlier
        else:
            found = [slot, 0, 0, 0]
            slots.append(found)
        # Written out: this is done several times for each request.
        requests, tokens, cost = amounts
        found[1] += requests
        found[2] += tokens
        found[3] += cost
        self._count(requests, tokens, cost)

    def _count(self, requests: int, tokens: int, cost: int) -> None:
        totals = self.totals
        totals[0] += requests
        totals[1] += tokens
        totals[2] += cost

    def frees(self, measure: int, needed: int) -> int | None:
        """The slot whose end makes room for `needed` more than fits now; None when that never does."""
        for slot in self.slots:
            needed -= slot[measure + 1]
            if needed <= 0:
                return slot[0]
        return None


class LocalLimits:
    """`Limits` for a guard that runs once. A jump of the wall clock changes nothing: the clock is monotonic."""

    def __init__(
        self, budgets: Sequence[Budget], clock: Callable[[], float] = time.monotonic, counters: int = COUNTERS
    ) -> None:
        self._budgets = Budgets(budgets)
        self._clock = clock
        self._counters: OrderedDict[str, tuple[Claim, _Counter]] = OrderedDict()
        self._most = counters

    def __len__(self) -> int:
        return len(self._counters)

    async def reserve(self, caller: Caller, tokens: int, cost: float) -> Reservation:
        """Takes from every budget that applies, or from none.

        Raises `OverLimit` with the budget that is used up and when it makes sense to try again; `Unavailable` when there are more callers
        in a window than can be counted.
        """
        claims, amounts = self._budgets.of(caller), amounts_of(tokens, cost)
        now = self._clock()
        missing = 0
        for claim in claims:
            found = self._counters.get(claim.key)
            if found is None:
                missing += 1
            else:
                found[1].forget(int(now // claim.slot))
            _check(claim, found[1] if found else _EMPTY, amounts, now)
        if missing:
            self._make_room(missing, now)
        slots = tuple([int(now // claim.slot) for claim in claims])
        for claim, slot in zip(claims, slots, strict=True):
            self._add(claim, slot, amounts)
        return Reservation(claims, slots, amounts)

    async def settle(self, reservation: Reservation, tokens: int, cost: float) -> None:
        """Replaces what was reserved by what was used; the second time it does nothing.

        What was reserved too much is given back where it was taken; what was used beyond it counts from now on.
        """
        if reservation.settled:
            return
        reservation.settled = True
        back, more = differences(reservation, tokens, cost)
        now = self._clock() if any(more) else 0.0
        for claim, slot in zip(reservation.claims, reservation.slots, strict=True):
            # A counter that is gone has nothing left to give back to; one that is over its bound by this is dropped soon enough.
            found = self._counters.get(claim.key)
            if found is not None and any(back):
                found[1].add(slot, back)
            if any(more):
                self._add(claim, int(now // claim.slot), more)

    def _add(self, claim: Claim, slot: int, amounts: Amounts) -> None:
        found = self._counters.get(claim.key)
        if found is None:
            found = self._counters[claim.key] = (claim, _Counter())
        self._counters.move_to_end(claim.key)
        found[1].add(slot, amounts)

    def _make_room(self, count: int, now: float) -> None:
        """Drops idle counters from the long unused end: a few each time, so that it never takes long, or all when it is full."""
        for _ in range(2 * count):
            if not self._counters or not self._idle(next(iter(self._counters)), now):
                break
            self._counters.popitem(last=False)
        if len(self._counters) + count > self._most:
            for key in [key for key in self._counters if self._idle(key, now)]:
                del self._counters[key]
            if len(self._counters) + count > self._most:
                raise Unavailable("more callers than can be counted at a time", code="too_many_callers", retry_after=60)

    def _idle(self, key: str, now: float) -> bool:
        claim, counter = self._counters[key]
        return not counter.slots or counter.slots[-1][0] < int(now // claim.slot) - SLOTS


def differences(reservation: Reservation, tokens: int, cost: float) -> tuple[Amounts, Amounts]:
    """What to give back (0 or less) and what was used beyond the reservation (0 or more)."""
    _, taken, paid = reservation.amounts
    token_change, cost_change = max(tokens, 0) - taken, millionths(cost) - paid
    return (0, min(token_change, 0), min(cost_change, 0)), (0, max(token_change, 0), max(cost_change, 0))


_EMPTY = _Counter()


def _check(claim: Claim, counter: _Counter, amounts: Amounts, now: float) -> None:
    for measure, limit in claim.limits:
        needed = amounts[measure]
        excess = counter.totals[measure] + needed - limit
        if excess > 0:
            slot = counter.frees(measure, excess) if needed <= limit else None
            wait = 0.0 if slot is None else max((slot + SLOTS + 1) * claim.slot - now, 0.001)
            raise over(claim, measure, wait, needed)
