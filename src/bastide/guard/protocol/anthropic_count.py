# SPDX-License-Identifier: Apache-2.0
"""Anthropic's token counting: `POST /v1/messages/count_tokens`. The request is one of Messages, the answer a number.

The whole prompt goes to the provider, so the request is judged like any other; in the answer there is nothing to judge but its form.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NoReturn

from msgspec.structs import replace

from bastide.errors import Denied, UpstreamError
from bastide.guard.events import Reply, Request
from bastide.guard.protocol import anthropic_messages, wire
from bastide.guard.protocol.anthropic_messages import error, models, rewrite
from bastide.guard.protocol.interface import StreamFilter, StreamGuard

__all__ = [
    "NAME",
    "error",
    "filter",
    "models",
    "refusal",
    "refusal_stream",
    "refuse_calls",
    "reply",
    "request",
    "rewrite",
]

NAME = "anthropic.count_tokens"

_REPLY = wire.words("input_tokens context_management")


def request(document: Any) -> Request:
    """The events of a request. Raises `Malformed`, also for one that asks for a stream: there is nothing to stream."""
    found = anthropic_messages.request(document)
    if found.stream:
        raise wire.fail(("stream",), "false or absent")
    return replace(found, protocol=NAME)


def reply(document: Any) -> Reply:
    """The events of a reply: none. Raises `UpstreamError` for anything but numbers; what is counted costs nothing."""
    body = wire.need_object(document, (), UpstreamError)
    managed = body.get("context_management")
    for path, value in (
        (("input_tokens",), body.get("input_tokens")),
        *((("context_management", key), value) for key, value in _object(managed).items()),
    ):
        if type(value) is not int or value < 0:
            raise wire.fail(path, "a number of tokens", UpstreamError)
    opaque = tuple(wire.unknown_fields(body, _REPLY, "field", ()))
    return Reply(id="", model="", parts=(), opaque=opaque, document=body)


def _object(value: Any) -> dict[str, Any]:
    return {} if value is None else wire.need_object(value, ("context_management",), UpstreamError)


def refuse_calls(document: Any, refusals: Mapping[str, str]) -> Any:  # noqa: ARG001 - the same signature for all protocols
    """See `Codec.refuse_calls`; there are none."""
    return document


def refusal(
    request: Request,  # noqa: ARG001 - the same signature for all protocols
    message: str,
    code: str,
    *,
    request_id: str = "",  # noqa: ARG001
    created: int = 0,  # noqa: ARG001
) -> NoReturn:
    """Raises `Denied`: a number can't say no."""
    raise Denied(message, code=code)


def refusal_stream(request: Request, message: str, code: str, *, request_id: str = "", created: int = 0) -> NoReturn:
    """Raises `Denied`."""
    refusal(request, message, code, request_id=request_id, created=created)


def filter(guard: StreamGuard) -> StreamFilter:  # noqa: ARG001 - the same signature for all protocols
    """Raises `UpstreamError`: counts are never streamed."""
    raise UpstreamError("counts of tokens are never streamed")
