# SPDX-License-Identifier: Apache-2.0
"""An app of the AWS CDK with the templates that `cdk synth` left beside it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from bastide.discover.discover import discover
from bastide.discover.result import Discovery

CODE = """import * as cdk from 'aws-cdk-lib';
import * as bedrock from 'aws-cdk-lib/aws-bedrock';
import * as lambda from 'aws-cdk-lib/aws-lambda';
export class Ai extends cdk.Stack {
  constructor(scope: any, id: string) {
    super(scope, id);
    const fn = new lambda.Function(this, 'Orders', { handler: 'index.handler', code: lambda.Code.fromAsset('orders') });
    new bedrock.CfnAgent(this, 'Helper', {
      agentName: 'helper', foundationModel: process.env.MODEL,
      actionGroups: [{ actionGroupName: 'orders', actionGroupExecutor: { lambda: fn.functionArn } }],
    });
  }
}
"""


def resource(kind: str, path: str, **properties: Any) -> dict[str, Any]:
    """A resource as the CDK writes it."""
    return {"Type": kind, "Properties": properties, "Metadata": {"aws:cdk:path": path}}


TEMPLATE = {
    "Orders0A1B": resource("AWS::Lambda::Function", "Ai/Orders/Resource", Handler="index.handler"),
    "Helper": resource(
        "AWS::Bedrock::Agent",
        "Ai/Helper",
        AgentName="helper",
        FoundationModel="anthropic.claude-3-haiku-20240307-v1:0",
        ActionGroups=[
            {"ActionGroupName": "orders", "ActionGroupExecutor": {"Lambda": {"Fn::GetAtt": ["Orders0A1B", "Arn"]}}}
        ],
    ),
    "Logs": resource("AWS::Lambda::Function", "Ai/LogRetentionaae0aa3c5b4d4f87b02d85b201efdd8a/Resource", Handler="x"),
}


def of(folder: Path, files: dict[str, str]) -> Discovery:
    """What is found in these files."""
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return discover(folder)


def template(resources: dict[str, Any]) -> str:
    """A template in JSON."""
    return json.dumps({"Resources": resources}, indent=1)


def test_code_and_its_template_are_one_system(tmp_path: Path) -> None:
    """The places are those of the code; the template says which model the variable of the code names."""
    files = {"lib/ai.ts": CODE, "orders/index.py": "def handler(e, c):\n    return 1\n"}
    alone = of(tmp_path / "code", files)
    copied = {"cdk.out/asset.0a1b/index.py": "import openai\nopenai.OpenAI().responses.create(model='gpt-4o')\n"}
    both = of(tmp_path / "both", {**files, **copied, "cdk.out/Ai.template.json": template(TEMPLATE)})
    assert {(c.kind, c.name) for c in alone.components.values()} < {(c.kind, c.name) for c in both.components.values()}
    new = [c for c in both.components.values() if c.id not in alone.components]
    assert [(c.kind, c.name) for c in new] == [("ai.model.endpoint", "anthropic.claude-3-haiku-20240307-v1:0")]
    agents = [c for c in both.components.values() if c.kind == "ai.agent"]
    assert [str(c.provenance[0]) for c in agents] == ["lib/ai.ts:8"]
    assert {(f.source, f.target) for f in alone.flows} < {(f.source, f.target) for f in both.flows}


def test_a_template_alone_is_called_like_its_constructs(tmp_path: Path) -> None:
    """Not by the ids with a digest; what the CDK adds to act while it deploys is no part of the system."""
    found = of(tmp_path, {"Ai.template.json": template(TEMPLATE)})
    assert {c.name.lower() for c in found.components.values() if c.platform == "aws.lambda"} == {"orders"}


def test_stages_of_one_stack_are_made_from_one_construct(tmp_path: Path) -> None:
    """Where they differ nothing is taken from them."""
    stages = {
        f"cdk.out/{stage}.template.json": template(
            {"Helper": resource("AWS::Bedrock::Agent", f"{stage}/Ai/Helper", FoundationModel=model)}
        )
        for stage, model in (("Dev", "amazon.nova-lite-v1:0"), ("Prod", "amazon.nova-pro-v1:0"))
    }
    found = of(tmp_path, {"lib/ai.ts": CODE, **stages})
    assert len([c for c in found.components.values() if c.kind == "ai.agent"]) == 1


def test_a_construct_whose_id_is_computed_is_the_only_one_of_its_type(tmp_path: Path) -> None:
    """So the template's is it."""
    code = CODE.replace("'Helper'", "`${id}-helper`")
    found = of(tmp_path, {"lib/ai.ts": code, "cdk.out/Ai.template.json": template(TEMPLATE)})
    assert len([c for c in found.components.values() if c.kind == "ai.agent"]) == 1
