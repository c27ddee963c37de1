# SPDX-License-Identifier: Apache-2.0
"""Templates of AWS and Azure: what they declare, with parameters and references."""

from __future__ import annotations

from bastide.discover.importers.arm import Arm
from bastide.discover.importers.bicep import Bicep
from bastide.discover.importers.cloudformation import CloudFormation
from bastide.discover.interface import Tree
from bastide.discover.model import Resource, State

CLOUD = """\
AWSTemplateFormatVersion: "2010-09-09"
Parameters:
  Model: {Type: String, Default: m-1}
  Key: {Type: String}
Resources:
  Role:
    Type: AWS::IAM::Role
  Helper:
    Type: AWS::Bedrock::Agent
    Condition: Wanted
    Properties:
      FoundationModel: !Ref Model
      AgentName: !Sub "a-${Model}"
      AgentResourceRoleArn: !GetAtt Role.Arn
      KmsKey: !Ref Key
      Region: !Sub "${AWS::Region}"
      Other: {"Fn::If": [Wanted, {Ref: "AWS::NoValue"}, text]}
      Joined: !Join ["-", [a, b]]
"""
AZURE = """\
{"$schema": "https://schema.management.azure.com/schemas/2019-04-01/deploymentTemplate.json#",
 "parameters": {"n": {"type": "string", "defaultValue": "ai"}, "open": {"type": "string"}},
 "variables": {"m": "[parameters('n')]"},
 "resources": [
  {"type": "Microsoft.CognitiveServices/accounts", "name": "[variables('m')]", "properties": {"publicNetworkAccess": "[parameters('open')]"},
   "resources": [{"type": "deployments", "name": "gpt", "dependsOn": ["[resourceId('Microsoft.CognitiveServices/accounts', parameters('n'))]"]}]},
  {"type": "Microsoft.Resources/deployments", "name": "inner", "properties": {"parameters": {"p": {"value": "given"}},
   "template": {"parameters": {"p": {"type": "string"}}, "resources": [{"type": "Microsoft.Search/searchServices", "name": "[parameters('p')]"}]}}},
  {"type": "Microsoft.Search/searchServices", "name": "off", "condition": false}
 ]}
"""


def cloud(text: str) -> dict[str, Resource]:
    """By name."""
    importer = CloudFormation()
    assert importer.wants("t.yaml", lambda: text[:4096])
    return {r.name: r for r in importer.read(Tree(("t.yaml",), lambda _: text, {"t.yaml": 1}), ["t.yaml"]).resources}


def azure(text: str) -> dict[str, Resource]:
    """By id."""
    importer = Arm()
    assert importer.wants("main.json", lambda: text[:4096])
    found = importer.read(Tree(("main.json",), lambda _: text, {"main.json": 1}), ["main.json"])
    return {r.id.removeprefix("main.json: "): r for r in found.resources}


def test_functions_of_cloudformation() -> None:
    """Parameters with a default are conditional, without one unknown; references name the resource; a condition makes conditional."""
    helper = cloud(CLOUD)["Helper"]
    body = helper.body.data
    assert (helper.type, helper.place.line, helper.body.state) == ("AWS::Bedrock::Agent", 8, State.CONDITIONAL)
    assert (body["FoundationModel"].data, body["FoundationModel"].state) == ("m-1", State.CONDITIONAL)
    assert body["AgentName"].data == "a-m-1"
    assert body["AgentResourceRoleArn"].refs == ("t.yaml: Role",)
    assert (body["KmsKey"].known, body["KmsKey"].refs) == (False, ("var:Key",))
    assert not body["Region"].known
    assert (body["Other"].data, body["Other"].state) == ("text", State.CONDITIONAL)
    assert body["Joined"].data == "a-b"


def test_templates_of_azure() -> None:
    """Variables and parameters, child resources, nested deployments with what they are given, conditions that are false."""
    found = azure(AZURE)
    account = found["Microsoft.CognitiveServices/accounts/ai"]
    assert account.body.find("properties.publicNetworkAccess")[0].refs == ("var:open",)
    deployment = found["Microsoft.CognitiveServices/accounts/deployments/ai/gpt"]
    assert deployment.type == "Microsoft.CognitiveServices/accounts/deployments"
    assert deployment.find("dependsOn")[0].refs == (account.id,)
    assert "inner: Microsoft.Search/searchServices/given" in found
    assert not any("off" in id_ for id_ in found)


BICEP = """\
param open bool = true
param names array
var full = 'x-${open}'
resource ai 'Microsoft.CognitiveServices/accounts@2024-10-01' = if (open) {
  name: full
  properties: { publicNetworkAccess: open ? 'Enabled' : 'Disabled', given: names ?? [ 'a' ] }
  resource gpt 'deployments' = { name: 'gpt' }
}
resource old 'A/b@1' existing = { name: 'x' }
resource off 'A/c@1' = if (!open) { name: 'off' }
module inner './core/search.bicep' = { name: 'm', params: { kind: 'basic', of: ai.id } }
"""
INNER = """\
param kind string
param of string
resource s 'Microsoft.Search/searchServices@2024-06-01' = { name: kind, properties: { of: of } }
"""


def test_bicep() -> None:
    """Parameters, texts, conditions, child resources, `existing`, modules read through their callers."""
    files = {"main.bicep": BICEP, "core/search.bicep": INNER}
    found = Bicep().read(Tree(tuple(sorted(files)), files.get, dict.fromkeys(files, 1)), sorted(files))
    by_name = {r.name: r for r in found.resources}
    assert set(by_name) == {"ai", "gpt", "s"}
    assert found.problems == ()
    account = by_name["ai"].body
    assert (account.data["name"].data, account.state) == ("x-true", State.CONDITIONAL)
    assert account.find("properties.publicNetworkAccess")[0].data == "Enabled"
    assert not account.find("properties.given")[0].known
    assert (by_name["gpt"].type, by_name["gpt"].find("parent")[0].refs) == (
        "Microsoft.CognitiveServices/accounts/deployments",
        ("main.bicep: ai",),
    )
    search = by_name["s"]
    assert (search.body.data["name"].data, search.place.line, str(search.via[0])) == ("basic", 3, "main.bicep:11")
    assert search.find("properties.of")[0].refs == ("main.bicep: ai",)
