# SPDX-License-Identifier: Apache-2.0
"""Messages, streamed: what the official client sees after the filter."""

from __future__ import annotations

from typing import Any

import anthropic as sdk
import pytest
from anthropic import Anthropic
from hypothesis import given
from hypothesis import strategies as st

from bastide.errors import Denied
from bastide.guard.protocol import anthropic_messages as codec
from tests.guard.protocol.support import SECRET, Guard, Redactor, Server, filtered, stream_of

ASK: Any = {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]}
START = {
    "type": "message_start",
    "message": {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "m",
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": {"input_tokens": 5, "output_tokens": 1},
    },
}


def block(index: int, start: dict[str, Any], *deltas: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        {"type": "content_block_start", "index": index, "content_block": start},
        *[{"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas],
        {"type": "content_block_stop", "index": index},
    ]


def text(index: int, *pieces: str) -> list[dict[str, Any]]:
    return block(index, {"type": "text", "text": ""}, *[{"type": "text_delta", "text": piece} for piece in pieces])


def thinking(index: int, *pieces: str) -> list[dict[str, Any]]:
    deltas = [{"type": "thinking_delta", "thinking": piece} for piece in pieces]
    start = {"type": "thinking", "thinking": "", "signature": ""}
    return block(index, start, *deltas, {"type": "signature_delta", "signature": "sig"})


def use(index: int, name: str, *pieces: str) -> list[dict[str, Any]]:
    deltas = [{"type": "input_json_delta", "partial_json": piece} for piece in pieces]
    return block(index, {"type": "tool_use", "id": f"t{index}", "name": name, "input": {}}, *deltas)


def end(reason: str = "end_turn") -> list[dict[str, Any]]:
    delta = {"stop_reason": reason, "stop_sequence": None}
    return [{"type": "message_delta", "delta": delta, "usage": {"output_tokens": 6}}, {"type": "message_stop"}]


def whole(*events: Any) -> bytes:
    return stream_of(*events, named=True)


CITED = {
    "type": "citations_delta",
    "citation": {"type": "char_location", "cited_text": "is hunter2", "document_index": 0},
}
TEXT = whole(START, {"type": "ping"}, *text(0, "My pass", "word is hun", "ter2, ke", "ep it. hun"), *end())
THINK = whole(START, *thinking(0, "so hun", "ter2"), *text(1, "a"), *end())
QUOTE = whole(START, *block(0, {"type": "text", "text": ""}, {"type": "text_delta", "text": "x"}, CITED), *end())
CALLS = whole(
    START,
    *text(0, "Let me."),
    *use(1, "read", "", '{"id":', " 1}"),
    *use(2, "pay", '{"to": "x"}'),
    *use(3, "read"),
    *end("tool_use"),
)
HOSTED = whole(START, *block(0, {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {}}), *end())
ALL = [TEXT, THINK, QUOTE, CALLS]


def final(server: Server, anthropic: Anthropic, stream: bytes) -> Any:
    server.answer(stream)
    with anthropic.messages.stream(**ASK) as found:
        return found.get_final_message()


@pytest.mark.parametrize("stream", [*ALL, HOSTED])
def test_a_guard_that_allows_everything_changes_nothing(server: Server, anthropic: Anthropic, stream: bytes) -> None:
    assert final(server, anthropic, stream) == final(server, anthropic, filtered(codec, Guard(), stream))


@given(size=st.integers(1, 400), which=st.sampled_from(ALL), end=st.sampled_from([b"\n", b"\r\n", b"\r"]))
def test_cutting_the_stream_anywhere_changes_nothing(size: int, which: bytes, end: bytes) -> None:
    expected = filtered(codec, Redactor(refuse={"pay": "No."}), which)
    assert filtered(codec, Redactor(refuse={"pay": "No."}), which.replace(b"\n", end), size) == expected


@pytest.mark.parametrize("stream", [TEXT, THINK, QUOTE])
def test_what_is_redacted_is_nowhere_in_the_output(server: Server, anthropic: Anthropic, stream: bytes) -> None:
    out = filtered(codec, Redactor(), stream)
    assert SECRET.encode() not in out
    assert "[redacted]" in final(server, anthropic, out).to_json()


def test_edited_thinking_loses_its_signature(server: Server, anthropic: Anthropic) -> None:
    assert final(server, anthropic, filtered(codec, Guard(), THINK)).content[0].signature == "sig"
    assert final(server, anthropic, filtered(codec, Redactor(), THINK)).content[0].signature == ""


def test_text_held_back_comes_before_the_block_ends(server: Server, anthropic: Anthropic) -> None:
    out = final(server, anthropic, filtered(codec, Redactor(), TEXT))
    assert out.content[0].text == "My password is [redacted], keep it. hun"


def test_calls_are_judged_whole_and_a_refused_one_is_explained(server: Server, anthropic: Anthropic) -> None:
    guard = Guard(refuse={"pay": "Paying needs approval."})
    found = final(server, anthropic, filtered(codec, guard, CALLS))
    assert [(call.id, call.name, call.arguments) for call in guard.calls] == [
        ("t1", "read", {"id": 1}),
        ("t2", "pay", {"to": "x"}),
        ("t3", "read", {}),
    ]
    assert [item.type for item in found.content] == ["text", "tool_use", "text", "tool_use"]
    assert (found.content[1].input, found.content[2].text) == ({"id": 1}, "Paying needs approval.")
    assert found.stop_reason == "tool_use"


def test_nobody_waits_for_calls_that_were_all_refused(server: Server, anthropic: Anthropic) -> None:
    found = final(server, anthropic, filtered(codec, Guard(refuse={"pay": "No.", "read": "No."}), CALLS))
    assert ({item.type for item in found.content}, found.stop_reason) == ({"text"}, "end_turn")


def test_the_filter_knows_usage_id_and_end() -> None:
    filter_ = codec.filter(Guard())
    filter_.feed(TEXT)
    filter_.finish()
    assert (filter_.usage.input, filter_.usage.output, filter_.reply_id, filter_.finished) == (5, 6, "msg_1", True)


def test_what_the_provider_ran_by_itself_is_asked_about() -> None:
    guard = Guard(opaque=False)
    assert b"unscanned_content" in filtered(codec, guard, HOSTED)
    assert guard.asked == [("server_tool_use", False)]


class Breaks(Guard):
    def text(self, channel: str, delta: str) -> str:
        raise Denied("A secret was about to leave.", code="secret")


@pytest.mark.parametrize(
    ("guard", "stream", "code"),
    [
        (Guard(), TEXT[: len(TEXT) // 2], "upstream_incomplete"),
        (Guard(), whole(START, *text(0, "a")), "upstream_incomplete"),
        (Guard(), whole(START, *text(0, "a")[:-1], *end()), "upstream_incomplete"),
        (Guard(), b"", "upstream_incomplete"),
        (Breaks(), TEXT, "secret"),
        (Guard(opaque=False), whole(START, {"type": "hologram"}, *end()), "unscanned_content"),
        (Guard(), whole(START, {"type": "x\ny"}, *end()), "upstream_failed"),
        (Guard(), whole(*text(0, "a"), *end()), "upstream_failed"),
        (Guard(), whole(START, *text(5, "a"), *end()), "upstream_failed"),
        (Guard(), whole(START, {"type": "error", "error": {"type": "x", "message": "internal detail"}}), "upstream_failed"),
    ],
)  # fmt: skip
def test_a_stream_that_ends_badly_is_never_a_success(
    server: Server, anthropic: Anthropic, guard: Any, stream: bytes, code: str
) -> None:
    filter_ = codec.filter(guard)
    out = filter_.feed(stream) + filter_.finish()
    assert (filter_.finished, filter_.error.code if filter_.error else "") == (False, code)
    assert b"internal detail" not in out
    with pytest.raises(sdk.APIStatusError) as caught:
        final(server, anthropic, out)
    assert isinstance(caught.value.body, dict)
    assert caught.value.body["error"]["code"] == code


def test_a_call_may_be_made_with_the_guards_arguments(server: Server, anthropic: Anthropic) -> None:
    """A tenant filter that the guard writes into the arguments is what the client runs."""
    out = filtered(codec, Guard(refuse={"pay": {"to": "y"}}), CALLS)
    found = final(server, anthropic, out)
    assert [item.input for item in found.content if item.type == "tool_use"] == [{"id": 1}, {"to": "y"}, {}]
    assert b'\\"x\\"' not in out
