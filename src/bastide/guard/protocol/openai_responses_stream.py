# SPDX-License-Identifier: Apache-2.0
"""Streamed replies of Responses.

The protocol says everything several times: as deltas, as a whole text, in its part, its item and the final response. What the client
gets in each place is what the guard released as deltas, so that nothing redacted comes back. An item keeps its index; the item of a
refused call becomes a message with the explanation. All events are numbered anew.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from bastide.errors import GuardError, UpstreamError
from bastide.guard.protocol import sse, wire
from bastide.guard.protocol.interface import StreamGuard
from bastide.guard.protocol.openai_common import error_object
from bastide.guard.protocol.openai_items import Items, is_call, item_type, unknown_in_part
from bastide.guard.protocol.openai_response_parts import RESPONSE, explanation, usage, with_arguments
from bastide.guard.protocol.stream import MAX_HELD, Filter, index

_EVENT = wire.words(
    "type sequence_number response item output_index content_index item_id part delta text refusal logprobs obfuscation "
    "summary_index annotation annotation_index arguments input name status command command_index"
)
_PLAIN_NAME = re.compile(r"[A-Za-z0-9_.-]{1,100}")
_DONE = sse.frame(b"[DONE]")

_TEXTS: Mapping[str, tuple[str, str, str]] = {
    "response.output_text": ("text", "content_index", "text"),
    "response.refusal": ("refusal", "content_index", "refusal"),
    "response.reasoning_text": ("reasoning", "content_index", "text"),
    "response.reasoning_summary_text": ("reasoning", "summary_index", "text"),
}
"""Running texts: beginning of their events -> kind of channel, key of the index, key of the whole text."""
_PART_EVENTS = {
    "output_text": "response.output_text",
    "refusal": "response.refusal",
    "reasoning_text": "response.reasoning_text",
    "summary_text": "response.reasoning_summary_text",
}
_OF_CALLS = ("response.function_call_arguments.", "response.custom_tool_call_input.", "response.shell_call_command.")


def filter(guard: StreamGuard) -> ResponseFilter:
    """A new filter for one streamed reply."""
    return ResponseFilter(guard)


class _Text:
    """What was received and released of one running text."""

    __slots__ = ("channel", "received", "sent", "whole")

    def __init__(self, channel: str) -> None:
        self.channel = channel
        self.received: list[str] = []
        self.sent: list[str] = []
        self.whole: str | None = None


class ResponseFilter(Filter):
    """A `StreamFilter`."""

    def __init__(self, guard: StreamGuard) -> None:
        super().__init__(guard)
        self._number: int | None = None
        self._items: dict[int, str] = {}  # output index -> type
        self._held: set[int] = set()  # output indexes of calls that aren't complete yet
        self._texts: dict[tuple[int, str, int], _Text] = {}
        self._final: dict[
            tuple[str, str], dict[str, Any]
        ] = {}  # type and id or call id as received -> the item as sent
        self._edited: dict[str, str] = {}
        self._size = 0

    # Events

    def _event(self, event: dict[str, Any]) -> None:
        kind = wire.need_string(event.get("type"), ("type",), UpstreamError)
        if self._number is None:
            first = event.get("sequence_number")
            self._number = first if type(first) is int and 0 <= first < 1 << 31 else 0
        family, _, verb = kind.rpartition(".")
        if family in _TEXTS and verb in ("delta", "done"):
            self._running(event, family, verb)
        elif kind in ("response.created", "response.queued", "response.in_progress"):
            self._emit({**event, "response": self._response(event)})
        elif kind in ("response.completed", "response.incomplete", "response.failed"):
            self._emit({**event, "response": self._response(event)})
            self.finished = True
        elif family == "response.output_item":
            self._item(event, verb)
        elif family in ("response.content_part", "response.reasoning_summary_part"):
            self._part(event)
        elif kind == "response.output_text.annotation.added":
            edited = self._notes(event.get("annotation"), "annotation")
            self._emit({**event, "annotation": edited})
        elif kind.startswith(_OF_CALLS):
            self._of_call(event)
        else:
            if kind != "keepalive":
                self._opaque(f"event:{wire.short(kind)}")
            self._emit(event)

    def _emit(self, event: dict[str, Any]) -> None:
        kind = event["type"]
        if not _PLAIN_NAME.fullmatch(kind):
            raise UpstreamError("the model's stream has an event whose type is no plain name")
        for field in wire.unknown_fields(event, _EVENT, "event", ()):
            self._opaque(field.type)
        wire.need_id(event.get("item_id"), ("item_id",), UpstreamError)
        number = self._number or 0
        self._number = number + 1
        self._send(event if event.get("sequence_number") == number else {**event, "sequence_number": number}, kind)

    def _abort(self, error: GuardError) -> None:
        # The documented event has these at its top; the official client raises only where it finds `error`.
        told = error_object(error)
        event = {"type": "error", "code": told["code"], "message": told["message"], "param": None, "error": told}
        self._send({**event, "sequence_number": self._number or 0}, "error")

    def _done(self) -> None:
        if self.finished:
            self._out.append(_DONE)  # not of this protocol, but some servers send it

    # Running texts

    def _state(self, event: dict[str, Any], family: str) -> _Text:
        kind, key, _ = _TEXTS[family]
        output, number = index(event.get("output_index"), ("output_index",)), index(event.get(key), (key,))
        return self._text_at(output, kind, number, "s" if key == "summary_index" else "")

    def _text_at(self, output: int, kind: str, number: int, prefix: str = "") -> _Text:
        place = (output, prefix or kind, number)
        found = self._texts.get(place)
        if found is None:
            found = self._texts[place] = _Text(f"{kind}:{output}.{prefix}{number}")
        return found

    def _release(self, text: _Text, delta: str) -> str:
        self._size += len(delta)
        if self._size > MAX_HELD:
            raise UpstreamError("the model's stream has more text than the guard keeps")
        released = self._text(text.channel, delta)
        text.received.append(delta)
        text.sent.append(released)
        return released

    def _running(self, event: dict[str, Any], family: str, verb: str) -> None:
        text = self._state(event, family)
        if verb == "delta":
            delta = wire.need_string(event.get("delta"), ("delta",), UpstreamError)
            released = self._release(text, delta) if delta else delta
            if released != delta:
                event = {**event, "delta": released}
            if released or not delta:
                self._emit(_spelled(event, delta, released))
            return
        key = _TEXTS[family][2]
        whole = self._close(text, event, family, event.get(key))
        self._emit({**_spelled(event, "".join(text.received), whole), key: whole})

    def _close(self, text: _Text, event: dict[str, Any], family: str, said: Any) -> str:
        """The whole text as released; sends what was held back as one more delta."""
        if text.whole is None:
            if not text.received and said:
                self._release(text, wire.need_string(said, (_TEXTS[family][2],), UpstreamError))
                text.sent.append(self._text_end(text.channel))
            elif tail := self._text_end(text.channel):
                text.sent.append(tail)
                self._tail(event, family, tail)
            text.whole = "".join(text.sent)
        return text.whole

    def _tail(self, event: dict[str, Any], family: str, tail: str) -> None:
        keys = ("item_id", "output_index", _TEXTS[family][1])
        more: dict[str, Any] = {"logprobs": []} if family == "response.output_text" else {}
        place = {key: event[key] for key in keys if key in event}
        self._emit({"type": f"{family}.delta", **place, "delta": tail, **more})

    # Parts

    def _part(self, event: dict[str, Any]) -> None:
        part = wire.need_object(event.get("part"), ("part",), UpstreamError)
        kind = wire.need_string(part.get("type"), ("part", "type"), UpstreamError)
        for field in unknown_in_part(part, kind):
            self._opaque(field.type)
        family = _PART_EVENTS.get(kind)
        if family is None:
            self._opaque(f"part:{wire.short(kind)}")
            self._emit(event)
            return
        if event["type"].endswith(".done"):
            self._emit({**event, "part": self._closed_part(self._state(event, family), event, part)})
            return
        key = _TEXTS[family][2]
        said = wire.need_string(part.get(key), ("part", key), UpstreamError)
        if said:
            part = {**part, key: self._release(self._state(event, family), said)}
        part = _spelled(part, said, part.get(key, ""))
        if part.get("annotations"):
            part = {**part, "annotations": self._notes(part["annotations"], "annotations")}
        self._emit({**event, "part": part})

    def _closed_part(self, text: _Text, event: dict[str, Any], part: dict[str, Any]) -> dict[str, Any]:
        family = _PART_EVENTS[part["type"]]
        key = _TEXTS[family][2]
        whole = self._close(text, event, family, part.get(key))
        part = {**_spelled(part, "".join(text.received), whole), key: whole}
        if part.get("annotations"):
            part["annotations"] = self._notes(part["annotations"], "annotations")
        return part

    def _notes(self, value: Any, name: str) -> Any:
        """Annotations with their texts edited; the same text is judged once."""
        holder = {name: value}
        edits = {}
        for text in wire.sources(value, (name,)):
            edits[text.path] = self._judged(text.text)
        return wire.rewrite(holder, edits)[name]

    def _judged(self, text: str) -> str:
        """A short text that comes in one piece, and mostly more than once."""
        if text not in self._edited:
            self._edited[text] = self._whole(f"annotation:{len(self._edited)}", text)
        return self._edited[text]

    # Items

    def _item(self, event: dict[str, Any], verb: str) -> None:
        output = index(event.get("output_index"), ("output_index",))
        item = wire.need_object(event.get("item"), ("item",), UpstreamError)
        kind = item_type(item)
        if verb == "added":
            if output in self._items:
                raise UpstreamError("the model's stream has two items at one place")
            self._items[output] = kind
            if is_call(item):
                self._held.add(output)
            else:
                self._emit(
                    {**event, "item": self._closed_item(item, output) if _has_text(item) else self._checked(item)}
                )
        elif verb == "done":
            if self._items.get(output, kind) != kind:
                raise UpstreamError("the model's stream has an item that changes its type")
            self._items[output] = kind
            if is_call(item):
                self._judge(item, output)
            else:
                done = self._closed_item(item, output)
                self._keep(item, done)
                self._emit({**event, "item": done})
        else:
            raise UpstreamError("the model's stream has an unknown event of an item")

    def _keep(self, received: dict[str, Any], sent: dict[str, Any]) -> None:
        for key in ("id", "call_id"):
            if type(name := received.get(key)) is str:
                self._final[item_type(received), name] = sent

    def _checked(self, item: dict[str, Any]) -> dict[str, Any]:
        """Asks about what can't be read in an item."""
        for part in wire.opaques(Items(UpstreamError).turn(item, ("item",)).parts):
            self._opaque(part.type, part.known)
        return item

    def _closed_item(self, item: dict[str, Any], output: int) -> dict[str, Any]:
        """The item with its texts as released."""
        closed = dict(self._checked(item))
        if item_type(item) in ("message", "reasoning"):
            for name in ("content", "summary"):
                if type(parts := item.get(name)) is list:
                    closed[name] = [self._part_of_item(item, output, number, part) for number, part in enumerate(parts)]
        return closed

    def _part_of_item(self, item: dict[str, Any], output: int, number: int, part: dict[str, Any]) -> dict[str, Any]:
        family = _PART_EVENTS.get(part["type"])
        if family is None:
            return part
        event = {"item_id": item.get("id"), "output_index": output, "content_index": number, "summary_index": number}
        kind, key, _ = _TEXTS[family]
        return self._closed_part(
            self._text_at(output, kind, number, "s" if key == "summary_index" else ""), event, part
        )

    def _of_call(self, event: dict[str, Any]) -> None:
        output = index(event.get("output_index"), ("output_index",))
        if output in self._held:
            return  # the whole call comes with the end of its item
        if self._items.get(output) != "shell_call":
            raise UpstreamError("the model's stream has arguments of a call that isn't open")
        self._emit(event)  # a shell at the provider, which the guard let pass

    def _judge(self, item: dict[str, Any], output: int) -> None:
        self._held.discard(output)
        sent, refused = self._decide(item)
        place = {"output_index": output, "item_id": sent.get("id")}
        added = dict(sent)
        if "status" in added:
            added["status"] = "in_progress"
        if refused:
            self._explain(sent, added, place)
        else:
            self._allow(sent, added, place)
        self._emit({"type": "response.output_item.done", "output_index": output, "item": sent})

    def _decide(self, item: dict[str, Any]) -> tuple[dict[str, Any], bool]:
        """A call as it may be made, or the explanation in its place; whether it is the latter."""
        self._checked(item)
        decision = self._guard.call(Items(UpstreamError).call(item, ("item",)))
        if isinstance(decision, str):
            sent = explanation(item, decision)
        elif decision is None:
            sent = item
        else:
            sent = {**item, **with_arguments(item, decision)}
        self._keep(item, sent)
        return sent, isinstance(decision, str)

    def _allow(self, item: dict[str, Any], added: dict[str, Any], place: dict[str, Any]) -> None:
        known = {"function_call": ("arguments", _OF_CALLS[0]), "custom_tool_call": ("input", _OF_CALLS[1])}
        key, family = known.get(item["type"], ("", ""))
        if key:
            added[key] = ""
        self._emit({"type": "response.output_item.added", "output_index": place["output_index"], "item": added})
        if key:
            self._emit({"type": f"{family}delta", **place, "delta": item[key]})
            named = {"name": item["name"]} if key == "arguments" else {}
            self._emit({"type": f"{family}done", **place, **named, key: item[key]})

    def _explain(self, item: dict[str, Any], added: dict[str, Any], place: dict[str, Any]) -> None:
        part, at = item["content"][0], {**place, "content_index": 0}
        note = part["text"]
        added["content"] = []
        self._emit({"type": "response.output_item.added", "output_index": place["output_index"], "item": added})
        self._emit({"type": "response.content_part.added", **at, "part": {**part, "text": ""}})
        self._emit({"type": "response.output_text.delta", **at, "delta": note, "logprobs": []})
        self._emit({"type": "response.output_text.done", **at, "text": note, "logprobs": []})
        self._emit({"type": "response.content_part.done", **at, "part": part})

    # The whole response

    def _response(self, event: dict[str, Any]) -> dict[str, Any]:
        response = wire.need_object(event.get("response"), ("response",), UpstreamError)
        for field in wire.unknown_fields(response, RESPONSE, "field", ()):
            self._opaque(field.type)
        self._identify(response.get("id"))
        self.usage = usage(response.get("usage"), self.usage)
        if type(error := response.get("error")) is dict and type(said := error.get("message")) is str:
            response = {**response, "error": {**error, "message": self._judged(said)}}
        if (output := response.get("output")) is None:
            return response
        items = wire.need_list(output, ("response", "output"), UpstreamError)
        return {**response, "output": [self._whole_item(item, number) for number, item in enumerate(items)]}

    def _whole_item(self, value: Any, number: int) -> dict[str, Any]:
        """An item of the final response: as it was sent, or judged now when it never was."""
        item = wire.need_object(value, ("response", "output", number), UpstreamError)
        for key in ("id", "call_id"):
            if type(name := item.get(key)) is str and (found := self._final.get((item_type(item), name))) is not None:
                return found
        if is_call(item):
            return self._decide(item)[0]
        # At a place of its own: its texts are none of those that ran at the same index.
        sent = self._closed_item(item, -1 - number)
        self._keep(item, sent)
        return sent


def _has_text(item: dict[str, Any]) -> bool:
    return bool(item.get("content") or item.get("summary"))


def _spelled(value: dict[str, Any], received: str, released: str) -> dict[str, Any]:
    """The same without token probabilities, unless they spell what was received and released."""
    if not value.get("logprobs") or (received == released and wire.spelled(value["logprobs"], received)):
        return value
    return {**value, "logprobs": []}
