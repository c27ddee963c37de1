# SPDX-License-Identifier: Apache-2.0
"""JSON with one meaning only: no duplicate keys, no numbers that aren't, bounded; and fields that are checked when they are taken.

Two readers of a document must not see different things in it, or what was verified isn't what is used.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from typing import Any, NoReturn, TypeVar

DEPTH = 100
T = TypeVar("T")


class Wrong(ValueError):
    """Something isn't what its format says. `str()` is for the reader of a report."""


def read(data: bytes) -> dict[str, Any]:
    """The object in a document. Raises `Wrong`."""
    try:
        text = data.decode("utf-8")
        found = json.loads(text, object_pairs_hook=_object, parse_constant=_constant)
    except UnicodeDecodeError:
        raise Wrong("is no UTF-8 text") from None
    except RecursionError:
        raise Wrong("is nested too deep") from None
    except Wrong:
        raise
    except ValueError as problem:
        raise Wrong(f"is no JSON: {str(problem)[:100]}") from None
    if not isinstance(found, dict):
        raise Wrong("is no JSON object")
    _bounded(found)
    return found


def field(document: Mapping[str, Any], name: str, type_: type[T]) -> T:
    """A field that has to be there, of a type. Raises `Wrong`."""
    value = document.get(name)
    if not isinstance(value, type_) or (type_ is int and isinstance(value, bool)):
        raise Wrong(f"`{name}` is missing" if value is None else f"`{name}` isn't what stands there")
    return value


def objects(document: Mapping[str, Any], name: str) -> list[dict[str, Any]]:
    """A field that is a list of objects. Raises `Wrong`."""
    found = field(document, name, list)
    if not all(isinstance(item, dict) for item in found):
        raise Wrong(f"`{name}` isn't a list of objects")
    return found


def only(document: Mapping[str, Any], *names: str) -> None:
    """Raises `Wrong` when there is a field that isn't one of these."""
    for name in document:
        if name not in names:
            raise Wrong(f"has a field `{name[:60]}`, which the format doesn't")


def base64_bytes(document: Mapping[str, Any], name: str) -> bytes:
    """A field in base64; only in the one way in which its bytes are written. Raises `Wrong`."""
    text = field(document, name, str)
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise Wrong(f"`{name}` is no base64") from None
    if base64.b64encode(data).decode() != text:
        raise Wrong(f"`{name}` is no canonical base64")
    return data


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise Wrong("has the same key twice in one object")
    return found


def _constant(word: str) -> NoReturn:
    raise Wrong(f"has `{word}` for a number")


def _bounded(document: dict[str, Any]) -> None:
    level: list[Any] = [document]
    for _ in range(DEPTH):
        level = [
            x for one in level for x in (one.values() if isinstance(one, dict) else one) if isinstance(x, (dict, list))
        ]
        if not level:
            return
    raise Wrong(f"is nested deeper than {DEPTH} levels")
