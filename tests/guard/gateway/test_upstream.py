# SPDX-License-Identifier: Apache-2.0
"""Calling providers when they fail."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

import pytest

from bastide.errors import GuardError, OverLimit, UpstreamError
from bastide.guard.gateway.upstream import Attempt, Upstreams
from bastide.guard.model import Effect, Ruling
from bastide.guard.settings import ModelRoute, Provider
from tests.guard.gateway.fake import STREAM_HEAD, Clock, FakeProvider, answer, chunk

OK = [answer({"ok": True})]


def attempt(fake: FakeProvider | str, component: str = "llm", **times: float) -> Attempt:
    """A call of a provider with short times."""
    limits = {"connect_timeout": 1.0, "first_byte_timeout": 0.2, "idle_timeout": 0.2, "total_timeout": 5.0} | times
    url = fake if isinstance(fake, str) else fake.url
    provider = Provider(url=url, **limits)
    route = ModelRoute(component, (component,), (provider,))
    return Attempt(route, Ruling(Effect.ALLOW, ""), provider, "/v1/chat", b"{}", {"authorization": "Bearer x"})


def calling(fakes: list[FakeProvider], test: Callable[[Upstreams], Awaitable[Any]]) -> Any:
    """Runs a test with providers and a pool."""

    async def run() -> Any:
        pool = Upstreams(pause=0.0)
        async with AsyncExitStack() as stack:
            for fake in fakes:
                await stack.enter_async_context(fake.running())
            stack.push_async_callback(pool.close)
            return await test(pool)

    return asyncio.run(run())


def test_an_answer_is_read_whole() -> None:
    """The usual case: one call, one answer."""
    fake = FakeProvider(OK)

    async def test(pool: Upstreams) -> bytes:
        async with await pool.call([attempt(fake)], repeatable=False) as got:
            return await got.read(1000)

    assert calling([fake], test) == b'{"ok": true}'
    assert len(fake.requests) == 1


@pytest.mark.parametrize(
    ("first", "repeatable", "calls"),
    [
        ([answer({}, 503)], False, 2),
        ([answer({}, 429)], False, 2),
        ([answer({}, 500)], True, 2),
        ([None], True, 2),
        ([1.0], True, 2),
    ],
)
def test_what_had_no_effect_is_repeated_once(first: list[Any], repeatable: bool, calls: int) -> None:
    """A provider that did not take the request gets it again; one that may have acted only when nothing in it acts."""
    fake = FakeProvider(first, OK)

    async def test(pool: Upstreams) -> int:
        async with await pool.call([attempt(fake)], repeatable) as got:
            return got.status

    assert calling([fake], test) == 200
    assert len(fake.requests) == calls


@pytest.mark.parametrize("first", [[None], [1.0]])
def test_what_may_have_acted_is_never_repeated(first: list[Any]) -> None:
    """After a broken or silent connection nobody knows whether the provider acted, so the call isn't made again anywhere."""
    fake, other = FakeProvider(first, OK), FakeProvider(OK)

    async def test(pool: Upstreams) -> None:
        with pytest.raises(UpstreamError):
            await pool.call([attempt(fake), attempt(other)], repeatable=False)

    calling([fake, other], test)
    assert (len(fake.requests), len(other.requests)) == (1, 0)


def test_a_dead_provider_is_passed_over() -> None:
    """When no connection can be made, the next provider is asked, whatever the request is."""
    other = FakeProvider(OK)

    async def test(pool: Upstreams) -> str:
        async with await pool.call([attempt("http://127.0.0.1:9", "dead"), attempt(other, "b")], False) as got:
            return got.attempt.route.component

    assert calling([other], test) == "b"


def test_the_providers_rate_limit_reaches_the_caller() -> None:
    """429 with its waiting time is an answer the client's own retry understands."""
    fake = FakeProvider([answer({}, 429, "retry-after: 7\r\n")])

    async def test(pool: Upstreams) -> OverLimit:
        with pytest.raises(OverLimit) as caught:
            await pool.call([attempt(fake)], False)
        return caught.value

    assert calling([fake], test).retry_after == 7


def test_redirects_are_not_followed() -> None:
    """A redirect would carry prompts and the credential to an address that nobody configured."""
    fake = FakeProvider([answer({}, 307, "location: http://127.0.0.1:9/\r\n")])

    async def test(pool: Upstreams) -> str:
        with pytest.raises(UpstreamError) as caught:
            await pool.call([attempt(fake)], False)
        return caught.value.code

    assert calling([fake], test) == "upstream_redirect"


@pytest.mark.parametrize(
    ("script", "code"),
    [
        ([STREAM_HEAD, chunk(b"abc"), None], "upstream_broken"),
        ([STREAM_HEAD, chunk(b"abc"), 1.0], "upstream_timeout"),
        ([STREAM_HEAD, *[chunk(b"x" * 1000)] * 20], "upstream_too_large"),
    ],
)
def test_a_half_answer_is_an_error(script: list[Any], code: str) -> None:
    """An answer that breaks off, falls silent or never ends is never taken for a whole one."""
    fake = FakeProvider(script)

    async def test(pool: Upstreams) -> str:
        async with await pool.call([attempt(fake)], False) as got:
            with pytest.raises(UpstreamError) as caught:
                await got.read(10_000)
            return caught.value.code

    assert calling([fake], test) == code


def test_a_provider_that_keeps_failing_is_left_alone() -> None:
    """After five failures it is not called until the pause is over, then by one call alone."""
    clock = Clock()
    fake = FakeProvider(*[[answer({}, 503)]] * 6, OK)

    async def run() -> None:
        pool = Upstreams(clock, pause=0.0)
        async with fake.running():
            codes = []
            for _ in range(4):
                with pytest.raises(GuardError) as caught:
                    await pool.call([attempt(fake)], False)
                codes.append(caught.value.code)
            assert len(fake.requests) == 5
            assert codes[-1] == "upstream_unavailable"
            clock.now += 6
            with pytest.raises(GuardError):
                await pool.call([attempt(fake)], False)
            assert len(fake.requests) == 6, "one trial, which failed"
            clock.now += 11
            async with await pool.call([attempt(fake)], False) as got:
                assert got.status == 200
            assert set(pool.states().values()) == {"closed"}
        await pool.close()

    asyncio.run(run())
