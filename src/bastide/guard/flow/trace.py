# SPDX-License-Identifier: Apache-2.0
"""Recorded agent traces, read liberally in documented ways and strictly in all others; a wrong one gets a message with its position.

A file holds one trace (a JSON object), a JSON list of traces, or a trace a line (JSONL). Of the keys that people use for the same thing all
are read: a call is named by `name`, `tool` or `function`, its arguments are `arguments`, `args`, `input` or `parameters` (an object, or one
written as a JSON string), what a tool answered is `content`, `output`, `result` or `text` (a text, a list of content blocks, or any JSON).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

import msgspec

from bastide.errors import Diagnostic, InputError, LimitError, Location, did_you_mean
from bastide.guard.events import Opaque, Text, Tool, ToolCall, ToolResult
from bastide.guard.model import CLASSES
from bastide.guard.settings import ToolMeaning
from bastide.plan.vocabulary import TRUST_LEVELS

MAX_BYTES, MAX_TRACES, MAX_EVENTS, MAX_TOOLS, MAX_DEPTH = 256 * 1024 * 1024, 100_000, 100_000, 2_000, 200
_EFFECTS = {
    "none": "none", "no": "none", "read": "read", "read-only": "read", "readonly": "read", "reversible": "reversible", "write": "reversible",
    "irreversible": "irreversible", "destructive": "irreversible", "yes": "irreversible", "true": "irreversible", "false": "read", "": "",
    "unknown": "",
}  # fmt: skip
_KINDS = {
    "user": "user", "human": "user", "user_message": "user", "system": "system", "developer": "system", "system_message": "system",
    "assistant": "assistant", "ai": "assistant", "model": "assistant", "assistant_message": "assistant", "tool_call": "tool_call",
    "tool_use": "tool_call", "function_call": "tool_call", "call": "tool_call", "tool_result": "tool_result", "tool": "tool_result",
    "tool_output": "tool_result", "function_call_output": "tool_result", "result": "tool_result", "function": "tool_result",
}  # fmt: skip
_NAME, _ARGUMENTS = ("name", "tool", "tool_name", "function"), ("arguments", "args", "input", "parameters")
_CONTENT, _ID = ("content", "output", "result", "text", "message"), ("id", "call_id", "tool_call_id", "tool_use_id")


@dataclass(frozen=True, slots=True)
class Said:
    """Text under a role."""

    role: str
    text: str


@dataclass(frozen=True, slots=True)
class Trace:
    """A recorded run of an agent."""

    agent: str
    user_task: str
    tools: tuple[ToolMeaning, ...]
    described: tuple[Tool, ...]
    """The same tools as the model was told about them."""
    approval: frozenset[str]
    """Tools whose every call a person has to agree to."""
    clearance: Mapping[str, str]
    """Tool -> the highest class of data that it may be sent, where the trace says so."""
    events: tuple[tuple[int, Said | ToolCall | ToolResult], ...]
    """Index in the file's list, and what happened."""
    location: Location = field(default=Location())
    id: str = ""


def read_traces(path: Path) -> tuple[Trace, ...]:
    """The traces of a file. Raises `InputError` with positions, `LimitError` when it is too large."""
    try:
        if path.stat().st_size > MAX_BYTES:
            raise LimitError(f"{path}: more than {MAX_BYTES >> 20} MB")
        data = path.read_bytes()
    except OSError as problem:
        raise InputError(f"{path}: can't be read: {problem.strerror or problem}") from None
    return parse_traces(data, str(path))


def parse_traces(data: bytes, file: str = "<input>") -> tuple[Trace, ...]:
    """The traces in some JSON or JSONL. Raises `InputError` with positions."""
    if not data.strip():
        raise InputError(Diagnostic("no trace: it is empty", Location(file, 1)))
    found: list[Trace] = []
    for line, document in _documents(data, file):
        every = document if isinstance(document, list) else [document]
        for n, one in enumerate(every):
            where = _At(Location(file, line), f"[{n}]" if isinstance(document, list) else "")
            found.append(_trace(where.object(one), where))
            if len(found) > MAX_TRACES:
                raise LimitError(f"{file}: more than {MAX_TRACES} traces")
    return tuple(found)


def _documents(data: bytes, file: str) -> list[tuple[int, Any]]:
    data = data.removeprefix(b"\xef\xbb\xbf")
    try:
        return [(1, _decoded(data))]
    except ValueError as problem:
        lines = data.split(b"\n")
        if sum(bool(li.strip()) for li in lines) < 2 or not lines[0].strip().endswith(b"}"):
            raise _wrong(data, file, 1, problem) from None
    documents = []
    for number, text in enumerate(lines, 1):
        if text.strip():
            try:
                documents.append((number, _decoded(text)))
            except ValueError as problem:
                raise _wrong(text, file, number, problem) from None
    return documents


def _decoded(data: bytes) -> Any:
    try:
        return msgspec.json.decode(data)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _wrong(data: bytes, file: str, first: int, problem: ValueError) -> InputError:
    """The error with line and column; the standard library's reader knows them."""
    try:
        json.loads(data)
    except json.JSONDecodeError as known:
        line = known.doc.splitlines()[known.lineno - 1] if known.doc.splitlines() else ""
        return InputError(
            Diagnostic(
                f"this is no JSON: {known.msg}", Location(file, first + known.lineno - 1, known.colno), line[:2000]
            )
        )
    except (ValueError, RecursionError):
        pass
    return InputError(Diagnostic(f"this is no JSON: {problem}", Location(file, first)))


@dataclass(frozen=True, slots=True)
class _At:
    """Where a value stands, for messages."""

    location: Location
    path: str = ""

    def __truediv__(self, key: str | int) -> _At:
        step = f"[{key}]" if isinstance(key, int) else f".{key}" if self.path else key
        return _At(self.location, self.path + step)

    def fail(self, message: str, hint: str = "") -> NoReturn:
        place = f"`{self.path[:200]}`: " if self.path else ""
        raise InputError(Diagnostic(f"{place}{message}", self.location, hint=hint))

    def object(self, value: Any) -> Mapping[str, Any]:
        if not isinstance(value, dict):
            self.fail(f"has to be an object, is {_what(value)}")
        return value

    def text(self, value: Any, missing: str = "") -> str:
        if value is None:
            return missing
        if not isinstance(value, str):
            self.fail(f"has to be a text, is {_what(value)}")
        return value

    def list(self, value: Any) -> Sequence[Any]:
        if value is None:
            return ()
        if not isinstance(value, list):
            self.fail(f"has to be a list, is {_what(value)}")
        return value


def _what(value: Any) -> str:
    names = {dict: "an object", list: "a list", str: "a text", bool: "true or false", type(None): "null"}
    return names.get(type(value), "a number")


def _trace(value: Mapping[str, Any], at: _At) -> Trace:
    events = next((k for k in ("events", "messages", "trace") if k in value), None)
    if events is None:
        at.fail(
            "has no `events`",
            did_you_mean("events", value) if value else "a trace is {agent, user_task, tools, events}",
        )
    tools = _tools(value.get("tools"), at / "tools")
    listed = (at / events).list(value[events])
    if len(listed) > MAX_EVENTS:
        raise LimitError(f"{at.location}: more than {MAX_EVENTS} events")
    reader = _Events()
    happened = tuple(
        x for i, e in enumerate(listed) for x in reader.read(i, (at / events / i).object(e), at / events / i)
    )
    return Trace(
        agent=(at / "agent").text(value.get("agent"), "agent") or "agent",
        user_task=(at / "user_task").text(value.get("user_task")),
        tools=tuple(t.meaning for t in tools),
        described=tuple(t.tool for t in tools),
        approval=frozenset(t.tool.name for t in tools if t.approval),
        clearance={t.tool.name: t.clearance for t in tools if t.clearance},
        events=happened,
        location=at.location,
        id=str(value.get("id") or value.get("trace_id") or ""),
    )


@dataclass(frozen=True, slots=True)
class _Tool:
    meaning: ToolMeaning
    tool: Tool
    approval: bool
    clearance: str


def _tools(value: Any, at: _At) -> list[_Tool]:
    if isinstance(value, dict):
        value = [{"name": name, **(at / name).object(facts)} for name, facts in value.items()]
    listed = at.list(value)
    if len(listed) > MAX_TOOLS:
        raise LimitError(f"{at.location}: more than {MAX_TOOLS} tools")
    found = [_tool({"name": t} if isinstance(t, str) else (at / i).object(t), at / i) for i, t in enumerate(listed)]
    seen: set[str] = set()
    for i, tool in enumerate(found):
        if tool.tool.name in seen:
            (at / i).fail(f"the tool `{tool.tool.name[:80]}` is there twice")
        seen.add(tool.tool.name)
    return found


def _tool(value: Mapping[str, Any], at: _At) -> _Tool:
    if isinstance(value.get("function"), dict):
        value = {**value, **value["function"]}
    value = {str(k).replace("-", "_"): v for k, v in value.items()}
    name = (at / "name").text(value.get("name"))
    if not name:
        at.fail("a tool needs a `name`")
    outbound = value.get("outbound")
    if outbound is not None and not isinstance(outbound, bool):
        (at / "outbound").fail(f"has to be true or false, is {_what(outbound)}")
    meaning = ToolMeaning(
        name=name,
        side_effect=_effect(value.get("side_effect"), at / "side_effect"),
        outbound=outbound,
        result_trust=_level(value.get("result_trust"), TRUST_LEVELS, at / "result_trust"),
        result_class=_level(value.get("result_class"), CLASSES, at / "result_class"),
        field_trust={
            str(k): _level(v, TRUST_LEVELS, at / "fields" / str(k))
            for k, v in (at / "fields").object(value.get("fields") or {}).items()
        },
        arguments=_roles(value.get("arguments"), at / "arguments"),
        endorses=_level(value.get("endorses"), TRUST_LEVELS, at / "endorses"),
        memory=_level(value.get("memory"), ("read", "write"), at / "memory"),
    )
    schema = next((value[k] for k in ("schema", "parameters", "input_schema", "inputSchema") if k in value), None)
    description = value.get("description")
    tool = Tool(name, description if isinstance(description, str) else "", schema, str(value.get("server") or ""))
    return _Tool(
        meaning,
        tool,
        value.get("approval") in (True, "human"),
        _level(value.get("clearance"), CLASSES, at / "clearance"),
    )


def _effect(value: Any, at: _At) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "irreversible" if value else "read"
    word = at.text(value).strip().lower().replace("_", "-")
    if word not in _EFFECTS:
        at.fail(
            f"there is no side effect `{word[:40]}`", did_you_mean(word, ("none", "read", "reversible", "irreversible"))
        )
    return _EFFECTS[word]


def _level(value: Any, known: Sequence[str], at: _At) -> str:
    word = at.text(value).strip().lower()
    if word and word not in known:
        at.fail(f"`{word[:40]}` is none of {', '.join(known)}", did_you_mean(word, known))
    return word


def _roles(value: Any, at: _At) -> dict[str, Any]:
    roles = {}
    for name, role in at.object(value or {}).items():
        # An object is a JSON Schema of the argument, which says nothing about what it decides.
        if not isinstance(role, dict):
            roles[str(name)] = _level(role, ("target", "content", "free"), at / str(name))
    return {n: r for n, r in roles.items() if r}


class _Events:
    """Reads events in order, and joins results to calls."""

    def __init__(self) -> None:
        self.calls: list[ToolCall] = []
        self.answered: set[str] = set()

    def read(self, index: int, value: Mapping[str, Any], at: _At) -> list[tuple[int, Said | ToolCall | ToolResult]]:
        word = value.get("type", value.get("role"))
        kind = _KINDS.get(word) if isinstance(word, str) else None
        if kind is None and word == "message" and isinstance(value.get("role"), str):
            kind = _KINDS.get(value["role"])
        if kind is None:
            (at / "type").fail(
                f"there is no event `{str(word)[:40]}`" if word is not None else "an event needs a `type`",
                "known: user, system, assistant, tool_call, tool_result",
            )
        if kind == "tool_call":
            return [(index, self._call(value, at))]
        if kind == "tool_result":
            return [(index, self._result(value))]
        found: list[tuple[int, Said | ToolCall | ToolResult]] = [
            (index, Said(kind, _plain(_first(value, _CONTENT), at)))
        ]
        nested = value.get("tool_calls")
        found += [
            (index, self._call((at / "tool_calls" / i).object(c), at / "tool_calls" / i))
            for i, c in enumerate(nested or ())
        ]
        return found

    def _call(self, value: Mapping[str, Any], at: _At) -> ToolCall:
        if isinstance(value.get("function"), dict):
            value = {**value, **value["function"], "function": None}
        name = _first(value, _NAME)
        if not isinstance(name, str) or not name:
            at.fail("a tool call needs the `name` of a tool")
        given = _first(value, _ARGUMENTS)
        raw = given if isinstance(given, str) else ""
        if raw:
            try:
                given = _decoded(raw.encode("utf-8", "replace"))
            except ValueError:
                given = raw
        arguments = {} if given is None else given if isinstance(given, dict) else None
        id = _first(value, _ID)
        call = ToolCall(str(id) if id is not None else f"#{len(self.calls)}", name, arguments, raw)
        self.calls.append(call)
        return call

    def _result(self, value: Mapping[str, Any]) -> ToolResult:
        id, name = _first(value, _ID), _first(value, _NAME)
        call = self._of(id, name)
        if call is not None:
            self.answered.add(call.id)
        content = _first(value, _CONTENT)
        if content is None and "error" in value:
            content = value["error"]
        known = name if isinstance(name, str) else call.name if call else ""
        error = bool(value.get("is_error") or value.get("error"))
        return ToolResult(call.id if call else str(id or ""), _parts(content), known, error)

    def _of(self, id: Any, name: Any) -> ToolCall | None:
        if id is not None:
            return next((c for c in reversed(self.calls) if c.id == str(id)), None)
        waiting = [c for c in self.calls if c.id not in self.answered and (not isinstance(name, str) or c.name == name)]
        return waiting[0] if waiting else None


def _first(value: Mapping[str, Any], keys: Sequence[str]) -> Any:
    return next((value[k] for k in keys if value.get(k) is not None), None)


def _plain(content: Any, at: _At) -> str:
    if content is None:
        return ""
    if isinstance(content, list):
        return "\n".join(t.text for t in _parts(content) if isinstance(t, Text))
    return at.text(content)


def _parts(content: Any) -> tuple[Text | Opaque, ...]:
    """A tool's answer: blocks like `{type: text, text}` are taken apart, other JSON is kept as JSON."""
    if content is None:
        return ()
    if isinstance(content, str):
        return (Text(content),)
    if (
        isinstance(content, list)
        and content
        and all(isinstance(b, dict) and isinstance(b.get("type"), str) for b in content)
    ):
        blocks = [Text(b["text"]) if isinstance(b.get("text"), str) else Opaque(b["type"]) for b in content]
        if any(isinstance(b, Text) for b in blocks):
            return tuple(blocks)
    return (Text(msgspec.json.encode(content).decode()),)
