# SPDX-License-Identifier: Apache-2.0
"""The value of a pipeline, as far as the chart's files say. Nothing is called but the functions here, which are pure; the rest is unknown."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from bastide.discover.importers.helm.syntax import Word
from bastide.discover.model import Place, State, Value

DEPTH = 30
_LONGEST = 4096
"""Characters of a text, or elements of a list, that functions make."""


@dataclass(slots=True)
class Scope:
    """What names mean at a place of a template."""

    root: Mapping[str, Value]
    """`Values`, `Chart`, `Release`, ..."""
    dot: Value
    include: Callable[[str, Value, Scope], Value]
    place: Place
    variables: dict[str, Value] = field(default_factory=dict)
    depth: int = 0
    """Parentheses in parentheses."""

    def unknown(self, text: str = "") -> Value:
        """A value that can't be told."""
        return Value(None, self.place, State.UNKNOWN, text=text[:200])

    def of(self, data: Any) -> Value:
        """A value that was made here."""
        return Value(data, self.place)


@dataclass(frozen=True, slots=True)
class Result:
    """What a pipeline gives, and how it is to be put out."""

    value: Value
    indent: int | None = None
    """Columns, after a line break when `breaks`."""
    breaks: bool = False


def evaluate(words: Sequence[Word], scope: Scope) -> Result:
    """The value of a pipeline; an assignment is made and gives the empty text."""
    if len(words) > 2 and words[0].text.startswith("$") and words[1].text in (":=", "="):
        scope.variables[words[0].text] = evaluate(words[2:], scope).value
        return Result(scope.of(""))
    value: Value | None = None
    indent: int | None = None
    breaks = False
    for part in _split(words):
        name = part[0].text if part and part[0].kind == "name" else ""
        if name in ("nindent", "indent") and len(part) > 1 and part[1].kind == "number":
            indent, breaks = min(int(float(part[1].text)), 200), name == "nindent"
            value = _operand(part[2:], scope) if len(part) > 2 else value
        else:
            value = _command(part, value, scope)
    return Result(value if value is not None else scope.unknown(), indent, breaks)


def truth(value: Value) -> bool | None:
    """Whether a value counts as true in a template; None when that can't be told."""
    return None if value.state is State.UNKNOWN else bool(value.data)


def _split(words: Sequence[Word]) -> list[list[Word]]:
    """The commands of a pipeline: what stands between `|` outside of parentheses."""
    parts: list[list[Word]] = [[]]
    depth = 0
    for word in words:
        depth += (word.kind == "sign" and word.text == "(") - (word.kind == "sign" and word.text == ")")
        if word.kind == "sign" and word.text == "|" and depth == 0:
            parts.append([])
        else:
            parts[-1].append(word)
    return [part for part in parts if part]


def _command(part: Sequence[Word], piped: Value | None, scope: Scope) -> Value:
    first, *rest = part
    if first.kind == "name" and not first.text.startswith((".", "$")) and first.text not in ("true", "false", "nil"):
        arguments = _arguments(rest, scope)
        if piped is not None:
            arguments.append(piped)
        return _call(first.text, arguments, scope)
    return _operand(part, scope)


def _operand(part: Sequence[Word], scope: Scope) -> Value:
    found = _arguments(part, scope)
    return found[0] if len(found) == 1 else scope.unknown(" ".join(w.text for w in part))


def _arguments(words: Sequence[Word], scope: Scope) -> list[Value]:
    found: list[Value] = []
    at = 0
    while at < len(words):
        word = words[at]
        if word.kind == "sign" and word.text == "(":
            end = _closing(words, at)
            inner = words[at + 1 : end]
            value = _inside(inner, scope)
            at = end + 1
            if at < len(words) and words[at].glued and words[at].text.startswith("."):
                value = _path(value, words[at].text, scope)
                at += 1
            found.append(value)
            continue
        found.append(_word(word, scope))
        at += 1
    return found


def _inside(words: Sequence[Word], scope: Scope) -> Value:
    if not words or scope.depth >= DEPTH:
        return scope.unknown()
    scope.depth += 1
    value = evaluate(words, scope).value
    scope.depth -= 1
    return value


def _closing(words: Sequence[Word], start: int) -> int:
    depth = 0
    for at in range(start, len(words)):
        if words[at].kind == "sign":
            depth += (words[at].text == "(") - (words[at].text == ")")
            if depth == 0:
                return at
    return len(words)


def _word(word: Word, scope: Scope) -> Value:
    if word.kind == "text":
        return scope.of(word.text)
    if word.kind == "number":
        return scope.of(float(word.text) if "." in word.text else int(word.text))
    if word.text in ("true", "false", "nil"):
        return scope.of({"true": True, "false": False, "nil": None}[word.text])
    if word.text.startswith("$"):
        name, dot, path = word.text.partition(".")
        base = scope.of(scope.root) if name == "$" else scope.variables.get(name, scope.unknown(word.text))
        return _path(base, dot + path, scope) if dot else base
    if word.text.startswith("."):
        return _path(scope.dot, word.text, scope)
    return _call(word.text, [], scope)


def _path(value: Value, path: str, scope: Scope) -> Value:
    for step in path.split("."):
        if not step:
            continue
        if value.state is State.UNKNOWN:
            return scope.unknown(path)
        if not isinstance(value.data, Mapping):
            return scope.of(None)
        found = value.data.get(step)
        if found is None:
            # What a chart doesn't set is nil, unless the chart itself isn't all there.
            return scope.unknown(path) if "*" in value.data else scope.of(None)
        value = found
    return value


def _call(name: str, arguments: list[Value], scope: Scope) -> Value:
    if name in ("include", "template") and arguments:
        dot = arguments[1] if len(arguments) > 1 else scope.of(None)
        return scope.include(str(arguments[0].data), dot, scope)
    if name in _KEEPING:
        return arguments[-1] if arguments else scope.unknown(name)
    if name in _CHOOSING:
        return _chosen(name, arguments, scope)
    function = _FUNCTIONS.get(name)
    if function is None or any(a.state is State.UNKNOWN for a in arguments):
        return scope.unknown(name)
    try:
        made = function(*(a.plain() for a in arguments))
    except (TypeError, ValueError, LookupError, ArithmeticError, AttributeError, re.error):
        return scope.unknown(name)
    if _is_large(made):
        return scope.unknown(name)
    return _lifted(made, scope)


def _is_large(made: Any) -> bool:
    """Whether a text, or a list with all that is in it, is longer than any that a chart needs: repeated, it would double each time."""
    todo, size = [made], 0
    while todo and size <= _LONGEST:
        one = todo.pop()
        if isinstance(one, str):
            size += len(one) if one is made else 1
        elif isinstance(one, (list, dict)):
            size += len(one)
            todo += one.values() if isinstance(one, dict) else one
    return size > _LONGEST


def _chosen(name: str, arguments: list[Value], scope: Scope) -> Value:
    """One of the arguments, whose value needs not be known."""
    if name in ("and", "or"):
        return _logic(name, arguments, scope)
    if name == "required":
        return arguments[-1] if len(arguments) > 1 else scope.unknown(name)
    if len(arguments) != {"default": 2, "ternary": 3}[name]:
        return scope.unknown(name)
    known = truth(arguments[-1])
    if known is None:
        return scope.unknown(name)
    return (arguments[1] if known else arguments[0]) if name == "default" else arguments[0 if known else 1]


def _logic(name: str, arguments: list[Value], scope: Scope) -> Value:
    for value in arguments:
        known = truth(value)
        if known is None:
            return scope.unknown(name)
        if known is (name == "or"):
            return value
    return arguments[-1] if arguments else scope.unknown(name)


def _lifted(data: Any, scope: Scope) -> Value:
    if isinstance(data, dict):
        return scope.of({str(k): _lifted(v, scope) for k, v in data.items()})
    if isinstance(data, list):
        return scope.of(tuple(_lifted(v, scope) for v in data))
    return scope.of(data)


def _printf(form: str, *values: Any) -> str:
    rest = iter(values)
    return re.sub(r"%%|%[-+# 0-9.]*[a-zA-Z]", lambda m: "%" if m[0] == "%%" else _shown(next(rest, "")), form)


def _shown(value: Any) -> str:
    return "true" if value is True else "false" if value is False else "" if value is None else str(value)


def _trunc(length: int, text: Any) -> str:
    return str(text)[:length] if length >= 0 else str(text)[length:]


def _index(value: Any, path: Sequence[Any]) -> Any:
    for step in path:
        value = value[int(step)] if isinstance(value, list) else value.get(step)
    return value


def _kind(value: Any) -> str:
    kinds = {
        str: "string",
        bool: "bool",
        int: "int64",
        float: "float64",
        dict: "map",
        list: "slice",
        type(None): "invalid",
    }
    return kinds.get(type(value), "")


_KEEPING = frozenset(
    {
        "quote",
        "squote",
        "toYaml",
        "toJson",
        "toRawJson",
        "tpl",
        "toString",
        "trim",
        "int",
        "int64",
        "toPrettyJson",
        "fromYaml",
        "deepCopy",
        "mustToJson",
        "mustToYaml",
        "compact",
    }
)
"""What only changes how a value is written. Text in values that is a template itself stays as it is."""
_CHOOSING = frozenset({"and", "or", "default", "ternary", "required"})
_FUNCTIONS: Mapping[str, Callable[..., Any]] = {
    "printf": _printf,
    "print": lambda *v: "".join(_shown(x) for x in v),
    "trunc": _trunc,
    "trimSuffix": lambda s, t: str(t).removesuffix(s),
    "trimPrefix": lambda s, t: str(t).removeprefix(s),
    "trimAll": lambda s, t: str(t).strip(s),
    "replace": lambda a, b, t: str(t).replace(a, b),
    "lower": lambda t: str(t).lower(),
    "upper": lambda t: str(t).upper(),
    "kebabcase": lambda t: re.sub(r"(?<=[a-z0-9])(?=[A-Z])|_| ", "-", str(t)).lower(),
    "contains": lambda s, t: s in str(t),
    "hasPrefix": lambda s, t: str(t).startswith(s),
    "hasSuffix": lambda s, t: str(t).endswith(s),
    "eq": lambda a, *b: any(a == x for x in b),
    "ne": lambda a, b: a != b,
    "not": lambda a: not a,
    "gt": lambda a, b: a > b,
    "ge": lambda a, b: a >= b,
    "lt": lambda a, b: a < b,
    "le": lambda a, b: a <= b,
    "add": lambda *v: sum(map(int, v)),
    "sub": lambda a, b: int(a) - int(b),
    "empty": lambda a: not a,
    "len": len,
    "list": lambda *v: list(v),
    "dict": lambda *v: {str(v[i]): v[i + 1] for i in range(0, len(v) - 1, 2)},
    "get": lambda d, k: d.get(k, ""),
    "hasKey": lambda d, k: k in d,
    "has": lambda x, v: x in v,
    "first": lambda v: v[0],
    "last": lambda v: v[-1],
    "join": lambda s, v: s.join(map(_shown, v)),
    "keys": list,
    "index": lambda v, *path: _index(v, path),
    "coalesce": lambda *v: next((x for x in v if x), None),
    "merge": lambda a, *rest: {k: v for d in (*reversed(rest), a) for k, v in (d or {}).items()},
    "mergeOverwrite": lambda *all_: {k: v for d in all_ for k, v in (d or {}).items()},
    "concat": lambda *v: [x for one in v for x in one],
    "append": lambda v, x: [*v, x],
    "kindIs": lambda kind, v: kind == _kind(v),
    "kindOf": _kind,
}  # fmt: skip
