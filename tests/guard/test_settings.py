# SPDX-License-Identifier: Apache-2.0
"""Reading `bastide.guard.yaml`."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bastide.errors import InputError, SettingsError
from bastide.guard.settings import Secret, Settings, Thresholds
from bastide.guard.settings_file import load_settings, parse_settings, settings_for

HEAD = "bastide-guard: 1\nplan: plan.yaml\n"


def messages(text: str) -> str:
    """What the reader says is wrong."""
    with pytest.raises(SettingsError) as caught:
        parse_settings(HEAD + text, "g.yaml")
    return str(caught.value)


def test_the_example_loads(examples: Path) -> None:
    """Each section becomes its dataclass, names on the wire included."""
    settings = load_settings(examples / "support-agent/bastide.guard.yaml")
    assert [m.component for m in settings.models] == ["llm", "llm-small", "embedder"]
    assert settings.models[0].providers[0].key == Secret(env="OPENAI_API_KEY")
    assert settings.tools[0].component == "kb"
    assert settings.content.injection["user"] == Thresholds(0.5, 0.97)
    assert settings.budgets[1].window == 86400.0
    assert (settings.host, settings.port) == ("127.0.0.1", 8088)
    assert settings.plan == (examples / "support-agent/bastide.yaml").resolve()


def test_a_plan_without_settings_has_the_defaults(tmp_path: Path) -> None:
    """A plan alone is enough to ask what its policy is."""
    assert settings_for(tmp_path / "p.yaml") == Settings(plan=tmp_path / "p.yaml")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("budget: []", "did you mean `budgets`?"),
        ("content: {secrets: redacted}", "did you mean `redact`?"),
        ("listen: here", "an address and a port"),
        ("listen: 1.2.3.4:99999", "an address and a port"),
        ("budgets: [{per: user, window: 1m}]", "limits nothing"),
        ("budgets: [{per: user, window: soon, requests: 1}]", "expected a time"),
        ("budgets: [{per: user, window: 0, requests: 1}]", "longer than nothing"),
        ("mcp: {crm: {}}", "either a `url` or a `command`"),
        ("models: [gpt]", "a mapping from component"),
        ("models: {llm: {names: x, providers: [{urls: y}]}}", "g.yaml:3:39"),
        ("callers: {keys: [{id: a, sha256: abc, agent: b}]}", "64 hexadecimal digits"),
        ("callers: {keys: [{id: a, agent: b}]}", "`sha256` is missing in this api key"),
        ("bounds: {body: -1}", "a whole number, 0 or more"),
        ("loops: {calls: yes}", "a whole number"),
        ("callers: []", "`callers` is a mapping"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(text: str, said: str) -> None:
    """A mistake names the file, the line and what was meant."""
    assert said in messages(text)
    assert "g.yaml:3:" in messages(text)


def test_all_mistakes_are_said_at_once() -> None:
    """Nobody has to run it once for each mistake."""
    assert messages("content: {secrets: x, personal: y}\nport: 3\n").count("g.yaml:") == 3


def test_another_format_is_refused() -> None:
    """The first line says which format it is."""
    with pytest.raises(SettingsError, match="bastide-guard: 1"):
        parse_settings("plan: x\n")


@given(st.text(max_size=200))
def test_garbage_is_an_error_with_a_message(text: str) -> None:
    """Whatever stands in the file, either settings or `InputError` come out."""
    with suppress(InputError):
        parse_settings(text)
