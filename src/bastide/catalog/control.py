# SPDX-License-Identifier: Apache-2.0
"""Reads one control file."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, cast, get_args

from bastide.catalog import fields
from bastide.catalog.model import Control
from bastide.catalog.pattern import Predicate, parse_predicate
from bastide.errors import did_you_mean
from bastide.plan.vocabulary import ElementType, Vocabulary
from bastide.plan.yamlfile import Node

_KEYS = ("title", "means", "how", "where", "platforms", "on", "present-when", "cost", "evidence", "refs")
_PARTS = ("flow", "data", "identity", "zone")


def read_control(root: Node, path: Path, vocabulary: Vocabulary) -> Control:
    """The control of a file; its id is the file's name, its family the folder's."""
    fields.check_keys(root, _KEYS, "control")
    on = fields.texts(root, "on", required=True)
    families = {name for kind in vocabulary.kinds.values() for name in kind.ancestors}
    for place in on:
        if place not in families and place not in _PARTS:
            (root.get("on") or root).problem(
                f"`{place}` is neither a kind nor a part of a plan", did_you_mean(place, [*families, *_PARTS])
            )
    platforms = root.get("platforms")
    return Control(
        id=path.stem,
        family=path.parent.name,
        title=fields.text(root, "title"),
        means=fields.text(root, "means"),
        how=fields.text(root, "how"),
        where=cast(
            Literal["enterprise", "platform", "both"], fields.choice(root, "where", ("enterprise", "platform", "both"))
        ),
        on=on,
        present_when=_present_when(root.get("present-when"), vocabulary),
        cost=fields.number(root, "cost", default=3, lowest=1, highest=5),
        evidence=fields.texts(root, "evidence", required=True),
        platforms={key: fields.text(platforms, key) for key, _, _ in platforms.items()} if platforms else {},
        refs=fields.refs(root),
        location=root.location,
    )


def _present_when(node: Node | None, vocabulary: Vocabulary) -> dict[ElementType, Predicate]:
    found: dict[ElementType, Predicate] = {}
    for key, key_node, value in node.items() if node is not None else ():
        if key not in get_args(ElementType):
            key_node.problem(f"`{key}` is no part of a plan", did_you_mean(key, get_args(ElementType)))
            continue
        element = cast(ElementType, key)
        found[element] = parse_predicate(value, element, vocabulary)
    return found
