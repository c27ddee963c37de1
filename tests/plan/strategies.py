# SPDX-License-Identifier: Apache-2.0
"""Random plans that are valid by the real vocabulary, as plain data in the shape of `bastide.yaml`."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import strategies as st

from bastide.catalog.load import load_vocabulary
from bastide.plan.load import parse_plan
from bastide.plan.model import Plan
from bastide.plan.vocabulary import Attribute, ElementType

VOCABULARY = load_vocabulary()
_KINDS = sorted(VOCABULARY.kinds)
_CONTROLS = sorted(VOCABULARY.controls)[:40] or ["injection-filter", "human-approval", "rate-limit"]

NASTY = (
    "no", "yes", "on", "null", "~", "true", "1", "1.10", "007", "0x1f", "1e3", ".5", "-", "- a", "?", "? a", ":", "a: b", "a :b",
    "#", "a #b", "a#b", "'", '"', "it's", '"quoted"', "{", "}", "[a]", "a, b", "&a", "*a", "!tag", "|", ">", "%", "@a", "`", "<<",
    "---", "...", " lead", "trail ", "two  spaces", "line\nbreak", "tab\there", "cr\rlf\r\n", "", "\x00", "\x07", "\x7f", "\x85",
    "\u2028", "\ufeff", "\u00fc\u00df", "\u65e5\u672c", "\U0001f600", "2024-01-01", "12:30", "=", "a->b", "a <-> b", "\\", "\\n", "end",
)  # fmt: skip
"""Texts on which writers of YAML stumble."""

text = st.one_of(
    st.sampled_from(NASTY),
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\ufffe\uffff"), max_size=12),
)
words = text.filter(lambda t: t != "unknown")
json_values: st.SearchStrategy[Any] = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(10**17), 10**17),
        st.floats(allow_nan=False, allow_infinity=False),
        text,
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(text, inner, max_size=3)),
    max_leaves=6,
)
_ids = st.from_regex(r"[a-z0-9]([a-z0-9_.-]{0,6}[a-z0-9_])?", fullmatch=True).filter(lambda i: i != "system")
_extensions = st.dictionaries(st.sampled_from(["x-note", "x-a b", "x-", "x-1"]), json_values, max_size=1)
_optional = st.one_of(st.just(""), text)


def _value(attribute: Attribute) -> st.SearchStrategy[Any]:
    if attribute.type == "boolean":
        return st.booleans()
    if attribute.type == "text":
        return words
    one = st.sampled_from(attribute.values)
    return st.lists(one, max_size=3) if attribute.type == "list" else one


@st.composite
def _facts(draw: st.DrawFn, element: ElementType, kind: str = "") -> dict[str, Any]:
    allowed = list(VOCABULARY.attributes[element].values())
    if element == "component":
        allowed = list(VOCABULARY.attributes_of(VOCABULARY.kinds[kind]))
    found: dict[str, Any] = {}
    for attribute in draw(st.lists(st.sampled_from(allowed), max_size=4, unique_by=lambda a: a.name)):
        value = draw(st.one_of(st.just("unknown"), _value(attribute)))
        if draw(st.booleans()):
            source = draw(st.sampled_from(["declared", "discovered", "verified"]))
            value = {"value": value, "source": source, "evidence": draw(_optional)}
        found[attribute.name] = value
    return found


@st.composite
def _part(draw: st.DrawFn, element: ElementType, **own: Any) -> dict[str, Any]:
    body = {"name": draw(_optional), "description": draw(_optional), **own}
    body |= {"tags": draw(st.lists(text, max_size=2))}
    return {**body, **draw(_facts(element, own.get("kind", ""))), **draw(_extensions)}


def _some(draw: st.DrawFn, ids: list[str]) -> list[str]:
    return draw(st.lists(st.sampled_from(ids), max_size=3, unique=True)) if ids else []


def _one(draw: st.DrawFn, ids: list[str]) -> str | None:
    return draw(st.sampled_from([None, *ids]))


@st.composite
def documents(draw: st.DrawFn) -> dict[str, Any]:
    """A valid plan as plain data."""
    ids = draw(st.lists(_ids, max_size=12, unique=True))
    cuts = sorted(draw(st.lists(st.integers(0, len(ids)), min_size=4, max_size=4)))
    data, zones, people, components, spare = (ids[a:b] for a, b in zip([0, *cuts], [*cuts, len(ids)], strict=True))
    found: dict[str, Any] = {
        "bastide": 1,
        "system": draw(_ids),
        "name": draw(_optional),
        "purpose": draw(_optional),
    }
    found["owner"] = draw(json_values)
    found["exposure"] = draw(st.sampled_from(["", "public", "partners", "internal"]))
    found["data"] = {i: {**draw(_part("data", owner=draw(_optional)))} for i in data}
    found["zones"] = {}
    for number, zone in enumerate(zones):
        parent = _one(draw, zones[:number])
        found["zones"][zone] = draw(_part("zone", **({"in": parent} if parent else {})))
    found["identities"] = {i: draw(_identity(components)) for i in people}
    found["components"] = {i: draw(_component(zones, people, data)) for i in components}
    found["flows"] = draw(_flows(components, data, spare)) if components else []
    targets = [*ids[: cuts[3]], "system", *(_flow_id(f) for f in found["flows"])]
    found["controls"] = draw(st.lists(_claim(targets), max_size=3))
    return {**found, **draw(_extensions)}


def _flow_id(flow: dict[str, Any]) -> str:
    ((ends, body),) = flow.items()
    return body.get("id") or ends.replace(" ", "")


@st.composite
def _identity(draw: st.DrawFn, components: list[str]) -> dict[str, Any]:
    actions = st.lists(text, max_size=2)
    grants = [{"on": on, "actions": draw(actions), **draw(_extensions)} for on in _some(draw, components)]
    return draw(_part("identity", owner=draw(_optional), grants=grants))


@st.composite
def _component(draw: st.DrawFn, zones: list[str], people: list[str], data: list[str]) -> dict[str, Any]:
    own: dict[str, Any] = {"kind": draw(st.sampled_from(_KINDS)), "holds": _some(draw, data)}
    own |= {"platform": draw(_optional), "owner": draw(_optional)}
    own |= {k: v for k, v in (("zone", _one(draw, zones)), ("runs-as", _one(draw, people))) if v}
    return draw(_part("component", **own))


@st.composite
def _flows(draw: st.DrawFn, components: list[str], data: list[str], spare: list[str]) -> list[dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for id in [None, None, None, *spare]:
        source, target = draw(st.sampled_from(components)), draw(st.sampled_from(components))
        arrow = draw(st.sampled_from(["->", "<->"]))
        body = draw(_part("flow", data=_some(draw, data), **({"id": id} if id else {})))
        flow = {f"{source} {arrow} {target}": body}
        if draw(st.booleans()):
            found.setdefault(_flow_id(flow), flow)
    return list(found.values())


@st.composite
def _claim(draw: st.DrawFn, targets: list[str]) -> dict[str, Any]:
    on = draw(st.lists(st.sampled_from(targets), min_size=1, max_size=2, unique=True))
    body = {"on": on, "by": draw(_optional), "evidence": draw(_optional)}
    body |= {"source": draw(st.sampled_from(["declared", "discovered", "verified"])), **draw(_extensions)}
    return {draw(st.sampled_from(_CONTROLS)): body}


def plan_of(document: dict[str, Any]) -> Plan:
    """The plan that such a document describes; JSON is YAML, so this way of writing owes nothing to `dump`."""
    return parse_plan(_json(document), VOCABULARY)


def _json(document: Any) -> str:
    # YAML escapes what it can't print; JSON leaves some of it bare.
    text = json.dumps(document, ensure_ascii=False)
    return "".join(c if c.isprintable() or c in " \n" else _escaped(c) for c in text)


def _escaped(character: str) -> str:
    code = ord(character)
    return f"\\U{code:08x}" if code > 0xFFFF else f"\\u{code:04x}"


plans = documents().map(plan_of)
