# SPDX-License-Identifier: Apache-2.0
"""The inventory for machines: JSON, and CycloneDX 1.6 (https://cyclonedx.org/docs/1.6/json/) for tools that collect bills of materials."""

from __future__ import annotations

from typing import Any
from uuid import NAMESPACE_URL, uuid5

from bastide import __version__
from bastide.discover.inventory import Inventory, Item
from bastide.discover.libraries import Library
from bastide.report.text import clean

_TYPES = {"models": "machine-learning-model", "data": "data", "stores": "application", "prompts": "data"}


def inventory_json(found: Inventory) -> dict[str, Any]:
    """The document of `bastide inventory --format json` (`bastide schema inventory`)."""
    return {
        "schema_version": 1,
        "complete": not found.incomplete,
        "repositories": [clean(r) for r in found.repositories],
        "incomplete": [clean(r) for r in found.incomplete],
        "items": [_item(i) for i in found.items],
        "libraries": [_library(repository, library) for repository, library in found.libraries],
    }


def _library(repository: str, library: Library) -> dict[str, Any]:
    return {
        "repository": clean(repository),
        "group": library.group,
        "ecosystem": library.ecosystem,
        "name": clean(library.name),
        "version": clean(library.version),
        "requirement": clean(library.requirement),
        "purl": clean(library.purl),
        "provenance": [{"file": clean(p.file), "line": p.line} for p in library.places],
    }


def _item(item: Item) -> dict[str, Any]:
    component = item.component
    return {
        "repository": clean(item.repository),
        "group": item.group,
        "id": component.id,
        "kind": component.kind,
        "name": clean(component.name),
        "platform": component.platform,
        "provenance": [{"file": clean(p.file), "line": p.line} for p in component.provenance],
    }


def inventory_cyclonedx(found: Inventory) -> dict[str, Any]:
    """A bill of materials with a component for each item. The same inventory gives the same bytes."""
    components = [*(_component(i) for i in found.items), *(_library_component(r, one) for r, one in found.libraries)]
    refs = "".join(c["bom-ref"] for c in components)
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid5(NAMESPACE_URL, refs)}",
        "version": 1,
        "metadata": {"tools": {"components": [{"type": "application", "name": "bastide", "version": __version__}]}},
        "components": components,
        "compositions": [
            {
                "aggregate": "incomplete" if found.incomplete else "unknown",
                "assemblies": [c["bom-ref"] for c in components],
            }
        ],
    }


def _component(item: Item) -> dict[str, Any]:
    component = item.component
    properties = [
        ("bastide:kind", component.kind),
        ("bastide:platform", component.platform),
        ("bastide:repository", item.repository),
    ]
    return {
        "type": _TYPES.get(item.group, "application"),
        "bom-ref": f"{clean(item.repository)}#{component.id}",
        "name": clean(component.name) or component.id,
        "properties": [{"name": name, "value": clean(value)} for name, value in properties if value],
        "evidence": {
            "occurrences": [{"location": clean(p.file), "line": p.line} for p in component.provenance if p.file]
        },
    }


def _library_component(repository: str, library: Library) -> dict[str, Any]:
    properties = [
        ("bastide:group", library.group),
        ("bastide:requirement", library.requirement),
        ("bastide:repository", repository),
    ]
    component = {
        "type": "library",
        "bom-ref": f"{clean(repository)}#{clean(library.purl)}#{clean(library.requirement)}",
        "name": clean(library.name),
        "version": clean(library.version),
        "purl": clean(library.purl),
        "properties": [{"name": name, "value": clean(value)} for name, value in properties if value],
        "evidence": {"occurrences": [{"location": clean(p.file), "line": p.line} for p in library.places]},
    }
    return component if library.version else {k: v for k, v in component.items() if k != "version"}
