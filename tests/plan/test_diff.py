# SPDX-License-Identifier: Apache-2.0
"""What changed between two plans, said in words."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from bastide.plan.canonical import canonical
from bastide.plan.diff import Changed, Part, PlanChanges, compare_plans
from bastide.plan.load import parse_plan
from bastide.plan.model import Plan
from bastide.plan.save import dump
from bastide.plan.vocabulary import Vocabulary
from tests.plan.strategies import VOCABULARY, documents, plan_of, plans

OLD = """
bastide: 1
system: s
exposure: internal
data: {prompt: {class: internal}, docs: {class: public, contains: [personal]}}
zones: {app: {trust: workload}}
identities: {role: {privilege: broad, grants: [{on: kb, actions: [read, write]}]}}
components:
  web: {kind: app.web, zone: app, authentication: none, logs: unknown}
  kb: {kind: data.vector-store, holds: [docs]}
  gone: app.api
  agent: {kind: ai.agent, zone: app}
flows:
  - web -> agent: {data: prompt}
  - gone -> agent
"""

NEW = """
bastide: 1
system: s
exposure: public
data: {prompt: {class: internal, written-by: user}, docs: {class: public}}
zones: {app: {trust: workload}, vault: {in: app}}
identities: {role: {privilege: scoped, grants: [{on: kb, actions: [read]}]}}
components:
  agent: {kind: ai.agent, zone: app, autonomy: acts-alone, runs-as: role}
  web: {kind: app.web, zone: app, authentication: sso, logs: {value: true, source: verified, evidence: probe-1}}
  kb: {kind: data.vector-store, zone: vault, holds: [docs, prompt], tags: [new]}
flows:
  - web -> agent: {data: [prompt, docs], protocol: https, encrypted: {value: true, source: discovered, at: main.tf}}
controls:
  - CONTROL: {on: web -> agent, by: waf, source: verified, evidence: probe-2}
"""


def test_every_change_is_named(vocabulary: Vocabulary) -> None:
    control = min(vocabulary.controls, default="some-control")
    found = compare_plans(parse_plan(OLD, vocabulary), parse_plan(NEW.replace("CONTROL", control), vocabulary))
    assert found == PlanChanges(
        system=("`exposure` was `internal`, is `public`",),
        added=(Part("zone", "vault"),),
        removed=(Part("component", "gone"), Part("flow", "gone->agent")),
        changed=(
            Changed(
                "component",
                "web",
                ("`authentication` was `none`, is `sso`", "`logs` was unknown, is `yes`"),
            ),
            Changed(
                "component",
                "kb",
                ("`tags`: + `new`", "`zone` was not stated, is `vault`", "`holds`: + `prompt`"),
            ),
            Changed(
                "component",
                "agent",
                (
                    "`runs-as` was not stated, is `role`",
                    "`autonomy` was `acts-on-request` by default, is `acts-alone`",
                ),
            ),
            Changed(
                "flow",
                "web->agent",
                (
                    "`data`: + `docs`",
                    "`protocol` was not stated, is `https`",
                    "`encrypted` was not stated, is `yes`",
                ),
            ),
            Changed("data", "prompt", ("`written-by` was not stated, is `user`",)),
            Changed("data", "docs", ("`contains` was `personal`, is nothing by default",)),
            Changed(
                "identity",
                "role",
                ("`grants`: - `read, write on kb`, + `read on kb`", "`privilege` was `broad`, is `scoped`"),
            ),
        ),
        claims_added=(f"`{control}` on `web->agent` by `waf` (verified at `probe-2`)",),
    )
    assert found


def test_better_proof_of_the_same_value_is_a_change(vocabulary: Vocabulary) -> None:
    plan = "bastide: 1\nsystem: s\ncomponents: {a: {kind: app.api, logs: FACT}}"
    old = parse_plan(plan.replace("FACT", "yes"), vocabulary)
    new = parse_plan(plan.replace("FACT", "{value: yes, source: verified, evidence: run-7}"), vocabulary)
    assert compare_plans(old, new).changed == (
        Changed("component", "a", ("`logs` (`yes`) was declared, is verified at `run-7`",)),
    )


def test_order_of_lists_is_said(vocabulary: Vocabulary) -> None:
    plan = "bastide: 1\nsystem: s\ncomponents: {a: {kind: app.api, tags: [LIST]}}"
    old, new = (parse_plan(plan.replace("LIST", tags), vocabulary) for tags in ("x, y", "y, x"))
    assert compare_plans(old, new).changed == (Changed("component", "a", ("`tags`: in another order",)),)


@settings(max_examples=60)
@given(plan=plans)
def test_a_plan_written_differently_has_no_changes(plan: Plan) -> None:
    assert not compare_plans(plan, parse_plan(dump(plan), VOCABULARY))


@settings(max_examples=100)
@given(document=documents(), data=st.data())
def test_no_change_is_missed(document: dict[str, Any], data: st.DataObject) -> None:
    """One key of one part is taken out; the comparison says so exactly when the plan is another one."""
    parts = [p for s in ("data", "zones", "identities", "components") for p in document[s].values()]
    parts += [body for flow in document["flows"] for body in flow.values()]
    keys = [(n, key) for n, part in enumerate(parts) for key in part if key not in ("kind", "id")]
    if not keys:
        return
    old = plan_of(document)
    number, key = data.draw(st.sampled_from(keys))
    del parts[number][key]
    new = plan_of(document)
    found = compare_plans(old, new)
    assert bool(found) == (canonical(old) != canonical(new))
    assert len(found.changed) <= 1
    assert not found.added
    assert not found.removed


def test_forward_and_back_mirror_each_other(vocabulary: Vocabulary) -> None:
    old, new = parse_plan(OLD, vocabulary), parse_plan(NEW.split("controls:", maxsplit=1)[0], vocabulary)
    there, back = compare_plans(old, new), compare_plans(new, old)
    assert (set(there.added), set(there.removed)) == (set(back.removed), set(back.added))
    assert {(c.type, c.id) for c in there.changed} == {(c.type, c.id) for c in back.changed}
