# SPDX-License-Identifier: Apache-2.0
"""Reads one framework file: identifiers, official names and links between identifiers."""

from __future__ import annotations

from bastide.catalog import fields
from bastide.catalog.model import Entry, Framework
from bastide.plan.yamlfile import Node, key_text

_KEYS = ("title", "url", "license", "attribution", "groups")


def read_framework(root: Node, id: str) -> Framework:
    """The framework of a file."""
    fields.check_keys(root, _KEYS, "framework")
    entries: dict[str, Entry] = {}
    groups = root.get("groups")
    for group, _, members in groups.items() if groups is not None else ():
        for entry, key_node, value in members.items():
            if entry in entries:
                key_node.problem(f"`{entry}` stands twice")
            entries[entry] = _entry(entry, group, value)
    if not entries:
        root.problem("has no entries")
    return Framework(
        id=id,
        title=fields.text(root, "title"),
        url=fields.text(root, "url"),
        license=fields.text(root, "license"),
        attribution=fields.text(root, "attribution"),
        entries=entries,
    )


def _entry(id: str, group: str, value: Node) -> Entry:
    if not value.is_map:
        return Entry(id, key_text(value), group)
    return Entry(
        id,
        fields.text(value, "name"),
        group,
        {key: node.plain_data() for key, _, node in value.items() if key != "name"},
    )
