# SPDX-License-Identifier: Apache-2.0
"""What constructs are wired to, also across stacks, and what a right to a service says where its use isn't seen."""

from __future__ import annotations

from pathlib import Path

import pytest

from bastide.discover.discover import discover
from bastide.discover.result import Discovery

STORES = """\
import { Stack } from 'aws-cdk-lib';
import { Table } from 'aws-cdk-lib/aws-dynamodb';
export class Stores extends Stack {
  public readonly notes: Table;
  constructor(scope: any, id: string) {
    super(scope, id);
    this.notes = new Table(this, 'Notes', {});
  }
}
"""
FRONT = """\
import { Stack, StackProps } from 'aws-cdk-lib';
import { Table } from 'aws-cdk-lib/aws-dynamodb';
import { Queue } from 'aws-cdk-lib/aws-sqs';
import { Bucket, EventType } from 'aws-cdk-lib/aws-s3';
import { LambdaDestination } from 'aws-cdk-lib/aws-s3-notifications';
import { PolicyStatement } from 'aws-cdk-lib/aws-iam';
import { SqsEventSource } from 'aws-cdk-lib/aws-lambda-event-sources';
import { NodejsFunction } from 'aws-cdk-lib/aws-lambda-nodejs';
import { LambdaIntegration, RestApi } from 'aws-cdk-lib/aws-apigateway';
import { HttpApi, HttpNoneAuthorizer, WebSocketApi } from 'aws-cdk-lib/aws-apigatewayv2';
import { HttpLambdaIntegration, WebSocketLambdaIntegration } from 'aws-cdk-lib/aws-apigatewayv2-integrations';
import * as path from 'path';

interface FrontProps extends StackProps { notes: Table }

export class Front extends Stack {
  constructor(scope: any, id: string, props: FrontProps) {
    super(scope, id, props);
    const queue = new Queue(this, 'Asked', {});
    const uploads = new Bucket(this, 'Uploads');
    const ask = new NodejsFunction(this, 'Ask', { entry: path.join(__dirname, '../code/ask.ts') });
    const answer = new NodejsFunction(this, 'Answer', {});
    queue.grantSendMessages(ask);
    answer.addEventSource(new SqsEventSource(queue, { batchSize: 1 }));
    uploads.addEventNotification(EventType.OBJECT_CREATED, new LambdaDestination(answer));
    props.notes.grantReadWriteData(answer);
    answer.addToRolePolicy(new PolicyStatement({ actions: ['bedrock:InvokeModel'], resources: ['*'] }));
    const rest = new RestApi(this, 'Rest');
    rest.root.addResource('ask').addMethod('POST', new LambdaIntegration(ask), OPTIONS);
    const socket = new WebSocketApi(this, 'Socket', {
      connectRouteOptions: { integration: new WebSocketLambdaIntegration('connect', ask) },
    });
    const http = new HttpApi(this, 'Http');
    http.addRoutes({ path: '/ask', integration: new HttpLambdaIntegration('ask', ask), authorizer: new HttpNoneAuthorizer() });
    ask.addFunctionUrl({});
  }
}
"""
APP = """\
import * as cdk from 'aws-cdk-lib';
import { Stores } from './stores';
import { Front } from './front';
const app = new cdk.App();
const stores = new Stores(app, 'Stores');
new Front(app, 'Front', { notes: stores.notes });
"""
CODE = """\
import { BedrockRuntimeClient, ConverseCommand } from '@aws-sdk/client-bedrock-runtime';
const client = new BedrockRuntimeClient({});
export const handler = async (event: any) => client.send(new ConverseCommand({ modelId: 'amazon.nova-x', messages: event.m }));
"""


def _app(folder: Path, options: str) -> Discovery:
    (folder / "lib").mkdir()
    (folder / "code").mkdir()
    for name, text in (("stores", STORES), ("front", FRONT.replace("OPTIONS", options)), ("app", APP)):
        (folder / "lib" / f"{name}.ts").write_text(text)
    (folder / "code" / "ask.ts").write_text(CODE)
    return discover(folder)


def test_methods_of_constructs_wire_them_also_across_stacks(tmp_path: Path) -> None:
    found = _app(tmp_path, "{}")
    flows = {(f.source, f.target) for f in found.flows if f.verb != "runs-as"}
    assert {("rest", "ask"), ("socket", "ask"), ("http", "ask"), ("askurl", "ask"), ("user", "rest")} <= flows
    assert {("ask", "asked"), ("asked", "answer"), ("uploads", "answer"), ("answer", "notes")} <= flows
    assert ("ask", "amazon-nova-x") in flows


@pytest.mark.parametrize(
    ("options", "authentication"),
    [
        ("{}", "none"),
        ("{ authorizer: someone }", "sso"),
        ("{ authorizationType: AuthorizationType.IAM }", "iam"),
        ("{ authorizationType: AuthorizationType.NONE }", "none"),
        ("{ apiKeyRequired: true }", "shared-key"),
    ],
)
def test_a_route_asks_what_its_options_say(tmp_path: Path, options: str, authentication: str) -> None:
    found = _app(tmp_path, options)
    asked = {id_: found.components[id_].facts["authentication"].value for id_ in ("rest", "socket", "http")}
    assert asked == {"rest": authentication, "socket": "none", "http": "none"}
    assert "authentication" not in found.components["askurl"].facts or (
        found.components["askurl"].facts["authentication"].value == "iam"
    )


def test_who_may_use_models_uses_the_only_one_that_is_named_or_some(tmp_path: Path) -> None:
    """`Answer` may use any model. One is named (by `Ask`); where two are, it is some model of the service."""
    found = _app(tmp_path, "{}")
    assert ("answer", "amazon-nova-x") in {(f.source, f.target) for f in found.flows}
    assert "amazon-bedrock" not in found.components
    more = CODE.replace("handler", "other").replace("amazon.nova-x", "amazon.nova-y")
    (tmp_path / "code" / "ask.ts").write_text(CODE + more.partition("\n")[2].partition("\n")[2])
    found = discover(tmp_path)
    assert ("answer", "amazon-bedrock") in {(f.source, f.target) for f in found.flows}
    assert ("ask", "amazon-bedrock") not in {(f.source, f.target) for f in found.flows}


RIGHTS = """\
from aws_cdk import Stack, aws_iam as iam, aws_lambda as lambda_

class Chat(Stack):
    def __init__(self, scope, id):
        super().__init__(scope, id)
        may = iam.PolicyStatement(actions=["bedrock:InvokeModel"], resources=["*"])
        role = iam.Role(self, "Role", assumed_by=iam.ServicePrincipal("lambda.amazonaws.com")ROLE)
        ask = lambda_.Function(self, "Ask", FUNCTION)
        MORE
"""


@pytest.mark.parametrize(
    ("role", "function", "more", "privileges"),
    [
        (', inline_policies={"x": iam.PolicyDocument(statements=[may])}', "role=role", "pass", "wildcard"),
        ("", "initial_policy=[may]", "pass", "wildcard"),
        ("", "role=role", 'ask.role.attach_inline_policy(iam.Policy(self, "P", statements=[may]))', "wildcard"),
        ("", "role=role", 'iam.Policy(self, "P", statements=[may], roles=[role])', "wildcard"),
        (
            "",
            "role=role",
            'role.add_managed_policy(iam.ManagedPolicy.from_aws_managed_policy_name("AmazonBedrockFullAccess"))',
            "broad",
        ),
    ],
)
def test_rights_in_all_the_ways_of_the_cdk(
    tmp_path: Path, role: str, function: str, more: str, privileges: str
) -> None:
    text = RIGHTS.replace("ROLE", role).replace("FUNCTION", function).replace("MORE", more)
    (tmp_path / "stack.py").write_text(text)
    found = discover(tmp_path)
    assert ("ask", "amazon-bedrock") in {(f.source, f.target) for f in found.flows}
    assert {c.facts["privileges"].value for c in found.components.values() if "privileges" in c.facts} == {privileges}


FARGATE = """\
from aws_cdk import Stack, aws_ecs as ecs, aws_ecs_patterns as patterns, aws_iam as iam

class Web(Stack):
    def __init__(self, scope, id):
        super().__init__(scope, id)
        chat = patterns.ApplicationLoadBalancedFargateService(
            self, "Chat", public_load_balancer=True,
            task_image_options=patterns.ApplicationLoadBalancedTaskImageOptions(
                image=ecs.ContainerImage.from_asset("chat"), container_port=8501))
        chat.task_definition.add_to_task_role_policy(iam.PolicyStatement(actions=["bedrock:InvokeModel"], resources=["*"]))
        task = ecs.FargateTaskDefinition(self, "Search")
        task.add_container("search", image=ecs.ContainerImage.from_registry("qdrant/qdrant:v1.15.0"))
"""


def test_containers_of_the_cdk(tmp_path: Path) -> None:
    (tmp_path / "stack.py").write_text(FARGATE)
    (tmp_path / "chat").mkdir()
    (tmp_path / "chat" / "Dockerfile").write_text("FROM python:3.13\nCMD python main.py\n")
    (tmp_path / "chat" / "main.py").write_text(
        "import openai\nopenai.OpenAI().responses.create(model='gpt-x', input='y')\n"
    )
    found = discover(tmp_path)
    flows = {(f.source, f.target) for f in found.flows}
    assert {("user", "chatlb"), ("chatlb", "chat"), ("chat", "gpt-x"), ("chat", "chatrole")} <= flows
    assert found.components["chatlb"].facts["published"].value == "internet"
    assert "data.vector-store" in {c.kind for c in found.components.values()}


GROUP = """\
import { bedrock } from '@cdklabs/generative-ai-cdk-constructs';
import * as lambda from 'aws-cdk-lib/aws-lambda';

const look = new lambda.Function(stack, 'Look', {});
const notes = new bedrock.VectorKnowledgeBase(stack, 'Notes', {});
const desk = new bedrock.Agent(stack, 'Desk', { instruction: 'Help.' });
desk.addKnowledgeBase(notes);
desk.addActionGroup(new bedrock.AgentActionGroup({ name: 'orders', executor: bedrock.ActionGroupExecutor.fromlambdaFunction(look) }));
"""


def test_an_agent_is_given_tools_and_knowledge_by_methods(tmp_path: Path) -> None:
    (tmp_path / "stack.ts").write_text(GROUP)
    found = discover(tmp_path)
    assert {("notes", "desk"), ("desk", "orders"), ("orders", "look")} <= {(f.source, f.target) for f in found.flows}
    assert found.components["orders"].kind == "ai.tool"


HUB = """\
import * as lambda from 'aws-cdk-lib/aws-lambda';
import * as genai from '@cdklabs/generative-ai-cdk-constructs';

const endpoint = new genai.HuggingFaceSageMakerEndpoint(stack, 'Talk', { modelId: 'org/talker', endpointName: 'talk'REST });
const ask = new lambda.Function(stack, 'Ask', {});
endpoint.grantInvoke(ask);
"""


@pytest.mark.parametrize(
    ("rest", "pinned"),
    [
        ("", False),
        (", environment: { HF_MODEL_REVISION: 'main' }", False),
        (f", environment: {{ HF_MODEL_REVISION: '{'a' * 40}' }}", True),
    ],
)
def test_an_endpoint_that_a_construct_makes_has_its_model(tmp_path: Path, rest: str, pinned: bool) -> None:
    (tmp_path / "stack.ts").write_text(HUB.replace("REST", rest))
    found = discover(tmp_path)
    assert {("ask", "endpoint"), ("endpoint", "org-talker")} <= {(f.source, f.target) for f in found.flows}
    facts = found.components["org-talker"].facts
    assert (facts["source"].value, facts["pinned"].value, facts["network-isolation"].value) == ("hub", pinned, False)
