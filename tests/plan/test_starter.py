# SPDX-License-Identifier: Apache-2.0
"""Every starter plan loads, is short, and states nothing that the answers don't say."""

from __future__ import annotations

import itertools

import pytest

from bastide.errors import UsageError
from bastide.plan.load import parse_plan
from bastide.plan.starter import CHOICES, Answers, starter
from bastide.plan.vocabulary import Vocabulary

COMBINATIONS = [dict(zip(CHOICES, values, strict=True)) for values in itertools.product(*CHOICES.values())]


def test_every_combination_loads(vocabulary: Vocabulary) -> None:
    assert len(COMBINATIONS) == 4 * 5 * 3 * 4 * 2 * 3
    for answers in COMBINATIONS:
        text = starter(Answers("shop-helper", "Helps.", **answers))
        plan = parse_plan(text, vocabulary)
        assert (plan.id, plan.exposure) == ("shop-helper", answers["exposure"])
        assert len(text.splitlines()) <= 80, answers
        assert max(map(len, text.splitlines())) <= 120, answers


def test_parts_follow_the_answers(vocabulary: Vocabulary) -> None:
    for answers in COMBINATIONS:
        plan = parse_plan(starter(Answers("s", **answers)), vocabulary)
        kinds = {c.kind for c in plan.components.values()}
        if answers["what"] != "training":
            agent = answers["what"] == "agent" or answers["tools"] != "none"
            assert ("ai.agent" in kinds, "ai.chain" in kinds) == (agent, not agent)
            assert ("ai.model.server" in kinds) == (answers["hosting"] == "self-hosted")
            assert ("data.vector-store" in kinds) == (answers["what"] == "rag")
            assert ("ai.tool" in kinds) == (answers["tools"] != "none")
        else:
            assert {"ml.training", "ml.registry", "data.dataset", "ai.model.server"} <= kinds
        clouds = {c.platform.split(".")[0] for c in plan.components.values() if c.platform}
        assert clouds <= {{"kubernetes": "k8s"}.get(answers["cloud"], answers["cloud"])}
        assert answers["cloud"] == "none" or clouds


def test_every_part_is_used(vocabulary: Vocabulary) -> None:
    """No component without a flow, no zone, data asset or identity that nothing refers to."""
    for answers in COMBINATIONS:
        plan = parse_plan(starter(Answers("s", **answers)), vocabulary)
        ends = {end for f in plan.flows.values() for end in (f.source, f.target)}
        assert ends == set(plan.components), answers
        assert {c.zone for c in plan.components.values()} == set(plan.zones), answers
        assert {d for f in plan.flows.values() for d in f.data} == set(plan.data), answers
        assert {c.runs_as for c in plan.components.values()} - {None} == set(plan.identities)


def test_what_only_the_owner_can_say_is_unknown_and_said_so(vocabulary: Vocabulary) -> None:
    plan = parse_plan(starter(Answers("s", what="rag", tools="write")), vocabulary)
    for id, attribute in (
        ("web", "authentication"),
        ("tool", "side-effect"),
        ("documents", "written-by"),
        ("assistant->tool", "approval"),
    ):
        element = plan.element(id)
        assert element is not None
        assert element.facts[attribute].value is None


def test_comments_teach() -> None:
    text = starter(Answers("s"))
    assert sum(line.lstrip().startswith("#") for line in text.splitlines()) >= 8


@pytest.mark.parametrize(
    ("answers", "message"),
    [
        (
            Answers("My System"),
            "`My System` can't be the id of a system: it is made of lower-case letters, digits, "
            "`-`, `_` and `.`, such as `support-assistant`",
        ),
        (Answers("s", what="ragg"), "`ragg` is no what: did you mean `rag`?"),
        (
            Answers("s", data_class="secret"),
            "`secret` is no data class: known: confidential, internal, public, restricted",
        ),
    ],
)
def test_wrong_answers_are_refused(answers: Answers, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        starter(answers)
    assert str(caught.value) == message


@pytest.mark.parametrize("purpose", ["a: b # c", 'says "no"', "two\nlines: x", "- x", "{", "\x00"])
def test_any_purpose_is_kept(purpose: str, vocabulary: Vocabulary) -> None:
    assert parse_plan(starter(Answers("1", purpose)), vocabulary).purpose == " ".join(purpose.split())
