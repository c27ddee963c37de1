# SPDX-License-Identifier: Apache-2.0
"""The mediator alone: the stateless revision's questions, edits of arguments and results, and what nobody foresaw."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bastide.errors import GuardError, Malformed
from bastide.guard.events import Opaque, Text, ToolCall
from bastide.guard.mcp import content
from bastide.guard.mcp.book import Book
from bastide.guard.mcp.headers import check_stateless, encoded, stateless_headers
from bastide.guard.mcp.headers import decoded as decode_header
from bastide.guard.mcp.mediator import Mediator, Step
from bastide.guard.mcp.messages import CAPABILITIES_META, STATELESS, VERSION_META, Message, classify, parse
from bastide.guard.mcp.party import Party
from bastide.guard.mcp.pins import pin
from bastide.guard.settings import McpServer
from tests.guard.mcp.fakes import ALICE, CRM, FakeGate
from tests.guard.mcp.test_messages import JSON, MEMBERS

META = {VERSION_META: STATELESS, CAPABILITIES_META: {"elicitation": {}, "sampling": {}}}


def mediator(version: str = STATELESS, server: McpServer = CRM, gate: FakeGate | None = None) -> Mediator:
    return Mediator(Party(ALICE, "c", server, gate or FakeGate(), Book()), version)


def request(method: str, params: dict[str, Any], at: Any = 1) -> Message:
    return classify({"jsonrpc": "2.0", "id": at, "method": method, "params": params})


def call(at: Any = 1, **more: Any) -> Message:
    return request("tools/call", {"name": "echo", "arguments": {"to": "a"}, "_meta": META, **more}, at)


def answer(body: Any, at: Any = 1) -> Message:
    return classify({"jsonrpc": "2.0", "id": at, "result": body})


def exchange(made: Mediator, asked: Message, answered: Any) -> tuple[Step, Step]:
    async def go() -> tuple[Step, Step]:
        return await made.to_server(asked), await made.to_client(answer(answered, asked.id))

    return asyncio.run(go())


ELICIT = {
    "resultType": "input_required",
    "requestState": "s",
    "inputRequests": {"q": {"method": "elicitation/create", "params": {"message": "SECRET name?"}}},
}


def test_question_without_leave() -> None:
    """A result that asks for input is refused as long as the settings don't name what it asks for."""
    made = mediator()
    sent, got = exchange(made, call(), ELICIT)
    assert sent.onward is not None
    assert sent.onward.body["_meta"][CAPABILITIES_META] == {}
    assert got.onward is not None
    assert got.onward.body["isError"]


def test_question_with_leave() -> None:
    """With leave it passes, judged, and so does the answer in the call that follows."""
    server = McpServer("crm", url="x", client_requests=("elicitation",))
    made = mediator(server=server)
    sent, got = exchange(made, call(), ELICIT)
    assert sent.onward is not None
    assert sent.onward.body["_meta"][CAPABILITIES_META] == {"elicitation": {}}
    assert got.onward is not None
    assert got.onward.body["inputRequests"]["q"]["params"]["message"] == "[redacted] name?"
    responses = {"q": {"action": "accept", "content": {"name": "SECRET"}}}
    again, _ = exchange(made, call(2, inputResponses=responses, requestState="s"), {"content": []})
    assert again.onward is not None
    assert again.onward.body["inputResponses"]["q"]["content"]["name"] == "[redacted]"


def test_question_by_error() -> None:
    """The error that asks the user to open a page is a question like any other."""

    async def go(server: McpServer) -> Step:
        made = mediator(server=server)
        await made.to_server(call())
        problem = {"code": -32042, "message": "open it", "data": {"elicitations": [{"url": "https://x.example"}]}}
        return await made.to_client(classify({"jsonrpc": "2.0", "id": 1, "error": problem}))

    refused = asyncio.run(go(CRM)).onward
    assert refused is not None
    assert "x.example" not in json.dumps(refused.document)
    allowed = asyncio.run(go(McpServer("crm", url="x", client_requests=("elicitation",)))).onward
    assert allowed is not None
    assert allowed.body["code"] == -32042


def test_reviewed_texts() -> None:
    """What was reviewed and pinned passes as it is: descriptions and instructions are no untrusted text then."""
    tool = {
        "name": "echo",
        "description": "Says SECRET again.",
        "inputSchema": {"type": "object"},
        "icons": [],
        "own": "x",
    }
    gate = FakeGate()
    party = Party(ALICE, "c", CRM, gate, Book({"crm": pin("crm", [tool], "Be SECRET.")}))
    about = {
        "supportedVersions": [STATELESS],
        "capabilities": {},
        "instructions": "Be SECRET.",
        "serverInfo": {"version": "1.0"},
    }
    _, got = exchange(Mediator(party, STATELESS), request("server/discover", {"_meta": META}), about)
    assert got.onward is not None
    assert got.onward.body["instructions"] == "Be SECRET."
    _, got = exchange(Mediator(party, STATELESS), request("tools/list", {"_meta": META}), {"tools": [tool]})
    assert got.onward is not None
    [listed] = got.onward.body["tools"]
    assert listed == {key: tool[key] for key in ("name", "description", "inputSchema")}
    assert [kind for kind, text in gate.texts if text != STATELESS] == []


def test_meta() -> None:
    """Of a request's `_meta` only what is MCP's goes to the server."""
    sent, _ = exchange(mediator(), call(_meta={**META, "progressToken": 7, "own/token": "abc"}), {"content": []})
    assert sent.onward is not None
    assert set(sent.onward.document["params"]["_meta"]) == {VERSION_META, CAPABILITIES_META, "progressToken"}


def test_discover() -> None:
    """What a server says about itself is cut down to what is guarded."""
    about = {"resultType": "complete", "supportedVersions": [STATELESS, "2030-01-01"], "instructions": "Be kind. SECRET",
             "capabilities": {"tools": {}, "tasks": {}, "extensions": {}}, "ttlMs": 0, "cacheScope": "private"}  # fmt: skip
    _, got = exchange(mediator(), request("server/discover", {"_meta": META}), about)
    assert got.onward is not None
    assert got.onward.body["supportedVersions"] == [STATELESS]
    assert got.onward.body["capabilities"] == {"tools": {}}
    assert got.onward.body["instructions"] == "Be kind. [redacted]"


def test_arguments_are_edited() -> None:
    """The server gets the arguments that the gate returns."""
    gate = FakeGate()
    gate.extra = {"tenant": "t1"}
    sent, _ = exchange(mediator(gate=gate), call(), {"content": []})
    assert sent.onward is not None
    assert sent.onward.document["params"]["arguments"] == {"to": "a", "tenant": "t1"}


def test_id_in_use() -> None:
    """A second request with the id of one that waits is refused, and doesn't disturb the first."""

    async def go() -> None:
        made = mediator()
        assert (await made.to_server(call(1))).onward
        refused = await made.to_server(call(1))
        assert refused.back is not None
        assert refused.back["error"]["code"] == -32600
        assert (await made.to_server(call("1"))).onward
        assert (await made.to_client(answer({"content": []}, 1))).onward
        assert made.waiting == ["1"]

    asyncio.run(go())


def test_many_requests() -> None:
    """Answered requests are forgotten in time; too many without an answer are refused."""

    async def go() -> None:
        made = mediator()
        for i in range(300):
            await made.to_server(call(i))
            await made.to_client(answer({"content": []}, i))
        assert (await made.to_client(answer({"content": []}, 299))).onward
        assert (await made.to_client(answer({"content": []}, 10))).onward is None
        waiting = [await made.to_server(call(f"w{i}")) for i in range(1100)]
        refused = [step for step in waiting if step.back]
        assert 70 <= len(refused) <= 120
        assert refused[0].back is not None
        assert refused[0].back["result"]["_meta"]["bastide/refusal"]["code"] == "over_limit"

    asyncio.run(go())


def test_answer_twice() -> None:
    """What comes after the guard said that nothing will come, doesn't reach the client."""

    async def go() -> None:
        made = mediator()
        await made.to_server(call(1))
        made.fail(1, GuardError("gone"))
        assert await made.to_client(answer({"content": []}, 1)) == Step()

    asyncio.run(go())


def test_resource_blob() -> None:
    """A resource that can't be scanned is asked about, and refused here."""
    gate = FakeGate()
    read = request("resources/read", {"uri": "note://1", "_meta": META})
    _, got = exchange(mediator(gate=gate), read, {"contents": [{"uri": "note://1", "blob": "AAAA"}]})
    assert got.onward is not None
    assert got.onward.document["error"]["code"] == -32043
    assert gate.opaques == ["blob"]


def test_result_parts() -> None:
    """Texts are found wherever they stand; pictures and unheard-of types are opaque."""
    body = {
        "content": [
            {"type": "text", "text": "a", "annotations": {"note": "b"}},
            {"type": "image", "data": "AAAA", "mimeType": "image/png"},
            {"type": "resource", "resource": {"uri": "u", "text": "c"}},
            {"type": "resource", "resource": {"uri": "u", "blob": "AAAA"}},
            {"type": "hologram", "text": "d"},
        ],
        "structuredContent": {"x": "e"},
        "_meta": {"own": "f"},
        "unheard": "g",
    }
    made = content.tool_result(ToolCall("1", "echo", {}), body)
    assert [p.text for p in made.content if isinstance(p, Text)] == ["a", "b", "image/png", "u", "c", "u", "f"]
    assert [(p.type, p.known) for p in made.content if isinstance(p, Opaque)] == [
        ("image", True), ("blob", True), ("hologram", False),
    ]  # fmt: skip
    assert "unheard" not in content.written(body, made, made)


def test_result_is_written_back() -> None:
    """Edits land where the text stood; what was taken out is said to be; the original stays as it was."""
    from msgspec.structs import replace

    body = {
        "content": [{"type": "text", "text": "a"}, {"type": "image", "data": "AAAA"}],
        "structuredContent": {"x": 1},
    }
    before = content.tool_result(ToolCall("1", "echo", {}), body)
    after = replace(before, content=(Text("A", ("content", 0, "text")), Text("note")), structured=None)
    assert content.written(body, before, after) == {
        "content": [
            {"type": "text", "text": "A"}, {"type": "text", "text": "[removed by the guard]"}, {"type": "text", "text": "note"},
        ]
    }  # fmt: skip
    assert body["content"][0] == {"type": "text", "text": "a"}  # type: ignore[index]


@settings(max_examples=200)
@given(st.lists(st.tuples(st.booleans(), MEMBERS), max_size=6), st.sampled_from(["", "2025-06-18", STATELESS]))
def test_anything(messages: list[tuple[bool, Any]], version: str) -> None:
    """Whatever either side sends, no error leaves the mediator, and each answer is a message."""

    async def go() -> None:
        made = mediator(version)
        await made.to_server(call(0) if version == STATELESS else request("tools/call", {"name": "echo"}, 0))
        for up, document in messages:
            try:
                message = classify(json.loads(json.dumps(document)))
            except GuardError:
                continue
            step = await (made.to_server(message) if up else made.to_client(message))
            for back in (step.back, step.onward.document if step.onward else None):
                assert back is None or isinstance(parse(json.dumps(back).encode()), Message)

    asyncio.run(go())


@given(JSON)
def test_any_result(body: Any) -> None:
    """Any answer to a call gives the client a result or an error, never nothing."""
    _, got = exchange(mediator(), call(), body if isinstance(body, dict) else {"content": body})
    assert got.onward is not None


@given(st.text())
def test_header_values(value: str) -> None:
    """Any text survives in a header."""
    assert decode_header(encoded(value)) == value
    assert encoded(value).isascii()


def test_mirrored_headers() -> None:
    """A header that mirrors an argument follows the gate's edit; one that mirrors nothing is left out."""
    before, after = call(), call(arguments={"to": "b"})
    headers = {"mcp-param-to": "a", "mcp-param-leak": "words", "x-other": "1"}
    assert stateless_headers(headers, before, after) == {
        "Mcp-Method": "tools/call", "Mcp-Name": "echo", "mcp-param-to": "b",
    }  # fmt: skip


def test_ambiguous_header() -> None:
    """A header that could mirror two arguments of which one was edited is refused."""
    before, after = call(arguments={"x": "a", "y": "a"}), call(arguments={"x": "a", "y": "b"})
    with pytest.raises(Malformed):
        stateless_headers({"mcp-param-x": "a"}, before, after)


@pytest.mark.parametrize(
    "headers",
    [{}, {"mcp-method": "tools/list"}, {"mcp-method": "tools/call"}, {"mcp-method": "tools/call", "mcp-name": "other"}],
)
def test_headers_that_lie(headers: dict[str, str]) -> None:
    """Headers by which something in between might route have to say what the body says."""
    with pytest.raises(Malformed) as caught:
        check_stateless(headers, call())
    assert caught.value.details["jsonrpc"] == -32020
