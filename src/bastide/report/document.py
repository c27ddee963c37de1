# SPDX-License-Identifier: Apache-2.0
"""What all JSON documents share: how they begin, how they are written, and their schemas (`schemas/*.json`)."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from bastide import __version__

SCHEMA_VERSION = "1.0"
_SCHEMAS = Path(__file__).parent / "schemas"
_UNSAFE = re.compile("[\x7f-\x9f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff\ufffe\uffff]")
_REFERENCE = re.compile(r'"#/\$defs/(\w+)"')


def schema_names() -> tuple[str, ...]:
    """The outputs that have a fixed schema, by name."""
    return tuple(sorted(path.stem for path in _SCHEMAS.glob("[a-z]*.json")))


def schema(name: str) -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of an output, one of `schema_names`, with the definitions that it refers to."""
    found: dict[str, Any] = json.loads((_SCHEMAS / f"{name}.json").read_text(encoding="utf-8"))
    parts: dict[str, Any] = json.loads((_SCHEMAS / "_parts.json").read_text(encoding="utf-8"))
    needed: set[str] = set()
    todo: list[Any] = [found]
    while todo:
        new = set(_REFERENCE.findall(json.dumps(todo.pop()))) - needed
        needed |= new
        todo += [parts[part] for part in new]
    return {**found, "$defs": {part: body for part, body in parts.items() if part in needed}}


def dumps(document: object) -> str:
    """A document as indented JSON that ends with a line break.

    What controls a terminal, turns the writing direction or is no character for YAML is escaped.
    """
    text = json.dumps(document, indent=2, ensure_ascii=False) + "\n"
    return _UNSAFE.sub(lambda match: f"\\u{ord(match.group()):04x}", text)


def head() -> dict[str, Any]:
    """What every document begins with."""
    return {"schema_version": SCHEMA_VERSION, "tool": {"name": "bastide", "version": __version__}}
