# SPDX-License-Identifier: Apache-2.0
"""Names of models on the wire: how long they may be, and who is told which there are."""

from __future__ import annotations

import json
from typing import Any

import anthropic
import openai
import pytest

from tests.guard.gateway.fake import FakeProvider, answer
from tests.guard.gateway.inside import Inside
from tests.guard.gateway.running import BOSS, KEY, engine, running
from tests.guard.gateway.test_failover import two_models

SAID = [{"role": "user", "content": "Hi"}]
BODIES: dict[str, dict[str, Any]] = {
    "/v1/chat/completions": {"messages": SAID},
    "/v1/responses": {"input": "Hi"},
    "/v1/embeddings": {"input": "Hi"},
    "/v1/messages": {"max_tokens": 5, "messages": SAID},
    "/v1/messages/count_tokens": {"messages": SAID},
}


@pytest.mark.parametrize("path", BODIES)
def test_a_name_that_is_too_long_is_refused_before_anything_keeps_it(path: str) -> None:
    """400 in the protocol's format; log, caches and conversations never see it. One of the greatest length is only nobody's: 404."""
    inside = Inside(engine("http://127.0.0.1:9"))
    got = inside.ask({**BODIES[path], "model": "m" * 257}, path=path)
    error = json.loads(got.body)["error"]
    assert (got.status, error["type"]) == (400, "invalid_request_error")
    assert error["message"] == "model must be at most 256 characters long"
    assert "mmm" not in str(inside.recorder.entries)
    [entry] = inside.entries("request")
    assert (entry["outcome"], entry["error"]["code"], entry["model"]) == ("blocked", "malformed_request", "")
    assert not inside.runtime.conversations._held
    assert inside.ask({**BODIES[path], "model": "m" * 256}, path=path).status == 404


@pytest.mark.parametrize("name", ["m" * 5000, "%ff", "a/b", "*", ""])
def test_a_model_that_is_asked_about_and_not_there_is_not_found(name: str) -> None:
    """Whatever the name; no more than its beginning is said again."""
    with running(FakeProvider([answer({})])) as guard, openai.OpenAI(base_url=f"{guard.url}/v1", api_key=KEY) as client:
        with pytest.raises((openai.NotFoundError, ValueError)) as caught:
            client.models.retrieve(name)
        assert "m" * 101 not in str(caught.value)


@pytest.mark.parametrize(("key", "names"), [(KEY, ["claude", "embed", "gpt"]), (BOSS, [])])
def test_only_the_models_that_the_caller_may_use_are_listed(key: str, names: list[str]) -> None:
    """The list is the policy's: an agent to which the plan gives no flow to a model is told of none. Both makers' clients read it."""
    with (
        running(FakeProvider([answer({})])) as guard,
        openai.OpenAI(base_url=f"{guard.url}/v1", api_key=key, max_retries=0) as one,
        anthropic.Anthropic(base_url=guard.url, api_key=key, max_retries=0) as other,
    ):
        assert sorted(m.id for m in one.models.list()) == names
        assert sorted(m.id for m in other.models.list()) == names
        for name in ("claude", "embed", "gpt"):
            if name in names:
                assert (one.models.retrieve(name).id, other.models.retrieve(name).id) == (name, name)
            else:
                with pytest.raises(openai.NotFoundError):
                    one.models.retrieve(name)
                with pytest.raises(anthropic.NotFoundError):
                    other.models.retrieve(name)


def test_a_model_that_may_not_have_what_users_say_is_not_listed() -> None:
    """The plan lets prompts go to the second model, which stands in for the first, and not what users say."""
    provider = FakeProvider([answer({})])
    with (
        running(provider, build=lambda: two_models(provider, provider)) as guard,
        openai.OpenAI(base_url=f"{guard.url}/v1", api_key=KEY, max_retries=0) as client,
    ):
        assert sorted(m.id for m in client.models.list()) == ["claude", "embed", "gpt"]


def test_who_is_nobody_is_told_of_no_models() -> None:
    """401 in the dialect of each client."""
    with (
        running(FakeProvider([answer({})])) as guard,
        openai.OpenAI(base_url=f"{guard.url}/v1", api_key="wrong", max_retries=0) as one,
        anthropic.Anthropic(base_url=guard.url, api_key="wrong", max_retries=0) as other,
    ):
        with pytest.raises(openai.AuthenticationError, match="not valid"):
            one.models.list()
        with pytest.raises(anthropic.AuthenticationError) as caught:
            other.models.list()
        assert caught.value.body["error"]["type"] == "authentication_error"  # type: ignore[index]
