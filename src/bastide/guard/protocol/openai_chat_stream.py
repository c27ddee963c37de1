# SPDX-License-Identifier: Apache-2.0
"""Streamed replies of Chat Completions.

Text goes out as the guard releases it. The parts of a tool call are collected until their choice ends, judged whole, and sent in one
chunk each: clients differ in how they put a call together from parts (a repeated name, a missing index), so none is left to them.
"""

from __future__ import annotations

from typing import Any

from bastide.errors import GuardError, UpstreamError
from bastide.guard.events import ToolCall
from bastide.guard.protocol import sse, wire
from bastide.guard.protocol.interface import StreamGuard
from bastide.guard.protocol.openai_chat_reply import CHOICE, FIELDS, finish_reason, legacy_id, usage
from bastide.guard.protocol.openai_common import error_object
from bastide.guard.protocol.stream import MAX_HELD, MAX_OPEN, Filter, arguments_text, index

_CHANNELS = {"content": "text", "refusal": "refusal", "reasoning_content": "reasoning", "reasoning": "reasoning_"}
_CALL = frozenset({"index", "id", "type", "function", "custom"})
_DONE = sse.frame(b"[DONE]")


def filter(guard: StreamGuard) -> ChatFilter:
    """A new filter for one streamed reply."""
    return ChatFilter(guard)


class _Call:
    """A call that is being collected, joined as the official client joins it: every string but the type goes on."""

    __slots__ = ("arguments", "extra", "id", "name", "size", "type")

    def __init__(self) -> None:
        self.id = ""
        self.type = "function"
        self.name = ""
        self.arguments: list[str] = []
        self.size = 0
        self.extra: dict[str, Any] = {}


class _Choice:
    __slots__ = ("calls", "ended", "legacy")

    def __init__(self) -> None:
        self.calls: dict[int, _Call] = {}
        self.legacy: _Call | None = None
        self.ended = False


class ChatFilter(Filter):
    """A `StreamFilter`."""

    def __init__(self, guard: StreamGuard) -> None:
        super().__init__(guard)
        self._choices: dict[int, _Choice] = {}
        self._chunk: dict[str, Any] = {}

    def _event(self, event: dict[str, Any]) -> None:
        for field in wire.unknown_fields(event, FIELDS, "field", ()):
            self._opaque(field.type)
        self._identify(event.get("id"))
        if event.get("usage") is not None:
            self.usage = usage(event["usage"])
        self._chunk = event
        choices = wire.need_list(event.get("choices"), ("choices",), UpstreamError)
        kept = []
        for number, choice in enumerate(choices):
            if (judged := self._choice(choice, number)) is not None:
                kept.append(judged)
        if kept or not choices:
            event["choices"] = kept
            self._send(event)

    def _done(self) -> None:
        if self.finished:
            return
        open_ = [number for number, choice in self._choices.items() if not choice.ended]
        if open_:
            raise UpstreamError("the model's stream broke off inside of a choice", code="upstream_incomplete")
        self.finished = True
        self._out.append(_DONE)

    def _abort(self, error: GuardError) -> None:
        self._out.append(sse.frame(wire.encode({"error": error_object(error)})))

    def _choice(self, value: Any, at: int) -> dict[str, Any] | None:
        """The choice as it may be sent now; None when all of it is held back."""
        path = ("choices", at)
        choice = wire.need_object(value, path, UpstreamError)
        number = index(choice.get("index", 0), (*path, "index"))
        state = self._choices.get(number)
        if state is None:
            state = self._choices[number] = _Choice()
        if state.ended:
            raise UpstreamError("the model's stream goes on with a choice that had ended")
        for field in wire.unknown_fields(choice, CHOICE, "choice", path):
            self._opaque(field.type)
        delta = choice.get("delta")
        before = wire.need_object(delta, (*path, "delta"), UpstreamError) if delta is not None else {}
        after: dict[str, Any] = {}
        for key, old in before.items():
            if old is None or (new := self._field(key, old, number, state)) is not None:
                after[key] = None if old is None else new
        if choice.get("logprobs") is not None and not (after == before and _spelled(choice["logprobs"], before)):
            choice["logprobs"] = None
        choice["delta"] = after
        if (reason := choice.get("finish_reason")) is None:
            return choice if after or not before else None
        wire.need_string(reason, (*path, "finish_reason"), UpstreamError)
        state.ended = True
        return self._end(choice, number, state)

    def _field(self, key: str, value: Any, number: int, state: _Choice) -> Any:
        """The field's new value; None when it isn't to be sent now."""
        path = ("delta", key)
        if key in _CHANNELS:
            text = wire.need_string(value, path, UpstreamError)
            return (self._text(f"{_CHANNELS[key]}:{number}", text) or None) if text else text
        if key == "role":
            return wire.need_string(value, path, UpstreamError)
        if key == "tool_calls":
            for item in wire.need_list(value, path, UpstreamError):
                self._collect(wire.need_object(item, path, UpstreamError), state.calls)
            return None
        if key == "function_call":
            state.legacy = state.legacy or _Call()
            _add(state.legacy, wire.need_object(value, path, UpstreamError), "arguments")
            return None
        self._opaque(f"delta.{wire.short(key)}", known=key == "audio")
        return value

    def _collect(self, item: dict[str, Any], calls: dict[int, _Call]) -> None:
        place = item.get("index")
        if place is None:  # some servers leave it out: an id starts a new call
            place = len(calls) if item.get("id") or not calls else max(calls)
        place = index(place, ("tool_calls", "index"))
        call = calls.setdefault(place, _Call())
        call.id += _string(item.get("id"), "id")
        call.type = _string(item.get("type"), "type") or call.type
        for kind, key in (("function", "arguments"), ("custom", "input")):
            if (body := item.get(kind)) is not None:
                call.type = kind
                _add(call, wire.need_object(body, ("tool_calls", kind), UpstreamError), key)
        for key in item.keys() - _CALL:
            self._opaque(f"tool_call.{wire.short(key)}")
            call.extra[key] = item[key]

    def _end(self, choice: dict[str, Any], number: int, state: _Choice) -> dict[str, Any]:
        """Sends what was held back of a choice (text, refusals, allowed calls) and returns its end."""
        tails: dict[str, str] = {}
        for key, kind in _CHANNELS.items():
            if tail := self._text_end(f"{kind}:{number}"):
                tails[key] = tail
        refused, calls, legacy = self._judge(number, state)
        if not (tails or refused or calls or legacy):
            return choice
        going = {**choice, "finish_reason": None}
        if choice["delta"]:
            self._one(going)
        going["logprobs"] = None
        pieces: list[dict[str, Any]] = [tails] if tails else []
        pieces += [{"content": note} for note in refused]
        pieces += [{"tool_calls": [call]} for call in calls]
        pieces += [{"function_call": legacy}] if legacy else []
        for piece in pieces:
            self._one({**going, "delta": piece})
        reason = choice["finish_reason"]
        if refused:
            reason = finish_reason(reason, bool(calls or legacy))
        return {**choice, "delta": {}, "finish_reason": reason, "logprobs": None}

    def _one(self, choice: dict[str, Any]) -> None:
        chunk = {**self._chunk, "choices": [choice]}
        if chunk.get("usage") is not None:
            chunk["usage"] = None  # it is counted once, with the last chunk
        self._send(chunk)

    def _judge(self, number: int, state: _Choice) -> tuple[list[str], list[dict[str, Any]], dict[str, Any] | None]:
        refused: list[str] = []
        allowed: list[dict[str, Any]] = []
        for _, call in sorted(state.calls.items()):
            if not call.id or not call.name:
                raise UpstreamError("the model's stream has a tool call without an id or a name")
            if (raw := self._decide(call, call.id, refused)) is not None:
                body = {"name": call.name, "input" if call.type == "custom" else "arguments": raw}
                head = {"index": len(allowed), "id": call.id, "type": call.type}
                allowed.append({**head, call.type: body, **call.extra})
        legacy = None
        if (old := state.legacy) is not None and (raw := self._decide(old, legacy_id(number), refused)) is not None:
            legacy = {"name": old.name, "arguments": raw}
        return refused, allowed, legacy

    def _decide(self, call: _Call, id_: str, refused: list[str]) -> str | None:
        """The arguments with which the call may be made; None, with the explanation in `refused`, when it may not."""
        raw = "".join(call.arguments)
        custom = call.type == "custom"
        found = {"input": raw} if custom else wire.arguments(raw, strict=True)
        decision = self._guard.call(ToolCall(id_, call.name, found, raw))
        if isinstance(decision, str):
            refused.append(decision)
            return None
        return raw if decision is None else arguments_text(decision, custom)


def _spelled(probabilities: Any, delta: dict[str, Any]) -> bool:
    """Whether the probabilities tell nothing but the texts of this delta, which the guard has released."""
    if type(probabilities) is not dict or not probabilities.keys() <= {"content", "refusal"}:
        return False
    return all(not entries or wire.spelled(entries, delta.get(key) or "") for key, entries in probabilities.items())


def _string(value: Any, name: str) -> str:
    return "" if value is None else wire.need_string(value, ("tool_calls", name), UpstreamError)


def _add(call: _Call, body: dict[str, Any], key: str) -> None:
    call.name += _string(body.get("name"), "name")
    piece = _string(body.get(key), key)
    call.size += len(piece) + 1
    if call.size > MAX_HELD or len(call.name) > MAX_OPEN or len(call.id) > MAX_OPEN:
        raise UpstreamError("the model's stream has a tool call that is too large")
    call.arguments.append(piece)
