# SPDX-License-Identifier: Apache-2.0
"""Functions of Terraform that say something about a design; the others give what isn't known."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import islice, product
from typing import Any

from bastide.discover.model import Place, State, Value
from bastide.discover.readers.json_ import read_json
from bastide.discover.readers.yaml_ import read_yaml

Function = Callable[[Sequence[Value], Place], Value | None]
_ORDER = (State.KNOWN, State.DEFAULT, State.CONDITIONAL, State.UNKNOWN)
_MOST = 10_000


def _state(values: Sequence[Value]) -> State:
    return max((v.state for v in values), key=_ORDER.index, default=State.KNOWN)


def _refs(values: Sequence[Value]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(r for v in values for r in v.refs))


def _plain(function: Callable[..., Any]) -> Function:
    """A function of plain data: its result is known when all arguments are."""

    def call(values: Sequence[Value], place: Place) -> Value | None:
        if any(not e.known for v in values for e in (v, *v.elements())):
            return None
        try:
            result = function(*(v.plain() for v in values))
        except (TypeError, ValueError, KeyError, IndexError, AttributeError, OverflowError):
            return None
        return _wrapped(result, place, _state(values), _refs(values))

    return call


def _wrapped(data: Any, place: Place, state: State, refs: tuple[str, ...]) -> Value | None:
    if isinstance(data, (list, tuple)):
        return Value(tuple(_wrapped(d, place, state, ()) for d in data[:_MOST]), place, state, refs)
    if isinstance(data, Mapping):
        return Value({str(k): _wrapped(v, place, state, ()) for k, v in data.items()}, place, state, refs)
    return Value(data, place, state, refs)


def _merge(values: Sequence[Value], place: Place) -> Value | None:
    found: dict[str, Value] = {}
    for value in values:
        for element in value.elements():
            if isinstance(element.data, Mapping):
                found |= element.data
            elif not element.known:
                found["*"] = Value(None, element.place, State.UNKNOWN, element.refs)
    return Value(found, place, refs=())


def _concat(values: Sequence[Value], place: Place) -> Value | None:
    return _long((e for v in values for e in (v.data if isinstance(v.data, tuple) else (v,))), place)


def _flatten(values: Sequence[Value], place: Place) -> Value | None:
    return _long((e for v in values for e in v.elements()), place)


def _long(elements: Iterable[Value], place: Place) -> Value | None:
    """A list; unknown when it is longer than anybody's."""
    found = tuple(islice(elements, _MOST + 1))
    return Value(found, place) if len(found) <= _MOST else None


def _coalesce(values: Sequence[Value], place: Place) -> Value | None:
    for number, value in enumerate(values):
        if not value.known:
            later = next((v for v in values[number + 1 :] if v.known and v.data not in (None, "")), None)
            return replace(later, state=State.CONDITIONAL, refs=value.refs) if later is not None else None
        if value.data not in (None, "", ()):
            return replace(value, place=place) if not isinstance(value.data, (tuple, Mapping)) else value
    return Value(None, place)


def _lookup(values: Sequence[Value], _: Place) -> Value | None:
    if len(values) < 2 or not values[1].known or not isinstance(values[0].data, Mapping):
        return None
    return values[0].data.get(str(values[1].data)) or (values[2] if len(values) > 2 else None)


def _element(values: Sequence[Value], _: Place) -> Value | None:
    elements = list(values[0].data) if isinstance(values[0].data, tuple) else []
    index = values[1].data if len(values) > 1 else 0
    return elements[index % len(elements)] if elements and isinstance(index, int) else None


def _one(values: Sequence[Value], place: Place) -> Value | None:
    elements = list(values[0].elements()) if values and values[0].known else []
    return elements[0] if elements else Value(None, place) if values and values[0].known else None


def _same(values: Sequence[Value], _: Place) -> Value | None:
    return values[0] if values else None


def _list(values: Sequence[Value], _: Place) -> Value | None:
    value = values[0] if values else None
    if value is not None and isinstance(value.data, Mapping):
        return replace(value, data=tuple(value.data.values()))
    return value


def _keys(values: Sequence[Value], place: Place) -> Value | None:
    if not values or not isinstance(values[0].data, Mapping):
        return None
    return Value(tuple(Value(k, place) for k in sorted(values[0].data)), place)


def _length(values: Sequence[Value], place: Place) -> Value | None:
    value = values[0]
    if not value.known or value.data is None:
        return None
    return (
        Value(len(value.data), place, value.state, value.refs)
        if isinstance(value.data, (str, tuple, Mapping))
        else None
    )


def _contains(values: Sequence[Value], place: Place) -> Value | None:
    if len(values) != 2 or not all(v.known for v in values):
        return None
    return Value(values[1].plain() in [e.plain() for e in values[0].elements()], place, _state(values), _refs(values))


def _json(values: Sequence[Value], place: Place) -> Value | None:
    text = values[0].data if values else None
    return read_json(text, place.file, place.line)[0] if isinstance(text, str) else None


def _yaml(values: Sequence[Value], place: Place) -> Value | None:
    text = values[0].data if values else None
    documents = read_yaml(text, place.file, place.line)[0] if isinstance(text, str) else []
    return documents[0] if documents else None


def _product(values: Sequence[Value], place: Place) -> Value | None:
    """All combinations. What is unknown in a list stays an unknown element; an unknown list makes all unknown."""
    if any(not isinstance(v.data, tuple) for v in values) or math.prod(len(v.data) for v in values) > _MOST:
        return None
    return Value(tuple(Value(combination, place) for combination in product(*(v.data for v in values))), place)


def _joined(separator: str, *lists: Any) -> str:
    return separator.join(str(x) for some in lists for x in (some if isinstance(some, list) else [some]))


FUNCTIONS: Mapping[str, Function] = {
    # What is encoded stays structured: whoever looks at a policy wants its statements.
    "jsonencode": _same, "yamlencode": _same, "jsondecode": _json, "yamldecode": _yaml, "base64encode": _same, "sensitive": _same,
    "nonsensitive": _same, "tostring": _same, "tonumber": _same, "tobool": _same, "toset": _list, "tolist": _list, "tomap": _same,
    "merge": _merge, "concat": _concat, "flatten": _flatten, "compact": _flatten, "distinct": _same, "coalesce": _coalesce,
    "coalescelist": _coalesce, "lookup": _lookup, "element": _element, "one": _one, "values": _list, "keys": _keys, "length": _length,
    "contains": _contains, "setproduct": _product,
    "lower": _plain(lambda s: s.lower()), "upper": _plain(lambda s: s.upper()), "trimspace": _plain(lambda s: s.strip()),
    "title": _plain(lambda s: s.title()), "join": _plain(_joined),
    "split": _plain(lambda s, t: t.split(s)), "replace": _plain(lambda t, a, b: t.replace(a, b)),
    "trimprefix": _plain(lambda t, p: t.removeprefix(p)), "trimsuffix": _plain(lambda t, p: t.removesuffix(p)),
    "substr": _plain(lambda t, o, n: t[o : o + n] if n >= 0 else t[o:]), "startswith": _plain(lambda t, p: t.startswith(p)),
    "endswith": _plain(lambda t, p: t.endswith(p)), "max": _plain(max), "min": _plain(min), "abs": _plain(abs), "reverse": _plain(lambda x: x[::-1]),
    "range": _plain(lambda *a: list(range(*a))[:_MOST] if max(map(abs, a)) <= _MOST else None), "sort": _plain(sorted),
}  # fmt: skip
"""Name -> what it does; None as a result: unknown."""
