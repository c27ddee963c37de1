# SPDX-License-Identifier: Apache-2.0
"""DOT that Graphviz reads, whatever the plan's texts hold."""

from __future__ import annotations

import json
import re
import shutil
import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bastide.catalog.load import load_vocabulary
from bastide.plan.load import parse_plan
from bastide.plan.model import Component, Data, Flow, Plan, Zone
from bastide.report.dot import dot

VOCABULARY = load_vocabulary()
STRING = r'"(?:[^"\\\n]|\\\\|\\")*"'
LINE = re.compile(
    rf" *(?:subgraph {STRING} {{|}}|label={STRING}; style=filled; fillcolor=\"#\w+\"; color=\"#\w+\";"
    rf"|{STRING} \[label={STRING}, shape=\w+\];|{STRING} -> {STRING} \[label={STRING}(?:, dir=both)?\];)"
)
hostile = st.one_of(
    st.sampled_from(
        [
            '"',
            '"]; x [label="',
            "\\",
            '\\"',
            "\\N",
            "\n",
            "<b>bold</b>",
            "<TABLE>",
            "&lt;",
            "/* */",
            "#",
            "\x00",
        ]
    ),
    st.text(max_size=15),
)


@pytest.fixture(scope="module")
def graphviz() -> str:
    binary = shutil.which("dot")
    if binary is None:
        pytest.skip("no graphviz on this machine")
    return binary


def graphviz_json(binary: str, text: str) -> dict[str, object]:
    done = subprocess.run([binary, "-Tjson0"], input=text.encode("utf-8"), capture_output=True, timeout=60, check=True)
    found: dict[str, object] = json.loads(done.stdout)
    return found


def labelled(name: str, zone: str, flow: str) -> Plan:
    return Plan(
        id="s",
        components={
            "a": Component(id="a", kind="ai.agent", name=name, zone="z"),
            "b": Component(id="b", kind="unheard-of"),
        },
        zones={"z": Zone(id="z", name=zone)},
        data={"d": Data(id="d")},
        flows={
            "a->b": Flow(id="a->b", source="a", target="b", name=flow),
            "b<->a": Flow(id="b<->a", source="b", target="a", both_ways=True, data=("d",)),
        },
    )


def test_the_whole_text_of_a_small_system() -> None:
    plan = parse_plan(
        """
bastide: 1
system: s
zones: {net: {trust: none, name: 'The "net"'}, vault: {in: net}}
components:
  user: {kind: actor.user, zone: net}
  kb: {kind: data.vector-store, zone: vault}
flows: [user <-> kb, {kb -> user: {verb: render}}]
""",
        VOCABULARY,
    )
    assert dot(plan, VOCABULARY).split("\n", 4)[4] == (
        """\
  subgraph "cluster_net" {
    label="The \\"net\\""; style=filled; fillcolor="#fbe3e0"; color="#8a94a6";
    "user" [label="user", shape=oval];
    subgraph "cluster_vault" {
      label="vault"; style=filled; fillcolor="#f4f4f4"; color="#8a94a6";
      "kb" [label="kb", shape=cylinder];
    }
  }
  "user" -> "kb" [label="", dir=both];
  "kb" -> "user" [label="render"];
}
"""
    )


@settings(max_examples=150)
@given(name=hostile, zone=hostile, flow=hostile)
def test_no_text_becomes_syntax(name: str, zone: str, flow: str) -> None:
    lines = dot(labelled(name, zone, flow), VOCABULARY).rstrip("\n").split("\n")
    assert len(lines) == 12
    for line in lines[4:]:
        assert LINE.fullmatch(line), line


@pytest.mark.parametrize("text", ['"', "\\", '\\"', "\\N", "a\nb", "<b>x</b>", "&lt;", "#1", "ü 日本", "a" * 500])
def test_graphviz_shows_the_text_as_it_stands(graphviz: str, text: str) -> None:
    found = graphviz_json(graphviz, dot(labelled(text, text, text), VOCABULARY))
    objects = found["objects"]
    assert isinstance(objects, list)
    node = next(o for o in objects if o["name"] == "a")
    shown = node["label"].replace("\\\\", "\\").replace("&amp;", "&")
    assert shown == " ".join(text.split())


def test_graphviz_reads_sixty_components(graphviz: str) -> None:
    kinds = list(VOCABULARY.kinds)
    zones = {f"z{n}": Zone(id=f"z{n}", parent=f"z{n // 2}" if n > 1 else None) for n in range(1, 9)}
    components = {
        f"c{n}": Component(id=f"c{n}", kind=kinds[n % len(kinds)], zone=f"z{n % 9}" if n % 9 else None)
        for n in range(60)
    }
    flows = {
        f"c{n}->c{(n * 7 + 1) % 60}": Flow(id=f"{n}", source=f"c{n}", target=f"c{(n * 7 + 1) % 60}") for n in range(60)
    }
    found = graphviz_json(graphviz, dot(Plan(id="s", zones=zones, components=components, flows=flows), VOCABULARY))
    objects, edges = found["objects"], found["edges"]
    assert isinstance(objects, list)
    assert isinstance(edges, list)
    assert {o["name"] for o in objects} == {*components, *(f"cluster_{z}" for z in zones)}
    assert len(edges) == 60
