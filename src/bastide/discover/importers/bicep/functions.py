# SPDX-License-Identifier: Apache-2.0
"""Functions of Bicep whose result follows from what they are given. What isn't here is unknown, with what it is made from. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from bastide.discover.model import Place, State, Value

_LONGEST, _LARGEST = 10_000, 100_000
_EMPTY: tuple[Any, ...] = (None, "", (), {})


def apply(name: str, given: Sequence[Value], place: Place) -> Value | None:
    """The result; None where it isn't known."""
    if name in _LAX:
        return _LAX[name](given, place)
    function = _STRICT.get(name)
    if function is None or not all(v.known for v in given):
        return None
    try:
        found = function(*given)
    except (TypeError, ValueError, IndexError, AttributeError):
        return None
    return found if isinstance(found, Value) else Value(found, place, worst(given), refs(given))


def worst(values: Sequence[Value]) -> State:
    """How sure something is that is made from these."""
    return State.CONDITIONAL if any(v.state is not State.KNOWN for v in values) else State.KNOWN


def refs(values: Sequence[Value]) -> tuple[str, ...]:
    """What all of them are made from."""
    return tuple(dict.fromkeys(r for v in values for r in v.refs))


def as_text(value: Value) -> str:
    """A scalar as Bicep writes it in a string."""
    return str(value.data).lower() if isinstance(value.data, bool) else str(value.data)


def _text(value: Value) -> str:
    if isinstance(value.data, (Mapping, tuple)) or value.data is None:
        raise TypeError
    return as_text(value)


def _contains(holder: Value, wanted: Value) -> bool:
    if isinstance(holder.data, Mapping):
        return _text(wanted).lower() in {k.lower() for k in holder.data}
    if isinstance(holder.data, tuple):
        return any(e.known and e.data == wanted.data for e in holder.data)
    return _text(wanted) in _text(holder)


def _items(holder: Value) -> tuple[Value, ...]:
    if not isinstance(holder.data, Mapping):
        return ()
    return tuple(Value({"key": Value(k, v.place), "value": v}, v.place) for k, v in sorted(holder.data.items()))


def _union(given: Sequence[Value], place: Place) -> Value | None:
    """Of objects and lists; what is unknown in it is left out of an object, and stays an unknown element of a list."""
    known = [v for v in given if v.known]
    if known and all(isinstance(v.data, Mapping) for v in known):
        merged = {k: v for value in known for k, v in value.data.items()}
        rest = {} if len(known) == len(given) else {"*": Value(None, place, State.UNKNOWN, refs(given))}
        return Value({**rest, **merged}, place)
    return _concat(given, place) if any(isinstance(v.data, tuple) for v in known) else None


def _concat(given: Sequence[Value], place: Place) -> Value | None:
    if any(isinstance(v.data, tuple) for v in given):
        elements = tuple(e for v in given for e in (v.data if isinstance(v.data, tuple) else (v,)))
        return Value(elements, place)
    if all(v.known and not isinstance(v.data, Mapping) for v in given):
        return Value("".join(as_text(v) for v in given)[:_LONGEST], place, worst(given), refs(given))
    return None


def _last(given: Sequence[Value], place: Place) -> Value | None:  # noqa: ARG001 (one shape for all)
    """`resourceId('Microsoft.Authorization/roleDefinitions', id)` is as good as the id."""
    kind = given[0].data if given else None
    return given[-1] if len(given) > 1 and str(kind).endswith("/roleDefinitions") else None


def _same(given: Sequence[Value], place: Place) -> Value | None:  # noqa: ARG001 (one shape for all)
    return given[0] if given else None


def _replace(given: Sequence[Value], place: Place) -> Value | None:
    """What is put in need not be known: the rest of the text is."""
    if len(given) != 3 or not all(isinstance(v.data, str) for v in given[:2]):
        return None
    text, old, new = given
    if not new.known or isinstance(new.data, (Mapping, tuple)) or new.data is None:
        return Value(text.data, place, State.CONDITIONAL, refs(given)) if old.data in text.data else text
    return Value(text.data.replace(old.data, as_text(new))[:_LARGEST], place, worst(given), refs(given))


def _environment(given: Sequence[Value], place: Place) -> Value:
    name = given[0].data if given else ""
    if len(given) > 1 and given[1].known:
        return replace(given[1], state=State.CONDITIONAL, refs=(f"env:{name}",))
    return Value(None, place, State.UNKNOWN, (f"env:{name}",))


def _format(pattern: Value, *values: Value) -> str:
    text = _text(pattern)
    for number, value in enumerate(values):
        text = text.replace(f"{{{number}}}", _text(value))
    return text[:_LONGEST]


def _element(holder: Value, index: int) -> Any:
    return holder.data[index]


_STRICT: Mapping[str, Callable[..., Any]] = {
    "empty": lambda v: v.data in _EMPTY,
    "length": lambda v: len(v.data),
    "contains": _contains,
    "first": lambda v: _element(v, 0),
    "last": lambda v: _element(v, -1),
    "toLower": lambda v: _text(v).lower(),
    "toUpper": lambda v: _text(v).upper(),
    "trim": lambda v: _text(v).strip(),
    "string": _text,
    "take": lambda v, n: v.data[: int(n.data)],
    "skip": lambda v, n: v.data[int(n.data) :],
    "startsWith": lambda v, part: _text(v).lower().startswith(_text(part).lower()),
    "endsWith": lambda v, part: _text(v).lower().endswith(_text(part).lower()),
    "join": lambda v, sign: _text(sign).join(_text(e) for e in v.data)[:_LONGEST],
    "split": lambda v, sign: tuple(Value(p, v.place) for p in _text(v).split(_text(sign))),
    "format": _format,
    "items": _items,
    "bool": lambda v: _text(v).lower() in ("true", "1"),
    "not": lambda v: not v.data,
}
_LAX: Mapping[str, Callable[[Sequence[Value], Place], Value | None]] = {
    "union": _union,
    "concat": _concat,
    "any": _same,
    "replace": _replace,
    "resourceId": _last,
    "subscriptionResourceId": _last,
    "tenantResourceId": _last,
    "readEnvironmentVariable": _environment,
}
