# SPDX-License-Identifier: Apache-2.0
"""Responses and embeddings, whole: what is read, written back, refused; the official client is the oracle."""

from __future__ import annotations

from typing import Any

import openai as sdk
import pytest
from openai import OpenAI

from bastide.errors import Denied, Malformed, UpstreamError
from bastide.guard.events import Opaque, Role, Text, ToolCall, ToolResult
from bastide.guard.protocol import openai_embeddings, wire
from bastide.guard.protocol import openai_responses as codec
from tests.guard.protocol.support import Guard, Server

ASK: Any = {"model": "m", "input": "hi"}


def response(*output: Any, **more: Any) -> dict[str, Any]:
    return {
        "id": "resp_1",
        "object": "response",
        "created_at": 1,
        "status": "completed",
        "model": "m",
        "output": list(output),
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        "usage": {
            "input_tokens": 3,
            "input_tokens_details": {"cached_tokens": 0},
            "output_tokens": 4,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": 7,
        },
        **more,
    }


def said(text: str, id_: str = "m1", **part: Any) -> dict[str, Any]:
    content = [{"type": "output_text", "text": text, "annotations": [], **part}]
    return {"type": "message", "id": id_, "role": "assistant", "status": "completed", "content": content}


def call(id_: str, name: str, arguments: str = "{}", **more: Any) -> dict[str, Any]:
    head = {"type": "function_call", "id": f"fc_{id_}", "call_id": id_, "status": "completed"}
    return {**head, "name": name, "arguments": arguments, **more}


def parts(item: dict[str, Any]) -> tuple[Any, ...]:
    return codec.request({"model": "m", "input": [item]}).turns[0].parts


def test_a_conversation_with_tools_becomes_turns_and_results_know_their_tools_name() -> None:
    request = codec.request(
        {
            "model": "m",
            "instructions": "rules",
            "previous_response_id": "resp_0",
            "max_output_tokens": 9,
            "input": [
                {"role": "user", "content": [{"type": "input_text", "text": "see"}, {"type": "input_image"}]},
                call("c1", "read", '{"id":7}', namespace="mail"),
                {"type": "function_call_output", "call_id": "c1", "output": "mail"},
            ],
            "tools": [
                {"type": "namespace", "name": "mail", "tools": [{"type": "function", "name": "read", "parameters": {}}]}
            ],
        }
    )
    assert [turn.role for turn in request.turns] == [Role.SYSTEM, Role.USER, Role.ASSISTANT, Role.TOOL]
    at = ("input", 0, "content")
    assert request.turns[1].parts == (Text("see", (*at, 0, "text")), Opaque("input_image", True, (*at, 1)))
    assert request.turns[2].parts == (ToolCall("c1", "mail.read", {"id": 7}, '{"id":7}', ("input", 1, "arguments")),)
    result = ToolResult("c1", (Text("mail", ("input", 2, "output")),), "mail.read", path=("input", 2))
    assert request.turns[3].parts == (result,)
    assert [tool.name for tool in request.tools] == ["mail", "mail.read"]
    assert (request.previous, request.max_tokens, request.opaque) == ("resp_0", 9, ())


def test_a_string_is_what_the_user_says() -> None:
    (turn,) = codec.request(ASK).turns
    assert (turn.role, turn.parts) == (Role.USER, (Text("hi", ("input",)),))


@pytest.mark.parametrize(
    ("change", "kinds"),
    [
        ({"conversation": "c"}, ["field.conversation"]),
        ({"prompt": {"id": "p"}}, ["field.prompt"]),
        ({"background": True}, ["field.background"]),
        ({"Input": "x"}, ["field.Input"]),
        ({"tools": [{"type": "mcp", "server_label": "x", "server_url": "y"}]}, ["tool:mcp"]),
        ({"tools": [{"type": "web_search"}, {"type": "shell", "environment": {"type": "container_auto"}}]}, ["tool:web_search", "tool:shell"]),
        ({"tools": [{"type": "shell"}, {"type": "apply_patch"}]}, []),
        ({"input": [{"type": "additional_tools", "role": "developer", "tools": [{"type": "mcp"}]}]}, ["tool:mcp"]),
        ({"background": False, "store": True, "metadata": {}, "reasoning": {}, "text": {}, "include": []}, []),
    ],
)  # fmt: skip
def test_what_would_go_round_the_guard_is_reported(change: dict[str, Any], kinds: list[str]) -> None:
    assert [part.type for part in codec.request({**ASK, **change}).opaque if not part.known] == kinds


AT = ("input", 0)


@pytest.mark.parametrize(
    ("item", "found"),
    [
        ({"type": "item_reference", "id": "x"}, (Opaque("item_reference", False, AT),)),
        ({"id": "x"}, (Opaque("item_reference", False, AT),)),
        ({"type": "hologram"}, (Opaque("hologram", False, AT),)),
        ({"type": "compaction", "encrypted_content": "x"}, (Opaque("compaction", True, AT),)),
        (
            {"type": "reasoning", "id": "r", "summary": [{"type": "summary_text", "text": "s"}], "encrypted_content": "e"},
            (Text("s", (*AT, "summary", 0, "text")), Opaque("reasoning.encrypted_content", True, (*AT, "encrypted_content"))),
        ),
        (
            {"type": "shell_call", "call_id": "c", "action": {"commands": ["ls"]}},
            (ToolCall("c", "shell", {"action": {"commands": ["ls"]}}, '{"action":{"commands":["ls"]}}'),),
        ),
        (
            {"type": "mcp_call", "id": "x", "name": "f", "arguments": "{}", "output": "o", "server_label": "l"},
            (Opaque("mcp_call", False, AT), ToolResult("", (Text("{}", (*AT, "arguments")), Text("o", (*AT, "output"))), "mcp_call", path=AT)),
        ),
        ({**said("a"), "aside": 1}, (Text("a", (*AT, "content", 0, "text")), Opaque("item.aside", False, (*AT, "aside")))),
        (
            said("a", annotations=[{"type": "url_citation", "url": "u", "start_index": 0}]),
            (Text("a", (*AT, "content", 0, "text")), Text("u", (*AT, "content", 0, "annotations", 0, "url"))),
        ),
    ],
)  # fmt: skip
def test_every_item_is_text_a_call_a_result_or_opaque(item: dict[str, Any], found: tuple[Any, ...]) -> None:
    assert parts(item) == found


@pytest.mark.parametrize(
    ("document", "place"),
    [
        ({"input": "x"}, "model"),
        ({**ASK, "input": 5}, "input"),
        ({**ASK, "input": [5]}, "input.0."),
        ({**ASK, "input": [{"role": "tool", "content": "x"}]}, "input.0..role"),
        ({**ASK, "input": [{"type": "function_call", "call_id": "c"}]}, "input.0..name"),
        ({**ASK, "previous_response_id": 5}, "previous_response_id"),
        ({**ASK, "tools": [{"type": "function"}]}, "tools.0..name"),
    ],
)
def test_a_malformed_request_is_refused_with_its_place(document: Any, place: str) -> None:
    with pytest.raises(Malformed, match=f"^{place} must"):
        codec.request(document)


def test_a_reply_is_read_and_edited(server: Server, openai: OpenAI) -> None:
    document = response(said("hunter2", logprobs=[{"token": "hunter2"}]), call("c1", "pay", '{"to":"x"}'))
    reply = codec.reply(document)
    assert (reply.id, reply.finish, reply.usage.input, reply.usage.output) == ("resp_1", "completed", 3, 4)
    text, pay = reply.parts
    assert isinstance(text, Text)
    assert isinstance(pay, ToolCall)
    edited = codec.rewrite(document, {text.path: "[redacted]", pay.path: {"to": "y"}})
    assert b"hunter2" not in wire.encode(edited)
    server.answer(edited)
    found = openai.responses.create(**ASK)
    assert (found.output_text, getattr(found.output[1], "arguments", "")) == ("[redacted]", '{"to":"y"}')


@pytest.mark.parametrize(
    "kind", ["function_call_output", "shell_call_output", "additional_tools", "tool_search_output"]
)
def test_what_the_provider_ran_is_opaque_in_a_reply(kind: str) -> None:
    document = response({"type": kind, "call_id": "c", "output": []})
    assert Opaque(kind, False, ("output", 0)) in codec.reply(document).parts


def test_refused_calls_are_explained_in_their_place(server: Server, openai: OpenAI) -> None:
    document = response(said("ok"), call("a", "pay"), call("b", "read"))
    server.answer(codec.refuse_calls(document, {"a": "Not allowed."}))
    found = openai.responses.create(**ASK)
    assert [item.type for item in found.output] == ["message", "message", "function_call"]
    assert found.output_text == "okNot allowed."


def test_a_refusal_is_a_whole_reply_and_a_whole_stream(server: Server, openai: OpenAI) -> None:
    request = codec.request(ASK)
    server.answer(codec.refusal(request, "The guard refused.", "denied", request_id="r1"))
    assert openai.responses.create(**ASK).output_text == "The guard refused."
    server.answer(codec.refusal_stream(request, "The guard refused.", "denied", request_id="r1"))
    with openai.responses.stream(**ASK) as stream:
        assert stream.get_final_response().output_text == "The guard refused."


def test_errors_raise_the_clients_own_exceptions(server: Server, openai: OpenAI) -> None:
    status, headers, document = codec.error(Denied("no", details={"approval": "a1"}), "req-9")
    server.answer(document, status, headers)
    with pytest.raises(sdk.PermissionDeniedError) as caught:
        openai.responses.create(**ASK)
    assert isinstance(caught.value.body, dict)
    assert caught.value.body["details"] == {"approval": "a1"}


def test_texts_to_embed_are_read_and_token_numbers_are_opaque(server: Server, openai: OpenAI) -> None:
    def found(value: Any) -> tuple[Any, ...]:
        return openai_embeddings.request({"model": "m", "input": value}).turns[0].parts

    assert found("a") == (Text("a", ("input",)),)
    assert found(["a", [1, 2]]) == (Text("a", ("input", 0)), Opaque("tokens", True, ("input", 1)))
    assert found([1, 2]) == (Opaque("tokens", True, ("input",)),)
    with pytest.raises(Malformed, match=r"^input\[0\] must"):
        found([{}])


def test_embeddings_pass_and_cannot_say_no(server: Server, openai: OpenAI) -> None:
    data = [{"object": "embedding", "index": 0, "embedding": [0.5]}]
    document = {"object": "list", "model": "m", "data": data, "usage": {"prompt_tokens": 2, "total_tokens": 2}}
    assert openai_embeddings.reply(document).usage.input == 2
    server.answer(openai_embeddings.refuse_calls(openai_embeddings.rewrite(document, {}), {}))
    found = openai.embeddings.create(model="m", input="a", encoding_format="float")
    assert found.data[0].embedding == [0.5]
    request = openai_embeddings.request({"model": "m", "input": "a"})
    with pytest.raises(Denied, match="no"):
        openai_embeddings.refusal_stream(request, "no", "denied")
    with pytest.raises(UpstreamError):
        openai_embeddings.filter(Guard())
