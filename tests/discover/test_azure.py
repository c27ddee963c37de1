# SPDX-License-Identifier: Apache-2.0
"""Systems on Azure from Bicep, Terraform and `azure.yaml`: what is found, and what must not be."""

from __future__ import annotations

from pathlib import Path

from bastide.discover.discover import discover
from bastide.discover.result import Discovery

ACCOUNT = """\
resource ai 'Microsoft.CognitiveServices/accounts@2024-10-01' = {
  name: 'ai'
  kind: 'OpenAI'
  properties: { disableLocalAuth: true, publicNetworkAccess: 'Disabled' }
}
"""
APP = """\
param image string = ''
resource id 'Microsoft.ManagedIdentity/userAssignedIdentities@2023-01-31' = { name: 'front' }
resource web 'Microsoft.App/containerApps@2024-03-01' = {
  name: 'web'
  tags: union({ owner: 'me' }, { 'azd-service-name': 'web' })
  identity: { userAssignedIdentities: { '${id.id}': {} } }
  properties: {
    configuration: { ingress: { external: true, targetPort: 80 } }
    template: {
      containers: [
        { name: 'main', image: empty(image) ? 'nginx:latest' : image, env: [ { name: 'URL', value: ai.properties.endpoint } ] }
      ]
    }
  }
}
"""
AZURE = "name: x\nservices:\n  web: {project: ./src, language: py, host: containerapp}\n"
CODE = "import os\nfrom openai import AzureOpenAI\nAzureOpenAI(azure_endpoint=os.environ['URL'])\n"


def found_in(folder: Path, files: dict[str, str]) -> Discovery:
    """What is found in some files."""
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    return discover(folder)


def kinds(found: Discovery) -> dict[str, str]:
    """Kinds by id, without people."""
    return {c.id: c.kind for c in found.components.values() if not c.kind.startswith("actor")}


def flows(found: Discovery) -> set[str]:
    """Flows between what isn't a person."""
    return {f.id for f in found.flows if not f.source.startswith("user")}


def test_the_code_of_a_service_is_what_its_resource_runs(tmp_path: Path) -> None:
    """`azure.yaml` says which folder a resource is built from; the image in the template only holds the place, so it is no weakness."""
    found = found_in(
        tmp_path,
        {"main.bicep": ACCOUNT + APP, "azure.yaml": AZURE, "src/app.py": CODE, "src/Dockerfile": "FROM python:3.12\n"},
    )
    assert kinds(found) == {"ai": "ai.model.endpoint", "web": "app.api", "id": "identity.workload"}
    assert flows(found) == {"web->ai:calls", "web->id:runs-as"}
    assert found.components["web"].facts["image-pinned"].value is None


def test_without_azure_yaml_the_image_counts(tmp_path: Path) -> None:
    """Nothing says that something else will run, so a moving tag is one."""
    found = found_in(tmp_path, {"main.bicep": ACCOUNT + APP})
    assert found.components["web"].facts["image-pinned"].value == "floating"


def test_a_program_without_a_container(tmp_path: Path) -> None:
    """An app service runs the folder that `azure.yaml` names for it."""
    site = "resource api 'Microsoft.Web/sites@2023-12-01' = { name: 'api', tags: { 'azd-service-name': 'web' }, properties: {} }\n"
    found = found_in(tmp_path, {"main.bicep": ACCOUNT + site, "azure.yaml": AZURE, "src/app.py": CODE})
    assert flows(found) == {"api->ai:calls"}


MODULES = """\
module ai 'br/public:avm/res/cognitive-services/account:0.10.1' = {
  name: 'ai'
  params: {
    name: 'ai'
    kind: 'AIServices'
    disableLocalAuth: false
    deployments: [ { name: 'chat', model: { format: 'OpenAI', name: 'gpt-4o', version: '1' }, raiPolicyName: 'strict' } ]
  }
}
module find 'br/public:avm/res/search/search-service:0.9.0' = { name: 'find', params: { name: 'find', publicNetworkAccess: 'Disabled' } }
module web 'br/public:avm/res/app/container-app:0.12.0' = {
  name: 'web'
  params: {
    name: 'web'
    ingressTargetPort: 80
    containers: [
      { name: 'main', image: 'example/web:1.0', env: [ { name: 'A', value: ai.outputs.endpoint }, { name: 'B', value: find.outputs.name } ] }
    ]
  }
}
"""


def test_modules_of_the_verified_registry(tmp_path: Path) -> None:
    """What they are given is theirs; what they aren't given isn't known, and no provider's default is put in its place."""
    found = found_in(tmp_path, {"main.bicep": MODULES})
    assert kinds(found) == {
        "ai": "ai.model.endpoint",
        "gpt-4o": "ai.model",
        "find": "data.vector-store",
        "web": "app.api",
    }
    assert flows(found) == {"ai->gpt-4o:serves", "web->ai:calls", "web->find:calls"}
    account, model, store = (found.components[i].facts for i in ("ai", "gpt-4o", "find"))
    assert (account["key-authentication"].value, "public-network-access" in account) == (True, False)
    assert (model["guardrail"].value, store["public-network-access"].value) == ("strict", False)
    assert "key-authentication" not in store


REGISTRY = """\
module "ai" {
  source               = "Azure/avm-res-cognitiveservices-account/azurerm"
  kind                 = "OpenAI"
  cognitive_deployments = { chat = { name = "chat", model = { format = "OpenAI", name = "gpt-4o" } } }
}
module "other" {
  source = "git::https://github.com/Azure/terraform-azurerm-openai.git?ref=v1"
}
resource "azurerm_linux_web_app" "web" {
  name         = "web"
  app_settings = { URL = module.ai.endpoint }
}
module "unheard" { source = "me/unheard/azurerm" }
"""


def test_modules_of_the_terraform_registry(tmp_path: Path) -> None:
    """The same for Terraform, also from the module's repository."""
    found = found_in(tmp_path, {"main.tf": REGISTRY})
    assert kinds(found) == {
        "ai": "ai.model.endpoint",
        "other": "ai.model.endpoint",
        "gpt-4o": "ai.model",
        "web": "app.api",
    }
    assert flows(found) == {"ai->gpt-4o:serves", "web->ai:calls"}


GATEWAY = """\
resource gate 'Microsoft.ApiManagement/service@2024-05-01' = { name: 'gate' }
resource back 'Microsoft.ApiManagement/service/backends@2024-05-01' = { parent: gate, name: 'back', properties: { url: ai.properties.endpoint } }
resource api 'Microsoft.ApiManagement/service/apis@2024-05-01' = { parent: gate, name: 'api', properties: { subscriptionRequired: true } }
resource rules 'Microsoft.ApiManagement/service/apis/policies@2024-05-01' = {
  parent: api
  name: 'policy'
  properties: { value: loadTextContent('policy.xml') }
}
resource watch 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  name: 'w'
  scope: ai
  properties: { logs: [ { categoryGroup: 'allLogs', enabled: true } ] }
}
resource can 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: 'can'
  properties: {
    principalId: id.properties.principalId
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', 'b24988ac-6180-42a0-ab88-20f7382dd24c')
  }
}
"""


def test_gateways_logs_and_roles(tmp_path: Path) -> None:
    """A gateway calls its backends and does what its policy says; logs are of what they are about; Contributor is broad."""
    policy = "<policies><inbound><llm-token-limit tokens-per-minute='100' /></inbound></policies>"
    found = found_in(tmp_path, {"main.bicep": ACCOUNT + APP + GATEWAY, "policy.xml": policy})
    assert {"gate->ai:calls", "ai->watch:logs"} <= flows(found)
    facts = found.components["gate"].facts
    assert (facts["authentication"].value, facts["rate-limited"].value) == ("api-key", True)
    assert found.components["id"].facts["privileges"].value == "broad"


def test_a_template_that_was_compiled_from_bicep_is_read_once(tmp_path: Path) -> None:
    """The compiled file is the same deployment; one that was written by hand is another."""
    schema = '"$schema": "https://schema.management.azure.com/schemas/2019-04-01/deploymentTemplate.json#"'
    arm = f'{{{schema}, %s"resources": [{{"type": "Microsoft.Search/searchServices", "name": "s"}}]}}'
    made = arm % '"metadata": {"_generator": {"name": "bicep"}}, '
    assert set(kinds(found_in(tmp_path / "a", {"main.bicep": ACCOUNT, "main.json": made}))) == {"ai"}
    assert set(kinds(found_in(tmp_path / "b", {"main.bicep": ACCOUNT, "azuredeploy.json": made}))) == {"ai"}
    assert set(kinds(found_in(tmp_path / "c", {"main.bicep": ACCOUNT, "main.json": arm % ""}))) == {"ai", "s"}
    assert set(kinds(found_in(tmp_path / "d", {"main.json": made}))) == {"s"}


DATABASE = """\
resource rows 'Microsoft.DBforPostgreSQL/flexibleServers@2023-03-01-preview' = { name: 'rows' }
resource open 'Microsoft.DBforPostgreSQL/flexibleServers/firewallRules@2023-03-01-preview' = {
  parent: rows
  name: 'all'
  properties: { startIpAddress: '0.0.0.0', endIpAddress: 'END' }
}
resource api 'Microsoft.App/containerApps@2024-03-01' = {
  name: 'api'
  properties: {
    template: {
      containers: [
        {
          name: 'a'
          image: 'x/api:1'
          env: [ { name: 'POSTGRES_HOST', value: rows.properties.fullyQualifiedDomainName }, { name: 'POSTGRES_DATABASE', value: 'postgres' } ]
        }
      ]
    }
  }
}
"""


def test_a_database_that_is_open_to_all(tmp_path: Path) -> None:
    """A rule for all addresses is a weakness, one for Azure's own isn't; the name of a database is no host."""
    for end, weak in (("255.255.255.255", ["rows"]), ("0.0.0.0", [])):
        found = found_in(tmp_path / end, {"main.bicep": DATABASE.replace("END", end)})
        assert [w.element for w in found.weaknesses if w.expectation == "cloud/public-network-access"] == weak
        assert set(kinds(found)) == {"rows", "api"}


def test_an_identity_with_which_something_signs_in(tmp_path: Path) -> None:
    """A federated credential shows that an identity is used, whatever its name; without one it is nobody's."""
    text = 'resource "azurerm_user_assigned_identity" "one" { name = "one" }\n'
    federated = (
        'resource "azurerm_federated_identity_credential" "c" { parent_id = azurerm_user_assigned_identity.one.id }\n'
    )
    assert kinds(found_in(tmp_path / "a", {"main.tf": text})) == {}
    assert list(kinds(found_in(tmp_path / "b", {"main.tf": text + federated})).values()) == ["identity.workload"]


def test_who_reaches_a_gateway(tmp_path: Path) -> None:
    """The internet, unless it stands in a network of its own; people come to it in both cases."""
    for network, reached in (("None", "internet"), ("Internal", "internal")):
        own = f"name: 'gate', properties: {{ virtualNetworkType: '{network}' }} }}"
        gate = GATEWAY.replace("name: 'gate' }", own, 1)
        found = found_in(tmp_path / network, {"main.bicep": ACCOUNT + APP + gate, "policy.xml": ""})
        assert found.components["gate"].facts["published"].value == reached
        assert ("user", "gate") in {(f.source, f.target) for f in found.flows}


def test_embedding_models_need_no_content_filter(tmp_path: Path) -> None:
    """They answer nobody, whichever language deploys them."""
    deployed = (
        "resource d%d 'Microsoft.CognitiveServices/accounts/deployments@2024-10-01' = {\n"
        "  parent: ai\n  name: 'd'\n  properties: { model: { name: '%s' } }\n}\n"
    )
    models = "".join(deployed % (n, m) for n, m in enumerate(("gpt-4o", "text-embedding-3-large")))
    module = MODULES.replace("raiPolicyName: 'strict' }", "} { name: 'e', model: { name: 'text-embedding-3-small' } }")
    terraform = 'resource "azurerm_cognitive_deployment" "e" {\n  model { name = "text-embedding-3-small" }\n}\n'
    for number, files in enumerate(({"main.bicep": ACCOUNT + models}, {"main.bicep": module}, {"main.tf": terraform})):
        found = found_in(tmp_path / str(number), files)
        embedders = {c.id for c in found.components.values() if c.kind == "ai.embedder"}
        assert len(embedders) == 1
        assert not embedders & {w.element for w in found.weaknesses if w.expectation == "cloud/guardrail-attached"}
