# SPDX-License-Identifier: Apache-2.0
"""What the file of a handler does, its function does; other code stays a program."""

from __future__ import annotations

from pathlib import Path

import pytest

from bastide.discover.discover import discover

CODE = """\
import boto3

bedrock = boto3.client("bedrock-runtime")

def handler(event, context):
    return bedrock.invoke_model(modelId="anthropic.claude-x", body=event["text"])
"""
SAM = """\
Transform: AWS::Serverless-2016-10-31
Resources:
  Answer:
    Type: AWS::Serverless::Function
    Properties: {CodeUri: src/, Handler: answer.handler}
  Clean:
    Type: AWS::Serverless::Function
    Properties: {CodeUri: src/, Handler: clean.handler}
"""
TERRAFORM = """\
data "archive_file" "zip" {
  type        = "zip"
  source_dir  = "${path.module}/src"
  output_path = "answer.zip"
}
resource "aws_lambda_function" "answer" {
  function_name = "answer"
  filename      = data.archive_file.zip.output_path
  handler       = "answer.handler"
}
"""
CDK = """\
from aws_cdk import Stack, aws_lambda

class Chat(Stack):
    def __init__(self, scope, id):
        super().__init__(scope, id)
        aws_lambda.Function(self, "Answer", code=aws_lambda.Code.from_asset("src"), handler="answer.handler")
"""


@pytest.mark.parametrize(("file", "text"), [("template.yaml", SAM), ("main.tf", TERRAFORM), ("stack.py", CDK)])
def test_a_function_does_what_its_handler_does(tmp_path: Path, file: str, text: str) -> None:
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "answer.py").write_text(CODE)
    (tmp_path / "src" / "clean.py").write_text("def handler(event, context):\n    return None\n")
    (tmp_path / file).write_text(text)
    found = discover(tmp_path)
    assert {(f.source, f.verb, f.target) for f in found.flows} == {("answer", "calls", "anthropic-claude-x")}
    assert set(found.components) == {"answer", "anthropic-claude-x"}


def test_a_file_of_two_functions_is_neither_ones(tmp_path: Path) -> None:
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "answer.py").write_text(CODE)
    (tmp_path / "template.yaml").write_text(SAM.replace("clean.handler", "answer.other"))
    assert {f.source for f in discover(tmp_path).flows} == {"src"}


@pytest.mark.parametrize("folder", ["/etc", "../..", "s3://bucket/code", "src/" * 500])
def test_folders_outside_lead_nowhere(tmp_path: Path, folder: str) -> None:
    (tmp_path / "template.yaml").write_text(SAM.replace("src/", folder))
    assert discover(tmp_path).flows == ()
