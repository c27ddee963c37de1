# SPDX-License-Identifier: Apache-2.0
"""What holds for budgets wherever they are counted."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Awaitable, Callable
from itertools import count
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bastide.errors import OverLimit, Unavailable
from bastide.guard.limits.local import LocalLimits
from bastide.guard.limits.shared import SharedLimits
from bastide.guard.model import Caller
from bastide.guard.settings import Budget
from tests.guard.limits.conftest import free_port, start_redis

ANN = Caller("assistant", user="ann", team="support", tenant="acme", key="k1")
BOB = Caller("assistant", user="bob", team="support", tenant="acme", key="k1")
_FRESH = count()


class Clock:
    """A clock that moves when it is told to."""

    def __init__(self, now: float = 1_000_000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


class Bench:
    """Runs a test against one implementation."""

    def __init__(self, port: int | None) -> None:
        self._port = port

    def run(self, budgets: list[Budget], test: Callable[[Any, Clock], Awaitable[None]]) -> None:
        async def go() -> None:
            # Far from any other test, so that one Redis serves all.
            clock = Clock(1_000_000.0 + 10_000_000 * next(_FRESH))
            if self._port is None:
                await test(LocalLimits(budgets, clock), clock)
                return
            limits = SharedLimits(budgets, f"redis://127.0.0.1:{self._port}", clock)
            try:
                await test(limits, clock)
            finally:
                await limits.close()

        asyncio.run(go())


@pytest.fixture(params=["memory", "redis"])
def bench(request: pytest.FixtureRequest) -> Bench:
    return Bench(None if request.param == "memory" else request.getfixturevalue("redis_port"))


async def refused(limits: Any, caller: Caller, tokens: int = 0, cost: float = 0.0) -> OverLimit:
    with pytest.raises(OverLimit) as caught:
        await limits.reserve(caller, tokens, cost)
    return caught.value


def test_a_budget_is_used_up_and_comes_back(bench: Bench) -> None:
    """After the limit, calls are refused with the seconds to wait; waiting that long is enough."""

    async def test(limits: Any, clock: Clock) -> None:
        for _ in range(3):
            await limits.reserve(ANN, 0, 0)
        error = await refused(limits, ANN)
        assert (error.details["per"], error.details["measure"], error.code) == ("user", "requests", "over_budget")
        assert 60 <= error.retry_after <= 60 * 17 / 16
        clock.now += error.retry_after - 0.01
        await refused(limits, ANN)
        clock.now += 0.02
        await limits.reserve(ANN, 0, 0)

    bench.run([Budget("user", 60, requests=3)], test)


def test_each_has_its_own(bench: Bench) -> None:
    """One user's use is nothing of another's; a user of the same name in another tenant is somebody else."""

    async def test(limits: Any, clock: Clock) -> None:
        await limits.reserve(ANN, 0, 0)
        await refused(limits, ANN)
        await limits.reserve(BOB, 0, 0)
        await limits.reserve(Caller("assistant", user="ann", tenant="other"), 0, 0)

    bench.run([Budget("user", 60, requests=1)], test)


def test_only(bench: Bench) -> None:
    """A budget for one team is not applied to others."""

    async def test(limits: Any, clock: Clock) -> None:
        await limits.reserve(ANN, 0, 0)
        await refused(limits, ANN)
        for _ in range(3):
            await limits.reserve(Caller("assistant", team="sales"), 0, 0)

    bench.run([Budget("team", 60, requests=1, only="support")], test)


def test_a_refusal_takes_from_none(bench: Bench) -> None:
    """What the last budget refuses is not taken from the first ones."""

    async def test(limits: Any, clock: Clock) -> None:
        for _ in range(5):
            error = await refused(limits, ANN, cost=2.0)
            assert (error.details["per"], error.retry_after) == ("all", 0.0)
        await limits.reserve(ANN, 100, 1.0)
        assert (await refused(limits, ANN)).details["per"] == "user"

    bench.run([Budget("user", 60, requests=1), Budget("agent", 60, tokens=100), Budget("all", 60, cost=1.5)], test)


def test_settling_gives_back(bench: Bench) -> None:
    """What was reserved and not used is free again; settling twice changes nothing."""

    async def test(limits: Any, clock: Clock) -> None:
        first = await limits.reserve(ANN, 90, 0)
        await refused(limits, ANN, 20)
        await limits.settle(first, 30, 0)
        await limits.settle(first, 0, 0)
        await limits.reserve(ANN, 70, 0)
        await refused(limits, ANN, 1)

    bench.run([Budget("user", 60, tokens=100)], test)


def test_more_than_was_reserved_counts(bench: Bench) -> None:
    """Use beyond the reservation counts from when it is known, also when the reservation has left the window."""

    async def test(limits: Any, clock: Clock) -> None:
        first = await limits.reserve(ANN, 10, 0)
        clock.now += 300
        await limits.settle(first, 110, 0)
        assert (await refused(limits, ANN, 1)).retry_after > 0
        clock.now += 64
        await limits.reserve(ANN, 100, 0)

    bench.run([Budget("user", 60, tokens=100)], test)


def test_less_than_nothing_is_nothing(bench: Bench) -> None:
    """Who asks for a negative or an absurd number of tokens gets no credit for it."""

    async def test(limits: Any, clock: Clock) -> None:
        taken = await limits.reserve(ANN, -(10**6), 0)
        await limits.settle(taken, -(10**6), 0)
        assert (await refused(limits, ANN, 10**40)).retry_after == 0.0
        await limits.reserve(ANN, 100, 0)
        await refused(limits, ANN, 1)

    bench.run([Budget("user", 60, tokens=100)], test)


def test_small_costs_add_up(bench: Bench) -> None:
    """A tenth ten times is one: nothing is lost in rounding."""

    async def test(limits: Any, clock: Clock) -> None:
        for _ in range(10):
            await limits.reserve(ANN, 0, 0.1)
        await refused(limits, ANN, cost=0.000001)

    bench.run([Budget("user", 60, cost=1.0)], test)


def test_many_at_once(bench: Bench) -> None:
    """Of a hundred concurrent calls exactly as many pass as the limit says."""

    async def test(limits: Any, clock: Clock) -> None:
        results = await asyncio.gather(*(limits.reserve(ANN, 0, 0) for _ in range(100)), return_exceptions=True)
        assert sum(not isinstance(r, OverLimit) for r in results) == 37

    bench.run([Budget("user", 60, requests=37)], test)


steps = st.lists(
    st.tuples(st.floats(0, 40), st.integers(0, 60), st.integers(0, 60), st.booleans()), min_size=1, max_size=40
)


@pytest.mark.parametrize("where", ["memory", pytest.param("redis", marks=pytest.mark.slow)])
def test_no_window_holds_more_than_its_limit(where: str, request: pytest.FixtureRequest) -> None:
    """However calls, refusals, settlements and time interleave, no window of the length ever holds more than the limit."""
    bench = Bench(None if where == "memory" else request.getfixturevalue("redis_port"))

    @settings(max_examples=200 if where == "memory" else 40)
    @given(steps)
    def law(steps: list[tuple[float, int, int, bool]]) -> None:
        async def test(limits: Any, clock: Clock) -> None:
            used: list[tuple[float, int]] = []
            for pause, reserve, use, settle in steps:
                clock.now += pause
                try:
                    taken = await limits.reserve(ANN, reserve, 0)
                except OverLimit:
                    continue
                spent = min(use, reserve) if settle else reserve
                used.append((clock.now, spent))
                if settle:
                    await limits.settle(taken, spent, 0)
            for end, _ in used:
                inside = [spent for moment, spent in used if end - 60 < moment <= end]
                assert sum(inside) <= 100
                assert len(inside) <= 8

        bench.run([Budget("user", 60, requests=8, tokens=100)], test)

    law()


def test_both_agree(redis_port: int) -> None:
    """Memory and Redis decide the same about the same calls, and say the same about how long to wait."""
    budgets = [Budget("user", 10, requests=4, tokens=50), Budget("team", 30, cost=1.0)]
    said: list[list[object]] = []

    async def test(limits: Any, clock: Clock) -> None:
        answers: list[object] = []
        for n in range(80):
            clock.now += (n * 7 % 5) * 0.7
            try:
                taken = await limits.reserve(ANN if n % 3 else BOB, n * 13 % 30, (n % 4) * 0.07)
                answers.append(True)
                if n % 2:
                    await limits.settle(taken, n * 5 % 20, 0.01)
            except OverLimit as error:
                answers.append((error.details["per"], error.details["measure"], error.retry_after))
        said.append(answers)

    Bench(None).run(budgets, test)
    Bench(redis_port).run(budgets, test)
    for memory, shared in zip(*said, strict=True):
        if isinstance(memory, tuple) and isinstance(shared, tuple):
            assert memory[:2] == shared[:2]
            assert abs(memory[2] - shared[2]) < 0.01
        else:
            assert memory == shared
    assert {True} < set(said[0])


def test_memory_is_bounded() -> None:
    """Counters of callers that are gone are dropped; too many at a time are refused, not uncounted."""

    async def test() -> None:
        clock = Clock()
        limits = LocalLimits([Budget("user", 10, requests=5)], clock, counters=100)
        for n in range(100):
            await limits.reserve(Caller("assistant", user=f"u{n}"), 0, 0)
        with pytest.raises(Unavailable):
            await limits.reserve(ANN, 0, 0)
        clock.now += 20
        await limits.reserve(ANN, 0, 0)
        assert len(limits) < 100

    asyncio.run(test())


def test_without_budgets_nothing_is_counted() -> None:
    """No budget, no limit, no Redis needed."""

    async def test() -> None:
        limits = SharedLimits([], "redis://127.0.0.1:1")
        await limits.settle(await limits.reserve(ANN, 10**9, 1e6), 1, 1)
        await limits.close()

    asyncio.run(test())


def test_redis_gone(tmp_path: Any) -> None:
    """Without the Redis calls are refused, settling is no error, and when it is back it goes on by itself."""
    if not shutil.which("redis-server"):
        pytest.skip("no redis-server on this machine")
    port = free_port()

    async def test() -> None:
        limits = SharedLimits([Budget("user", 60, requests=2)], f"redis://127.0.0.1:{port}")
        first = start_redis(tmp_path, port)
        taken = await limits.reserve(ANN, 0, 0)
        first.kill()
        first.wait()
        with pytest.raises(Unavailable) as caught:
            await limits.reserve(ANN, 0, 0)
        assert caught.value.code == "limits_unavailable"
        await limits.settle(taken, 1, 0)
        second = start_redis(tmp_path, port)
        await limits.reserve(ANN, 0, 0)
        await limits.close()
        second.kill()
        second.wait()

    asyncio.run(test())


def test_a_hostile_address() -> None:
    """An address that makes no sense is said without repeating it: it may hold a password."""
    with pytest.raises(Unavailable) as caught:
        SharedLimits([], "http://:secret@host")
    assert "secret" not in str(caught.value)
