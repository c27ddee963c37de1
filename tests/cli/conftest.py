# SPDX-License-Identifier: Apache-2.0
"""The command line, run in this process in a folder of its own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from bastide.cli.main import cli

PLAN = """\
bastide: 1
system: support-assistant
name: Support assistant
exposure: public
data:
  prompt:  {class: confidential, contains: [personal.contact]}
  kb-docs: {class: internal, written-by: third-party}
  orders:  {class: confidential, contains: [personal.contact, payment]}
zones:
  internet: {trust: none}
  app:      {trust: workload, cloud: aws}
  provider: {trust: third-party}
components:
  customer:  {kind: actor.user, zone: internet}
  web:       {kind: app.web, zone: app}
  assistant: {kind: ai.agent, zone: app}
  llm:       {kind: ai.model.endpoint, zone: provider, platform: aws.bedrock}
  kb:        {kind: data.vector-store, zone: app, holds: kb-docs}
  refund:    {kind: ai.tool, zone: app, side-effect: irreversible}
flows:
  - customer -> web: {data: prompt, protocol: https, authn: oidc}
  - web -> assistant: {data: prompt}
  - assistant <-> llm: {data: [prompt, kb-docs]}
  - kb -> assistant: {data: kb-docs, verb: retrieve}
  - assistant -> refund: {data: orders, verb: invoke, approval: none, id: refund-call}
"""
RULE = "injection/untrusted-tool-call"
"""What this plan is about: third-party text can make an agent use a tool that changes something."""

Run = Callable[..., Result]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with the plan in `bastide.yaml`."""
    (tmp_path / "bastide.yaml").write_text(PLAN)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("BASTIDE_DEBUG", raising=False)
    monkeypatch.setenv("COLUMNS", "100")
    return tmp_path


@pytest.fixture
def run(folder: Path) -> Run:
    """Runs `bastide` with arguments; asserts that no traceback is shown and the exit code is one of ours."""

    def invoke(*args: str, input: str | None = None) -> Result:
        result = CliRunner().invoke(cli, list(args), input=input, prog_name="bastide")
        assert isinstance(result.exception, SystemExit | None), result.exception
        assert "Traceback" not in result.output
        assert "defect in Bastide" not in result.output, result.output
        assert result.exit_code in (0, 1, 2, 3)
        return result

    return invoke
