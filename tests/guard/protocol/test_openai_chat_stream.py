# SPDX-License-Identifier: Apache-2.0
"""Chat Completions, streamed: what the official client sees after the filter."""

from __future__ import annotations

from typing import Any

import openai as sdk
import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai import OpenAI

from bastide.errors import Denied
from bastide.guard.protocol import openai_chat as codec
from tests.guard.protocol.support import SECRET, Guard, Redactor, Server, filtered, payloads, stream_of

ASK: Any = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}


def chunk(
    delta: dict[str, Any] | None = None, finish: str | None = None, index: int = 0, **more: Any
) -> dict[str, Any]:
    base = {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "m", **more}
    if delta is None:
        return {**base, "choices": []}
    return {**base, "choices": [{"index": index, "delta": delta, "finish_reason": finish}]}


def part(index: int, arguments: str, **more: Any) -> dict[str, Any]:
    head = {"id": more["id"], "type": "function"} if more else {}
    function = {"arguments": arguments} | ({"name": more["name"]} if more else {})
    return chunk({"tool_calls": [{"index": index, **head, "function": function}]})


TEXT = stream_of(
    chunk({"role": "assistant", "content": ""}),
    *[chunk({"content": piece}) for piece in ("My pass", "word is hun", "ter2, ke", "ep it. hun")],
    chunk({}, "stop"),
    chunk(usage={"prompt_tokens": 5, "completion_tokens": 6, "total_tokens": 11}),
    done=True,
)
CALLS = stream_of(
    chunk({"role": "assistant", "content": "Let me."}),
    part(0, "", id="a", name="read"),
    part(0, '{"id":'),
    part(0, " 1}"),
    part(1, "", id="b", name="pay"),
    part(1, '{"to": "x"}'),
    part(2, "{}", id="c", name="read"),
    chunk({}, "tool_calls"),
    done=True,
)
TWO = stream_of(
    chunk({"role": "assistant", "content": "one hun"}, index=0),
    chunk({"role": "assistant", "content": "two "}, index=1),
    chunk({"content": "ter2"}, index=0),
    chunk({"content": "hunter2"}, index=1),
    chunk({}, "stop", index=0),
    chunk({}, "stop", index=1),
    done=True,
)


def final(server: Server, openai: OpenAI, stream: bytes) -> Any:
    server.answer(stream)
    with openai.chat.completions.stream(**ASK) as found:
        return found.get_final_completion()


@pytest.mark.parametrize("stream", [TEXT, CALLS, TWO])
def test_a_guard_that_allows_everything_changes_nothing(server: Server, openai: OpenAI, stream: bytes) -> None:
    assert final(server, openai, stream) == final(server, openai, filtered(codec, Guard(), stream))


@given(size=st.integers(1, 400), which=st.sampled_from([TEXT, CALLS, TWO]), crlf=st.booleans())
def test_cutting_the_stream_anywhere_changes_nothing(size: int, which: bytes, crlf: bool) -> None:
    whole = filtered(codec, Redactor(refuse={"pay": "No."}), which)
    cut = which.replace(b"\n", b"\r\n") if crlf else which
    assert filtered(codec, Redactor(refuse={"pay": "No."}), cut, size) == whole


@pytest.mark.parametrize("stream", [TEXT, TWO])
def test_what_is_redacted_is_nowhere_in_the_output(server: Server, openai: OpenAI, stream: bytes) -> None:
    out = filtered(codec, Redactor(), stream)
    assert SECRET.encode() not in out
    assert all(SECRET not in (choice.message.content or "") for choice in final(server, openai, out).choices)
    assert "[redacted]" in final(server, openai, out).choices[0].message.content


def test_text_held_back_comes_before_the_end(server: Server, openai: OpenAI) -> None:
    out = final(server, openai, filtered(codec, Redactor(), TEXT))
    assert out.choices[0].message.content == "My password is [redacted], keep it. hun"


def test_calls_are_judged_whole_and_a_refused_one_is_explained(server: Server, openai: OpenAI) -> None:
    guard = Guard(refuse={"pay": "Paying needs approval."})
    found = final(server, openai, filtered(codec, guard, CALLS)).choices[0]
    assert [(call.name, call.arguments) for call in guard.calls] == [
        ("read", {"id": 1}),
        ("pay", {"to": "x"}),
        ("read", {}),
    ]
    assert [(call.id, call.function.arguments) for call in found.message.tool_calls] == [
        ("a", '{"id": 1}'),
        ("c", "{}"),
    ]
    assert found.message.content == "Let me.Paying needs approval."
    assert found.finish_reason == "tool_calls"


def test_nobody_waits_for_calls_that_were_all_refused(server: Server, openai: OpenAI) -> None:
    found = final(server, openai, filtered(codec, Guard(refuse={"pay": "No.", "read": "No."}), CALLS)).choices[0]
    assert (found.message.tool_calls, found.finish_reason) == (None, "stop")


def test_nothing_of_a_call_leaves_before_it_is_judged() -> None:
    filter_ = codec.filter(Guard(refuse={"pay": "No."}))
    before_end = CALLS[: CALLS.index(b'"finish_reason": "tool_calls"') - 40]
    assert b"pay" not in filter_.feed(before_end)


def test_the_filter_knows_usage_id_and_end() -> None:
    filter_ = codec.filter(Guard())
    filter_.feed(TEXT)
    filter_.finish()
    assert (filter_.usage.input, filter_.usage.output, filter_.reply_id, filter_.finished) == (5, 6, "c1", True)


class Breaks(Guard):
    def text(self, channel: str, delta: str) -> str:
        raise Denied("A secret was about to leave.", code="secret")


@pytest.mark.parametrize(
    ("guard", "stream", "code"),
    [
        (Guard(), TEXT[: len(TEXT) // 2], "upstream_incomplete"),
        (Guard(), stream_of(chunk({"content": "x"}), done=True), "upstream_incomplete"),
        (Guard(), b"", "upstream_incomplete"),
        (Breaks(), TEXT, "secret"),
        (Guard(opaque=False), stream_of(chunk({"hologram": "x"}), done=True), "unscanned_content"),
        (Guard(), b"data: {nonsense\n\n", "upstream_failed"),
        (Guard(), b'data: {"choices": 5}\n\n', "upstream_failed"),
        (Guard(), b'data: {"choices": [{"delta": {"content": "\xff"}}]}\n\n', "upstream_failed"),
        (Guard(), stream_of({"error": {"message": "internal detail", "type": "overloaded"}}), "upstream_failed"),
    ],
)
def test_a_stream_that_ends_badly_is_never_a_success(
    server: Server, openai: OpenAI, guard: Any, stream: bytes, code: str
) -> None:
    filter_ = codec.filter(guard)
    out = filter_.feed(stream) + filter_.finish()
    assert (filter_.finished, filter_.error.code if filter_.error else "") == (False, code)
    assert b"internal detail" not in out
    server.answer(out)
    with pytest.raises(sdk.APIError) as caught:
        list(openai.chat.completions.create(**ASK, stream=True))
    assert caught.value.code == code
    assert filter_.feed(TEXT) == b""


def test_token_probabilities_do_not_spell_what_is_redacted() -> None:
    pieces = ["hun", "ter2", "!"]
    chunks = [chunk({"content": piece}) for piece in pieces]
    for piece, item in zip(pieces, chunks, strict=True):
        item["choices"][0]["logprobs"] = {"content": [{"token": piece}]}
    out = payloads(filtered(codec, Redactor(), stream_of(*chunks, chunk({}, "stop"), done=True)))
    assert [item["choices"][0].get("logprobs") for item in out] == [None, {"content": [{"token": "!"}]}, None]


def test_reasoning_is_a_channel_of_its_own() -> None:
    guard = Guard()
    stream = stream_of(chunk({"reasoning_content": "hm"}), chunk({"content": "a"}), chunk({}, "stop"), done=True)
    filtered(codec, guard, stream)
    assert (guard.texts, guard.ended) == ({"reasoning:0": "hm", "text:0": "a"}, ["text:0", "reasoning:0"])


def test_a_call_may_be_made_with_the_guards_arguments(server: Server, openai: OpenAI) -> None:
    """A tenant filter that the guard writes into the arguments is what the client runs."""
    out = filtered(codec, Guard(refuse={"pay": {"to": "y"}}), CALLS)
    found = final(server, openai, out).choices[0]
    assert [item.function.arguments for item in found.message.tool_calls] == ['{"id": 1}', '{"to":"y"}', "{}"]
    assert b'\\"x\\"' not in out
