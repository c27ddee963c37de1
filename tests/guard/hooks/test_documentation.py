# SPDX-License-Identifier: Apache-2.0
"""The examples of the documentation run as they stand."""

from __future__ import annotations

import ast
import asyncio
import inspect
import re
from pathlib import Path

import pytest
from agents import set_tracing_disabled
from langchain_core.messages import AIMessage
from mcp import Client

from tests.guard.hooks import test_langchain, test_mcp_client, test_openai_agents

ROOT = Path(__file__).resolve().parents[3]
CODE = re.findall(r"```python\n(.*?)```", (ROOT / "docs/guard/library.md").read_text(), re.DOTALL)


def run(code: str, given: dict[str, object]) -> None:
    """Runs code that may await at its top."""
    made = eval(compile(code, "library.md", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT), given)
    if inspect.iscoroutine(made):
        world = test_mcp_client.World()

        async def main() -> None:
            async with Client(world.server) as given["client"]:
                await made

        asyncio.run(main())


@pytest.mark.parametrize("which", range(4))
def test_examples_run(which: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Each example does what it says, with a scripted model."""
    monkeypatch.chdir(ROOT / "examples/support-agent")
    set_tracing_disabled(True)
    models = (
        None,
        test_langchain.Scripted(script=[AIMessage("Hello.")], seen=[]),
        test_openai_agents.Scripted("Hello."),
        None,
    )
    run(CODE[which], {"model": models[which], "tools": []})
    assert "Hello" in capsys.readouterr().out
