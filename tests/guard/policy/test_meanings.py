# SPDX-License-Identifier: Apache-2.0
"""What tools, models and stores mean, from the plan and the settings."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings

from bastide.errors import Location, SettingsError
from bastide.guard.model import CLASSES, Action, Caller, Meaning, Question, SideEffect
from bastide.guard.policy.labels import TOP, lattice
from bastide.guard.policy.meanings import compile_meanings, spellings
from bastide.guard.policy.routes import Kinds, actors_of, routes
from bastide.guard.settings import McpServer, ModelRoute, Provider, Settings, ToolMeaning
from bastide.plan.load import parse_plan
from bastide.plan.model import Plan
from bastide.plan.vocabulary import TRUST_LEVELS
from bastide.threats.graph import build_graph
from bastide.threats.labels import propagate
from bastide.threats.predicates import Index
from tests.guard.policy import build
from tests.guard.policy.build import NAMES, example, example_settings, settings, small, vocabulary
from tests.guard.policy.strategies import plans

SUPPORT = "support-agent/bastide.yaml"


def meanings(plan: Plan, *tools: ToolMeaning) -> dict[str, Meaning]:
    """The meanings with some tools set."""
    return dict(compile_meanings(plan, vocabulary(), settings(*tools)))


def support() -> dict[str, Meaning]:
    """The meanings of the support agent, with its settings."""
    return dict(compile_meanings(example(SUPPORT), vocabulary(), example_settings(SUPPORT)))


def test_the_support_agent() -> None:
    """The plan's side effects, authors and classes arrive at the names on the wire."""
    found = support()
    assert found["refund"].side_effect == SideEffect.IRREVERSIBLE
    assert not found["refund"].outbound
    assert found["send_mail"].outbound
    assert (found["search_articles"].component, found["search_articles"].action) == ("kb", Action.RETRIEVE)
    assert (found["search_articles"].result.author, found["read_mail"].result.author) == ("third-party", "public")
    assert found["get_order"].result.author == "system"
    assert found["read_mail"].fields == {"id": TOP, "date": TOP}
    assert found["search_articles"].tenant_argument == "tenant"
    assert found["refund"].arguments["iban"] == "target"


def test_a_model_may_get_what_the_flow_behind_the_gateway_carries() -> None:
    """The fallback model is drawn with internal data only, though the gateway gets confidential data."""
    found = support()
    assert (CLASSES[found["llm"].clearance], CLASSES[found["llm-small"].clearance]) == ("confidential", "internal")
    assert found["gpt-4o-*"].component == "llm"
    assert found["llm"].outbound


def test_dashes_and_underscores_are_the_same() -> None:
    """`get-order` in the plan is `get_order` on the wire."""
    assert spellings("get-order") == ("get-order", "get_order")
    assert meanings(small("- agent -> a-b: {verb: invoke}", "a-b: {kind: ai.tool}"))["a_b"].component == "a-b"


def test_a_name_as_it_is_written_goes_before_the_other_spelling() -> None:
    """`a-b` and `a_b` may be two tools; and a tool may be called like another component."""
    plan = small(
        "- agent -> tool: {verb: invoke}\n- agent -> other: {verb: invoke}", "other: {kind: ai.tool, side-effect: read}"
    )
    one, two = (ToolMeaning(n, component="tool", side_effect=e) for n, e in (("a-b", "read"), ("a_b", "irreversible")))
    for pair in ((one, two), (two, one)):
        found = meanings(plan, *pair)
        assert (found["a-b"].side_effect, found["a_b"].side_effect) == (SideEffect.READ, SideEffect.IRREVERSIBLE)
    wire = build.policy(plan, settings(ToolMeaning("other", component="tool")))
    by_name, by_component = (Question(Caller("agent"), Action.INVOKE_TOOL, r, "other") for r in ("tool", "other"))
    assert wire.meaning(by_name) == wire.compiled.meanings["other"]
    assert (m := wire.meaning(by_component)) is not None
    assert (m.component, m.side_effect) == ("other", SideEffect.READ)


@pytest.mark.parametrize("name", NAMES)
def test_every_meaning_is_known_and_every_route_has_one(name: str) -> None:
    """What a flow lets somebody use has a meaning under its component's id."""
    plan = example(name)
    found = compile_meanings(plan, vocabulary(), example_settings(name))
    assert all(r.resource in found for r in routes(plan, vocabulary()))
    assert all(m.known and m.component in plan.components for m in found.values())


@pytest.mark.parametrize(
    ("zone", "flows", "facts", "outbound"),
    [
        ("app", "", "", False),
        ("out", "", "", True),
        ("", "", "", True),
        ("app", "", ", egress: any", True),
        ("app", "- t -> mail: {data: note}", "", True),
        ("app", "- t -> queue: {data: note}\n- queue -> mail: {data: note}", "", True),
        ("app", "- t -> store: {data: note}\n- store -> agent: {data: note}", "", False),
        ("app", "- mail -> t: {data: note}", "", False),
        ("app", "- t -> mail: {data: note, verb: query}", "", True),
    ],
)
def test_what_counts_as_outside(zone: str, flows: str, facts: str, outbound: bool) -> None:
    """Outside is where others run things, what hands on to there, and what nobody said anything about."""
    where = f", zone: {zone}" if zone else ""
    parts = f"t: {{kind: ai.tool{where}{facts}}}\nmail: {{kind: ext.mail}}\nqueue: {{kind: data.queue, zone: app}}"
    parts += "\nstore: {kind: data.database, zone: app}"
    found = meanings(small(f"- agent -> t: {{verb: invoke, data: note}}\n{flows}", parts))
    assert outbound is found["t"].outbound


@pytest.mark.parametrize(
    ("kind", "flow", "side_effect"),
    [
        ("ai.tool", "agent -> t: {verb: invoke}", SideEffect.IRREVERSIBLE),
        ("ai.tool", "agent -> t: {verb: query}", SideEffect.READ),
        ("data.vector-store", "t -> agent: {verb: retrieve}", SideEffect.READ),
        ("ai.agent", "agent -> t: {verb: delegate}", SideEffect.NONE),
        ("ai.agent.remote", "agent -> t: {verb: delegate}", SideEffect.IRREVERSIBLE),
        ("ai.embedder", "agent -> t: {verb: invoke}", SideEffect.NONE),
        ("ext.mail", "agent -> t: {}", SideEffect.IRREVERSIBLE),
    ],
)
def test_a_side_effect_that_nobody_states(kind: str, flow: str, side_effect: SideEffect) -> None:
    """Silence means irreversible, except where the kind or the verbs say that nothing is changed."""
    assert side_effect == meanings(small(f"- {flow}", f"t: {{kind: {kind}}}"))["t"].side_effect


@pytest.mark.parametrize(
    ("tool", "flows", "author"),
    [
        ("kind: ai.tool, trust: system", "", "system"),
        ("kind: ai.tool", "", "public"),
        ("kind: ai.tool, provenance: own", "", "public"),
        ("kind: ai.tool", "- base -> t: {data: order}", "system"),
        ("kind: ai.tool, trust: system", "- mail -> t: {data: note}", "public"),
        ("kind: ai.tool, trust: system", "- t -> base: {data: order, verb: query}\n- supplier -> base: {data: order}", "third-party"),
        ("kind: ai.agent", "- t -> model: {verb: invoke}", "system"),
        ("kind: ai.agent", "- mail -> t: {data: note}", "public"),
    ],
)  # fmt: skip
def test_who_wrote_a_result(tool: str, flows: str, author: str) -> None:
    """The least trusted author of anything that can come out, the asking agent's own words left aside."""
    parts = f"t: {{{tool}}}\nmail: {{kind: ext.mail}}\nbase: {{kind: data.database, holds: order}}\nsupplier: {{kind: actor.partner}}"
    assert author == meanings(small(f"- agent -> t: {{verb: invoke}}\n{flows}", parts))["t"].result.author


def test_what_one_agent_sends_may_come_out_to_another() -> None:
    """A helper that an agent which reads mail talks to may tell a stranger's words to a third."""
    parts = "mail: {kind: ext.mail}\nhelper: {kind: ai.agent}\nthird: {kind: ai.agent}"
    flows = "- agent <-> helper\n- third <-> helper\n- mail -> third: {verb: retrieve}"
    assert meanings(small(flows, parts))["helper"].result.author == "public"
    assert (
        meanings(small("- agent <-> helper\n- mail -> agent: {verb: retrieve}", parts))["helper"].result.author
        == "system"
    )


def test_data_on_the_flow_names_an_author_where_nothing_else_does() -> None:
    """`agent -> tool: {data: order}` with orders written by the system: the answer is the system's."""
    assert meanings(small("- agent -> tool: {verb: invoke, data: order}"))["tool"].result.author == "system"
    assert meanings(small("- agent -> tool: {verb: invoke, data: note}"))["tool"].result.author == "third-party"


def test_data_that_nobody_is_named_for_may_be_anybodys() -> None:
    """Where a store holds something of which the plan names no author, its answers count as public."""
    text = build.SMALL.replace("data:\n", "data:\n  rest: {class: internal}\n")
    text = (
        text.replace("flows:\n", "  base: {kind: data.database, zone: app, holds: [order, rest]}\nflows:\n")
        + "  - base -> agent\n"
    )
    plan = parse_plan(text, vocabulary())
    assert meanings(plan)["base"].result.author == "public"


def test_what_an_agent_stores_comes_back_with_its_label() -> None:
    """A store into which an agent that reads mail writes may hold a stranger's words for the next session."""
    parts = "mail: {kind: ext.mail}\nbase: {kind: data.database, holds: order}"
    flows = "- mail -> agent: {verb: retrieve}\n- agent <-> base: {data: order}"
    assert meanings(small(flows, parts))["base"].result.author == "public"
    kept = ToolMeaning("recall", component="base", memory="read")
    assert meanings(small(flows, parts), kept)["recall"].result.author == "system"


def test_settings_go_before_the_plan() -> None:
    """What somebody wrote about a tool counts more than what was derived."""
    said = ToolMeaning(
        "t", component="tool", side_effect="read", outbound=True, result_trust="developer", result_class="restricted",
        field_trust={"id": "system"}, endorses="user",
    )  # fmt: skip
    found = meanings(small("- agent -> tool: {verb: invoke, data: note}"), said)["t"]
    assert (found.side_effect, found.outbound) == (SideEffect.READ, True)
    assert (found.result.author, found.result.class_) == ("developer", "restricted")
    assert found.fields == {"id": TOP}
    assert TRUST_LEVELS.index("user") == found.endorses


def test_a_tool_that_changes_a_store_is_no_retrieval() -> None:
    """One store, two names: reading is a retrieval, writing is a tool call."""
    parts = "base: {kind: data.database, zone: app, holds: order}"
    write = ToolMeaning("save", component="base", side_effect="reversible")
    found = meanings(small("- agent <-> base: {data: order}", parts), write)
    assert (found["base"].action, found["save"].action) == (Action.RETRIEVE, Action.INVOKE_TOOL)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"tools": (ToolMeaning("refunds", location=Location("g.yaml", 7, 3)),)}, "g.yaml:7:3: the plan has no component for the tool `refunds`"),
        ({"tools": (ToolMeaning("x", component="refnd"),)}, "did you mean `refund`?"),
        ({"tools": (ToolMeaning("x", component="guard"),)}, "can't be the tool `x`: it is `kind: ai.gateway`"),
        ({"models": (ModelRoute("llmm", ("m",), (Provider("http://x"),)),)}, "did you mean `llm`?"),
        ({"models": (ModelRoute("kb", ("m",), (Provider("http://x"),)),)}, "`kb` can't be a model"),
        ({"models": (ModelRoute("llm", ("m",), (Provider("http://x"),), failover=("small",)),)}, "no model `small`"),
        ({"mcp": (McpServer("crn", url="http://x"),)}, "did you mean `crm`?"),
        ({"mcp": (McpServer("inbox", url="http://x"),)}, "can't be an MCP server"),
    ],
)  # fmt: skip
def test_settings_that_the_plan_does_not_have(given: dict[str, object], said: str) -> None:
    """A name that isn't in the plan is an error with its place and what was meant."""
    with pytest.raises(SettingsError) as caught:
        compile_meanings(example(SUPPORT), vocabulary(), settings(**given))  # type: ignore[arg-type]
    assert said in str(caught.value)


def received(plan: Plan, given: Settings, agent: str) -> tuple[int, bool]:
    """The least trusted author of anything an agent may receive at run time, and whether the plan is silent about some author."""
    kinds = Kinds(plan, vocabulary())
    asked = lattice(plan, vocabulary(), kinds.stores)
    used = {r.resource for r in routes(plan, vocabulary()) if r.agent == agent}
    found = compile_meanings(plan, vocabulary(), given)
    levels = [found[id].result.integrity for id in used]
    # Somebody else's agent is an author itself.
    origins = (asked.graph.origins.get(n) for n in asked.graph.nodes[agent])
    levels += [TRUST_LEVELS.index(level) for level in origins if level]
    for sender, node in asked.senders(agent):
        if sender not in used:
            feed = asked.deliveries(agent, node)
            levels.append(TOP if feed.integrity is None else feed.integrity)
    feeds = {id: asked.answers(id, {agent}) for id in used}
    silent = any(f.doubtful or (f.integrity is None and found[id].result.integrity < TOP) for id, f in feeds.items())
    return min(levels, default=TOP), silent


@pytest.mark.parametrize("name", NAMES)
def test_the_label_at_run_time_is_the_label_at_design_time(name: str) -> None:
    """What an agent may receive has the integrity that the analysis gave the agent; lower only where the plan doesn't say who writes
    something, which the analysis asks about and the guard takes as public."""
    plan, given = example(name), example_settings(name)
    same_labels(plan, given)


def same_labels(plan: Plan, given: Settings) -> None:
    """Compares the labels of all that act."""
    labels = propagate(Index(plan, vocabulary(), build_graph(plan, vocabulary())))
    for agent in {r.agent for r in routes(plan, vocabulary())}:
        designed = TRUST_LEVELS.index(labels[agent].integrity)
        level, silent = received(plan, given, agent)
        assert level <= designed, agent
        assert level == designed or silent, agent


@hypothesis_settings(max_examples=30)
@given(plans())
def test_the_labels_are_the_same_for_any_plan(plan: Plan) -> None:
    """What the analysis found is what the guard assumes, whatever is drawn."""
    same_labels(plan, settings())


def test_people_reach_agents_over_apps_and_agents() -> None:
    """A customer who talks to the web page talks to the agent behind it; nobody talks through a store."""
    assert actors_of(example(SUPPORT), vocabulary())["assistant"] == ("customer",)
    parts = "box: {kind: data.mailbox}\nother: {kind: ai.agent}\nsub: {kind: ai.agent}"
    reached = actors_of(small("- person -> box\n- box -> other\n- agent -> sub: {verb: delegate}", parts), vocabulary())
    assert "other" not in reached
    assert reached["sub"] == ("person",)


@pytest.mark.parametrize(
    ("flow", "expected"),
    [
        ("agent -> tool: {verb: invoke}", {("agent", "invoke_tool", "tool")}),
        ("tool -> agent: {verb: retrieve}", {("agent", "invoke_tool", "tool")}),
        ("tool -> agent", {("tool", "delegate", "agent")}),
        ("tool <-> agent", {("agent", "invoke_tool", "tool")}),
        ("base -> agent", {("agent", "retrieve", "base")}),
        ("agent -> base: {verb: query}", {("agent", "retrieve", "base")}),
        ("agent -> base: {verb: write}", {("agent", "invoke_tool", "base")}),
        ("agent <-> base", {("agent", "invoke_tool", "base"), ("agent", "retrieve", "base")}),
        ("agent -> base: {verb: log}", set()),
        ("base -> model: {verb: train}", set()),
        ("agent -> mcp: {verb: invoke}", {("agent", "invoke_tool", "mcp"), ("agent", "list_tools", "mcp")}),
        ("person -> agent", set()),
    ],
)
def test_who_calls_on_a_flow(flow: str, expected: set[tuple[str, str, str]]) -> None:
    """The arrow is the way of the content; who starts the call follows from verb and kinds."""
    plain = {(r.agent, r.action.value, r.resource) for r in routes(small(), vocabulary())}
    plan = small(f"- {flow}", "base: {kind: data.database}\nmcp: {kind: ai.mcp-server}")
    assert expected == {(r.agent, r.action.value, r.resource) for r in routes(plan, vocabulary())} - plain


def test_gateways_pass_calls_on_and_have_no_rights() -> None:
    """Two gateways in a row, and one that leads back, end in the model."""
    flows = "- tool <-> one\n- one <-> two\n- two <-> one: {id: back}\n- two <-> far"
    plan = small(flows, "one: {kind: ai.gateway}\ntwo: {kind: ai.gateway}\nfar: {kind: ai.model.endpoint}")
    found = [(r.agent, r.resource, r.id) for r in routes(plan, vocabulary()) if r.resource == "far"]
    assert found == [("tool", "far", "tool<->one one<->two two<->far")]


def test_who_answers_past_the_gateway_is_heard_too() -> None:
    """A remote agent that is asked over a gateway and answers the agent directly is as little trusted as its author."""
    parts = "gate: {kind: ai.gateway, zone: app}\n  partner: {kind: ai.agent.remote, zone: app, trust: third-party}"
    plan = small("- agent -> gate: {id: f0}\n  - gate -> partner: {id: f1}\n  - partner -> agent: {id: f2}", parts)
    assert (
        TRUST_LEVELS.index("third-party")
        == compile_meanings(plan, vocabulary(), settings())["partner"].result.integrity
    )
