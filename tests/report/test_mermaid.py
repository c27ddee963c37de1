# SPDX-License-Identifier: Apache-2.0
"""A flowchart whose syntax no text of a plan can change."""

from __future__ import annotations

import re

from hypothesis import given, settings
from hypothesis import strategies as st

from bastide.catalog.load import load_vocabulary
from bastide.plan.load import parse_plan
from bastide.plan.model import Component, Data, Flow, Plan, Zone
from bastide.report.mermaid import mermaid

VOCABULARY = load_vocabulary()
LABEL = r'"(?:[^"#%<>\[\](){}|;:`\\\n]|#\d+;)*"'
BRACKETS = [("([", "])"), ("(", ")"), ("{{", "}}"), ("[[", "]]"), ("[/", "/]"), ("[(", ")]")]
BRACKETS += [("[\\", "\\]"), ("[/", "\\]"), ("((", "))"), ("[", "]")]
SHAPE = "|".join(re.escape(left) + LABEL + re.escape(right) for left, right in BRACKETS)
LINE = re.compile(rf" *(?:subgraph z_\w+\[{LABEL}\]|end|c_\w+(?:{SHAPE})|c_\w+ <?-->(?:\|{LABEL}\|)? c_\w+)", re.ASCII)
hostile = st.one_of(
    st.sampled_from(['"', '"] --> x["', "end", "%%{init: {}}%%", "%% gone", "a\nb --> c", "<script>alert(1)</script>"]),
    st.sampled_from(
        ["#quot;", "`md`", "|", "click a href", "\u2028x", "\x00", "🙂", "a;b", "&quot;", "]]", ":::class"]
    ),
    st.text(max_size=15),
)


def test_the_whole_text_of_a_small_system() -> None:
    plan = parse_plan(
        """
bastide: 1
system: s
data: {prompt: {name: "Prompt (raw)"}, docs: {}}
zones: {net: {trust: none, name: Internet}, app: {}, vault: {in: app}}
components:
  user: {kind: actor.user, zone: net}
  end: {kind: ai.agent, zone: app}
  kb-1: {kind: data.vector-store, zone: vault}
  kb.1: {kind: data.database, zone: vault}
  loose: app.api
flows:
  - user <-> end: {data: [prompt, docs]}
  - kb-1 -> end: {data: docs, verb: retrieve}
  - loose -> end
""",
        VOCABULARY,
    )
    assert mermaid(plan, VOCABULARY) == (
        """\
flowchart LR
  subgraph z_net["Internet"]
    c_user(["user"])
  end
  subgraph z_app["app"]
    c_end{{"end"}}
    subgraph z_vault["vault"]
      c_kb_1[("kb-1")]
      c_kb_1_2[("kb.1")]
    end
  end
  c_loose["loose"]
  c_user <-->|"Prompt #40;raw#41;, docs"| c_end
  c_kb_1 -->|"retrieve docs"| c_end
  c_loose --> c_end
"""
    )


@settings(max_examples=150)
@given(name=hostile, zone=hostile, flow=hostile, data=hostile)
def test_no_text_becomes_syntax(name: str, zone: str, flow: str, data: str) -> None:
    plan = Plan(
        id="s",
        components={
            "a": Component(id="a", kind="ai.agent", name=name, zone="z"),
            "b": Component(id="b", kind="unheard-of", name=name),
        },
        zones={"z": Zone(id="z", name=zone)},
        data={"d": Data(id="d", name=data)},
        flows={
            "a->b": Flow(id="a->b", source="a", target="b", name=flow),
            "b->a": Flow(id="b->a", source="b", target="a", data=("d",)),
        },
    )
    first, *lines = mermaid(plan, VOCABULARY).rstrip("\n").split("\n")
    assert first == "flowchart LR"
    assert len(lines) == 6
    for line in lines:
        assert LINE.fullmatch(line), line


def test_every_kind_has_a_shape_and_all_kinds_are_drawn() -> None:
    components = {f"c{n}": Component(id=f"c{n}", kind=k) for n, k in enumerate(VOCABULARY.kinds)}
    lines = mermaid(Plan(id="s", components=components), VOCABULARY).rstrip("\n").split("\n")[1:]
    assert len(lines) == len(components)
    assert all(LINE.fullmatch(line) for line in lines)


def test_zones_in_a_circle_or_nowhere_are_no_endless_loop() -> None:
    zones = {"a": Zone(id="a", parent="b"), "b": Zone(id="b", parent="a"), "c": Zone(id="c", parent="gone")}
    assert "z_c" in mermaid(Plan(id="s", zones=zones), VOCABULARY)
