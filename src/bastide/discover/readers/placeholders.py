# SPDX-License-Identifier: Apache-2.0
"""`${{ secrets.KEY }}`, `${env:KEY}`, `${KEY}`: values that are put in elsewhere."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace

from bastide.discover.model import State, Value

GITHUB = re.compile(r"\$\{\{\s*([^{}]{1,500}?)\s*\}\}")
SHELL = re.compile(r"\$\{([^{}]{1,200})\}")
_SOURCES = {"secrets": "secret", "env": "env", "vars": "var", "inputs": "var", "input": "var", "matrix": "var"}


def filled(value: Value, placeholder: re.Pattern[str]) -> Value:
    """A value in which texts that are nothing but a placeholder are unknown, and texts that hold one conditional; with what they refer to."""
    if isinstance(value.data, Mapping):
        return replace(value, data={key: filled(v, placeholder) for key, v in value.data.items()})
    if isinstance(value.data, tuple):
        return replace(value, data=tuple(filled(v, placeholder) for v in value.data))
    if not isinstance(value.data, str) or not (found := placeholder.findall(value.data)):
        return value
    refs = (*value.refs, *(r for expression in found for r in _refs(expression)))
    if placeholder.fullmatch(value.data.strip()):
        return Value(None, value.place, State.UNKNOWN, refs, value.data[:200])
    return replace(value, state=State.CONDITIONAL, refs=refs)


def _refs(expression: str) -> list[str]:
    names = re.findall(r"\b(secrets|env|vars|inputs|input|matrix)[.:]([\w-]{1,128})", expression)
    if names:
        return [f"{_SOURCES[where]}:{name}" for where, name in names]
    return [f"env:{expression}"] if re.fullmatch(r"[A-Za-z_]\w*", expression) else []
