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
