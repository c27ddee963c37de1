# SPDX-License-Identifier: Apache-2.0
"""Local stdio servers over the guard's HTTP, with the official client and server."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from mcp import Client
from mcp.types import ElicitResult

from bastide.guard.mcp.http import Limits
from bastide.guard.settings import McpServer
from tests.guard.mcp.fakes import FakeGate, ProxyApp, serving
from tests.guard.mcp.test_stdio import BARE, LOCAL, ROOT

pytestmark = pytest.mark.slow
LOCAL_HERE = (
    sys.executable,
    "-c",
    f"import sys; sys.path.insert(0, {str(ROOT)!r}); from {LOCAL[-1]} import server; server.run('stdio')",
)


@contextlib.contextmanager
def guarded(command: tuple[str, ...], **options: Any) -> Iterator[tuple[str, FakeGate]]:
    gate = FakeGate(denied=["refund"])
    app = ProxyApp(gate, McpServer("local", command=command, **options), limits=Limits(keep_alive=0.1))
    with serving(app) as url:
        yield url, gate


@pytest.mark.parametrize("mode", ["legacy", "auto"])
def test_official(mode: Any) -> None:
    """A local server is reached over HTTP by an unchanged client, many calls at a time."""

    async def talk(url: str) -> None:
        async with Client(url, mode=mode) as client:
            assert "greet" in {tool.name for tool in (await client.list_tools()).tools}
            calls = [client.call_tool("greet", {"name": f"n{i}"}) for i in range(8)]
            found = [r.content[0].text for r in await asyncio.gather(*calls)]  # type: ignore[union-attr]
            assert found == [f"hello n{i} [redacted]" for i in range(8)]
            assert (await client.call_tool("die", {})).is_error

    with guarded(LOCAL_HERE) as (url, _):
        asyncio.run(talk(url))


def test_elicitation() -> None:
    """A question that the settings allow comes on the session's stream, and its answer finds the way back."""

    async def answer(context: Any, params: Any) -> ElicitResult:
        return ElicitResult(action="accept", content={"text": params.message})

    async def talk(url: str) -> str:
        async with Client(url, mode="legacy", elicitation_callback=answer) as client:
            return (await client.call_tool("ask", {})).content[0].text  # type: ignore[union-attr]

    with guarded(LOCAL_HERE, client_requests=("elicitation",)) as (url, _):
        assert "[redacted] name?" in asyncio.run(talk(url))


def test_silent() -> None:
    """A server that doesn't answer in time is an error that says so; the next call works."""

    async def talk(url: str) -> None:
        async with Client(url, mode="legacy") as client:
            result = await client.call_tool("echo", {})
            assert "in time" in result.content[0].text  # type: ignore[union-attr]
            assert len((await client.list_tools()).tools) == 1

    with guarded((*BARE, "silent"), timeout=0.3) as (url, _):
        asyncio.run(talk(url))


def test_no_such_program() -> None:
    """A server that can't be started is an error, not a session."""

    async def talk(url: str) -> None:
        async with Client(url, mode="legacy") as client:
            await client.list_tools()

    with guarded(("no-such-program-here",)) as (url, _), pytest.raises(Exception, match=r"can't be started|unhandled"):
        asyncio.run(talk(url))
