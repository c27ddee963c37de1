# SPDX-License-Identifier: Apache-2.0
"""`bastide guard mcp`: a local server in the client's configuration, guarded by the plan."""

from __future__ import annotations

import asyncio
import contextlib
import json
import subprocess
import sys
from pathlib import Path

import pytest
from mcp import Client
from mcp.client.stdio import StdioServerParameters

from bastide.evidence.ledger import Ledger
from bastide.evidence.parts import parts, verify_all
from bastide.guard.approvals.store import ApprovalStore
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


def test_several_at_once(tmp_path: Path) -> None:
    """Two wrappers beside a guard that has the folder's own log: each serves and logs, people see what both ask, and all of it verifies."""
    settings = tmp_path / "guard.yaml"
    log = tmp_path / "log"
    settings.write_text(
        f"bastide-guard: 1\nplan: {ROOT}/examples/support-agent/bastide.yaml\ncontent: {{classifier: 'off'}}\nlog: {{folder: {log}}}\n"
        f"mcp: {{crm: {{command: {json.dumps(BARE)}}}}}\n"
        "models: {llm: {names: gpt, providers: [{url: 'https://127.0.0.1:9/v1', key: {env: A_KEY_THAT_ONLY_THE_GATEWAY_HAS}}]}}\n"
    )
    words = ["-m", "bastide", "guard", "mcp", "--plan", f"{ROOT}/examples/support-agent/bastide.yaml"]
    words += ["--settings", str(settings), "--agent", "assistant", "--actor", "customer", "--user"]

    async def talk() -> None:
        async with (
            Client(StdioServerParameters(command=sys.executable, args=[*words, "ann"], cwd=ROOT), mode="legacy") as one,
            Client(StdioServerParameters(command=sys.executable, args=[*words, "bo"], cwd=ROOT), mode="legacy") as two,
        ):
            for client in (one, two):
                assert (await client.call_tool("echo", {})).is_error

    with Ledger(log):
        asyncio.run(talk())
    assert [part.name for part in parts(log)] == ["part-1", "part-2"]
    assert [report.state for report in verify_all(log)] == ["whole"] * 3
    with contextlib.closing(ApprovalStore(log / "approvals.sqlite")) as store:
        assert {(one.binding.user, one.binding.component) for one in store.pending()} == {("ann", "crm"), ("bo", "crm")}


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
