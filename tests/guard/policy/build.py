# SPDX-License-Identifier: Apache-2.0
"""What the tests of the policy share: the vocabulary, the example plans, plans from short texts."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from bastide.catalog.load import load_vocabulary
from bastide.guard.policy.compile import compile_plan
from bastide.guard.policy.decide import CompiledPolicy
from bastide.guard.settings import Settings, ToolMeaning
from bastide.guard.settings_file import settings_for
from bastide.plan.load import load_plan, parse_plan
from bastide.plan.model import Plan
from bastide.plan.vocabulary import Vocabulary

EXAMPLES = Path(__file__).resolve().parents[3] / "examples"
PLANS = sorted(p for p in EXAMPLES.glob("*/*.yaml") if not p.name.endswith(".guard.yaml"))
NAMES = [str(p.relative_to(EXAMPLES)) for p in PLANS]

SMALL = """
bastide: 1
system: small
data:
  order: {class: confidential, written-by: system}
  note:  {class: internal, written-by: third-party}
zones:
  app: {trust: workload}
  out: {trust: third-party}
components:
  person: {kind: actor.user, zone: out}
  web:    {kind: app.web, zone: app}
  agent:  {kind: ai.agent, zone: app}
  model:  {kind: ai.model.endpoint, zone: out}
  tool:   {kind: ai.tool, zone: app}
flows:
  - person <-> web: {data: note}
  - web <-> agent: {data: note}
  - agent <-> model: {data: note}
"""


@cache
def vocabulary() -> Vocabulary:
    """The words of a plan."""
    return load_vocabulary()


@cache
def example(name: str) -> Plan:
    """An example plan."""
    return load_plan(EXAMPLES / name, vocabulary())


def example_settings(name: str) -> Settings:
    """The settings beside an example plan, or the defaults."""
    return settings_for(EXAMPLES / name)


def small(flows: str = "", components: str = "") -> Plan:
    """A small plan with further flows (lines that begin with `-`) and components (`name: {...}`)."""
    text = SMALL
    if components:
        text = text.replace(
            "flows:\n", "".join(f"  {c.strip()}\n" for c in components.splitlines() if c.strip()) + "flows:\n"
        )
    return parse_plan(text + "".join(f"  {f.strip()}\n" for f in flows.splitlines() if f.strip()), vocabulary())


def settings(*tools: ToolMeaning, **more: Any) -> Settings:
    """Settings with these tools."""
    return Settings(**{"plan": Path("bastide.yaml"), "tools": tools, **more})


def policy(plan: Plan, given: Settings | None = None) -> CompiledPolicy:
    """A compiled plan, ready to decide."""
    return CompiledPolicy(compile_plan(plan, vocabulary(), given or settings()))


@cache
def example_policy(name: str) -> CompiledPolicy:
    """The policy of an example, with the settings beside it."""
    return policy(example(name), example_settings(name))
