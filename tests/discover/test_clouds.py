# SPDX-License-Identifier: Apache-2.0
"""AI services as clouds declare them: what they are, and what they talk to."""

from __future__ import annotations

from pathlib import Path

import pytest

from bastide.discover.discover import discover

AGENTCORE = """\
resource "aws_bedrockagentcore_agent_runtime" "agent" {
  agent_runtime_name = "agent"
  role_arn           = aws_iam_role.agent.arn
  agent_runtime_artifact {
    container_configuration { container_uri = "1.dkr.ecr.eu-west-1.amazonaws.com/agent:latest" }
  }
  network_configuration { network_mode = "PUBLIC" }
  environment_variables = { MODEL_ID = "anthropic.claude-x", TABLE = aws_dynamodb_table.orders.name }
}
resource "aws_dynamodb_table" "orders" { name = "orders" }
resource "aws_bedrockagentcore_gateway" "tools" {
  name            = "tools"
  authorizer_type = "NONE"
}
resource "aws_bedrockagentcore_gateway_target" "refund" {
  name               = "refund"
  gateway_identifier = aws_bedrockagentcore_gateway.tools.gateway_id
}
"""
BEDROCK = """\
resource "aws_bedrockagent_agent" "desk" {
  agent_name       = "desk"
  foundation_model = "anthropic.claude-x"
}
resource "aws_bedrockagent_agent" "billing" {
  agent_name       = "billing"
  foundation_model = "anthropic.claude-x"
}
resource "aws_bedrockagent_agent_alias" "billing" {
  agent_alias_name = "live"
  agent_id         = aws_bedrockagent_agent.billing.agent_id
}
resource "aws_bedrockagent_agent_collaborator" "c" {
  agent_id = aws_bedrockagent_agent.desk.agent_id
  agent_descriptor { alias_arn = aws_bedrockagent_agent_alias.billing.agent_alias_arn }
}
resource "aws_bedrockagent_knowledge_base" "kb" { name = "kb" }
resource "aws_bedrockagent_agent_knowledge_base_association" "a" {
  agent_id          = aws_bedrockagent_agent.desk.agent_id
  knowledge_base_id = aws_bedrockagent_knowledge_base.kb.id
}
"""
ROLE = """\
resource "aws_lambda_function" "chat" {
  function_name = "chat"
  role          = aws_iam_role.chat.arn
}
resource "aws_iam_role" "chat" {
  name               = "chat"
  assume_role_policy = jsonencode({ Statement = [{ Effect = "Allow", Action = "sts:AssumeRole", Principal = { Service = "lambda.amazonaws.com" } }] })
}
resource "aws_iam_role_policy" "chat" {
  role   = aws_iam_role.chat.id
  policy = jsonencode({
    Statement = [{ Effect = "Allow", Action = ["bedrock:InvokeModel"], Resource = ["arn:aws:bedrock:*::foundation-model/anthropic.claude-x"] }]
  })
}
"""
AZURE = """\
resource web 'Microsoft.Web/sites@2024-04-01' = {
  name: 'web'
  properties: { siteConfig: { appSettings: [ { name: 'AZURE_OPENAI_ENDPOINT', value: ai.properties.endpoint } ] } }
}
resource ai 'Microsoft.CognitiveServices/accounts@2024-10-01' = {
  name: 'ai'
  kind: 'OpenAI'
}
resource safety 'Microsoft.CognitiveServices/accounts@2024-10-01' = {
  name: 'safety'
  kind: 'ContentSafety'
}
"""
GOOGLE = """\
resource "google_vertex_ai_reasoning_engine" "agent" {
  display_name = "agent"
  spec {
    service_account = google_service_account.agent.email
  }
}
resource "google_service_account" "agent" { account_id = "agent" }
resource "google_model_armor_template" "armor" {
  template_id = "armor"
  filter_config {
    pi_and_jailbreak_filter_settings { filter_enforcement = "ENABLED" }
  }
}
"""


@pytest.mark.parametrize(
    ("file", "text", "kinds", "flows"),
    [
        (
            "main.tf", AGENTCORE,
            {"agent": "ai.agent", "tools": "ai.mcp-server", "refund": "ai.tool", "orders": "data.database",
             "anthropic-claude-x": "ai.model.endpoint"},
            {("agent", "calls", "anthropic-claude-x"), ("agent", "calls", "orders"), ("tools", "invokes", "refund")},
        ),
        (
            "main.tf", BEDROCK,
            {"desk": "ai.agent", "billing": "ai.agent", "kb": "ai.retriever"},
            {("desk", "hands-off", "billing"), ("kb", "retrieves", "desk")},
        ),
        ("main.tf", ROLE, {"anthropic-claude-x": "ai.model.endpoint"},
         {("chat-api", "runs-as", "chat-workload"), ("chat-api", "calls", "anthropic-claude-x")}),
        ("main.bicep", AZURE, {"web": "app.api", "ai": "ai.model.endpoint", "safety": "ai.guardrail"}, {("web", "calls", "ai")}),
        ("main.tf", GOOGLE, {"armor": "ai.guardrail"}, set()),
    ],
    ids=["agentcore", "bedrock", "role", "azure", "google"],
)  # fmt: skip
def test_services(
    tmp_path: Path, file: str, text: str, kinds: dict[str, str], flows: set[tuple[str, str, str]]
) -> None:
    (tmp_path / file).write_text(text)
    found = discover(tmp_path)
    assert {id_: c.kind for id_, c in found.components.items() if id_ in kinds} == kinds
    assert flows <= {(f.source, f.verb, f.target) for f in found.flows}


def test_a_filter_against_injections_is_seen(tmp_path: Path) -> None:
    (tmp_path / "main.tf").write_text(GOOGLE)
    assert discover(tmp_path).components["armor"].facts["prompt-attack"].value is True


def test_a_load_balancer_leads_to_the_containers_of_its_target_group(tmp_path: Path) -> None:
    """And the containers to their database and secrets."""
    (tmp_path / "main.tf").write_text(
        """
resource "aws_lb" "front" { internal = false }
resource "aws_lb_target_group" "chat" { port = 8000 }
resource "aws_lb_listener" "https" {
  load_balancer_arn = aws_lb.front.arn
  default_action {
    type             = "forward"
    target_group_arn = aws_lb_target_group.chat.arn
  }
}
resource "aws_secretsmanager_secret" "key" { name = "key" }
resource "aws_db_instance" "store" { engine = "postgres" }
resource "aws_ecs_task_definition" "chat" {
  family = "chat"
  container_definitions = jsonencode([{
    name = "chat", image = "example/chat:1.0", portMappings = [{ containerPort = 8000 }]
    environment = [{ name = "DB_HOST", value = aws_db_instance.store.address }]
    secrets = [{ name = "OPENAI_API_KEY", valueFrom = aws_secretsmanager_secret.key.arn }]
  }])
}
resource "aws_ecs_service" "chat" {
  task_definition = aws_ecs_task_definition.chat.arn
  load_balancer {
    target_group_arn = aws_lb_target_group.chat.arn
    container_name   = "chat"
    container_port   = 8000
  }
}
"""
    )
    found = discover(tmp_path)
    kinds = {c.id: c.kind for c in found.components.values()}
    assert kinds["front"] == "app.gateway"
    flows = {(f.source, f.target, f.verb) for f in found.flows}
    assert {
        ("user", "front", "calls"),
        ("front", "chat", "calls"),
        ("chat", "store", "calls"),
        ("key", "chat", "reads"),
    } <= flows
