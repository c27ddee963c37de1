# SPDX-License-Identifier: Apache-2.0
"""OpenAI's Responses: `POST /v1/responses`.

Context that the provider keeps and the guard hasn't seen (`conversation`, `prompt`, item references) and replies that are fetched later
(`background`) are opaque. `previous_response_id` becomes `Request.previous`: the engine knows whether it has judged that response.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bastide.errors import UpstreamError
from bastide.guard.events import Opaque, Part, Path, Reply, Request, Role, Turn, Usage
from bastide.guard.protocol import sse, wire
from bastide.guard.protocol.openai_common import error, models
from bastide.guard.protocol.openai_items import Items
from bastide.guard.protocol.openai_response_parts import RESPONSE, explanation, usage
from bastide.guard.protocol.openai_responses_stream import filter
from bastide.guard.protocol.stream import arguments_text

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

NAME = "openai.responses"

_FIELDS = wire.words(
    "model input instructions stream tools previous_response_id background max_output_tokens max_tool_calls metadata "
    "parallel_tool_calls prompt_cache_key prompt_cache_options prompt_cache_retention reasoning safety_identifier service_tier "
    "store stream_options temperature text tool_choice top_logprobs top_p truncation user include moderation context_management"
)


def request(document: Any) -> Request:
    """The events of a request. Raises `Malformed`."""
    body = wire.need_object(document, ())
    model = wire.model_name(body)
    stream = body.get("stream")
    if stream is not None and type(stream) is not bool:
        raise wire.fail(("stream",), "true or false")
    previous = body.get("previous_response_id")
    items = Items()
    items.opaque += wire.unknown_fields(body, _FIELDS, "field", ())
    if body.get("background") not in (None, False):
        items.opaque.append(Opaque("field.background", False, ("background",)))
    items.add_tools(body.get("tools"), ("tools",))
    turns = tuple(_turns(body, items))
    return Request(
        protocol=NAME,
        model=model,
        turns=turns,
        tools=tuple(items.tools),
        stream=bool(stream),
        previous="" if previous is None else wire.need_string(previous, ("previous_response_id",)),
        max_tokens=wire.count(body.get("max_output_tokens")),
        opaque=tuple(items.opaque),
        document=body,
    )


def _turns(body: dict[str, Any], items: Items) -> list[Turn]:
    turns: list[Turn] = []
    if (instructions := body.get("instructions")) is not None:
        turns.append(Turn(Role.SYSTEM, tuple(items.content(instructions, ("instructions",)))))
    prompt = body.get("prompt")
    if type(prompt) is dict and prompt.get("variables"):
        turns.append(Turn(Role.USER, tuple(wire.leaves(prompt["variables"], ("prompt", "variables")))))
    value, at = body.get("input"), ("input",)
    if type(value) is str:
        turns.append(Turn(Role.USER, tuple(items.content(value, at))))
    elif value is not None:
        turns += [items.turn(item, (*at, number)) for number, item in enumerate(wire.need_list(value, at))]
    return turns


def reply(document: Any) -> Reply:
    """The events of a whole reply. Raises `UpstreamError`."""
    body = wire.need_object(document, (), UpstreamError)
    output = wire.need_list(body.get("output"), ("output",), UpstreamError)
    items = Items(UpstreamError)
    parts: list[Part] = []
    for number, item in enumerate(output):
        parts += items.turn(item, ("output", number)).parts
    id_, model, status = body.get("id"), body.get("model"), body.get("status")
    return Reply(
        id=id_ if type(id_) is str else "",
        model=model if type(model) is str else "",
        parts=tuple(parts),
        finish=status if type(status) is str else "",
        usage=usage(body.get("usage"), Usage()),
        opaque=(*items.opaque, *wire.unknown_fields(body, RESPONSE, "field", ())),
        document=body,
    )


def rewrite(document: Any, edits: Mapping[Path, Any]) -> Any:
    """See `Codec.rewrite`. Token probabilities of an edited text go: they spell the old one."""
    more: dict[Path, Any] = {}
    for path, value in edits.items():
        if len(path) == 3 and path[2] == "input" and isinstance(value, dict):
            more[path] = arguments_text(value, free=True)
        if len(path) == 5 and path[0] == "output" and path[2] == "content":
            part = document["output"][path[1]]["content"][path[3]]
            if part.get("logprobs"):
                more[(*path[:4], "logprobs")] = []
    return wire.rewrite(document, {**edits, **more})


def refuse_calls(document: Any, refusals: Mapping[str, str]) -> Any:
    """See `Codec.refuse_calls`. A message stands in the place of the call's item."""
    body: dict[str, Any] = wire.need_object(document, (), UpstreamError)
    output = []
    for item in body["output"]:
        id_ = item.get("call_id")
        id_ = item.get("id") if id_ is None else id_
        note = refusals.get(id_) if type(id_) is str else None
        output.append(item if note is None else explanation(item, note))
    return {**body, "output": output}


def refusal(request: Request, message: str, code: str, *, request_id: str = "", created: int = 0) -> dict[str, Any]:
    """See `Codec.refusal`."""
    item = explanation({"id": request_id or code}, message)
    return {
        "id": f"resp_{request_id or code}",
        "object": "response",
        "created_at": created,
        "status": "completed",
        "error": None,
        "incomplete_details": None,
        "instructions": None,
        "metadata": {},
        "model": request.model,
        "output": [item],
        "parallel_tool_calls": True,
        "temperature": None,
        "tool_choice": "auto",
        "tools": [],
        "top_p": None,
        "usage": {
            "input_tokens": 0,
            "input_tokens_details": {"cached_tokens": 0},
            "output_tokens": 0,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": 0,
        },
    }


def refusal_stream(request: Request, message: str, code: str, *, request_id: str = "", created: int = 0) -> bytes:
    """See `Codec.refusal_stream`."""
    whole = refusal(request, message, code, request_id=request_id, created=created)
    item = whole["output"][0]
    part, at = item["content"][0], {"output_index": 0, "content_index": 0, "item_id": item["id"]}
    begun = {**whole, "status": "in_progress", "output": [], "usage": None}
    events: list[dict[str, Any]] = [
        {"type": "response.created", "response": begun},
        {"type": "response.output_item.added", "output_index": 0, "item": {**item, "content": []}},
        {"type": "response.content_part.added", **at, "part": {**part, "text": ""}},
        {"type": "response.output_text.delta", **at, "delta": message, "logprobs": []},
        {"type": "response.output_text.done", **at, "text": message, "logprobs": []},
        {"type": "response.content_part.done", **at, "part": part},
        {"type": "response.output_item.done", "output_index": 0, "item": item},
        {"type": "response.completed", "response": whole},
    ]
    return b"".join(
        sse.frame(wire.encode({**event, "sequence_number": number}), event["type"])
        for number, event in enumerate(events)
    )
