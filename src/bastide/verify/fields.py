# SPDX-License-Identifier: Apache-2.0
"""Values in policies as people write them: what is wrong is noted at its place, and reading goes on."""

from __future__ import annotations

import re
from typing import Any

from bastide.catalog.fields import check_keys
from bastide.plan.yamlfile import Node, key_text
from bastide.verify.signing.policy import Range

_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
_DURATION = re.compile(r"(\d{1,6})([smhdw])\Z")


def mapping(node: Node, key: str) -> list[tuple[str, Node, Node]]:
    """The entries of a mapping that are mappings: name, the name's node, the value; other ones are noted."""
    found = node.get(key)
    if found is None or found.value is None:
        return []
    if not found.is_map:
        found.problem(f"`{key}` is a mapping, found {found.describe()}")
        return []
    for _, _, one in found.items():
        if not one.is_map:
            one.problem(f"expected a mapping, found {one.describe()}")
    return [item for item in found.items() if item[2].is_map]


def listed(node: Node, key: str) -> list[Node]:
    """The elements of a list that are mappings; other ones are noted."""
    found = node.get(key)
    if found is None or found.value is None:
        return []
    if not found.is_list:
        found.problem(f"`{key}` is a list, found {found.describe()}", "begin each with `- `")
        return []
    for one in found.value:
        if not one.is_map:
            one.problem(f"expected a mapping, found {one.describe()}")
    return [one for one in found.value if one.is_map]


def text_of(node: Node, key: str, required: bool = False) -> str:
    """A text; '' when it isn't there, which is noted when it is required."""
    found = node.get(key)
    if found is None or found.value is None:
        if required:
            node.problem(f"`{key}` is missing")
        return ""
    if found.is_map or found.is_list or not (text := key_text(found).strip()):
        found.problem(f"`{key}` is a text, found {found.describe()}")
        return ""
    return text


def texts_of(node: Node, key: str, required: bool = False) -> tuple[str, ...]:
    """A list of texts, or one."""
    found = node.get(key)
    if found is None or found.value is None or found.value == []:
        if required:
            node.problem(f"`{key}` is missing")
        return ()
    items = found.value if found.is_list else [found]
    for item in items:
        if item.is_map or item.is_list or not key_text(item).strip():
            item.problem(f"expected a text, found {item.describe()}")
    return tuple(key_text(i).strip() for i in items if not (i.is_map or i.is_list) and key_text(i).strip())


def flag_of(node: Node, key: str, default: bool) -> bool:
    """True or false."""
    found = node.get(key)
    if found is None:
        return default
    if not isinstance(found.value, bool):
        found.problem(f"`{key}` is `true` or `false`, found {found.describe()}")
        return default
    return found.value


def duration_of(node: Node, key: str) -> float | None:
    """Seconds of `12h`, `7d`, `4w`; None when nothing is said."""
    text = text_of(node, key)
    if not text:
        return None
    match = _DURATION.match(text)
    if match is None:
        (node.get(key) or node).problem(f"`{text[:40]}` is no time", "such as `12h`, `7d` or `4w`")
        return None
    return float(match[1]) * _UNITS[match[2]]


def range_of(node: Node) -> Range:
    """What a number may be: `min`, `max`."""
    check_keys(node, ("min", "max"), "range of a metric")
    found: dict[str, Any] = {}
    for key, _, one in node.items():
        if key in ("min", "max"):
            if isinstance(one.value, (int, float)) and not isinstance(one.value, bool):
                found[key] = float(one.value)
            else:
                one.problem(f"`{key}` is a number, found {one.describe()}")
    if not found:
        node.problem("`min` or `max` is missing")
    return Range(**found)
