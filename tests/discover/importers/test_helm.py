# SPDX-License-Identifier: Apache-2.0
"""Charts: templates with their own values, and values alone where there are no templates."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bastide.discover.importers.helm import Helm
from bastide.discover.interface import Tree
from bastide.discover.model import Reading, State

CHART = "name: search\nappVersion: 2.0.1\ndependencies:\n  - {name: redis, version: 1.2.3, repository: https://charts.example}\n"
VALUES = """\
image: {repository: qdrant/qdrant, tag: ""}
service: {type: LoadBalancer, port: 6333}
ingress:
  enabled: true
  hosts: [{host: search.example}]
ui:
  image: {registry: ghcr.io, repository: org/ui, tag: 1.0.0}
  extraEnv:
    - {name: TOKEN, valueFrom: {secretKeyRef: {name: s, key: k}}}
    - {name: MODE, value: prod}
off:
  enabled: false
  image: {repository: x/y, tag: z}
"""


def reading(**more: str) -> Reading:
    """The reading of the chart."""
    files = {"c/Chart.yaml": CHART, "c/values.yaml": VALUES, **{f"c/templates/{k}.yaml": v for k, v in more.items()}}
    tree = Tree(tuple(sorted(files)), files.get, dict.fromkeys(files, 1))
    return Helm().read(tree, [f for f in tree.files if Helm().wants(f, lambda: "")])


def test_every_image_in_the_values_is_a_container() -> None:
    """With its version, also that of the chart; what is switched off isn't there."""
    found = {r.name: r for r in reading().resources if r.type == "container"}
    assert set(found) == {"search", "search-ui"}
    image = found["search"].body.data["image"]
    assert (image.data, image.state, image.place.line) == ("qdrant/qdrant:2.0.1", State.CONDITIONAL, 1)
    assert found["search-ui"].body.data["image"].data == "ghcr.io/org/ui:1.0.0"
    assert found["search-ui"].find("env.MODE")[0].data == "prod"
    assert found["search-ui"].find("env.TOKEN")[0].refs == ("secret:TOKEN",)


def test_what_templates_may_add_is_unknown() -> None:
    """A variable that the values don't set isn't absent, and a chart with templates makes the result incomplete."""
    container = next(r for r in reading().resources if r.name == "search-ui")
    assert [v.known for v in container.find("env.ANYTHING")] == [False]
    assert reading().problems == ()
    assert [p.hides for p in reading(deployment="{{ x }}").problems] == [True]


def test_services_ingresses_and_other_charts() -> None:
    """They lead to the container of their values."""
    found = {r.type: r for r in reading().resources if r.type != "container"}
    assert found["kubernetes/Service"].find("targets")[0].refs == ("c: values",)
    assert found["kubernetes/Ingress"].find("spec.rules.host")[0].data == "search.example"
    assert found["helm/dependency"].name == "redis"


HELPERS = """\
{{- define "app.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}
{{- define "app.fullname" -}}
{{- $name := default .Chart.Name .Values.nameOverride }}
{{- if contains $name .Release.Name }}
{{- .Release.Name | trunc 63 }}
{{- else }}
{{- printf "%s-%s" .Release.Name $name | trunc 63 }}
{{- end }}
{{- end }}
{{- define "app.labels" -}}
app.kubernetes.io/name: {{ include "app.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}
"""
DEPLOYMENT = """\
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ include "app.fullname" . }}
  labels:
    {{- include "app.labels" . | nindent 4 }}
spec:
  template:
    metadata:
      labels:
        {{- include "app.labels" . | nindent 8 }}
        tier: serving
    spec:
      {{- with .Values.podSecurityContext }}
      securityContext:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      containers:
        - name: {{ .Chart.Name }}
          image: "{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}"
          args:
            - --model
            - {{ .Values.model | quote }}
            {{- if .Values.trust }}
            - --trust-remote-code
            {{- end }}
            {{- if not .Values.trust }}
            - --safe
            {{- end }}
            {{- toYaml .Values.extraArgs | nindent 12 }}
          env:
            {{- range $key, $value := .Values.env }}
            - name: {{ $key }}
              value: {{ $value | quote }}
            {{- end }}
            - name: HF_TOKEN
              valueFrom:
                secretKeyRef:
                  name: {{ .Values.secret | default (printf "%s-hf" (include "app.fullname" .)) }}
                  key: token
            {{- if .Capabilities.KubeVersion.Minor }}
            - {name: NEW, value: "yes"}
            {{- end }}
          resources: {{- toYaml .Values.resources | nindent 12 }}
---
apiVersion: v1
kind: Service
metadata:
  name: {{ include "app.fullname" . }}
spec:
  type: {{ .Values.service.type }}
  selector:
    {{- include "app.labels" . | nindent 4 }}
"""
GIVEN = """\
image:
  repository: vllm/vllm-openai
model: org/model
trust: true
extraArgs:
  - --max-model-len
  - 4096
env:
  LOG: info
  BACKEND: http://redis:6379
podSecurityContext: {runAsNonRoot: true}
service: {type: LoadBalancer}
resources: {}
"""


def chart(files: dict[str, str]) -> Reading:
    tree = Tree(tuple(sorted(files)), files.get, dict.fromkeys(files, 1))
    return Helm().read(tree, [f for f in tree.files if Helm().wants(f, lambda: "")])


def serving(**more: str) -> dict[str, str]:
    return {
        "c/Chart.yaml": "name: llm\nappVersion: 0.9.1\n",
        "c/values.yaml": GIVEN,
        "c/templates/_helpers.tpl": HELPERS,
        "c/templates/deployment.yaml": DEPLOYMENT,
        **more,
    }


def test_a_template_is_read_with_the_values() -> None:
    found = {r.type: r for r in chart(serving()).resources}
    container = found["container"]
    assert (container.name, container.place.file, container.place.line) == ("llm", "c/templates/deployment.yaml", 19)
    [image] = container.find("image")
    assert (image.data, image.place.file, image.place.line) == ("vllm/vllm-openai:0.9.1", "c/values.yaml", 2)
    assert [v.data for v in container.find("command")] == [
        "--model", "org/model", "--trust-remote-code", "--max-model-len", 4096
    ]  # fmt: skip
    assert container.find("env.LOG")[0].data == "info"
    assert container.find("env.HF_TOKEN")[0].refs == ("secret:llm-hf/token",)
    assert container.find("security.runAsNonRoot")[0].data is True
    service = found["kubernetes/Service"]
    assert service.find("spec.type")[0].place.file == "c/values.yaml"
    assert service.find("targets")[0].refs == (container.id,)
    assert container.body.data["labels"].plain()["tier"] == "serving"


def test_what_depends_on_the_cluster_is_conditional() -> None:
    [container] = [r for r in chart(serving()).resources if r.type == "container"]
    assert container.find("env.NEW")[0].state is State.CONDITIONAL
    assert container.find("env.LOG")[0].state is State.KNOWN


def test_charts_below_get_the_values_of_those_above() -> None:
    """By name or alias, only under their condition, and under one roof: their names resolve among each other."""
    below = {f"lib/{name.removeprefix('c/')}": text for name, text in serving().items()}
    above = {
        "app/Chart.yaml": "name: chat\ndependencies:\n"
        "  - {name: llm, alias: big, version: 1, repository: 'file://../lib', condition: big.enabled}\n"
        "  - {name: llm, alias: off, version: 1, repository: 'file://../lib', condition: off.enabled}\n"
        "  - {name: redis, version: 1.2.3, repository: 'https://charts.example'}\n",
        "app/values.yaml": "big: {enabled: true, nameOverride: big, model: org/large}\noff: {enabled: false}\n",
        "app/templates/ui.yaml": "apiVersion: v1\nkind: Pod\nmetadata: {name: ui}\nspec:\n  containers:\n"
        "  - name: ui\n    image: org/ui:1\n    env: [{name: LLM_URL, value: 'http://{{ .Release.Name }}-big.default.svc'}]\n",
    }
    found = chart({**below, **above}).resources
    assert sorted(r.name for r in found if r.type == "container") == ["chat-big", "ui"]
    [big] = [r for r in found if r.name == "chat-big" and r.type == "container"]
    assert "org/large" in [v.data for v in big.find("command")]
    [ui] = [r for r in found if r.name == "ui" and r.type == "container"]
    assert ui.scope == big.scope
    assert ui.find("env.LLM_URL")[0].data == "http://chat-big.default.svc"
    assert any(name.startswith("host:chat-big.default.svc@") for name in big.names)
    assert [r.name for r in found if r.type == "helm/dependency"] == ["redis"]


@pytest.mark.parametrize(
    "template",
    [
        '{{ include "loop" . }}',
        "{{ range until 100000000 }}x{{ end }}",
        "{{- range $a := .Values.env }}{{ range $.Values.env }}" * 30,
        "{{ if }}{{ else }}{{ else }}{{ end }}{{ end }}{{ end }}",
        '{{ printf "%1000000000d" 1 }}: 1',
        "{{ " + "(" * 5000 + ")" * 5000 + " }}",
        "{{ $x := . }}{{ $x.$x.. }}{{ .. }}{{ | }}{{ := }}{{ ( }}{{ ) }}",
        "a: {{ .Values }}\n{{ .Values }}: b\n- {{ .Values }}",
        '{{ define "loop" }}{{ include "loop" . }}{{ include "loop" . }}{{ end }}{{ include "loop" . }}',
        'x: \'{{ .Values.model | replace "o" "oooooooooooooooo" | replace "o" "oooooooooooooooo" | replace "o" "oooooooooooooooo" }}\'',
        "\ue0005\ue001: {{ .Values.model }}",
    ],
)
def test_hostile_templates(template: str) -> None:
    chart(
        serving(
            **{
                "c/templates/bad.yaml": template,
                "c/templates/_loop.tpl": '{{ define "loop" }}{{ include "loop" . }}{{ end }}',
            }
        )
    )


@given(st.integers(0, len(DEPLOYMENT)), st.integers(0, 60), st.text('{}-.$ \n"|():=', max_size=8))
def test_changed_templates(at: int, cut: int, put: str) -> None:
    chart(serving(**{"c/templates/deployment.yaml": DEPLOYMENT[:at] + put + DEPLOYMENT[at + cut :]}))


@pytest.mark.parametrize(
    "template",
    [
        '{{ define "n0" }}xxxxxxxxxx{{ end }}'
        + "".join(
            f'{{{{ define "n{i}" }}}}' + f'{{{{ include "n{i - 1}" . }}}}' * 8 + "{{ end }}" for i in range(1, 30)
        )
        + 'a: {{ include "n29" . }}\n',
        "{{ range .Values.l }}" * 12 + "a" + "{{ end }}" * 12,
        '{{ $a := list "x" }}' + "{{ $a = concat $a $a }}" * 40 + "a: {{ first $a }}\n",
        '{{ $a := "x" }}' + "{{ $a = list $a $a }}" * 40 + "a: {{ first $a }}\n",
        "{{" * 100_000,
        "{{/*" * 100_000,
        "{{" + " " * 100_000,
        '{{"\\"' * 60_000,
    ],
    ids=["templates", "ranges", "lists", "nested lists", "open", "comments", "spaces", "quotes"],
)
def test_what_multiplies_in_templates_is_cut(template: str) -> None:
    """Templates in templates, lists of lists, beginnings without an end: work grows with the chart, not with its powers."""
    started = time.perf_counter()
    chart(serving() | {"c/values.yaml": "l: [" + "1," * 40 + "1]\n", "c/templates/more.yaml": template})
    assert time.perf_counter() - started < 40
