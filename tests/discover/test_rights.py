# SPDX-License-Identifier: Apache-2.0
"""What identities of AWS may do is read wherever it stands: documents, attached policies, templates, constructs."""

from __future__ import annotations

from pathlib import Path

import pytest

from bastide.discover.discover import discover
from bastide.discover.result import Discovery

DOCUMENTS = """\
data "aws_iam_policy_document" "trust" {
  statement {
    actions = ["sts:AssumeRole"]
    principals {
      type        = "Service"
      identifiers = ["bedrock.amazonaws.com"]
    }
  }
}
data "aws_iam_policy_document" "may" {
  statement {
    EFFECT
    actions   = ["ACTION"]
    resources = ["RESOURCE"]
  }
}
resource "aws_iam_role" "desk" { assume_role_policy = data.aws_iam_policy_document.trust.json }
resource "aws_iam_policy" "desk" { policy = data.aws_iam_policy_document.may.json }
resource "aws_iam_role_policy_attachment" "desk" {
  role       = aws_iam_role.desk.name
  policy_arn = aws_iam_policy.desk.arn
}
"""
SAM = """\
Transform: AWS::Serverless-2016-10-31
Resources:
  Chat:
    Type: AWS::Serverless::Function
    Properties:
      Policies:
        - S3ReadPolicy: {BucketName: notes}
        - Statement: [{Effect: Allow, Action: "bedrock:*", Resource: "*"}]
"""
TEMPLATE = """\
AWSTemplateFormatVersion: "2010-09-09"
Resources:
  Role:
    Type: AWS::IAM::Role
    Properties:
      AssumeRolePolicyDocument: {Statement: [{Effect: Allow, Principal: {Service: lambda.amazonaws.com}}]}
  Rights:
    Type: AWS::IAM::Policy
    Properties:
      Roles: [!Ref Role]
      PolicyDocument: {Statement: [{Effect: Allow, Action: "s3:GetObject", Resource: "*"}]}
"""
CDK = """\
from aws_cdk import Stack, aws_dynamodb, aws_iam as iam, aws_lambda

class Chat(Stack):
    def __init__(self, scope, id):
        super().__init__(scope, id)
        role = iam.Role(self, "Role", assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"))
        role.add_to_policy(iam.PolicyStatement(actions=["bedrock:InvokeModel"], resources=["*"]))
        orders = aws_dynamodb.Table.from_table_name(self, "Orders", "orders")
        chat = aws_lambda.Function(self, "Answer", role=role)
        orders.grant_read_data(chat)
"""


def _found(folder: Path, file: str, text: str) -> Discovery:
    (folder / file).write_text(text)
    return discover(folder)


def _privileges(found: Discovery) -> set[object]:
    return {c.facts["privileges"].value for c in found.components.values() if "privileges" in c.facts}


@pytest.mark.parametrize(
    ("action", "resource", "effect", "privileges"),
    [
        ("lambda:InvokeFunction", "*", "", {"wildcard"}),
        ("s3:GetObject", "arn:aws:s3:::notes/*", "", {"scoped"}),
        ("s3:GetObject", "arn:aws:s3:::${data.aws_caller_identity.me.account_id}/*", "", {"scoped"}),
        ("s3:GetObject", "*", 'effect = "Deny"', set()),
        ("xray:PutTraceSegments", "*", "", set()),
        ("cloudwatch:ListMetrics", "*", "", set()),
        ("logs:*", "*", "", set()),
        ("s3:*", "arn:aws:s3:::notes/*", "", {"wildcard"}),
    ],
)
def test_rights_of_documents_are_their_roles(
    tmp_path: Path, action: str, resource: str, effect: str, privileges: set[str]
) -> None:
    text = DOCUMENTS.replace("ACTION", action).replace("RESOURCE", resource).replace("EFFECT", effect)
    found = _found(tmp_path, "main.tf", text)
    assert found.components["desk"].kind == "identity.workload"
    assert _privileges(found) == privileges


def test_what_is_merged_from_elsewhere_is_not_known(tmp_path: Path) -> None:
    merged = 'data "aws_iam_policy_document" "may" {\n  source_policy_documents = [var.more]'
    text = DOCUMENTS.replace('data "aws_iam_policy_document" "may" {', merged).replace("EFFECT", 'effect = "Deny"')
    assert _privileges(_found(tmp_path, "main.tf", text)) == {None}


def test_a_function_of_sam_has_the_role_of_its_policies(tmp_path: Path) -> None:
    found = _found(tmp_path, "template.yaml", SAM)
    assert _privileges(found) == {"wildcard"}
    assert {(f.source, f.verb, f.target) for f in found.flows} == {
        ("chat", "runs-as", "chatrole"),
        ("chat", "calls", "amazon-bedrock"),
    }


def test_policies_of_templates_belong_to_their_roles(tmp_path: Path) -> None:
    assert _privileges(_found(tmp_path, "template.yaml", TEMPLATE)) == {"wildcard"}


def test_methods_of_constructs_give_rights_and_say_who_uses_what(tmp_path: Path) -> None:
    found = _found(tmp_path, "stack.py", CDK)
    assert _privileges(found) == {"wildcard"}
    assert {(f.source, f.verb, f.target) for f in found.flows} == {
        ("answer", "runs-as", "role"),
        ("answer", "calls", "orders"),
        ("answer", "calls", "amazon-bedrock"),
    }


GATEWAY = """\
resource "aws_lambda_function" "chat" {
  function_name = "chat"
  role          = aws_iam_role.chat.arn
}
resource "aws_iam_role" "chat" {
  assume_role_policy = jsonencode({ Statement = [{ Principal = { Service = "lambda.amazonaws.com" } }] })
}
resource "aws_apigatewayv2_api" "front" { name = "front" }
resource "aws_apigatewayv2_integration" "chat" {
  api_id          = aws_apigatewayv2_api.front.id
  integration_uri = aws_lambda_function.chat.invoke_arn
}
resource "aws_apigatewayv2_route" "preflight" {
  api_id    = aws_apigatewayv2_api.front.id
  route_key = "OPTIONS /chat"
}
resource "aws_apigatewayv2_route" "chat" {
  api_id    = aws_apigatewayv2_api.front.id
  route_key = "POST /chat"
  AUTHORIZATION
}
"""


@pytest.mark.parametrize(("written", "authentication"), [("", "none"), ('authorization_type = "JWT"', "sso")])
def test_a_gateway_asks_as_its_routes_ask(tmp_path: Path, written: str, authentication: str) -> None:
    found = _found(tmp_path, "main.tf", GATEWAY.replace("AUTHORIZATION", written))
    assert found.components["front"].facts["authentication"].value == authentication
    assert ("front", "calls", "chat-api") in {(f.source, f.verb, f.target) for f in found.flows}


OFFERED = """\
data "aws_bedrock_foundation_model" "small" { model_id = "amazon.small-v1" }
data "aws_iam_policy_document" "may" {
  statement {
    actions   = ["bedrock:InvokeModel"]
    resources = [data.aws_bedrock_foundation_model.small.model_arn, "arn:aws:bedrock:eu-west-1::foundation-model/amazon.large-v1"]
  }
}
module "answer" {
  source        = "terraform-aws-modules/lambda/aws"
  function_name = "answer"
  policy_json   = data.aws_iam_policy_document.may.json
}
"""


def test_a_module_s_function_has_a_role_and_models_are_those_of_its_policy(tmp_path: Path) -> None:
    found = _found(tmp_path, "main.tf", OFFERED)
    assert {c.name for c in found.components.values() if c.kind == "ai.model.endpoint"} == {
        "amazon.small-v1",
        "amazon.large-v1",
    }
    assert _privileges(found) == {"scoped"}
    assert "runs-as" in {f.verb for f in found.flows}


USER = """\
resource "aws_iam_user" "bot" { name = "bot" }
resource "aws_iam_user_policy" "may" {
  user   = aws_iam_user.bot.name
  policy = jsonencode({ Statement = [{ Effect = "Allow", Action = ["ACTION"], Resource = "*" }] })
}
"""


@pytest.mark.parametrize(
    ("action", "ids"), [("bedrock:InvokeModel", {"bot", "amazon-bedrock"}), ("s3:GetObject", set())]
)
def test_a_user_is_of_the_system_when_he_may_use_models(tmp_path: Path, action: str, ids: set[str]) -> None:
    found = _found(tmp_path, "main.tf", USER.replace("ACTION", action))
    assert set(found.components) == ids
    assert _privileges(found) == ({"wildcard"} if ids else set())


@pytest.mark.parametrize(
    ("action", "privileges"),
    [
        ("textract:AnalyzeDocument", set()),
        ("translate:TranslateText", set()),
        ("textract:*", {"wildcard"}),
        ("ec2:RunInstances", {"wildcard"}),
    ],
)
def test_actions_without_narrower_resources_are_no_wide_rights(
    tmp_path: Path, action: str, privileges: set[str]
) -> None:
    text = DOCUMENTS.replace("ACTION", action).replace("RESOURCE", "*").replace("EFFECT", "")
    assert _privileges(_found(tmp_path, "main.tf", text)) == privileges


COLLECTION = """\
AWSTemplateFormatVersion: "2010-09-09"
Parameters: {Name: {Type: String}}
Resources:
  Notes: {Type: AWS::OpenSearchServerless::Collection, Properties: {Name: NAME, Type: VECTORSEARCH}}
  Open:
    Type: AWS::OpenSearchServerless::SecurityPolicy
    Properties:
      Type: network
      Policy: POLICY
"""


@pytest.mark.parametrize(
    ("name", "policy", "open_"),
    [
        ("notes", '\'[{"Rules":[{"Resource":["collection/notes"]}],"AllowFromPublic":true}]\'', True),
        ("notes", '\'[{"Rules":[{"Resource":["collection/no*"]}],"AllowFromPublic":false}]\'', False),
        ("!Ref Name", '!Sub \'[{"Rules":[{"Resource":["collection/${Name}"]}],"AllowFromPublic":true}]\'', True),
        ("notes", '\'[{"Rules":[{"Resource":["collection/other"]}],"AllowFromPublic":true}]\'', None),
    ],
)
def test_a_network_policy_is_about_the_collections_that_it_names(
    tmp_path: Path, name: str, policy: str, open_: bool | None
) -> None:
    found = _found(tmp_path, "template.yaml", COLLECTION.replace("NAME", name).replace("POLICY", policy))
    fact = found.components["notes"].facts.get("public-network-access")
    assert (fact.value if fact else None) is open_


TEXT = """\
resource "aws_s3_bucket" "notes" {}
resource "aws_iam_role" "f" {
  assume_role_policy = <<EOF
{"Statement": [{"Principal": {"Service": "lambda.amazonaws.com"}, "Effect": "Allow", "Action": "sts:AssumeRole"}]}
EOF
}
resource "aws_iam_role_policy" "may" {
  role   = aws_iam_role.f.id
  policy = <<-EOF
    {"Statement": [
      {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "${aws_s3_bucket.notes.arn}/*"},
      {"Effect": "Allow", "Action": "bedrock:InvokeModel",
       "Resource": "*"}
    ]}
  EOF
}
resource "aws_lambda_function" "f" {
  function_name = "f"
  role          = aws_iam_role.f.arn
}
"""


def test_policies_that_are_written_as_texts_are_read_with_their_lines(tmp_path: Path) -> None:
    found = _found(tmp_path, "main.tf", TEXT)
    role = next(c for c in found.components.values() if c.kind == "identity.workload")
    assert (role.facts["privileges"].value, role.facts["privileges"].place.line) == ("wildcard", 13)
    assert {("notes"), ("amazon-bedrock")} <= {f.target for f in found.flows if f.verb == "calls"}


def test_a_policy_that_is_not_known_says_nothing_of_models(tmp_path: Path) -> None:
    policy = TEXT.partition("  policy = <<-EOF")
    text = policy[0] + "  policy = var.policy\n}\n" + policy[2].partition("  EOF\n}\n")[2]
    assert "amazon-bedrock" not in _found(tmp_path, "main.tf", text).components
