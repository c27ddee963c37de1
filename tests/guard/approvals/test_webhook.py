# SPDX-License-Identifier: Apache-2.0
"""The webhook that tells people."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable

import pytest
from aiohttp import web

from bastide.errors import SettingsError
from bastide.guard.approvals.store import ApprovalStore
from bastide.guard.approvals.webhook import ATTEMPTS, Webhook, signature
from tests.guard.approvals.build import ASKER, Clock, proposal

Received = list[tuple[dict[str, str], bytes]]


def against(statuses: list[int], test: Callable[[str, Received], Awaitable[None]]) -> Received:
    """Runs a test against a server that answers with these statuses, then 200; what it got."""
    got: Received = []

    async def take(request: web.Request) -> web.Response:
        got.append(({k.lower(): v for k, v in request.headers.items()}, await request.read()))
        return web.Response(status=statuses[len(got) - 1] if len(got) <= len(statuses) else 200)

    async def go() -> None:
        app = web.Application()
        app.router.add_post("/hook", take)
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        try:
            await test(f"http://127.0.0.1:{runner.addresses[0][1]}/hook", got)
        finally:
            await runner.cleanup()

    asyncio.run(go())
    return got


async def ask(url: str, clock: Clock, pauses: list[float]) -> None:
    async def sleep(seconds: float) -> None:
        pauses.append(seconds)
        clock.now += seconds

    hook = Webhook(url, lambda: "s3cret", clock, sleep)
    ApprovalStore(clock=clock, notify=hook).request(ASKER, proposal())
    await hook.drained()
    await hook.close()


def test_signed_and_without_values() -> None:
    """The message is signed with its time, and holds the arguments' names only."""
    [(headers, body)] = against([], lambda url, _: ask(url, Clock(), []))
    assert signature("s3cret", body, Clock().now) == headers["x-bastide-signature"]
    assert ((m := json.loads(body))["arguments"], m["tool"]) == (["amount", "iban", "order_id"], "refund")
    assert m["component"] == "payments"
    assert b"DE0212" not in body


def test_repeated_when_it_is_down() -> None:
    """An error is tried again with growing pauses, each time signed anew, and not for ever."""
    pauses: list[float] = []
    got = against([503, 500], lambda url, _: ask(url, Clock(), pauses))
    assert pauses == [1.0, 2.0]
    assert len({headers["x-bastide-signature"] for headers, _ in got}) == 3
    assert len(against([500] * 20, lambda url, _: ask(url, Clock(), []))) == ATTEMPTS


def test_not_repeated_when_it_is_refused() -> None:
    """A redirect or a refusal is final in so far as the address is wrong; nothing is sent elsewhere."""
    assert len(against([404] * 20, lambda url, _: ask(url, Clock(), []))) == 1


def test_nobody_there() -> None:
    """A webhook that isn't there delays nothing and breaks nothing."""
    pauses: list[float] = []
    asyncio.run(ask("http://127.0.0.1:9/hook", Clock(), pauses))
    assert len(pauses) == ATTEMPTS - 1


def test_no_web_address() -> None:
    """Anything but a web address is an error at the start."""
    with pytest.raises(SettingsError):
        Webhook("file:///etc/passwd")
