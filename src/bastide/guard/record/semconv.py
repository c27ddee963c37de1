# SPDX-License-Identifier: Apache-2.0
"""OpenTelemetry's names for what a request to a model is: the GenAI semantic conventions (`gen_ai.*`, status: development)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

OPERATIONS: Mapping[str, tuple[str, str]] = {
    "openai.chat": ("chat", "openai"),
    "openai.responses": ("chat", "openai"),
    "openai.embeddings": ("embeddings", "openai"),
    "anthropic.messages": ("chat", "anthropic"),
    "anthropic.count_tokens": ("chat", "anthropic"),
    "mcp": ("execute_tool", ""),
}
"""Protocol -> `gen_ai.operation.name` and `gen_ai.provider.name` (the format of the API, as the conventions say, not who hosts it)."""


def request_attributes(entry: Mapping[str, Any]) -> dict[str, Any]:
    """Attributes of an entry of kind `request`."""
    operation, provider = OPERATIONS.get(entry.get("protocol", ""), ("chat", ""))
    found: dict[str, Any] = {"gen_ai.operation.name": operation}
    if provider:
        found["gen_ai.provider.name"] = provider
    if model := entry.get("model"):
        found["gen_ai.request.model"] = model
    if entry.get("stream"):
        found["gen_ai.request.stream"] = True
    if reply := entry.get("reply"):
        found["gen_ai.response.id"] = reply
    usage = entry.get("usage")
    if usage and (usage["input"] or usage["output"]):
        found["gen_ai.usage.input_tokens"] = usage["input"]
        found["gen_ai.usage.output_tokens"] = usage["output"]
    if conversation := entry.get("conversation"):
        found["gen_ai.conversation.id"] = conversation
    if agent := (entry.get("caller") or {}).get("agent"):
        found["gen_ai.agent.id"] = agent
    if error := entry.get("error"):
        found["error.type"] = error["code"]
    return found


def decision_attributes(entry: Mapping[str, Any]) -> dict[str, Any]:
    """Attributes of an entry of kind `decision`: a tool call that was proposed."""
    found: dict[str, Any] = {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": entry.get("tool", "")}
    if call := entry.get("call"):
        found["gen_ai.tool.call.id"] = call
    if agent := (entry.get("caller") or {}).get("agent"):
        found["gen_ai.agent.id"] = agent
    return found
