# SPDX-License-Identifier: Apache-2.0
"""The picture: well-formed whatever the plan says, every part marked with its id and named in words."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from dataclasses import replace

import factory
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bastide.catalog.load import load_vocabulary
from bastide.catalog.vocabulary import SHAPES
from bastide.plan.model import Component, Data, Flow, Plan, Zone
from bastide.report import shapes, text
from bastide.report.svg import draw

SVG = "{http://www.w3.org/2000/svg}"
HOSTILE = (
    "<script>alert(1)</script>",
    "\"'&<>`]]>",
    "x" * 100_000,
    "مرحبا بالعالم",
    "👩‍🚀🚀 emoji",
    "\u202eright to left\u2066",
    "null\x00 bell\x07 \ud800 lone",
    "two\nlines\tand tabs",
    "</title></svg><img src=x onerror=alert(1)>",
    "",
)


def parts(svg: str, name: str) -> dict[str, ET.Element]:
    return {
        g.get("data-id", ""): g
        for g in ET.fromstring(svg).iter(f"{SVG}g")
        if name in g.get("class", "").split() and g.get("data-id") is not None
    }


def named(word: str) -> Plan:
    """A small plan in which everything is called `word`."""
    data = {"d": Data(id="d", name=word)}
    zones = {word: Zone(id=word, name=word, facts=factory.facts(trust=word, cloud=word))}
    components = {f"{word}{n}": Component(id=f"{word}{n}", name=word, kind=word, zone=word) for n in range(2)}
    flows = {
        word: Flow(id=word, name=word, source=f"{word}0", target=f"{word}1", data=("d",)),
        "v": Flow(id="v", source=f"{word}1", target=f"{word}0", facts=factory.facts(verb=word, encrypted=word)),
    }
    return Plan(id=word, name=word, data=data, zones=zones, components=components, flows=flows)


def test_every_component_flow_and_zone_is_there_with_its_id_and_a_title() -> None:
    plan = factory.rag_agent()
    svg = draw(plan, load_vocabulary(), factory.assessment(plan))
    for name, expected in (("node", plan.components), ("edge", plan.flows), ("zone", plan.zones)):
        found = parts(svg, name)
        assert set(found) == set(expected)
        assert all(group.find(f"{SVG}title").text for group in found.values())  # type: ignore[union-attr]
    assert set(parts(svg, "edge")) == set(plan.flows)


def test_it_names_itself_and_says_what_it_shows() -> None:
    root = ET.fromstring(draw(factory.rag_agent(), load_vocabulary()))
    assert root.get("role") == "img"
    ids = root.get("aria-labelledby", "").split()
    described = {e.get("id"): e.text for e in root}
    assert [described[i] for i in ids] == [
        "Support assistant",
        "12 components in 4 trust zones, 12 flows. Content moves from left to right where the design allows it.",
    ]


def test_a_file_carries_its_style_and_a_part_of_a_page_does_not() -> None:
    plan = factory.rag_agent()
    alone, inside = draw(plan, load_vocabulary()), draw(plan, load_vocabulary(), standalone=False)
    assert "prefers-color-scheme: dark" in alone
    assert "<style" not in inside
    assert " style=" not in alone + inside, "a strict policy forbids style attributes"


def test_encryption_is_told_by_glyph_and_line_not_by_colour_alone() -> None:
    svg = draw(factory.rag_agent(), load_vocabulary())
    edges = parts(svg, "edge")
    glyphs = {id: [p.get("class") for p in g.iter(f"{SVG}path")] for id, g in edges.items()}
    assert "lock" in glyphs["web->guard"]
    assert "lock open" in glyphs["vendor->intake"]
    assert not {"lock", "lock open"} & set(glyphs["guard->assistant"])
    assert "dashed" in edges["guard->assistant"].get("class", "")


def test_open_findings_are_counted_where_they_end() -> None:
    plan = factory.rag_agent()
    nodes = parts(draw(plan, load_vocabulary(), factory.assessment(plan)), "node")
    badges = {
        id: (b.get("class"), b.find(f"{SVG}text").text)  # type: ignore[union-attr]
        for id, g in nodes.items()
        for b in g.iter(f"{SVG}g")
        if "badge" in b.get("class", "")
    }
    assert badges == {
        "refund": ("badge critical", "2"),
        "llm": ("badge high", "1"),
        "web": ("badge medium", "1"),
        "traces": ("badge low", "1"),
    }


def test_arrowheads_stand_at_the_target_and_at_both_ends_of_a_two_way_flow() -> None:
    svg = draw(factory.rag_agent(), load_vocabulary())
    heads = {
        id: next(p.get("d", "") for p in g.iter(f"{SVG}path") if p.get("class") == "head").count("M")
        for id, g in parts(svg, "edge").items()
    }
    assert heads["web->guard"] == 1
    assert heads["assistant<->llm"] == 2


@pytest.mark.parametrize("word", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_names_stay_text(word: str) -> None:
    svg = draw(named(word), load_vocabulary())
    root = ET.fromstring(svg)
    allowed = {
        "svg", "g", "rect", "path", "text", "tspan", "title", "desc", "use", "symbol", "defs", "style",
        "circle", "ellipse",
    }  # fmt: skip
    assert {e.tag.removeprefix(SVG) for e in root.iter()} <= allowed
    assert not any(name.startswith("on") for e in root.iter() for name in e.attrib)
    assert "\u202e" not in svg
    shown = [t.text or "" for t in root.iter(f"{SVG}text")]
    assert max(map(len, shown)) < 120


@given(st.text(max_size=40))
@settings(max_examples=60)
def test_any_name_gives_well_formed_xml(word: str) -> None:
    ET.fromstring(draw(named(word), load_vocabulary()))


def test_the_same_plan_gives_the_same_bytes() -> None:
    vocabulary = load_vocabulary()
    first, second = factory.rag_agent(), factory.rag_agent()
    assert draw(first, vocabulary, factory.assessment(first)) == draw(second, vocabulary, factory.assessment(second))


def test_an_empty_plan_is_an_empty_picture() -> None:
    svg = draw(Plan(id="nothing"), load_vocabulary())
    assert not parts(svg, "node")
    ET.fromstring(svg)


def test_every_shape_that_kinds_may_name_can_be_drawn() -> None:
    assert set(SHAPES) == set(shapes.SHAPES)


def test_a_component_of_an_unknown_kind_is_a_box() -> None:
    plan = factory.rag_agent()
    odd = replace(plan.components["web"], kind="no.such.kind")
    nodes = parts(draw(replace(plan, components={"web": odd}, flows={}), load_vocabulary()), "node")
    assert nodes["web"].get("class") == "node shape-box"


def test_text_is_cut_where_there_is_no_room() -> None:
    assert text.fit("short", 200, 12) == "short"
    cut = text.fit("a name that is much too long for its box", 80, 12)
    assert cut.endswith("…")
    assert text.width(cut, 12) <= 80
    assert text.wrap("Conversation memory", 100, 13) == ["Conversation", "memory"]
    assert text.listed(["prompt", "answer", "documents"], 60, 11) == "prompt +2"
    assert text.listed([], 60, 11) == ""


@given(st.text(max_size=60), st.floats(10, 300))
def test_cut_text_is_never_wider_than_its_room(words: str, room: float) -> None:
    assert text.width(text.fit(words, room, 11), 11) <= max(room, text.width("…", 11))
