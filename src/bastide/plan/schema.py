# SPDX-License-Identifier: Apache-2.0
"""A JSON Schema of `bastide.yaml` for editors: completion of kinds, attributes and values with their meaning.

The schema says what a person should write, so it is a little stricter in style than the reader (it knows no
numbers as texts) and weaker in substance (it can't follow references). `bastide` itself never uses it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from bastide.plan.load import EXPOSURES, FORMAT
from bastide.plan.model import Source
from bastide.plan.vocabulary import Attribute, ElementType, Kind, Vocabulary

Schema = dict[str, Any]

DIALECT = "https://json-schema.org/draft/2020-12/schema"
_TEXT: Schema = {"type": ["string", "number", "boolean", "null"]}
_TEXTS: Schema = {"anyOf": [_TEXT, {"type": "array", "items": _TEXT}]}
_ID = r"^[a-z0-9]([a-z0-9_.-]{0,118}[a-z0-9_])?$"
_FLOW = r"^\s*[a-z0-9][a-z0-9_.-]*(\s*<?->\s*[a-z0-9][a-z0-9_.-]*)+\s*$"
_EXTENSION: Schema = {"^x-": True}
_COMMON: Schema = {
    "name": {**_TEXT, "description": "What people call it; the id where it is missing."},
    "description": _TEXT,
    "tags": _TEXTS,
}
_SOURCES = [s.value for s in Source if s is not Source.ASSUMED]


def plan_schema(vocabulary: Vocabulary) -> Schema:
    """The schema (draft 2020-12) of plans in these words."""
    return {
        "$schema": DIALECT,
        "$id": "urn:bastide:plan:1",
        "title": "Bastide plan",
        "description": "A plan of an AI system. See docs/plan-format.md.",
        "type": "object",
        "required": ["bastide", "system"],
        "properties": {**_header(), **_sections(), "defaults": _defaults(vocabulary)},
        "patternProperties": _EXTENSION,
        "additionalProperties": False,
        "$defs": {
            **_facts(vocabulary),
            "data": _part("data", vocabulary, {"owner": _TEXT}),
            "zone": _part("zone", vocabulary, {"in": {**_TEXT, "description": "The zone that it lies in."}}),
            "identity": _part("identity", vocabulary, {"owner": _TEXT, "grants": {"$ref": "#/$defs/grants"}}),
            "grants": _grants(),
            "component": _component(vocabulary),
            "kind": {"oneOf": [{"const": k.id, "title": k.title, "description": k.means} for k in _kinds(vocabulary)]},
            "flow": {
                "anyOf": [
                    {"type": "null"},
                    _part("flow", vocabulary, {"id": {"type": "string"}, "data": _TEXTS}),
                ]
            },
            "claim": _claim(),
            "control": _control(vocabulary),
        },
    }


def _header() -> Schema:
    return {
        "bastide": {"const": FORMAT, "description": "Version of the format."},
        "system": {"type": ["string", "integer"], "pattern": _ID, "description": "Id of the system."},
        "name": _TEXT,
        "owner": {"description": "Who answers for it; text or any mapping."},
        "purpose": {**_TEXT, "description": "What it does, and for whom."},
        "exposure": {"enum": [*EXPOSURES, None], "description": "Who can use it."},
        "include": {
            **_TEXTS,
            "description": "Other files in this folder or below, of the same form.",
        },
    }


def _sections() -> Schema:
    named = {"data": "data", "zones": "zone", "identities": "identity", "components": "component"}
    found: Schema = {name: _by_id(f"#/$defs/{part}") for name, part in named.items()}
    flow: Schema = {"type": "object", "minProperties": 1, "maxProperties": 1, "additionalProperties": False}
    flow["patternProperties"] = {_FLOW: {"$ref": "#/$defs/flow"}}
    written = {"type": "string", "pattern": _FLOW}
    whole = {**flow, "minProperties": 0}
    del whole["maxProperties"]
    found["flows"] = {
        "description": "`- from -> to: {...}`, `a <-> b`, or a chain `a -> b -> c`.",
        "anyOf": [{"type": "array", "items": {"anyOf": [written, flow]}}, whole, {"type": "null"}],
    }
    claim = {"type": "object", "minProperties": 1, "maxProperties": 1, "$ref": "#/$defs/control"}
    found["controls"] = {
        "description": "Controls that are in place: `- control-id: {on: element, by: product}`.",
        "anyOf": [{"type": "array", "items": claim}, {"$ref": "#/$defs/control"}, {"type": "null"}],
    }
    return found


def _by_id(reference: str) -> Schema:
    return {
        "type": ["object", "null"],
        "patternProperties": {_ID: {"$ref": reference}},
        "additionalProperties": False,
    }


def _object(properties: Schema, required: Iterable[str] = ()) -> Schema:
    found: Schema = {"type": "object", "properties": properties, "patternProperties": _EXTENSION}
    return {**found, "additionalProperties": False, **({"required": list(required)} if required else {})}


# -- facts --------------------------------------------------------------------------------------------------
def _facts(vocabulary: Vocabulary) -> Schema:
    """A definition for each attribute: its values, short or in long form with provenance."""
    return {
        _name(attribute): _fact(attribute)
        for attributes in vocabulary.attributes.values()
        for attribute in attributes.values()
    }


def _name(attribute: Attribute) -> str:
    return f"{attribute.element}.{attribute.name}"


def _fact(attribute: Attribute) -> Schema:
    value = _value(attribute)
    evidence = {**_TEXT, "description": "`file:line` or an evidence id."}
    source = {"enum": _SOURCES, "description": "How it is known."}
    long = {"value": value, "source": source, "evidence": evidence, "at": evidence}
    return {
        "title": attribute.name,
        "description": attribute.means.strip(),
        "anyOf": [
            value,
            {"type": "object", "properties": long, "required": ["value"], "additionalProperties": False},
        ],
    }


def _value(attribute: Attribute) -> Schema:
    if attribute.type == "boolean":
        return {"enum": [True, False, "yes", "no", "true", "false", "unknown"]}
    if attribute.type == "text":
        return {"type": ["string", "number", "boolean"]}
    one = {"enum": [*attribute.values, "unknown"]}
    if attribute.type == "list":
        return {"anyOf": [one, {"type": "array", "items": {"enum": list(attribute.values)}}]}
    return one


def _references(attributes: Iterable[Attribute]) -> Schema:
    return {a.name: {"$ref": f"#/$defs/{_name(a)}"} for a in attributes}


# -- parts --------------------------------------------------------------------------------------------------
def _part(element: ElementType, vocabulary: Vocabulary, own: Schema) -> Schema:
    found = _object({**_COMMON, **own, **_references(vocabulary.attributes[element].values())})
    return {**found, "type": ["object", "null"]}


def _kinds(vocabulary: Vocabulary) -> list[Kind]:
    return sorted(vocabulary.kinds.values(), key=lambda k: k.id)


def _component(vocabulary: Vocabulary) -> Schema:
    """A kind alone, or a mapping; which attributes it may have depends on the kind."""
    structure = {
        **_COMMON,
        "kind": {"$ref": "#/$defs/kind"},
        "zone": {**_TEXT, "description": "The trust zone that it runs in."},
        "platform": {**_TEXT, "description": "What it is on its platform, such as `aws.bedrock`."},
        "owner": _TEXT,
        "runs-as": {**_TEXT, "description": "The identity that it acts with."},
        "holds": {**_TEXTS, "description": "The data that rests in it."},
    }
    everything = {**structure, **_references(vocabulary.attributes["component"].values())}
    names = {kind.id: sorted(a.name for a in vocabulary.attributes_of(kind)) for kind in _kinds(vocabulary)}
    allowed = {"enum": sorted([*structure])}
    rules = [
        {
            "if": {"properties": {"kind": {"const": kind}}},
            "then": {"propertyNames": {"anyOf": [allowed, {"pattern": "^x-"}, {"enum": own}]}},
        }
        for kind, own in names.items()
    ]
    return {
        "if": {"type": "object"},
        "then": {**_object(everything, ["kind"]), "allOf": rules},
        "else": {"$ref": "#/$defs/kind"},
    }


def _grants() -> Schema:
    on = {**_TEXT, "description": "The element that the right is on."}
    return {"type": ["array", "null"], "items": _object({"on": on, "actions": _TEXTS}, ["on"])}


def _claim() -> Schema:
    on = {**_TEXTS, "description": "An element, a zone, a flow `a -> b`, a list of them, or `system`."}
    by = {**_TEXT, "description": "The product or component that does it."}
    long = _object({"on": on, "by": by, "source": {"enum": _SOURCES}, "evidence": _TEXT}, ["on"])
    return {"anyOf": [long, {"type": "string"}, {"type": "array", "items": {"type": "string"}}]}


def _control(vocabulary: Vocabulary) -> Schema:
    claim = {"$ref": "#/$defs/claim"}
    known = dict.fromkeys(sorted(vocabulary.controls), claim)
    return {"type": "object", "properties": known, "additionalProperties": claim if not known else False}


def _defaults(vocabulary: Vocabulary) -> Schema:
    own: dict[str, tuple[ElementType, tuple[str, ...]]] = {
        "components": ("component", ("zone", "platform", "owner", "runs-as")),
        "flows": ("flow", ("data",)),
        "data": ("data", ("owner",)),
        "identities": ("identity", ("owner",)),
        "zones": ("zone", ()),
    }
    parts = {
        section: _object({**dict.fromkeys(keys, _TEXTS), **_references(vocabulary.attributes[element].values())})
        for section, (element, keys) in own.items()
    }
    return {
        **_object(parts),
        "type": ["object", "null"],
        "description": "For every part that doesn't say otherwise.",
    }
