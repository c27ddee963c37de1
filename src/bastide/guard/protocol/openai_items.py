# SPDX-License-Identifier: Apache-2.0
"""The items of OpenAI's Responses: what stands in `input` and in `output`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from bastide.errors import Malformed, UpstreamError
from bastide.guard.calls import CallNames
from bastide.guard.events import Opaque, Part, Path, Role, Text, Tool, ToolCall, ToolResult, Turn
from bastide.guard.protocol import wire

CLIENT_CALLS: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "computer_call": ("computer", ("action", "actions")),
    "local_shell_call": ("local_shell", ("action",)),
    "shell_call": ("shell", ("action",)),
    "apply_patch_call": ("apply_patch", ("operation",)),
    "tool_search_call": ("tool_search", ("arguments",)),
}
"""Calls that the client runs, of tools that the protocol itself names: type -> name, keys of the arguments."""
_RESULTS = wire.words(
    "function_call_output custom_tool_call_output computer_call_output local_shell_call_output shell_call_output "
    "apply_patch_call_output"
)
_HOSTED: Mapping[str, tuple[str, ...]] = {
    "file_search_call": ("queries", "results"),
    "web_search_call": ("action",),
    "code_interpreter_call": ("code", "outputs"),
    "image_generation_call": ("revised_prompt",),
    "mcp_call": ("arguments", "output", "error"),
    "mcp_list_tools": ("tools", "error"),
    "program": ("code",),
    "program_output": ("result",),
}
"""What the provider has run by itself: type -> keys with readable content."""
_KNOWN = frozenset({"compaction", "compaction_trigger", "configuration_update"})
_MEDIA = frozenset({"input_image", "input_file", "input_audio", "computer_screenshot"})
_HEAD = wire.words("type id status created_by")
_CALL = _HEAD | wire.words("call_id name namespace caller async")
_RESULT = _HEAD | wire.words("call_id name namespace caller output max_output_length acknowledged_safety_checks")
_FIELDS: Mapping[str, frozenset[str]] = {
    "message": _HEAD | wire.words("role content phase"),
    "reasoning": _HEAD | wire.words("summary content encrypted_content"),
    "compaction": _HEAD | wire.words("encrypted_content"),
    "function_call": _CALL | {"arguments"},
    "custom_tool_call": _CALL | {"input"},
    "computer_call": _CALL | wire.words("action actions pending_safety_checks"),
    "shell_call": _CALL | wire.words("action environment"),
    "local_shell_call": _CALL | {"action"},
    "apply_patch_call": _CALL | {"operation"},
    "tool_search_call": _CALL | wire.words("arguments execution"),
    "tool_search_output": _HEAD | wire.words("call_id tools execution"),
    "additional_tools": _HEAD | wire.words("role tools"),
    "configuration_update": _HEAD | wire.words("reasoning text"),
    "item_reference": _HEAD,
    "compaction_trigger": _HEAD,
    **dict.fromkeys(_RESULTS, _RESULT),
}
"""What is read of each type of item, and what has no text; a text in a field of another type's would be overlooked."""
_OF_PARTS: Mapping[str, frozenset[str]] = {
    "output_text": wire.words("type text annotations logprobs"),
    "refusal": wire.words("type refusal"),
    "input_image": wire.words("type image_url file_id detail prompt_cache_breakpoint"),
    "input_file": wire.words("type file_id file_data file_url filename detail prompt_cache_breakpoint"),
    "input_audio": wire.words("type input_audio"),
}
_TEXT_PART = wire.words("type text prompt_cache_breakpoint")
_TOOL = wire.words(
    "type name description parameters strict format async allowed_callers defer_loading output_schema tools"
)
_ROLES = {role.value: role for role in Role if role is not Role.TOOL}


class Items:
    """Reads items; remembers the names of calls, so that results know their tool."""

    def __init__(self, wrong: wire.Wrong = Malformed) -> None:
        self._wrong = wrong
        self._replying = (
            wrong is UpstreamError
        )  # results and tools in a reply mean that the provider ran something by itself
        self._names = CallNames()
        self.tools: list[Tool] = []
        self.opaque: list[Opaque] = []

    def turn(self, value: Any, path: Path) -> Turn:
        """One item as a turn of its speaker."""
        item = wire.need_object(value, path, self._wrong)
        kind = item_type(item)
        for key in ("id", "call_id", "status", "phase"):
            if key in item:
                wire.need_id(item[key], (*path, key), self._wrong)
        role = Role.ASSISTANT
        if kind == "message":
            said = _ROLES.get(self._string(item, "role", path))
            if said is None:
                raise wire.fail((*path, "role"), "one of " + ", ".join(_ROLES), self._wrong)
            role = said
        elif kind in _RESULTS or kind in _HOSTED:
            role = Role.TOOL
        parts = (*self._parts(item, kind, path), *_unknown_in(item, kind, path))
        return Turn(role, parts)

    def _string(self, value: dict[str, Any], key: str, path: Path) -> str:
        return wire.need_string(value.get(key), (*path, key), self._wrong)

    def _parts(self, item: dict[str, Any], kind: str, path: Path) -> Iterator[Part]:
        if kind == "message":
            yield from self.content(item.get("content"), (*path, "content"))
        elif is_call(item):
            call = self.call(item, path)
            self._names.called(call.id, call.name)
            yield call
        elif kind in _RESULTS:
            if self._replying:
                yield Opaque(kind, False, path)
            yield self._result(item, kind, path)
        elif kind in _HOSTED:
            texts = [text for key in _HOSTED[kind] for text in wire.leaves(item.get(key), (*path, key))]
            yield Opaque(kind, False, path)
            yield ToolResult("", tuple(texts), kind, path=path)
        elif kind == "reasoning":
            yield from self._reasoning(item, path)
        elif kind in ("additional_tools", "tool_search_output"):
            if self._replying:
                yield Opaque(kind, False, path)
            self.add_tools(item.get("tools"), (*path, "tools"))
        else:
            yield Opaque(wire.short(kind), kind in _KNOWN, path)

    def content(self, value: Any, path: Path) -> Iterator[Text | Opaque]:
        """A string or an array of parts."""
        if type(value) is str:
            if value:
                yield Text(value, path)
            return
        if type(value) is not list:
            raise wire.fail(path, "a string or an array of parts", self._wrong)
        for number, entry in enumerate(value):
            yield from self._part(entry, (*path, number))

    def _part(self, entry: Any, path: Path) -> Iterator[Text | Opaque]:
        part = wire.need_object(entry, path, self._wrong)
        kind = self._string(part, "type", path)
        if kind in ("input_text", "output_text", "text", "summary_text", "reasoning_text"):
            yield Text(self._string(part, "text", path), (*path, "text"))
            if (notes := part.get("annotations")) is not None:
                yield from wire.sources(notes, (*path, "annotations"))
        elif kind == "refusal":
            yield Text(self._string(part, "refusal", path), (*path, "refusal"))
        else:
            yield Opaque(wire.short(kind), kind in _MEDIA, path)
        yield from unknown_in_part(part, kind, path)

    def _reasoning(self, item: dict[str, Any], path: Path) -> Iterator[Part]:
        for key in ("summary", "content"):
            if (value := item.get(key)) is not None:
                yield from self.content(value, (*path, key))
        if item.get("encrypted_content") is not None:
            yield Opaque("reasoning.encrypted_content", True, (*path, "encrypted_content"))

    def call(self, item: dict[str, Any], path: Path) -> ToolCall:
        """A call that the client is to run; its path leads to the arguments, where they stand in one place."""
        kind = item["type"]
        id_ = item.get("call_id")
        id_ = item.get("id") if id_ is None else id_
        id_ = wire.need_string(id_, (*path, "call_id"), self._wrong)
        if kind in CLIENT_CALLS:
            name, keys = CLIENT_CALLS[kind]
            found = {key: item[key] for key in keys if item.get(key) is not None}
            return ToolCall(id_, name, found, wire.encode(found).decode())
        name = self._string(item, "name", path)
        if item.get("namespace") is not None:
            name = f"{self._string(item, 'namespace', path)}.{name}"
        if kind == "custom_tool_call":
            raw = self._string(item, "input", path)
            return ToolCall(id_, name, {"input": raw}, raw, (*path, "input"))
        raw = self._string(item, "arguments", path)
        return ToolCall(id_, name, wire.arguments(raw, strict=self._wrong is not Malformed), raw, (*path, "arguments"))

    def _result(self, item: dict[str, Any], kind: str, path: Path) -> ToolResult:
        id_ = item.get("call_id")
        id_ = item.get("id") if id_ is None else id_
        id_ = "" if id_ is None else wire.need_string(id_, (*path, "call_id"), self._wrong)
        output, at = item.get("output"), (*path, "output")
        content: tuple[Text | Opaque, ...]
        if kind == "computer_call_output":
            content = (Opaque("computer_screenshot", True, at),)
        elif kind == "shell_call_output":
            content = tuple(wire.leaves(output, at))
        else:
            content = tuple(self.content(output, at)) if output is not None else ()
        return ToolResult(id_, content, self._names.answered(id_), item.get("status") == "failed", path=path)

    def add_tools(self, value: Any, path: Path, namespace: str = "") -> None:
        """Reads descriptions of tools into `tools`, and hosted ones into `opaque`."""
        if value is None:
            return
        for number, entry in enumerate(wire.need_list(value, path, self._wrong)):
            at = (*path, number)
            tool = wire.need_object(entry, at, self._wrong)
            kind = self._string(tool, "type", at)
            if kind in ("function", "custom"):
                self.opaque += wire.unknown_fields(tool, _TOOL, "tool", at)
                self.tools.append(self._tool(tool, at, namespace))
            elif kind == "namespace" and not namespace:
                self.opaque += wire.unknown_fields(tool, _TOOL, "tool", at)
                self.tools.append(self._tool(tool, at, ""))
                self.add_tools(tool.get("tools"), (*at, "tools"), self._string(tool, "name", at))
            else:
                # The calls of these come to the client, and so through the guard; all other tools run at the provider.
                ours = kind in ("computer", "computer_use_preview", "local_shell", "apply_patch") or _local_shell(tool)
                self.opaque.append(Opaque(f"tool:{wire.short(kind)}", ours, at))

    def _tool(self, tool: dict[str, Any], path: Path, namespace: str) -> Tool:
        name = self._string(tool, "name", path)
        text = tool.get("description")
        schema = tool.get("parameters")
        return Tool(
            f"{namespace}.{name}" if namespace else name,
            "" if text is None else wire.need_string(text, (*path, "description"), self._wrong),
            tool.get("format") if schema is None else schema,
            path=path,
        )


def _unknown_in(item: dict[str, Any], kind: str, path: Path) -> tuple[Opaque, ...]:
    known = _FIELDS.get(kind)
    # Of what ran at the provider everything is opaque already.
    return () if known is None else wire.unknown_fields(item, known, "item", path)


def unknown_in_part(part: dict[str, Any], kind: str, path: Path = ()) -> tuple[Opaque, ...]:
    """The fields of a part that its type doesn't have."""
    return wire.unknown_fields(part, _OF_PARTS.get(kind, _TEXT_PART), "part", path)


def item_type(item: dict[str, Any]) -> str:
    """The type of an item; a message and a reference may leave it out."""
    kind = item.get("type")
    if kind is None:
        return "message" if "role" in item else "item_reference"
    return kind if type(kind) is str else "?"


def is_call(item: dict[str, Any]) -> bool:
    """Whether the item asks the client to run something."""
    kind = item_type(item)
    if kind == "shell_call":
        return _local_shell(item)
    if kind == "tool_search_call":
        return item.get("execution") == "client"
    return kind in ("function_call", "custom_tool_call") or kind in CLIENT_CALLS


def _local_shell(item: dict[str, Any]) -> bool:
    """Whether a shell, or a call of it, runs at the client and not in the provider's container."""
    if item.get("type") not in ("shell", "shell_call"):
        return False
    environment = item.get("environment")
    return environment is None or (type(environment) is dict and environment.get("type") == "local")
