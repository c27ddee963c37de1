# SPDX-License-Identifier: Apache-2.0
"""Corners of the matching in which a wrong answer would be easy: several roles for one part, authors of flows, named legs."""

from __future__ import annotations

import pytest

from bastide.threats.assess import analyse, assess
from bastide.threats.graph import build_graph
from bastide.threats.labels import propagate
from bastide.threats.model import FindingState, Severity
from bastide.threats.predicates import Index

STORE = """
roles:
  store: {kind: data}
  d: {is: data, class: restricted}
  agent: {kind: ai.agent}
legs: [store holds d, store ~> agent]
sink: agent
finding: "{d}"
breaks: {isolation: [path]}
"""
STORED = """
data: {d: {class: restricted}}
components:
  s: {kind: data.database, holds: d}
  a: ai.agent
flows:
  - s -> a: {data: d}
"""
AUTHOR = """
roles:
  author: {origin: {at-most: user}}
  agent: {kind: ai.agent}
legs: [author LEG agent]
sink: agent
finding: "{author} steers {agent}"
breaks: {isolation: [path]}
"""


def states(analysis) -> list[FindingState]:
    return [finding.state for finding in analysis.findings]


def test_the_place_path_means_components_and_flows_only(make_threat, make_catalog, make_plan) -> None:
    catalog = make_catalog(make_threat(STORE))
    for where, state in (("d", FindingState.OPEN), ("s", FindingState.MITIGATED), ("s->a", FindingState.MITIGATED)):
        plan = make_plan(f"{STORED}controls:\n  - isolation: {{on: {where}}}\n")
        assert states(analyse(plan, catalog)) == [state], where


@pytest.mark.parametrize("leg", ["->", "~>"])
@pytest.mark.parametrize(
    ("flow", "author"),
    [("x -> a: {trust: public}", "x"), ("a -> k: {verb: retrieve, trust: public}", "k")],
)
def test_a_flow_that_names_its_author_starts_at_the_sender(
    make_threat, make_catalog, make_plan, leg: str, flow: str, author: str
) -> None:
    plan = make_plan(f"components: {{x: app.api, k: data.vector-store, a: ai.agent}}\nflows:\n  - {flow}\n")
    found = analyse(plan, make_catalog(make_threat(AUTHOR.replace("LEG", leg)))).findings
    assert [f.message for f in found] == [f"{author} steers a"]
    assert found[0].path == (author, next(iter(plan.flows)), "a")


def test_a_control_on_the_flow_that_names_its_author_breaks_the_leg(make_threat, make_catalog, make_plan) -> None:
    for sink in ("agent", "author"):
        catalog = make_catalog(make_threat(AUTHOR.replace("LEG", "~>").replace("sink: agent", f"sink: {sink}")))
        plan = make_plan(
            "components: {x: app.api, a: ai.agent}\nflows:\n  - x -> a: {trust: public}\ncontrols:\n  - isolation: {on: x->a}\n"
        )
        assert states(analyse(plan, catalog)) == [FindingState.MITIGATED], sink


def test_a_flow_that_names_its_author_is_none_at_the_receiver(make_threat, make_catalog, make_plan) -> None:
    plan = make_plan("components: {x: app.api, a: ai.agent}\nflows:\n  - a -> x: {trust: public}\n")
    assert not analyse(plan, make_catalog(make_threat(AUTHOR.replace("LEG", "->")))).findings


def test_a_name_that_looks_like_a_placeholder_stays_a_name(make_threat, make_catalog, make_plan) -> None:
    plan = make_plan("components:\n  x: {kind: actor.user, name: '{agent}'}\n  a: ai.agent\nflows:\n  - x -> a\n")
    (finding,) = analyse(plan, make_catalog(make_threat(AUTHOR.replace("LEG", "->")))).findings
    assert finding.message == "{agent} steers a"


def test_a_leg_back_to_where_it_began_covers_all_between(make_threat, make_catalog, make_plan) -> None:
    rule = """
roles:
  source: {kind: data, holds: {written-by: public}, origin: {at-most: third-party}}
  store: {kind: data.vector-store}
  tool: {kind: ai.tool}
legs:
  - source ~> store: {name: way}
  - store -> tool: {where: {as: code}}
sink: tool
finding: "{tool}"
breaks: {isolation: [way]}
"""
    plan = make_plan("""
data: {d: {written-by: public}, e: {class: internal}}
components:
  s: {kind: data.vector-store, holds: [d, e]}
  a: ai.agent
  t: ai.tool
flows:
  - s -> a: {data: d}
  - a -> s: {data: e}
  - s -> t: {data: e, as: code}
""")
    result = assess(plan, make_catalog(make_threat(rule)), harden=Severity.LOW)
    assert [f.path for f in result.findings] == [("s", "s->a", "a", "a->s", "s->t", "t")]
    assert result.hardening is not None
    assert {r.element for r in result.hardening.ranking} == {"s->a", "a", "a->s"}


def test_who_reads_the_public_still_writes_as_a_user(make_plan, vocabulary) -> None:
    plan = make_plan(
        "components: {web: {kind: app.web, trust: public}, u: actor.user, t: app.api}\nflows: [web -> u, u -> t]\n"
    )
    labels = propagate(Index(plan, vocabulary, build_graph(plan, vocabulary)))
    assert {id: label.integrity for id, label in labels.items()} == {"web": "public", "u": "public", "t": "user"}


def test_rules_may_come_from_a_generator(make_threat, make_catalog, make_plan) -> None:
    class Quiet:
        id = "house/quiet"

        def evaluate(self, index: Index) -> tuple[()]:
            return ()

    plan, catalog = make_plan("components: {a: ai.agent}\n"), make_catalog(make_threat(AUTHOR.replace("LEG", "->")))
    assert assess(plan, catalog, rules=(rule for rule in (Quiet(),))).rules == 2


@pytest.mark.parametrize(
    ("bounds", "impact"), [("data: [author], at-most: 3", 3), ("at-least: 4", 4), ("data: [author]", 5)]
)
def test_the_terms_of_a_rating_add_up_to_it(make_threat, make_catalog, make_plan, bounds: str, impact: int) -> None:
    rule = AUTHOR.replace("LEG", "->") + f"impact: {{{bounds}}}\nlikelihood: {{base: 5, why: w}}\n"
    plan = make_plan(
        "data: {d: {class: restricted, contains: [payment]}}\n"
        "components: {x: {kind: actor.user, trust: public}, a: {kind: ai.agent, autonomy: acts-alone}}\n"
        "flows:\n  - x -> a: {data: d}\n"
    )
    (finding,) = analyse(plan, make_catalog(make_threat(rule))).findings
    rating = finding.rating
    assert (rating.impact, rating.likelihood) == (impact, 5)
    assert sum(t.points for t in rating.impact_terms) == impact
    assert [t.points for t in rating.likelihood_terms] == [5, 1, 1, -2]


AUTHOR_RULE = """
roles:
  author: {origin: {at-most: third-party}}
  agent: {kind: ai.agent}
legs: [author ~> agent]
sink: agent
finding: "{author} {agent}"
breaks: {isolation: [agent]}
"""


@pytest.mark.parametrize(
    ("written", "findings", "asked"),
    [("", 0, [("docs", "written-by")]), ("written-by: developer", 0, []), ("written-by: third-party", 1, [])],
)
def test_who_writes_what_a_store_holds_is_asked(make_threat, make_catalog, make_plan, written, findings, asked) -> None:
    """Silence about the author is neither a finding nor a pass."""
    plan = make_plan(
        f"data: {{docs: {{{written}}}}}\ncomponents:\n  kb: {{kind: data.vector-store, holds: docs}}\n"
        "  agent: {kind: ai.agent}\nflows:\n  - kb -> agent: {data: docs}\n"
    )
    result = assess(plan, make_catalog(make_threat(AUTHOR_RULE)))
    assert len(result.open) == findings
    assert [(q.element, q.attribute) for q in result.questions] == asked


def test_the_trust_of_a_zone_is_asked_where_a_flow_may_come_from_outside(make_threat, make_catalog, make_plan) -> None:
    """A crossing between zones of unknown trust is unknown."""
    rule = """
roles: {a: {kind: app}, b: {kind: app}}
legs: [a -> b: {role: f, where: {from-outside: true}}]
sink: f
finding: "{f}"
breaks: {isolation: [f]}
"""
    text = """
zones: {one: {%s}, two: {trust: workload}}
components:
  a: {kind: app.api, zone: one}
  b: {kind: app.api, zone: two}
flows: [a -> b]
"""
    catalog = make_catalog(make_threat(rule))
    silent, outside = (assess(make_plan(text % trust), catalog) for trust in ("", "trust: none"))
    assert [(q.element, q.attribute) for q in silent.questions] == [("one", "trust")]
    assert not silent.open
    assert len(outside.open) == 1
