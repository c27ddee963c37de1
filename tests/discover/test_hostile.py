# SPDX-License-Identifier: Apache-2.0
# ruff: noqa: E501 (files as they stand, on one line each)
"""Whatever stands in a file: no exception, no hang, and what couldn't be read is said."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bastide.discover.discover import STEPS, read
from bastide.discover.importers import importers
from bastide.discover.interface import Limits, Tree
from bastide.discover.libraries import PREFIX, libraries
from bastide.discover.model import Reading
from bastide.discover.programs import with_programs
from bastide.discover.resolve import resolve
from bastide.discover.tree import Folder
from bastide.discover.types import load_types

HONEST = {
    "compose.yaml": "services:\n  a: &a\n    image: qdrant/qdrant\n    ports: ['1:2']\n  b:\n    <<: *a\n    environment: {X: '${Y:-z}'}\n",
    "k.yaml": "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: a, labels: {app: a}}\nspec:\n  template:\n    spec:\n"
    "      containers: [{name: a, image: 'vllm/vllm-openai', args: ['--model', 'a/b'], env: [{name: X, value: y}]}]\n",
    ".github/workflows/w.yml": "on: [issues]\njobs:\n  a:\n    steps:\n      - uses: anthropics/claude-code-action@v1\n        with: {claude_args: '--allowedTools Bash'}\n",
    ".mcp.json": '{"mcpServers": {"a": {"command": "npx", "args": ["-y", "x"], "env": {"K": "${V}"}}}}',
    "main.tf": 'variable "n" { default = 2 }\nlocals { l = [for i in range(var.n) : "x${i}"] }\n'
    'resource "aws_sagemaker_model" "m" {\n  count = var.n > 1 ? 1 : 0\n  name  = join("-", local.l)\n  dynamic "b" {\n    for_each = local.l\n    content { v = b.value }\n  }\n}\n',
    "tfplan.json": '{"format_version": "1.2", "terraform_version": "1.9.0", "planned_values": {"root_module": {"resources": [{"address": "x_y.a[0]", "mode": "managed", "type": "x_y", "name": "a", "values": {"n": "m", "policy": "{\\"a\\": 1}"}}], "child_modules": [{"resources": [{"address": "module.m[\\"k\\"].x_y.b", "mode": "managed", "type": "x_y", "name": "b", "values": {"b": [{"v": 1}]}, "sensitive_values": {"b": [{"v": true}]}}]}]}}, "resource_changes": [{"address": "x_y.a[0]", "change": {"after_unknown": {"id": true, "b": [{}]}}}], "configuration": {"root_module": {"resources": [{"address": "x_y.a", "mode": "managed", "type": "x_y", "name": "a", "expressions": {"n": {"references": ["module.m.o", "module.m"]}}}], "module_calls": {"m": {"expressions": {"v": {"references": ["x_y.a"]}}, "module": {"outputs": {"o": {"expression": {"references": ["x_y.b.id", "var.v"]}}}, "resources": [{"mode": "managed", "type": "x_y", "name": "b", "expressions": {"b": [{"v": {"references": ["var.v"]}}]}}]}}}}}}',
    "s.tfstate": '{"version": 4, "terraform_version": "1.9.0", "serial": 1, "resources": [{"module": "module.m[0]", "mode": "data", "type": "x_y", "name": "a", "instances": [{"index_key": "k", "attributes": {"id": "i-1234567890", "p": {"q": ["s"]}}, "sensitive_attributes": [[{"type": "get_attr", "value": "p"}, {"type": "index", "value": {"value": 0, "type": "number"}}]]}]}]}',
    "cdk.out/A.template.json": '{"Resources": {"F0": {"Type": "AWS::Lambda::Function", "Properties": {"Handler": "app.f"}, "Metadata": {"aws:cdk:path": "A/F/Resource"}}}}',
    "stack.ts": "import * as lambda from 'aws-cdk-lib/aws-lambda';\nconst f = new lambda.Function(this, 'F', { handler: 'app.f', code: lambda.Code.fromAsset('.') });\n",
    "app.py": "import os\nfrom openai import OpenAI as O\nc = O(base_url=os.getenv('U', f'http://{1}'))\ndef f(x):\n    return c.responses.create(model='m' + 'n', input=[*x])\n",
    "w.json": '{"nodes": [{"name": "a", "type": "@n8n/n8n-nodes-langchain.agent", "parameters": {}}], "connections": {"a": {"main": [[{"node": "a"}]]}}}',
    "t.yaml": "AWSTemplateFormatVersion: x\nParameters: {P: {Default: d}}\nResources:\n  A:\n    Type: AWS::Bedrock::Agent\n    Properties: {X: !Sub 'a-${P}', Y: !GetAtt A.Arn, Z: !If [c, !Ref P, b]}\n",
    "c/Chart.yaml": "name: c\nappVersion: 1\ndependencies: [{name: d}]\n",
    "c/values.yaml": "a: {image: {repository: x/y, tag: z}, env: {K: v}, service: {type: LoadBalancer, port: 1}, ingress: {enabled: true, hosts: [{host: h}]}}\n",
    "z/kustomization.yaml": "resources: [d.yaml]\nimages: [{name: a/b, newTag: v2}]\npatches:\n  - target: {kind: Pod}\n    patch: |-\n      - {op: add, path: /spec/containers/0/args/-, value: x}\n",
    "z/d.yaml": "apiVersion: v1\nkind: Pod\nmetadata: {name: z}\nspec: {containers: [{name: a, image: 'a/b:1', args: [y]}]}\n",
    "t/Chart.yaml": "name: t\n",
    "t/values.yaml": "a: {image: {repository: x/y, tag: z}, env: {K: v}}\n",
    "t/templates/d.yaml": "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: '{{ include \"c.n\" . }}'}\nspec:\n  template:\n    spec:\n      containers:\n"
    "        - image: \"{{ .Values.a.image.repository | default (printf \"%s\" .Chart.Name) }}\"\n          env:\n          {{- range $k, $v := .Values.a.env }}\n          - name: {{ $k }}\n            value: {{ $v | quote }}\n          {{- end }}\n          {{- toYaml .Values.a | nindent 10 }}\n",
    "t/templates/_h.tpl": '{{- define "c.n" -}}{{ if .Values.a }}{{ .Release.Name }}{{ else }}x{{ end }}{{- end }}',
    "m.bicep": "param n string = 'a'\nvar v = '${n}-x'\nresource r 'A/b@1' = if (n == 'a') {\n  name: v\n  p: { q: [for d in [1, 2]: { e: d }], s: r.id, t: empty(n) ? 1 : 2 }\n}\nmodule m './m.bicep' = { params: { n: v } }\n",
    "arm.json": '{"$schema": "x/deploymentTemplate.json#", "parameters": {"n": {"defaultValue": "a"}}, "resources": [{"type": "A/b", "name": "[parameters(\'n\')]", "properties": {"x": "[variables(\'n\')]"}}]}',
    ".env": "A=b\nexport C='d'\n",
    "chat.ts": 'import OpenAI from "openai";\nimport { x } from "./chat";\nclass A { private c = new OpenAI({ baseURL: `${process.env.U ?? "d"}/v1`, ...x }); m(a: A) { return this.c.responses.create({ model: "m" + 1 }); } }\nexport const y = new A().m?.([...x]);\n',
    "n.ipynb": '{"cells": [{"cell_type": "code", "source": ["%pip x\\n", "import openai\\n", "c = openai.OpenAI()"]}], "metadata": {"language_info": {"name": "python"}}}',
    "requirements.txt": "openai[x]==1.2.3 ; python_version > '3'\n",
    "package.json": '{"dependencies": {"openai": "^4.0.0"}}',
    "build/Dockerfile": 'ARG T=1\nFROM a:$T AS b\nENV A=1 \\\n  B="x y"\nFROM b\nEXPOSE 80/tcp\nUSER x\nCMD ["a", "b"]\n',
    "openapi.yaml": "openapi: 3.1.0\ncomponents: {securitySchemes: {k: {type: apiKey}}}\npaths: {/a: {get: {security: [{k: []}]}}}\n",
    "w/model.safetensors": "version https://git-lfs.github.com/spec/v1\noid sha256:" + "0f" * 32 + "\nsize 10\n",
    "w/config.json": '{"model_type": "a", "auto_map": {"b": "c"}}',
}  # fmt: skip


def whole(files: dict[str, str]) -> Reading:
    """All importers, then the resolver, on files in memory. A defect of an importer isn't caught here."""
    tree = Tree(
        tuple(sorted(files)),
        files.get,
        {f: len(t) for f, t in files.items()},
        lambda f: files[f][:4096].encode("utf-8", "replace"),
    )
    found: list[Reading] = []
    for importer in importers():
        wanted = [f for f in tree.files if importer.wants(f, lambda f=f: files[f][:4096])]  # type: ignore[misc]
        found.append(importer.read(tree, wanted))
    resources = [r for reading in found for r in reading.resources]
    needed = [r for r in resources if r.type.startswith(PREFIX)]
    rest = [r for r in resources if not r.type.startswith(PREFIX)]
    for step in STEPS:
        rest = list(step(rest))
    resolve(with_programs(rest, tree.files, needed), load_types())
    libraries(needed)
    return Reading(tuple(resources), tuple(p for reading in found for p in reading.problems))


def test_the_honest_files_are_all_read() -> None:
    """The mutations below start from files in which something is found."""
    found = whole(HONEST)
    beside = {"w/config.json", "z/kustomization.yaml", "t/Chart.yaml", "t/values.yaml", "t/templates/_h.tpl"}
    assert {r.place.file for r in found.resources} == set(HONEST) - beside
    assert found.problems == ()


@settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(st.sampled_from(sorted(HONEST)), st.integers(0, 2**32))
def test_any_mutation_is_read_or_said_to_be_unreadable(name: str, seed: int) -> None:
    """Characters replaced, taken out, doubled, nested: a reading or a problem, never an exception."""
    rng = random.Random(seed)
    text = list(HONEST[name])
    for _ in range(rng.randint(1, 6)):
        at = rng.randrange(len(text) + 1)
        text[at : at + rng.randint(0, 4)] = rng.choice(["{", "[", "}", "]", ":", "\t", "\n", '"', "'", "${", "&a", "*a", "<<", "\ud800", "\x00", "-", "!x ", "#", "null", "1e999", "(", "é", "{{ x }}"])  # fmt: skip
    whole({**HONEST, name: "".join(text)})


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("compose.yaml", "a: &a [x]\n" + "".join(f"b{i}: &b{i} [*{'a' if i == 0 else f'b{i - 1}'}, *{'a' if i == 0 else f'b{i - 1}'}]\n" for i in range(40)) + "services: {a: {image: *b39}}\n"),
        ("compose.yaml", "services:\n  a: {extends: b}\n  b: {extends: a}\n"),
        ("compose.yaml", "include: [compose.yaml]\nservices: {a: {image: x}}\n"),
        ("compose.yaml", "services:\n  a: " + "[" * 5000),
        ("compose.yaml", "services: {a: {image: '${A:-${A:-${A:-x}}}', command: '" + "${A:-$A$A}" * 2000 + "'}}"),
        (".mcp.json", "[" * 100_000),
        ("main.tf", 'locals { a = local.b\n b = local.a }\nresource "x" "y" { v = local.a }\n'),
        ("main.tf", 'module "m" { source = "./" }\n'),
        ("main.tf", 'resource "x" "y" { v = ' + "(" * 3000 + "1" + ")" * 3000 + " }\n"),
        ("main.tf", 'locals { l = range(10000) }\nresource "x" "y" { v = [for a in local.l : [for b in local.l : [for c in local.l : c]]] }\n'),
        ("main.tf", 'locals { a = "xxxxxxxxxx"\n' + "".join(f' a{i} = "${{local.a{i - 1 if i else ""}}}${{local.a{i - 1 if i else ""}}}"\n' for i in range(40)) + '}\nresource "x" "y" { v = local.a39 }\n'),
        ("main.tf", 'resource "x" "y" { for_each = x.y\n v = each.value }\nresource "a" "b" { v = a.b.v }\n'),
        ("app.py", "import openai\nx = " + "(" * 5000),
        ("app.py", "import openai\nx = " + "-" * 20_000 + "1\n"),
        ("app.py", "import openai\na = b\nb = a\nopenai.OpenAI(base_url=a)\nclass A(A): pass\nfrom app import *\n"),
        ("app.py", "import openai\nc = c.x\nc.create(model=c)\n"),
        ("n.ipynb", "[" * 100_000),
        ("package.json", '{"dependencies": ' + "[" * 5000),
        ("build/Dockerfile", "FROM a\nENV " + "A=$A" * 20_000),
        ("build/Dockerfile", "FROM a AS b\n" + "FROM b AS b\n" * 2000),
        ("openapi.yaml", "openapi: 3.0.0\npaths: &p {/a: *p}\n"),
        ("k.yaml", "apiVersion: v1\nkind: " + "A" * 100_000 + "\nmetadata: {name: [1]}\nspec: {containers: [1, {name: [x]}]}\n"),
    ],
)  # fmt: skip
def test_bombs_and_circles_end(name: str, text: str) -> None:
    """Aliases, includes, locals, modules, assignments that lead to themselves, loops in loops, texts that double."""
    whole({**HONEST, name: text})


def test_files_that_are_no_files(tmp_path: Path) -> None:
    """Links, pipes, binary files, large files: said, not followed, not waited for."""
    (tmp_path / "compose.yaml").symlink_to("/etc/passwd")
    os.mkfifo(tmp_path / "docker-compose.yml")
    (tmp_path / "main.tf").write_bytes(b"\xff\xfe\x00resource")
    (tmp_path / "big.tf").write_text("#" * 2000)
    folder = Folder(tmp_path, Limits(file_bytes=1000))
    found = read(folder.tree(), importers())
    assert found.resources == ()
    assert {"main.tf", "big.tf"} <= {p.place.file for p in folder.problems}


def test_a_defect_of_an_importer_hides_nothing_of_others() -> None:
    """It becomes a problem, and the rest is read."""

    class Broken:
        name = "broken"

        def wants(self, path: str, head: object) -> bool:
            return path == "x"

        def read(self, tree: Tree, files: object) -> Reading:
            raise RuntimeError("no")

    found = read(Tree(("x",), lambda _: ""), (Broken(),))  # type: ignore[arg-type]
    assert found.problems[0].hides
    assert "broken" in found.problems[0].message


def test_a_key_that_is_written_otherwise_is_read_where_it_stands() -> None:
    """Names are compared without case and hyphens, so `uses-` is found as `uses`."""
    whole(
        {".github/workflows/w.yml": "on: push\njobs:\n  a:\n    steps:\n      - {uses-: a/b@v1}\n      - {RUN: make}\n"}
    )
