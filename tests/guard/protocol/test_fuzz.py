# SPDX-License-Identifier: Apache-2.0
"""Documents and streams that are wrong in any way raise GuardErrors only, and leave nothing unseen."""

from __future__ import annotations

import copy
import random
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bastide.errors import GuardError
from bastide.guard.events import Opaque, Text, ToolCall, ToolResult
from bastide.guard.protocol import CODECS, sse, wire
from tests.guard.protocol import (
    test_anthropic,
    test_anthropic_stream,
    test_openai_chat,
    test_openai_chat_stream,
    test_openai_responses,
    test_openai_responses_stream,
)
from tests.guard.protocol.support import SECRET, Guard, Redactor, filtered

CHAT, RESPONSES = test_openai_chat, test_openai_responses
USER = {"role": "user", "content": [{"type": "text", "text": "see"}, {"type": "image_url", "image_url": {"url": "x"}}]}
REQUESTS: list[tuple[str, dict[str, Any]]] = [
    (
        "openai.chat",
        {
            "model": "m",
            "messages": [
                USER,
                {"role": "assistant", "content": None, "tool_calls": [CHAT.call("c", "f", '{"a":1}')]},
                {"role": "tool", "tool_call_id": "c", "content": [{"type": "text", "text": "t"}]},
            ],
            "tools": [{"type": "function", "function": {"name": "f", "description": "d", "parameters": {}}}],
            "prediction": {"type": "content", "content": "p"},
        },
    ),
    (
        "openai.responses",
        {
            "model": "m",
            "instructions": "i",
            "input": [
                {"role": "user", "content": [{"type": "input_text", "text": "t"}]},
                RESPONSES.said("a", annotations=[{"type": "url_citation", "url": "u"}]),
                RESPONSES.call("c", "f", '{"a":1}', namespace="n"),
                {"type": "function_call_output", "call_id": "c", "output": "o"},
                {"type": "reasoning", "id": "r", "summary": [{"type": "summary_text", "text": "s"}]},
                {"type": "shell_call", "call_id": "s", "action": {"commands": ["ls"]}},
                {"type": "mcp_call", "id": "x", "name": "f", "arguments": "{}", "output": "o"},
            ],
            "tools": [{"type": "namespace", "name": "n", "tools": [{"type": "function", "name": "f"}]}],
            "prompt": {"id": "p", "variables": {"v": "w"}},
        },
    ),
    (
        "anthropic.messages",
        {
            "model": "m",
            "max_tokens": 5,
            "system": [{"type": "text", "text": "s"}],
            "messages": [
                {
                    "role": "user",
                    "content": [
                        {"type": "document", "title": "t", "source": {"type": "content", "content": "c"}},
                        {"type": "search_result", "title": "t", "source": "s", "content": [{"type": "text", "text": "x"}]},
                    ],
                },
                {"role": "assistant", "content": [{"type": "thinking", "thinking": "h", "signature": "s"}, test_anthropic.use("t", "f", a=1)]},
                {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": [{"type": "text", "text": "r"}]}]},
            ],
            "tools": [{"name": "f", "input_schema": {}}, {"type": "bash_20250124", "name": "bash"}],
        },
    ),
    ("openai.embeddings", {"model": "m", "input": ["a", [1, 2]]}),
]  # fmt: skip
REPLIES: list[tuple[str, dict[str, Any]]] = [
    ("openai.chat", CHAT.completion({"content": "a", "tool_calls": [CHAT.call("c", "f")]}, "tool_calls")),
    ("openai.responses", RESPONSES.response(RESPONSES.said("a"), RESPONSES.call("c", "f"))),
    ("anthropic.messages", test_anthropic.message({"type": "text", "text": "a"}, test_anthropic.use("c", "f"))),
    ("openai.embeddings", {"object": "list", "data": [], "model": "m", "usage": {"prompt_tokens": 1}}),
]
STREAMS: list[tuple[str, bytes]] = [
    *[("openai.chat", stream) for stream in (test_openai_chat_stream.TEXT, test_openai_chat_stream.CALLS)],
    *[
        ("openai.responses", stream)
        for stream in (*test_openai_responses_stream.ALL, test_openai_responses_stream.HOSTED)
    ],
    *[("anthropic.messages", stream) for stream in (*test_anthropic_stream.ALL, test_anthropic_stream.HOSTED)],
]
STRANGE: list[Any] = [
    None,
    True,
    0,
    -1,
    1.5,
    10**12,
    "",
    "x",
    [],
    {},
    [[]],
    [None],
    {"type": "x"},
    {"type": 5},
    [{"a": 1}],
    "\0\n",
]


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """All paths in a document."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *[place for key, child in items for place in places(child, (*path, key))]]


def mutated(document: Any, random_: random.Random) -> Any:
    """The document with one to three places deleted, replaced, doubled or renamed."""
    document = copy.deepcopy(document)
    for _ in range(random_.randint(1, 3)):
        path = random_.choice(places(document))
        if not path:
            continue
        node = document
        for key in path[:-1]:
            node = node[key]
        how = random_.randrange(4)
        if how == 0:
            del node[path[-1]]
        elif how == 1 and isinstance(node, dict):
            node[random_.choice(["strange", "type", "content", "id"])] = node.pop(path[-1])
        elif how == 2 and isinstance(node, list):
            node.append(copy.deepcopy(random_.choice(node)))
        else:
            node[path[-1]] = copy.deepcopy(random_.choice(STRANGE))
    return document


@given(which=st.sampled_from(REQUESTS), seed=st.integers(0, 2**32))
def test_requests_raise_guard_errors_only_and_their_texts_can_be_edited(which: Any, seed: int) -> None:
    codec, document = CODECS[which[0]], mutated(which[1], random.Random(seed))
    try:
        request = codec.request(document)
    except GuardError:
        return
    texts = [part for turn in request.turns for part in turn.parts if isinstance(part, Text)]
    wire.encode(codec.rewrite(document, {text.path: "X" for text in texts}))


@given(which=st.sampled_from(REPLIES), seed=st.integers(0, 2**32))
def test_replies_raise_guard_errors_only_and_can_be_edited(which: Any, seed: int) -> None:
    codec, document = CODECS[which[0]], mutated(which[1], random.Random(seed))
    try:
        reply = codec.reply(document)
    except GuardError:
        return
    texts = [part for part in reply.parts if isinstance(part, Text)]
    calls = [part for part in reply.parts if isinstance(part, ToolCall)]
    edited = codec.rewrite(document, {text.path: "X" for text in texts})
    refused = codec.refuse_calls(edited, {call.id: "No." for call in calls})
    assert not [part for part in codec.reply(refused).parts if isinstance(part, ToolCall)]


def decoded(stream: bytes) -> list[tuple[bytes, Any]]:
    return [(name, data if data == b"[DONE]" else wire.decode(data)) for name, data in sse.Parser().feed(stream)]


def encoded(events: list[tuple[bytes, Any]]) -> bytes:
    return b"".join(
        [sse.frame(data if isinstance(data, bytes) else wire.encode(data), name.decode()) for name, data in events]
    )


@given(which=st.sampled_from(STREAMS), seed=st.integers(0, 2**32))
def test_streams_never_raise_and_never_let_a_secret_or_a_refused_call_through(which: Any, seed: int) -> None:
    """However the provider's events are mutated: a redacted text and a refused call appear nowhere in what the client gets."""
    random_ = random.Random(seed)
    events = decoded(which[1])
    for _ in range(random_.randint(1, 3)):
        at, how = random_.randrange(len(events)), random_.randrange(4)
        if how == 0:
            events.insert(random_.randrange(len(events)), events[at])
        elif how == 1:
            del events[at]
        else:
            events[at] = (events[at][0], mutated(events[at][1], random_) if isinstance(events[at][1], dict) else b"{}")
        if not events:
            return
    guard = Redactor(refuse={"pay": "No.", "shell": "No."}, opaque=False)
    filter_ = CODECS[which[0]].filter(guard)
    out = filter_.feed(encoded(events)) + filter_.finish()
    assert SECRET.encode() not in out
    for call in guard.calls:
        if call.name in guard.refuse:
            assert f'"name":"{call.name}"'.encode() not in out
    assert filter_.finished or filter_.error is not None


@given(which=st.sampled_from(STREAMS), at=st.floats(0, 1), junk=st.binary(max_size=30))
def test_broken_bytes_never_raise(which: Any, at: float, junk: bytes) -> None:
    cut = int(len(which[1]) * at)
    filtered(CODECS[which[0]], Guard(), which[1][:cut] + junk + which[1][cut:], 97)


@pytest.mark.slow
def test_a_long_run_of_mutations() -> None:
    random_ = random.Random(7)
    for _ in range(20_000):
        name, document = random_.choice(REQUESTS)
        with suppress(GuardError):
            CODECS[name].request(mutated(document, random_))


@pytest.mark.parametrize(("name", "document"), REQUESTS)
def test_no_string_of_a_turn_is_overlooked(name: str, document: dict[str, Any]) -> None:
    """A word put into any place of a conversation where the model would read it is seen as text, or its place is opaque."""
    codec = CODECS[name]
    for key in ("messages", "input", "system", "instructions", "prediction"):
        for path in places(document.get(key), (key,)):
            if path[-1] in (
                "text",
                "content",
                "arguments",
                "refusal",
                "thinking",
                "title",
                "context",
                "output",
                "data",
            ):
                try:
                    request = codec.request(wire.rewrite(document, {path: "needle"}))
                except GuardError:
                    continue
                assert "needle" in seen(request.turns), path


def seen(turns: Any) -> str:
    found: list[str] = []
    stack: list[Any] = [part for turn in turns for part in turn.parts]
    while stack:
        part = stack.pop()
        if isinstance(part, Text):
            found.append(part.text)
        elif isinstance(part, ToolCall):
            found.append(part.raw)
        elif isinstance(part, ToolResult):
            stack += part.content
        elif isinstance(part, Opaque):
            found.append("" if part.known else "needle")
    return " ".join(found)
