# SPDX-License-Identifier: Apache-2.0
"""The layout: nothing overlaps, everything stays in its zone, and the same plan gives the same picture."""

from __future__ import annotations

from itertools import combinations, pairwise

import factory
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bastide.plan.model import Component, Flow, Plan, Zone
from bastide.report.layering import ranks
from bastide.report.layout import ROUTED_FLOWS, Box, Layout, layout
from bastide.report.placing import spread


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    """Plans of any shape: nested zones, empty ones, components outside all, loops and parallel flows."""
    zones = [
        Zone(id=f"z{n}", parent=draw(st.sampled_from([None, *(f"z{m}" for m in range(n))])))
        for n in range(draw(st.integers(0, 6)))
    ]
    homes = st.sampled_from([None, *(z.id for z in zones)])
    parts = [Component(id=f"c{n}", kind="app.api", zone=draw(homes)) for n in range(draw(st.integers(0, 14)))]
    flows = []
    if parts:
        ends = st.sampled_from([p.id for p in parts])
        for n in range(draw(st.integers(0, 30))):
            flows.append(Flow(id=f"f{n}", source=draw(ends), target=draw(ends), both_ways=draw(st.booleans())))
    return Plan(
        id="any",
        zones={z.id: z for z in zones},
        components={p.id: p for p in parts},
        flows={f.id: f for f in flows},
    )


def width_of(flow: Flow) -> float:
    return 20.0 + len(flow.id) * 17 % 70


def crossed(box: Box, points: tuple[tuple[float, float], ...]) -> bool:
    """Whether a way of straight pieces runs through the inside of a box."""
    for (x1, y1), (x2, y2) in pairwise(points):
        across = max(x1, x2) > box.x + 1 and min(x1, x2) < box.x + box.width - 1
        if across and max(y1, y2) > box.y + 1 and min(y1, y2) < box.y + box.height - 1:
            return True
    return False


def check(plan: Plan, made: Layout) -> None:
    """All that must hold for any picture."""
    assert set(made.components) == set(plan.components)
    assert set(made.zones) == set(plan.zones)
    for a, b in combinations(made.components.values(), 2):
        assert not a.overlaps(b), (a, b)
    for id, box in made.components.items():
        for zone in plan.zone_chain(plan.components[id].zone):
            assert made.zones[zone.id].holds(box)
    for a, b in combinations(made.zones, 2):
        inner, outer = sorted((a, b), key=lambda z: -made.zones[z].depth)
        if outer in {z.id for z in plan.zone_chain(inner)}:
            assert made.zones[outer].holds(made.zones[inner])
        else:
            assert not made.zones[inner].overlaps(made.zones[outer]), (a, b)
    for id, box in made.components.items():
        inside = {z.id for z in plan.zone_chain(plan.components[id].zone)}
        for zone in made.zones.keys() - inside:
            assert not made.zones[zone].overlaps(box)
    whole = Box("whole", -0.01, -0.01, made.width + 0.02, made.height + 0.02)
    assert all(whole.holds(box) for box in (*made.components.values(), *made.zones.values()))


@given(plans())
def test_nothing_overlaps_and_zones_hold_their_components(plan: Plan) -> None:
    check(plan, layout(plan, width_of))


@given(plans())
def test_no_flow_runs_through_a_component(plan: Plan) -> None:
    made = layout(plan, width_of)
    for line in made.lines:
        if line.curved:
            continue
        for box in made.components.values():
            assert not crossed(box, line.points), (line, box)


@given(plans())
def test_flows_begin_and_end_at_the_sides_of_their_components(plan: Plan) -> None:
    made = layout(plan, width_of)
    assert [line.flow for line in made.lines] == list(plan.flows)
    for line in made.lines:
        flow = plan.flows[line.flow]
        for end, (x, y) in ((flow.source, line.points[0]), (flow.target, line.points[-1])):
            box = made.components[end]
            assert min(abs(x - box.x), abs(x - box.x - box.width)) < 0.01
            assert box.y <= y <= box.y + box.height


@given(plans())
def test_pieces_of_flows_are_straight_across_or_straight_up(plan: Plan) -> None:
    for line in layout(plan, width_of).lines:
        if not line.curved:
            for (x1, y1), (x2, y2) in pairwise(line.points):
                assert abs(x1 - x2) < 0.05 or abs(y1 - y2) < 0.05


@given(plans())
def test_labels_touch_no_component_and_no_other_label(plan: Plan) -> None:
    made = layout(plan, width_of)
    labels = [
        Box(line.flow, line.label[0], line.label[1] - 13, width_of(plan.flows[line.flow]), 12)
        for line in made.lines
        if line.label
    ]
    for label in labels:
        for box in made.components.values():
            assert not label.overlaps(box), (label, box)
    for a, b in combinations(labels, 2):
        assert not a.overlaps(b), (a, b)


@given(plans())
def test_the_same_plan_gives_the_same_picture(plan: Plan) -> None:
    assert layout(plan, width_of) == layout(plan, width_of)


@given(plans(), st.sampled_from([None, "z0"]))
def test_one_more_component_breaks_nothing(plan: Plan, zone: str | None) -> None:
    more = Component(id="more", kind="ops.log", zone=zone)
    grown = Plan(id="any", zones=plan.zones, components={**plan.components, "more": more}, flows=plan.flows)
    if zone in (None, *plan.zones):
        check(grown, layout(grown, width_of))


def test_the_retrieval_assistant_reads_from_left_to_right() -> None:
    made = layout(factory.rag_agent(), width_of)
    check(factory.rag_agent(), made)
    order = ["customer", "web", "guard", "assistant", "refund", "orders-db", "llm"]
    xs = [made.components[c].x for c in order]
    assert xs == sorted(xs)


@pytest.mark.parametrize("size", [(60, 110), (200, 500)])
def test_larger_systems_keep_the_rules(size: tuple[int, int]) -> None:
    plan = factory.big_plan(*size)
    made = layout(plan, width_of)
    check(plan, made)
    assert not any(crossed(box, line.points) for line in made.lines for box in made.components.values())


def test_many_flows_are_drawn_as_curves() -> None:
    plan = factory.big_plan(300, ROUTED_FLOWS + 1)
    made = layout(plan, width_of)
    check(plan, made)
    assert all(line.curved and line.label is None for line in made.lines)


def test_zones_within_each_other_are_put_side_by_side() -> None:
    """The reader refuses them; a plan made by hand must still not hang the picture."""
    zones = {"a": Zone(id="a", parent="b"), "b": Zone(id="b", parent="a")}
    made = layout(Plan(id="p", zones=zones, components={"c": Component(id="c", kind="app.api", zone="a")}))
    assert made.zones["a"].holds(made.components["c"])


def test_a_chain_of_thousands_of_zones_is_drawn_in_seconds() -> None:
    zones = {f"z{n}": Zone(id=f"z{n}", parent=f"z{n - 1}" if n else None) for n in range(3000)}
    parts = {c: Component(id=c, kind="app.api", zone=z) for c, z in (("a", "z0"), ("b", "z2999"))}
    flows = {f"f{n}": Flow(id=f"f{n}", source="a", target="b") for n in range(100)}
    made = layout(Plan(id="p", zones=zones, components=parts, flows=flows))
    assert all(line.curved for line in made.lines)
    assert made.zones["z0"].holds(made.zones["z2999"])


def test_dangling_flows_and_zones_are_left_out() -> None:
    flows = {"f": Flow(id="f", source="a", target="nowhere")}
    made = layout(Plan(id="p", components={"a": Component(id="a", kind="app.api", zone="gone")}, flows=flows))
    assert made.lines == ()
    assert list(made.components) == ["a"]


def test_ranks_grow_along_flows_and_survive_cycles() -> None:
    assert ranks(4, [(0, 1), (1, 2), (2, 3)]) == [0, 1, 2, 3]
    assert ranks(4, [(0, 1), (1, 2), (2, 1), (3, 2)]) == [0, 1, 2, 1]


@given(st.lists(st.tuples(st.floats(-500, 500), st.floats(1, 40)), min_size=1, max_size=20))
@settings(max_examples=60)
def test_spread_keeps_order_and_distance(wishes: list[tuple[float, float]]) -> None:
    wanted, step = [w for w, _ in wishes], [s for _, s in wishes]
    found = spread(wanted, step)
    for (a, b), distance in zip(pairwise(found), step, strict=False):
        assert b - a >= distance - 1e-6


def test_spread_leaves_alone_what_has_room() -> None:
    assert spread([0.0, 50.0, 100.0], [10.0, 10.0]) == [0.0, 50.0, 100.0]
    assert spread([5.0, 5.0], [10.0]) == [0.0, 10.0]
