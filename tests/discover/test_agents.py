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
    assert (found["package-runner"], found["pinned"]) == ("npx", pinned)


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
    kinds = sorted(
        (c.kind, c.name) for c in system.components.values() if c.kind.startswith(("ai.agent", "ai.tool", "data"))
    )
    assert kinds == [("ai.agent", "a"), ("ai.tool", "handbook"), ("data.vector-store", "store")]
    assert {"store->look:retrieves", "a->look:invokes"} <= {str(flow.id) for flow in system.flows}
    assert "app->store:writes" in {str(flow.id) for flow in system.flows}


def flows(folder: Path, files: dict[str, str]) -> dict[str, str]:
    for name, code in files.items():
        (folder / name).write_text(code)
    return {str(flow.id): f"{flow.provenance[0].file}:{flow.provenance[0].line}" for flow in discover(folder).flows}


AGENT = "from langchain.agents import create_agent\nagent = create_agent('gpt-4o', tools=[])\n"


def test_who_runs_an_agent_of_another_file(tmp_path: Path) -> None:
    api = (
        "from fastapi import FastAPI\nfrom made import agent\napp = FastAPI()\n@app.post('/ask')\n"
        "def ask(q: str):\n    return agent.invoke({'messages': [q]})\n"
    )
    found = flows(tmp_path, {"made.py": AGENT, "app.py": api})
    assert found["app->agent:calls"] == "app.py:6"


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (
            "from langchain_openai import ChatOpenAI\nllm = ChatOpenAI(model='gpt-4o')\nprint(llm.invoke('hi'))\n",
            "->llm:calls",
        ),
        (
            "from langchain_openai import ChatOpenAI\nfrom langchain_core.prompts import ChatPromptTemplate\n"
            "llm = ChatOpenAI(model='gpt-4o')\nchain = ChatPromptTemplate.from_template('{q}') | llm\nchain.invoke({'q': 'hi'})\n",
            "->llm:calls",
        ),
        (
            "from agents import Agent, Runner\nhelper = Agent(name='helper')\nRunner.run_sync(helper, 'hi')\n",
            "helper:calls",
        ),
        ("from pydantic_ai import Agent\nhelper = Agent('openai:gpt-4o')\nhelper.run_sync('hi')\n", "helper:calls"),
    ],
)
def test_what_runs_is_called(tmp_path: Path, code: str, expected: str) -> None:
    assert any(i.endswith(expected) for i in flows(tmp_path, {"main.py": code}))


def test_a_chain_brings_the_store_to_who_runs_it(tmp_path: Path) -> None:
    code = (
        "from langchain_chroma import Chroma\nfrom langchain_openai import ChatOpenAI\n"
        "from langchain_core.prompts import ChatPromptTemplate\nstore = Chroma(persist_directory='./db')\nfound = store.as_retriever()\n"
        "llm = ChatOpenAI(model='gpt-4o')\nchain = {'c': found} | ChatPromptTemplate.from_template('{c}') | llm\n"
        "def ask(q):\n    return chain.invoke(q)\n"
    )
    found = flows(tmp_path, {"main.py": code})
    assert any(i.startswith("store->") and i.endswith(":retrieves") for i in found)


def test_a_search_of_a_store(tmp_path: Path) -> None:
    code = (
        "from langchain_chroma import Chroma\nstore = Chroma(persist_directory='./db')\n"
        "def look(q):\n    return store.similarity_search(q, k=4)\n"
    )
    found = flows(tmp_path, {"main.py": code})
    assert any(i.startswith("store->") and i.endswith(":retrieves") for i in found)


def test_a_file_without_use_of_it_calls_nothing(tmp_path: Path) -> None:
    found = flows(
        tmp_path, {"made.py": AGENT, "app.py": "import made_elsewhere\nagent = object()\nagent.invoke('hi')\n"}
    )
    assert not any(i.endswith("->agent:calls") for i in found)


@pytest.mark.parametrize(
    ("code", "fails"),
    [
        ("def add(a: int, b: int): return a + b", False),
        ("def weather(city: str): return requests.get('https://api.example.com/' + city).text", False),
        ("def refund(order: str): requests.post('https://api.example.com/refund', json=order)", True),
        ("def tidy(path: str): os.remove(path)", True),
    ],
)
def test_only_tools_whose_effect_is_lasting_need_a_person(tmp_path: Path, code: str, fails: bool) -> None:
    (tmp_path / "main.py").write_text(
        f"import os, requests\nfrom agents import Agent, function_tool\n@function_tool\n{code}\n"
        f"agent = Agent(name='a', tools=[{code[4:].partition('(')[0]}])\n"
    )
    found = {w.expectation for w in discover(tmp_path).weaknesses if w.state == "fail"}
    assert ("agency/tool-without-approval" in found) is fails
