# SPDX-License-Identifier: Apache-2.0
"""Settings of LiteLLM proxies, given to the containers that run with them."""

from __future__ import annotations

from pathlib import Path

import pytest

from bastide.discover.discover import discover
from bastide.discover.result import Discovery

PROXY = """services:
  gateway:
    image: ghcr.io/berriai/litellm:v1.80.0
    command: --config /app/config.yaml
    ports: ["4000:4000"]
    volumes: ["./conf/proxy.yaml:/app/config.yaml"]
    environment: {KEY: "${KEY}", LOCAL: "http://models:11434"}
  models: {image: "ollama/ollama:0.12.0"}
  answers: {image: "redis:8.2"}
"""
SETTINGS = """model_list:
  - model_name: quick
    litellm_params: {model: openai/gpt-9-small, api_key: os.environ/OPENAI_API_KEY}
  - model_name: own
    litellm_params: {model: ollama_chat/small-llama, api_base: os.environ/LOCAL}
  - model_name: any
    litellm_params: {model: "anthropic/*"}
  - model_name: vectors
    litellm_params: {model: azure/text-embedding-9}
litellm_settings: {cache: true, cache_params: {type: redis, host: answers}}
guardrails:
  - {guardrail_name: no-names, litellm_params: {guardrail: presidio, mode: pre_call}}
mcp_servers:
  tickets: {url: "https://tickets.example/mcp", transport: http}
general_settings: {master_key: os.environ/KEY}
"""


def found(folder: Path, files: dict[str, str]) -> Discovery:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return discover(folder)


def asked(one: Discovery, id_: str = "gateway") -> object:
    fact = one.components[id_].facts["authentication"]
    return fact.value


def test_what_the_settings_name_is_called_by_the_container(tmp_path: Path) -> None:
    one = found(tmp_path, {"compose.yaml": PROXY, "conf/proxy.yaml": SETTINGS})
    kinds = {c.name: c.kind for c in one.components.values()}
    assert kinds["gpt-9-small"] == "ai.model.endpoint"
    assert kinds["small-llama"] == "ai.model"
    assert kinds["text-embedding-9"] == "ai.embedder"
    assert kinds["no-names"] == "ai.guardrail"
    assert kinds["tickets"] == "ai.mcp-server"
    assert not any("*" in name for name in kinds)
    flows = {f.id for f in one.flows}
    assert {"gateway->gpt-9-small:calls", "gateway->models:calls", "gateway->answers:calls"} <= flows
    assert "gateway->tickets:invokes" in flows
    assert asked(one) == "shared-key"
    assert sum(c.kind == "ai.gateway" for c in one.components.values()) == 1


def test_without_a_key_everybody_is_served(tmp_path: Path) -> None:
    one = found(tmp_path, {"compose.yaml": PROXY, "conf/proxy.yaml": SETTINGS.partition("general_settings")[0]})
    assert asked(one) == "none"


def test_settings_that_are_not_here_may_hold_the_key(tmp_path: Path) -> None:
    one = found(tmp_path, {"compose.yaml": PROXY})
    assert asked(one) is None


def test_a_key_in_the_file_is_seen(tmp_path: Path) -> None:
    text = SETTINGS.replace("os.environ/KEY", "sk-9f8e7d6c5b4a")
    one = found(tmp_path, {"compose.yaml": PROXY, "conf/proxy.yaml": text})
    assert any(w.expectation == "secrets/constant-secret" and w.element == "gateway" for w in one.weaknesses)


def test_a_file_with_which_no_container_runs_says_nothing(tmp_path: Path) -> None:
    spare = "model_list: [{model_name: x, litellm_params: {model: openai/gpt-spare}}]\n"
    one = found(tmp_path, {"compose.yaml": PROXY, "conf/proxy.yaml": SETTINGS, "tests/spare.yaml": spare})
    assert not any("spare" in c.name for c in one.components.values())


def test_settings_alone_are_a_proxy(tmp_path: Path) -> None:
    one = found(tmp_path, {"proxy.yaml": SETTINGS})
    assert [c.kind for c in one.components.values()].count("ai.gateway") == 1


def test_settings_in_a_config_map(tmp_path: Path) -> None:
    text = "".join(f"    {line}\n" for line in SETTINGS.splitlines())
    manifest = f"""apiVersion: v1
kind: ConfigMap
metadata: {{name: proxy}}
data:
  config.yaml: |
{text}---
apiVersion: apps/v1
kind: Deployment
metadata: {{name: gateway}}
spec:
  template:
    spec:
      containers: [{{name: gateway, image: "ghcr.io/berriai/litellm:v1.80.0", args: [--config, /etc/config.yaml]}}]
"""
    one = found(tmp_path, {"k8s.yaml": manifest})
    model = next(c for c in one.components.values() if c.name == "gpt-9-small")
    assert [str(p) for p in model.provenance] == ["k8s.yaml:8"]
    assert asked(one) == "shared-key"


@pytest.mark.parametrize(
    "text",
    ["model_list: 7\n", "model_list: [1, {litellm_params: x}]\nmcp_servers: [a]\nguardrails: b\n", "model_list:\n"],
)
def test_odd_settings_end_in_no_error(tmp_path: Path, text: str) -> None:
    one = found(tmp_path, {"compose.yaml": PROXY, "conf/proxy.yaml": text})
    assert not any("failed" in p.message for p in one.problems)
    assert "gateway" in one.components
