# SPDX-License-Identifier: Apache-2.0
"""KServe: a service with its runtime, what runs beside it, graphs, and annotations with dots in their names."""

from __future__ import annotations

from pathlib import Path

import pytest

from bastide.discover.discover import discover
from bastide.discover.result import Discovery
from bastide.discover.types import load_types
from bastide.errors import KnowledgeError

SERVICE = """\
apiVersion: serving.kserve.io/v1beta1
kind: InferenceService
metadata:
  name: llm
  annotations: {sidecar.istio.io/inject: "false"}
spec:
  predictor:
    model:
      modelFormat: {name: huggingface}
      runtime: own-vllm
      storageUri: hf://acme/llm
      env: [{name: HF_TOKEN, value: hf_xCAyIOkCptTIo}]
  transformer:
    containers: [{name: pre, image: "acme/pre:1"}]
---
apiVersion: serving.kserve.io/v1alpha1
kind: ServingRuntime
metadata: {name: own-vllm}
spec:
  containers: [{name: kserve-container, image: "vllm/vllm-openai:v0.9", args: [--model, /mnt/models, --trust-remote-code]}]
---
apiVersion: serving.kserve.io/v1alpha1
kind: ClusterServingRuntime
metadata: {name: nobody-uses-it}
spec:
  containers: [{name: kserve-container, image: "vllm/vllm-openai:v0.8"}]
---
apiVersion: serving.kserve.io/v1alpha1
kind: InferenceGraph
metadata: {name: graph}
spec: {nodes: {root: {routerType: Sequence, steps: [{serviceName: llm}]}}}
"""


@pytest.fixture
def found(tmp_path: Path) -> Discovery:
    (tmp_path / "k.yaml").write_text(SERVICE)
    return discover(tmp_path)


def test_a_service_is_one_thing_with_its_runtime(found: Discovery) -> None:
    kinds = {c.id: c.kind for c in found.components.values()}
    assert kinds == {
        "user": "actor.user", "graph": "ai.chain", "llm": "ai.model.server", "llm-transformer": "app.worker", "hf-acme-llm": "ai.model"
    }  # fmt: skip
    facts = {name: fact.value for name, fact in found.components["llm"].facts.items()}
    assert facts["remote-code"] is True
    assert facts["mesh-injection"] is False
    assert facts["plain-token"] is True
    assert facts["image"] == "vllm/vllm-openai:v0.9"


def test_a_graph_calls_its_services(found: Discovery) -> None:
    assert {(f.source, f.target) for f in found.flows} >= {("user", "graph"), ("graph", "llm"), ("llm", "hf-acme-llm")}


def test_a_load_balancer_opens_what_a_cluster_would_keep(tmp_path: Path) -> None:
    """What a Service says goes before what holds for every pod."""
    (tmp_path / "k.yaml").write_text(
        "apiVersion: v1\nkind: Pod\nmetadata: {name: llm, labels: {app: llm}}\n"
        "spec: {containers: [{name: a, image: 'vllm/vllm-openai:v1', ports: [{containerPort: 8000}]}]}\n---\n"
        "apiVersion: v1\nkind: Service\nmetadata: {name: llm}\nspec: {type: LoadBalancer, selector: {app: llm}}\n"
    )
    assert discover(tmp_path).components["llm"].facts["published"].value == "internet"


def test_a_path_with_a_dotted_name_is_no_path(tmp_path: Path) -> None:
    """It would never match anything."""
    (tmp_path / "types").mkdir()
    (tmp_path / "types" / "own.yaml").write_text(
        "x:\n  types: [kubernetes/Ingress]\n  as-of: 2026-11\n  facts: {a: [{path: metadata.annotations.*nginx.ingress/x, value: true}]}\n"
    )
    with pytest.raises(KnowledgeError, match="a dot ends a step"):
        load_types((tmp_path,))
