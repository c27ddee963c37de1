# SPDX-License-Identifier: Apache-2.0
"""What a Dockerfile's last stage starts, and containers that are built from it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bastide.discover.discover import discover
from bastide.discover.importers.dockerfile import Dockerfiles
from bastide.discover.interface import Tree
from bastide.discover.model import Reading, Resource


def reading(text: str) -> Reading:
    """The reading of one file."""
    return Dockerfiles().read(Tree(("Dockerfile",), {"Dockerfile": text}.get), ["Dockerfile"])


def image(text: str) -> Resource:
    """Its image."""
    (found,) = reading(text).resources
    return found


@pytest.mark.parametrize(
    ("text", "key", "expected"),
    [
        ("FROM python:3.12", "image", "python:3.12"),
        ("FROM --platform=linux/amd64 a AS b\nFROM b", "image", "a"),
        ("FROM a AS build\nRUN x\nFROM b\nCOPY --from=build /x /x", "image", "b"),
        ("ARG TAG=1.2\nFROM a:${TAG}", "image", "a:1.2"),
        ("FROM a:${TAG:-3}", "image", "a:3"),
        ("FROM a:$TAG", "image", None),
        ("FROM a\nCMD python app.py --host 0.0.0.0", "command", ["python", "app.py", "--host", "0.0.0.0"]),
        ('FROM a\nCMD ["python",\\\n "app.py"]', "command", ["python", "app.py"]),
        ("FROM a AS b\nUSER 10001\nFROM b\nRUN y", "user", "10001"),
        ("FROM a\nUSER root\nUSER app:app", "user", "app:app"),
        ("FROM a\nENV A=1 B='x y' \\\n  # note\n  C=\"z\"", "env", {"A": "1", "B": "x y", "C": "z"}),
        ("FROM a\nENV A one two", "env", {"A": "one two"}),
        ("FROM a\nARG P=8000\nENV PORT=$P\nEXPOSE $PORT/tcp 9", "ports", [{"container": 8000}, {"container": 9}]),
        ("FROM a\nRUN <<EOF\nUSER nobody\nEOF\nUSER app", "user", "app"),
        ("# escape=`\nFROM a\nENV A=1 `\n B=2", "env", {"A": "1", "B": "2"}),
    ],
)
def test_what_it_says(text: str, key: str, expected: Any) -> None:
    """Stages, arguments, both forms of commands, continued lines, heredocs."""
    assert image(text).body.data[key].plain() == expected


def test_each_variable_has_its_line() -> None:
    """Also in an instruction of several lines."""
    env = image("FROM a\nENV A=1 \\\n    B=2").body.data["env"].data
    assert [env[name].place.line for name in "AB"] == [2, 3]


def found(folder: Path, files: dict[str, str]) -> Any:
    """What is discovered."""
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return discover(folder)


def test_a_container_that_is_built_has_what_its_file_says(tmp_path: Path) -> None:
    """What the image is made from, what it starts, its variables: a server of models is recognised though only its Dockerfile names it."""
    result = found(
        tmp_path,
        {
            "compose.yaml": "services:\n  llm:\n    build: ./serve\n    ports: ['8000:8000']\n",
            "serve/Dockerfile": 'FROM vllm/vllm-openai:v0.11.0\nENV VLLM_API_KEY=hunter2secret\nCMD ["--model", "org/model"]\n',
        },
    )
    server = next(c for c in result.components.values() if c.kind == "ai.model.server")
    weak = {(w.expectation, w.place.file, w.place.line) for w in result.weaknesses}
    assert (server.name, ("secrets/constant-secret", "serve/Dockerfile", 2) in weak) == ("llm", True)


def test_what_the_declaration_says_counts(tmp_path: Path) -> None:
    """Its own image, command and variables stand before those of the file."""
    result = found(
        tmp_path,
        {
            "compose.yaml": "services:\n  llm:\n    build: .\n    image: vllm/vllm-openai:v0.11.0\n    command: ['--model', 'org/one']\n",
            "Dockerfile": 'FROM debian:12\nCMD ["--model", "org/two"]\n',
        },
    )
    assert {c.name for c in result.components.values() if c.kind == "ai.model"} == {"org/one"}


def test_a_secret_in_a_file_that_no_container_uses_is_the_programs(tmp_path: Path) -> None:
    """It stands in the image of whoever builds it."""
    result = found(
        tmp_path,
        {
            "app/Dockerfile": "FROM python:3.12\nARG OPENAI_API_KEY=sk-0123456789\nCMD python app.py\n",
            "app/app.py": "from openai import OpenAI\nOpenAI().responses.create(model='m')\n",
        },
    )
    assert [(w.place.file, w.place.line) for w in result.weaknesses if w.category == "hardcoded-secret"] == [
        ("app/Dockerfile", 2)
    ]


def test_an_example_beside_is_no_component(tmp_path: Path) -> None:
    """A Dockerfile alone deploys nothing."""
    assert found(tmp_path, {"Dockerfile": "FROM vllm/vllm-openai\n"}).components == {}


@given(st.text(alphabet="FROMENVACDuser =\\\n\"'[]$={}:-<E#`\0"))
def test_no_text_raises(text: str) -> None:
    """Whatever stands in a file."""
    reading(text)
    reading("FROM a\nENV " + text + "\nCMD " + text)
