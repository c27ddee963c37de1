# SPDX-License-Identifier: Apache-2.0
"""What code of agents does with what: through functions, parameters, lists, decorators and other files."""

from __future__ import annotations

from pathlib import Path

import pytest

from bastide.discover.discover import discover
from bastide.discover.importers import kept
from bastide.discover.importers.python import importer
from bastide.discover.result import Discovery


def found(folder: Path, files: dict[str, str]) -> Discovery:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return discover(folder)


def flows(folder: Path, **files: str) -> set[str]:
    named = {f"{k.replace('__', '/')}.py": v for k, v in files.items()}
    return {f"{f.source}->{f.target}" for f in found(folder, named).flows}


def test_modules_that_import_each_other(tmp_path: Path) -> None:
    one = "from two import agent\nfrom agents import Agent\nhelper = Agent(name='helper', handoffs=[agent])\n"
    two = (
        "import one\nfrom one import helper\nfrom agents import Agent\nagent = Agent(name='agent')\nfrom one import x\n"
    )
    system = found(tmp_path, {"one.py": one, "two.py": two})
    assert {"helper->agent"} == {f"{f.source}->{f.target}" for f in system.flows}
    assert not system.problems


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (  # a tool is the agent's on which it is declared
            "from pydantic_ai import Agent\nclerk = Agent('openai:gpt-4o')\n@clerk.tool\ndef balance(ctx): ...\n",
            "clerk->balance",
        ),
        (  # what a tool calls, the tool calls
            "from pydantic_ai import Agent\nclerk = Agent('openai:gpt-4o')\nother = Agent('openai:gpt-4o')\n"
            "@clerk.tool\nasync def ask(ctx):\n    return await other.run('?')\n",
            "ask->other",
        ),
        (  # also through methods
            "from pydantic_ai import Agent\nfrom fastmcp import FastMCP\nstore = FastMCP('store')\nother = Agent('openai:gpt-4o')\n"
            "class Desk:\n    async def ask(self):\n        return await other.run('?')\n"
            "@store.tool()\nasync def ask():\n    desk = Desk()\n    return await desk.ask()\n",
            "ask->other",
        ),
        (  # who runs an agent is the agent
            "from langchain.agents import AgentExecutor, create_tool_calling_agent\nfrom langchain_openai import ChatOpenAI\n"
            "brain = ChatOpenAI(model='m')\nclerk = create_tool_calling_agent(brain, [], None)\n"
            "runner = AgentExecutor(agent=clerk, tools=[])\nrunner.invoke({})\n",
            "main->clerk",
        ),
        (  # a function that is handed over as a tool
            "from google.adk.agents import Agent\ndef weather(city: str): ...\nclerk = Agent(name='clerk', tools=[weather])\n",
            "clerk->weather",
        ),
        (  # what a function returns
            "from langchain_openai import ChatOpenAI\nfrom langchain.agents import create_agent\n"
            "def make():\n    brain = ChatOpenAI(model='gpt-4o')\n    return brain\nclerk = create_agent(make(), tools=[])\n",
            "clerk->brain",
        ),
        (  # what a function is given
            "from agents import Agent\nfrom agents.mcp import MCPServerStdio\nasync def run(server):\n"
            "    clerk = Agent(name='clerk', mcp_servers=[server])\nasync def main():\n"
            "    async with MCPServerStdio(params={'command': 'uvx', 'args': ['mcp-server-git']}) as s:\n        await run(s)\n",
            "clerk->s",
        ),
        (  # a list that grows, and an attribute of self
            "from agents import Agent, WebSearchTool\nclass Desk:\n    def __init__(self):\n        self.look = WebSearchTool()\n"
            "        tools = []\n        tools.append(self.look)\n        self.clerk = Agent(name='clerk', tools=tools)\n",
            "clerk->look",
        ),
        (  # handed over later, in a wrapper
            "from agents import Agent, handoff\none = Agent(name='one')\ntwo = Agent(name='two')\none.handoffs.append(handoff(agent=two))\n",
            "one->two",
        ),
        (  # an agent as another's tool
            "from agents import Agent\none = Agent(name='one')\ntwo = Agent(name='two')\n"
            "three = one.clone(tools=[two.as_tool(tool_name='t', tool_description='d')])\n",
            "one->two",
        ),
        (  # what a node's function does, its graph does
            "from langgraph.graph import StateGraph\nfrom langchain_openai import ChatOpenAI\nbrain = ChatOpenAI(model='m')\n"
            "def think(state):\n    return brain.bind_tools([]).invoke(state)\nplan = StateGraph(dict)\nplan.add_node('think', think)\n",
            "plan->brain",
        ),
        (  # a graph in a graph stays two
            "from langgraph.graph import StateGraph\ninner = StateGraph(dict)\npart = inner.compile()\nouter = StateGraph(dict)\n"
            "outer.add_node('part', part)\n",
            "outer->inner",
        ),
        (  # servers stand for the tools that a client lists
            "from langchain_mcp_adapters.client import MultiServerMCPClient\nfrom langchain.agents import create_agent\n"
            "c = MultiServerMCPClient({'files': {'command': 'npx', 'args': ['-y', '@acme/files']}})\n"
            "async def main():\n    tools = await c.get_tools()\n    clerk = create_agent('gpt-4o', [*tools])\n",
            "clerk->files",
        ),
        (  # the tools that a server of the lower level lists
            "from mcp.server import Server\nfrom mcp.types import Tool\nstore = Server('store')\n@store.list_tools()\n"
            "async def tools():\n    return [Tool(name='put', inputSchema={}), Tool(name='take', inputSchema={})]\n",
            "store->take",
        ),
        (  # a server that is handed in is the only one that there is
            "from mcp.server.fastmcp import FastMCP\nstore = FastMCP('store')\ndef register(mcp: FastMCP):\n"
            "    @mcp.tool()\n    def put(x: str): ...\n",
            "store->put",
        ),
        (  # what a library is set to
            "from llama_index.core import Settings\nfrom llama_index.llms.openai import OpenAI\nSettings.llm = OpenAI(model='gpt-4o')\n",
            "main->llm",
        ),
    ],
)  # fmt: skip
def test_who_does_what(tmp_path: Path, code: str, expected: str) -> None:
    assert expected in flows(tmp_path, main=code)


def test_what_either_branch_makes(tmp_path: Path) -> None:
    code = (
        "from langchain_openai import ChatOpenAI\nfrom langchain_anthropic import ChatAnthropic\nfrom langchain.agents import create_agent\n"
        "if x:\n    brain = ChatOpenAI(model='a')\nelse:\n    brain = ChatAnthropic(model='b')\nclerk = create_agent(brain)\n"
    )
    system = found(tmp_path, {"main.py": code})
    assert {system.components[f.target].name for f in system.flows if f.source == "clerk"} == {"a", "b"}


def test_tools_of_another_file_and_its_functions(tmp_path: Path) -> None:
    tools = "def weather(city: str): ...\nTOOLS = [weather]\n"
    main = "from google.adk.agents import Agent\nfrom tools import TOOLS\nclerk = Agent(name='clerk', tools=TOOLS)\n"
    assert "clerk->weather" in flows(tmp_path, tools=tools, main=main)


def test_settings_name_the_model(tmp_path: Path) -> None:
    settings = "from pydantic_settings import BaseSettings\nclass Settings(BaseSettings):\n    model: str = 'gpt-4o'\nsettings = Settings()\n"
    main = "from settings import settings\nfrom langchain_openai import ChatOpenAI\nbrain = ChatOpenAI(model=settings.model)\n"
    system = found(tmp_path, {"settings.py": settings, "main.py": main + "brain.invoke('x')\n"})
    assert [c.name for c in system.components.values() if c.kind == "ai.model.endpoint"] == ["gpt-4o"]


def test_a_program_is_called_after_the_file_that_makes_it_what_it_is(tmp_path: Path) -> None:
    agent = "from agents import Agent, Runner\nclerk = Agent(name='clerk')\ndef ask(q):\n    return Runner.run_sync(clerk, q)\n"
    system = found(
        tmp_path, {"agent.py": agent, "web.py": "from fastapi import FastAPI\nfrom agent import ask\napp = FastAPI()\n"}
    )
    assert [(c.id, c.provenance[0].file) for c in system.components.values() if c.kind == "app.api"] == [
        ("web", "web.py")
    ]


RUN = (
    "import subprocess, os, shlex\nfrom agents import Agent, function_tool\n"
    "@function_tool\ndef run(command: str):\n    {body}\na = Agent(name='a', tools=[run])\n"
)


@pytest.mark.parametrize(
    ("body", "state"),
    [
        ("return subprocess.run(command, shell=True)", "fail"),
        ("return subprocess.run(f'ls {command}', shell=True)", "fail"),
        ("line = 'ls ' + command\n    os.system(line)", "fail"),
        ("return helper(command)", "fail"),
        ("return subprocess.run(shlex.split(command))", "fail"),
        ("return subprocess.run(f'ls {shlex.quote(command)}', shell=True)", "unknown"),
        ("return subprocess.run(['ls', command])", "pass"),
        ("line = ['ls', command]\n    return subprocess.run(line)", "pass"),
        ("return subprocess.run(['ls'] + [command])", "pass"),
        ("return subprocess.run([command, '-l'])", "fail"),
        ("return subprocess.run('ls', shell=True)", "pass"),
        ("return helper('ls')", "pass"),
    ],
)
def test_a_command_that_the_model_writes(tmp_path: Path, body: str, state: str) -> None:
    code = RUN.format(body=body) + "def helper(line):\n    return os.popen(line)\n"
    system = found(tmp_path, {"main.py": code})
    states = [w.state for w in system.weaknesses if w.expectation == "agency/model-written-command"]
    passed = ("agency/model-written-command", "run") in system.passed
    assert states == ([] if state == "pass" else [state])
    assert passed == (state == "pass")


@pytest.mark.parametrize(
    ("words", "package", "reach"),
    [
        ('["npx", "-y", "@a/server-filesystem", "/"]', False, "everything"),
        ('["cmd", "/c", "npx", "-y", "@a/server-filesystem@1.0.0", "C:\\\\\\\\"]', True, "everything"),
        ('["uvx", "--from", "git+https://x.test/y", "y"]', False, None),
        ('["uvx", "--with", "z", "files-mcp==1.2", "~"]', True, "everything"),
        ('["npx", "@a/server-filesystem@1.0.0", "/srv/docs"]', True, "some"),
        ('["pnpm", "dlx", "@a/tool@2.0.0"]', True, None),
    ],
)
def test_what_is_fetched_and_what_it_reaches(tmp_path: Path, words: str, package: bool, reach: str | None) -> None:
    command, _, rest = words.strip("[]").partition(", ")
    system = found(tmp_path, {".mcp.json": f'{{"mcpServers": {{"s": {{"command": {command}, "args": [{rest}]}}}}}}'})
    facts = {k: f.value for k, f in system.components["s"].facts.items()}
    assert (facts["pinned"], facts.get("reach")) == (package, reach)


def test_what_is_done_with_a_store_is_no_store(tmp_path: Path) -> None:
    code = "from langchain_community.vectorstores import FAISS\nstore = FAISS.load_local('x')\nstore.save_local('y')\n"
    code += "def keys(other: FAISS):\n    return other.docstore._dict.keys()\n"
    assert [
        c.name for c in found(tmp_path, {"main.py": code}).components.values() if c.kind == "data.vector-store"
    ] == ["store"]


def test_a_choice_of_providers_is_one_model(tmp_path: Path) -> None:
    code = (
        "from langchain_openai import ChatOpenAI\nfrom langchain_anthropic import ChatAnthropic\ndef make(name, **kw):\n"
        "    if name == 'a':\n        llm = ChatOpenAI(**kw)\n    else:\n        llm = ChatAnthropic(**kw)\n    return llm\n"
    )
    assert [c.name for c in found(tmp_path, {"main.py": code}).components.values()] == ["llm"]


def test_a_user_that_runs_no_code(tmp_path: Path) -> None:
    code = "from autogen import UserProxyAgent\nuser = UserProxyAgent('user', code_execution_config=False)\n"
    [user] = found(tmp_path, {"main.py": code}).components.values()
    assert user.facts["executes-code"].value is False


def test_more_modules_than_are_kept_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Modules that all import each other are parsed a few times each, whatever is kept of them."""
    monkeypatch.setattr("bastide.discover.importers.kept.KEPT", 3)
    parsed: list[str] = []
    real = importer.parse
    monkeypatch.setattr(importer, "parse", lambda text, file: parsed.append(file) or real(text, file))
    imports = "".join(f"from m{n} import a{n}\n" for n in range(12))
    files = {
        f"m{n}.py": f"{imports}from agents import Agent\na{n} = Agent(name='a{n}', handoffs=[a{(n + 1) % 12}])\n"
        for n in range(12)
    }
    assert len(found(tmp_path, files).components) == 12
    assert len(parsed) <= 12 * kept.TIMES


def test_a_search_client_means_the_service_that_is_declared(tmp_path: Path) -> None:
    code = (
        "import os\nfrom azure.search.documents import SearchClient\nfrom openai import OpenAI\n"
        "search = SearchClient(endpoint=os.environ['SEARCH'], index_name='docs', credential=None)\n"
        "def answer(q):\n    return OpenAI().chat.completions.create(model='gpt-4o', messages=list(search.search(q)))\n"
    )
    bicep = "resource s 'Microsoft.Search/searchServices@2023-11-01' = { name: 'kb', properties: {} }\n"
    one = found(tmp_path, {"app.py": code, "infra.bicep": bicep})
    assert [c.name for c in one.components.values() if c.kind == "data.vector-store"] == ["s"]
    assert "s->app:retrieves" in {f.id for f in one.flows}
    # What only calls a cloud serves nobody.
    assert one.components["app"].kind == "app.worker"


def test_memory_and_models_of_dspy(tmp_path: Path) -> None:
    code = (
        "import dspy\nfrom mem0 import Memory\nmemory = Memory()\nlm = dspy.LM('anthropic/claude-sonnet-4-5')\n"
        "def chat(q):\n    memory.add(q, user_id='u')\n    return memory.search(q, user_id='u')\n"
    )
    one = found(tmp_path, {"app.py": code})
    assert {f.id for f in one.flows} == {
        "app->anthropic-claude-sonnet-4-5:calls",
        "app->memory:writes",
        "memory->app:retrieves",
    }
