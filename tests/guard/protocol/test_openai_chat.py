# SPDX-License-Identifier: Apache-2.0
"""Chat Completions, whole: what is read, written back, refused; the official client is the oracle."""

from __future__ import annotations

from typing import Any

import openai as sdk
import pytest
from openai import OpenAI

from bastide.errors import Denied, Malformed, OverLimit, Unauthenticated, UpstreamError
from bastide.guard.events import Opaque, Role, Text, ToolCall, ToolResult
from bastide.guard.protocol import openai_chat as codec
from bastide.guard.protocol import wire
from tests.guard.protocol.support import Server

ASK = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}


def call(id_: str, name: str, arguments: str = "{}") -> dict[str, Any]:
    return {"id": id_, "type": "function", "function": {"name": name, "arguments": arguments}}


def completion(message: dict[str, Any], finish: str = "stop", **choice: Any) -> dict[str, Any]:
    return {
        "id": "c1",
        "object": "chat.completion",
        "created": 1,
        "model": "m",
        "choices": [{"index": 0, "message": {"role": "assistant", **message}, "finish_reason": finish, **choice}],
        "usage": {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7},
    }


def test_a_conversation_with_tools_becomes_turns_and_results_know_their_tools_name() -> None:
    document = {
        "model": "m",
        "stream": True,
        "max_completion_tokens": 9,
        "messages": [
            {"role": "developer", "content": "rules"},
            {"role": "user", "content": [{"type": "text", "text": "see"}, {"type": "image_url", "image_url": {}}]},
            {"role": "assistant", "content": None, "tool_calls": [call("c1", "read", '{"id":7}')]},
            {"role": "tool", "tool_call_id": "c1", "content": "mail"},
        ],
        "tools": [{"type": "function", "function": {"name": "read", "description": "d", "parameters": {"a": 1}}}],
    }
    request = codec.request(document)
    assert [turn.role for turn in request.turns] == [Role.DEVELOPER, Role.USER, Role.ASSISTANT, Role.TOOL]
    at = ("messages", 1, "content")
    assert request.turns[1].parts == (Text("see", (*at, 0, "text")), Opaque("image_url", True, (*at, 1)))
    path = ("messages", 2, "tool_calls", 0, "function", "arguments")
    assert request.turns[2].parts == (ToolCall("c1", "read", {"id": 7}, '{"id":7}', path),)
    result = ToolResult("c1", (Text("mail", ("messages", 3, "content")),), "read", path=("messages", 3))
    assert request.turns[3].parts == (result,)
    assert (request.stream, request.max_tokens, request.opaque) == (True, 9, ())
    assert (request.tools[0].name, request.tools[0].schema) == ("read", {"a": 1})


@pytest.mark.parametrize(
    ("change", "kinds"),
    [
        ({"web_search_options": {}}, ["field.web_search_options"]),
        ({"Messages": []}, ["field.Messages"]),
        ({"tools": [{"type": "mcp", "server_url": "x"}]}, ["tool:mcp"]),
        ({"tools": [{"type": "function", "function": {"name": "f"}, "run_at": "provider"}]}, ["tool.run_at"]),
        ({"temperature": 1, "metadata": {"a": "b"}, "n": 2, "logprobs": True, "stream_options": {}}, []),
    ],
)
def test_what_is_not_understood_outside_of_turns_is_reported(change: dict[str, Any], kinds: list[str]) -> None:
    assert [part.type for part in codec.request({**ASK, **change}).opaque] == kinds
    assert not any(part.known for part in codec.request({**ASK, **change}).opaque)


@pytest.mark.parametrize(
    ("message", "part"),
    [
        ({"role": "user", "content": [{"type": "hologram"}]}, Opaque("hologram", False, ("messages", 0, "content", 0))),
        ({"role": "user", "content": "x", "aside": "y"}, Opaque("message.aside", False, ("messages", 0, "aside"))),
        ({"role": "user", "content": None, "name": "Bob"}, Text("Bob", ("messages", 0, "name"))),
        ({"role": "assistant", "refusal": "no"}, Text("no", ("messages", 0, "refusal"))),
    ],
)
def test_every_field_of_a_message_is_text_or_opaque(message: dict[str, Any], part: Any) -> None:
    assert part in codec.request({"model": "m", "messages": [message]}).turns[0].parts


@pytest.mark.parametrize(
    ("document", "place"),
    [
        ([], "the document"),
        ({"messages": []}, "model"),
        ({"model": "m"}, "messages"),
        ({"model": "m", "messages": [1]}, "messages[0]"),
        ({"model": "m", "messages": [{"role": "boss"}]}, "messages[0].role"),
        ({"model": "m", "messages": [{"role": "user", "content": 5}]}, "messages[0].content"),
        ({"model": "m", "messages": [{"role": "tool", "content": "x"}]}, "messages[0].tool_call_id"),
        ({**ASK, "stream": "yes"}, "stream"),
        ({**ASK, "tools": {}}, "tools"),
        ({**ASK, "tools": [{"type": "function", "function": {}}]}, "tools[0].function.name"),
    ],
)
def test_a_malformed_request_is_refused_with_its_place(document: Any, place: str) -> None:
    with pytest.raises(Malformed, match=f"^{place.replace('[', chr(92) + '[')} must"):
        codec.request(document)


def test_edits_go_to_their_places_and_share_the_rest() -> None:
    document = {"model": "m", "messages": [{"role": "user", "content": "a"}, {"role": "user", "content": "b"}]}
    edited = codec.rewrite(document, {("messages", 1, "content"): "X"})
    assert edited["messages"][1]["content"] == "X"
    assert document["messages"][1]["content"] == "b"
    assert edited["messages"][0] is document["messages"][0]


def test_edited_arguments_of_a_call_are_encoded_again() -> None:
    document = completion({"tool_calls": [call("c1", "f", '{"a":1}')]})
    part = codec.reply(document).parts[0]
    assert isinstance(part, ToolCall)
    edited = codec.rewrite(document, {part.path: {"a": "new"}})
    assert edited["choices"][0]["message"]["tool_calls"][0]["function"]["arguments"] == '{"a":"new"}'


def test_token_probabilities_do_not_outlive_the_text_they_spell() -> None:
    document = completion({"content": "hunter2"}, logprobs={"content": [{"token": "hunter2"}]})
    edited = codec.rewrite(document, {("choices", 0, "message", "content"): "[redacted]"})
    assert b"hunter2" not in wire.encode(edited)


def test_a_reply_is_read_as_its_parts() -> None:
    document = completion({"content": "hello", "tool_calls": [call("c1", "f")]}, "tool_calls")
    reply = codec.reply(document)
    assert [type(part) for part in reply.parts] == [Text, ToolCall]
    assert (reply.id, reply.finish, reply.usage.input, reply.usage.output) == ("c1", "tool_calls", 3, 4)


def test_arguments_with_a_repeated_key_are_never_understood() -> None:
    part = codec.reply(completion({"tool_calls": [call("c1", "f", '{"to":"me","to":"you"}')]})).parts[0]
    assert isinstance(part, ToolCall)
    assert part.arguments is None


def test_refused_calls_are_explained_and_nobody_waits_for_them(server: Server, openai: OpenAI) -> None:
    document = completion({"content": "ok", "tool_calls": [call("c1", "pay"), call("c2", "read")]}, "tool_calls")
    server.answer(codec.refuse_calls(document, {"c1": "Not allowed."}))
    some = openai.chat.completions.create(**ASK).choices[0]
    assert [item.id for item in some.message.tool_calls or ()] == ["c2"]
    assert (some.message.content, some.finish_reason) == ("ok\n\nNot allowed.", "tool_calls")
    server.answer(codec.refuse_calls(document, {"c1": "No.", "c2": "Neither."}))
    none = openai.chat.completions.create(**ASK).choices[0]
    assert (none.message.tool_calls, none.finish_reason) == (None, "stop")


def test_a_refusal_is_a_whole_reply_and_a_whole_stream(server: Server, openai: OpenAI) -> None:
    request = codec.request(ASK)
    server.answer(codec.refusal(request, "The guard refused.", "denied", request_id="r1"))
    assert openai.chat.completions.create(**ASK).choices[0].message.content == "The guard refused."
    server.answer(codec.refusal_stream(request, "The guard refused.", "denied", request_id="r1"))
    with openai.chat.completions.stream(**ASK) as stream:
        final = stream.get_final_completion()
    assert (final.choices[0].message.content, final.choices[0].finish_reason) == (
        "The guard refused.",
        "stop",
    )


@pytest.mark.parametrize(
    ("error", "raised"),
    [
        (Denied("no"), sdk.PermissionDeniedError),
        (OverLimit("slow down", retry_after=1.2), sdk.RateLimitError),
        (Unauthenticated("who?"), sdk.AuthenticationError),
        (Malformed("what?"), sdk.BadRequestError),
        (UpstreamError("down"), sdk.InternalServerError),
    ],
)
def test_errors_raise_the_clients_own_exceptions(server: Server, openai: OpenAI, error: Any, raised: type) -> None:
    status, headers, document = codec.error(error, "req-9")
    server.answer(document, status, headers)
    with pytest.raises(raised) as caught:
        openai.chat.completions.create(**ASK)
    assert caught.value.request_id == "req-9"
    assert caught.value.code == error.code
    assert headers.get("retry-after") == ("2" if error.retry_after else None)


def test_models_are_listed(server: Server, openai: OpenAI) -> None:
    server.answer(codec.models(["a", "b"]))
    assert [model.id for model in openai.models.list()] == ["a", "b"]
