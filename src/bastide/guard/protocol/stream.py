# SPDX-License-Identifier: Apache-2.0
"""What the filters of all protocols share: bytes in, events judged, bytes out, and an honest end.

Nothing is sent on that wasn't decoded: every frame is encoded anew from the document that was judged, and comments lose their text.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

from bastide.errors import Denied, GuardError, UpstreamError
from bastide.guard.events import Usage
from bastide.guard.protocol import sse, wire
from bastide.guard.protocol.interface import StreamGuard

MAX_OPEN = 1024
"""Choices, blocks, items or calls of one stream."""
MAX_TEXTS = 1 << 16
"""Running texts of one stream."""
MAX_HELD = 8 << 20
"""Characters of a call's arguments."""


class Filter(ABC):
    """A `StreamFilter`; protocols say what an event does."""

    def __init__(self, guard: StreamGuard) -> None:
        self._guard = guard
        self._parser = sse.Parser()
        self._allowed: set[str] = set()
        self._open: dict[str, None] = {}
        self._ended: set[str] = set()
        self._out: list[bytes] = []
        self.usage = Usage()
        self.finished = False
        self.reply_id = ""
        self.error: GuardError | None = None

    def feed(self, data: bytes) -> bytes:
        """See `StreamFilter.feed`."""
        if self.error is not None:
            return b""
        try:
            for name, payload in self._parser.feed(data):
                self._take(name, payload)
        except GuardError as error:
            self._break(error)
        return self._flush()

    def finish(self) -> bytes:
        """See `StreamFilter.finish`."""
        if self.error is not None:
            return b""
        try:
            for name, payload in self._parser.close():
                self._take(name, payload)
            if not self.finished:
                raise _broken_off()
        except UpstreamError:
            self._break(_broken_off())  # half an event is no nonsense of the provider's
        except GuardError as error:
            self._break(error)
        return self._flush()

    def _take(self, name: bytes, payload: bytes) -> None:
        if payload[:1] == b"[" and payload.rstrip() == b"[DONE]":
            self._done()
        elif payload and not self.finished:
            decoded = wire.decode(payload, UpstreamError, "an event of the stream")
            event = wire.need_object(decoded, (), UpstreamError)
            if name == b"error" or event.get("type") == "error" or event.get("error") is not None:
                raise _provider_error(event.get("error", event))
            self._event(event)

    def _break(self, error: GuardError) -> None:
        self.error = error
        self.finished = False
        self._abort(error)

    def _flush(self) -> bytes:
        out, self._out = b"".join(self._out), []
        return out

    @abstractmethod
    def _event(self, event: dict[str, Any]) -> None:
        """Judges one event and sends what may be sent."""

    @abstractmethod
    def _abort(self, error: GuardError) -> None:
        """Sends the protocol's error event."""

    @abstractmethod
    def _done(self) -> None:
        """`[DONE]` was seen."""

    def _send(self, document: dict[str, Any], event: str = "") -> None:
        self._out.append(sse.frame(wire.encode(document), event))

    def _identify(self, id_: Any) -> None:
        """Notes the id of the reply."""
        if id_ is not None and id_ != self.reply_id:
            wire.need_id(id_, ("id",), UpstreamError)
            self.reply_id = id_

    def _text(self, channel: str, delta: str) -> str:
        if channel not in self._open:
            if channel in self._ended or len(self._open) + len(self._ended) >= MAX_TEXTS:
                raise UpstreamError(f"the stream goes on with a text that had ended, or has more than {MAX_TEXTS}")
            self._open[channel] = None
        return self._guard.text(channel, delta)

    def _text_end(self, channel: str) -> str:
        if channel not in self._open:
            return ""
        del self._open[channel]
        self._ended.add(channel)
        return self._guard.text_end(channel)

    def _whole(self, channel: str, text: str) -> str:
        """A text that comes in one piece, edited."""
        return self._text(channel, text) + self._text_end(channel) if text else text

    def _opaque(self, type_: str, known: bool = False) -> None:
        """Asks once whether something that can't be read may pass. Raises `Denied`."""
        if type_ in self._allowed:
            return
        if not self._guard.opaque(type_, known):
            raise Denied(
                f"the reply has something that can't be checked: {wire.plain(type_)}", code="unscanned_content"
            )
        if len(self._allowed) < MAX_OPEN:
            self._allowed.add(type_)


def _provider_error(value: Any) -> UpstreamError:
    """The provider's own message stays out: it can name what the caller must not know."""
    kind = value.get("code") or value.get("type") if type(value) is dict else None
    shown = f": {wire.plain(kind)}" if kind is not None else ""
    return UpstreamError(f"the model's provider reported an error in the stream{shown}")


def _broken_off() -> UpstreamError:
    return UpstreamError("the model's stream broke off before its end", code="upstream_incomplete")


def arguments_text(arguments: dict[str, Any], free: bool) -> str:
    """The guard's arguments of a call as they stand on the wire; `free`: of a tool whose one argument `input` is no JSON."""
    if not free:
        return wire.encode(arguments).decode()
    text = arguments.get("input")
    if type(text) is not str:
        raise GuardError("the arguments of a tool with free text must be one string, `input`")
    return text


def index(value: Any, path: tuple[str | int, ...]) -> int:
    """A place in a list. Raises `UpstreamError`."""
    if type(value) is not int or not 0 <= value < MAX_OPEN:
        raise wire.fail(path, f"a number from 0 to {MAX_OPEN - 1}", UpstreamError)
    return value
