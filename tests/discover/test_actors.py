# SPDX-License-Identifier: Apache-2.0
"""Who stands outside."""

from __future__ import annotations

from pathlib import Path

import pytest

from bastide.discover.discover import discover

COMPOSE = """services:
  proxy:
    image: nginx:1.29
    ports: ["%s80:80"]
    environment: {BACKEND: "http://models:8000"}
  models:
    image: vllm/vllm-openai:v0.10.1
    command: --model org/model
"""


@pytest.mark.parametrize(("interface", "reached"), [("", True), ("127.0.0.1:", False)])
def test_people_come_through_the_proxy(tmp_path: Path, interface: str, reached: bool) -> None:
    (tmp_path / "compose.yaml").write_text(COMPOSE % interface)
    flows = {flow.id for flow in discover(tmp_path).flows}
    assert "proxy->models:calls" in flows
    assert ("user->proxy:calls" in flows) is reached
    assert "user->models:calls" not in flows
