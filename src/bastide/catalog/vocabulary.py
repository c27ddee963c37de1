# SPDX-License-Identifier: Apache-2.0
"""Reads kinds and attributes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import cast, get_args

from bastide.catalog import fields
from bastide.plan.model import Value
from bastide.plan.vocabulary import TRUST_LEVELS, Attribute, AttributeType, ElementType, Kind, Passes, Vocabulary
from bastide.plan.yamlfile import Node, key_text

_KIND_KEYS = ("title", "means", "is", "passes", "origin", "draw", "defaults", "cosai")
_ATTRIBUTE_KEYS = ("type", "values", "ordered", "on", "unset", "implied-by", "from-zone", "means", "ask")
SHAPES = (
    "person",
    "screen",
    "box",
    "agent",
    "model",
    "shield",
    "document",
    "store",
    "queue",
    "tool",
    "gear",
    "vault",
    "cloud",
)


def read_vocabulary(kinds: Sequence[tuple[str, Node]], attributes: Sequence[tuple[str, Node]]) -> Vocabulary:
    """The vocabulary from files of kinds (by family) and of attributes (by element type)."""
    known: dict[str, tuple[Node, Node]] = {}
    for family, root in kinds:
        _check_mapping(root, "kinds")
        for key, key_node, node in root.items():
            if earlier := known.get(f"{family}.{key}"):
                key_node.problem(f"kind `{family}.{key[:60]}` is defined already", f"at {earlier[0].location}")
            known[f"{family}.{key}"] = (key_node, node)
    found_kinds = {id: _kind(id, node, known) for id, (_, node) in known.items()}
    families = {name for kind in found_kinds.values() for name in kind.ancestors}
    found: dict[ElementType, dict[str, Attribute]] = {element: {} for element in get_args(ElementType)}
    for name_of_file, root in attributes:
        element = next((e for e in found if e == name_of_file), None)
        if element is None:
            root.problem(
                f"`{name_of_file}` is no part of a plan",
                "the file's name says which: component, flow, data, zone, identity",
            )
            continue
        _check_mapping(root, "attributes")
        for name, key_node, node in root.items():
            if name in found[element]:
                key_node.problem(f"attribute `{name}` is defined already")
            found[element][name] = _attribute(name, element, node, families)
    return Vocabulary(found_kinds, found)


def _check_mapping(root: Node, what: str) -> None:
    if not root.is_map and root.value is not None:
        root.problem(f"expected a mapping from names to {what}, found {root.describe()}")


def with_controls(vocabulary: Vocabulary, controls: frozenset[str]) -> Vocabulary:
    """The same words, with the ids of controls that plans may claim."""
    return replace(vocabulary, controls=controls)


def _kind(id: str, node: Node, known: dict[str, tuple[Node, Node]]) -> Kind:
    fields.check_keys(node, _KIND_KEYS, "kind")
    origin = fields.choice(node, "origin", TRUST_LEVELS, TRUST_LEVELS[0]) if node.get("origin") else None
    defaults = node.get("defaults")
    return Kind(
        id=id,
        title=fields.text(node, "title"),
        means=fields.text(node, "means"),
        passes=cast(Passes, fields.choice(node, "passes", get_args(Passes), "blend")),
        origin=origin,
        draw=fields.choice(node, "draw", SHAPES, "box"),
        ancestors=frozenset(_ancestors(id, known, frozenset())),
        defaults={key: cast(Value, value.plain_data()) for key, _, value in defaults.items()} if defaults else {},
        cosai=fields.text(node, "cosai", required=False),
    )


def _ancestors(id: str, known: dict[str, tuple[Node, Node]], seen: frozenset[str]) -> set[str]:
    """The kind, its prefixes, and what it `is`, with theirs."""
    if id in seen:
        return set()
    parts = id.split(".")
    found = {".".join(parts[:n]) for n in range(1, len(parts) + 1)}
    if id in known:
        for other in fields.texts(known[id][1], "is"):
            if other not in known:
                known[id][1].problem(f"`is: {other}` names no kind")
            found |= _ancestors(other, known, seen | {id})
    return found


def _attribute(name: str, element: ElementType, node: Node, families: set[str]) -> Attribute:
    fields.check_keys(node, _ATTRIBUTE_KEYS, "definition of an attribute")
    on = fields.texts(node, "on")
    for kind in on:
        if kind not in families:
            node.problem(f"attribute `{name}` is on `{kind}`, which is no kind")
    ordered, unset, implied = node.get("ordered"), node.get("unset"), node.get("implied-by")
    type_ = cast(AttributeType, fields.choice(node, "type", get_args(AttributeType), "choice"))
    values = fields.texts(node, "values", required=type_ in ("choice", "list"))
    return Attribute(
        name=name,
        element=element,
        type=type_,
        means=fields.text(node, "means"),
        ask=fields.text(node, "ask", required=unset is None),
        values=values,
        ordered=ordered is not None and ordered.value is True,
        on=on,
        unset=_unset(unset),
        implied_by=_implied(implied) if implied is not None else {},
        from_zone=(node.get("from-zone") or node).value is True,
    )


def _unset(node: Node | None) -> Value | None:
    if node is None:
        return None
    if node.is_list:
        return tuple(key_text(item) for item in node.value)
    return node.value if isinstance(node.value, bool) else key_text(node)


def _implied(node: Node) -> dict[str, dict[str, Value]]:
    return {
        other: {
            value: cast(Value, result.value if isinstance(result.value, bool) else key_text(result))
            for value, _, result in table.items()
        }
        for other, _, table in node.items()
    }
