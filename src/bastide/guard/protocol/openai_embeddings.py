# SPDX-License-Identifier: Apache-2.0
"""OpenAI's Embeddings: `POST /v1/embeddings`. There is no stream, no call and no place for a refusal in words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NoReturn

from bastide.errors import Denied, UpstreamError
from bastide.guard.events import Opaque, Path, Reply, Request, Role, Text, Turn, Usage
from bastide.guard.protocol import wire
from bastide.guard.protocol.interface import StreamFilter, StreamGuard
from bastide.guard.protocol.openai_common import error, models

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

NAME = "openai.embeddings"

_FIELDS = wire.words("input model dimensions encoding_format user")
_REPLY = wire.words("object data model usage")


def request(document: Any) -> Request:
    """The events of a request. Raises `Malformed`. Text that comes as token numbers can't be read."""
    body = wire.need_object(document, ())
    model = wire.model_name(body)
    parts = tuple(_input(body.get("input"), ("input",)))
    opaque = tuple(wire.unknown_fields(body, _FIELDS, "field", ()))
    return Request(protocol=NAME, model=model, turns=(Turn(Role.USER, parts),), opaque=opaque, document=body)


def _input(value: Any, path: Path) -> Iterator[Text | Opaque]:
    if type(value) is str:
        yield Text(value, path)
        return
    items = wire.need_list(value, path)
    if items and all(type(item) is int for item in items):
        yield Opaque("tokens", True, path)
        return
    for number, item in enumerate(items):
        at = (*path, number)
        if type(item) is str:
            yield Text(item, at)
        elif type(item) is list and all(type(token) is int for token in item):
            yield Opaque("tokens", True, at)
        else:
            raise wire.fail(at, "a string or an array of token numbers")


def reply(document: Any) -> Reply:
    """The events of a reply: none but the count of tokens. Raises `UpstreamError`."""
    body = wire.need_object(document, (), UpstreamError)
    wire.need_list(body.get("data"), ("data",), UpstreamError)
    counted, model = body.get("usage"), body.get("model")
    return Reply(
        id="",
        model=model if type(model) is str else "",
        parts=(),
        usage=Usage(wire.count(counted.get("prompt_tokens"))) if type(counted) is dict else Usage(),
        opaque=tuple(wire.unknown_fields(body, _REPLY, "field", ())),
        document=body,
    )


def rewrite(document: Any, edits: Mapping[Path, Any]) -> Any:
    """See `Codec.rewrite`."""
    return wire.rewrite(document, edits)


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
    """Raises `Denied`: numbers can't say no."""
    raise Denied(message, code=code)


def refusal_stream(request: Request, message: str, code: str, *, request_id: str = "", created: int = 0) -> NoReturn:
    """Raises `Denied`."""
    refusal(request, message, code, request_id=request_id, created=created)


def filter(guard: StreamGuard) -> StreamFilter:  # noqa: ARG001 - the same signature for all protocols
    """Raises `UpstreamError`: embeddings are never streamed."""
    raise UpstreamError("embeddings are never streamed")
