# SPDX-License-Identifier: Apache-2.0
"""`bastide guard mcp`: a local server in the client's configuration, guarded by the plan."""

from __future__ import annotations

import asyncio
import subprocess
import sys

import pytest
from mcp import Client
from mcp.client.stdio import StdioServerParameters

from tests.guard.mcp.test_stdio import BARE, ROOT

pytestmark = pytest.mark.slow
COMMAND = [sys.executable, "-m", "tests.guard.mcp.command"]


def test_guarded() -> None:
    """The engine decides: what the plan doesn't let the agent do without a person is a result that says so."""

    async def talk() -> None:
        arguments = [
            *COMMAND[1:],
            "--server",
            "crm",
            "--agent",
            "assistant",
            "--user",
            "ann",
            "--actor",
            "customer",
            "--",
            *BARE,
        ]
        parameters = StdioServerParameters(command=COMMAND[0], args=arguments, cwd=ROOT)
        async with Client(parameters, mode="legacy") as client:
            assert [tool.name for tool in (await client.list_tools()).tools] == ["echo"]
            refused = await client.call_tool("echo", {})
            assert refused.is_error
            assert refused.meta is not None
            assert refused.meta["bastide/refusal"]["approval"].startswith("apr_")

    asyncio.run(talk())


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["--server", "none"], "no local MCP server"),
        (["--", "program"], "--server"),
        (["--server", "crm", "--agent", "asistant", "--", "program"], "did you mean `assistant`"),
        (["--server", "crm", "--agent", "assistant", "--", "no-such-program-here"], "can't be started"),
    ],
)
def test_wrong(arguments: list[str], why: str) -> None:
    """A wrong call is one clear message on stderr, and nothing on stdout, which belongs to the client."""
    done = subprocess.run(
        [*COMMAND, *arguments],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 2
    assert why in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
