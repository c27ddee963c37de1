# SPDX-License-Identifier: Apache-2.0
"""What every protocol's codec does. Each codec is a module; the module itself fits `Codec`.

Codecs are pure: documents in, events out, edits written back. They read no clock and make up no ids; both are passed in.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from bastide.errors import GuardError
from bastide.guard.events import Path, Reply, Request, ToolCall, Usage

Answer = tuple[int, dict[str, str], dict[str, Any]]
"""Status, headers and document of an HTTP answer."""


Decision = str | dict[str, Any] | None
"""About a call: None, it may be made; a dict, it may be made with these arguments; a string, the client gets this explanation instead."""


class StreamGuard(Protocol):
    """Judges a streamed reply piece by piece. Whatever it raises of the GuardError family ends the stream with an error event.

    A channel is one running text, such as `text:0` (of choice, output item or block 0), `reasoning:0` or `refusal:0`;
    everything before the colon is the kind of text. A channel ends exactly once, unless the stream breaks.
    """

    def text(self, channel: str, delta: str) -> str:
        """What of the channel may be released now, edited; what is held back comes with a later call."""
        ...

    def text_end(self, channel: str) -> str:
        """The rest of the channel, edited."""
        ...

    def call(self, call: ToolCall) -> Decision:
        """Asked once for each call, when it is complete."""
        ...

    def opaque(self, type: str, known: bool) -> bool:
        """Whether something that can't be read may pass; asked once a stream for each type. `known`: it is documented."""
        ...


class StreamFilter(Protocol):
    """A streamed reply on its way through the guard."""

    usage: Usage
    """What the provider counted so far."""
    finished: bool
    """Whether the provider's own end of the stream was seen: False after `finish` means a half stream or an abort."""
    reply_id: str
    """The provider's id of the reply; '' before it is known."""
    error: GuardError | None
    """What ended the stream early; the client has been told in the protocol's way."""

    def feed(self, data: bytes) -> bytes:
        """Takes what came from the provider, cut anywhere, and returns what the client may have now. Raises nothing."""
        ...

    def finish(self) -> bytes:
        """To be called when the provider's body has ended; returns what is left, or an error event when the end was missing."""
        ...


class Codec(Protocol):
    """One protocol."""

    NAME: str
    """`openai.chat`, `openai.responses`, `openai.embeddings`, `anthropic.messages` or `anthropic.count_tokens`."""

    def request(self, document: Any) -> Request:
        """The events of a request. Raises `Malformed`, which names the place."""
        ...

    def rewrite(self, document: Any, edits: Mapping[Path, Any]) -> Any:
        """A copy of a request or a reply with other values at some paths; unedited parts are shared with the original.

        Where the old value is JSON in a string (arguments of a call) and the new one is an object, it is encoded. What repeats an edited
        text of a reply elsewhere (token probabilities) is left out.
        """
        ...

    def reply(self, document: Any) -> Reply:
        """The events of a whole reply. Raises `UpstreamError`."""
        ...

    def refuse_calls(self, document: Any, refusals: Mapping[str, str]) -> Any:
        """The reply without the calls with these ids; each explanation stands as the assistant's text instead."""
        ...

    def refusal(self, request: Request, message: str, code: str, *, request_id: str = "", created: int = 0) -> Any:
        """A whole reply in which the assistant says that the guard refused. `created`: seconds since 1970."""
        ...

    def refusal_stream(
        self, request: Request, message: str, code: str, *, request_id: str = "", created: int = 0
    ) -> bytes:
        """The same as a whole stream, for requests that asked for one."""
        ...

    def error(self, error: GuardError, request_id: str = "") -> Answer:
        """The error as the protocol's own clients expect it."""
        ...

    def models(self, names: Sequence[str]) -> Any:
        """The list of models."""
        ...

    def filter(self, guard: StreamGuard) -> StreamFilter:
        """A new filter for one streamed reply."""
        ...
