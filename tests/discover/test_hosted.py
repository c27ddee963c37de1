# SPDX-License-Identifier: Apache-2.0
"""Containers that platforms host, in one shape whichever language declares them."""

from __future__ import annotations

from pathlib import Path

import pytest

from bastide.discover.discover import discover, read
from bastide.discover.hosted import with_hosted
from bastide.discover.importers import importers
from bastide.discover.interface import Tree
from bastide.discover.model import Resource


def containers(files: dict[str, str]) -> list[Resource]:
    tree = Tree(
        tuple(sorted(files)), files.get, {f: len(t) for f, t in files.items()}, lambda f: files[f][:4096].encode()
    )
    return [r for r in with_hosted(read(tree, importers()).resources) if r.type == "container"]


ECS = """\
resource "aws_ecs_task_definition" "web" {
  task_role_arn         = aws_iam_role.task.arn
  container_definitions = jsonencode([{ name = "web", image = "acme/web:1", command = ["serve"],
    environment = [{ name = "A", value = "b" }], secrets = [{ name = "K", valueFrom = "x" }], portMappings = [{ containerPort = 8000 }] }])
}
"""
CLOUD_RUN = """\
resource "google_cloud_run_v2_service" "web" {
  name = "web"
  template {
    service_account = google_service_account.task.email
    containers {
      image = "acme/web:1"
      args  = ["serve"]
      ports { container_port = 8000 }
      env {
        name  = "A"
        value = "b"
      }
      env {
        name = "K"
        value_source {
          secret_key_ref { secret = "x" }
        }
      }
    }
  }
}
"""
CONTAINER_APP = """\
resource "azurerm_container_app" "web" {
  name = "web"
  identity { identity_ids = [azurerm_user_assigned_identity.task.id] }
  ingress {
    external_enabled = true
    target_port      = 8000
  }
  template {
    container {
      name  = "web"
      image = "acme/web:1"
      args  = ["serve"]
      env {
        name  = "A"
        value = "b"
      }
      env {
        name        = "K"
        secret_name = "x"
      }
    }
  }
}
"""
BICEP = """\
resource web 'Microsoft.App/containerApps@2024-03-01' = {
  name: 'web'
  identity: { type: 'UserAssigned', userAssignedIdentities: { 'task': {} } }
  properties: {
    configuration: { ingress: { external: true, targetPort: 8000 } }
    template: { containers: [
      { name: 'web', image: 'acme/web:1', args: ['serve'], env: [
        { name: 'A', value: 'b' }
        { name: 'K', secretRef: 'x' }
      ] }
    ] }
  }
}
"""
APP_RUNNER = """\
Resources:
  web:
    Type: AWS::AppRunner::Service
    Properties:
      InstanceConfiguration: {InstanceRoleArn: arn:aws:iam::1:role/task}
      SourceConfiguration:
        ImageRepository:
          ImageIdentifier: acme/web:1
          ImageConfiguration: {Port: 8000, StartCommand: serve, RuntimeEnvironmentVariables: [{Name: A, Value: b}]}
"""
DEPLOYMENT = """\
resource "kubernetes_deployment_v1" "web" {
  metadata { name = "web" }
  spec {
    template {
      spec {
        container {
          name  = "web"
          image = "acme/web:1"
          args  = ["serve"]
          port { container_port = 8000 }
          env {
            name  = "A"
            value = "b"
          }
          env {
            name = "K"
            value_from {
              secret_key_ref { name = "x" }
            }
          }
        }
      }
    }
  }
}
"""


@pytest.mark.parametrize(
    "files",
    [
        {"main.tf": ECS}, {"main.tf": CLOUD_RUN}, {"main.tf": CONTAINER_APP}, {"main.bicep": BICEP}, {"t.yaml": APP_RUNNER}, {"main.tf": DEPLOYMENT},
    ],
    ids=["ecs", "cloud-run", "container-app", "bicep", "app-runner", "kubernetes"],
)  # fmt: skip
def test_every_platform_has_the_same_shape(files: dict[str, str]) -> None:
    [found] = containers(files)
    assert (found.name, found.find("image")[0].data) == ("web", "acme/web:1")
    assert [v.data for v in found.find("command")] == ["serve"]
    assert found.find("env.A")[0].data == "b"
    assert [v.data for v in found.find("ports.container")] == [8000]
    if "Runner" not in str(files):
        assert any(ref.startswith("secret:") for ref in found.find("env.K")[0].refs)


def test_a_definition_in_a_text_has_its_own_lines() -> None:
    text = 'resource "aws_ecs_task_definition" "t" {\n  container_definitions = <<EOT\n[{"name": "llm",\n  "image": "i"}]\nEOT\n}\n'
    [found] = containers({"main.tf": text})
    assert found.find("image")[0].place.line == 4


def test_manifests_in_terraform_are_manifests() -> None:
    text = """\
resource "kubernetes_manifest" "llm" {
  manifest = {
    apiVersion = "apps/v1"
    kind       = "Deployment"
    metadata   = { name = "llm" }
    spec = { template = { spec = { containers = [{ name = "llm", image = "ollama/ollama:0.3" }] } } }
  }
}
"""
    [found] = containers({"main.tf": text})
    assert (found.name, found.find("image")[0].data) == ("llm", "ollama/ollama:0.3")


def test_what_is_hosted_talks_to_what_its_variables_name(tmp_path: Path) -> None:
    """The endpoint of a service is called, a secret is read, an identity is neither."""
    rest = """\
resource "azurerm_cognitive_account" "ai" {
  name = "ai"
  kind = "OpenAI"
}
resource "azurerm_user_assigned_identity" "task" { name = "chat-app" }
"""
    variables = """\
      env {
        name  = "AZURE_OPENAI_ENDPOINT"
        value = azurerm_cognitive_account.ai.endpoint
      }
      env {
        name  = "AZURE_CLIENT_ID"
        value = azurerm_user_assigned_identity.task.client_id
      }
"""
    (tmp_path / "main.tf").write_text(CONTAINER_APP.replace("      env {\n", variables + "      env {\n", 1) + rest)
    found = discover(tmp_path)
    flows = {(f.source, f.verb, f.target) for f in found.flows}
    assert ("web", "calls", "ai") in flows
    assert {verb for _, verb, target in flows if found.components[target].kind == "identity.workload"} == {"runs-as"}
    assert found.components["web"].facts["published"].value == "internet"
