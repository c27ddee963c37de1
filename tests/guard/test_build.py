# SPDX-License-Identifier: Apache-2.0
"""What is wrong between plan and settings is shown where it stands."""

from __future__ import annotations

import shutil
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest

from bastide.catalog.load import load_vocabulary
from bastide.errors import SettingsError
from bastide.guard.build import engine_of, make_engine
from bastide.guard.settings import ApiKey, Settings
from bastide.plan.load import load_plan
from tests.guard.gateway.running import settings_text

EXAMPLE = Path(__file__).resolve().parents[2] / "examples/support-agent/bastide.yaml"


def files(folder: Path, before: str, after: str) -> Path:
    """The example's plan beside settings in which something was replaced."""
    shutil.copy(EXAMPLE, folder)
    text = settings_text("http://127.0.0.1:9")
    assert before in text
    (folder / "bastide.guard.yaml").write_text(text.replace(before, after, 1))
    return folder / "bastide.yaml"


def said(plan: Path) -> list[str]:
    """The lines of the error, the folder left out."""
    with pytest.raises(SettingsError) as caught:
        engine_of(plan)
    return str(caught.value).replace(f"{plan.parent}/", "").splitlines()


def test_a_key_of_an_agent_that_the_plan_does_not_have(tmp_path: Path) -> None:
    """Message, place, the line itself with a mark under the entry, and what was probably meant."""
    message, line, mark, hint = said(files(tmp_path, "agent: assistant", "agent: asistant"))
    assert message == "bastide.guard.yaml:5:7: the key `a` names the agent `asistant`, which the plan doesn't have"
    assert line.startswith("  5 |     - {id: a, sha256: ")
    assert mark == "    |       ^"
    assert hint == "  = did you mean `assistant`?"


def test_an_issuer_of_an_agent_that_the_plan_does_not_have(tmp_path: Path) -> None:
    """The same for issuers."""
    issuer = "  issuers: [{issuer: i, audience: a, jwks: 'file:keys.json', agents: {b: nobody}}]"
    found = said(files(tmp_path, "  keys:", f"{issuer}\n  keys:"))
    assert found[0].startswith("bastide.guard.yaml:4:13: tokens of i are to be of `nobody`")
    assert found[1] == f"  4 | {issuer}"


def test_a_tool_without_a_component(tmp_path: Path) -> None:
    """What the compiler of the policy finds is shown in the same way."""
    found = said(files(tmp_path, "{is: kb}", "{is: kbb}"))
    assert any(line.endswith("|   search_articles: {is: kbb}") for line in found)


def test_settings_without_a_file_have_no_line() -> None:
    """A program's settings are wrong nowhere."""
    plan = load_plan(EXAMPLE, load_vocabulary())
    key = ApiKey("k", sha256(b"k").hexdigest(), "nobody")
    with pytest.raises(SettingsError) as caught:
        make_engine(plan, replace(Settings(EXAMPLE), keys=(key,)))
    assert (
        str(caught.value).splitlines()[0]
        == "<input>: the key `k` names the agent `nobody`, which the plan doesn't have"
    )
