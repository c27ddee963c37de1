# SPDX-License-Identifier: Apache-2.0
"""Pins: the digests of a server's tools as people reviewed them, so that a later change (a "rug pull") is seen.

The file is JSON, sorted, one tool an entry, so that a review shows what changed::

    {"bastide-pins": 1, "server": "crm", "instructions": "sha256:...", "tools": [
      {"name": "read_customer", "digest": "sha256:...", "description": "Reads a customer record."}]}

Source: "rug pull" as in Invariant Labs' report on MCP (2025); MITRE ATLAS AML.T0110 (AI agent tool poisoning).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal

import msgspec
from msgspec import Struct

from bastide.errors import Diagnostic, Location, SettingsError
from bastide.guard.mcp.descriptions import invisible
from bastide.guard.settings import McpServer

FORMAT = 1
MAX_FILE = 16 << 20
_EXCERPT = 300
PINNED = ("name", "title", "description", "inputSchema", "outputSchema", "annotations")
"""Members of a tool that its digest covers."""


class Pin(Struct, frozen=True):
    """One reviewed tool."""

    name: str
    digest: str
    description: str = ""
    """Its beginning, for the reviewer; not compared."""


class Pins(Struct, frozen=True):
    """What was reviewed of one server."""

    server: str
    tools: Mapping[str, Pin]
    instructions: str = ""
    """Digest of the server's instructions; '' when it had none."""


class Difference(Struct, frozen=True):
    """One thing that isn't as it was reviewed."""

    state: Literal["new", "changed", "removed"]
    name: str
    """Of the tool; '' for the server's instructions."""
    before: str = ""
    after: str = ""


def digest(tool: Mapping[str, Any]) -> str:
    """The digest of everything about a tool that a model reads: names, texts, schemas, annotations. Icons and `_meta` don't count.

    Canonical form: the members that are there and not null, keys sorted, no white space, UTF-8.
    """
    pinned = {key: tool[key] for key in PINNED if tool.get(key) is not None}
    return _sha256(json.dumps(pinned, sort_keys=True, ensure_ascii=False, separators=(",", ":")))


def digest_text(text: str) -> str:
    """The digest of a server's instructions; '' of none."""
    return _sha256(text) if text else ""


def _sha256(text: str) -> str:
    return "sha256:" + hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def pin(server: str, tools: Iterable[Mapping[str, Any]], instructions: str = "") -> Pins:
    """Pins for tools as they are on the wire."""
    made = {str(t["name"]): Pin(str(t["name"]), digest(t), excerpt(str(t.get("description") or ""))) for t in tools}
    return Pins(server, made, digest_text(instructions))


def excerpt(text: str) -> str:
    """The beginning of a text; characters that a reviewer wouldn't see are written as `\\u{200b}`."""
    shown = text[:_EXCERPT]
    visible = "".join(f"\\u{{{ord(c):x}}}" if invisible(c) else c for c in shown)
    return visible + ("..." if len(text) > _EXCERPT else "")


def compare(before: Pins, after: Pins) -> list[Difference]:
    """What differs, sorted by name."""
    found = []
    if before.instructions != after.instructions:
        found.append(Difference("changed", "", before.instructions, after.instructions))
    for name in sorted({*before.tools, *after.tools}):
        old, new = before.tools.get(name), after.tools.get(name)
        if old is None and new is not None:
            found.append(Difference("new", name, "", new.description))
        elif new is None and old is not None:
            found.append(Difference("removed", name, old.description, ""))
        elif old is not None and new is not None and old.digest != new.digest:
            found.append(Difference("changed", name, old.description, new.description))
    return found


def dumps(pins: Pins) -> str:
    """The file."""
    tools = [msgspec.to_builtins(pins.tools[name]) for name in sorted(pins.tools)]
    document = {"bastide-pins": FORMAT, "server": pins.server, "instructions": pins.instructions, "tools": tools}
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def load(path: Path) -> Pins:
    """The pins in a file. Raises `SettingsError` when it can't be read or isn't one."""
    try:
        with path.open("rb") as stream:
            data = stream.read(MAX_FILE + 1)
    except (OSError, ValueError) as problem:
        why = getattr(problem, "strerror", None) or "no such name is possible"
        raise _wrong(path, f"the pins can't be read: {why}", "`bastide guard pin` writes them") from None
    if len(data) > MAX_FILE:
        raise _wrong(path, f"the file has over {MAX_FILE >> 20} MiB")
    return loads(data, path)


def load_all(servers: Iterable[McpServer]) -> dict[str, Pins]:
    """Server -> its pins, of those that have a file. Raises `SettingsError`."""
    found = {}
    for server in servers:
        if server.pins is not None:
            pins = load(server.pins)
            if pins.server != server.component:
                raise _wrong(server.pins, f"has the pins of `{pins.server}`, not of `{server.component}`")
            found[server.component] = pins
    return found


class _File(Struct, forbid_unknown_fields=True):
    version: int = msgspec.field(name="bastide-pins")
    server: str
    tools: list[Pin]
    instructions: str = ""


def loads(data: bytes, path: Path = Path("<pins>")) -> Pins:
    """The pins in a document. Raises `SettingsError`."""
    try:
        read = msgspec.json.decode(data, type=_File)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as problem:
        raise _wrong(path, f"is no file of pins: {problem}", "`bastide guard pin` writes one") from None
    if read.version != FORMAT:
        raise _wrong(path, f"has the format {read.version}; this version reads {FORMAT}")
    tools = {one.name: one for one in read.tools}
    if len(tools) != len(read.tools):
        raise _wrong(path, "has a tool twice")
    return Pins(read.server, tools, read.instructions)


def _wrong(path: Path, why: str, hint: str = "") -> SettingsError:
    return SettingsError(Diagnostic(why, Location(str(path)), "", hint))
