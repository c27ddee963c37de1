# SPDX-License-Identifier: Apache-2.0
"""The CDK's constructs are the resources that templates name, in Python and TypeScript."""

from __future__ import annotations

from pathlib import Path

import pytest

from bastide.discover.constructs import with_constructs
from bastide.discover.discover import discover
from bastide.discover.model import Place, Resource, Value

PYTHON = """\
from aws_cdk import Stack, aws_bedrock as bedrock, aws_iam as iam

class AgentStack(Stack):
    def __init__(self, scope, id):
        super().__init__(scope, id)
        principal = {"Service": "bedrock.amazonaws.com"}
        role = iam.CfnRole(self, "AgentRole", assume_role_policy_document={"Statement": [{"Effect": "Allow", "Principal": principal}]})
        agent = bedrock.CfnAgent(self, "Desk", agent_name="desk", foundation_model="anthropic.claude-x", agent_resource_role_arn=role.attr_arn)
"""
TYPESCRIPT = """\
import * as cdk from 'aws-cdk-lib';
import * as bedrock from 'aws-cdk-lib/aws-bedrock';
import { aws_iam as iam } from 'aws-cdk-lib';

export class AgentStack extends cdk.Stack {
  constructor(scope: cdk.App, id: string) {
    super(scope, id);
    const role = new iam.CfnRole(this, 'AgentRole', {
      assumeRolePolicyDocument: { Statement: [{ Effect: 'Allow', Principal: { Service: 'bedrock.amazonaws.com' } }] },
    });
    new bedrock.CfnAgent(this, 'Desk', { agentName: 'desk', foundationModel: 'anthropic.claude-x', agentResourceRoleArn: role.attrArn });
  }
}
"""


@pytest.mark.parametrize(("file", "text"), [("stack.py", PYTHON), ("stack.ts", TYPESCRIPT)])
def test_constructs_are_what_they_make(tmp_path: Path, file: str, text: str) -> None:
    (tmp_path / file).write_text(text)
    found = discover(tmp_path)
    kinds = {c.id: c.kind for c in found.components.values()}
    assert kinds == {"desk": "ai.agent", "anthropic-claude-x": "ai.model.endpoint", "agentrole": "identity.workload"}
    assert found.components["desk"].facts["guardrail"].value == "none"
    assert ("desk", "calls", "anthropic-claude-x") in {(f.source, f.verb, f.target) for f in found.flows}


def test_an_attribute_is_about_what_has_it(tmp_path: Path) -> None:
    (tmp_path / "stack.py").write_text(PYTHON)
    assert ("desk", "runs-as", "agentrole") in {(f.source, f.verb, f.target) for f in discover(tmp_path).flows}


@pytest.mark.parametrize(
    ("call", "type_"),
    [
        ("call/aws_cdk.aws_bedrock.CfnAgent", "AWS::Bedrock::Agent"),
        ("call/aws_cdk.aws_lambda.Function", "AWS::Lambda::Function"),
        ("call/js:aws-cdk-lib/aws-s3.Bucket", "AWS::S3::Bucket"),
        ("call/js:aws-cdk-lib.aws_opensearchserverless.CfnCollection", "AWS::OpenSearchServerless::Collection"),
        ("call/js:@cdklabs/generative-ai-cdk-constructs.bedrock.VectorKnowledgeBase", "AWS::Bedrock::KnowledgeBase"),
        ("call/js:@aws-cdk/aws-bedrock-alpha.Guardrail", "AWS::Bedrock::Guardrail"),
        ("call/aws_cdk.aws_bedrock.CfnAgent.AgentActionGroupProperty", "call/aws_cdk.aws_bedrock.CfnAgent.AgentActionGroupProperty"),
        ("call/openai.OpenAI", "call/openai.OpenAI"),
    ],
)  # fmt: skip
def test_names_of_constructs(call: str, type_: str) -> None:
    place = Place("a.ts", 1)
    [found] = with_constructs([Resource("a", call, "x", Value({}, place), place)])
    assert found.type == type_


PARTS = """\
from aws_cdk import Stack, aws_bedrock as bedrock, aws_lambda

class AgentStack(Stack):
    def __init__(self, scope, id):
        super().__init__(scope, id)
        lookup = aws_lambda.Function(self, "Lookup")
        group = bedrock.CfnAgent.AgentActionGroupProperty(
            action_group_name="orders",
            action_group_executor=bedrock.CfnAgent.ActionGroupExecutorProperty(lambda_=lookup.function_arn),
        )
        bedrock.CfnAgent(self, "Desk", agent_name="desk", foundation_model="anthropic.claude-x", action_groups=[group])
"""


def test_objects_that_are_parts_of_properties_are_read_there(tmp_path: Path) -> None:
    (tmp_path / "stack.py").write_text(PARTS)
    found = discover(tmp_path)
    assert found.components["orders"].kind == "ai.tool"
    flows = {(f.source, f.verb, f.target) for f in found.flows}
    assert {("desk", "invokes", "orders"), ("orders", "calls", "lookup")} <= flows


KNOWLEDGE = """\
import * as s3 from 'aws-cdk-lib/aws-s3';
import { bedrock } from '@cdklabs/generative-ai-cdk-constructs';

const docs = new s3.Bucket(stack, 'Docs', {});
const kb = new bedrock.VectorKnowledgeBase(stack, 'Notes', {
  embeddingsModel: bedrock.BedrockFoundationModel.TITAN_EMBED_TEXT_V2_1024,
});
new bedrock.S3DataSource(stack, 'Feed', { bucket: docs, knowledgeBase: kb });
"""


def test_a_knowledge_base_of_constructs_has_its_source_and_its_model(tmp_path: Path) -> None:
    (tmp_path / "stack.ts").write_text(KNOWLEDGE)
    found = discover(tmp_path)
    flows = {(f.source, f.target) for f in found.flows}
    assert flows == {("docs", "feed"), ("feed", "notes"), ("notes", "titan-embed-text-v2-1024")}
