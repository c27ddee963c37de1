# SPDX-License-Identifier: Apache-2.0
"""JSON with bounds, checked access to decoded documents, and edits written back.

JSON has no rule for a key that occurs twice: parsers differ, and an attacker can use that (RFC 8259 §4). The guard takes the last one, and
**only what `encode` makes of the decoded document may be sent on**, never the bytes that were received: then both sides read the same.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import msgspec

from bastide.errors import GuardError, Malformed, TooLarge, UpstreamError
from bastide.guard.events import Opaque, Part, Path, Text, ToolResult

MAX_DEPTH = 96
"""Levels of arrays and objects; more is refused. Real documents have fewer than 30."""
_LONG = 40
_PLAIN = re.compile(r"[A-Za-z0-9_.:-]{1,80}")
_ID = re.compile(r"[A-Za-z0-9_.:|/+=-]{1,512}")
_IDS = frozenset({"type", "id", "file_id", "container_id", "encrypted_index"})

_decoder = msgspec.json.Decoder()
_encoder = msgspec.json.Encoder(enc_hook=str)
Wrong = type[Malformed] | type[UpstreamError]


def decode(data: bytes | str, wrong: Wrong = Malformed, what: str = "the body") -> Any:
    """The document. Raises `wrong` when it isn't JSON in UTF-8; when it is nested too deeply, `TooLarge` or the provider's `wrong`."""
    try:
        value = _decoder.decode(data)
    except RecursionError:
        raise _too_deep(wrong, what) from None
    except (msgspec.MsgspecError, ValueError) as error:
        raise wrong(f"{what} is not JSON: {short(str(error), 120)}") from None
    _check_depth(data, value, wrong, what)
    return value


def _too_deep(wrong: Wrong, what: str) -> GuardError:
    # Only a caller can be told that what they sent is too large.
    return (TooLarge if wrong is Malformed else wrong)(f"{what} is nested more than {MAX_DEPTH} levels deep")


def _check_depth(data: bytes | str, value: Any, wrong: Wrong, what: str) -> None:
    opening = data.count(b"{") + data.count(b"[") if isinstance(data, bytes) else data.count("{") + data.count("[")
    if opening <= MAX_DEPTH:
        return
    # Level by level instead of recursively: this can't overflow the stack.
    level = [value]
    for _ in range(MAX_DEPTH + 1):
        below: list[Any] = []
        for item in level:
            if type(item) is dict:
                below += item.values()
            elif type(item) is list:
                below += item
        if not below:
            return
        level = below
    raise _too_deep(wrong, what)


def encode(document: Any) -> bytes:
    """The bytes to send on. Raises `Malformed` for what JSON can't say (a number out of range, half a surrogate pair)."""
    try:
        return _encoder.encode(document)
    except (msgspec.MsgspecError, ValueError, OverflowError, RecursionError) as error:
        raise Malformed(f"the document can't be written as JSON: {short(str(error), 120)}") from None


def arguments(raw: Any, *, strict: bool = False) -> dict[str, Any] | None:
    """The arguments of a call from their JSON text; None when that is no object.

    `strict`: None as well when a key occurs twice, since the client that runs the call may take the other one.
    """
    if not isinstance(raw, str):
        return None
    if not raw.strip():
        return {}
    try:
        value = decode(raw)
        if strict:
            json.loads(raw, object_pairs_hook=_unique)
    except (GuardError, ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key occurs twice")
    return found


def words(text: str) -> frozenset[str]:
    """The words of a list of names."""
    return frozenset(text.split())


def short(text: str, length: int = _LONG) -> str:
    """The text for a message: cut, on one line."""
    text = " ".join(text.split())
    return text if len(text) <= length else text[: length - 1] + "…"


def plain(name: Any) -> str:
    """A name from a document for a message: itself when it looks like one, since anything else could be text that must not be told."""
    return name if type(name) is str and _PLAIN.fullmatch(name) else "(no plain name)"


def where(path: Path) -> str:
    """A path as people write it: `messages[2].content`."""
    parts = [f"[{key}]" if isinstance(key, int) else f".{short(key)}" for key in path]
    return "".join(parts).lstrip(".") or "the document"


def fail(path: Path, wanted: str, wrong: Wrong = Malformed) -> GuardError:
    """The error that says what was wanted at a place."""
    return wrong(f"{where(path)} must be {wanted}")


def need_object(value: Any, path: Path, wrong: Wrong = Malformed) -> dict[str, Any]:
    """The value, if it is an object."""
    if type(value) is not dict:
        raise fail(path, "an object", wrong)
    return value


def need_list(value: Any, path: Path, wrong: Wrong = Malformed) -> list[Any]:
    """The value, if it is an array."""
    if type(value) is not list:
        raise fail(path, "an array", wrong)
    return value


def need_string(value: Any, path: Path, wrong: Wrong = Malformed) -> str:
    """The value, if it is a string."""
    if type(value) is not str:
        raise fail(path, "a string", wrong)
    return value


def need_id(value: Any, path: Path, wrong: Wrong = Malformed) -> None:
    """Nothing, when the value is null or a string that can be an id: no spaces, not long, so no text in disguise."""
    if value is not None and not (type(value) is str and _ID.fullmatch(value)):
        raise fail(path, "an id", wrong)


def count(value: Any) -> int:
    """A number of tokens: the value, or 0 when it is none."""
    return value if type(value) is int and value > 0 else 0


LONGEST_NAME = 256
"""Characters of a model's name."""


def model_name(body: Mapping[str, Any]) -> str:
    """The model that a request asks for. Raises `Malformed`, also for a name that is too long to be one: it would stand in logs and caches."""
    name = need_string(body.get("model"), ("model",))
    if len(name) > LONGEST_NAME:
        raise fail(("model",), f"at most {LONGEST_NAME} characters long")
    return name


def unknown_fields(value: Mapping[str, Any], known: frozenset[str], kind: str, path: Path) -> tuple[Opaque, ...]:
    """An opaque part for each field never heard of that has a value."""
    if value.keys() <= known:
        return ()
    return tuple(
        Opaque(f"{kind}.{short(key)}", False, (*path, key))
        for key, item in value.items()
        if key not in known and item is not None
    )


def opaques(parts: Iterable[Part]) -> Iterator[Opaque]:
    """What can't be read, also inside of results."""
    for part in parts:
        if isinstance(part, Opaque):
            yield part
        elif isinstance(part, ToolResult):
            yield from opaques(part.content)


def leaves(value: Any, path: Path) -> Iterator[Text]:
    """Every string in a document that is understood no further, as text."""
    stack: list[tuple[Any, Path]] = [(value, path)]
    while stack:
        item, at = stack.pop()
        if type(item) is str:
            if item:
                yield Text(item, at)
        elif type(item) is dict:
            stack.extend((child, (*at, key)) for key, child in reversed(item.items()))
        elif type(item) is list:
            stack.extend((child, (*at, number)) for number, child in reversed(list(enumerate(item))))


def sources(notes: Any, path: Path) -> Iterator[Text]:
    """The texts of citations or annotations: quotes, titles, addresses. Ids are none, as long as they look like ids."""
    for text in leaves(notes, path):
        if text.path[-1] not in _IDS or (text.path[-1] != "encrypted_index" and not _PLAIN.fullmatch(text.text)):
            yield text


def spelled(probabilities: Any, text: str) -> bool:
    """Whether token probabilities spell exactly this text, and so tell nothing else."""
    if type(probabilities) is not list:
        return False
    try:
        if "".join([entry["token"] for entry in probabilities]) == text:
            return True
        return b"".join([bytes(entry["bytes"]) for entry in probabilities]) == text.encode()
    except (LookupError, TypeError, ValueError):
        return False


def rewrite(document: Any, edits: Mapping[Path, Any]) -> Any:
    """A copy with other values at some paths; what lies on no edited path is shared. Raises `GuardError` for a path that isn't there."""
    tree: dict[str | int, Any] = {}
    for path, value in edits.items():
        if not path:
            raise GuardError("this text has no place in the document, so it can't be edited")
        node = tree
        for key in path[:-1]:
            node = node.setdefault(key, {})
            if isinstance(node, _Leaf):
                raise GuardError(f"{where(path)} lies inside of another edit")
        node[path[-1]] = _Leaf(value)
    return _apply(document, tree) if tree else document


class _Leaf:
    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value


def _apply(value: Any, tree: dict[str | int, Any]) -> Any:
    if not isinstance(value, dict | list):
        raise GuardError("an edit goes to a place that the document doesn't have")
    copy: Any = value.copy()
    for key, edit in tree.items():
        try:
            old = copy[key]
        except (LookupError, TypeError):
            raise GuardError("an edit goes to a place that the document doesn't have") from None
        copy[key] = _leaf(old, edit.value) if isinstance(edit, _Leaf) else _apply(old, edit)
    return copy


def _leaf(old: Any, new: Any) -> Any:
    if isinstance(old, str) and isinstance(new, dict | list):
        return encode(new).decode()
    return new
