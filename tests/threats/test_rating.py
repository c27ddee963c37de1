# SPDX-License-Identifier: Apache-2.0
"""The arithmetic of ratings, term by term."""

from __future__ import annotations

import pytest

from bastide.threats.assess import analyse
from bastide.threats.model import Rating, Severity

RULE = """
roles:
  author: {origin: {at-most: developer}}
  agent: {kind: ai.agent}
  tool: {kind: ai.tool}
legs: [author ~> agent, agent -> tool]
sink: tool
finding: "{author} {agent} {tool}"
breaks: {isolation: [agent]}
likelihood: {base: 2, why: test}
impact: {data: [tool], effect: [tool], privilege: [agent]}
"""
PLAN = """
data: {d: {class: %(class)s}}
zones: {net: {trust: %(zone)s}}
identities: {role: {privilege: %(privilege)s}}
components:
  author: {kind: %(author)s, zone: net}
  agent: {kind: ai.agent, runs-as: role, autonomy: %(autonomy)s}
  tool: {kind: ai.tool, side-effect: %(effect)s, holds: d}
flows:
  - author -> agent
  - agent -> tool
"""
CALM = {
    "class": "public", "zone": "enterprise", "privilege": "scoped", "author": "actor.user", "autonomy": "acts-on-request", "effect": "none",
}  # fmt: skip


@pytest.mark.parametrize(
    ("change", "impact", "likelihood"),
    [
        ({}, 2, 2),  # the scoped identity
        ({"class": "confidential"}, 3, 2),
        ({"class": "restricted"}, 4, 2),
        ({"class": "unknown"}, 3, 2),
        ({"class": "restricted, contains: [payment]"}, 5, 2),
        ({"class": "confidential, tenants: many"}, 4, 2),
        ({"class": "internal, contains: [personal]"}, 2, 2),
        ({"effect": "irreversible"}, 4, 2),
        ({"privilege": "admin"}, 5, 2),
        ({"zone": "none"}, 2, 3),
        ({"author": "ext.website"}, 2, 3),
        ({"author": "actor.developer"}, 2, 1),
        ({"autonomy": "acts-alone"}, 2, 3),
        ({"autonomy": "suggests"}, 2, 1),
        ({"autonomy": "acts-alone, safety-critical: true", "effect": "irreversible"}, 5, 3),
    ],
)
def test_each_term_counts_once(make_threat, make_catalog, make_plan, change, impact, likelihood) -> None:
    """Impact is the highest of its terms, likelihood the sum, both from 1 to 5."""
    (finding,) = analyse(make_plan(PLAN % (CALM | change)), make_catalog(make_threat(RULE))).findings
    assert (finding.rating.impact, finding.rating.likelihood) == (impact, likelihood)
    assert sum(t.points for t in finding.rating.likelihood_terms) == likelihood
    assert all(t.why for t in (*finding.rating.impact_terms, *finding.rating.likelihood_terms))


def test_unknown_class_is_asked_for(make_threat, make_catalog, make_plan) -> None:
    """Counting it as confidential is an assumption, so the question is put."""
    analysis = analyse(make_plan(PLAN % (CALM | {"class": "unknown"})), make_catalog(make_threat(RULE)))
    assert ("d", "class") in {(q.element, q.attribute) for q in analysis.questions}


@pytest.mark.parametrize(
    ("impact", "likelihood", "severity"),
    [(4, 5, "critical"), (3, 4, "high"), (2, 3, "medium"), (1, 5, "low"), (5, 4, "critical")],
)
def test_severity_follows_the_score(impact, likelihood, severity) -> None:
    """Critical from 20, high from 12, medium from 6."""
    assert Rating(impact, likelihood, (), ()).severity is Severity(severity)
