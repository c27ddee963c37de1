# SPDX-License-Identifier: Apache-2.0
"""What agents in Python may do: servers that are fetched, effects of tools, and who is asked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bastide.discover.discover import discover


def facts(folder: Path, code: str, kind: str) -> dict[str, Any]:
    (folder / "app.py").write_text(code)
    [found] = [c for c in discover(folder).components.values() if c.kind == kind]
    return {name: fact.value for name, fact in found.facts.items()}


SERVERS = {
    "params": "from agents import Agent\nfrom agents.mcp import MCPServerStdio\n"
    'a = Agent(name="a", mcp_servers=[MCPServerStdio(params={"command": "npx", "args": ["-y", PACKAGE]})])\n',
    "arguments": "from pydantic_ai import Agent\nfrom pydantic_ai.mcp import MCPServerStdio\n"
    'a = Agent("openai:gpt-4o", toolsets=[MCPServerStdio("npx", args=["-y", PACKAGE])])\n',
    "several": "from langchain_mcp_adapters.client import MultiServerMCPClient\nfrom langchain.agents import create_agent\n"
    'c = MultiServerMCPClient({"files": {"command": "npx", "args": ["-y", PACKAGE]}})\na = create_agent("gpt-4o", c.get_tools())\n',
}


@pytest.mark.parametrize("form", SERVERS)
@pytest.mark.parametrize(
    ("package", "pinned"), [("@acme/files", False), ("@acme/files@1.2.3", True), ("@acme/files@latest", False)]
)
def test_a_server_that_is_fetched(tmp_path: Path, form: str, package: str, pinned: bool) -> None:
    found = facts(tmp_path, SERVERS[form].replace("PACKAGE", f'"{package}"'), "ai.mcp-server")
    assert (found["package-runner"], found["pinned"]) == ("package", pinned)


@pytest.mark.parametrize(
    ("call", "effect"),
    [
        ('boto3.client("s3").delete_object(Bucket="b", Key=k)', "irreversible"),
        ('requests.post("https://a.test", json=k)', "reversible"),
        ('requests.get("https://a.test")', "read"),
        ("len(k)", None),
    ],
)
def test_a_tool_does_what_its_body_calls(tmp_path: Path, call: str, effect: str | None) -> None:
    head = "import boto3, requests\nfrom agents import Agent, function_tool\n@function_tool\n"
    code = f"{head}def do(k: str) -> str:\n    return {call}\na = Agent(name='a', tools=[do])\n"
    assert facts(tmp_path, code, "ai.tool").get("side-effect") == effect


@pytest.mark.parametrize(
    ("decorator", "approval"), [("function_tool", "none"), ("function_tool(needs_approval=True)", "human")]
)
def test_who_is_asked(tmp_path: Path, decorator: str, approval: str) -> None:
    code = f"from agents import Agent, function_tool\n@{decorator}\ndef do(k: str) -> str:\n    return k\na = Agent(name='a', tools=[do])\n"
    assert facts(tmp_path, code, "ai.tool").get("approval") == approval


def test_a_retriever_is_its_store(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(
        "from langchain_chroma import Chroma\nfrom langchain.agents import create_agent\n"
        "from langchain_core.tools import create_retriever_tool\nstore = Chroma(persist_directory='./db')\n"
        "found = store.as_retriever()\nlook = create_retriever_tool(found, 'handbook', 'finds pages')\n"
        "store.add_documents([])\na = create_agent('gpt-4o', tools=[look])\n"
    )
    system = discover(tmp_path)
    kinds = sorted((c.kind, c.name) for c in system.components.values() if c.kind != "ai.model.endpoint")
    assert kinds == [("ai.agent", "a"), ("ai.tool", "handbook"), ("data.vector-store", "store")]
    assert {"store->look:retrieves", "a->look:invokes"} <= {str(flow.id) for flow in system.flows}
