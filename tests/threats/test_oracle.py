# SPDX-License-Identifier: Apache-2.0
"""Path finding against two independent oracles: networkx for reachability and length, clingo (answer sets) for rules with several legs."""

from __future__ import annotations

import clingo
import networkx as nx
from hypothesis import given, settings
from hypothesis import strategies as st

from bastide.catalog.load import load_vocabulary
from bastide.plan.load import parse_plan
from bastide.threats.assess import analyse
from bastide.threats.model import FindingState

KINDS = {
    "u": "actor.user",
    "w": "ext.website",
    "a": "app.api",
    "g": "ai.agent",
    "t": "ai.tool",
    "p": "ai.model.predictor",
}
BLEND = {"w", "a", "g", "t"}  # kinds that pass content on; users and predictors don't
REPLY = {"t"}  # of those, the ones whose answers go only to who asked


@st.composite
def systems(draw):
    """A random system: nodes by kind, flows (some of them calls, with an answer), controls on some nodes and flows."""
    kinds = draw(st.lists(st.sampled_from(sorted(KINDS)), min_size=2, max_size=12))
    names = [f"{kind}{n}" for n, kind in enumerate(kinds)]
    pairs = [(a, b) for a in names for b in names if a != b]
    flows = draw(st.lists(st.sampled_from(pairs), unique=True, max_size=30))
    guarded = draw(st.sets(st.sampled_from(names), max_size=3))
    held = draw(st.sets(st.sampled_from(flows), max_size=3)) if flows else set()
    calls = draw(st.sets(st.sampled_from(flows), max_size=6)) if flows else set()
    return names, flows, guarded, held, calls


def yaml_of(names, flows, guarded, held, calls=frozenset()) -> str:
    """The plan of a random system."""
    lines = ["bastide: 1", "system: random", "components:"]
    lines += [f"  {n}: {{kind: {KINDS[n[0]]}}}" for n in names]
    lines += (
        ["flows:"] + [f"  - {a} -> {b}{': {verb: invoke}' if (a, b) in calls else ''}" for a, b in flows]
        if flows
        else []
    )
    claims = [f"  - isolation: {{on: {n}}}" for n in sorted(guarded)] + [
        f'  - isolation: {{on: "{a} -> {b}"}}' for a, b in sorted(held)
    ]
    return "\n".join([*lines, *(["controls:", *claims] if claims else [])])


def content_graph(names, flows, guarded, held, calls) -> nx.DiGraph:
    """What may pass, built without the engine.

    Each part has a way in, a way out, and a door for calls. What comes in by a call goes on only to what the part itself calls or sends to (if
    it is of the sort that keeps its callers apart), never into the answer to another caller.
    """
    graph = nx.DiGraph()
    for name in names:
        graph.add_nodes_from([(name, "in"), (name, "out"), (name, "call"), (name, "sent")])
        graph.add_edge((name, "out"), (name, "sent"), weight=0)
        if name[0] in BLEND and name not in guarded:
            graph.add_edge((name, "in"), (name, "out"), weight=0)
            graph.add_edge((name, "call"), (name, "sent" if name[0] in REPLY else "out"), weight=0)
    for a, b in flows:
        if (a, b) not in held:
            graph.add_edge((a, "sent"), (b, "call" if (a, b) in calls else "in"), weight=2)
            if (a, b) in calls:
                graph.add_edge((b, "out"), (a, "in"), weight=2)
    return graph


PATH_RULE = """
roles:
  source: {origin: {at-most: user}}
  sink: {kind: ai.tool}
legs:
  - source ~> sink
sink: sink
finding: "{source} reaches {sink}"
breaks: {isolation: [path]}
"""


@settings(max_examples=300, deadline=None)
@given(systems())
def test_paths_agree_with_networkx(make_threat, make_catalog, vocabulary, system) -> None:
    """The same sinks are found, each with a path of the same, shortest length."""
    names, flows, guarded, held, calls = system
    catalog = make_catalog(make_threat(PATH_RULE))
    analysis = analyse(parse_plan(yaml_of(*system), vocabulary), catalog)
    found = {analysis.witnesses[f.id].sink: f.path for f in analysis.findings if f.state is FindingState.OPEN}
    graph = content_graph(*system)
    sources = [n for n in names if n[0] in "uw" and n not in guarded]
    expected = {}
    for sink in (n for n in names if n[0] == "t" and n not in guarded):
        lengths = [
            nx.shortest_path_length(graph, (s, "out"), (sink, door), weight="weight")
            for s in sources
            for door in ("in", "call")
            if nx.has_path(graph, (s, "out"), (sink, door))
        ]
        if lengths:
            expected[sink] = min(lengths) + 1
    # A path that passes a part twice is shown without repeats, so it can only be shorter than its length.
    assert found.keys() == expected.keys()
    for sink, path in found.items():
        assert len(path) <= expected[sink]
        if len(path) == expected[sink]:
            for before, step, after in zip(path[::2], path[1::2], path[2::2], strict=False):
                hop = tuple(step.split("->"))
                assert hop in flows
                assert hop not in held
                assert {before, after} == set(hop)
                assert hop == (before, after) or hop in calls


TRIFECTA = """
roles:
  source: {origin: {at-most: third-party}}
  agent: {kind: ai.agent}
  secret: {kind: app.api}
  way-out: {kind: ai.tool}
legs:
  - source ~> agent
  - secret ~> agent
  - agent ~> way-out
sink: way-out
finding: "{source} gets {secret} out of {agent} over {way-out}"
breaks: {isolation: [agent]}
"""

PROGRAM = """
reach(X,X) :- node(X).
pass(X,Y) :- flow(X,Y).
pass(X,Z) :- pass(X,Y), flow(Y,Z), blend(Y).
hit(T) :- node(W), kind(W,w), kind(G,g), not guarded(G), kind(S,a), kind(T,t), pass(W,G), pass(S,G), pass(G,T).
#show hit/1.
"""


def solve(names, flows, guarded) -> set[str]:
    """The sinks of the three-legged rule, by answer set programming."""
    facts = [f"node({n})." for n in names] + [f"kind({n},{n[0]})." for n in names]
    facts += [f"blend({n})." for n in names if n[0] in BLEND] + [f"flow({a},{b})." for a, b in flows]
    facts += [f"guarded({n})." for n in guarded]
    control = clingo.Control(["--warn=none"])
    control.add("base", [], " ".join(facts) + PROGRAM)
    control.ground([("base", [])])
    hits: set[str] = set()
    control.solve(on_model=lambda model: hits.update(str(s.arguments[0]) for s in model.symbols(shown=True)))
    return hits


@settings(max_examples=200, deadline=None)
@given(systems())
def test_rules_with_several_legs_agree_with_clingo(make_threat, make_catalog, vocabulary, system) -> None:
    """All legs of a rule meet at one agent, over any paths: AND within, OR over paths."""
    names, flows, guarded, _, _ = system
    catalog = make_catalog(make_threat(TRIFECTA))
    analysis = analyse(parse_plan(yaml_of(names, flows, guarded, set()), vocabulary), catalog)
    found = {analysis.witnesses[f.id].sink for f in analysis.findings if f.state is FindingState.OPEN}
    assert found == solve(names, flows, guarded)


def test_the_vocabulary_says_what_the_oracles_assume() -> None:
    """The kinds that the oracles let content pass are those of the catalogue."""
    kinds = load_vocabulary().kinds
    assert {letter for letter, kind in KINDS.items() if kinds[kind].passes in ("blend", "reply")} == BLEND
    assert {letter for letter, kind in KINDS.items() if kinds[kind].passes == "reply"} == REPLY
