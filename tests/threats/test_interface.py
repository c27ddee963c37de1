# SPDX-License-Identifier: Apache-2.0
"""Rules written in Python stand beside those of the catalogue."""

from __future__ import annotations

from collections.abc import Iterator

from bastide.errors import Location
from bastide.threats.assess import assess
from bastide.threats.explain import finding_id
from bastide.threats.interface import PlanRule
from bastide.threats.model import Finding, FindingState, Rating, Severity, Term
from bastide.threats.predicates import Index


class TooManyTools:
    """Says what the rule language can't: it counts."""

    id = "test/too-many-tools"

    def evaluate(self, index: Index) -> Iterator[Finding]:
        """One finding for each agent with more than two tools."""
        for agent in index.by_kind.get("ai.agent", ()):
            tools = [
                f.target for f in index.outgoing.get(agent.id, ()) if index.plan.components[f.target].kind == "ai.tool"
            ]
            if len(tools) > 2:
                yield Finding(
                    id=finding_id(self.id, agent.id),
                    rule=self.id,
                    title="An agent has many tools",
                    message=f"{agent.label} has {len(tools)} tools",
                    rating=Rating(3, 4, (Term(3, "test"),), (Term(4, "test"),)),
                    state=FindingState.OPEN,
                    elements={"agent": agent.id},
                    path=(agent.id,),
                    reasons=(f"{len(tools)} tools",),
                    controls=(),
                    refs={},
                    location=Location(),
                )


def test_a_python_rule_is_evaluated_with_the_others(make_catalog, make_plan) -> None:
    """Its findings are rated, ranked and reported; the control set leaves them alone."""
    rule: PlanRule = TooManyTools()
    tools = "".join(f"  t{n}: {{kind: ai.tool}}\n" for n in range(3))
    flows = "".join(f"  - agent -> t{n}\n" for n in range(3))
    plan = make_plan(f"components:\n  agent: {{kind: ai.agent}}\n{tools}flows:\n{flows}")
    result = assess(plan, make_catalog(), rules=[rule])
    assert [(f.rule, f.severity) for f in result.open] == [("test/too-many-tools", Severity.HIGH)]
    assert result.rules == 1
    assert result.hardening is not None
    assert result.hardening.paths == 0
