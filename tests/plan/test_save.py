# SPDX-License-Identifier: Apache-2.0
"""A plan that is saved and read again is the same plan, whatever its texts hold; and the file is one that people can read."""

from __future__ import annotations

from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings

from bastide.errors import Location
from bastide.plan.canonical import canonical
from bastide.plan.load import load_plan, parse_plan
from bastide.plan.model import Plan
from bastide.plan.save import dump, scalar
from bastide.plan.vocabulary import Vocabulary
from tests.plan.strategies import NASTY, VOCABULARY, plans


def without_places(value: Any) -> Any:
    """The same with every position taken out."""
    if isinstance(value, Location):
        return Location()
    if is_dataclass(value) and not isinstance(value, type):
        changed = {f.name: without_places(getattr(value, f.name)) for f in fields(value)}
        return replace(value, **changed)
    if isinstance(value, dict):
        return {k: without_places(v) for k, v in value.items()}
    if isinstance(value, tuple):
        return tuple(without_places(v) for v in value)
    return value


@settings(max_examples=150)
@given(plan=plans)
def test_saving_and_loading_is_the_identity(plan: Plan) -> None:
    again = parse_plan(dump(plan), VOCABULARY)
    assert canonical(again) == canonical(plan)
    assert again.digest == plan.digest
    assert without_places(again) == without_places(plan)


@settings(max_examples=60)
@given(plan=plans)
def test_saving_twice_gives_the_same_text(plan: Plan) -> None:
    once = dump(plan)
    assert dump(parse_plan(once, VOCABULARY)) == once


def test_the_examples_survive_saving(examples: Path, vocabulary: Vocabulary) -> None:
    found = sorted(p for p in examples.glob("*/*.yaml") if not p.name.endswith(".guard.yaml"))
    assert found
    for path in found:
        if not path.read_text("utf-8").startswith("#") and "bastide:" not in path.read_text("utf-8"):
            continue
        plan = load_plan(path, vocabulary)
        assert parse_plan(dump(plan), vocabulary).digest == plan.digest, path


@pytest.mark.parametrize("text", NASTY)
def test_any_yaml_1_1_reader_sees_the_same_text(text: str) -> None:
    assert yaml.safe_load(f"{{k: {scalar(text)}}}") == {"k": text}
    assert yaml.safe_load(f"? {scalar(text)}\n: v") == {text: "v"}


def test_the_text_is_laid_out_as_people_write_it(vocabulary: Vocabulary) -> None:
    plan = parse_plan(
        """
bastide: 1
system: s
owner: {team: "no"}
x-note: [1, {a: "b: c"}]
defaults: {components: {zone: app}}
data: {prompt: {class: confidential, written-by: unknown}}
zones: {app: {trust: workload}}
components:
  customer: {kind: actor.user}
  llm: {kind: ai.model.endpoint, logs: {value: true, source: verified, at: "a.tf:12"}, name: "1"}
  assistant: {kind: ai.agent, description: A long description that makes this line of the plan longer than the
    hundred and twenty columns which a line may have., autonomy: acts-alone}
flows:
  - customer -> assistant -> llm: {data: prompt}
  - llm -> customer
controls:
  - injection-filter: {on: [customer -> assistant]}
""".replace("injection-filter", min(vocabulary.controls, default="injection-filter")),
        vocabulary,
    )
    control = min(vocabulary.controls, default="injection-filter")
    assert dump(plan) == (
        f"""\
bastide: 1
system: s
owner: {{team: "no"}}

data:
  prompt: {{class: confidential, written-by: unknown}}

zones:
  app: {{trust: workload}}

components:
  customer: {{kind: actor.user, zone: app}}
  llm:      {{kind: ai.model.endpoint, name: "1", zone: app, logs: {{value: true, source: verified, evidence: "a.tf:12"}}}}
  assistant:
    kind: ai.agent
    description: A long description that makes this line of the plan longer than the hundred and twenty columns which a line may have.
    zone: app
    autonomy: acts-alone

flows:
  - customer -> assistant: {{data: prompt}}
  - assistant -> llm: {{data: prompt}}
  - llm -> customer

controls:
  - {control}: {{on: customer->assistant}}

x-note: [1, {{a: "b: c"}}]
"""
    )


def test_keys_longer_than_yaml_takes_in_front_of_a_colon(vocabulary: Vocabulary) -> None:
    long = "x-" + "k" * 2000
    plan = parse_plan(
        f'bastide: 1\nsystem: s\n? "{long}"\n: {{? "{long}": [1]}}\ncomponents: {{a: {{kind: app.api, ? "{long}": 2}}}}',
        vocabulary,
    )
    assert plan.extensions == {long: {long: [1]}}
    assert parse_plan(dump(plan), vocabulary).digest == plan.digest
