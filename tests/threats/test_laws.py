# SPDX-License-Identifier: Apache-2.0
"""Laws of the analysis, on random systems."""

from __future__ import annotations

from itertools import combinations

from hypothesis import given, settings
from hypothesis import strategies as st

from bastide.catalog.pattern import parse_predicate
from bastide.plan.load import parse_plan
from bastide.plan.yamlfile import parse
from bastide.threats.assess import analyse, assess
from bastide.threats.graph import build_graph
from bastide.threats.hardening import options_of
from bastide.threats.match import Mode
from bastide.threats.model import FindingState, Severity
from bastide.threats.predicates import Index
from bastide.threats.sets import Sets
from tests.threats.conftest import claimed
from tests.threats.test_oracle import KINDS, PATH_RULE, TRIFECTA, systems, yaml_of

FACT_RULE = """
roles:
  source: {origin: {at-most: user}}
  tool: {kind: ai.tool, executes-code: true}
legs:
  - source ~> tool: {where: {encrypted: false}}
sink: tool
finding: "{source} runs code in {tool}"
breaks: {sandbox: [tool], isolation: [path]}
reduces: {filter: [path]}
"""


def open_sinks(analysis) -> set[str]:
    """The sinks of open findings."""
    return {analysis.witnesses[f.id].sink for f in analysis.findings if f.state is FindingState.OPEN}


@settings(max_examples=100, deadline=None)
@given(systems(), st.data())
def test_adding_a_control_never_adds_a_path(make_threat, make_catalog, vocabulary, system, data) -> None:
    """Whatever control is claimed wherever, no finding opens that wasn't open before, and none vanishes: it is mitigated."""
    catalog = make_catalog(make_threat(PATH_RULE, "test/path"), make_threat(TRIFECTA, "test/trifecta"))
    plan = parse_plan(yaml_of(*system), vocabulary)
    places = [*plan.components, *plan.flows]
    more = claimed(plan, "isolation", data.draw(st.sampled_from(places)))
    before, after = analyse(plan, catalog), analyse(more, catalog)
    opened = {f.id for f in after.findings if f.state is FindingState.OPEN}
    assert opened <= {f.id for f in before.findings if f.state is FindingState.OPEN}
    assert {f.id for f in after.findings} == {f.id for f in before.findings}


@settings(max_examples=60, deadline=None)
@given(systems())
def test_an_unrelated_component_changes_no_finding(make_threat, make_catalog, vocabulary, system) -> None:
    """Ids, paths and ratings stay as they were."""
    catalog = make_catalog(make_threat(PATH_RULE, "test/path"), make_threat(TRIFECTA, "test/trifecta"))
    text = yaml_of(*system)
    grown = text.replace("components:\n", "components:\n  aaa: {kind: ai.tool}\n  aab: {kind: app.api}\n").replace(
        "flows:\n", "flows:\n  - aab -> aaa\n"
    )
    before, after = (analyse(parse_plan(t, vocabulary), catalog).findings for t in (text, grown))
    assert [(f.id, f.path, f.rating) for f in before] == [(f.id, f.path, f.rating) for f in after]


@settings(max_examples=60, deadline=None)
@given(systems())
def test_the_control_set_is_the_cheapest_that_breaks_all_paths(make_threat, make_catalog, vocabulary, system) -> None:
    """Against trying all sets of controls, smallest first."""
    threat = make_threat(PATH_RULE, "test/path")
    catalog = make_catalog(threat)
    plan = parse_plan(yaml_of(*system), vocabulary)
    hardening = assess(plan, catalog, harden=Severity.LOW).hardening
    analysis = analyse(plan, catalog)
    assert hardening is not None
    assert hardening.proven
    assert not hardening.unbreakable
    chosen = frozenset((r.id, r.element) for r in hardening.controls)
    assert not analysis.matcher.match(threat, Mode.CERTAIN, chosen)
    places = [*plan.components, *plan.flows]
    for size in range(min(len(chosen), 3)):
        for tried in combinations(places, size):
            assert analysis.matcher.match(threat, Mode.CERTAIN, frozenset(("isolation", p) for p in tried))
    for witness in analysis.witnesses.values():
        assert options_of(catalog, analysis.matcher, threat, witness) & chosen


SYSTEM = """
components:
  user: {kind: actor.user}
  api: {kind: app.api}
  shell: {kind: ai.tool%s}
flows:
  - user -> api: {%s}
  - api -> shell: {%s}
"""


def test_unknown_facts_become_questions_and_never_findings(make_threat, make_catalog, make_plan) -> None:
    """Every fact is asked for; the answer decides."""
    catalog = make_catalog(make_threat(FACT_RULE))
    silent = analyse(make_plan(SYSTEM % ("", "", "")), catalog)
    assert not silent.findings
    asked = {(q.element, q.attribute) for q in silent.questions}
    assert asked == {
        ("shell", "executes-code"),
        ("shell", "sandboxed"),
        ("user->api", "encrypted"),
        ("api->shell", "encrypted"),
    }
    bad = analyse(
        make_plan(SYSTEM % (", executes-code: true, sandboxed: false", "encrypted: false", "encrypted: false")), catalog
    )
    assert open_sinks(bad) == {"shell"}
    assert not bad.questions
    good = analyse(make_plan(SYSTEM % (", executes-code: false", "", "")), catalog)
    assert not good.findings
    assert not good.questions


def test_questions_carry_what_could_open(make_threat, make_catalog, make_plan) -> None:
    """The id of a finding that hangs on a question is the id that it gets when the answer is bad."""
    catalog = make_catalog(make_threat(FACT_RULE))
    doubtful = analyse(
        make_plan(SYSTEM % (", executes-code: true, sandboxed: unknown", "encrypted: false", "protocol: http")), catalog
    )
    assert [(q.element, q.attribute) for q in doubtful.questions] == [("shell", "sandboxed")]
    bad = analyse(
        make_plan(SYSTEM % (", executes-code: true, sandboxed: false", "encrypted: false", "protocol: http")), catalog
    )
    assert doubtful.questions[0].could_open == tuple(f.id for f in bad.findings)


def test_a_control_shown_by_facts_mitigates(make_threat, make_catalog, make_plan) -> None:
    """The finding stays, as mitigated, with the state that the fact's source gives."""
    catalog = make_catalog(make_threat(FACT_RULE))
    fact = ", executes-code: true, sandboxed: {value: true, source: verified, evidence: probe-7}"
    (finding,) = analyse(make_plan(SYSTEM % (fact, "encrypted: false", "encrypted: false")), catalog).findings
    assert finding.state is FindingState.MITIGATED
    assert [(c.id, c.element, c.state) for c in finding.controls if c.id == "sandbox"] == [
        ("sandbox", "shell", "verified")
    ]


def test_a_detector_reduces_and_never_breaks(make_threat, make_catalog, make_plan) -> None:
    """One step less likely, still open."""
    catalog = make_catalog(make_threat(FACT_RULE))
    plan = make_plan(SYSTEM % (", executes-code: true, sandboxed: false", "encrypted: false", "encrypted: false"))
    (before,) = analyse(plan, catalog).findings
    (after,) = analyse(claimed(plan, "filter", "api"), catalog).findings
    assert after.state is FindingState.OPEN
    assert after.rating.likelihood == max(1, before.rating.likelihood - 1)


PREDICATES = [
    "{kind: ai.agent}", "{kind: [ai, app], logs: false}", "{not: {logs: true}}", "{any: [{logs: true}, {kind: ai.tool}]}",
    "{egress: {at-least: allow-list}, not: {any: [{kind: ai.agent}, {executes-code: true}]}}", "{origin: {at-most: user}}",
    "{incoming: {from: {logs: false}}, kind: [ai, app]}", "{all: [{executes-code: {not: true}}, {outgoing: {to: {kind: ai.tool}}}]}",
]  # fmt: skip


@settings(max_examples=80, deadline=None)
@given(systems(), st.data())
def test_asking_all_parts_at_once_gives_the_same_answers(vocabulary, system, data) -> None:
    """Sets and closures are two ways to the same three values."""
    names, *_ = system
    facts = {
        n: data.draw(st.sampled_from(["", ", logs: true", ", logs: false", ", egress: any, executes-code: true"]))
        for n in names
    }
    text = yaml_of(*system)
    for name, fact in facts.items():
        allowed = name[0] in "agt" and not (name[0] == "g" and "executes" in fact)
        text = text.replace(
            f"{name}: {{kind: {KINDS[name[0]]}}}", f"{name}: {{kind: {KINDS[name[0]]}{fact if allowed else ''}}}"
        )
    plan = parse_plan(text, vocabulary)
    index = Index(plan, vocabulary, build_graph(plan, vocabulary))
    sets = Sets(index)
    for predicate in PREDICATES:
        where = parse_predicate(parse(predicate, "p"), "component", vocabulary)
        truths = {c.id: index.holds(where, c) for c in plan.components.values()}
        true, unknown = sets.split(where, "component")
        assert true == {id for id, truth in truths.items() if truth}
        assert unknown == {id for id, truth in truths.items() if truth is None}
