# SPDX-License-Identifier: Apache-2.0
"""How content moves: stores keep assets apart, queries store nothing, answers come back, people and predictors end it."""

from __future__ import annotations

import pytest

from bastide.threats.assess import analyse, assess
from bastide.threats.model import FindingState

RULE = """
roles:
  author: {origin: {at-most: %s}}
  agent: {kind: ai.agent}
legs: [author ~> agent]
sink: agent
finding: "{author} reaches {agent}"
breaks: {isolation: [path]}
"""
PARTS = """
data:
  docs: {written-by: third-party}
  orders: {written-by: developer}
zones: {net: {trust: none}}
components:
  outsider: {kind: ext.website, zone: net}
  loader: {kind: app.worker}
  store: {kind: data.database}
  agent: {kind: ai.agent}
  person: {kind: actor.operator}
"""


@pytest.fixture
def reached(make_threat, make_catalog, make_plan):
    """Whether content of outsiders reaches the agent, given the flows, and over which path."""
    catalog = make_catalog(make_threat(RULE % "third-party"))

    def run(flows: str, parts: str = PARTS):
        found = [
            f for f in analyse(make_plan(parts + "flows:\n" + flows), catalog).findings if f.state is FindingState.OPEN
        ]
        return found[0].path if found else None

    return run


def test_what_is_written_as_one_asset_is_not_read_as_another(reached) -> None:
    """A store passes on an asset only where that asset flows."""
    writes = "  - outsider -> store: {data: docs}\n"
    assert reached(writes + "  - store -> agent: {data: orders}\n") is None
    assert reached(writes + "  - store -> agent: {data: docs}\n") == (
        "outsider",
        "outsider->store",
        "store",
        "store->agent",
        "agent",
    )
    assert reached(writes + "  - store -> agent\n")


def test_unlabelled_content_may_be_any_asset(reached) -> None:
    """Where the plan doesn't say what flows, nothing is ruled out."""
    assert reached("  - outsider -> store\n  - store -> agent: {data: orders}\n")


def test_a_query_stores_nothing(reached) -> None:
    """Asking a store leaves no content in it, writing does."""
    assert reached("  - outsider -> store: {verb: query}\n  - store -> agent\n") is None
    assert reached("  - outsider -> store: {verb: write}\n  - store -> agent\n")


def test_the_answer_to_a_call_comes_back(reached) -> None:
    """Unless the plan says that nothing does."""
    assert reached("  - agent -> outsider: {verb: invoke}\n") == ("outsider", "agent->outsider", "agent")
    assert reached("  - agent -> outsider: {verb: invoke, returns: false}\n") is None
    assert reached("  - agent -> outsider\n") is None


def test_retrieval_may_be_drawn_either_way(reached) -> None:
    """`agent -> store: {verb: retrieve}` means what `store -> agent` means."""
    parts = PARTS.replace("{kind: data.database}", "{kind: data.database, holds: docs}")
    assert reached("  - agent -> store: {verb: retrieve}\n", parts) == ("store", "agent->store", "agent")
    assert reached("  - store -> agent: {verb: retrieve}\n", parts)


def test_the_answer_of_a_store_may_be_anything_it_holds(reached) -> None:
    """A label on a query that names only what was asked doesn't hide what comes back."""
    parts = PARTS.replace("{kind: data.database}", "{kind: data.database, holds: docs}")
    assert reached("  - agent -> store: {verb: query, data: orders}\n", parts)


def test_people_do_not_pass_content_on(reached) -> None:
    """Content ends at an actor."""
    assert reached("  - outsider -> person\n  - person -> agent\n") is None


def test_a_flow_can_name_who_wrote_what_it_carries(reached) -> None:
    """`trust` on a flow beats what is known of its sender."""
    path = reached("  - loader -> agent: {trust: public}\n")
    assert path == ("loader", "loader->agent", "agent")


def test_labels_are_the_least_trusted_author_and_the_highest_class(make_catalog, make_plan) -> None:
    """Integrity flows with content, confidentiality with labelled data and out of anything that mixes context."""
    plan = make_plan(
        PARTS.replace("{written-by: developer}", "{written-by: developer, class: restricted}")
        + "flows:\n  - outsider -> loader\n  - loader -> agent\n  - store -> agent: {data: orders}\n  - agent -> person\n"
    )
    labels = assess(plan, make_catalog(), harden=None).labels
    assert {id: (label.integrity, label.confidentiality) for id, label in labels.items()} == {
        "outsider": ("public", ""),
        "loader": ("public", ""),
        "store": ("system", "restricted"),
        "agent": ("public", "restricted"),
        "person": ("public", "restricted"),
    }
