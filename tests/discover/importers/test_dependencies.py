# SPDX-License-Identifier: Apache-2.0
"""Which libraries files name, and in which version."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bastide.discover.discover import discover
from bastide.discover.importers.dependencies import Dependencies
from bastide.discover.interface import Tree
from bastide.discover.inventory import inventory
from bastide.discover.model import Reading


def reading(files: dict[str, str]) -> Reading:
    """The reading of files in memory."""
    tree = Tree(tuple(sorted(files)), files.get, {f: len(t) for f, t in files.items()})
    importer = Dependencies()
    return importer.read(tree, [f for f in tree.files if importer.wants(f, lambda: "")])


def needs(files: dict[str, str]) -> dict[str, tuple[str, str, int]]:
    """Type without `dependency/` -> requirement, version, line."""
    return {
        r.type.removeprefix("dependency/"): (
            r.body.data["requirement"].data, r.body.data["version"].data if "version" in r.body.data else "", r.place.line,
        )
        for r in reading(files).resources
    }  # fmt: skip


@pytest.mark.parametrize(
    ("file", "text", "expected"),
    [
        (
            "requirements-prod.txt",
            "# AI\nOpenAI==1.2.3 ; python_version > '3'\n-r other.txt\nlang_chain[all]>=0.3,<1  # note\n--hash=x\ngit+https://x\n",
            {"pypi/openai": ("==1.2.3", "1.2.3", 2), "pypi/lang-chain": (">=0.3,<1", "", 4)},
        ),
        ("requirements/base.in", "mcp", {"pypi/mcp": ("", "", 1)}),
        (
            "pyproject.toml",
            '[project]\ndependencies = [\n  "openai>=1",\n]\n[project.optional-dependencies]\nrag = ["chromadb==0.5.0"]\n'
            '[tool.poetry.dependencies]\npython = "^3.11"\nanthropic = {version = "0.40.0"}\n',
            {"pypi/openai": (">=1", "", 3), "pypi/chromadb": ("==0.5.0", "0.5.0", 6), "pypi/anthropic": ("0.40.0", "0.40.0", 9)},
        ),
        ("Pipfile", '[packages]\nopenai = "*"\n', {"pypi/openai": ("", "", 2)}),
        (
            "web/package.json",
            '{\n"dependencies": {\n"ai": "^4.0.0",\n"@langchain/openai": "0.3.1"}}',
            {"npm/ai": ("^4.0.0", "", 3), "npm/@langchain/openai": ("0.3.1", "0.3.1", 4)},
        ),
        (
            "environment.yml",
            "dependencies:\n  - python=3.11\n  - conda-forge::pytorch=2.1.0\n  - pip:\n      - openai==1.0.0\n",
            {"conda/python": ("==3.11", "3.11", 2), "conda/pytorch": ("==2.1.0", "2.1.0", 3), "pypi/openai": ("==1.0.0", "1.0.0", 5)},
        ),
    ],
)  # fmt: skip
def test_what_files_name(file: str, text: str, expected: dict[str, tuple[str, str, int]]) -> None:
    """With the requirement as written, the version when it is exact, and the line."""
    assert needs({file: text}) == expected


@pytest.mark.parametrize(
    ("lock", "text"),
    [
        (
            "package-lock.json",
            '{"packages": {"node_modules/ai": {"version": "4.1.2"}, "node_modules/x/node_modules/ai": {"version": "1.0.0"}}}',
        ),
        ("yarn.lock", '"ai@^4.0.0":\n  version "4.1.2"\n  resolved "x"\n'),
        ("pnpm-lock.yaml", "lockfileVersion: '9.0'\npackages:\n\n  ai@4.1.2(zod@3.0.0):\n    resolution: {}\n"),
        ("package-lock.json", '{"dependencies": {"ai": {"version": "4.1.2"}}}'),
    ],
)
def test_lock_files_give_versions(lock: str, text: str) -> None:
    """Also one at the top of a workspace; by themselves they name nothing."""
    files = {"apps/web/package.json": '{"dependencies": {"ai": "^4.0.0"}}', lock: text}
    assert needs(files)["npm/ai"] == ("^4.0.0", "4.1.2", 1)
    assert needs({lock: text}) == {}


def test_lock_files_of_python() -> None:
    """uv, Poetry, Pipenv."""
    project = {"pyproject.toml": '[project]\ndependencies = ["openai"]\n'}
    for lock in ("uv.lock", "poetry.lock"):
        assert (
            needs({**project, lock: '[[package]]\nname = "openai"\nversion = "1.9.0"\n'})["pypi/openai"][1] == "1.9.0"
        )
    assert (
        needs(
            {"Pipfile": '[packages]\nopenai = "*"\n', "Pipfile.lock": '{"default": {"openai": {"version": "==1.9.0"}}}'}
        )["pypi/openai"][1]
        == "1.9.0"
    )


def test_libraries_are_no_components_but_stand_in_the_inventory(tmp_path: Path) -> None:
    """Only those of AI; what is declared and not used is said, and hides nothing."""
    (tmp_path / "requirements.txt").write_text("openai==1.2.3\nanthropic\nrequests\n")
    (tmp_path / "app.py").write_text("from openai import OpenAI\nOpenAI()\n")
    result = discover(tmp_path)
    assert (dict(result.components), result.complete) == ({}, True)
    assert [(p.place.line, "anthropic" in p.message) for p in result.problems] == [(2, True)]
    found = inventory([tmp_path])
    assert [(one.name, one.purl, one.group) for _, one in found.libraries] == [
        ("anthropic", "pkg:pypi/anthropic", "models"),
        ("openai", "pkg:pypi/openai@1.2.3", "models"),
    ]


def test_what_a_program_is_built_on_may_stand_in_its_project_file(tmp_path: Path) -> None:
    """The file that calls the model needn't import the web framework."""
    (tmp_path / "package.json").write_text(
        json.dumps({"name": "shop", "dependencies": {"next": "15.0.0", "openai": "4.0.0"}})
    )
    (tmp_path / "ask.ts").write_text(
        'import OpenAI from "openai";\nnew OpenAI().responses.create({ model: "gpt-5" });\n'
    )
    assert "app.web" in {c.kind for c in discover(tmp_path).components.values()}


@given(
    st.sampled_from(["requirements.txt", "pyproject.toml", "Pipfile", "package.json", "environment.yml"]),
    st.text(alphabet="[]{}=\"':-,\n abz*^@\0"),
    st.text(alphabet="[]{}\"':\n a1@"),
)
def test_no_text_raises(file: str, text: str, lock: str) -> None:
    """Whatever stands in the files."""
    reading({file: text, "package-lock.json": lock, "yarn.lock": lock, "uv.lock": lock, "pnpm-lock.yaml": lock})
