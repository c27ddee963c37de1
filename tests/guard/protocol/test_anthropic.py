# SPDX-License-Identifier: Apache-2.0
"""Messages, whole: what is read, written back, refused; the official client is the oracle."""

from __future__ import annotations

from typing import Any

import anthropic as sdk
import pytest
from anthropic import Anthropic

from bastide.errors import Denied, Malformed, OverLimit, TooLarge, Unauthenticated, Unavailable
from bastide.guard.events import Opaque, Role, Text, ToolCall, ToolResult
from bastide.guard.protocol import anthropic_messages as codec
from tests.guard.protocol.support import Server

ASK: Any = {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]}


def message(*content: Any, stop: str = "end_turn") -> dict[str, Any]:
    return {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "m",
        "content": list(content),
        "stop_reason": stop,
        "stop_sequence": None,
        "usage": {"input_tokens": 3, "cache_read_input_tokens": 2, "output_tokens": 4},
    }


def use(id_: str, name: str, **arguments: Any) -> dict[str, Any]:
    return {"type": "tool_use", "id": id_, "name": name, "input": arguments}


def asked(*blocks: Any, role: str = "user") -> tuple[Any, ...]:
    request = codec.request({"model": "m", "messages": [{"role": role, "content": list(blocks)}]})
    return request.turns[0].parts


def test_a_conversation_with_tools_becomes_turns_and_results_know_their_tools_name() -> None:
    request = codec.request(
        {
            **ASK,
            "system": [{"type": "text", "text": "rules", "cache_control": {"type": "ephemeral"}}],
            "messages": [
                {"role": "user", "content": "hi"},
                {"role": "assistant", "content": [{"type": "redacted_thinking", "data": "x"}, use("t1", "read", id=7)]},
                {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t1", "content": "mail"}]},
                {"role": "assistant", "content": "I think"},
            ],
            "tools": [
                {"name": "read", "input_schema": {"type": "object"}},
                {"type": "bash_20250124", "name": "bash"},
            ],
        }
    )
    assert [turn.role for turn in request.turns] == [
        Role.SYSTEM,
        Role.USER,
        Role.ASSISTANT,
        Role.USER,
        Role.ASSISTANT,
    ]
    assert request.turns[0].parts == (Text("rules", ("system", 0, "text")),)
    at = ("messages", 1, "content")
    assert request.turns[2].parts == (
        Opaque("redacted_thinking", True, (*at, 0)),
        ToolCall("t1", "read", {"id": 7}, '{"id":7}', (*at, 1, "input")),
    )
    at = ("messages", 2, "content", 0)
    assert request.turns[3].parts == (ToolResult("t1", (Text("mail", (*at, "content")),), "read", path=at),)
    assert [tool.name for tool in request.tools] == ["read", "bash"]
    assert (request.max_tokens, request.opaque) == (9, ())


@pytest.mark.parametrize(
    ("change", "kinds"),
    [
        ({"mcp_servers": [{"type": "url", "url": "https://x", "name": "x"}]}, ["field.mcp_servers"]),
        ({"container": "c"}, ["field.container"]),
        ({"fallbacks": "default"}, ["field.fallbacks"]),
        ({"tools": [{"type": "web_search_20260318", "name": "web_search"}]}, ["tool:web_search_20260318"]),
        ({"tools": [{"type": "code_execution_20260521", "name": "x"}]}, ["tool:code_execution_20260521"]),
        ({"tools": [{"name": "f", "input_schema": {}, "run_at": "provider"}]}, ["tool.run_at"]),
        ({"thinking": {"type": "enabled"}, "metadata": {"user_id": "u"}, "service_tier": "auto"}, []),
    ],
)
def test_what_would_go_round_the_guard_is_reported(change: dict[str, Any], kinds: list[str]) -> None:
    assert [part.type for part in codec.request({**ASK, **change}).opaque if not part.known] == kinds


AT = ("messages", 0, "content", 0)


@pytest.mark.parametrize(
    ("block", "parts"),
    [
        ({"type": "image", "source": {}}, (Opaque("image", True, AT),)),
        ({"type": "hologram"}, (Opaque("hologram", False, AT),)),
        ({"type": "server_tool_use", "id": "s", "name": "web_search", "input": {}}, (Opaque("server_tool_use", False, AT),)),
        ({"type": "text", "text": "a", "aside": "b"}, (Text("a", (*AT, "text")), Opaque("block.aside", False, (*AT, "aside")))),
        ({"type": "thinking", "thinking": "hm", "signature": "s"}, (Text("hm", (*AT, "thinking")),)),
        (
            {"type": "text", "text": "a", "citations": [{"type": "char_location", "cited_text": "q", "document_index": 0}]},
            (Text("a", (*AT, "text")), Text("q", (*AT, "citations", 0, "cited_text"))),
        ),
        (
            {"type": "document", "title": "t", "source": {"type": "text", "data": "d", "media_type": "text/plain"}},
            (ToolResult("", (Text("t", (*AT, "title")), Text("d", (*AT, "source", "data"))), "document", path=AT),),
        ),
        (
            {"type": "document", "source": {"type": "base64", "data": "d"}},
            (ToolResult("", (Opaque("document", True, AT),), "document", path=AT),),
        ),
        (
            {"type": "web_search_tool_result", "tool_use_id": "s", "content": [{"title": "t"}]},
            (Opaque("web_search_tool_result", False, AT), ToolResult("s", (Text("t", (*AT, "content", 0, "title")),), path=AT)),
        ),
    ],
)  # fmt: skip
def test_every_block_is_text_a_call_a_result_or_opaque(block: dict[str, Any], parts: tuple[Any, ...]) -> None:
    assert asked(block) == parts


@pytest.mark.parametrize(
    ("document", "place"),
    [
        ({"messages": []}, "model"),
        ({**ASK, "messages": [{"role": "tool", "content": ""}]}, "messages.0..role"),
        ({**ASK, "messages": [{"role": "user"}]}, "messages.0..content"),
        ({**ASK, "messages": [{"role": "user", "content": [{"type": "tool_use"}]}]}, "messages.0..content.0..id"),
        ({**ASK, "system": 5}, "system"),
        ({**ASK, "tools": [{"type": "custom"}]}, "tools.0..name"),
    ],
)
def test_a_malformed_request_is_refused_with_its_place(document: Any, place: str) -> None:
    with pytest.raises(Malformed, match=f"^{place} must"):
        codec.request(document)


def test_refused_calls_are_explained_and_nobody_waits_for_them(server: Server, anthropic: Anthropic) -> None:
    document = message({"type": "text", "text": "ok"}, use("a", "pay"), use("b", "read"), stop="tool_use")
    server.answer(codec.refuse_calls(document, {"a": "Not allowed."}))
    some = anthropic.messages.create(**ASK)
    assert [block.type for block in some.content] == ["text", "text", "tool_use"]
    assert some.stop_reason == "tool_use"
    server.answer(codec.refuse_calls(document, {"a": "No.", "b": "Neither."}))
    none = anthropic.messages.create(**ASK)
    assert ([getattr(block, "text", "") for block in none.content], none.stop_reason) == (
        ["ok", "No.", "Neither."],
        "end_turn",
    )


def test_a_reply_is_read_and_edited(server: Server, anthropic: Anthropic) -> None:
    document = message({"type": "text", "text": "hunter2"}, use("a", "pay", to="x"), stop="tool_use")
    reply = codec.reply(document)
    assert (reply.id, reply.finish, reply.usage.input, reply.usage.output) == ("msg_1", "tool_use", 5, 4)
    text, call = reply.parts
    assert isinstance(text, Text)
    assert isinstance(call, ToolCall)
    server.answer(codec.rewrite(document, {text.path: "[redacted]", call.path: {"to": "y"}}))
    found = anthropic.messages.create(**ASK)
    assert [getattr(block, "text", None) or getattr(block, "input", None) for block in found.content] == [
        "[redacted]",
        {"to": "y"},
    ]


def test_a_refusal_is_a_whole_reply_and_a_whole_stream(server: Server, anthropic: Anthropic) -> None:
    request = codec.request(ASK)
    server.answer(codec.refusal(request, "The guard refused.", "denied", request_id="r1"))
    whole = anthropic.messages.create(**ASK)
    server.answer(codec.refusal_stream(request, "The guard refused.", "denied", request_id="r1"))
    with anthropic.messages.stream(**ASK) as stream:
        assert stream.get_final_text() == "The guard refused."
        assert stream.get_final_message().stop_reason == whole.stop_reason == "refusal"


@pytest.mark.parametrize(
    ("error", "raised"),
    [
        (Denied("no"), sdk.PermissionDeniedError),
        (OverLimit("slow down", retry_after=1.2), sdk.RateLimitError),
        (Unauthenticated("who?"), sdk.AuthenticationError),
        (Malformed("what?"), sdk.BadRequestError),
        (TooLarge("huge"), sdk.APIStatusError),
        (Unavailable("draining"), sdk.InternalServerError),
    ],
)
def test_errors_raise_the_clients_own_exceptions(
    server: Server, anthropic: Anthropic, error: Any, raised: type
) -> None:
    status, headers, document = codec.error(error, "req-9")
    server.answer(document, status, headers)
    with pytest.raises(raised) as caught:
        anthropic.messages.create(**ASK)
    assert caught.value.request_id == "req-9"
    assert caught.value.body["error"]["code"] == error.code


def test_models_are_listed(server: Server, anthropic: Anthropic) -> None:
    server.answer(codec.models(["a", "b"]))
    assert [model.id for model in anthropic.models.list()] == ["a", "b"]


@pytest.mark.parametrize("kind", ["tool_result", "document", "search_result"])
def test_blocks_that_only_requests_have_are_opaque_in_a_reply(kind: str) -> None:
    block = {"type": kind, "tool_use_id": "t", "title": "t", "source": "s", "content": []}
    if kind == "document":
        block["source"] = {"type": "text", "data": "d"}  # type: ignore[assignment]
    assert Opaque(kind, False, ("content", 0)) in codec.reply(message(block)).parts
