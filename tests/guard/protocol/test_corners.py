# SPDX-License-Identifier: Apache-2.0
"""Old, rare and vendors' own forms: they are understood or refused, never overlooked."""

from __future__ import annotations

from typing import Any

import pytest
from anthropic import Anthropic
from hypothesis import given
from hypothesis import strategies as st
from openai import OpenAI

from bastide.errors import Denied, GuardError, Malformed
from bastide.guard.events import Opaque, Role, Text, ToolCall, ToolResult
from bastide.guard.protocol import anthropic_messages, openai_chat, openai_responses
from bastide.guard.protocol import stream as streams
from tests.guard.protocol import test_anthropic_stream as messages
from tests.guard.protocol import test_openai_chat_stream as chat
from tests.guard.protocol import test_openai_responses_stream as responses
from tests.guard.protocol.support import SECRET, Guard, Redactor, Server, filtered, payloads, stream_of
from tests.guard.protocol.test_openai_chat import ASK, completion
from tests.guard.protocol.test_openai_responses import response, said

OLD = {"name": "pay", "arguments": '{"to":"x"}'}


def test_the_old_function_call_is_a_call_and_its_answer_a_result() -> None:
    request = openai_chat.request(
        {
            "model": "m",
            "messages": [
                {"role": "assistant", "content": None, "function_call": OLD},
                {"role": "function", "name": "pay", "content": "done"},
            ],
            "functions": [{"name": "pay", "parameters": {}}],
        }
    )
    path = ("messages", 0, "function_call", "arguments")
    assert request.turns[0].parts == (ToolCall("", "pay", {"to": "x"}, OLD["arguments"], path),)
    at = ("messages", 1)
    assert request.turns[1].role is Role.TOOL
    assert request.turns[1].parts == (ToolResult("", (Text("done", (*at, "content")),), "pay", path=at),)
    assert [tool.name for tool in request.tools] == ["pay"]


def test_an_old_function_call_can_be_refused_whole_and_streamed(server: Server, openai: OpenAI) -> None:
    document = completion({"content": None, "function_call": OLD}, "function_call")
    (call,) = openai_chat.reply(document).parts
    assert isinstance(call, ToolCall)
    refused = openai_chat.refuse_calls(document, {call.id: "No."})["choices"][0]
    assert (refused["message"]["content"], refused["message"]["function_call"], refused["finish_reason"]) == (
        "No.",
        None,
        "stop",
    )
    pieces = [{"name": "pay", "arguments": ""}, {"arguments": '{"to":'}, {"arguments": '"x"}'}]
    deltas = [chat.chunk({"function_call": piece}) for piece in pieces]
    stream = stream_of(*deltas, chat.chunk({}, "function_call"), done=True)
    assert chat.final(server, openai, stream) == chat.final(server, openai, filtered(openai_chat, Guard(), stream))
    assert chat.final(server, openai, filtered(openai_chat, Guard({"pay": "No."}), stream)).choices[0].message.content == "No."  # fmt: skip


@pytest.mark.parametrize(
    ("decision", "seen"), [(None, "free text"), ({"input": "other"}, "other"), ({"x": 1}, None), ("No.", None)]
)
def test_a_tool_with_free_text_is_judged_by_it(decision: Any, seen: str | None) -> None:
    call = {"index": 0, "id": "c", "type": "custom", "custom": {"name": "sql", "input": "free text"}}
    events = [chat.chunk({"tool_calls": [call]}), chat.chunk({}, "tool_calls")]
    guard = Guard({"sql": decision} if decision else {})
    out = payloads(filtered(openai_chat, guard, stream_of(*events, done=True)))
    calls = [c for e in out for choice in e.get("choices", ()) for c in choice["delta"].get("tool_calls", ())]
    assert [item["custom"]["input"] for item in calls] == ([seen] if seen else [])
    assert guard.calls[0].arguments == {"input": "free text"}
    item = {"type": "custom_tool_call", "id": "i", "call_id": "c", "name": "sql", "input": "free text"}
    events = [{"type": f"response.output_item.{verb}", "output_index": 0, "item": item} for verb in ("added", "done")]
    out = payloads(filtered(openai_responses, guard, responses.whole(events, items=[item])))
    assert [e["input"] for e in out if e["type"] == "response.custom_tool_call_input.done"] == ([seen] if seen else [])


def test_the_guards_free_text_is_written_back_as_text() -> None:
    tool = {"id": "c", "type": "custom", "custom": {"name": "sql", "input": "a"}}
    item = {"type": "custom_tool_call", "id": "i", "call_id": "c", "name": "sql", "input": "a"}
    for codec, document in ((openai_chat, completion({"tool_calls": [tool]})), (openai_responses, response(item))):
        (call,) = codec.reply(document).parts
        assert isinstance(call, ToolCall)
        (edited,) = codec.reply(codec.rewrite(document, {call.path: {"input": "b"}})).parts
        assert isinstance(edited, ToolCall)
        assert edited.raw == "b"


def test_calls_without_an_index_are_told_apart_by_their_ids() -> None:
    pieces = [
        {"id": "a", "function": {"name": "read", "arguments": "{"}},
        {"function": {"arguments": "}"}},
        {"id": "b", "function": {"name": "pay", "arguments": "{}"}},
    ]
    guard = Guard()
    deltas = [chat.chunk({"tool_calls": [piece]}) for piece in pieces]
    filtered(openai_chat, guard, stream_of(*deltas, chat.chunk({}, "tool_calls"), done=True))
    assert [(call.id, call.name, call.raw) for call in guard.calls] == [("a", "read", "{}"), ("b", "pay", "{}")]


def test_a_call_that_comes_with_the_end_and_the_usage_in_one_chunk(server: Server, openai: OpenAI) -> None:
    call = {"index": 0, "id": "a", "type": "function", "function": {"name": "read", "arguments": "{}"}}
    usage = {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}
    delta = {"role": "assistant", "content": "x", "tool_calls": [call]}
    stream = stream_of(chat.chunk(delta, "tool_calls", usage=usage), done=True)
    out = filtered(openai_chat, Guard(), stream)
    assert chat.final(server, openai, out).to_dict(exclude_none=True) == chat.final(server, openai, stream).to_dict(exclude_none=True)  # fmt: skip
    assert out.count(b'"prompt_tokens":1') == 1


def test_a_field_of_a_call_that_nobody_reads_is_reported() -> None:
    call = {"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}", "note": "x"}, "aside": "y"}
    found = [Opaque("tool_call.aside", False), Opaque("tool_call.function.note", False)]
    request = openai_chat.request({"model": "m", "messages": [{"role": "assistant", "tool_calls": [call]}]})
    assert [Opaque(part.type, part.known) for part in request.turns[0].parts if isinstance(part, Opaque)] == found
    reply = openai_chat.reply(completion({"content": None, "tool_calls": [call]}))
    assert [Opaque(part.type, part.known) for part in reply.parts if isinstance(part, Opaque)] == found


def test_a_vendors_own_field_of_a_call_is_asked_about_and_kept() -> None:
    call = {"index": 0, "id": "a", "function": {"name": "read", "arguments": "{}"}, "extra_content": {"signature": "s"}}
    stream = stream_of(chat.chunk({"tool_calls": [call]}), chat.chunk({}, "tool_calls"), done=True)
    assert b'"extra_content":{"signature":"s"}' in filtered(openai_chat, Guard(), stream)
    assert b"unscanned_content" in filtered(openai_chat, Guard(opaque=False), stream)


@pytest.mark.parametrize("codec", [openai_chat, openai_responses, anthropic_messages])
def test_stream_is_a_boolean(codec: Any) -> None:
    with pytest.raises(Malformed, match=r"^stream must be true or false"):
        codec.request({**ASK, "input": "x", "stream": 1})


def test_what_a_hosted_tool_sends_passes_only_when_the_guard_lets_it(server: Server, anthropic: Anthropic) -> None:
    start = {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {}}
    block = messages.block(0, start, {"type": "input_json_delta", "partial_json": '{"q":"x"}'})
    stream = messages.whole(messages.START, *block, *messages.end())
    out = filtered(anthropic_messages, Guard(), stream)
    assert messages.final(server, anthropic, out).content[0].input == {"q": "x"}
    assert b"web_search" not in filtered(anthropic_messages, Guard(opaque=False), stream)


@pytest.mark.parametrize(
    "events",
    [
        messages.block(0, {"type": "text", "text": ""}, {"type": "input_json_delta", "partial_json": "{}"}),
        messages.block(0, {"type": "tool_use", "id": "a", "name": "f", "input": {}}, {"type": "text_delta", "text": "x"}),
        messages.block(0, {"type": "tool_use", "id": "a", "name": "f", "input": {"a": 1}}, {"type": "input_json_delta", "partial_json": "{}"}),
        [messages.START],
    ],
)  # fmt: skip
def test_events_that_contradict_each_other_end_the_stream(events: Any) -> None:
    out = filtered(anthropic_messages, Guard(), messages.whole(messages.START, *events, *messages.end()))
    assert payloads(out)[-1]["error"]["code"] == "upstream_failed"


def test_a_call_that_never_ends_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("anthropic_stream", "openai_chat_stream"):
        monkeypatch.setattr(f"bastide.guard.protocol.{module}.MAX_HELD", 50)
    monkeypatch.setattr("bastide.guard.protocol.openai_responses_stream.MAX_HELD", 50)
    huge = ["x" * 10] * 9
    for codec, stream in (
        (anthropic_messages, messages.whole(messages.START, *messages.use(0, "f", *huge))),
        (openai_chat, stream_of(chat.part(0, "", id="a", name="f"), *[chat.part(0, piece) for piece in huge])),
        (openai_responses, responses.whole(responses.text(0, said("".join(huge)), *huge), items=[])),
    ):
        assert payloads(filtered(codec, Guard(), stream))[-1]["error"]["code"] == "upstream_failed"


def test_a_hosted_shell_is_no_call_of_the_clients() -> None:
    environment = {"environment": {"type": "container_reference", "container_id": "c"}}
    events = [e for e in payloads(responses.SHELLS) if e["type"] != "response.created"]
    for event in events:
        for item in (event.get("item"), *event.get("response", {}).get("output", ())):
            if item is not None:
                item.update(environment)
    guard = Guard()
    out = filtered(openai_responses, guard, stream_of(*events, named=True))
    assert (guard.calls, guard.asked[0]) == ([], ("shell_call", False))
    assert b"response.shell_call_command.delta" in out


def test_arguments_for_no_call_end_the_stream() -> None:
    event = {"type": "response.function_call_arguments.delta", "output_index": 0, "item_id": "x", "delta": "{}"}
    assert b"upstream_failed" in filtered(openai_responses, Guard(), responses.whole([event], items=[]))


def test_the_end_that_other_servers_add_passes() -> None:
    assert filtered(openai_responses, Guard(), responses.TEXT + b"data: [DONE]\n\n").endswith(b"data: [DONE]\n\n")
    assert filtered(anthropic_messages, Guard(), messages.TEXT + b"data: [DONE]\n\n") == filtered(
        anthropic_messages, Guard(), messages.TEXT
    )


def test_a_providers_account_of_a_failure_is_judged_as_text() -> None:
    failed = {"type": "response.failed", "response": response(error={"code": "x", "message": f"in {SECRET}"})}
    out = filtered(openai_responses, Redactor(), responses.numbered(failed))
    assert SECRET.encode() not in out
    assert b"in [redacted]" in out


def test_a_part_that_begins_with_text_is_judged_from_its_beginning() -> None:
    events = responses.text(0, said(f"a {SECRET}"), "ter2")
    events[1]["part"] = {"type": "output_text", "text": "a hun", "annotations": []}
    out = filtered(openai_responses, Redactor(), responses.whole(events, items=[said(f"a {SECRET}")]))
    assert SECRET.encode() not in out
    assert payloads(out)[-1]["response"]["output"][0]["content"][0]["text"] == "a [redacted]"


def test_a_refusal_in_the_last_piece_of_a_stream_is_told_as_such() -> None:
    class Late(Guard):
        def text_end(self, channel: str) -> str:
            raise Denied("too late", code="secret")

    filter_ = openai_chat.filter(Late())
    filter_.feed(stream_of(chat.chunk({"content": "x"})))
    out = filter_.feed(stream_of(chat.chunk({}, "stop"))[:-2]) + filter_.finish()
    assert payloads(out)[-1]["error"]["code"] == "secret"


def test_free_text_from_anything_else_is_the_guards_own_mistake() -> None:
    with pytest.raises(GuardError):
        streams.arguments_text({"other": 1}, free=True)


def test_tool_examples_are_reported() -> None:
    tool = {"name": "f", "input_schema": {}, "input_examples": [{"a": 1}]}
    request = anthropic_messages.request({**ASK, "tools": [tool]})
    assert request.opaque == (Opaque("tool.input_examples", True, ("tools", 0, "input_examples")),)


def test_what_known_vendors_add_is_no_surprise() -> None:
    """Verdicts of filters, names and numbers, of Azure, OpenRouter, Groq, llama.cpp and Bedrock."""
    guard = Guard(opaque=False)
    first = chat.chunk(prompt_filter_results=[{"prompt_index": 0}], provider="p", timings={"n": 1}, kv_transfer=None)
    end = chat.chunk({}, "stop")
    end["choices"][0]["content_filter_results"] = {"hate": {"filtered": False}}
    filtered(openai_chat, guard, stream_of(first, chat.chunk({"content": "x"}), end, done=True))
    stop = {"type": "message_stop", "amazon-bedrock-invocationMetrics": {"inputTokenCount": 1}}
    filtered(anthropic_messages, guard, messages.whole(messages.START, messages.end()[0], stop))
    events = [{"type": "keepalive"}]
    filtered(openai_responses, guard, responses.whole(events, items=[]))
    assert guard.asked == []


class Holder(Guard):
    """Holds back the last characters of every channel until it ends."""

    def __init__(self, keep: int) -> None:
        super().__init__()
        self.keep = keep
        self.held: dict[str, str] = {}

    def text(self, channel: str, delta: str) -> str:
        super().text(channel, delta)
        text = self.held.get(channel, "") + delta
        cut = max(0, len(text) - self.keep)
        self.held[channel] = text[cut:]
        return text[:cut]

    def text_end(self, channel: str) -> str:
        super().text_end(channel)
        return self.held.pop(channel)


def spoken(events: list[Any]) -> dict[str, str]:
    """The text deltas of a stream, joined, by the guard's names of the channels."""
    found: dict[str, str] = {}

    def add(channel: str, text: str | None) -> None:
        if text:
            found[channel] = found.get(channel, "") + text

    for event in events:
        for choice in event.get("choices", ()):
            add(f"text:{choice['index']}", choice["delta"].get("content"))
        if event.get("type") == "content_block_delta" and event["delta"]["type"] in ("text_delta", "thinking_delta"):
            kind = "text" if event["delta"]["type"] == "text_delta" else "reasoning"
            add(f"{kind}:{event['index']}", event["delta"].get("text") or event["delta"].get("thinking"))
        if event.get("type") == "response.output_text.delta":
            add(f"text:{event['output_index']}.{event['content_index']}", event["delta"])
        if event.get("type") == "response.reasoning_summary_text.delta":
            add(f"reasoning:{event['output_index']}.s{event['summary_index']}", event["delta"])
    return found


@pytest.mark.parametrize(
    ("codec", "stream"),
    [
        *[(openai_chat, stream) for stream in (chat.TEXT, chat.TWO, chat.CALLS)],
        *[(anthropic_messages, stream) for stream in messages.ALL],
        *[(openai_responses, stream) for stream in responses.ALL],
    ],
)
@given(keep=st.integers(0, 40))
def test_whatever_is_held_back_all_text_arrives_in_its_channel(codec: Any, stream: bytes, keep: int) -> None:
    guard = Holder(keep)
    out = payloads(filtered(codec, guard, stream))
    said_ = {channel: text for channel, text in guard.texts.items() if channel.startswith(("text", "reasoning"))}
    assert spoken(out) == spoken(payloads(stream)) == said_


@pytest.mark.parametrize(
    ("codec", "document"),
    [
        (
            openai_chat,
            {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {}, "text": "x"}]}]},
        ),
        (openai_responses, {"input": [{"role": "user", "content": [{"type": "input_image", "text": "x"}]}]}),
        (openai_responses, {"input": [{"role": "user", "content": "a", "output": "x"}]}),
        (
            openai_responses,
            {"input": [{"type": "function_call_output", "call_id": "c", "output": "a", "content": "x"}]},
        ),
        (
            anthropic_messages,
            {"messages": [{"role": "user", "content": [{"type": "image", "source": {}, "text": "x"}]}]},
        ),
        (
            anthropic_messages,
            {"messages": [{"role": "user", "content": [{"type": "text", "text": "a", "thinking": "x"}]}]},
        ),
    ],
)
def test_a_text_in_another_types_field_is_not_overlooked(codec: Any, document: dict[str, Any]) -> None:
    (turn,) = codec.request({"model": "m", **document}).turns
    assert [part for part in turn.parts if isinstance(part, Opaque) and not part.known]
