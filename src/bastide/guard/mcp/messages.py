# SPDX-License-Identifier: Apache-2.0
"""JSON-RPC 2.0 messages of MCP: read with bounds, sorted by kind, and told apart by revision.

A method that isn't in these tables is unknown, and what is unknown is refused: what can't be understood can't be guarded.

Source: JSON-RPC 2.0; Model Context Protocol, revisions 2024-11-05 to 2026-07-28 (`schema.ts` of each). Tasks, an experiment of 2025-11-25
that left the core again, are not understood.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from enum import Enum
from typing import Any

import msgspec
from msgspec import Struct

from bastide.errors import Denied, GuardError, Malformed, NotFound, OverLimit, TooLarge, Unavailable, UpstreamError

HANDSHAKE = ("2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25")
"""Revisions that start with `initialize`."""
STATELESS = "2026-07-28"
"""The revision in which each request carries its version and the client's capabilities, and no session exists."""
VERSIONS = (*HANDSHAKE, STATELESS)
ASSUMED = "2025-03-26"
"""The revision of a HTTP request without the header `MCP-Protocol-Version`."""
BATCHES = frozenset({"2024-11-05", "2025-03-26"})
"""Revisions that know JSON-RPC batches."""
MAX_BATCH = 100

VERSION_META = "io.modelcontextprotocol/protocolVersion"
CAPABILITIES_META = "io.modelcontextprotocol/clientCapabilities"

PARSE_ERROR, INVALID_REQUEST, METHOD_NOT_FOUND, INVALID_PARAMS, INTERNAL_ERROR = -32700, -32600, -32601, -32602, -32603
HEADER_MISMATCH, UNSUPPORTED_VERSION = -32020, -32022
URL_NEEDED = -32042
"""The server's way to ask the user to open a page (2025-11-25)."""
REFUSED = -32043
"""The guard refuses; `data` says why. In the range that JSON-RPC leaves to implementations, and unused by MCP."""

_BOTH = {"completion/complete", "prompts/get", "prompts/list", "resources/list", "resources/read"} | {
    "resources/templates/list", "tools/call", "tools/list",
}  # fmt: skip
_CLIENT_HANDSHAKE = frozenset(
    {*_BOTH, "initialize", "ping", "logging/setLevel", "resources/subscribe", "resources/unsubscribe"}
)
_CLIENT_STATELESS = frozenset({*_BOTH, "server/discover", "subscriptions/listen"})
_CLIENT_NOTES = frozenset(
    {
        "notifications/cancelled", "notifications/initialized", "notifications/progress",
        "notifications/roots/list_changed",
    }
)  # fmt: skip
_SERVER_NOTES = frozenset(
    {
        "notifications/cancelled", "notifications/message", "notifications/progress",
        "notifications/prompts/list_changed", "notifications/resources/list_changed",
        "notifications/resources/updated", "notifications/tools/list_changed",
    }
)  # fmt: skip
ASKS: Mapping[str, str] = {
    "roots/list": "roots",
    "sampling/createMessage": "sampling",
    "elicitation/create": "elicitation",
}
"""What a server may ask the client for, when the settings allow it -> the word for it there."""


def client_requests(version: str) -> frozenset[str]:
    """Methods that a client may call; none of an unknown revision."""
    if version == STATELESS:
        return _CLIENT_STATELESS
    return _CLIENT_HANDSHAKE if version in HANDSHAKE else frozenset()


def client_notifications(version: str) -> frozenset[str]:
    """Notifications that a client may send."""
    if version == STATELESS:
        return frozenset({"notifications/cancelled"})
    return _CLIENT_NOTES if version in HANDSHAKE else frozenset()


def server_notifications(version: str) -> frozenset[str]:
    """Notifications that a server may send."""
    if version == STATELESS:
        return _SERVER_NOTES | {"notifications/subscriptions/acknowledged"}
    if version == "2025-11-25":
        return _SERVER_NOTES | {"notifications/elicitation/complete"}
    return _SERVER_NOTES if version in HANDSHAKE else frozenset()


def server_requests(version: str) -> frozenset[str]:
    """Methods that a server may call at the client; the stateless revision has none."""
    if version not in HANDSHAKE:
        return frozenset()
    asks = frozenset({"ping", "roots/list", "sampling/createMessage"})
    return asks | {"elicitation/create"} if version >= "2025-06-18" else asks


class Kind(Enum):
    """What a message is."""

    REQUEST = "request"
    NOTIFICATION = "notification"
    RESULT = "result"
    ERROR = "error"


class Message(Struct, frozen=True):
    """One JSON-RPC message."""

    kind: Kind
    id: str | int | None
    """None for a notification, and for an error that answers no request in particular."""
    method: str
    """'' for answers."""
    body: dict[str, Any]
    """`params` of requests and notifications, `result` or `error` of answers; {} where the message has none."""
    document: dict[str, Any]

    def having(self, body: dict[str, Any]) -> Message:
        """The same message with another body."""
        key = {Kind.RESULT: "result", Kind.ERROR: "error"}.get(self.kind, "params")
        return msgspec.structs.replace(self, body=body, document={**self.document, key: body})


def _wrong(code: int, why: str, error: type[GuardError] = Malformed) -> GuardError:
    return error(why, details={"jsonrpc": code})


def invalid(why: str) -> GuardError:
    """The error for something that isn't a JSON-RPC message of MCP."""
    return _wrong(INVALID_REQUEST, why)


def bad_params(why: str) -> GuardError:
    """The error for parameters that don't fit the method."""
    return _wrong(INVALID_PARAMS, why)


def no_method(method: str) -> GuardError:
    """The error for a method that this guard doesn't know at this revision."""
    return _wrong(
        METHOD_NOT_FOUND, f"the guard does not know the method `{method[:100]}` here, so it refuses it", NotFound
    )


def unsupported(version: object) -> GuardError:
    """The error for a revision that this guard doesn't know."""
    shown = version[:40] if isinstance(version, str) else ""
    details = {"jsonrpc": UNSUPPORTED_VERSION, "supported": list(VERSIONS), "requested": shown}
    return Malformed(f"the guard does not know the protocol version `{shown}`", details=details)


def parse(data: bytes, depth: int = 64) -> list[Message] | Message:
    """The message in a document, or the messages of a batch.

    Parameters: `depth` is the deepest nesting that is read; the size is the transport's to bound.

    Raises `Malformed` with -32700 when it is no JSON and -32600 when it is no message or nested too deep.
    """
    document = _decoded(data, depth)
    if isinstance(document, list):
        if not 0 < len(document) <= MAX_BATCH:
            raise invalid(f"a batch has 1 to {MAX_BATCH} messages")
        return [classify(one) for one in document]
    return classify(document)


def _decoded(data: bytes, depth: int) -> Any:
    try:
        document = msgspec.json.decode(data)
    except RecursionError:
        raise invalid(f"nested deeper than {depth}") from None
    except (msgspec.MsgspecError, UnicodeDecodeError, ValueError):
        raise _wrong(PARSE_ERROR, "the message is no JSON") from None
    # Fewer brackets than the bound can't be nested deeper, so most documents need no walk.
    if data.count(b"{") + data.count(b"[") > depth and _too_deep(document, depth):
        raise invalid(f"nested deeper than {depth}")
    return document


def _too_deep(document: Any, depth: int) -> bool:
    level = [document]
    for _ in range(depth):
        level = [
            child
            for one in level
            for child in (one.values() if isinstance(one, dict) else one)
            if isinstance(child, (dict, list))
        ]
        if not level:
            return False
    return True


def classify(document: Any) -> Message:
    """What a decoded document is. Raises `Malformed` when it is no message of JSON-RPC 2.0."""
    if not isinstance(document, dict) or document.get("jsonrpc") != "2.0":
        raise invalid('a message is an object with `"jsonrpc": "2.0"`')
    if "method" in document:
        return _asking(document)
    if ("result" in document) == ("error" in document):
        raise invalid("a message has one of `method`, `result` and `error`")
    _only(document, ("result", "error"))
    key = "result" if "result" in document else "error"
    body = document[key]
    if not isinstance(body, dict):
        raise invalid(f"`{key}` is an object in MCP")
    if key == "result":
        return Message(Kind.RESULT, _id(document), "", body, document)
    _check_error(body)
    at = None if document.get("id") is None else _id(document)
    return Message(Kind.ERROR, at, "", body, document)


def _asking(document: dict[str, Any]) -> Message:
    _only(document, ("method", "params"))
    method, body = document["method"], document.get("params")
    if not isinstance(method, str) or not 0 < len(method) <= 200:
        raise invalid("`method` is a text of at most 200 characters")
    if body is None:
        body = {}
    if not isinstance(body, dict):
        raise invalid("`params` is an object in MCP")
    if "id" in document:
        return Message(Kind.REQUEST, _id(document), method, body, document)
    return Message(Kind.NOTIFICATION, None, method, body, document)


def _only(document: dict[str, Any], keys: tuple[str, ...]) -> None:
    if not document.keys() <= {"jsonrpc", "id", *keys}:
        raise invalid("the message has members that JSON-RPC doesn't know")


def _check_error(body: dict[str, Any]) -> None:
    code = body.get("code")
    if not isinstance(code, int) or isinstance(code, bool) or not isinstance(body.get("message"), str):
        raise invalid("`error` has a number `code` and a text `message`")


def _id(document: dict[str, Any]) -> str | int:
    at = document.get("id")
    if isinstance(at, bool) or not isinstance(at, (str, int)):
        raise invalid("`id` is a text or a whole number")
    if (isinstance(at, str) and len(at) > 200) or (isinstance(at, int) and abs(at) >= 1 << 63):
        raise invalid("`id` is too long")
    return at


def dump(document: Any) -> bytes:
    """The document as JSON in one line."""
    try:
        return msgspec.json.encode(document)
    except (msgspec.MsgspecError, OverflowError, ValueError):
        # Whole numbers over 64 bits, which JSON has and msgspec doesn't write.
        return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()


def result(at: str | int | None, body: Mapping[str, Any]) -> dict[str, Any]:
    """An answer."""
    return {"jsonrpc": "2.0", "id": at, "result": body}


def error(at: str | int | None, problem: GuardError) -> dict[str, Any]:
    """A refusal as a JSON-RPC error; the refusal's own code and details stand in `data`."""
    details = dict(problem.details)
    code = details.pop("jsonrpc", None) or next((c for kind, c in _CODES if isinstance(problem, kind)), INTERNAL_ERROR)
    data: dict[str, Any] = {"code": problem.code, **details}
    if problem.retry_after:
        data["retry_after"] = problem.retry_after
    return {"jsonrpc": "2.0", "id": at, "error": {"code": code, "message": str(problem), "data": data}}


_CODES: tuple[tuple[type[GuardError], int], ...] = (
    (Malformed, INVALID_REQUEST),
    (TooLarge, INVALID_REQUEST),
    (Denied, REFUSED),
    (OverLimit, REFUSED),
    (NotFound, METHOD_NOT_FOUND),
    (UpstreamError, INTERNAL_ERROR),
    (Unavailable, INTERNAL_ERROR),
)
