# SPDX-License-Identifier: Apache-2.0
"""The texts in MCP documents: found wherever they stand, and written back to the same place.

Every string counts as text, also in fields that nobody has heard of; only what is known to be base64 of a picture, a sound or a file is
opaque. So nothing passes because it stands where nobody looked.
"""

from __future__ import annotations

import copy
from typing import Any

from bastide.errors import TooLarge
from bastide.guard.events import Opaque, Path, Text, ToolCall, ToolResult
from bastide.guard.mcp.messages import invalid

MAX_TEXTS = 20_000
"""Strings of one document; more is refused."""
MAX_KEY = 200
"""Characters of a key. Models read keys too, so a key is no place for a story."""
BLOCKS = frozenset({"text", "image", "audio", "resource", "resource_link"})
_MEDIA = frozenset({"image", "audio"})
_RESULT_KEYS = frozenset({"content", "structuredContent", "isError", "_meta", "resultType"})


def texts(document: Any, path: Path = ()) -> tuple[list[Text], list[Opaque]]:
    """All strings in a document with their paths, and what is in it that can't be read.

    Raises `Malformed` on a key longer than 200 characters and `TooLarge` on more than 20,000 strings.
    """
    found: list[Text] = []
    opaque: list[Opaque] = []
    # A list in place of recursion; reversed, so that texts come in the order of the document.
    waiting: list[tuple[Path, Any]] = [(path, document)]
    while waiting:
        at, one = waiting.pop()
        if isinstance(one, str):
            found.append(Text(one, at))
            if len(found) > MAX_TEXTS:
                raise TooLarge(f"the message has over {MAX_TEXTS} texts")
        elif isinstance(one, dict):
            waiting += [((*at, key), value) for key, value in reversed(one.items()) if _readable(one, key, at, opaque)]
        elif isinstance(one, list):
            waiting += [((*at, i), one[i]) for i in range(len(one) - 1, -1, -1)]
    return found, opaque


def _readable(parent: dict[str, Any], key: str, at: Path, opaque: list[Opaque]) -> bool:
    """Whether a member is to be looked into; notes it when it can't be."""
    if len(key) > MAX_KEY:
        raise invalid(f"a key is longer than {MAX_KEY} characters")
    value = parent[key]
    if key == "blob" and isinstance(value, str):
        opaque.append(Opaque("blob", True, (*at, key)))
        return False
    if key == "data" and parent.get("type") in _MEDIA and isinstance(value, str):
        opaque.append(Opaque(parent["type"], True, (*at, key)))
        return False
    return not (key == "type" and value in BLOCKS)


def replace(document: Any, changes: dict[Path, str]) -> Any:
    """A copy of the document with other strings at the paths; the document itself when there are none."""
    if not changes:
        return document
    changed = copy.deepcopy(document)
    for path, text in changes.items():
        place = changed
        for step in path[:-1]:
            place = place[step]
        place[path[-1]] = text
    return changed


def tool_result(call: ToolCall, body: dict[str, Any]) -> ToolResult:
    """The result of a tool call as an event; paths are relative to `body`.

    Raises `Malformed` when it isn't shaped like one.
    """
    blocks = body.get("content", [])
    if not isinstance(blocks, list) or not all(isinstance(b, dict) for b in blocks):
        raise invalid("the `content` of a tool's result is a list of objects")
    if not isinstance(body.get("isError", False), bool):
        raise invalid("`isError` is true or false")
    parts: list[Text | Opaque] = []
    for i, block in enumerate(blocks):
        if block.get("type") not in BLOCKS:
            parts.append(Opaque(str(block.get("type", ""))[:100], False, ("content", i)))
            continue
        found, opaque = texts(block, ("content", i))
        parts += [*found, *opaque]
    parts += texts(body.get("_meta"), ("_meta",))[0]
    # Walked for its bounds alone; the gate gets it as it is.
    texts(body.get("structuredContent"))
    return ToolResult(str(call.id), tuple(parts), call.name, body.get("isError", False), body.get("structuredContent"))


def written(body: dict[str, Any], before: ToolResult, after: ToolResult) -> dict[str, Any]:
    """The result's document with what the gate made of it; fields that MCP doesn't know are left out."""
    known = body if body.keys() <= _RESULT_KEYS else {k: v for k, v in body.items() if k in _RESULT_KEYS}
    if after is before:
        return known
    was = {part.path: part for part in before.content}
    kept = {part.path for part in after.content}
    changes = {p.path: p.text for p in after.content if isinstance(p, Text) and p.path in was and p != was[p.path]}
    made: dict[str, Any] = dict(replace(known, changes))
    gone = [path for path in was if path not in kept]
    if any(path[0] == "_meta" for path in gone):
        made.pop("_meta", None)
    blocks = list(made.get("content", []))
    for index in {path[1] for path in gone if path[0] == "content"}:
        blocks[int(index)] = {"type": "text", "text": "[removed by the guard]"}
    blocks += [{"type": "text", "text": p.text} for p in after.content if isinstance(p, Text) and p.path not in was]
    made["content"] = blocks
    if after.structured is not before.structured:
        made.pop("structuredContent", None)
        if after.structured is not None:
            made["structuredContent"] = after.structured
    if after.is_error:
        made["isError"] = True
    return made
