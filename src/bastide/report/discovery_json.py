# SPDX-License-Identifier: Apache-2.0
"""What discovery found, for machines."""

from __future__ import annotations

from typing import Any

from bastide import __version__
from bastide.discover.interpret import Fact, plain
from bastide.discover.merge import Difference, Merge, Standing
from bastide.discover.model import Place
from bastide.discover.result import Discovery, Found, FoundFlow, Weakness
from bastide.report.text import clean

SCHEMA_VERSION = 1


def discovery_json(found: Discovery) -> dict[str, Any]:
    """The document of `bastide discover --format json` (`bastide schema discover`)."""
    return {
        "schema_version": SCHEMA_VERSION,
        "complete": found.complete,
        "components": [_component(c) for c in found.components.values()],
        "flows": [_flow(f) for f in found.flows],
        "weaknesses": [weakness_json(w) for w in found.weaknesses],
        "diagnostics": [{**_place(p.place), "message": clean(p.message)} for p in found.problems],
        "tool": {"name": "bastide", "version": __version__},
        "sources": [{"file": clean(s.file), "sha256": s.sha256, "importers": list(s.importers)} for s in found.sources],
    }


def _component(component: Found) -> dict[str, Any]:
    return {
        "id": component.id,
        "kind": component.kind,
        "name": clean(component.name),
        "platform": component.platform,
        "facts": {name: _fact(fact) for name, fact in sorted(component.facts.items())},
        "provenance": [_place(p) for p in component.provenance],
        "confidence": round(component.confidence, 2),
    }


def _fact(fact: Fact) -> dict[str, Any]:
    value = plain(fact.value)
    found = {
        "value": clean(value) if isinstance(value, str) else value,
        "state": fact.state.value,
        **_place(fact.place),
    }
    return {**found, "source": fact.source} if fact.source else found


def _flow(flow: FoundFlow) -> dict[str, Any]:
    return {
        "id": flow.id,
        "from": flow.source,
        "to": flow.target,
        "verb": flow.verb,
        "data": clean(flow.data),
        "provenance": [_place(p) for p in flow.provenance],
        "confidence": round(flow.confidence, 2),
    }


def weakness_json(weakness: Weakness) -> dict[str, Any]:
    """A setting that doesn't hold, or of which it can't be told."""
    return {
        "expectation": weakness.expectation,
        "element": weakness.element,
        "state": weakness.state,
        "severity": weakness.severity,
        "category": weakness.category,
        **_place(weakness.place),
        "message": clean(weakness.message),
    }


def _place(place: Place) -> dict[str, Any]:
    return {"file": clean(place.file), "line": place.line}


def drift_json(merged: Merge, found: Discovery) -> dict[str, Any]:
    """The document of `bastide drift --format json` (`bastide schema drift`)."""
    return {
        "schema_version": SCHEMA_VERSION,
        "complete": found.complete,
        "matched": dict(merged.pairs),
        "differences": [_difference(d) for d in merged.differences if d.standing is not Standing.MATCHED],
        "diagnostics": [{**_place(p.place), "message": clean(p.message)} for p in found.problems],
    }


def _difference(difference: Difference) -> dict[str, Any]:
    return {
        "standing": difference.standing.value,
        "part": clean(difference.part),
        "message": clean(difference.message),
        "attribute": difference.attribute,
        "designed": plain(difference.designed),
        "found": plain(difference.found),
        **_place(difference.place),
        "plan_line": difference.location.line,
    }
