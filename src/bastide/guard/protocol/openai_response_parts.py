# SPDX-License-Identifier: Apache-2.0
"""What whole and streamed Responses share: the known fields, the count of tokens, what becomes of a call."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bastide.guard.events import Usage
from bastide.guard.protocol import wire
from bastide.guard.protocol.openai_items import CLIENT_CALLS
from bastide.guard.protocol.stream import arguments_text

RESPONSE = wire.words(
    "id object created_at completed_at status error incomplete_details instructions metadata model output parallel_tool_calls "
    "temperature tool_choice tools top_p background conversation max_output_tokens max_tool_calls moderation "
    "previous_response_id prompt prompt_cache_key prompt_cache_options prompt_cache_retention prompt_cache_diagnostics reasoning "
    "safety_identifier service_tier store text tool_usage top_logprobs truncation usage user access_programs image "
    "input_transformations frequency_penalty presence_penalty content_filters"
)


def usage(value: Any, before: Usage) -> Usage:
    """The tokens that the provider counted."""
    if type(value) is not dict:
        return before
    return Usage(wire.count(value.get("input_tokens")), wire.count(value.get("output_tokens")))


def explanation(item: Mapping[str, Any], note: str) -> dict[str, Any]:
    """The message that stands in the place of a refused call."""
    id_ = item.get("id") or item.get("call_id")
    part = {"type": "output_text", "text": note, "annotations": [], "logprobs": []}
    return {"type": "message", "id": f"msg_{id_}", "role": "assistant", "status": "completed", "content": [part]}


def with_arguments(item: dict[str, Any], arguments: dict[str, Any]) -> dict[str, Any]:
    """The fields of a call that hold its arguments, with the guard's."""
    if item["type"] in CLIENT_CALLS:
        return {key: arguments.get(key) for key in CLIENT_CALLS[item["type"]][1] if key in item}
    free = item["type"] == "custom_tool_call"
    return {"input" if free else "arguments": arguments_text(arguments, free)}
