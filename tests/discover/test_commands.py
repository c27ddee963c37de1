# SPDX-License-Identifier: Apache-2.0
"""What command lines say, and what can't be told from them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bastide.discover.commands import options
from bastide.discover.discover import discover
from bastide.discover.model import Place, State, Value

PLACE = Place("compose.yaml", 3)


def read(*words: str | Value) -> dict[str, Any]:
    return options([w if isinstance(w, Value) else Value(w, PLACE) for w in words]).plain()


def unknown(text: str, *refs: str) -> Value:
    return Value(None, PLACE, State.UNKNOWN, refs, text)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("serve", "org/model", "--api-key", "x", "--eager"), {"serve": "org/model", "api-key": "x", "eager": True}),
        (("--port=80", "--tag", "a", "--tag", "b"), {"port": "80", "tag": ["a", "b"]}),
        (("sh", "-c", "sleep 3; ollama pull llama3.2"), {"sh": True, "c": "sleep", "sleep": "3", "ollama": "pull", "pull": "llama3.2"}),
    ],
)  # fmt: skip
def test_options(words: tuple[str, ...], expected: dict[str, Any]) -> None:
    found = read(*words)
    assert {name: found.get(name) for name in expected if name not in ("sh",)} == {
        k: v for k, v in expected.items() if k not in ("sh",)
    }


def test_what_is_put_into_a_command_hides_only_itself() -> None:
    """`--model $MODEL --port 80`: the model isn't known, that no key is demanded is."""
    found = options([unknown("--model $MODEL --port 80 --host=${HOST}", "env:MODEL", "env:HOST")])
    assert found.plain() == {"model": None, "port": "80", "host": None}
    assert found.find("model")[0].refs == ("env:MODEL",)
    assert found.find("host")[0].refs == ("env:HOST",)
    assert found.find("api-key") == ()


@pytest.mark.parametrize(
    "text", ["$ARGS", "--port 80 $ARGS", "join(' ', ['--port', '${var.port}'])", "${A}${B} --port 80"]
)
def test_a_word_of_its_own_may_say_anything(text: str) -> None:
    (hidden,) = options([unknown(text, "env:ARGS")]).find("api-key")
    assert (hidden.data, hidden.state, hidden.refs) == (None, State.UNKNOWN, ())


def test_a_text_that_goes_on_may_say_anything() -> None:
    (hidden,) = options([unknown(f"--model $MODEL {'--flag x ' * 40}"[:200], "env:MODEL")]).find("api-key")
    assert hidden.state is State.UNKNOWN


COMPOSE = """services:
  models:
    image: vllm/vllm-openai:v0.10.1
    ports: ["8000:8000"]
    command: %s
"""


@pytest.mark.parametrize(
    ("command", "key", "code"),
    [
        ("--model $MODEL --host 0.0.0.0", "none", False),
        ("--model $MODEL --api-key ${KEY}", "shared-key", False),
        ("--model $MODEL --trust-remote-code", "none", True),
        ("--model $MODEL $EXTRA", None, None),
        ("[--model, $MODEL, $EXTRA]", None, None),
    ],
)
def test_a_server_whose_model_is_a_variable(tmp_path: Path, command: str, key: str | None, code: bool | None) -> None:
    """No alarm about an option that nobody set, none missing about a key that nobody demands."""
    (tmp_path / "compose.yaml").write_text(COMPOSE % command)
    [server] = [c for c in discover(tmp_path).components.values() if c.kind == "ai.model.server"]
    values = {name: server.facts[name].value for name in ("authentication", "remote-code") if name in server.facts}
    assert (values.get("authentication"), values.get("remote-code")) == (key, code)


@given(st.text("-=$ {}()\"'ab\\\n", max_size=60))
def test_no_text_breaks_it(text: str) -> None:
    options([unknown(text, "env:a"), Value(text, PLACE)])
