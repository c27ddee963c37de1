# SPDX-License-Identifier: Apache-2.0
"""Requests and answers made to confuse: whatever comes is answered in its protocol and logged as what it was."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.guard.gateway.inside import Inside
from tests.guard.gateway.running import engine
from tests.guard.gateway.talk import CHAT, Got
from tests.guard.gateway.test_models import completion

GUARD = Inside(engine("http://127.0.0.1:9"))
TOOL = {"type": "object", "properties": {"order_id": {"type": "string"}}}
RESPONSE = {
    "id": "resp_1", "object": "response", "created_at": 1, "status": "completed", "model": "gpt", "error": None,
    "output": [
        {"type": "message", "id": "i", "role": "assistant", "status": "completed",
         "content": [{"type": "output_text", "text": "Hello.", "annotations": []}]},
        {"type": "function_call", "id": "f", "call_id": "c", "name": "get_order", "status": "completed", "arguments": '{"order_id": "1"}'},
    ],
    "usage": {"input_tokens": 5, "output_tokens": 2, "total_tokens": 7},
}  # fmt: skip
MESSAGE = {
    "id": "msg_1", "type": "message", "role": "assistant", "model": "claude", "stop_reason": "tool_use", "stop_sequence": None,
    "content": [{"type": "text", "text": "Hello."}, {"type": "tool_use", "id": "t", "name": "get_order", "input": {"order_id": "1"}}],
    "usage": {"input_tokens": 5, "output_tokens": 2},
}  # fmt: skip
VECTORS = {"object": "list", "model": "embed", "data": [{"object": "embedding", "index": 0, "embedding": [0.5]}],
           "usage": {"prompt_tokens": 1, "total_tokens": 1}}  # fmt: skip
CASES: dict[str, tuple[str, Any, Any]] = {
    "chat": (
        CHAT,
        {
            "model": "gpt",
            "messages": [
                {"role": "system", "content": "You help."},
                {"role": "user", "content": [{"type": "text", "text": "Where is order 1?"}]},
                {"role": "assistant", "content": None, "tool_calls": [
                    {"id": "c", "type": "function", "function": {"name": "get_order", "arguments": '{"order_id": "1"}'}}]},
                {"role": "tool", "tool_call_id": "c", "content": '{"state": "sent"}'},
            ],
            "tools": [{"type": "function", "function": {"name": "get_order", "description": "An order.", "parameters": TOOL}}],
            "max_tokens": 10, "n": 1, "stream": False, "stop": ["x"], "metadata": {"a": "b"},
        },
        completion("Hello.", [("get_order", {"order_id": "1"})]),
    ),
    "responses": (
        "/v1/responses",
        {
            "model": "gpt", "instructions": "You help.", "store": False,
            "input": [
                {"role": "user", "content": [{"type": "input_text", "text": "Where is order 1?"}]},
                {"type": "function_call", "call_id": "c", "name": "get_order", "arguments": '{"order_id": "1"}'},
                {"type": "function_call_output", "call_id": "c", "output": "sent"},
            ],
            "tools": [{"type": "function", "name": "get_order", "parameters": TOOL}],
        },
        RESPONSE,
    ),
    "messages": (
        "/v1/messages",
        {
            "model": "claude", "max_tokens": 10, "system": [{"type": "text", "text": "You help."}],
            "messages": [
                {"role": "user", "content": "Where is order 1?"},
                {"role": "assistant", "content": [{"type": "tool_use", "id": "t", "name": "get_order", "input": {"order_id": "1"}}]},
                {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": [{"type": "text", "text": "sent"}]}]},
            ],
            "tools": [{"name": "get_order", "description": "An order.", "input_schema": TOOL}],
        },
        MESSAGE,
    ),
    "embeddings": ("/v1/embeddings", {"model": "embed", "input": ["Hi", "there"], "encoding_format": "float"}, VECTORS),
}  # fmt: skip
STRANGE = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=20),
    # Made anew each time: what is put into a document may itself be changed by the next mutation.
    st.builds(list), st.builds(dict), st.builds(lambda: [[[]]]),
    st.sampled_from(["\ud800", "\x00", "user", "tool", "system", "gpt", "refund", "get_order", "true", "{", "[DONE]", 10**40, -1]),
    st.recursive(st.none() | st.text(max_size=5), lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
                 max_leaves=6),
)  # fmt: skip


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The paths of everything in a document."""
    yield path
    if isinstance(value, dict | list):
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield from places(inner, (*path, key))


@st.composite
def mutated(draw: st.DrawFn, document: Any) -> Any:
    """The document with up to three strange things in it."""
    made = copy.deepcopy(document)
    for _ in range(draw(st.integers(1, 3))):
        path = draw(st.sampled_from(list(places(made))))
        if not path:
            continue
        holder = made
        for key in path[:-1]:
            holder = holder[key]
        match draw(st.sampled_from(["replace", "delete", "add", "twice"])):
            case "replace":
                holder[path[-1]] = draw(STRANGE)
            case "delete":
                del holder[path[-1]]
            case "twice" if isinstance(holder, list):
                holder.append(copy.deepcopy(holder[path[-1]]))
            case _ if isinstance(holder, dict):
                holder[draw(st.text(max_size=9) | st.sampled_from(["stream", "tool_calls", "content", "type"]))] = draw(
                    STRANGE
                )
    return made


@st.composite
def bytes_of(draw: st.DrawFn, document: Any) -> bytes:
    """The document as bytes, sometimes with a few of them changed."""
    data = bytearray(json.dumps(draw(mutated(document))).encode())
    for _ in range(draw(st.integers(0, 2))):
        at = draw(st.integers(0, len(data)))
        data[at : at + draw(st.integers(0, 3))] = draw(st.binary(max_size=3))
    return bytes(data)


def well_formed(got: Got, name: str, stream: bool = False) -> None:
    """An answer of the protocol, and one entry in the log that says the same."""
    [entry] = GUARD.entries("request")
    if got.status == 200:
        assert entry["outcome"] == "allowed" or (stream and b'"error"' in got.body), entry
        return
    document = json.loads(got.body)
    error = document["error"]
    assert document.get("type") == ("error" if name == "messages" else None)
    assert error["message"]
    assert entry["error"]["code"] != "internal_error", entry
    assert entry["outcome"] in ("blocked", "failed")
    assert got.status in (400, 401, 403, 404, 409, 413, 422, 429, 502, 503)


@pytest.mark.parametrize("name", list(CASES))
def test_the_case_itself_passes(name: str) -> None:
    """What is mutated below is a good request with a good answer."""
    path, request, answer = CASES[name]
    got = GUARD.ask(request, answer, path)
    assert got.status == 200, got.body
    well_formed(got, name)


@pytest.mark.parametrize("name", list(CASES))
@settings(max_examples=60)
@given(data=st.data())
def test_any_request_is_answered_in_its_protocol(name: str, data: st.DataObject) -> None:
    """Whatever a client sends: never a defect, never unlogged, and what was refused never reached the provider."""
    path, request, answer = CASES[name]
    GUARD.upstreams.asked.clear()
    body = data.draw(bytes_of(request))
    got = GUARD.ask(body, answer, path)
    if got.status in (400, 404, 413):
        assert GUARD.upstreams.asked == []
    well_formed(got, name, stream=b'"stream": true' in body)


@pytest.mark.parametrize("name", list(CASES))
@settings(max_examples=60)
@given(data=st.data())
def test_any_answer_is_judged_or_refused(name: str, data: st.DataObject) -> None:
    """Whatever a provider answers: never a defect, never unlogged."""
    path, request, answer = CASES[name]
    well_formed(GUARD.ask(request, data.draw(bytes_of(answer)), path), name)


def frames(name: str) -> list[Any]:
    """The events of a good stream."""
    if name == "chat":
        head = {"id": "x", "object": "chat.completion.chunk", "created": 1, "model": "gpt"}
        call = {
            "index": 0,
            "id": "c",
            "type": "function",
            "function": {"name": "get_order", "arguments": '{"order_id": "1"}'},
        }
        deltas = [({"role": "assistant", "content": "Hi "}, None), ({"tool_calls": [call]}, None), ({}, "tool_calls")]
        return [{**head, "choices": [{"index": 0, "delta": d, "finish_reason": f}]} for d, f in deltas]
    if name == "responses":
        item = RESPONSE["output"][1]  # type: ignore[index]
        return [
            {
                "type": "response.created",
                "sequence_number": 0,
                "response": {**RESPONSE, "output": [], "status": "in_progress"},
            },
            {
                "type": "response.output_item.added",
                "sequence_number": 1,
                "output_index": 0,
                "item": {**item, "arguments": ""},
            },
            {
                "type": "response.function_call_arguments.delta",
                "sequence_number": 2,
                "output_index": 0,
                "item_id": "f",
                "delta": "{}",
            },
            {"type": "response.output_item.done", "sequence_number": 3, "output_index": 0, "item": item},
            {"type": "response.completed", "sequence_number": 4, "response": {**RESPONSE, "output": [item]}},
        ]
    use = MESSAGE["content"][1]  # type: ignore[index]
    return [
        {"type": "message_start", "message": {**MESSAGE, "content": [], "stop_reason": None}},
        {"type": "content_block_start", "index": 0, "content_block": {**use, "input": {}}},
        {
            "type": "content_block_delta",
            "index": 0,
            "delta": {"type": "input_json_delta", "partial_json": '{"order_id": "1"}'},
        },
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": {"stop_reason": "tool_use"}, "usage": {"output_tokens": 2}},
        {"type": "message_stop"},
    ]


@pytest.mark.parametrize("name", ["chat", "responses", "messages"])
@settings(max_examples=60)
@given(data=st.data())
def test_any_stream_is_judged_or_ended(name: str, data: st.DataObject) -> None:
    """Whatever a provider streams: an honest end, one entry, and no success for what was none."""
    path, request, _ = CASES[name]
    events = data.draw(mutated(frames(name)))
    stream = b"".join(b"data: " + json.dumps(e).encode() + b"\n\n" for e in events)
    stream += data.draw(st.sampled_from([b"data: [DONE]\n\n", b"", b"data: {", b"\xff\n\n"]))
    got = GUARD.ask({**request, "stream": True}, stream, path)
    well_formed(got, name, stream=True)
