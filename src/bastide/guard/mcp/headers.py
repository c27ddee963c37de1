# SPDX-License-Identifier: Apache-2.0
"""Headers of Streamable HTTP: what is checked, and what is made anew. No header of a client is simply passed on.

Source: MCP 2026-07-28, "Streamable HTTP" (request metadata headers); RFC 9110.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from bastide.errors import Denied, Malformed
from bastide.guard.mcp.messages import HEADER_MISMATCH, STATELESS, VERSION_META, Message

SESSION, VERSION, METHOD, NAME, PARAM = (
    "mcp-session-id", "mcp-protocol-version", "mcp-method", "mcp-name", "mcp-param-",
)  # fmt: skip
LAST_EVENT = "last-event-id"
_NAMED: Mapping[str, str] = {"tools/call": "name", "prompts/get": "name", "resources/read": "uri"}
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_MAX_VALUE = 4096


def check_origin(headers: Mapping[str, str]) -> None:
    """A page in a browser may only come from this machine (DNS rebinding).

    Raises `Denied`. Programs send no Origin.
    """
    origin = headers.get("origin")
    if origin is None:
        return
    try:
        host = urlsplit(origin).hostname
    except ValueError:
        host = None
    if host not in _LOOPBACK:
        raise Denied("requests from this origin are not taken", code="origin")


def mismatch(why: str) -> Malformed:
    """The error for headers that contradict the body."""
    return Malformed(why, details={"jsonrpc": HEADER_MISMATCH})


def check_stateless(headers: Mapping[str, str], message: Message) -> None:
    """That the headers of a stateless request say what its body says. Raises `Malformed` with -32020."""
    if not message.method or message.id is None:
        return
    meta = message.body.get("_meta")
    if not isinstance(meta, dict) or meta.get(VERSION_META) != STATELESS:
        raise mismatch("the header MCP-Protocol-Version and the request's `_meta` name different revisions")
    if headers.get(METHOD) != message.method:
        raise mismatch("the header Mcp-Method is not the method of the request")
    key = _NAMED.get(message.method)
    if key and message.body.get(key) is not None and decoded(headers.get(NAME, "")) != message.body[key]:
        raise mismatch(f"the header Mcp-Name is not the `{key}` of the request")


def stateless_headers(headers: Mapping[str, str], before: Message, after: Message) -> dict[str, str]:
    """The metadata headers for the server, made from the body that is sent."""
    if not after.method:
        return {}
    made = {"Mcp-Method": after.method}
    key = _NAMED.get(after.method)
    if key and isinstance(after.body.get(key), str):
        made["Mcp-Name"] = encoded(after.body[key])
    if after.method == "tools/call":
        made.update(_mirrored(headers, before.body.get("arguments") or {}, after.body.get("arguments") or {}))
    return made


def _mirrored(headers: Mapping[str, str], before: Any, after: Any) -> dict[str, str]:
    """`Mcp-Param-*`: a tool's schema can demand that arguments stand in headers too.

    A header that mirrors no argument is left out, so that nothing leaves that the gate didn't see; one whose argument the gate changed
    gets the new value. Raises `Malformed` when it can't be told which argument is meant.
    """
    names = [name for name in headers if name.startswith(PARAM)]
    if not names:
        return {}
    pairs: dict[str, set[str | None]] = {}
    _pair(before, after, pairs)
    made = {}
    for name in names:
        now = pairs.get(decoded(headers[name]) or "", set())
        if len(now) > 1:
            raise mismatch(f"the guard can't tell which argument the header {name[:60]} mirrors")
        if value := next(iter(now), None):
            made[name] = encoded(value)
    return made


def _pair(before: Any, after: Any, pairs: dict[str, set[str | None]]) -> None:
    """Notes for each scalar as it was what it is now."""
    if isinstance(before, dict):
        for key, value in before.items():
            _pair(value, after.get(key) if isinstance(after, dict) else None, pairs)
    elif (was := _scalar(before)) is not None:
        pairs.setdefault(was, set()).add(_scalar(after))


def _scalar(value: Any) -> str | None:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, (str, int, float)) else None


def encoded(text: str) -> str:
    """A text as a header value: itself, or in base64 where it isn't plain ASCII."""
    plain = text.isascii() and text.isprintable() and text == text.strip() and not text.startswith("=?base64?")
    return text if plain else f"=?base64?{base64.b64encode(text.encode()).decode()}?="


def decoded(value: str) -> str | None:
    """The text of a header value; None when its base64 is broken."""
    if not (value.startswith("=?base64?") and value.endswith("?=")):
        return value
    try:
        return base64.b64decode(value[9:-2], validate=True).decode()
    except (binascii.Error, ValueError):
        return None


def last_event(headers: Mapping[str, str]) -> dict[str, str]:
    """The id from which a client takes up a stream. Raises `Malformed` when it can't be one."""
    value = headers.get(LAST_EVENT)
    if value is None:
        return {}
    if len(value) > _MAX_VALUE or not value.isprintable():
        raise Malformed("the header Last-Event-ID is no id of an event")
    return {"Last-Event-ID": value}
