# SPDX-License-Identifier: Apache-2.0
"""`${NAME:-default}` in Compose files, as Compose expands it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace

from bastide.discover.model import State, Value

_VARIABLE = re.compile(
    r"\$(?:\$|(?P<plain>[A-Za-z_]\w{0,127})|\{(?P<name>[A-Za-z_]\w{0,127})(?:(?P<mark>:?[-?+])(?P<rest>[^{}]*))?\})"
)
_ROUNDS = 8
"""Defaults may hold variables."""


def interpolate(value: Value, variables: Mapping[str, Value]) -> Value:
    """A value with its variables put in: unknown where one has no value, conditional where a default or a template's value stands in."""
    if isinstance(value.data, Mapping):
        return replace(value, data={key: interpolate(v, variables) for key, v in value.data.items()})
    if isinstance(value.data, tuple):
        return replace(value, data=tuple(interpolate(v, variables) for v in value.data))
    if not isinstance(value.data, str) or "$" not in value.data:
        return value
    return _text(value, variables)


def _text(value: Value, variables: Mapping[str, Value]) -> Value:
    text, state, refs = str(value.data), State.KNOWN, list(value.refs)

    def put(match: re.Match[str]) -> str:
        nonlocal state
        name = match["plain"] or match["name"]
        if name is None:
            return "$"
        refs.append(f"env:{name}")
        given = variables.get(name)
        mark, rest = match["mark"] or "", match["rest"] or ""
        if mark.endswith("+"):
            state = _worse(state, State.CONDITIONAL)
            return rest if given is not None else ""
        if given is not None and given.data not in ("", None):
            state = _worse(state, given.state)
            return str(given.data)
        if mark.endswith("-"):
            state = _worse(state, State.CONDITIONAL)
            return rest
        state = State.UNKNOWN
        return ""

    for _ in range(_ROUNDS):
        expanded = _VARIABLE.sub(put, text)
        if expanded == text or len(expanded) > len(str(value.data)) + 4096:
            break
        text = expanded
    data = None if state is State.UNKNOWN else text
    return Value(data, value.place, state, tuple(dict.fromkeys(refs)), str(value.data)[:200])


def _worse(one: State, other: State) -> State:
    order = (State.KNOWN, State.DEFAULT, State.CONDITIONAL, State.UNKNOWN)
    return max(one, other, key=order.index)
