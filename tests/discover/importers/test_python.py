# SPDX-License-Identifier: Apache-2.0
"""Calls and definitions of Python code, as far as the text says them."""

from __future__ import annotations

from typing import Any

import pytest

from bastide.discover.importers import kept
from bastide.discover.importers.python import Python
from bastide.discover.interface import Tree
from bastide.discover.model import Reading, Resource, State

ROOTS = frozenset({"openai", "agents", "langchain_core"})


def reading(**files: str) -> Reading:
    """The reading of files in memory; `__` in a name is `/`."""
    named = {f"{k.replace('__', '/')}.py": v for k, v in files.items()}
    tree = Tree(tuple(sorted(named)), named.get, {f: len(t) for f, t in named.items()})
    importer = Python(ROOTS)
    return importer.read(tree, [f for f in tree.files if importer.wants(f, lambda: "")])


def calls(text: str, **others: str) -> dict[str, Resource]:
    """The calls in `app.py`, by their type without `call/`."""
    found = reading(app=text, **others).resources
    return {r.type.removeprefix("call/"): r for r in found if r.type.startswith("call/") and r.place.file == "app.py"}


@pytest.mark.parametrize(
    "text",
    [
        "import openai\nopenai.OpenAI().responses.create()",
        "import openai as o\nc = o.OpenAI()\nc.responses.create()",
        "from openai import OpenAI as Client\nasync def f():\n    c = Client()\n    await c.responses.create()",
        "from openai import OpenAI\nclass A:\n    def __init__(self):\n        self.c = OpenAI()\n"
        "    def f(self):\n        return self.c.responses.create()",
        "from openai import OpenAI\nwith OpenAI() as c:\n    c.responses.create()",
        "from openai import OpenAI\nif (c := OpenAI()):\n    c.responses.create()",
        "from clients import c\nimport openai\nc.responses.create()",
        "from .clients import c\nimport openai\nc.responses.create()",
    ],
)
def test_however_it_is_written_the_call_is_the_same(text: str) -> None:
    """Aliases, variables, attributes of self, context managers, objects that another module makes."""
    assert "openai.OpenAI.responses.create" in calls(text, clients="import openai\nc = openai.OpenAI()")


@pytest.mark.parametrize(
    ("expected", "state", "argument", "before"),
    [
        ("m", State.KNOWN, "'m'", ""),
        ("m", State.KNOWN, "M", "M = 'm'"),
        ("m-1", State.KNOWN, "f'{M}-{1}'", "M = 'm'"),
        ("m-x", State.KNOWN, "M + '-x'", "M = 'm'"),
        (["a", "b"], State.KNOWN, "['a', 'b']", ""),
        ({"k": "v"}, State.KNOWN, "{'k': 'v'}", ""),
        ("d", State.CONDITIONAL, "os.getenv('X', 'd')", "import os"),
        ("d", State.CONDITIONAL, "os.environ.get('X') or 'd'", "import os"),
        (None, State.UNKNOWN, "os.environ['X']", "import os"),
        ("m", State.KNOWN, "f()", "def f(): return 'm'"),
        ("b", State.CONDITIONAL, "M", "M = 'a'\nM = 'b'"),
        ("from-other", State.KNOWN, "CONSTANT", "from settings import CONSTANT"),
    ],
)
def test_arguments(expected: Any, state: State, argument: str, before: str) -> None:
    """Constants, also of other modules; the environment; what is assigned twice is what it was last, with a doubt."""
    found = calls(f"import openai\n{before}\nopenai.OpenAI(model={argument})", settings="CONSTANT = 'from-other'")[
        "openai.OpenAI"
    ]
    value = found.body.data["model"]
    assert (value.plain(), value.state) == (expected, state)


def test_the_environment_is_named() -> None:
    """A value from a variable says which."""
    found = calls("import os, openai\nopenai.OpenAI(base_url=os.environ['URL'])")["openai.OpenAI"]
    assert found.body.data["base_url"].refs == ("env:URL",)


def test_what_an_agent_is_given_refers_to_it() -> None:
    """Tools, other agents and models, by the ids of what declares them, also in another module."""
    tools = "from agents import function_tool\n@function_tool\ndef pay(x): ...\n"
    text = "from agents import Agent\nfrom tools import pay\nhelper = Agent(name='h', tools=[pay])\nmain = Agent(name='m', handoffs=[helper])\n"
    found = {r.name: r for r in reading(app=text, tools=tools).resources}
    assert found["helper"].find("tools")[0].refs == (found["pay"].id,)
    assert found["main"].find("handoffs")[0].refs == (found["helper"].id,)


def test_a_definition_says_what_it_calls() -> None:
    """Also over functions of the same file."""
    text = "from langchain_core.tools import tool\nimport subprocess\n@tool\ndef run(c: str):\n    return _go(c)\n"
    text += "def _go(c):\n    return subprocess.run(c)\n"
    (found,) = (r for r in reading(app=text).resources if r.type == "definition/langchain_core.tools.tool")
    assert [v.data for v in found.find("calls")] == ["subprocess.run"]
    assert [v.data for v in found.find("parameters")] == ["c"]
    assert found.place.line == 3


def test_names_of_others_are_no_library() -> None:
    """A function called like one of a library, code that only mentions it, tests."""
    assert calls("from mine import OpenAI\nimport openai\nOpenAI()") == {}
    assert reading(app="# openai.OpenAI()\nx = 'openai.OpenAI()'").resources == ()
    assert reading(tests__test_app="import openai\nopenai.OpenAI()").resources == ()


def test_what_is_no_python_is_said_with_its_line() -> None:
    """And hides nothing of other files."""
    found = reading(app="import openai\nopenai.OpenAI()", old="import openai\nprint 'x'\n")
    assert [(p.place.file, p.place.line) for p in found.problems] == [("old.py", 2)]
    assert any(r.type == "call/openai.OpenAI" for r in found.resources)


def test_code_runs_with_a_folder_below_the_root_on_its_path() -> None:
    """`from clients import c` means `srv/clients.py` where nothing else is called so."""
    text = "from clients import c\nimport openai\nc.responses.create()"
    found = reading(srv__app=text, srv__clients="import openai\nc = openai.OpenAI()").resources
    assert "call/openai.OpenAI.responses.create" in {r.type for r in found}


def _ring(count: int) -> dict[str, str]:
    return {
        f"part{n}": f"import openai\nimport part{(n + 1) % count} as after\nMODEL = 'gpt-{n}'\n"
        f"client = openai.OpenAI(base_url=after.MODEL)\ndef look(q):\n    return after.look(q)\n"
        "made = after.client.responses.create(model=MODEL)\n"
        for n in range(count)
    }


def test_what_is_forgotten_is_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """A tree of more modules than are kept gives the same: each stands in a ring of imports."""
    found = [(r.id, r.type, r.body.plain()) for r in reading(**_ring(12)).resources]
    assert sum(type_ == "call/openai.OpenAI.responses.create" for _, type_, _ in found) == 12
    monkeypatch.setattr(kept, "KEPT", 300)
    monkeypatch.setattr(kept, "TIMES", 100)
    assert [(r.id, r.type, r.body.plain()) for r in reading(**_ring(12)).resources] == found


def test_when_no_more_is_read_again_that_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """The work is bounded; no call of one's own is lost, and the result says that it isn't whole."""
    found = reading(**_ring(12))
    assert found.problems == ()
    monkeypatch.setattr(kept, "KEPT", 300)
    monkeypatch.setattr(kept, "TIMES", 2)
    after = reading(**_ring(12))
    assert [r.id for r in after.resources] == [r.id for r in found.resources]
    assert [p.message for p in after.problems if "some of it may be missing" in p.message]


def test_a_long_chain_of_imports_is_followed_without_end_of_the_stack() -> None:
    chain = {
        f"m{n}": f"import openai\nfrom m{n + 1} import make as after\ndef make():\n    return after()\nafter()\n"
        for n in range(1500)
    }
    assert reading(**chain, m1500="import openai\ndef make():\n    return openai.OpenAI()\n").problems == ()
