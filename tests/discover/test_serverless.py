# SPDX-License-Identifier: Apache-2.0
"""What the Serverless Application Model, the Serverless Framework, Step Functions and Amplify make of what they are told."""

from __future__ import annotations

from pathlib import Path

import pytest

from bastide.discover.discover import discover
from bastide.discover.result import Discovery

SAM = """\
Transform: AWS::Serverless-2016-10-31
Globals:
  Function: {Handler: app.handler, Environment: {Variables: {NOTES: !Ref Notes}}}
  Api: {Auth: {DefaultAuthorizer: People}}
Resources:
  Notes: {Type: AWS::DynamoDB::Table}
  Uploads: {Type: AWS::S3::Bucket}
  Asked: {Type: AWS::SQS::Queue}
  Ask:
    Type: AWS::Serverless::Function
    Properties:
      FunctionUrlConfig: {AuthType: NONE}
      Policies: [{S3ReadPolicy: {BucketName: !Ref Uploads}}]
      Events:
        Http: {Type: Api, Properties: {Path: /ask, Method: post, AUTH}}
        New: {Type: S3, Properties: {Bucket: !Ref Uploads, Events: "s3:ObjectCreated:*"}}
        Queue: {Type: SQS, Properties: {Queue: !GetAtt Asked.Arn}}
        Nightly: {Type: Schedule, Properties: {Schedule: rate(1 day)}}
"""


def _flows(found: Discovery) -> set[tuple[str, str]]:
    return {(f.source, f.target) for f in found.flows if f.verb != "runs-as"}


def _read(folder: Path, files: dict[str, str]) -> Discovery:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return discover(folder)


@pytest.mark.parametrize(
    ("auth", "asks"),
    [
        ("Auth: {}", "sso"),
        ("Auth: {Authorizer: NONE}", "none"),
        ("Auth: {Authorizer: AWS_IAM}", "iam"),
        ("Auth: {ApiKeyRequired: true}", "shared-key"),
    ],
)
def test_events_of_functions_are_ways_in(tmp_path: Path, auth: str, asks: str) -> None:
    found = _read(tmp_path, {"template.yaml": SAM.replace("AUTH", auth)})
    expected = {
        ("serverlessrestapi", "ask"),
        ("uploads", "ask"),
        ("asked", "ask"),
        ("ask", "notes"),
        ("ask", "uploads"),
        ("askurl", "ask"),
    }
    assert expected <= _flows(found)
    assert found.components["serverlessrestapi"].facts["authentication"].value == asks
    assert found.components["askurl"].facts["authentication"].value == "none"


MACHINE = """\
{"StartAt": "a", "States": {
  "a": {"Type": "Parallel", "Branches": [{"StartAt": "b", "States": {"b": {
    "Type": "Task", "Resource": "arn:aws:states:::bedrock:invokeModel", "Parameters": {"ModelId": "amazon.nova-x"}, "End": true}}}], "Next": "c"},
  "c": {"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke", "Parameters": {"FunctionName": "${Work}"}, "End": true}}}
"""
DEFINITIONS = {
    "a file": "DefinitionUri: machine.asl.json, DefinitionSubstitutions: {Work: !GetAtt Work.Arn}",
    "a text with names": "DefinitionString: !Sub '"
    + MACHINE.replace("\n", " ").replace("${Work}", "${Work.Arn}")
    + "'",
    "pieces": 'DefinitionString: !Join ["", [\''
    + MACHINE.replace("\n", " ").replace("${Work}", "', !GetAtt Work.Arn, '")
    + "']]",
}


@pytest.mark.parametrize("definition", DEFINITIONS.values(), ids=DEFINITIONS)
def test_a_state_machine_calls_what_its_tasks_name(tmp_path: Path, definition: str) -> None:
    template = f"""\
AWSTemplateFormatVersion: "2010-09-09"
Resources:
  Work: {{Type: AWS::Lambda::Function}}
  Role:
    Type: AWS::IAM::Role
    Properties:
      AssumeRolePolicyDocument:
        Statement: [{{Effect: Allow, Principal: {{Service: !Sub "states.${{AWS::Region}}.amazonaws.com"}}, Action: sts:AssumeRole}}]
  Flow:
    Type: AWS::StepFunctions::StateMachine
    Properties: {{RoleArn: !GetAtt Role.Arn, {definition}}}
"""
    found = _read(tmp_path, {"template.yaml": template, "machine.asl.json": MACHINE})
    assert _flows(found) == {("flow", "amazon-nova-x"), ("flow", "work")}
    assert ("flow", "role") in {(f.source, f.target) for f in found.flows if f.verb == "runs-as"}
    assert found.components["flow"].kind == "app.workflow"


FRAMEWORK = """\
service: notes
custom: {model: amazon.nova-x}
provider:
  name: aws
  environment: {MODEL_ID: "${self:custom.model}", KEY: "${env:KEY}"}
  iam: {role: {statements: [{Effect: Allow, Action: "bedrock:InvokeModel", Resource: "*"}]}}
functions:
  ask:
    handler: src/ask.handler
    events: [{http: {path: ask, method: post}}, {sqs: {arn: !GetAtt Asked.Arn}}]
  listen: {handler: src/ask.handler, events: [{websocket: {route: $connect, authorizer: {name: who}}}]}
resources:
  Resources:
    Asked: {Type: AWS::SQS::Queue}
"""


def test_functions_of_the_serverless_framework(tmp_path: Path) -> None:
    found = _read(tmp_path, {"serverless.yml": FRAMEWORK})
    expected = {("serverlessrestapi", "ask"), ("asked", "ask"), ("websocketsapi", "listen"), ("ask", "amazon-nova-x")}
    assert expected <= _flows(found)
    assert found.components["iamrolelambdaexecution"].facts["privileges"].value == "wildcard"
    asks = {id_: found.components[id_].facts["authentication"].value for id_ in ("serverlessrestapi", "websocketsapi")}
    assert asks == {"serverlessrestapi": "none", "websocketsapi": "sso"}


@pytest.mark.parametrize(
    "text",
    [
        "service: x\nprovider: {name: google}\nfunctions: {a: {handler: b}}\n",
        "service: x\nfunctions: [1]\nprovider: aws\n",
        "service: {}\n",
    ],
)
def test_other_files_of_the_framework_are_nothing(tmp_path: Path, text: str) -> None:
    assert not _read(tmp_path, {"serverless.yml": text}).components


def test_variables_that_name_themselves_end(tmp_path: Path) -> None:
    text = 'provider: {name: aws}\ncustom: {a: "${self:custom.b}", b: "${self:custom.a}"}\nfunctions: {f: {handler: "${self:custom.a}"}}\n'
    assert _read(tmp_path, {"serverless.yml": text}).complete


BACKEND = """\
import { defineBackend } from '@aws-amplify/backend';
import { data } from './data/resource';
import { ask } from './ask/resource';
import { PolicyStatement } from 'aws-cdk-lib/aws-iam';
const backend = defineBackend({ data, ask });
backend.ask.resources.lambda.addToRolePolicy(new PolicyStatement({ actions: ['bedrock:InvokeModel'], resources: ['*'] }));
"""
DATA = """\
import { a, defineData } from '@aws-amplify/backend';
const schema = a.schema({
  Note: a.model({ text: a.string() }).authorization((allow) => [RULE]),
  ask: a.query().returns(a.string()).authorization((allow) => [allow.authenticated()]).handler(a.handler.function('ask')),
});
export const data = defineData({ schema, authorizationModes: { defaultAuthorizationMode: 'userPool' } });
"""
ASK = "import { defineFunction } from '@aws-amplify/backend';\nexport const ask = defineFunction({ name: 'ask' });\n"
HANDLER = "import { answer } from './answer';\nexport const handler = async (event: any) => answer(event.text);\n"
ANSWER = """\
import { BedrockRuntimeClient, ConverseCommand } from '@aws-sdk/client-bedrock-runtime';
export const answer = (text: string) => new BedrockRuntimeClient({}).send(new ConverseCommand({ modelId: 'amazon.nova-x', messages: text }));
"""


@pytest.mark.parametrize(("rule", "asks"), [("allow.owner()", "sso"), ("allow.guest()", "none")])
def test_a_backend_of_amplify(tmp_path: Path, rule: str, asks: str) -> None:
    """Its function does what the files do that its handler imports."""
    files = {
        "amplify/backend.ts": BACKEND,
        "amplify/data/resource.ts": DATA.replace("RULE", rule),
        "amplify/ask/resource.ts": ASK,
        "amplify/ask/handler.ts": HANDLER,
        "amplify/ask/answer.ts": ANSWER,
    }
    found = _read(tmp_path, files)
    assert _flows(found) == {
        ("user", "data"),
        ("data", "ask"),
        ("ask", "amazon-nova-x"),
        ("data", "tables-of-the-data-api"),
    }
    assert found.components["data"].facts["authentication"].value == asks
    assert found.components["askrole"].facts["privileges"].value == "wildcard"


CALL = """\
import boto3

client = boto3.client("bedrock-runtime")

def say(x):
    return client.converse(modelId="amazon.nova-x", messages=x)
"""
SHARED = """\
Transform: AWS::Serverless-2016-10-31
Resources:
  Ask: {Type: AWS::Serverless::Function, Properties: {CodeUri: ., Handler: code/ask.handler}}
  Clean: {Type: AWS::Serverless::Function, Properties: {CodeUri: ., Handler: code/clean.handler}}
"""


def test_what_the_file_of_a_handler_imports_runs_in_its_function(tmp_path: Path) -> None:
    files = {
        "template.yaml": SHARED,
        "code/ask.py": "from code.model import say\n\ndef handler(event, context):\n    return say(event)\n",
        "code/clean.py": "def handler(event, context):\n    return None\n",
        "code/model.py": CALL,
    }
    assert _flows(_read(tmp_path, files)) == {("ask", "amazon-nova-x")}


@pytest.mark.parametrize(("protocol", "asks"), [("HTTP", "none"), ("WEBSOCKET", None)])
def test_the_rest_of_an_http_api_is_a_way_in(tmp_path: Path, protocol: str, asks: str | None) -> None:
    text = f"""\
resource "aws_lambda_function" "f" {{ function_name = "f" }}
resource "aws_apigatewayv2_api" "a" {{ protocol_type = "{protocol}" }}
resource "aws_apigatewayv2_integration" "i" {{
  api_id          = aws_apigatewayv2_api.a.id
  integration_uri = aws_lambda_function.f.invoke_arn
}}
resource "aws_apigatewayv2_route" "r" {{
  api_id    = aws_apigatewayv2_api.a.id
  route_key = "$default"
}}
"""
    fact = _read(tmp_path, {"main.tf": text}).components["a"].facts.get("authentication")
    assert (fact.value if fact else None) == asks


IMAGE = """\
Transform: AWS::Serverless-2016-10-31
Resources:
  Ask:
    Type: AWS::Serverless::Function
    Properties: {PackageType: Image}
    Metadata: {DockerContext: ./ask}
"""
CHAT = """\
import { BedrockChat } from "@langchain/community/chat_models/bedrock";
const model = new BedrockChat({ model: "amazon.nova-x" });
export const handler = async (event) => { const answer = await model.stream([event.text]); return answer; };
"""


def test_a_function_that_is_an_image_does_what_lies_in_its_folder(tmp_path: Path) -> None:
    """What a model's method returns is no model."""
    found = _read(tmp_path, {"template.yaml": IMAGE, "ask/index.mjs": CHAT})
    assert {c.name for c in found.components.values()} == {"Ask", "amazon.nova-x"}
    assert ("ask", "model") in _flows(found)


PACKED = """\
resource "aws_lambda_function" "ask" {
  function_name = "ask"
  handler       = "talk.handler"
  filename      = "built-elsewhere.zip"
}
"""
SPREAD = """\
import boto3

client = boto3.client("bedrock-runtime")

def handler(event, context):
    given = {"modelId": "amazon.nova-x", "body": event["text"]}
    return client.invoke_model(**given)
"""


@pytest.mark.parametrize(("others", "who"), [([], "ask"), (["more/talk.py"], "src")])
def test_code_that_is_packed_elsewhere_is_the_only_file_of_its_name(
    tmp_path: Path, others: list[str], who: str
) -> None:
    files = {"main.tf": PACKED, "src/talk.py": SPREAD, **dict.fromkeys(others, "import boto3\n")}
    assert _flows(_read(tmp_path, files)) == {(who, "amazon-nova-x")}


def test_files_and_authorizers_of_the_serverless_framework(tmp_path: Path) -> None:
    """Of a web socket only who connects is asked, by the function that its authorizer names."""
    text = """\
provider: {name: aws, environment: {ROWS: {Ref: Rows}}}
functions:
  enter: {handler: a.b, events: [{websocket: {route: $connect, authorizer: {name: check}}}]}
  say: {handler: a.c, events: [{websocket: {route: say}}]}
  check: {handler: a.d}
resources:
  Resources:
    Rows: ${file(more/rows.yml)}
"""
    found = _read(tmp_path, {"serverless.yml": text, "more/rows.yml": "Type: AWS::DynamoDB::Table\n"})
    assert {("websocketsapi", "check"), ("websocketsapi", "say"), ("enter", "rows"), ("say", "rows")} <= _flows(found)
    assert found.components["websocketsapi"].facts["authentication"].value == "sso"


@pytest.mark.parametrize("path", ["../../etc/passwd.yml", "serverless.yml", "/etc/x.yml"])
def test_files_of_the_serverless_framework_stay_in_the_folder(tmp_path: Path, path: str) -> None:
    text = f"provider: {{name: aws}}\nfunctions: {{f: {{handler: a.b, environment: '${{file({path}):functions}}'}}}}\n"
    assert _read(tmp_path, {"serverless.yml": text}).complete


OFFERED = """\
data "aws_bedrock_foundation_model" "e" { model_id = "amazon.titan-embed-x" }
resource "aws_opensearchserverless_collection" "v" { name = "v" }
resource "aws_opensearchserverless_security_policy" "k" {
  type   = "encryption"
  policy = jsonencode({ Rules = [{ Resource = ["collection/v"], ResourceType = "collection" }], AWSOwnedKey = OWNED })
}
resource "aws_bedrockagent_knowledge_base" "kb" {
  knowledge_base_configuration {
    vector_knowledge_base_configuration { embedding_model_arn = data.aws_bedrock_foundation_model.e.model_arn }
  }
}
"""


@pytest.mark.parametrize(("owned", "own_key"), [("true", False), ("false", True)])
def test_a_model_that_is_looked_up_embeds_when_it_is_called_so(tmp_path: Path, owned: str, own_key: bool) -> None:
    found = _read(tmp_path, {"main.tf": OFFERED.replace("OWNED", owned)})
    assert found.components["e"].kind == "ai.embedder"
    assert ("kb", "e") in _flows(found)
    assert found.components["v"].facts["customer-key"].value is own_key


def test_of_a_web_socket_only_who_connects_is_asked(tmp_path: Path) -> None:
    text = """\
resource "aws_lambda_function" "f" { function_name = "f" }
resource "aws_apigatewayv2_api" "a" { protocol_type = "WEBSOCKET" }
resource "aws_apigatewayv2_integration" "i" {
  api_id          = aws_apigatewayv2_api.a.id
  integration_uri = aws_lambda_function.f.invoke_arn
}
resource "aws_apigatewayv2_route" "enter" {
  api_id             = aws_apigatewayv2_api.a.id
  route_key          = "$connect"
  authorization_type = "CUSTOM"
}
resource "aws_apigatewayv2_route" "say" {
  api_id    = aws_apigatewayv2_api.a.id
  route_key = "say"
}
"""
    assert _read(tmp_path, {"main.tf": text}).components["a"].facts["authentication"].value == "sso"


@pytest.mark.parametrize(
    ("call", "names"),
    [
        ('boto3.client("bedrock-runtime").invoke_model(modelId=which(x), body=x)', {"Amazon Bedrock"}),
        (
            'boto3.client("bedrock-runtime").invoke_model(modelId="amazon.titan-embed-x", body=x)',
            {"amazon.titan-embed-x"},
        ),
        (
            'boto3.client("sagemaker-runtime").invoke_endpoint(EndpointName=os.environ["E"], Body=x)',
            {"SageMaker endpoint"},
        ),
        ('boto3.client("bedrock-agent-runtime").invoke_agent(agentId=os.environ["A"], inputText=x)', {"Bedrock agent"}),
        ('boto3.client("bedrock-agent-runtime").retrieve(knowledgeBaseId=os.environ["K"])', {"Bedrock knowledge base"}),
    ],
)
def test_a_service_is_used_also_where_a_setting_says_which_part_of_it(
    tmp_path: Path, call: str, names: set[str]
) -> None:
    found = _read(tmp_path, {"ask.py": f"import boto3, os\n\ndef handler(x, context):\n    return {call}\n"})
    assert {c.name for c in found.components.values() if c.kind.startswith("ai.")} == names
