# SPDX-License-Identifier: Apache-2.0
"""The one event model into which every protocol is translated before any guardrail looks at it.

A protocol's document stays as it was received; each `Text` knows its `path` in it, so that a redaction is written back to exactly that
place and everything else passes unchanged. What a codec doesn't understand becomes `Opaque`: never silently skipped.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from msgspec import Struct

Path = tuple[str | int, ...]
"""Keys and indexes from the root of the wire document to a value; () when the part has no place in it."""


class Role(StrEnum):
    """Who speaks."""

    SYSTEM = "system"
    DEVELOPER = "developer"
    USER = "user"
    ASSISTANT = "assistant"
    TOOL = "tool"


class Text(Struct, frozen=True, gc=False):
    """Text that somebody reads as language or renders."""

    text: str
    path: Path = ()


class ToolCall(Struct, frozen=True):
    """The model asks for a tool to be run."""

    id: str
    name: str
    arguments: dict[str, Any] | None
    """None when they are no JSON object: such a call is never allowed."""
    raw: str = ""
    """The arguments as they stood in the document."""
    path: Path = ()


class ToolResult(Struct, frozen=True):
    """What a tool answered."""

    call_id: str
    content: tuple[Text | Opaque, ...]
    name: str = ""
    """Name of the tool; codecs fill it from the call with the same id, where it is in the same document."""
    is_error: bool = False
    structured: Any = None
    """Structured content as decoded JSON, where the protocol has it."""
    path: Path = ()


class Opaque(Struct, frozen=True):
    """Something that can't be scanned: an image, a file, an encrypted block, or a type that this version doesn't know."""

    type: str
    """The protocol's own name of it, such as `input_image`."""
    known: bool = False
    """Whether it is a documented type whose content can't be read as text (an image), rather than something unheard of."""
    path: Path = ()


Part = Text | ToolCall | ToolResult | Opaque


class Turn(Struct, frozen=True):
    """One message of a conversation."""

    role: Role
    parts: tuple[Part, ...]


class Tool(Struct, frozen=True):
    """A tool as it is described to the model."""

    name: str
    description: str = ""
    schema: Any = None
    server: str = ""
    """Which MCP server offers it; '' for the agent's own."""
    path: Path = ()


class Request(Struct, frozen=True):
    """A call to a model."""

    protocol: str
    """`openai.chat`, `openai.responses`, `openai.embeddings`, `anthropic.messages` or `anthropic.count_tokens`."""
    model: str
    turns: tuple[Turn, ...]
    tools: tuple[Tool, ...] = ()
    stream: bool = False
    previous: str = ""
    """Id of the stored response that this goes on from (`previous_response_id`)."""
    max_tokens: int = 0
    """0: not stated."""
    opaque: tuple[Opaque, ...] = ()
    """What stands outside of any turn and can't be checked: hosted tools (`tool:mcp`), stored context (`field.conversation`) and
    top-level fields never heard of (`field.foo`)."""
    document: Any = None
    """The decoded wire document; codecs write edits into a copy."""


class Usage(Struct, frozen=True, gc=False):
    """Tokens, as the provider counts them."""

    input: int = 0
    output: int = 0


class Reply(Struct, frozen=True):
    """What a model answered, whole."""

    id: str
    model: str
    parts: tuple[Part, ...]
    finish: str = ""
    usage: Usage = Usage()
    opaque: tuple[Opaque, ...] = ()
    """Top-level fields never heard of."""
    document: Any = None
