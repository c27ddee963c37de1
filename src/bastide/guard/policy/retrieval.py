# SPDX-License-Identifier: Apache-2.0
"""Keeps a retrieval inside the caller's tenant and the user's clearance: the filter on the way in, each item on the way out.

The filter that a vector store applies is an optimisation and the first fence; what counts is the check of the results. An item that
doesn't say whose it is, or how sensitive, is taken out.

A filter is written into the argument at a dotted path, such as `tenant`, `filter.tenant` or `where.tenant_id`. Where the path goes on
below an object, a condition beside it that can let more through (`$or`, `should`, `not`) is refused: how stores join conditions differs.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct

from bastide.errors import Denied
from bastide.guard.model import CLASSES, Caller, Meaning

WIDENING = frozenset({"$or", "or", "should", "any", "$nor", "$not", "not", "must_not", "min_should"})
"""Keys of the filter languages of common stores under which another condition can let more through."""
LISTS = ("results", "result", "items", "documents", "matches", "hits", "data", "points", "records", "rows", "chunks")
"""Where a structured result keeps its items, when it isn't a list itself."""
INSIDE = ("", "metadata", "payload", "fields", "_source", "properties", "attributes")
"""Where an item keeps its fields, when the path isn't found at its top."""
MAX_ITEMS = 10_000
MAX_DEPTH = 4
"""Objects around the list of items."""


class Kept(Struct, frozen=True):
    """What is left of a result."""

    result: Any
    """The same structure with fewer items and nothing beside them; equal to what was given when all of it may go on."""
    kept: int
    dropped: int


def restrict(arguments: Mapping[str, Any], caller: Caller, meaning: Meaning) -> dict[str, Any]:
    """The arguments of a retrieval with the caller's tenant in the filter, whatever stood there.

    The given arguments stay as they are. Raises `Denied` when the caller has no tenant, or the filter can't be held to it.
    """
    changed = dict(arguments)
    if not meaning.tenant_argument:
        return changed
    if not caller.tenant:
        raise Denied(
            f"`{meaning.name}` is searched by tenant, and the caller's credential names none", code="no_tenant"
        )
    *folders, last = meaning.tenant_argument.split(".")
    place = changed
    for name in folders:
        inner = place.get(name)
        if inner is not None and not isinstance(inner, dict):
            raise Denied(
                f"`{name}` of `{meaning.name}` has to be an object, so that it can be held to the caller's tenant"
            )
        place[name] = inner = dict(inner or {})
        if widening := sorted(WIDENING & {str(k).lower() for k in inner}):
            raise Denied(f"`{widening[0]}` in the filter of `{meaning.name}` could let other tenants' data through")
        place = inner
    place[last] = caller.tenant
    return changed


def needs_check(meaning: Meaning) -> bool:
    """Whether the results of this tool have to be checked."""
    return bool(meaning.tenant_field or meaning.class_field)


def recheck(result: Any, caller: Caller, meaning: Meaning) -> Kept:
    """A structured result without the items that belong to another tenant or are over the user's clearance.

    An item without the field, or with a class that nobody knows, is taken out. Text that is JSON is read as such. Raises `Denied` when
    there are no items that could be checked: what can't be checked isn't passed on.
    """
    if not needs_check(meaning):
        return Kept(result, len(result) if isinstance(result, list) else 1, 0)
    if isinstance(result, str):
        return _text(result, caller, meaning)
    path, items = _items(result)
    if not isinstance(items, list | dict) or len(items) > MAX_ITEMS:
        raise Denied(
            f"the result of `{meaning.name}` is no list of items whose tenant and class can be checked",
            code="unchecked",
        )
    if isinstance(items, dict):
        good = _mine(items, caller, meaning)
        return Kept(items if good else {}, int(good), int(not good))
    mine = [item for item in items if _mine(item, caller, meaning)]
    left: Any = mine
    for key in reversed(path):
        # Anything beside the list (a summary, facets) may be made from items that aren't the caller's.
        left = {key: left}
    return Kept(left, len(mine), len(items) - len(mine))


def _text(text: str, caller: Caller, meaning: Meaning) -> Kept:
    try:
        decoded = json.loads(text)
    except (ValueError, RecursionError):
        decoded = None
    if not isinstance(decoded, list | dict):
        raise Denied(
            f"`{meaning.name}` answered with text whose tenant and class can't be checked; have it answer with structured items",
            code="unchecked",
        )
    kept = recheck(decoded, caller, meaning)
    same = kept.result == decoded
    return Kept(text if same else json.dumps(kept.result, ensure_ascii=False), kept.kept, kept.dropped)


def _items(result: Any) -> tuple[list[str], Any]:
    """The list of items in a result and the keys that lead to it; the result itself where it holds no such list."""
    path: list[str] = []
    found = result
    while isinstance(found, dict) and len(path) < MAX_DEPTH:
        inner = found
        named = [key for key in LISTS if isinstance(inner.get(key), list | dict)]
        lists = named or [key for key, value in inner.items() if _objects(value)]
        if not named and len(lists) != 1:
            return [], result
        path.append(lists[0])
        found = inner[lists[0]]
    return (path, found) if isinstance(found, list) else ([], result)


def _objects(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(item, dict) for item in value)


def _mine(item: Any, caller: Caller, meaning: Meaning) -> bool:
    if meaning.tenant_field and not _same(_field(item, meaning.tenant_field), caller.tenant):
        return False
    if meaning.class_field:
        class_ = _field(item, meaning.class_field)
        return isinstance(class_, str) and class_ in CLASSES and CLASSES.index(class_) <= caller.clearance
    return True


def _same(value: Any, tenant: str) -> bool:
    """Whether an item is the tenant's and nobody else's."""
    if isinstance(value, bool):
        return False
    if isinstance(value, str | int):
        return bool(tenant) and str(value) == tenant
    return isinstance(value, Sequence) and len(value) == 1 and _same(value[0], tenant)


def _field(item: Any, path: str) -> Any:
    """The value at a dotted path of an item, at its top or where stores keep metadata; None when it is missing or ambiguous."""
    if not isinstance(item, dict):
        return None
    found = [value for inside in INSIDE if (value := _at(item.get(inside) if inside else item, path)) is not None]
    return found[0] if found and all(v == found[0] for v in found) else None


def _at(value: Any, path: str) -> Any:
    if isinstance(value, dict) and path in value:
        return value[path]
    for name in path.split("."):
        if not isinstance(value, dict):
            return None
        value = value.get(name)
    return value
