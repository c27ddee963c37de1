# SPDX-License-Identifier: Apache-2.0
"""OpenAI's Chat Completions: `POST /v1/chat/completions`.

What runs at the provider where the guard can't see it (`web_search_options`) or comes from there (stored audio) is opaque. Besides the
documented fields, `reasoning_content` and `reasoning` are known: many servers of this protocol send a model's reasoning in them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from bastide.guard.calls import CallNames
from bastide.guard.events import Opaque, Part, Path, Request, Role, Text, Tool, ToolCall, ToolResult, Turn
from bastide.guard.protocol import wire
from bastide.guard.protocol.openai_chat_reply import (
    NAME,
    function_call,
    refusal,
    refusal_stream,
    refuse_calls,
    reply,
    rewrite,
    tool_call,
    unknown_in_call,
)
from bastide.guard.protocol.openai_chat_stream import filter
from bastide.guard.protocol.openai_common import error, models

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

_FIELDS = wire.words(
    "messages model stream tools functions max_tokens max_completion_tokens n temperature top_p stop stream_options response_format "
    "tool_choice function_call parallel_tool_calls frequency_penalty presence_penalty logit_bias logprobs top_logprobs seed user "
    "metadata store service_tier reasoning_effort verbosity modalities audio prediction prompt_cache_key prompt_cache_options "
    "prompt_cache_retention safety_identifier moderation"
)
_MESSAGE = wire.words(
    "role content name tool_calls tool_call_id refusal function_call audio annotations reasoning_content reasoning"
)
_MEDIA = frozenset({"image_url", "input_audio", "file"})
_TOOL = frozenset({"type", "function", "custom"})
_FUNCTION = frozenset({"name", "description", "parameters", "strict", "format"})
_ROLES: Mapping[str, Role] = {**{role.value: role for role in Role}, "function": Role.TOOL}


def request(document: Any) -> Request:
    """The events of a request. Raises `Malformed`."""
    body = wire.need_object(document, ())
    model = wire.model_name(body)
    messages = wire.need_list(body.get("messages"), ("messages",))
    stream = body.get("stream")
    if stream is not None and type(stream) is not bool:
        raise wire.fail(("stream",), "true or false")
    opaque: list[Opaque] = list(wire.unknown_fields(body, _FIELDS, "field", ()))
    tools = tuple(_tools(body, opaque))
    names = CallNames()
    turns = [_turn(message, ("messages", number), names) for number, message in enumerate(messages)]
    if (prediction := body.get("prediction")) is not None:
        at: Path = ("prediction",)
        content = wire.need_object(prediction, at).get("content")
        turns.append(Turn(Role.ASSISTANT, tuple(_content(content, (*at, "content")))))
    limit = body.get("max_completion_tokens")
    return Request(
        protocol=NAME,
        model=model,
        turns=tuple(turns),
        tools=tools,
        stream=bool(stream),
        max_tokens=wire.count(limit if limit is not None else body.get("max_tokens")),
        opaque=tuple(opaque),
        document=body,
    )


def _turn(value: Any, path: Path, names: CallNames) -> Turn:
    message = wire.need_object(value, path)
    role = _ROLES.get(wire.need_string(message.get("role"), (*path, "role")))
    if role is None:
        raise wire.fail((*path, "role"), "one of " + ", ".join(_ROLES))
    parts: tuple[Part, ...] = (*_content(message.get("content"), (*path, "content")),)
    if role is Role.TOOL:
        parts = (_result(message, parts, path, names),)
    if len(message) > 2 or "content" not in message:  # more than a role and content
        parts = (*parts, *_more(message, path, names))
    return Turn(role, parts)


def _content(value: Any, path: Path) -> Iterator[Text | Opaque]:
    if type(value) is str:
        if value:
            yield Text(value, path)
    elif value is not None:
        if type(value) is not list:
            raise wire.fail(path, "a string or an array of parts")
        for number, item in enumerate(value):
            yield from _part(item, (*path, number))


def _part(value: Any, path: Path) -> Iterator[Text | Opaque]:
    part = wire.need_object(value, path)
    kind = wire.need_string(part.get("type"), (*path, "type"))
    if kind in ("text", "refusal"):
        yield Text(wire.need_string(part.get(kind), (*path, kind)), (*path, kind))
    else:
        yield Opaque(kind, kind in _MEDIA, path)
    if part.keys() != {"type", kind}:  # a text in a field of another type's would be overlooked
        yield from wire.unknown_fields(part, frozenset({"type", kind, "prompt_cache_breakpoint"}), "part", path)


def _result(message: dict[str, Any], parts: tuple[Part, ...], path: Path, names: CallNames) -> ToolResult:
    content = tuple(part for part in parts if isinstance(part, Text | Opaque))
    if message["role"] == "function":
        name = wire.need_string(message.get("name"), (*path, "name"))
        return ToolResult("", content, name, path=path)
    call_id = wire.need_string(message.get("tool_call_id"), (*path, "tool_call_id"))
    return ToolResult(call_id, content, names.answered(call_id), path=path)


def _more(message: dict[str, Any], path: Path, names: CallNames) -> Iterator[Part]:
    """What a message has beside its content."""
    for key in ("name", "refusal", "reasoning_content", "reasoning"):
        # A name stands in the prompt too: it can carry instructions as any text can.
        if (text := message.get(key)) is not None and not (key == "name" and message["role"] == "function"):
            yield Text(wire.need_string(text, (*path, key)), (*path, key))
    if (calls := message.get("tool_calls")) is not None:
        for number, item in enumerate(wire.need_list(calls, (*path, "tool_calls"))):
            call = tool_call(item, (*path, "tool_calls", number))
            if isinstance(call, ToolCall):
                names.called(call.id, call.name)
            yield call
            yield from unknown_in_call(item, (*path, "tool_calls", number))
    if (legacy := message.get("function_call")) is not None:
        yield function_call(legacy, (*path, "function_call"))
    if message.get("audio") is not None:
        yield Opaque("audio", True, (*path, "audio"))
    if (notes := message.get("annotations")) is not None:
        yield from wire.sources(notes, (*path, "annotations"))
    yield from wire.unknown_fields(message, _MESSAGE, "message", path)


def _tools(body: dict[str, Any], opaque: list[Opaque]) -> Iterator[Tool]:
    if (tools := body.get("tools")) is not None:
        for number, value in enumerate(wire.need_list(tools, ("tools",))):
            path: Path = ("tools", number)
            item = wire.need_object(value, path)
            kind = wire.need_string(item.get("type"), (*path, "type"))
            if kind in ("function", "custom"):
                opaque += wire.unknown_fields(item, _TOOL, "tool", path)
                yield _tool(item.get(kind), (*path, kind), opaque)
            else:
                opaque.append(Opaque(f"tool:{wire.short(kind)}", False, path))
    if (functions := body.get("functions")) is not None:
        for number, value in enumerate(wire.need_list(functions, ("functions",))):
            yield _tool(value, ("functions", number), opaque)


def _tool(value: Any, path: Path, opaque: list[Opaque]) -> Tool:
    function = wire.need_object(value, path)
    opaque += wire.unknown_fields(function, _FUNCTION, "tool", path)
    name = wire.need_string(function.get("name"), (*path, "name"))
    text = function.get("description")
    description = "" if text is None else wire.need_string(text, (*path, "description"))
    schema = function.get("parameters")
    return Tool(name, description, function.get("format") if schema is None else schema, path=path)
