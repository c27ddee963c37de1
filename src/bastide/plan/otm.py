# SPDX-License-Identifier: Apache-2.0
"""Import and export of the Open Threat Model, a format that several threat modelling tools read and write.

Both ways lose nothing: what OTM can't say travels in its `attributes`, what a plan can't say is kept under `x-otm`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from bastide.plan import otm_lens as lens
from bastide.plan.canonical import canonical
from bastide.plan.load import plan_from_node
from bastide.plan.model import Plan
from bastide.plan.otm_lens import ENDS, EXTENSION, GROUPS, SYNTHETIC, VERSION, Body, Context, Names, mapping, text
from bastide.plan.otm_read import read_document
from bastide.plan.otm_words import free_id
from bastide.plan.vocabulary import Vocabulary

_PROJECT_KEYS = ("name", "owner", "purpose", "exposure", "identities", "controls")


def import_otm(text: str, file: str, vocabulary: Vocabulary) -> Plan:
    """A plan from an Open Threat Model document in YAML or JSON; `file` is its name in messages.

    What was guessed is listed by `guesses`. Raises `PlanError` with every problem, at its place in the document.
    """
    return plan_from_node(read_document(text, file, frozenset(vocabulary.kinds)), vocabulary)


def export_otm(plan: Plan) -> dict[str, Any]:
    """The plan as an Open Threat Model document of version 0.2.0 (or of the version that it was imported from).

    A component in no zone gets a zone that is made for it, since OTM demands one; importing takes it away again.
    """
    return _Exporter(plan).document()


def guesses(plan: Plan) -> Iterator[tuple[str, str]]:
    """What an import guessed and nobody confirmed: pairs of element id and key, such as ("web", "kind").

    Taking a key out of the element's `x-otm: {guessed: [...]}` confirms it.
    """
    for group in (plan.zones, plan.data, plan.components):
        for element in group.values():
            for key in lens.texts(mapping(element.extensions.get(EXTENSION)).get("guessed")):
                yield element.id, key


class _Exporter:
    def __init__(self, plan: Plan) -> None:
        found = canonical(plan)
        self.plan = plan
        self.kept = mapping(found.pop(EXTENSION, None))
        self.header = {k: v for k, v in found.items() if k in _PROJECT_KEYS or k.startswith("x-")}
        self.bodies: dict[str, dict[str, Body]] = {
            "asset": found.get("data", {}),
            "zone": found.get("zones", {}),
            "component": found.get("components", {}),
            "flow": dict(map(_flow_body, plan.flows, found.get("flows", []))),
        }
        names = {group: _otm_ids(bodies) for group, bodies in self.bodies.items()}
        self.names = Names(names, free_id("unzoned", "zone", set(names["zone"].values())))
        ids: dict[str, dict[str, str]] = {g: {otm: id for id, otm in n.items()} for g, n in names.items()}
        ids["zone"][self.names.unzoned] = ""
        zones = {names["component"][id]: self.names.zone(c.zone or "") for id, c in plan.components.items()}
        self.context = Context(ids, zones, frozenset(c.kind for c in plan.components.values()))

    def document(self) -> dict[str, Any]:
        parts = {group: [self._part(group, id, b) for id, b in self.bodies[group].items()] for group in GROUPS}
        if any(mapping(c.get("parent")).get("trustZone") == self.names.unzoned for c in parts["component"]):
            zone = {"id": self.names.unzoned, "name": "In no zone", "risk": {"trustRating": 0}}
            parts["zone"].append({**zone, "attributes": {SYNTHETIC: True}})
        found: dict[str, Any] = {"otmVersion": VERSION, "project": self._project()}
        found |= {GROUPS[group]: own for group, own in parts.items()}
        for key, value in mapping(self.kept.get("set")).items():
            if key not in found or (value is None and found[key] == []) or (key == "otmVersion" and text(value)):
                found[key] = value
        for key in lens.texts(self.kept.get("without")):
            if found.get(key) == []:
                del found[key]
        return found

    def _project(self) -> dict[str, Any]:
        kept = mapping(self.kept.get("project"))
        part = lens.native_project(self.plan.id, self.header)
        part["id"] = text(mapping(kept.get("set")).get("id")) or self.plan.id
        return lens.compose(part, kept, self.header, lambda p: lens.derive_project(p, self.plan.id))

    def _part(self, group: str, id: str, body: Body) -> dict[str, Any]:
        body = dict(body)
        kept = body.pop(EXTENSION, None)
        part = {**lens.native(group, id, body, self.names), "id": self.names.id(group, id)}
        return lens.compose(part, kept, body, lambda p: lens.DERIVE[group](p, id, self.context))


def _flow_body(id: str, entry: Mapping[str, Body]) -> tuple[str, Body]:
    ((ends, body),) = entry.items()
    return id, {ENDS: ends, **body}


def _otm_ids(bodies: Mapping[str, Body]) -> dict[str, str]:
    """Plan id -> id in OTM: the one that it was imported with, unless another part has that one."""
    found: dict[str, str] = {}
    taken = set(bodies)
    for id, body in bodies.items():
        original = text(mapping(mapping(body.get(EXTENSION)).get("set")).get("id"))
        if original and original not in taken:
            found[id] = original
            taken.add(original)
        else:
            found[id] = id
    return found
