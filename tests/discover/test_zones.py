# SPDX-License-Identifier: Apache-2.0
"""Zones are what something separates: namespaces, accounts, networks. Where nothing does, there is one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bastide.catalog.load import load_vocabulary
from bastide.discover.discover import discover
from bastide.discover.plan import to_plan
from bastide.plan.model import Plan


def pod(name: str, namespace: str, image: str) -> str:
    return (
        f"apiVersion: v1\nkind: Pod\nmetadata: {{name: {name}, namespace: {namespace}}}\n"
        f"spec: {{containers: [{{name: {name}, image: '{image}', ports: [{{containerPort: 8000}}]}}]}}\n---\n"
    )


def policy(namespace: str, spec: str) -> str:
    return f"apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {{name: p, namespace: {namespace}}}\nspec: {spec}\n---\n"


TWO = pod("llm", "models", "ollama/ollama:0.3") + pod("web", "apps", "acme/web:1")
COMPOSE = "services:\n  llm: {image: 'ollama/ollama:0.3', networks: [back]}\n"
TERRAFORM = 'resource "azurerm_cognitive_account" "ai" {\n  name = "ai"\n  kind = "OpenAI"\n}\n'


def plan(folder: Path, files: dict[str, str]) -> Plan:
    for name, text in files.items():
        (folder / name).write_text(text)
    return to_plan(discover(folder), load_vocabulary(()), "s")


def facts(found: Plan, zone: str) -> dict[str, Any]:
    return {name: fact.value for name, fact in found.zones[zone].facts.items()}


@pytest.mark.parametrize(
    ("files", "zones"),
    [
        ({"k.yaml": TWO}, {"llm": "namespace-models", "web": "namespace-apps"}),
        ({"k.yaml": TWO.replace("apps", "models")}, {"llm": "system", "web": "system"}),
        ({"k.yaml": TWO.replace("apps", "models"), "main.tf": TERRAFORM}, {"llm": "namespace-models", "ai": "azure"}),
        ({"main.tf": TERRAFORM}, {"ai": "system"}),
        (
            {"compose.yaml": COMPOSE + "  web: {image: 'acme/web:1', ports: ['80:80'], networks: [front, back]}\n"},
            {"llm": "network-back", "web": "system"},
        ),
        ({"compose.yaml": COMPOSE}, {"llm": "system"}),
    ],
    ids=["namespaces", "one-namespace", "cluster-and-cloud", "one-cloud", "networks", "one-network"],
)  # fmt: skip
def test_where_things_stand(tmp_path: Path, files: dict[str, str], zones: dict[str, str]) -> None:
    found = plan(tmp_path, files)
    assert {id_: found.components[id_].zone for id_ in zones} == zones


def test_who_uses_it_stands_on_the_internet(tmp_path: Path) -> None:
    found = plan(tmp_path, {"main.tf": TERRAFORM})
    assert {c.zone for c in found.components.values() if c.kind.startswith("actor")} <= {"internet"}
    assert facts(found, "system") == {"trust": "workload", "cloud": "azure"}


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ("{podSelector: {}, policyTypes: [Ingress]}", {"segmented": True}),
        ("{podSelector: {}, policyTypes: [Ingress, Egress]}", {"segmented": True, "egress": "none"}),
        ("{podSelector: {}, policyTypes: [Egress], egress: [{to: [{podSelector: {}}]}]}", {"egress": "allow-list"}),
        ("{podSelector: {}, policyTypes: [Egress], egress: [{}]}", {"egress": "any"}),
        ("{podSelector: {matchLabels: {app: x}}, policyTypes: [Ingress]}", {}),
    ],
)
def test_a_policy_for_all_pods_closes_the_namespace(tmp_path: Path, spec: str, said: dict[str, Any]) -> None:
    found = plan(tmp_path, {"k.yaml": TWO + policy("models", spec)})
    assert facts(found, "namespace-models") == {"trust": "workload", "cloud": "kubernetes", **said}
    assert facts(found, "namespace-apps") == {"trust": "workload", "cloud": "kubernetes"}
