# SPDX-License-Identifier: Apache-2.0
"""Responses, streamed: what the official client sees after the filter, in each of the places that repeat a text."""

from __future__ import annotations

from typing import Any

import openai as sdk
import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai import OpenAI

from bastide.errors import Denied
from bastide.guard.protocol import openai_responses as codec
from tests.guard.protocol.support import SECRET, Guard, Redactor, Server, filtered, payloads, stream_of
from tests.guard.protocol.test_openai_responses import call, response, said

ASK: Any = {"model": "m", "input": "hi"}


def numbered(*events: dict[str, Any]) -> bytes:
    return stream_of(*[{**event, "sequence_number": number} for number, event in enumerate(events)], named=True)


def whole(*groups: list[dict[str, Any]], items: list[dict[str, Any]], end: str = "completed") -> bytes:
    return numbered(
        {"type": "response.created", "response": response(status="in_progress", usage=None)},
        {"type": "response.in_progress", "response": response(status="in_progress", usage=None)},
        *[event for group in groups for event in group],
        {"type": f"response.{end}", "response": response(*items, status=end)},
    )


def text(output: int, item: dict[str, Any], *pieces: str) -> list[dict[str, Any]]:
    at = {"output_index": output, "content_index": 0, "item_id": item["id"]}
    part = item["content"][0]
    return [
        {"type": "response.output_item.added", "output_index": output, "item": {**item, "content": []}},
        {"type": "response.content_part.added", **at, "part": {**part, "text": "", "annotations": [], "logprobs": []}},
        *[
            {"type": "response.output_text.delta", **at, "delta": piece, "logprobs": [{"token": piece, "logprob": -1}]}
            for piece in pieces
        ],
        *[
            {"type": "response.output_text.annotation.added", **at, "annotation_index": n, "annotation": note}
            for n, note in enumerate(part["annotations"])
        ],
        {"type": "response.output_text.done", **at, "text": part["text"], "logprobs": [{"token": part["text"]}]},
        {"type": "response.content_part.done", **at, "part": part},
        {"type": "response.output_item.done", "output_index": output, "item": item},
    ]


def use(output: int, item: dict[str, Any], *pieces: str) -> list[dict[str, Any]]:
    at = {"output_index": output, "item_id": item["id"]}
    family = "response.function_call_arguments"
    begun = {**item, "arguments": "", "status": "in_progress"}
    return [
        {"type": "response.output_item.added", "output_index": output, "item": begun},
        *[{"type": f"{family}.delta", **at, "delta": piece} for piece in pieces],
        {"type": f"{family}.done", **at, "name": item["name"], "arguments": item["arguments"]},
        {"type": "response.output_item.done", "output_index": output, "item": item},
    ]


def think(output: int, summary: str) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    part = {"type": "summary_text", "text": summary}
    item = {"type": "reasoning", "id": "r1", "summary": [part], "encrypted_content": "opaque"}
    at = {"output_index": output, "summary_index": 0, "item_id": "r1"}
    family = "response.reasoning_summary"
    return [
        {"type": "response.output_item.added", "output_index": output, "item": {**item, "summary": []}},
        {"type": f"{family}_part.added", **at, "part": {**part, "text": ""}},
        {"type": f"{family}_text.delta", **at, "delta": summary[:5]},
        {"type": f"{family}_text.delta", **at, "delta": summary[5:]},
        {"type": f"{family}_text.done", **at, "text": summary},
        {"type": f"{family}_part.done", **at, "part": part},
        {"type": "response.output_item.done", "output_index": output, "item": item},
    ], item


PIECES = ("My pass", "word is hun", "ter2, ke", "ep it. hun")
NOTE = {"type": "url_citation", "url": "https://x/?q=hunter2", "title": "t", "start_index": 0, "end_index": 1}
TALK = said("".join(PIECES), logprobs=[{"token": piece} for piece in PIECES], annotations=[NOTE])
TEXT = whole(text(0, TALK, *PIECES), items=[TALK])
READ, PAY, LAST = call("a", "read", '{"id": 1}'), call("b", "pay", '{"to": "x"}'), call("c", "read")
CALLS = whole(
    text(0, said("Let me."), "Let ", "me."),
    use(1, READ, '{"id"', ": 1}"),
    use(2, PAY, '{"to": "x"}'),
    use(3, LAST, "{}"),
    items=[said("Let me."), READ, PAY, LAST],
)
THOUGHT, REASON = think(0, "so hunter2")
THINK = whole(THOUGHT, text(1, said("a"), "a"), items=[REASON, said("a")])
SHELL = {"type": "shell_call", "id": "s1", "call_id": "s", "status": "completed", "action": {"commands": ["ls"]}}
SHELLS = whole(
    [
        {"type": "response.output_item.added", "output_index": 0, "item": {**SHELL, "action": {"commands": []}}},
        {"type": "response.shell_call_command.added", "output_index": 0, "command_index": 0, "command": ""},
        {"type": "response.shell_call_command.delta", "output_index": 0, "command_index": 0, "delta": "ls"},
        {"type": "response.shell_call_command.done", "output_index": 0, "command_index": 0, "command": "ls"},
        {"type": "response.output_item.done", "output_index": 0, "item": SHELL},
    ],
    items=[SHELL],
)
SEARCH = {"type": "web_search_call", "id": "w1", "status": "completed", "action": {"type": "search", "query": "q"}}
HOSTED = whole(
    [
        {"type": "response.output_item.added", "output_index": 0, "item": {**SEARCH, "status": "in_progress"}},
        {"type": "response.web_search_call.searching", "output_index": 0, "item_id": "w1"},
        {"type": "response.output_item.done", "output_index": 0, "item": SEARCH},
    ],
    items=[SEARCH],
)
ALL = [TEXT, CALLS, THINK, SHELLS]


def final(server: Server, openai: OpenAI, stream: bytes) -> Any:
    server.answer(stream)
    with openai.responses.stream(**ASK) as found:
        return found.get_final_response()


@pytest.mark.parametrize("stream", [*ALL, HOSTED])
def test_a_guard_that_allows_everything_changes_nothing(server: Server, openai: OpenAI, stream: bytes) -> None:
    out = filtered(codec, Guard(), stream)
    assert final(server, openai, stream).to_dict() == final(server, openai, out).to_dict()


def test_text_alone_passes_event_by_event() -> None:
    assert payloads(filtered(codec, Guard(), TEXT)) == payloads(TEXT)
    assert payloads(filtered(codec, Guard(), THINK)) == payloads(THINK)


@given(size=st.integers(1, 500), which=st.sampled_from(ALL), crlf=st.booleans())
def test_cutting_the_stream_anywhere_changes_nothing(size: int, which: bytes, crlf: bool) -> None:
    expected = filtered(codec, Redactor(refuse={"pay": "No."}), which)
    cut = which.replace(b"\n", b"\r\n") if crlf else which
    assert filtered(codec, Redactor(refuse={"pay": "No."}), cut, size) == expected


@pytest.mark.parametrize("stream", [TEXT, THINK])
def test_what_is_redacted_is_in_none_of_the_places_that_repeat_it(
    server: Server, openai: OpenAI, stream: bytes
) -> None:
    out = filtered(codec, Redactor(), stream)
    assert SECRET.encode() not in out
    assert "[redacted]" in final(server, openai, out).to_json()
    assert [event["sequence_number"] for event in payloads(out)] == list(range(len(payloads(out))))


def test_deltas_add_up_to_the_whole_text(server: Server, openai: OpenAI) -> None:
    out = filtered(codec, Redactor(), TEXT)
    deltas = [event["delta"] for event in payloads(out) if event["type"] == "response.output_text.delta"]
    expected = "My password is [redacted], keep it. hun"
    assert ("".join(deltas), final(server, openai, out).output_text) == (expected, expected)


def test_calls_are_judged_whole_and_a_refused_one_is_explained(server: Server, openai: OpenAI) -> None:
    guard = Guard(refuse={"pay": "Paying needs approval."})
    found = final(server, openai, filtered(codec, guard, CALLS))
    assert [(item.id, item.name, item.arguments) for item in guard.calls] == [
        ("a", "read", {"id": 1}),
        ("b", "pay", {"to": "x"}),
        ("c", "read", {}),
    ]
    assert [item.type for item in found.output] == ["message", "function_call", "message", "function_call"]
    assert found.output_text == "Let me.Paying needs approval."


def test_nothing_of_a_refused_call_leaves() -> None:
    out = filtered(codec, Guard(refuse={"pay": "No."}), CALLS)
    assert b'"pay"' not in out
    assert b'\\"to\\"' not in out


def test_a_shell_at_the_client_is_a_call(server: Server, openai: OpenAI) -> None:
    guard = Guard(refuse={"shell": "No shell."})
    assert final(server, openai, filtered(codec, guard, SHELLS)).output_text == "No shell."
    assert guard.calls[0].arguments == {"action": {"commands": ["ls"]}}


def test_an_item_that_was_never_streamed_is_judged_in_the_final_response(server: Server, openai: OpenAI) -> None:
    stream = whole(items=[said(SECRET), PAY])
    guard = Redactor(refuse={"pay": "No."})
    out = filtered(codec, guard, stream)
    assert SECRET.encode() not in out
    assert final(server, openai, out).output_text == "[redacted]No."


def test_a_call_and_its_result_with_the_same_call_id_stay_apart() -> None:
    result = {"type": "function_call_output", "id": "o1", "call_id": "a", "output": SECRET}
    out = payloads(filtered(codec, Guard(), whole(use(0, READ, "{}"), items=[READ, result])))
    assert [item["type"] for item in out[-1]["response"]["output"]] == ["function_call", "function_call_output"]
    guard = Guard(opaque=False)
    assert SECRET.encode() not in filtered(codec, guard, whole(use(0, READ, "{}"), items=[READ, result]))
    assert guard.asked == [("function_call_output", False)]


def test_a_text_that_comes_only_as_a_whole_is_judged_all_the_same() -> None:
    events = [event for event in text(0, said(SECRET)) if not event["type"].startswith("response.content_part")]
    out = filtered(codec, Redactor(), whole(events, items=[said(SECRET)]))
    assert SECRET.encode() not in out
    assert out.count(b"[redacted]") == 3


def test_the_filter_knows_usage_id_and_end() -> None:
    filter_ = codec.filter(Guard())
    filter_.feed(TEXT)
    filter_.finish()
    assert (filter_.usage.input, filter_.usage.output, filter_.reply_id, filter_.finished) == (3, 4, "resp_1", True)


def test_what_the_provider_ran_by_itself_is_asked_about() -> None:
    guard = Guard(opaque=False)
    assert b"unscanned_content" in filtered(codec, guard, HOSTED)
    assert guard.asked == [("web_search_call", False)]


class Breaks(Guard):
    def text(self, channel: str, delta: str) -> str:
        raise Denied("A secret was about to leave.", code="secret")


@pytest.mark.parametrize(
    ("guard", "stream", "code"),
    [
        (Guard(), TEXT[: len(TEXT) // 2], "upstream_incomplete"),
        (Guard(), b"", "upstream_incomplete"),
        (Breaks(), TEXT, "secret"),
        (Guard(opaque=False), whole([{"type": "response.hologram"}], items=[]), "unscanned_content"),
        (Guard(), numbered({"type": "x\ny"}), "upstream_failed"),
        (Guard(), whole([*text(0, said("a"), "a"), *text(0, said("b"), "b")], items=[]), "upstream_failed"),
        (Guard(), numbered({"type": "error", "code": "x", "message": "internal detail", "param": None}), "upstream_failed"),
    ],
)  # fmt: skip
def test_a_stream_that_ends_badly_is_never_a_success(
    server: Server, openai: OpenAI, guard: Any, stream: bytes, code: str
) -> None:
    filter_ = codec.filter(guard)
    out = filter_.feed(stream) + filter_.finish()
    assert (filter_.finished, filter_.error.code if filter_.error else "") == (False, code)
    assert b"internal detail" not in out
    with pytest.raises(sdk.APIError) as caught:
        final(server, openai, out)
    assert caught.value.code == code


@pytest.mark.parametrize("end", ["incomplete", "failed"])
def test_other_ends_are_ends_too(end: str) -> None:
    filter_ = codec.filter(Guard())
    out = filter_.feed(whole(text(0, said("a"), "a"), items=[said("a")], end=end)) + filter_.finish()
    assert filter_.finished
    assert payloads(out)[-1]["type"] == f"response.{end}"


def test_a_call_may_be_made_with_the_guards_arguments(server: Server, openai: OpenAI) -> None:
    """A tenant filter that the guard writes into the arguments is what the client runs."""
    out = filtered(codec, Guard(refuse={"pay": {"to": "y"}}), CALLS)
    found = final(server, openai, out)
    assert [item.arguments for item in found.output if item.type == "function_call"] == [
        '{"id": 1}',
        '{"to":"y"}',
        "{}",
    ]
    assert b'\\"x\\"' not in out
