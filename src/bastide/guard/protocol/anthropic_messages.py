# SPDX-License-Identifier: Apache-2.0
"""Anthropic's Messages: `POST /v1/messages`.

What the provider runs by itself (`mcp_servers`, web search, code execution, containers) would go round the guard, so it is opaque. So are
`fallbacks`, which let another model answer, and `thread`, whose stored turns the guard hasn't seen.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from bastide.errors import GuardError, UpstreamError
from bastide.guard.events import Opaque, Part, Path, Reply, Request, Role, Tool, Turn, Usage
from bastide.guard.protocol import sse, wire
from bastide.guard.protocol.anthropic_blocks import Blocks
from bastide.guard.protocol.anthropic_stream import MESSAGE, error_document, filter, usage
from bastide.guard.protocol.interface import Answer
from bastide.guard.protocol.openai_common import error_headers

__all__ = [
    "NAME",
    "error",
    "filter",
    "models",
    "refusal",
    "refusal_stream",
    "refuse_calls",
    "reply",
    "request",
    "rewrite",
]

NAME = "anthropic.messages"

_FIELDS = wire.words(
    "messages model system tools stream max_tokens temperature top_p top_k stop_sequences metadata thinking tool_choice "
    "service_tier cache_control output_config output_format inference_geo speed user_profile_id workspace_id diagnostics "
    "context_management compaction betas"
)
_MESSAGE = frozenset({"role", "content"})
_ROLES = {"user": Role.USER, "assistant": Role.ASSISTANT, "system": Role.SYSTEM}
_TOOL = wire.words(
    "type name description input_schema cache_control strict defer_loading allowed_callers eager_input_streaming "
    "input_examples display_width_px display_height_px display_number max_characters enable_zoom"
)
_CLIENT_TOOLS = ("bash_", "text_editor_", "memory_", "computer_2")
_CLIENT_SETS = ("computer_toolset_", "browser_toolset_")


def request(document: Any) -> Request:
    """The events of a request. Raises `Malformed`."""
    body = wire.need_object(document, ())
    model = wire.model_name(body)
    messages = wire.need_list(body.get("messages"), ("messages",))
    stream = body.get("stream")
    if stream is not None and type(stream) is not bool:
        raise wire.fail(("stream",), "true or false")
    opaque: list[Opaque] = list(wire.unknown_fields(body, _FIELDS, "field", ()))
    tools = tuple(_tools(body.get("tools"), opaque))
    blocks = Blocks()
    turns: list[Turn] = []
    if (system := body.get("system")) is not None:
        turns.append(Turn(Role.SYSTEM, tuple(blocks.content(system, ("system",)))))
    turns += [_turn(message, ("messages", number), blocks) for number, message in enumerate(messages)]
    return Request(
        protocol=NAME,
        model=model,
        turns=tuple(turns),
        tools=tools,
        stream=bool(stream),
        max_tokens=wire.count(body.get("max_tokens")),
        opaque=tuple(opaque),
        document=body,
    )


def _turn(value: Any, path: Path, blocks: Blocks) -> Turn:
    message = wire.need_object(value, path)
    role = _ROLES.get(wire.need_string(message.get("role"), (*path, "role")))
    if role is None:
        raise wire.fail((*path, "role"), "one of " + ", ".join(_ROLES))
    parts: tuple[Part, ...] = (*blocks.content(message.get("content"), (*path, "content")),)
    return Turn(role, (*parts, *wire.unknown_fields(message, _MESSAGE, "message", path)))


def _tools(value: Any, opaque: list[Opaque]) -> Iterator[Tool]:
    if value is None:
        return
    for number, entry in enumerate(wire.need_list(value, ("tools",))):
        path: Path = ("tools", number)
        item = wire.need_object(entry, path)
        kind = item.get("type")
        kind = "custom" if kind is None else wire.need_string(kind, (*path, "type"))
        if kind == "custom" or kind.startswith(_CLIENT_TOOLS):
            opaque += wire.unknown_fields(item, _TOOL, "tool", path)
            if item.get("input_examples"):
                opaque.append(Opaque("tool.input_examples", True, (*path, "input_examples")))
            text = item.get("description")
            yield Tool(
                wire.need_string(item.get("name"), (*path, "name")),
                kind if text is None else wire.need_string(text, (*path, "description")),
                item.get("input_schema"),
                path=path,
            )
        else:
            # A set of the client's tools has no name; its calls come to the client, and so through the guard.
            opaque.append(Opaque(f"tool:{wire.short(kind)}", kind.startswith(_CLIENT_SETS), path))


def reply(document: Any) -> Reply:
    """The events of a whole reply. Raises `UpstreamError`."""
    body = wire.need_object(document, (), UpstreamError)
    content = wire.need_list(body.get("content"), ("content",), UpstreamError)
    finish, model, id_ = body.get("stop_reason"), body.get("model"), body.get("id")
    return Reply(
        id=id_ if type(id_) is str else "",
        model=model if type(model) is str else "",
        parts=tuple(Blocks(UpstreamError).content(content, ("content",))),
        finish=finish if type(finish) is str else "",
        usage=usage(body.get("usage"), Usage()),
        opaque=tuple(wire.unknown_fields(body, MESSAGE, "field", ())),
        document=body,
    )


def rewrite(document: Any, edits: Mapping[Path, Any]) -> Any:
    """See `Codec.rewrite`."""
    return wire.rewrite(document, edits)


def refuse_calls(document: Any, refusals: Mapping[str, str]) -> Any:
    """See `Codec.refuse_calls`. The explanation stands in the place of the call's block."""
    body: dict[str, Any] = wire.need_object(document, (), UpstreamError)
    content = [
        {"type": "text", "text": refusals[block["id"]], "citations": None}
        if block["type"] == "tool_use" and block["id"] in refusals
        else block
        for block in body["content"]
    ]
    left = any(block["type"] == "tool_use" for block in content)
    reason = "end_turn" if body.get("stop_reason") == "tool_use" and not left else body.get("stop_reason")
    return {**body, "content": content, "stop_reason": reason}


def refusal(
    request: Request,
    message: str,
    code: str,
    *,
    request_id: str = "",
    created: int = 0,  # noqa: ARG001 - the same signature for all protocols
) -> dict[str, Any]:
    """See `Codec.refusal`. The protocol has a reason for it: `refusal`; it has no time of creation."""
    return {
        "id": f"msg_{request_id or code}",
        "type": "message",
        "role": "assistant",
        "model": request.model,
        "content": [{"type": "text", "text": message, "citations": None}],
        "stop_reason": "refusal",
        "stop_sequence": None,
        "usage": {"input_tokens": 0, "output_tokens": 0},
    }


def refusal_stream(request: Request, message: str, code: str, *, request_id: str = "", created: int = 0) -> bytes:
    """See `Codec.refusal_stream`."""
    whole = refusal(request, message, code, request_id=request_id, created=created)
    events: list[dict[str, Any]] = [
        {"type": "message_start", "message": {**whole, "content": [], "stop_reason": None}},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": "", "citations": None}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": message}},
        {"type": "content_block_stop", "index": 0},
        {
            "type": "message_delta",
            "delta": {"stop_reason": "refusal", "stop_sequence": None},
            "usage": {"output_tokens": 0},
        },
        {"type": "message_stop"},
    ]
    return b"".join([sse.frame(wire.encode(event), event["type"]) for event in events])


def error(error: GuardError, request_id: str = "") -> Answer:
    """The error as `anthropic` clients expect it, for example as `anthropic.PermissionDeniedError`."""
    headers = error_headers(error)
    if request_id:
        headers["request-id"] = request_id
    return error.status, headers, error_document(error, request_id)


def models(names: Sequence[str]) -> dict[str, Any]:
    """The answer to `GET /v1/models`."""
    data = [{"type": "model", "id": name, "display_name": name, "created_at": "1970-01-01T00:00:00Z"} for name in names]
    ends = {"first_id": names[0], "last_id": names[-1]} if names else {"first_id": None, "last_id": None}
    return {"data": data, "has_more": False, **ends}
