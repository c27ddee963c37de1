# SPDX-License-Identifier: Apache-2.0
"""The reader of messages: what it takes, what it refuses, and that nothing else ever comes out of it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bastide.errors import GuardError, OverLimit
from bastide.guard.mcp import messages
from bastide.guard.mcp.messages import Kind, Message, dump, error, parse

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
MEMBERS = st.fixed_dictionaries(
    {"jsonrpc": st.just("2.0") | JSON},
    optional={
        "id": st.integers() | st.text() | JSON,
        "method": st.sampled_from(["ping", "tools/call", "initialize", ""]) | JSON,
        "params": st.dictionaries(st.text(max_size=5), JSON, max_size=3) | JSON,
        "result": JSON,
        "error": JSON,
        "extra": JSON,
    },
)


def read(document: Any) -> Any:
    return parse(json.dumps(document).encode())


@pytest.mark.parametrize(
    ("document", "kind"),
    [
        ({"jsonrpc": "2.0", "id": 1, "method": "ping"}, Kind.REQUEST),
        ({"jsonrpc": "2.0", "id": "", "method": "ping", "params": {}}, Kind.REQUEST),
        ({"jsonrpc": "2.0", "method": "notifications/initialized"}, Kind.NOTIFICATION),
        ({"jsonrpc": "2.0", "id": 0, "result": {}}, Kind.RESULT),
        ({"jsonrpc": "2.0", "id": 1, "error": {"code": -1, "message": "no"}}, Kind.ERROR),
        ({"jsonrpc": "2.0", "id": None, "error": {"code": -1, "message": "no"}}, Kind.ERROR),
    ],
)
def test_kinds(document: Any, kind: Kind) -> None:
    """Each form of JSON-RPC is told apart."""
    assert read(document).kind is kind


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", -32700),
        (b'{"jsonrpc": "2.0", "id"', -32700),
        (b"\xff\xfe", -32700),
        (b'{"jsonrpc":"2.0","id":1,"method":"\\ud800"}', -32700),
        (b"[]", -32600),
        (b"3", -32600),
        (b'{"id": 1, "method": "ping"}', -32600),
        (b'{"jsonrpc": "2.0", "id": true, "method": "ping"}', -32600),
        (b'{"jsonrpc": "2.0", "id": 1.5, "method": "ping"}', -32600),
        (b'{"jsonrpc": "2.0", "id": null, "method": "ping"}', -32600),
        (b'{"jsonrpc": "2.0", "id": 99999999999999999999, "method": "ping"}', -32600),
        (b'{"jsonrpc": "2.0", "id": 1, "method": 5}', -32600),
        (b'{"jsonrpc": "2.0", "id": 1, "method": "ping", "params": []}', -32600),
        (b'{"jsonrpc": "2.0", "id": 1, "method": "ping", "result": {}}', -32600),
        (b'{"jsonrpc": "2.0", "id": 1, "result": {}, "error": {"code": 1, "message": ""}}', -32600),
        (b'{"jsonrpc": "2.0", "id": 1, "result": []}', -32600),
        (b'{"jsonrpc": "2.0", "id": 1, "error": {"code": "1", "message": ""}}', -32600),
        (b"[" * 100_000, -32600),
        (b'{"jsonrpc":"2.0","method":"ping","params":{"a":' + b"[" * 70 + b"]" * 70 + b"}}", -32600),
        (b"[" + b",".join([b'{"jsonrpc":"2.0","method":"x"}'] * 101) + b"]", -32600),
    ],
)
def test_refused(data: bytes, code: int) -> None:
    """What is no JSON is -32700, what is no message -32600."""
    with pytest.raises(GuardError) as caught:
        parse(data)
    assert error(None, caught.value)["error"]["code"] == code


@given(
    st.binary(max_size=200) | MEMBERS.map(lambda d: json.dumps(d).encode()) | JSON.map(lambda d: json.dumps(d).encode())
)
def test_only_refusals(data: bytes) -> None:
    """Whatever comes in, a message or a GuardError comes out, and a message can be written again and read as the same."""
    for message in outcome(data):
        assert parse(dump(message.document)) == message


def outcome(data: bytes) -> list[Message]:
    try:
        parsed = parse(data)
    except GuardError as problem:
        if problem.details["jsonrpc"] not in (-32700, -32600):
            raise
        return []
    return parsed if isinstance(parsed, list) else [parsed]


def test_revisions() -> None:
    """Each revision has its own methods; an unknown one has none."""
    assert "initialize" in messages.client_requests("2025-06-18")
    assert "initialize" not in messages.client_requests("2026-07-28")
    assert "server/discover" in messages.client_requests("2026-07-28")
    assert "elicitation/create" in messages.server_requests("2025-06-18")
    assert "elicitation/create" not in messages.server_requests("2025-03-26")
    assert messages.server_requests("2026-07-28") == frozenset()
    assert messages.client_requests("2030-01-01") == frozenset()
    assert "tasks/get" not in messages.client_requests("2025-11-25")


def test_official_tables() -> None:
    """Methods and notifications are those of the official package, for every revision."""
    from mcp_types import methods

    for version in messages.VERSIONS:
        assert messages.client_requests(version) == {m for m, v in methods.CLIENT_REQUESTS if v == version}
        assert messages.server_requests(version) == {m for m, v in methods.SERVER_REQUESTS if v == version}
        assert messages.client_notifications(version) == {m for m, v in methods.CLIENT_NOTIFICATIONS if v == version}
        assert messages.server_notifications(version) == {m for m, v in methods.SERVER_NOTIFICATIONS if v == version}


def test_details() -> None:
    """A refusal's code, details and time to wait stand in the error's data."""
    made = error(5, OverLimit("too much", retry_after=2.0, details={"budget": "user"}))
    assert made["error"]["data"] == {"code": "over_limit", "budget": "user", "retry_after": 2.0}
