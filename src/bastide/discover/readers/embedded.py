# SPDX-License-Identifier: Apache-2.0
"""Documents in JSON that are put together in texts of templates: each of their values has the references that stand in it. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

from bastide.discover.model import Place, State, Value
from bastide.discover.readers.json_ import read_json

_NUMBER = re.compile(r"\$\{(\d{1,5})\}")


def hole(number: int) -> str:
    """What stands in a text for a value that is put in."""
    return f"${{{number}}}"


def embedded(text: str, values: Sequence[Value], place: Place) -> Value | None:
    """The document that a text with holes is; None for other texts. Its lines are the text's, which begins after the first of `place`."""
    if not text.lstrip().startswith(("{", "[")):
        return None
    root, problems = read_json(text, place.file, place.line + 1)
    return _filled(root, values, place) if root is not None and not problems else None


def document(value: Value) -> Value:
    """A value that is a text of JSON as what it says; others as they are."""
    whole = embedded(value.data, (), value.place) if isinstance(value.data, str) else None
    return value if whole is None else replace(whole, state=value.state, refs=value.refs)


def _filled(value: Value, given: Sequence[Value], at: Place) -> Value:
    place = value.place if at.end and value.place.line <= at.end else at
    if isinstance(value.data, Mapping):
        return Value({k: _filled(v, given, at) for k, v in value.data.items()}, place)
    if isinstance(value.data, tuple):
        return Value(tuple(_filled(v, given, at) for v in value.data), place)
    numbers = [int(n) for n in _NUMBER.findall(value.data)] if isinstance(value.data, str) else []
    put = [given[n] for n in numbers if n < len(given)]
    if not put:
        return Value(value.data, place)
    if len(put) == 1 and _NUMBER.fullmatch(value.data):
        return replace(put[0], place=place)
    refs = tuple(dict.fromkeys(r for v in put for r in v.refs))
    whole = _NUMBER.sub(lambda m: str(given[int(m[1])].data) if int(m[1]) < len(given) else m[0], value.data)
    if all(isinstance(v.data, (str, int)) for v in put):
        return Value(whole, place, State.CONDITIONAL, refs)
    return Value(None, place, State.UNKNOWN, refs, value.data[:200])
