# SPDX-License-Identifier: Apache-2.0
"""Budgets in a Redis, when several guards share them. The same windows as in memory, on the clock of the Redis.

One script does all of a reservation, so two guards never both take the last of a budget. When the Redis can't be reached, calls are refused
(`limits_unavailable`): a budget that nobody counts is no budget. A reservation that can't be settled stays as large as it was taken.
"""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, cast

import redis.asyncio
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from bastide.errors import Unavailable
from bastide.guard.limits.budgets import MEASURES, SLOTS, Budgets, Reservation, amounts_of, over
from bastide.guard.limits.local import differences
from bastide.guard.model import Caller
from bastide.guard.settings import Budget

TIMEOUT = 1.0
"""Seconds for the Redis to answer."""
_PREFIX = "{bastide}:budget:"
"""The braces keep all counters on one node of a cluster, so that one script may use them."""

# A counter is a hash: slot -> "requests tokens cost".
# ARGV: now (ms; '' for the Redis' own clock), slots of a window, needs (3), then per key: length of a slot (ms), limits (3).
_NOW = """
local function clock()
  if ARGV[1] ~= '' then return tonumber(ARGV[1]) end
  local t = redis.call('TIME')
  return t[1] * 1000 + math.floor(t[2] / 1000)
end
local function three(text)
  local a, b, c = string.match(text, '^(%d+) (%d+) (%d+)$')
  return {tonumber(a), tonumber(b), tonumber(c)}
end
local function text(v) return string.format('%.0f %.0f %.0f', v[1], v[2], v[3]) end
local now, span = clock(), tonumber(ARGV[2])
"""
_RESERVE = (
    _NOW
    + """
local needs, current = {tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])}, {}
for i, key in ipairs(KEYS) do
  local at = 5 + (i - 1) * 4
  local length = tonumber(ARGV[at + 1])
  local slot = math.floor(now / length)
  current[i] = slot
  local used, filled, all = {0, 0, 0}, {}, redis.call('HGETALL', key)
  for n = 1, #all, 2 do
    local number = tonumber(all[n])
    if number < slot - span then
      redis.call('HDEL', key, all[n])
    else
      local v = three(all[n + 1])
      filled[#filled + 1] = {number, v}
      for m = 1, 3 do used[m] = used[m] + v[m] end
    end
  end
  for m = 1, 3 do
    local limit = tonumber(ARGV[at + 1 + m])
    local excess = used[m] + needs[m] - limit
    if limit > 0 and excess > 0 then
      if needs[m] > limit then return {i, m, 0} end
      table.sort(filled, function(a, b) return a[1] < b[1] end)
      for _, one in ipairs(filled) do
        excess = excess - one[2][m]
        if excess <= 0 then return {i, m, math.max((one[1] + span + 1) * length - now, 1)} end
      end
    end
  end
end
for i, key in ipairs(KEYS) do
  local length = tonumber(ARGV[5 + (i - 1) * 4 + 1])
  local field = string.format('%.0f', current[i])
  local v = three(redis.call('HGET', key, field) or '0 0 0')
  for m = 1, 3 do v[m] = v[m] + needs[m] end
  redis.call('HSET', key, field, text(v))
  redis.call('PEXPIRE', key, math.ceil(length * (span + 2)))
end
table.insert(current, 1, 0)
return current
"""
)
# ARGV as above with what to give back (3, 0 or less), what was used beyond (3), then per key: slot (ms), the slot in which it was taken.
_SETTLE = (
    _NOW
    + """
local function add(key, field, from, length, may_make)
  local found = redis.call('HGET', key, field)
  if not found and not may_make then return end
  local v = three(found or '0 0 0')
  for m = 1, 3 do v[m] = math.max(v[m] + tonumber(ARGV[from + m]), 0) end
  redis.call('HSET', key, field, text(v))
  redis.call('PEXPIRE', key, math.ceil(length * (span + 2)))
end
for i, key in ipairs(KEYS) do
  local length, slot = tonumber(ARGV[9 + (i - 1) * 2]), ARGV[10 + (i - 1) * 2]
  add(key, slot, 2, length, false)
  if tonumber(ARGV[6]) + tonumber(ARGV[7]) + tonumber(ARGV[8]) > 0 then
    add(key, string.format('%.0f', math.floor(now / length)), 5, length, true)
  end
end
return 0
"""
)


class SharedLimits:
    """`Limits` for several guards. It reconnects by itself."""

    def __init__(self, budgets: Sequence[Budget], url: str, clock: Callable[[], float] | None = None) -> None:
        """Parameters: `url`, such as `redis://127.0.0.1:6379/0` or `rediss://...`; `clock` in seconds, None for the clock of the Redis.

        Raises `Unavailable` when the address makes no sense.
        """
        self._budgets = Budgets(budgets)
        self._clock = clock
        try:
            self._redis = redis.asyncio.Redis.from_url(
                url,
                socket_timeout=TIMEOUT,
                socket_connect_timeout=TIMEOUT,
                # A connection that died unnoticed is replaced; counting a call twice errs on the safe side.
                retry=Retry(NoBackoff(), 1),
            )
        except ValueError:
            raise Unavailable("the address of the Redis can't be read", code="limits_unavailable") from None
        self._reserve = self._redis.register_script(_RESERVE)
        self._settle = self._redis.register_script(_SETTLE)

    async def reserve(self, caller: Caller, tokens: int, cost: float) -> Reservation:
        """Takes from every budget that applies, or from none. Raises `OverLimit`; `Unavailable` when the Redis doesn't answer."""
        claims, amounts = self._budgets.of(caller), amounts_of(tokens, cost)
        if not claims:
            return Reservation((), (), amounts)
        args: list[Any] = [self._now(), SLOTS, *amounts]
        for claim in claims:
            limits = dict(claim.limits)
            args += [claim.slot * 1000, *(limits.get(measure, 0) for measure in range(len(MEASURES)))]
        try:
            answer = await cast(
                "Awaitable[list[int]]", self._reserve(keys=[_PREFIX + c.key for c in claims], args=args)
            )
        except (RedisError, OSError):
            raise Unavailable(
                "the budgets can't be read, so nothing is spent", code="limits_unavailable", retry_after=1
            ) from None
        if answer[0]:
            index, measure, wait = answer
            raise over(claims[index - 1], measure - 1, wait / 1000, amounts[measure - 1])
        return Reservation(claims, tuple(answer[1:]), amounts)

    async def settle(self, reservation: Reservation, tokens: int, cost: float) -> None:
        """Replaces what was reserved by what was used; the second time it does nothing."""
        if reservation.settled or not reservation.claims:
            return
        reservation.settled = True
        back, more = differences(reservation, tokens, cost)
        args: list[Any] = [self._now(), SLOTS, *back, *more]
        for claim, slot in zip(reservation.claims, reservation.slots, strict=True):
            args += [claim.slot * 1000, slot]
        # The answer was paid for and is on its way: it isn't taken back because of the bookkeeping.
        with contextlib.suppress(RedisError, OSError):
            await cast("Awaitable[int]", self._settle(keys=[_PREFIX + c.key for c in reservation.claims], args=args))

    async def close(self) -> None:
        """Closes the connections."""
        await self._redis.aclose()

    def _now(self) -> str:
        return "" if self._clock is None else str(int(self._clock() * 1000))
