# SPDX-License-Identifier: Apache-2.0
"""Notebooks are Python with other lines."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bastide.discover.discover import discover
from bastide.discover.importers.python import Python
from bastide.discover.interface import Tree
from bastide.discover.model import Reading


def cell(*lines: str, type_: str = "code") -> dict[str, object]:
    """A cell with some lines."""
    return {
        "cell_type": type_,
        "metadata": {},
        "outputs": [],
        "source": [line + "\n" for line in lines[:-1]] + list(lines[-1:]),
    }


def written(*cells: dict[str, object], indent: int | None = 1, language: str = "python") -> str:
    """A notebook as Jupyter writes it."""
    return json.dumps(
        {"cells": list(cells), "metadata": {"kernelspec": {"language": language}}, "nbformat": 4}, indent=indent
    )


def reading(text: str, file: str = "a.ipynb") -> Reading:
    """What is read in one notebook."""
    tree = Tree((file,), {file: text}.get, {file: len(text)})
    importer = Python(frozenset({"openai"}))
    return importer.read(tree, [f for f in tree.files if importer.wants(f, lambda: "")])


SHOWN = (
    cell("from openai import OpenAI", type_="markdown"),
    cell("%pip install openai", "from openai import OpenAI", "!ls", "files = !ls", "OpenAI?"),
    cell("%%bash", "echo import openai"),
    cell("%%time", "client = OpenAI(", "    base_url='http://x:1'", ")"),
    cell("client.responses.create(model='m')"),
)


def test_lines_are_those_of_the_file() -> None:
    """However many cells, magics and outputs stand before; arguments have their own."""
    text = written(*SHOWN)
    found = {r.type: r for r in reading(text).resources}
    lines = text.split("\n")
    assert "client = OpenAI(" in lines[found["call/openai.OpenAI"].place.line - 1]
    assert "base_url" in lines[found["call/openai.OpenAI"].find("base_url")[0].place.line - 1]
    assert "responses.create" in lines[found["call/openai.OpenAI.responses.create"].place.line - 1]
    assert reading(text).problems == ()


@pytest.mark.parametrize("source", ["whole", "minified", "old"])
def test_other_ways_to_write_one(source: str) -> None:
    """A cell as one text, a file of one line, format 3."""
    if source == "whole":
        text = json.dumps({"cells": [{"cell_type": "code", "source": "import openai\nopenai.OpenAI()"}]}, indent=1)
    elif source == "minified":
        text = written(*SHOWN, indent=None)
    else:
        text = json.dumps(
            {"worksheets": [{"cells": [{"cell_type": "code", "input": ["import openai\n", "openai.OpenAI()"]}]}]},
            indent=1,
        )
    found = {r.type: r for r in reading(text).resources}
    assert found["call/openai.OpenAI"].place.line >= 1


def test_a_cell_that_is_no_python_hides_only_itself() -> None:
    """Its line is said."""
    text = written(cell("import openai"), cell("x = = 1"), cell("openai.OpenAI()"))
    found = reading(text)
    assert [text.split("\n")[p.place.line - 1].strip() for p in found.problems] == ['"x = = 1"']
    assert any(r.type == "call/openai.OpenAI" for r in found.resources)


def test_other_languages_and_copies_are_passed_over() -> None:
    """R, and what Jupyter keeps beside."""
    assert reading(written(*SHOWN, language="R")).resources == ()
    assert reading(written(*SHOWN), ".ipynb_checkpoints/a-checkpoint.ipynb").resources == ()


def test_a_notebook_that_calls_a_model_is_a_component(tmp_path: Path) -> None:
    """One that doesn't isn't; what it calls, it calls, not the folder's program."""
    (tmp_path / "demo.ipynb").write_text(written(*SHOWN))
    (tmp_path / "plots.ipynb").write_text(written(cell("import openai"), cell("print(1)")))
    result = discover(tmp_path)
    assert {c.id: c.kind for c in result.components.values()} == {"demo-ipynb": "ml.notebook", "m": "ai.model.endpoint"}
    assert [f.id for f in result.flows] == ["demo-ipynb->m:calls"]


WHOLE = written(*SHOWN)


@settings(max_examples=150, deadline=None)
@given(st.integers(0, len(WHOLE)), st.integers(0, 30), st.text(alphabet='[]{},:"\\n\r%!\0', max_size=6))
def test_no_text_raises(start: int, removed: int, inserted: str) -> None:
    """Whatever is broken in a file."""
    reading(WHOLE[:start] + inserted + WHOLE[start + removed :])
