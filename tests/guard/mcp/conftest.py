# SPDX-License-Identifier: Apache-2.0
"""Servers that the tests of a module share: they take longer to start than most tests."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import aiohttp
import pytest

from bastide.guard.mcp.book import Book
from bastide.guard.mcp.http import Limits
from bastide.guard.settings import Bounds, McpServer, Secret
from tests.guard.mcp.fakes import FakeGate, ProxyApp, serving
from tests.guard.mcp.talk import Caller, Run, Test, Upstream


@pytest.fixture(scope="module")
def world() -> Iterator[tuple[Upstream, ProxyApp, str, str]]:
    upstream = Upstream()
    app = ProxyApp(FakeGate(), McpServer("crm"))
    with serving(upstream) as address, serving(app) as url:
        yield upstream, app, address, url


@pytest.fixture
def run(world: tuple[Upstream, ProxyApp, str, str]) -> Run:
    """Runs a test against servers that remember nothing of the test before."""
    upstream, app, address, url = world
    upstream.reset()

    def go(test: Test, book: Book | None = None, timeout: float = 0.5) -> FakeGate:
        gate = FakeGate()
        server = McpServer("crm", url=address + "/mcp", key=Secret(env="X"), timeout=timeout)
        app.set(gate, server, book, Limits(Bounds(body=20_000, reply=50_000), keep_alive=0.05))

        async def with_client() -> None:
            async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as http:
                await test(Caller(http, url), upstream, app)

        asyncio.run(with_client())
        return gate

    return go
