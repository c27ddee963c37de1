# SPDX-License-Identifier: Apache-2.0
"""Every shipped rule: its own plans, and that each control which is said to break it really does."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from bastide.catalog.lint import lint
from bastide.catalog.load import load_catalog
from bastide.plan.load import plan_from_node
from bastide.plan.yamlfile import parse_documents
from bastide.threats import selftest
from bastide.threats.assess import analyse
from bastide.threats.hardening import options_of
from bastide.threats.match import Mode
from bastide.threats.model import FindingState

CATALOG = load_catalog()
RULES = sorted(CATALOG.threats)


def test_the_knowledge_is_sound() -> None:
    """Ids resolve, every control is used and can stand where rules put it, no orphans."""
    assert [problem.render() for problem in lint(CATALOG)] == []


@pytest.mark.parametrize("rule", RULES)
def test_a_rule_fires_and_is_quiet_on_its_own_plans(rule: str) -> None:
    """As its `fires.yaml` and `quiet.yaml` say."""
    assert [problem.render() for problem in selftest.check(CATALOG.threats[rule], CATALOG)] == []


@pytest.mark.parametrize("rule", RULES)
def test_what_breaks_a_rule_breaks_its_witness(rule: str) -> None:
    """Put in place where it can stand on the witness, each breaking control takes that very witness away."""
    threat = CATALOG.threats[rule]
    only = replace(CATALOG, threats={rule: threat})
    path = Path(threat.location.file).parent / "fires.yaml"
    for root in parse_documents(path.read_text(encoding="utf-8"), str(path)):
        analysis = analyse(plan_from_node(root, CATALOG.vocabulary), only)
        for finding in analysis.findings:
            if finding.state is not FindingState.OPEN:
                continue
            witness = analysis.witnesses[finding.id]
            for option in options_of(only, analysis.matcher, threat, witness):
                left = analysis.matcher.match(threat, Mode.CERTAIN, frozenset({option}))
                assert left.get(witness.sink) != witness, option


@pytest.mark.parametrize("rule", [r for r in RULES if CATALOG.threats[r].breaks])
def test_a_rule_that_can_be_broken_offers_a_way(rule: str) -> None:
    """On its own plans at least one of its breaking controls can be placed."""
    threat = CATALOG.threats[rule]
    only = replace(CATALOG, threats={rule: threat})
    path = Path(threat.location.file).parent / "fires.yaml"
    for root in parse_documents(path.read_text(encoding="utf-8"), str(path)):
        analysis = analyse(plan_from_node(root, CATALOG.vocabulary), only)
        for witness in analysis.witnesses.values():
            assert options_of(only, analysis.matcher, threat, witness), witness.sink
