# SPDX-License-Identifier: Apache-2.0
"""The two ways between one part of an OTM document and one part of a plan, and what is needed so that nothing is lost.

`derive` reads a part of OTM into the body of a part of a plan; `native` writes such a body with the fields that OTM
has. What `native` can't say goes into `attributes`, under `bastide.<key>`. What `derive` can't take in is kept in the
plan under `x-otm`: `set` (fields as they stood), `without` (fields that weren't there), `guessed` (keys that are guesses).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from bastide.plan.otm_words import CONFIDENTIALITY, TRUST_RATINGS, guess_kind, guess_trust

Body = dict[str, Any]
Part = Mapping[str, Any]
VERSION = "0.2.0"
GROUPS = {"asset": "assets", "zone": "trustZones", "component": "components", "flow": "dataflows"}
"""Our name of a group of parts -> the name of its list in OTM."""
PREFIX = "bastide."
UNSET = PREFIX + "unset"
SYNTHETIC = PREFIX + "synthetic"
EXTENSION = "x-otm"
ENDS = "->"
"""Key under which the body of a flow holds its two ends while it is on the way."""
_FIXED = frozenset({"id", "source", "destination", "attributes"})
_TEXTS = frozenset({"name", "type"})
_NOTHING = object()


@dataclass(frozen=True, slots=True)
class Context:
    """What the parts of a document must know of each other."""

    ids: Mapping[str, Mapping[str, str]]
    """Group -> id in OTM -> id in the plan; '' for a zone that only OTM needs."""
    zone_of: Mapping[str, str | None]
    """Id of a component in OTM -> id in OTM of the zone around it."""
    kinds: frozenset[str]

    def id(self, group: str, otm_id: str) -> str:
        """The plan's id; what is unknown stays as it is, so that the plan's reader reports it."""
        return self.ids[group].get(otm_id, otm_id)


@dataclass(frozen=True, slots=True)
class Derived:
    """The body of a part, and which of its keys are guesses."""

    body: Body
    guessed: frozenset[str] = frozenset()


Derive = Callable[[Part], Derived]


def text(value: Any) -> str:
    """A text, or '' for anything else."""
    return value if isinstance(value, str) else ""


def texts(value: Any) -> list[str]:
    """The texts of a list."""
    return [v for v in value if isinstance(v, str)] if isinstance(value, list) else []


def mapping(value: Any) -> Mapping[str, Any]:
    """A mapping, or an empty one for anything else."""
    return value if isinstance(value, dict) else {}


# -- from OTM --------------------------------------------------------------------------------------------
def derive_component(part: Part, id: str, context: Context) -> Derived:
    """The body of a component."""
    kind, guessed = text(part.get("type")), frozenset[str]()
    if kind not in context.kinds:
        kind, guessed = guess_kind(kind), frozenset({"kind"})
    stored = texts(mapping(part.get("assets")).get("stored"))
    holds = list(dict.fromkeys(context.id("asset", a) for a in stored))
    own = {"kind": kind, "zone": _zone(part.get("parent"), context), "holds": holds}
    return _finish({**_common(part, id), **own, "tags": texts(part.get("tags"))}, part, guessed)


def derive_flow(part: Part, id: str, context: Context) -> Derived:
    """The body of a flow, with its ends."""
    ends = [context.id("component", text(part.get(end))) for end in ("source", "destination")]
    arrow = "<->" if part.get("bidirectional") is True else "->"
    explicit = id if id != arrow.join(ends) else ""
    data = list(dict.fromkeys(context.id("asset", a) for a in texts(part.get("assets"))))
    own = {ENDS: f" {arrow} ".join(ends), "id": explicit, "data": data, "tags": texts(part.get("tags"))}
    return _finish({**_common(part, id), **own}, part)


def derive_zone(part: Part, id: str, context: Context) -> Derived:
    """The body of a zone."""
    rating = mapping(part.get("risk")).get("trustRating")
    trust = guess_trust(rating) if isinstance(rating, (int, float)) else ""
    own = {"in": _zone(part.get("parent"), context), "trust": trust}
    return _finish({**_common(part, id), **own}, part, frozenset({"trust"}))


def derive_asset(part: Part, id: str, _context: Context) -> Derived:
    """The body of a data asset. Of its risk only `confidentiality: 0` says something certain: it is public."""
    confidentiality = mapping(part.get("risk")).get("confidentiality")
    public = confidentiality == 0 and not isinstance(confidentiality, bool)
    return _finish({**_common(part, id), "class": "public" if public else ""}, part, frozenset({"class"}))


def derive_project(part: Part, id: str) -> Derived:
    """What a plan says of the system as a whole."""
    found = _common(part, id)
    found["purpose"] = found.pop("description")
    return _finish({**found, "owner": text(part.get("owner"))}, part)


def _common(part: Part, id: str) -> Body:
    name = text(part.get("name"))
    return {"name": name if name != id else "", "description": text(part.get("description"))}


def _zone(parent: Any, context: Context) -> str:
    zone = mapping(parent).get("trustZone")
    component = mapping(parent).get("component")
    if zone is None and isinstance(component, str):
        zone = context.zone_of.get(component, component)
    return context.id("zone", zone) if isinstance(zone, str) else ""


def _finish(body: Body, part: Part, guessed: frozenset[str] = frozenset()) -> Derived:
    """Leaves out what is empty, then lets the `bastide.` attributes have the last word."""
    found = {key: value for key, value in body.items() if value not in ("", [])}
    attributes = mapping(part.get("attributes"))
    stated = {k.removeprefix(PREFIX): v for k, v in attributes.items() if k.startswith(PREFIX) and k != UNSET}
    for key in texts(attributes.get(UNSET)):
        found.pop(key, None)
    return Derived({**found, **stated}, (guessed & found.keys()) - stated.keys())


# -- to OTM ----------------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class Names:
    """Group -> id in the plan -> id in OTM; and the zone for components that are in none."""

    ids: Mapping[str, Mapping[str, str]]
    unzoned: str

    def id(self, group: str, id: str) -> str:
        """The id in OTM."""
        return self.ids[group].get(id, id)

    def zone(self, id: str) -> str:
        """The id in OTM of a zone; of the one for components that are in none, where there is no id."""
        return self.id("zone", id) if id else self.unzoned


def native(group: str, id: str, body: Body, names: Names) -> dict[str, Any]:
    """A part written with the fields that OTM has for it, under its own id."""
    found = native_common(body, id)
    if group in ("asset", "zone"):
        found["risk"] = native_risk(body, group)
        if group == "zone" and body.get("in"):
            found["parent"] = {"trustZone": names.zone(text(body["in"]))}
        return found
    if body.get("tags"):
        found["tags"] = body["tags"]
    return {**found, **(_native_component(body, names) if group == "component" else _native_flow(body, names))}


def native_project(id: str, header: Body) -> dict[str, Any]:
    """The system as a whole."""
    found = native_common({**header, "description": header.get("purpose", "")}, id)
    return {**found, "owner": header["owner"]} if text(header.get("owner")) else found


def native_common(body: Body, id: str) -> dict[str, Any]:
    """Id, name and description, which every part of OTM has."""
    found: dict[str, Any] = {"id": id, "name": text(body.get("name")) or id}
    return {**found, "description": body["description"]} if text(body.get("description")) else found


def _native_component(body: Body, names: Names) -> dict[str, Any]:
    parent = {"trustZone": names.zone(text(body.get("zone")))}
    found = {"type": text(body.get("kind")), "parent": parent}
    stored = [names.id("asset", a) for a in texts(body.get("holds"))]
    return {**found, "assets": {"stored": stored}} if stored else found


def _native_flow(body: Body, names: Names) -> dict[str, Any]:
    source, arrow, target = body[ENDS].split(" ")
    found: dict[str, Any] = {"source": names.id("component", source), "destination": names.id("component", target)}
    if arrow == "<->":
        found["bidirectional"] = True
    data = [names.id("asset", a) for a in texts(body.get("data"))]
    return {**found, "assets": data} if data else found


def native_risk(body: Body, element: str) -> dict[str, Any]:
    """The numbers that OTM demands; where the plan says nothing, the most careful ones."""
    if element == "zone":
        return {"trustRating": TRUST_RATINGS.get(_fact(body.get("trust")), 0)}
    level = CONFIDENTIALITY.get(_fact(body.get("class")), 100)
    comment = "Confidentiality from the class of the data; a plan has no numbers for integrity and availability."
    return {"confidentiality": level, "integrity": 100, "availability": 100, "comment": comment}


def _fact(value: Any) -> str:
    """The value of a fact in short or long form."""
    return text(value.get("value")) if isinstance(value, dict) else text(value)


DERIVE: Mapping[str, Callable[[Part, str, Context], Derived]] = {
    "asset": derive_asset,
    "zone": derive_zone,
    "component": derive_component,
    "flow": derive_flow,
}


# -- there and back --------------------------------------------------------------------------------------
def compose(part: dict[str, Any], kept: Any, body: Body, derive: Derive) -> dict[str, Any]:
    """The part as OTM: native fields, what was kept of the original as far as it still holds, `bastide.` attributes.

    What was kept holds if it says of the plan's own keys nothing else than the plan does. So fields that only OTM has
    always come back, and an edit of the plan wins over the original.
    """
    kept = mapping(kept)
    trusted = frozenset(texts(kept.get("guessed")))
    fields = {k: v for k, v in mapping(kept.get("set")).items() if _may_set(k, v)}
    without = [k for k in texts(kept.get("without")) if k not in _FIXED | _TEXTS]

    def differing(candidate: Part) -> set[str]:
        derived = derive(candidate).body
        return {k for k in derived.keys() | body.keys() if derived.get(k, _NOTHING) != body.get(k, _NOTHING)}

    whole = {k: v for k, v in {**part, **fields}.items() if k not in without}
    fits = differing(whole) <= differing(part)
    part = whole if fits else _piecewise(part, fields, without, differing)
    # What would be guessed again, and was confirmed meanwhile, is said.
    unsaid = differing(part) | (derive(part).guessed - trusted)
    original = mapping(kept.get("set")).get("attributes", _NOTHING)
    foreign = {k: v for k, v in mapping(original).items() if not k.startswith(PREFIX)}
    attributes = foreign | _attributes(body, unsaid)
    if attributes or original is None or original == {}:
        part = {**part, "attributes": attributes or original}
    return part


def _may_set(key: str, value: Any) -> bool:
    """Whether people may have this field in an OTM document; `x-otm` can be edited too."""
    if key == "parent":
        return isinstance(value, dict) and len(value) == 1 and value.keys() <= {"trustZone", "component"}
    if key == "risk":
        return isinstance(value, dict)
    return key not in _FIXED and (key not in _TEXTS or isinstance(value, str))


def _piecewise(
    part: dict[str, Any], fields: Mapping[str, Any], without: list[str], differing: Callable[[Part], set[str]]
) -> dict[str, Any]:
    """As much of the original as doesn't contradict the plan, field by field."""
    for key, value in fields.items():
        options = [{**part, key: value}]
        if isinstance(value, dict) and isinstance(part.get(key), dict):
            options.append({**part, key: {**value, **part[key]}})
        elif isinstance(value, dict):  # all that the plan could have said here is gone from it
            options.append({**part, key: {k: v for k, v in value.items() if k != "stored"}})
        part = next((o for o in options if differing(o) <= differing(part)), part)
    for key in without:
        shorter = {k: v for k, v in part.items() if k != key}
        if differing(shorter) <= differing(part):
            part = shorter
    return part


def _attributes(body: Body, unsaid: set[str]) -> dict[str, Any]:
    """What the part's own fields don't say, or say otherwise."""
    found = {PREFIX + key: body[key] for key in body if key in unsaid}
    unset = sorted(key for key in unsaid if key not in body)
    return {**found, UNSET: unset} if unset else found


def remainder(part: Part, rebuilt: Part, guessed: frozenset[str]) -> Body:
    """What of a part of OTM the plan can't say: the content of `x-otm`, empty if there is nothing."""
    kept = {k: v for k, v in part.items() if k != "attributes" and (k not in rebuilt or rebuilt[k] != v)}
    if "attributes" in part:
        attributes = part["attributes"]
        foreign = {k: v for k, v in mapping(attributes).items() if not k.startswith(PREFIX)}
        if foreign or not attributes:
            kept["attributes"] = foreign or attributes
    without = [k for k in rebuilt if k not in part and k != "attributes"]
    found: Body = {"set": kept, "without": without, "guessed": sorted(guessed)}
    return {key: value for key, value in found.items() if value}
