# SPDX-License-Identifier: Apache-2.0
"""Whole replies of Chat Completions: read, edited, with calls refused, or made up by the guard."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from bastide.errors import Malformed, UpstreamError
from bastide.guard.events import Opaque, Part, Path, Reply, Request, Text, ToolCall, Usage
from bastide.guard.protocol import sse, wire
from bastide.guard.protocol.stream import arguments_text

NAME = "openai.chat"

FIELDS = wire.words(
    "id object created model choices usage system_fingerprint service_tier metadata moderation obfuscation "
    # Of Azure, OpenRouter, Groq and llama.cpp: verdicts of filters, names and numbers.
    "prompt_filter_results provider x_groq timings"
)
CHOICE = wire.words(
    "index message delta finish_reason logprobs stop_reason content_filter_results content_filter_offsets native_finish_reason"
)
_MESSAGE = wire.words("role content refusal tool_calls function_call audio annotations reasoning_content reasoning")
_CALL = wire.words("id type index function custom")
_BODY = wire.words("name arguments input")
_TEXTS = ("content", "refusal", "reasoning_content", "reasoning")


def tool_call(value: Any, path: Path, wrong: wire.Wrong = Malformed) -> ToolCall | Opaque:
    """A call of a message; its path leads to the arguments. A custom tool's free text stands as the argument `input`."""
    call = wire.need_object(value, path, wrong)
    id_ = wire.need_string(call.get("id"), (*path, "id"), wrong)
    kind = call.get("type", "function")
    if kind not in ("function", "custom"):
        return Opaque(wire.short(str(kind)), False, path)
    at = (*path, kind)
    body = wire.need_object(call.get(kind), at, wrong)
    name = wire.need_string(body.get("name"), (*at, "name"), wrong)
    key = "arguments" if kind == "function" else "input"
    raw = wire.need_string(body.get(key), (*at, key), wrong)
    found = {"input": raw} if kind == "custom" else wire.arguments(raw, strict=wrong is not Malformed)
    return ToolCall(id_, name, found, raw, (*at, key))


def unknown_in_call(value: dict[str, Any], path: Path) -> tuple[Opaque, ...]:
    """The fields of a call that nobody reads."""
    found = wire.unknown_fields(value, _CALL, "tool_call", path)
    for kind in ("function", "custom"):
        if type(body := value.get(kind)) is dict:
            found += wire.unknown_fields(body, _BODY, f"tool_call.{kind}", (*path, kind))
    return found


def function_call(value: Any, path: Path, wrong: wire.Wrong = Malformed, id_: str = "") -> ToolCall:
    """A call of the old `function_call` field, which has no id."""
    call = wire.need_object(value, path, wrong)
    name = wire.need_string(call.get("name"), (*path, "name"), wrong)
    raw = wire.need_string(call.get("arguments"), (*path, "arguments"), wrong)
    found = wire.arguments(raw, strict=wrong is not Malformed)
    return ToolCall(id_, name, found, raw, (*path, "arguments"))


def reply(document: Any) -> Reply:
    """The events of a whole reply, of all its choices. Raises `UpstreamError`."""
    body = wire.need_object(document, (), UpstreamError)
    choices = wire.need_list(body.get("choices"), ("choices",), UpstreamError)
    parts: list[Part] = []
    for number, value in enumerate(choices):
        path: Path = ("choices", number)
        choice = wire.need_object(value, path, UpstreamError)
        parts += _message(choice.get("message"), (*path, "message"), number)
        parts += wire.unknown_fields(choice, CHOICE, "choice", path)
    finish = choices[0].get("finish_reason") if choices else ""
    return Reply(
        id=_string(body.get("id")),
        model=_string(body.get("model")),
        parts=tuple(parts),
        finish=_string(finish),
        usage=usage(body.get("usage")),
        opaque=tuple(wire.unknown_fields(body, FIELDS, "field", ())),
        document=body,
    )


def _string(value: Any) -> str:
    return value if type(value) is str else ""


def usage(value: Any) -> Usage:
    """The tokens that the provider counted."""
    if type(value) is not dict:
        return Usage()
    return Usage(wire.count(value.get("prompt_tokens")), wire.count(value.get("completion_tokens")))


def _message(value: Any, path: Path, choice: int) -> Iterator[Part]:
    message = wire.need_object(value, path, UpstreamError)
    for key in _TEXTS:
        if (text := message.get(key)) is not None and wire.need_string(text, (*path, key), UpstreamError):
            yield Text(text, (*path, key))
    if (calls := message.get("tool_calls")) is not None:
        for number, item in enumerate(wire.need_list(calls, (*path, "tool_calls"), UpstreamError)):
            yield tool_call(item, (*path, "tool_calls", number), UpstreamError)
            yield from unknown_in_call(item, (*path, "tool_calls", number))
    if (legacy := message.get("function_call")) is not None:
        yield function_call(legacy, (*path, "function_call"), UpstreamError, legacy_id(choice))
    if message.get("audio") is not None:
        yield Opaque("audio", True, (*path, "audio"))
    if (notes := message.get("annotations")) is not None:
        yield from wire.sources(notes, (*path, "annotations"))
    yield from wire.unknown_fields(message, _MESSAGE, "message", path)


def legacy_id(choice: int) -> str:
    """The name by which a call without an id can be refused."""
    return f"function_call:{choice}"


def rewrite(document: Any, edits: Mapping[Path, Any]) -> Any:
    """See `Codec.rewrite`. Token probabilities of an edited choice go: they spell the old text."""
    more: dict[Path, Any] = {}
    for path, value in edits.items():
        if path[-2:] == ("custom", "input") and isinstance(value, dict):
            more[path] = arguments_text(value, free=True)
        if path[:1] == ("choices",) and len(path) > 2 and document["choices"][path[1]].get("logprobs") is not None:
            more[(*path[:2], "logprobs")] = None
    return wire.rewrite(document, {**edits, **more})


def refuse_calls(document: Any, refusals: Mapping[str, str]) -> Any:
    """See `Codec.refuse_calls`."""
    body: dict[str, Any] = wire.need_object(document, (), UpstreamError)
    choices = [_without(choice, number, refusals) for number, choice in enumerate(body["choices"])]
    return {**body, "choices": choices}


def _without(choice: dict[str, Any], number: int, refusals: Mapping[str, str]) -> dict[str, Any]:
    message = dict(choice["message"])
    notes: list[str] = []
    kept = []
    for call in message.get("tool_calls") or ():
        if (note := refusals.get(call["id"])) is not None:
            notes.append(note)
        else:
            kept.append(call)
    if message.get("function_call") and (note := refusals.get(legacy_id(number))) is not None:
        notes.append(note)
        message["function_call"] = None
    if not notes:
        return choice
    if kept:
        message["tool_calls"] = kept
    else:
        message.pop("tool_calls", None)
    message["content"] = "\n\n".join([text for text in (message.get("content"), *notes) if text])
    left = bool(kept or message.get("function_call"))
    return {**choice, "message": message, "finish_reason": finish_reason(choice.get("finish_reason"), left)}


def finish_reason(said: Any, calls_left: bool) -> Any:
    """Why a choice ended, when calls were refused: nobody may wait for the result of a call that the client never got."""
    return "stop" if said in ("tool_calls", "function_call") and not calls_left else said


def refusal(request: Request, message: str, code: str, *, request_id: str = "", created: int = 0) -> dict[str, Any]:
    """See `Codec.refusal`. It ends with `stop`: at `content_filter` the official client raises where the answer was to be read."""
    choice = {
        "index": 0,
        "message": {"role": "assistant", "content": message, "refusal": message},
        "logprobs": None,
        "finish_reason": "stop",
    }
    return {
        "id": f"chatcmpl-{request_id or code}",
        "object": "chat.completion",
        "created": created,
        "model": request.model,
        "choices": [choice],
        "usage": {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0},
    }


def refusal_stream(request: Request, message: str, code: str, *, request_id: str = "", created: int = 0) -> bytes:
    """See `Codec.refusal_stream`."""
    whole = refusal(request, message, code, request_id=request_id, created=created)
    base = {key: whole[key] for key in ("id", "created", "model")} | {"object": "chat.completion.chunk"}
    first = {"index": 0, "delta": whole["choices"][0]["message"], "finish_reason": None}
    last = {"index": 0, "delta": {}, "finish_reason": "stop"}
    chunks = [base | {"choices": [first]}, base | {"choices": [last]}]
    return b"".join([sse.frame(wire.encode(chunk)) for chunk in chunks]) + sse.frame(b"[DONE]")
