# SPDX-License-Identifier: Apache-2.0
"""What the log says and what is charged when an answer is there, above all when another model answers than the one that was asked for."""

from __future__ import annotations

from typing import Any

import pytest

from bastide.guard.build import make_engine
from bastide.guard.engine import Engine
from bastide.guard.limits.signals import Signal
from bastide.guard.settings_file import parse_settings
from bastide.plan.load import parse_plan
from tests.guard.gateway.fake import STREAM_HEAD, FakeProvider, Step, answer, chunk, event
from tests.guard.gateway.running import PLAN, VOCABULARY, running, settings_text
from tests.guard.gateway.talk import ask, at_rest, delta, wait_for
from tests.guard.gateway.test_models import completion

PROMPT: dict[str, Any] = {"model": "gpt", "messages": [{"role": "system", "content": "Write a haiku about spring."}]}
DOWN: list[Step] = [answer({}, 503)]
OK: list[Step] = [answer(completion())]


def two_models(first: FakeProvider, second: FakeProvider, more: str = "", plan: str = PLAN) -> Engine:
    """A cheap model, and a dear one that stands in for it."""
    other = f"""    failover: [llm-small]
    input-price: 1
    output-price: 10
  llm-small: {{names: [small], input-price: 100, output-price: 1000, providers: [{{url: "{second.url}/v1"}}]}}
  embedder:"""
    text = settings_text(first.url, f"content: {{classifier: 'off', personal: redact}}\n{more}").replace(
        "  embedder:", other
    )
    return make_engine(parse_plan(plan, VOCABULARY), parse_settings(text))


def test_the_model_that_answered_is_logged_and_charged() -> None:
    """Its ruling, its component and its prices; 5 tokens in and 2 out cost what they cost there."""
    first, second = FakeProvider(OK, DOWN), FakeProvider(OK)
    with running(first, also=[second], build=lambda: two_models(first, second)) as guard:
        assert ask(guard, PROMPT).status == 200
        assert ask(guard, PROMPT).status == 200
        own, stand_in = guard.recorder.of("request")
        assert (own["component"], own["cost"]) == ("llm", pytest.approx(25e-6))
        assert (stand_in["component"], stand_in["cost"]) == ("llm-small", pytest.approx(2500e-6))
        assert own["ruling"]["flow"] != stand_in["ruling"]["flow"]
        assert "llm-small" in stand_in["ruling"]["flow"]


def test_the_budget_is_charged_at_the_prices_of_the_model_that_answered() -> None:
    """The second request finds the budget used up by what the first one cost at the dear model."""
    first, second = FakeProvider(DOWN), FakeProvider(OK)
    budget = "budgets: [{per: all, window: 1h, cost: 0.0035}]"
    prompt = {**PROMPT, "max_tokens": 1}
    with running(first, also=[second], build=lambda: two_models(first, second, budget)) as guard:
        assert [ask(guard, prompt).status for _ in range(2)] == [200, 429]
        assert at_rest(guard)


def test_what_the_dearest_model_may_cost_is_reserved() -> None:
    """A budget that the cheap model would fit in, and the one that may stand in for it would not, refuses before anything is sent."""
    first, second = FakeProvider(OK), FakeProvider(OK)
    budget = "budgets: [{per: all, window: 1h, cost: 0.5}]"
    with running(first, also=[second], build=lambda: two_models(first, second, budget)) as guard:
        got = ask(guard, {**PROMPT, "max_tokens": 1000})
        assert (got.status, len(first.requests), len(second.requests)) == (429, 0, 0)
        assert ask(guard, {**PROMPT, "max_tokens": 100}).status == 200


def test_what_may_leave_the_system_by_failover_is_redacted_for_it() -> None:
    """Personal data that may stay with a model inside are taken out when one outside may answer in its place."""
    inside = PLAN.replace(
        "llm:       {kind: ai.model.endpoint, zone: provider", "llm:       {kind: ai.model.endpoint, zone: app"
    )
    prompt = {"model": "gpt", "messages": [{"role": "system", "content": "Sign with jane.doe@example.org, please."}]}
    first, second = FakeProvider(DOWN), FakeProvider(OK)
    with running(first, also=[second], build=lambda: two_models(first, second, plan=inside)) as guard:
        assert ask(guard, prompt).status == 200
        assert b"jane.doe" not in first.requests[0][2]
        assert b"jane.doe" not in second.requests[0][2]


def test_what_a_stream_without_numbers_costs_is_in_the_log() -> None:
    """It is reckoned from what came before the entry is written, not after."""
    script = [STREAM_HEAD, delta({"content": "word " * 70}), delta({}, "stop"), event("[DONE]"), chunk(b"")]
    first, second = FakeProvider(script), FakeProvider(OK)
    with running(first, also=[second], build=lambda: two_models(first, second)) as guard:
        assert ask(guard, {**PROMPT, "stream": True}).status == 200
        [entry] = guard.recorder.of("request")
        assert entry["usage"]["output"] == 101
        assert entry["cost"] == pytest.approx((entry["usage"]["input"] * 1 + 101 * 10) / 1e6)


@pytest.mark.parametrize("stream", [False, True])
def test_a_signal_that_the_answer_gives_is_in_the_log(stream: bool) -> None:
    """It is known when the answer has ended, after its entry was written."""
    events = [STREAM_HEAD, delta({"content": "Hi"}), delta({}, "stop"), event("[DONE]"), chunk(b"")]
    first, second = FakeProvider(events if stream else OK), FakeProvider(OK)
    with running(first, also=[second], build=lambda: two_models(first, second)) as guard:
        guard.runtime.signals.answered = lambda *_: Signal("extraction/volume", "ann", "much")  # type: ignore[method-assign]
        assert ask(guard, {**PROMPT, "stream": stream}).status == 200
        assert wait_for(lambda: guard.recorder.of("signal"))
        assert [e["signal"] for e in guard.recorder.of("signal")] == ["extraction/volume"]
        assert len(guard.recorder.of("request")) == 1
