# SPDX-License-Identifier: Apache-2.0
"""A plan as plain data in one canonical form: what is saved, compared and digested."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from bastide.plan.model import Component, ControlClaim, Data, Element, Fact, Flow, Identity, Plan, Source, Zone


def canonical(plan: Plan) -> dict[str, Any]:
    """The plan as nested dicts and lists in the shape of `bastide.yaml`; positions and assumed facts are left out."""
    found: dict[str, Any] = {
        "bastide": 1,
        "system": plan.id,
        "name": plan.name,
        "owner": plan.owner,
        "purpose": plan.purpose,
        "exposure": plan.exposure,
        "data": {k: _data(v) for k, v in plan.data.items()},
        "zones": {k: _zone(v) for k, v in plan.zones.items()},
        "identities": {k: _identity(v) for k, v in plan.identities.items()},
        "components": {k: _component(v) for k, v in plan.components.items()},
        "flows": [_flow(v) for v in plan.flows.values()],
        "controls": [_claim(c) for c in plan.claims],
    }
    found = {key: value for key, value in found.items() if value not in ("", None, {}, [])}
    return {**found, **plan.extensions}


def canonical_bytes(plan: Plan) -> bytes:
    """The canonical form as JSON with sorted keys, for digests."""
    return json.dumps(canonical(plan), sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode(
        "utf-8", "surrogatepass"
    )


def _common(element: Element, **own: Any) -> dict[str, Any]:
    found = {"name": element.name, "description": element.description, **own, "tags": list(element.tags)}
    found = {key: value for key, value in found.items() if value not in ("", None, [], False)}
    for name, fact in element.facts.items():
        if fact.source is not Source.ASSUMED:
            found[name] = _fact(fact)
    return {**found, **element.extensions}


def _fact(fact: Fact) -> Any:
    value: Any = "unknown" if fact.value is None else list(fact.value) if isinstance(fact.value, tuple) else fact.value
    if fact.source is Source.DECLARED and not fact.evidence:
        return value
    # The value stays even when it is an empty text: a fact without one can't be read back.
    long = {"value": value, "source": fact.source.value}
    return {**long, "evidence": fact.evidence} if fact.evidence else long


def _component(c: Component) -> dict[str, Any]:
    own = {"zone": c.zone, "platform": c.platform, "owner": c.owner, "runs-as": c.runs_as, "holds": list(c.holds)}
    return {"kind": c.kind, **_common(c, **own)}


def _flow(f: Flow) -> dict[str, Any]:
    arrow = "<->" if f.both_ways else "->"
    identifier = None if f.id == f"{f.source}{arrow}{f.target}" else f.id
    return {f"{f.source} {arrow} {f.target}": _common(f, id=identifier, data=list(f.data))}


def _data(d: Data) -> dict[str, Any]:
    return _common(d, owner=d.owner)


def _zone(z: Zone) -> dict[str, Any]:
    return _common(z, **{"in": z.parent})


def _identity(i: Identity) -> dict[str, Any]:
    grants = [{"on": g.on, "actions": list(g.actions), **g.extensions} for g in i.grants]
    return _common(i, owner=i.owner, grants=grants)


def _claim(c: ControlClaim) -> dict[str, Any]:
    own: Mapping[str, Any] = {"on": list(c.on) if len(c.on) != 1 else c.on[0], "by": c.by, "evidence": c.evidence}
    body = {key: value for key, value in own.items() if value}
    if c.source is not Source.DECLARED:
        body["source"] = c.source.value
    return {c.control: {**body, **c.extensions}}
