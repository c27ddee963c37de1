# SPDX-License-Identifier: Apache-2.0
"""What `bastide guard serve` says before it serves."""

from __future__ import annotations

import shutil
import socket
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from bastide.cli.commands.guard.serve import _about, serve
from bastide.errors import UsageError
from bastide.guard.build import engine_of

EXAMPLE = Path(__file__).resolve().parents[2] / "examples/support-agent/bastide.yaml"
KEY = f"callers: {{keys: [{{id: a, sha256: {'0' * 64}, agent: assistant}}]}}"
MODEL = "models: {llm: {names: [m], providers: [{url: http://127.0.0.1:9}]}}"


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (None, ["there are no settings at"]),
        ("", ["nobody can sign in", "nothing is served"]),
        (KEY, ["nothing is served"]),
        (MODEL, ["nobody can sign in"]),
        (f"{KEY}\n{MODEL}", []),
    ],
)
def test_what_is_missing_is_said(settings: str | None, said: list[str], tmp_path: Path) -> None:
    """A guard that nobody can use says why, and what to do."""
    plan = tmp_path / "bastide.yaml"
    shutil.copy(EXAMPLE, plan)
    if settings is not None:
        text = f"bastide-guard: 1\ncontent: {{classifier: 'off'}}\n{settings}\n"
        (tmp_path / "bastide.guard.yaml").write_text(text)
    lines = [line for line in _about(engine_of(plan), tmp_path / "bastide.guard.yaml") if line.startswith("!")]
    assert len(said) == len(lines)
    assert all(word in line for word, line in zip(said, lines, strict=True))


def test_an_address_in_use(tmp_path: Path) -> None:
    """A wrong call, said before the guard says that it serves."""
    shutil.copy(EXAMPLE, tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as other:
        text = f"bastide-guard: 1\nlisten: 127.0.0.1:{other.getsockname()[1]}\ncontent: {{classifier: 'off'}}\n"
        (tmp_path / "bastide.guard.yaml").write_text(text)
        result = CliRunner().invoke(serve, ["--plan", str(tmp_path / "bastide.yaml")])
    assert isinstance(result.exception, UsageError)
    assert "can't listen at 127.0.0.1" in str(result.exception)
    assert "guarding" not in result.output


def test_settings_know_their_plan(run: Callable[..., Result], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`guard policy --settings FILE` needs no plan beside it."""
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    example = Path(__file__).parents[2] / "examples" / "support-agent" / "bastide.guard.yaml"
    done = run("guard", "policy", "--settings", str(example), "--format", "table")
    assert (done.exit_code, "What the flows permit" in done.stdout) == (0, True), done.stderr
