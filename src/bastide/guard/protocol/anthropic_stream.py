# SPDX-License-Identifier: Apache-2.0
"""Streamed replies of Anthropic's Messages.

A block keeps its index whatever happens to it: the block of a refused call becomes a text block with the explanation.
"""

from __future__ import annotations

import re
from typing import Any

from bastide.errors import GuardError, UpstreamError
from bastide.guard.events import ToolCall, Usage
from bastide.guard.protocol import wire
from bastide.guard.protocol.anthropic_blocks import unknown_in
from bastide.guard.protocol.interface import StreamGuard
from bastide.guard.protocol.stream import MAX_HELD, Filter, arguments_text, index

MESSAGE = wire.words(
    "id type role model content stop_reason stop_sequence stop_details usage container context_management diagnostics"
)
_EVENT = wire.words("type index delta content_block message usage context_management amazon-bedrock-invocationMetrics")
_DELTA = wire.words("type text thinking signature citation partial_json")
_END = wire.words("stop_reason stop_sequence stop_details container")
_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
}
_RUNNING = {"text": "text", "thinking": "reasoning"}
_PLAIN_NAME = re.compile(r"[A-Za-z0-9_.-]{1,100}")


def filter(guard: StreamGuard) -> MessageFilter:
    """A new filter for one streamed reply."""
    return MessageFilter(guard)


def error_document(error: GuardError, request_id: str = "") -> dict[str, Any]:
    """An error, in an answer or in a stream."""
    found: dict[str, Any] = {"type": _TYPES.get(error.status, "api_error"), "message": str(error), "code": error.code}
    if error.details:
        found["details"] = dict(error.details)
    document: dict[str, Any] = {"type": "error", "error": found}
    if request_id:
        document["request_id"] = request_id
    return document


def usage(value: Any, before: Usage) -> Usage:
    """The tokens that the provider counted; counts are totals, and one that isn't repeated stays."""
    if type(value) is not dict:
        return before
    names = ("input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens")
    read = sum(wire.count(value.get(name)) for name in names)
    return Usage(read or before.input, wire.count(value.get("output_tokens")) or before.output)


class _Block:
    __slots__ = ("held", "kind", "received", "sent", "size", "start")

    def __init__(self, kind: str, start: dict[str, Any]) -> None:
        self.kind = kind
        self.start = start
        self.held: list[str] = []
        self.size = 0
        self.received: list[str] = []  # of thinking only: an edited one loses its signature
        self.sent: list[str] = []


class MessageFilter(Filter):
    """A `StreamFilter`."""

    def __init__(self, guard: StreamGuard) -> None:
        super().__init__(guard)
        self._blocks: dict[int, _Block] = {}
        self._next = 0
        self._begun = False
        self._calls = self._refused = 0
        self._handlers = {
            "content_block_delta": self._delta,
            "content_block_start": self._start,
            "content_block_stop": self._stop,
            "message_start": self._message_start,
            "message_delta": self._message_delta,
            "message_stop": self._message_stop,
        }

    def _event(self, event: dict[str, Any]) -> None:
        kind = wire.need_string(event.get("type"), ("type",), UpstreamError)
        for field in wire.unknown_fields(event, _EVENT, "event", ()):
            self._opaque(field.type)
        handler = self._handlers.get(kind)
        if handler is None:
            if kind != "ping":
                self._opaque(f"event:{wire.short(kind)}")
            self._emit(event)
        elif not self._begun and kind != "message_start":
            raise UpstreamError("the model's stream doesn't begin with message_start")
        else:
            handler(event)

    def _emit(self, event: dict[str, Any]) -> None:
        if not _PLAIN_NAME.fullmatch(event["type"]):
            raise UpstreamError("the model's stream has an event whose type is no plain name")
        self._send(event, event["type"])

    def _abort(self, error: GuardError) -> None:
        self._send(error_document(error), "error")

    def _done(self) -> None:
        """This protocol doesn't know `[DONE]`; some servers send it, and clients ignore it."""

    def _message_start(self, event: dict[str, Any]) -> None:
        message = wire.need_object(event.get("message"), ("message",), UpstreamError)
        if self._begun or message.get("content"):
            raise UpstreamError("the model's stream begins twice, or with content")
        self._begun = True
        for field in wire.unknown_fields(message, MESSAGE, "field", ()):
            self._opaque(field.type)
        self._identify(message.get("id"))
        self.usage = usage(message.get("usage"), self.usage)
        self._emit(event)

    def _start(self, event: dict[str, Any]) -> None:
        number = index(event.get("index"), ("index",))
        if number != self._next:
            raise UpstreamError("the model's stream has blocks out of order")
        self._next += 1
        start = wire.need_object(event.get("content_block"), ("content_block",), UpstreamError)
        kind = wire.need_string(start.get("type"), ("content_block", "type"), UpstreamError)
        block = self._blocks[number] = _Block(kind, start)
        for field in unknown_in(start, kind):
            self._opaque(field.type)
        if kind == "tool_use":
            return
        if kind in _RUNNING:
            key = kind
            old = wire.need_string(start.get(key), ("content_block", key), UpstreamError)
            new = self._running(block, number, old) if old else old
            start = self._quoted({**start, key: new}, "citations", number)
        else:
            self._opaque(kind, known=kind == "redacted_thinking")
        self._emit({**event, "content_block": start})

    def _running(self, block: _Block, number: int, delta: str) -> str:
        released = self._text(f"{_RUNNING[block.kind]}:{number}", delta)
        if block.kind == "thinking":
            block.received.append(delta)
            block.sent.append(released)
        return released

    def _quoted(self, value: dict[str, Any], key: str, number: int) -> dict[str, Any]:
        """The same with the texts of its citations edited."""
        if not value.get(key):
            return value
        edits = {
            text.path: new
            for text in wire.sources(value[key], (key,))
            if (new := self._whole(f"citation:{number}.{self._fresh()}", text.text)) != text.text
        }
        edited: dict[str, Any] = wire.rewrite(value, edits)
        return edited

    def _fresh(self) -> int:
        return len(self._ended) + len(self._open)

    def _block(self, event: dict[str, Any]) -> tuple[int, _Block]:
        number = index(event.get("index"), ("index",))
        block = self._blocks.get(number)
        if block is None:
            raise UpstreamError("the model's stream goes on with a block that isn't open")
        return number, block

    def _delta(self, event: dict[str, Any]) -> None:
        number, block = self._block(event)
        delta = wire.need_object(event.get("delta"), ("delta",), UpstreamError)
        kind = wire.need_string(delta.get("type"), ("delta", "type"), UpstreamError)
        for field in wire.unknown_fields(delta, _DELTA, "delta", ()):
            self._opaque(field.type)
        if block.kind in _RUNNING and kind == f"{block.kind}_delta":
            text = wire.need_string(delta.get(block.kind), ("delta", block.kind), UpstreamError)
            released = self._running(block, number, text) if text else text
            if released or not text:
                self._emit({**event, "delta": {"type": kind, block.kind: released}})
        elif block.kind == "tool_use":
            self._hold(block, kind, delta)
        elif kind == "citations_delta" and block.kind == "text":
            self._emit({**event, "delta": self._quoted(delta, "citation", number)})
        elif kind == "signature_delta" and block.kind == "thinking":
            self._tail(number, block)
            if "".join(block.received) == "".join(block.sent):
                self._emit(event)
        elif block.kind in _RUNNING:
            raise UpstreamError(f"the model's stream has a {wire.plain(kind)} in a {block.kind} block")
        else:
            self._emit(event)  # of an opaque block that the guard let pass

    def _hold(self, block: _Block, kind: str, delta: dict[str, Any]) -> None:
        if kind != "input_json_delta":
            raise UpstreamError(f"the model's stream has a {wire.plain(kind)} in a tool_use block")
        piece = wire.need_string(delta.get("partial_json"), ("delta", "partial_json"), UpstreamError)
        block.size += len(piece) + 1
        if block.size > MAX_HELD:
            raise UpstreamError("the model's stream has a tool call that is too large")
        block.held.append(piece)

    def _tail(self, number: int, block: _Block) -> None:
        if tail := self._text_end(f"{_RUNNING[block.kind]}:{number}"):
            block.sent.append(tail)
            self._piece(number, {"type": f"{block.kind}_delta", block.kind: tail})

    def _piece(self, number: int, delta: dict[str, Any]) -> None:
        self._emit({"type": "content_block_delta", "index": number, "delta": delta})

    def _stop(self, event: dict[str, Any]) -> None:
        number, block = self._block(event)
        del self._blocks[number]
        if block.kind in _RUNNING:
            self._tail(number, block)
        elif block.kind == "tool_use":
            self._judge(number, block)
        self._emit(event)

    def _judge(self, number: int, block: _Block) -> None:
        start = block.start
        id_ = wire.need_string(start.get("id"), ("content_block", "id"), UpstreamError)
        name = wire.need_string(start.get("name"), ("content_block", "name"), UpstreamError)
        raw = "".join(block.held)
        initial = wire.need_object(start.get("input") or {}, ("content_block", "input"), UpstreamError)
        if initial and raw:
            raise UpstreamError("the model's stream states the arguments of a call twice")
        found = initial or wire.arguments(raw, strict=True)
        self._calls += 1
        decision = self._guard.call(ToolCall(id_, name, found, raw or wire.encode(initial).decode()))
        if isinstance(decision, str):
            self._refused += 1
            start, delta = {"type": "text", "text": "", "citations": None}, {"type": "text_delta", "text": decision}
        else:
            if decision is not None:
                start, raw = {**start, "input": {}}, arguments_text(decision, free=False)
            delta = {"type": "input_json_delta", "partial_json": raw}
        self._emit({"type": "content_block_start", "index": number, "content_block": start})
        if decision is not None or block.held:
            self._piece(number, delta)

    def _message_delta(self, event: dict[str, Any]) -> None:
        if self._blocks:
            raise UpstreamError("the model's stream ends inside of a block", code="upstream_incomplete")
        delta = wire.need_object(event.get("delta"), ("delta",), UpstreamError)
        for field in wire.unknown_fields(delta, _END, "delta", ()):
            self._opaque(field.type)
        self.usage = usage(event.get("usage"), self.usage)
        if self._refused and self._refused == self._calls and delta.get("stop_reason") == "tool_use":
            event = {**event, "delta": {**delta, "stop_reason": "end_turn"}}
        self._emit(event)

    def _message_stop(self, event: dict[str, Any]) -> None:
        if self._blocks:
            raise UpstreamError("the model's stream ends inside of a block", code="upstream_incomplete")
        self.finished = True
        self._emit(event)
