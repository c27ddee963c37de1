# SPDX-License-Identifier: Apache-2.0
"""Whether an answer, or the arguments of a call, are what a JSON schema demands.

Only the keywords that providers support in structured outputs are known: no library that the guard would need for one check at run time.
A schema with anything else is not judged, and says so. Source: JSON Schema 2020-12, core and validation.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec
import re2  # type: ignore[import-untyped]

_DEPTH = 64
_STEPS = 100_000
_IGNORED = frozenset(
    {
        "$schema",
        "$id",
        "title",
        "description",
        "default",
        "examples",
        "$defs",
        "definitions",
        "format",
        "$comment",
        "strict",
    }
)
_TYPES: Mapping[str, Callable[[Any], bool]] = {
    "object": lambda v: isinstance(v, dict),
    "array": lambda v: isinstance(v, list),
    "string": lambda v: isinstance(v, str),
    "boolean": lambda v: isinstance(v, bool),
    "null": lambda v: v is None,
    "number": lambda v: isinstance(v, int | float) and not isinstance(v, bool),
    "integer": lambda v: not isinstance(v, bool) and (isinstance(v, int) or (isinstance(v, float) and v.is_integer())),
}


class Unjudged(Exception):
    """The schema uses what isn't known here, or a bound was reached: the answer was not judged."""


def problem(answer: str, schema: Any) -> str:
    """What is wrong with an answer; '' when it is what the schema says.

    Raises:
        Unjudged: the schema can't be judged.
    """
    try:
        value = msgspec.json.decode(answer)
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
        return "the answer is no JSON"
    return misfit(value, schema, "answer")


def misfit(value: Any, schema: Any, place: str, most: int = _STEPS) -> str:
    """What is wrong with a decoded value; '' when it is what the schema says.

    place: what the value is called in the message; most: values and schemas that are compared (each takes about 3 µs).

    Raises:
        Unjudged: the schema can't be judged.
    """
    return _Checker(schema, most).problem(value, schema, place, 0)


class _Checker:
    def __init__(self, root: Any, most: int) -> None:
        self._root = root
        self._left = most

    def problem(self, value: Any, schema: Any, place: str, depth: int) -> str:
        self._left -= 1
        if depth > _DEPTH or self._left < 0:
            raise Unjudged("the schema or answer is too deep or too large")
        if isinstance(schema, bool):
            return "" if schema else f"{place}: nothing is allowed here"
        if not isinstance(schema, dict):
            raise Unjudged("a schema is an object or a boolean")
        for keyword, wanted in schema.items():
            if keyword in _IGNORED or keyword == "additionalProperties":
                continue
            found = self._keyword(keyword, wanted, value, place, depth)
            if found:
                return found
        return self._others(value, schema, place, depth)

    def _keyword(self, keyword: str, wanted: Any, value: Any, place: str, depth: int) -> str:
        try:
            if keyword in _COMBINED:
                return _COMBINED[keyword](self, wanted, value, place, depth)
            if keyword in _SIMPLE:
                return "" if _SIMPLE[keyword](value, wanted) else f"{place}: `{keyword}` isn't met"
        except (TypeError, KeyError, ValueError, AttributeError, re2.error) as error:
            raise Unjudged(f"the schema's `{keyword}` is wrong") from error
        raise Unjudged(f"the keyword `{keyword}` isn't known")

    def _others(self, value: Any, schema: Mapping[str, Any], place: str, depth: int) -> str:
        others = schema.get("additionalProperties", True)
        if others is True or not isinstance(value, dict):
            return ""
        known = schema.get("properties", {})
        for name in value:
            if name not in known:
                if others is False:
                    return f"{place}: `{name[:80]}` isn't allowed"
                if found := self.problem(value[name], others, f"{place}.{name[:80]}", depth + 1):
                    return found
        return ""

    def properties(self, wanted: Any, value: Any, place: str, depth: int) -> str:
        if isinstance(value, dict):
            for name, schema in wanted.items():
                if name in value and (found := self.problem(value[name], schema, f"{place}.{name}", depth + 1)):
                    return found
        return ""

    def items(self, wanted: Any, value: Any, place: str, depth: int) -> str:
        if isinstance(value, list):
            for index, item in enumerate(value):
                if found := self.problem(item, wanted, f"{place}[{index}]", depth + 1):
                    return found
        return ""

    def reference(self, wanted: Any, value: Any, place: str, depth: int) -> str:
        if not wanted.startswith("#"):
            raise Unjudged("only references within the schema are followed")
        schema = self._root
        for key in filter(None, wanted[1:].split("/")):
            schema = schema[key.replace("~1", "/").replace("~0", "~")]
        return self.problem(value, schema, place, depth + 1)

    def any_of(self, wanted: Any, value: Any, place: str, depth: int) -> str:
        problems = [self.problem(value, schema, place, depth + 1) for schema in wanted]
        return "" if not all(problems) else f"{place}: fits none of the alternatives"

    def one_of(self, wanted: Any, value: Any, place: str, depth: int) -> str:
        fits = sum(not self.problem(value, schema, place, depth + 1) for schema in wanted)
        return "" if fits == 1 else f"{place}: fits {fits} of the alternatives, not one"

    def all_of(self, wanted: Any, value: Any, place: str, depth: int) -> str:
        return next(filter(None, (self.problem(value, schema, place, depth + 1) for schema in wanted)), "")


_COMBINED: Mapping[str, Callable[[_Checker, Any, Any, str, int], str]] = {
    "properties": _Checker.properties,
    "items": _Checker.items,
    "$ref": _Checker.reference,
    "anyOf": _Checker.any_of,
    "oneOf": _Checker.one_of,
    "allOf": _Checker.all_of,
}


def _same(a: Any, b: Any) -> bool:
    """JSON's equality: true isn't 1."""
    return bool(msgspec.json.encode(_plain(a), order="sorted") == msgspec.json.encode(_plain(b), order="sorted"))


def _plain(value: Any) -> Any:
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _number(value: Any) -> bool:
    return _TYPES["number"](value)


def _multiple(value: Any, of: Any) -> bool:
    return not _number(value) or abs(value / of - round(value / of)) < 1e-9


_SIMPLE: Mapping[str, Callable[[Any, Any], bool]] = {
    "type": lambda v, w: any(_TYPES[kind](v) for kind in ([w] if isinstance(w, str) else w)),
    "enum": lambda v, w: any(_same(v, option) for option in w),
    "const": _same,
    "required": lambda v, w: not isinstance(v, dict) or all(name in v for name in w),
    "minimum": lambda v, w: not _number(v) or v >= w,
    "maximum": lambda v, w: not _number(v) or v <= w,
    "exclusiveMinimum": lambda v, w: not _number(v) or v > w,
    "exclusiveMaximum": lambda v, w: not _number(v) or v < w,
    "multipleOf": _multiple,
    "minLength": lambda v, w: not isinstance(v, str) or len(v) >= w,
    "maxLength": lambda v, w: not isinstance(v, str) or len(v) <= w,
    "pattern": lambda v, w: not isinstance(v, str) or re2.search(w, v) is not None,
    "minItems": lambda v, w: not isinstance(v, list) or len(v) >= w,
    "maxItems": lambda v, w: not isinstance(v, list) or len(v) <= w,
    "uniqueItems": lambda v, w: (
        not (w and isinstance(v, list)) or len({msgspec.json.encode(_plain(i), order="sorted") for i in v}) == len(v)
    ),
    "minProperties": lambda v, w: not isinstance(v, dict) or len(v) >= w,
    "maxProperties": lambda v, w: not isinstance(v, dict) or len(v) <= w,
}
