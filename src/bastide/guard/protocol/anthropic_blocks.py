# SPDX-License-Identifier: Apache-2.0
"""The content blocks of Anthropic's Messages, in requests and replies."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from bastide.errors import Malformed, UpstreamError
from bastide.guard.calls import CallNames
from bastide.guard.events import Opaque, Part, Path, Text, ToolCall, ToolResult
from bastide.guard.protocol import wire

_ANY = wire.words("type id name input tool_use_id content caller cache_control file_id")
_FIELDS: Mapping[str, frozenset[str]] = {
    "text": wire.words("type text cache_control citations"),
    "image": wire.words("type source cache_control transformations"),
    "document": wire.words("type source title context cache_control citations"),
    "search_result": wire.words("type source title content cache_control citations"),
    "thinking": wire.words("type thinking signature"),
    "redacted_thinking": wire.words("type data"),
    "tool_use": wire.words("type id name input cache_control caller toolset_name"),
    "tool_result": wire.words("type tool_use_id content is_error cache_control toolset_name"),
}
"""What is read of each type of block, and what has no text; a text in a field of another type's would be overlooked."""
_SERVER_RESULTS = wire.words(
    "web_search_tool_result web_fetch_tool_result code_execution_tool_result bash_code_execution_tool_result "
    "text_editor_code_execution_tool_result tool_search_tool_result mcp_tool_result advisor_tool_result"
)
_NOT_OF_A_MODEL = frozenset({"tool_result", "document", "search_result"})
"""Blocks that only requests have; in a reply they would bring in somebody else's text."""


def unknown_in(block: dict[str, Any], kind: str, path: Path = ()) -> tuple[Opaque, ...]:
    """The fields of a block that its type doesn't have."""
    return wire.unknown_fields(block, _FIELDS.get(kind, _ANY), "block", path)


class Blocks:
    """Reads blocks; remembers the names of calls, so that results know their tool."""

    def __init__(self, wrong: wire.Wrong = Malformed) -> None:
        self._wrong = wrong
        self._names = CallNames()

    def content(self, value: Any, path: Path) -> Iterator[Part]:
        """A string or an array of blocks."""
        if type(value) is str:
            if value:
                yield Text(value, path)
            return
        if type(value) is not list:
            raise wire.fail(path, "a string or an array of blocks", self._wrong)
        for number, item in enumerate(value):
            yield from self.block(item, (*path, number))

    def block(self, value: Any, path: Path) -> Iterator[Part]:
        """One block of a message."""
        block = wire.need_object(value, path, self._wrong)
        kind = wire.need_string(block.get("type"), (*path, "type"), self._wrong)
        if self._wrong is UpstreamError and kind in _NOT_OF_A_MODEL:
            yield Opaque(kind, False, path)
        if kind == "tool_use":
            yield self._call(block, path)
        elif kind == "tool_result":
            yield self._result(block, path)
        elif kind in _SERVER_RESULTS:
            id_ = self._string(block, "tool_use_id", path)
            yield Opaque(kind, False, path)
            texts = wire.leaves(block.get("content"), (*path, "content"))
            yield ToolResult(id_, tuple(texts), self._names.answered(id_), path=path)
        elif kind in ("document", "search_result"):
            # Somebody else may have written it, so it counts as what a tool of this name answered, not as the speaker's words.
            yield ToolResult("", tuple(self._plain(block, kind, path)), kind, path=path)
        else:
            yield from self._plain(block, kind, path)
        yield from unknown_in(block, kind, path)

    def _string(self, block: dict[str, Any], key: str, path: Path) -> str:
        return wire.need_string(block.get(key), (*path, key), self._wrong)

    def _call(self, block: dict[str, Any], path: Path) -> ToolCall:
        id_, name = self._string(block, "id", path), self._string(block, "name", path)
        self._names.called(id_, name)
        at = (*path, "input")
        arguments = wire.need_object(block.get("input"), at, self._wrong)
        return ToolCall(id_, name, arguments, wire.encode(arguments).decode(), at)

    def _result(self, block: dict[str, Any], path: Path) -> ToolResult:
        id_ = self._string(block, "tool_use_id", path)
        content: list[Text | Opaque] = []
        value, at = block.get("content"), (*path, "content")
        if type(value) is str:
            content += [Text(value, at)] if value else []
        elif value is not None:
            for number, item in enumerate(wire.need_list(value, at, self._wrong)):
                content += self._inner(item, (*at, number))
        return ToolResult(id_, tuple(content), self._names.answered(id_), block.get("is_error") is True, path=path)

    def _inner(self, value: Any, path: Path) -> Iterator[Text | Opaque]:
        """A block inside of another one: text, media and documents only."""
        block = wire.need_object(value, path, self._wrong)
        kind = wire.need_string(block.get("type"), (*path, "type"), self._wrong)
        yield from self._plain(block, kind, path)
        yield from unknown_in(block, kind, path)

    def _plain(self, block: dict[str, Any], kind: str, path: Path) -> Iterator[Text | Opaque]:
        if kind == "text":
            yield Text(self._string(block, "text", path), (*path, "text"))
            if (citations := block.get("citations")) is not None:
                yield from wire.sources(citations, (*path, "citations"))
        elif kind == "thinking":
            yield Text(self._string(block, "thinking", path), (*path, "thinking"))
        elif kind == "document":
            yield from self._document(block, path)
        elif kind == "search_result":
            yield from self._texts(block, ("title", "source"), path)
            yield from self._texts_of_list(block.get("content"), (*path, "content"))
        else:
            yield Opaque(kind, kind in ("image", "redacted_thinking"), path)

    def _texts(self, block: dict[str, Any], keys: tuple[str, ...], path: Path) -> Iterator[Text]:
        for key in keys:
            if (text := block.get(key)) is not None:
                yield Text(wire.need_string(text, (*path, key), self._wrong), (*path, key))

    def _document(self, block: dict[str, Any], path: Path) -> Iterator[Text | Opaque]:
        yield from self._texts(block, ("title", "context"), path)
        at = (*path, "source")
        source = wire.need_object(block.get("source"), at, self._wrong)
        kind = source.get("type")
        if kind == "text":
            yield Text(self._string(source, "data", at), (*at, "data"))
        elif kind == "content":
            yield from self._texts_of_list(source.get("content"), (*at, "content"))
        else:
            yield Opaque("document", kind in ("base64", "url", "file"), path)

    def _texts_of_list(self, value: Any, path: Path) -> Iterator[Text | Opaque]:
        if type(value) is str:
            yield Text(value, path)
            return
        for number, item in enumerate(wire.need_list(value, path, self._wrong)):
            at = (*path, number)
            block = wire.need_object(item, at, self._wrong)
            if block.get("type") == "text":
                yield Text(self._string(block, "text", at), (*at, "text"))
            else:
                yield Opaque(wire.short(str(block.get("type"))), block.get("type") == "image", at)
