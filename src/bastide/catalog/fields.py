# SPDX-License-Identifier: Apache-2.0
"""Small readers that all knowledge files share; each reports problems at the node."""

from __future__ import annotations

from collections.abc import Iterable

from bastide.errors import did_you_mean
from bastide.plan.yamlfile import Node, key_text


def check_keys(node: Node, known: Iterable[str], what: str) -> None:
    """Reports keys that a mapping may not have."""
    names = tuple(known)
    for key, key_node, _ in node.items():
        if key not in names and not key.startswith("x-"):
            key_node.problem(f"unknown key `{key[:60]}` in a {what}", did_you_mean(key, names))


def text(node: Node, key: str, required: bool = True) -> str:
    """A text field, with white space folded."""
    found = node.get(key)
    if found is None or found.value is None:
        if required:
            node.problem(f"`{key}` is missing")
        return ""
    if found.is_map or found.is_list:
        found.problem(f"`{key}` is a text, found {found.describe()}")
        return ""
    return " ".join(key_text(found).split())


def texts(node: Node, key: str, required: bool = False) -> tuple[str, ...]:
    """A text or a list of texts."""
    found = node.get(key)
    if found is None or found.value is None:
        if required:
            node.problem(f"`{key}` is missing")
        return ()
    items = found.value if found.is_list else [found]
    for item in items:
        if item.is_map or item.is_list or item.value is None:
            item.problem(f"expected text, found {item.describe()}")
    return tuple(" ".join(key_text(i).split()) for i in items if not (i.is_map or i.is_list))


def choice(node: Node, key: str, values: tuple[str, ...], default: str = "") -> str:
    """One of some words."""
    found = text(node, key, required=not default) or default
    if found and found not in values:
        (node.get(key) or node).problem(f"`{found}` is no {key}", did_you_mean(found, values))
        return values[0]
    return found


def number(node: Node, key: str, default: int, lowest: int, highest: int) -> int:
    """A whole number in a range."""
    found = node.get(key)
    if found is None:
        return default
    if not isinstance(found.value, int) or isinstance(found.value, bool) or not lowest <= found.value <= highest:
        found.problem(f"`{key}` is a whole number from {lowest} to {highest}, found {found.describe()}")
        return default
    return found.value


def refs(node: Node) -> dict[str, tuple[str, ...]]:
    """The external references: framework id -> entry ids. `catalog.lint` checks that they exist."""
    found = node.get("refs")
    if found is None:
        return {}
    if not found.is_map:
        found.problem(f"`refs` is a mapping from framework to ids, found {found.describe()}")
        return {}
    return {key: texts(found, key) for key, _, _ in found.items()}


def places(node: Node, key: str, known: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """A mapping from control id to places."""
    found = node.get(key)
    if found is None or found.value is None:
        return {}
    if not found.is_map:
        found.problem(
            f"`{key}` is a mapping from control to places, found {found.describe()}", "such as `human-approval: [call]`"
        )
        return {}
    options = tuple(known)
    result = {}
    for control, _, where in found.items():
        result[control] = texts(found, control, required=True)
        for place in result[control]:
            if place not in options:
                where.problem(f"`{place}` is no role, leg or `path` of this rule", did_you_mean(place, options))
    return result
