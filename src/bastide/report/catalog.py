# SPDX-License-Identifier: Apache-2.0
"""The catalogue as JSON, in the shape of `schemas/catalog.json`, and its coverage as in `schemas/coverage.json`."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from bastide.catalog.coverage import GroupCoverage
from bastide.catalog.model import Catalog, Control, Framework, Refs, Threat
from bastide.plan.vocabulary import Attribute, Kind
from bastide.report.document import head


def catalog_json(catalog: Catalog, sections: Iterable[str]) -> dict[str, Any]:
    """Some sections of the catalogue: `rules`, `controls`, `kinds`, `attributes`, `frameworks`."""
    attributes = [a for group in catalog.vocabulary.attributes.values() for a in group.values()]
    make: dict[str, Callable[[], list[dict[str, Any]]]] = {
        "rules": lambda: [_rule(t) for t in catalog.threats.values()],
        "controls": lambda: [_control(c, catalog) for c in catalog.controls.values()],
        "kinds": lambda: [_kind(k, catalog) for k in catalog.vocabulary.kinds.values()],
        "attributes": lambda: [_attribute(a) for a in attributes],
        "frameworks": lambda: [_framework(f) for f in catalog.frameworks.values()],
    }
    return {**head(), **{section: make[section]() for section in sections}}


def coverage_json(groups: Iterable[GroupCoverage], catalog: Catalog) -> dict[str, Any]:
    """The document of `bastide catalog coverage --format json`."""
    return {
        **head(),
        "frameworks": [
            {
                "id": g.framework,
                "group": g.group,
                "total": g.total,
                "covered": g.covered,
                "by_rules": list(g.by_rules),
                "by_controls": list(g.by_controls),
                "by_kinds": list(g.by_kinds),
                "with_control": list(g.with_control),
                "uncovered": [{"id": id, "name": catalog.name_of(g.framework, id)} for id in g.uncovered],
            }
            for g in groups
        ],
    }


def _rule(threat: Threat) -> dict[str, Any]:
    return {
        "id": threat.id,
        "family": threat.family,
        "title": threat.title,
        "summary": threat.summary,
        "attack": list(threat.attack),
        "roles": {name: role.element for name, role in threat.roles.items()},
        "sink": threat.sink,
        "breaks": {control: list(places) for control, places in threat.breaks.items()},
        "reduces": {control: list(places) for control, places in threat.reduces.items()},
        "refs": _refs(threat.refs),
    }


def _control(control: Control, catalog: Catalog) -> dict[str, Any]:
    return {
        "id": control.id,
        "family": control.family,
        "title": control.title,
        "means": control.means,
        "how": control.how,
        "where": control.where,
        "on": list(control.on),
        "cost": control.cost,
        "evidence": list(control.evidence),
        "platforms": dict(control.platforms),
        "breaks": [t.id for t in catalog.threats.values() if control.id in t.breaks],
        "reduces": [t.id for t in catalog.threats.values() if control.id in t.reduces],
        "refs": _refs(control.refs),
    }


def _kind(kind: Kind, catalog: Catalog) -> dict[str, Any]:
    cosai = [id for id in catalog.frameworks if id.startswith("cosai:") and catalog.name_of(id, kind.cosai)]
    return {
        "id": kind.id,
        "title": kind.title,
        "means": kind.means,
        "is": sorted(kind.ancestors - {kind.id}),
        "attributes": [a.name for a in catalog.vocabulary.attributes_of(kind)],
        "defaults": {name: list(v) if isinstance(v, (tuple, list)) else v for name, v in kind.defaults.items()},
        "refs": {id: [kind.cosai] for id in cosai},
    }


def _attribute(attribute: Attribute) -> dict[str, Any]:
    unset = attribute.unset
    return {
        "name": attribute.name,
        "element": attribute.element,
        "type": attribute.type,
        "values": list(attribute.values),
        "ordered": attribute.ordered,
        "on": list(attribute.on),
        "unset": list(unset) if isinstance(unset, (tuple, list)) else unset,
        "means": attribute.means,
        "ask": attribute.ask,
    }


def _framework(framework: Framework) -> dict[str, Any]:
    return {
        "id": framework.id,
        "title": framework.title,
        "url": framework.url,
        "license": framework.license,
        "attribution": framework.attribution,
        "entries": [{"id": e.id, "name": e.name, "group": e.group} for e in framework.entries.values()],
    }


def _refs(refs: Refs) -> dict[str, list[str]]:
    return {framework: list(ids) for framework, ids in refs.items()}
