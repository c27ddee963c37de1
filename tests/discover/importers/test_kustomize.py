# SPDX-License-Identifier: Apache-2.0
"""Kustomizations: what an overlay makes of its base."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from bastide.discover.importers.kubernetes import Kubernetes
from bastide.discover.interface import Tree
from bastide.discover.model import Reading, Resource

DEPLOYMENT = """\
apiVersion: apps/v1
kind: Deployment
metadata: {name: vllm}
spec:
  replicas: 1
  selector: {matchLabels: {app: vllm}}
  template:
    metadata: {labels: {app: vllm}}
    spec:
      containers:
        - name: vllm
          image: vllm/vllm-openai:v0.9
          args: [--model, org/small]
          env:
            - {name: MODE, value: base}
            - {name: OLD, value: x}
"""
SERVICE = """\
apiVersion: v1
kind: Service
metadata: {name: vllm}
spec: {selector: {app: vllm}, ports: [{port: 80}]}
"""
OVERLAY = """\
resources: [../../base]
namespace: prod
commonLabels: {team: ml}
images:
  - {name: vllm/vllm-openai, newName: registry.example/vllm, newTag: v1}
configMapGenerator:
  - name: settings
    literals: [LEVEL=debug]
patches:
  - path: env.yaml
  - target: {kind: Deployment, name: vllm}
    patch: |-
      - op: replace
        path: /spec/replicas
        value: 3
      - op: add
        path: /spec/template/spec/containers/0/args/-
        value: --trust-remote-code
  - target: {kind: Service}
    patch: |
      apiVersion: v1
      kind: Service
      metadata: {name: any}
      spec: {type: LoadBalancer}
"""
PATCH = """\
apiVersion: apps/v1
kind: Deployment
metadata: {name: vllm}
spec:
  template:
    spec:
      containers:
        - name: vllm
          envFrom: [{configMapRef: {name: settings}}]
          env:
            - {name: MODE, value: prod}
            - {name: OLD, $patch: delete}
        - {name: side, image: envoy:1}
"""
FILES = {
    "k/base/kustomization.yaml": "resources: [deployment.yaml, service.yaml]\n",
    "k/base/deployment.yaml": DEPLOYMENT,
    "k/base/service.yaml": SERVICE,
    "k/overlays/prod/kustomization.yaml": OVERLAY,
    "k/overlays/prod/env.yaml": PATCH,
}


def reading(files: dict[str, str]) -> Reading:
    tree = Tree(tuple(sorted(files)), files.get, {f: len(t) for f, t in files.items()})
    return Kubernetes().read(tree, [f for f in tree.files if Kubernetes().wants(f, lambda f=f: files[f][:4096])])


def of(found: Reading, kind: str) -> list[Resource]:
    return [r for r in found.resources if r.type == kind]


def test_an_overlay_changes_its_base() -> None:
    found = reading(FILES)
    assert found.problems == ()
    main, side = of(found, "container")
    assert main.id == "k/base/deployment.yaml: Deployment/vllm/vllm"
    assert (main.place.file, main.place.line) == ("k/base/deployment.yaml", 11)
    [image] = main.find("image")
    assert (image.data, image.place.file, image.place.line) == (
        "registry.example/vllm:v1",
        "k/overlays/prod/kustomization.yaml",
        5,
    )
    assert [w.data for w in main.find("command")] == ["--model", "org/small", "--trust-remote-code"]
    assert main.find("command")[2].place.line == 18
    assert {k: v.data for k, v in main.body.data["env"].data.items()} == {"MODE": "prod", "LEVEL": "debug"}
    assert main.body.data["labels"].plain() == {"app": "vllm", "team": "ml"}
    assert (side.name, side.part_of) == ("vllm-side", main.id)
    [service] = of(found, "kubernetes/Service")
    assert service.find("spec.type")[0].data == "LoadBalancer"
    assert service.find("targets")[0].refs == (main.id,)


def test_a_base_that_no_overlay_uses_stands_for_itself() -> None:
    files = {f: t for f, t in FILES.items() if "overlays" not in f}
    [main] = of(reading(files), "container")
    assert main.find("image")[0].data == "vllm/vllm-openai:v0.9"


def test_several_overlays_are_variants() -> None:
    dev = "resources: [../../base]\nimages: [{name: vllm/vllm-openai, digest: 'sha256:aa'}]\n"
    found = [
        r for r in of(reading({**FILES, "k/overlays/dev/kustomization.yaml": dev}), "container") if r.name == "vllm"
    ]
    assert [r.variant for r in found] == ["", "k/overlays/prod"]
    assert {r.scope for r in found} == {"kustomize:k/base"}
    assert [r.find("image")[0].data for r in found] == ["vllm/vllm-openai@sha256:aa", "registry.example/vllm:v1"]


def test_what_is_taken_in_is_not_deployed_twice() -> None:
    assert len(of(reading(FILES), "kubernetes/Deployment")) == 1
    apart = {
        **FILES,
        "other/pod.yaml": "apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec: {containers: [{name: a, image: b}]}\n",
    }
    assert sorted(r.name for r in of(reading(apart), "container")) == ["p", "vllm", "vllm-side"]


def test_what_is_elsewhere_is_said() -> None:
    files = {
        "kustomization.yaml": "resources:\n  - https://github.com/acme/x//config?ref=v1\n  - gone.yaml\npatches: [{path: none.yaml}]\n"
        "helmCharts: [{name: redis}]\n"
    }
    messages = [(p.place.line, p.message, p.hides) for p in reading(files).problems]
    assert [(line, hides) for line, _, hides in messages] == [(2, True), (3, True), (4, True), (5, True)]
    assert "comes from elsewhere" in messages[0][1]


def test_circles_end() -> None:
    names = [f"d{n}" for n in range(12)]
    files = {f"{n}/kustomization.yaml": "resources: [" + ", ".join(f"../{m}" for m in names) + "]" for n in names}
    assert reading(files).resources == ()


def test_a_patch_can_take_an_object_away() -> None:
    gone = "$patch: delete\napiVersion: v1\nkind: Service\nmetadata: {name: vllm}\n"
    files = {
        **FILES,
        "k/overlays/prod/kustomization.yaml": "resources: [../../base]\npatches: [{path: env.yaml}]\n",
        "k/overlays/prod/env.yaml": gone,
    }
    assert of(reading(files), "kubernetes/Service") == []


@given(st.sampled_from(sorted(FILES)), st.integers(0, 900), st.integers(0, 40), st.text("{}[]-:.$ \n/*&~", max_size=6))
def test_changed_files(name: str, at: int, cut: int, put: str) -> None:
    text = FILES[name]
    reading({**FILES, name: text[:at] + put + text[at + cut :]})
