# SPDX-License-Identifier: Apache-2.0
"""Faults of providers: what the client sees, what the log says, and that the guard goes on. The table of all is docs/guard/faults.md."""

from __future__ import annotations

import gzip
import json
import time
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from bastide.guard.build import make_engine
from bastide.guard.engine import Engine
from bastide.guard.settings_file import parse_settings
from bastide.plan.load import parse_plan
from tests.guard.gateway.fake import STREAM_HEAD, FakeProvider, Step, answer, chunk, event
from tests.guard.gateway.running import PLAN, VOCABULARY, Guard, running, settings_text
from tests.guard.gateway.talk import ask, at_rest, delta, question, wait_for
from tests.guard.gateway.test_models import completion

ONE_AT_A_TIME = "content: {classifier: 'off'}\nbudgets: [{per: all, window: 1h, tokens: 1900}]"
"""A budget of which a request that waits takes more than half: the next one is refused unless it was given back."""
OK: list[Step] = [answer(completion())]
KEY_OF_THE_GUARD = "sk-live-51HxSecretSecretSecret"


@contextmanager
def faulty(*scripts: list[Step], more: str = ONE_AT_A_TIME) -> Iterator[Guard]:
    """A guard in front of a provider that does what the scripts say and then works. At the end the guard must work as if nothing had been."""
    with running(FakeProvider(*scripts, OK), more) as guard:
        yield guard
        asked = len(guard.provider.requests)
        assert at_rest(guard)
        assert ask(guard).status == 200, "budgets were given back, and no place is held"
        assert len(guard.provider.requests) == asked + 1


def outcome(guard: Guard) -> tuple[str, str]:
    """Outcome and error code of the one request in the log."""
    assert wait_for(lambda: guard.recorder.of("request"))
    [entry] = guard.recorder.of("request")
    return entry["outcome"], entry.get("error", {}).get("code", "")


ONCE: dict[str, Any] = {"store": True}
"""A request that the provider keeps, so that it is never made twice."""


@pytest.mark.parametrize(
    ("script", "code"),
    [
        pytest.param([3.0], "upstream_timeout", id="hangs before the first byte"),
        pytest.param([b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 90\r\n\r\n{", 3.0], "upstream_timeout",
                     id="hangs in the middle"),
        pytest.param([b"HTTP/1.1 200 OK\r\ncontent-length: 90\r\n\r\n{\"id\": ", None], "upstream_broken", id="half JSON"),
        pytest.param([answer(b'{"id": "x", "choices": [')], "upstream_failed", id="whole length, half JSON"),
        pytest.param([answer(b"<html>busy</html>", headers="content-type: text/html\r\n")], "upstream_failed", id="a page"),
        pytest.param([answer(b'{"id": "\xff\xfe"}')], "upstream_failed", id="no UTF-8"),
        pytest.param([answer(b"[" * 5000 + b"]" * 5000)], "upstream_failed", id="deep JSON"),
        pytest.param([answer(b"")], "upstream_failed", id="nothing"),
        pytest.param([answer(b"null")], "upstream_failed", id="null"),
        pytest.param([b"\x00\x01\x02 garbage\r\n\r\n"], "upstream_broken", id="no HTTP"),
        pytest.param([b"HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n{}"], "upstream_broken", id="negative length"),
        pytest.param([b"HTTP/1.1 200 OK\r\nx: " + b"a" * 100_000 + b"\r\n\r\n{}"], "upstream_broken", id="huge header"),
        pytest.param([None], "upstream_broken", id="breaks the connection"),
        pytest.param([answer({}, 307, "location: http://127.0.0.1:9/\r\n")], "upstream_redirect", id="redirect"),
        pytest.param([answer({"error": "no"}, 500)], "upstream_refused", id="500"),
    ],
)  # fmt: skip
def test_a_broken_answer_is_a_502_and_logged_as_failed(script: list[Step], code: str) -> None:
    """Whatever a provider does wrong, the client gets one error of its protocol, in time, and nothing half."""
    with faulty(script) as guard:
        began = time.monotonic()
        got = ask(guard, question(**ONCE))
        assert (got.status, got.code) == (502, code)
        assert time.monotonic() - began < 3
        assert outcome(guard) == ("failed", code)
        assert len(guard.provider.requests) == 1, "it was not repeated"


def test_a_trickle_is_ended_by_the_total_time() -> None:
    """A provider that sends a byte now and then never falls silent; the total time ends it."""
    trickle: list[Step] = [b"HTTP/1.1 200 OK\r\ncontent-length: 90\r\n\r\n", *[b" ", 0.1] * 60]
    provider = FakeProvider(trickle, OK)
    with running(provider, build=lambda: engine_of(provider, "total-timeout: 1s")) as guard:
        began = time.monotonic()
        got = ask(guard, question(**ONCE))
        assert (got.status, got.code) == (502, "upstream_timeout")
        assert time.monotonic() - began < 3
        assert at_rest(guard)


def test_a_bomb_of_compressed_zeros_is_stopped_at_the_bound() -> None:
    """The bound on answers counts what is unpacked; the rest isn't unpacked."""
    bomb = gzip.compress(bytes(300_000_000), 9)
    script: list[Step] = [answer(bomb, headers="content-encoding: gzip\r\n")]
    bound = "content: {classifier: 'off'}\nbounds: {reply: 1000000}"
    with faulty(script, more=bound) as guard:
        tracemalloc.start()
        try:
            got = ask(guard, question(**ONCE))
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert (got.status, got.code) == (502, "upstream_too_large")
        assert peak < 30_000_000


@pytest.mark.parametrize(
    ("end", "code"),
    [
        pytest.param([None], "upstream_broken", id="breaks off"),
        pytest.param([3.0], "upstream_timeout", id="falls silent"),
        pytest.param([chunk(b"")], "upstream_incomplete", id="ends without its end"),
        pytest.param([chunk(b'data: {"id": "x", "choi'), chunk(b"")], "upstream_incomplete", id="half an event"),
        pytest.param([event("{nonsense"), chunk(b"")], "upstream_failed", id="an event that is no JSON"),
        pytest.param([chunk(b"data: \xff\xfe\n\n"), chunk(b"")], "upstream_failed", id="an event that is no UTF-8"),
        pytest.param([event({"error": {"message": "key sk-1234 is bad", "code": "bad"}}), chunk(b"")], "upstream_failed",
                     id="reports an error"),
    ],
)  # fmt: skip
def test_a_stream_that_breaks_ends_with_an_error(end: list[Step], code: str) -> None:
    """The client can tell half an answer from a whole one; the log says failed; the request isn't made again."""
    with faulty([STREAM_HEAD, delta({"role": "assistant"}), 0.1, delta({"content": "Hal"}), *end]) as guard:
        got = ask(guard, question(stream=True))
        assert got.status == 200
        last = got.body.split(b"\n\n")[-2]
        told = json.loads(last.removeprefix(b"data: "))["error"]["code"]
        assert told == ("upstream_failed" if code == "upstream_failed" else "upstream_incomplete")
        assert b"[DONE]" not in got.body
        assert b"sk-1234" not in got.body
        assert outcome(guard) == ("failed", code)
        assert len(guard.provider.requests) == 1


def test_a_stream_that_ends_before_anything_went_on_is_a_plain_error() -> None:
    """What was held back and never went on is no half answer: the client gets an error with its status."""
    with faulty([STREAM_HEAD, delta({"content": "Hal"}), event("{nonsense"), chunk(b"")]) as guard:
        got = ask(guard, question(stream=True))
        assert (got.status, got.code) == (502, "upstream_failed")
        assert outcome(guard) == ("failed", "upstream_failed")
    bad = "<script>fetch('//evil.example')</script> " * 40
    with faulty([STREAM_HEAD, delta({"content": bad}), delta({}, "stop"), event("[DONE]"), chunk(b"")]) as guard:
        got = ask(guard, question(stream=True))
        assert (got.status, got.code) == (403, "content_blocked")


def test_a_stream_that_is_asked_for_but_does_not_come_is_an_error() -> None:
    """A whole document where a stream was asked for isn't passed on unread."""
    with faulty([answer(completion("a secret the guard did not read"))]) as guard:
        got = ask(guard, question(stream=True))
        assert b"a secret" not in got.body
        assert outcome(guard)[0] == "failed"


@contextmanager
def keyed(monkeypatch: pytest.MonkeyPatch, *scripts: list[Step]) -> Iterator[Guard]:
    """A guard with a credential for its provider."""
    monkeypatch.setenv("BASTIDE_TEST_PROVIDER_KEY", KEY_OF_THE_GUARD)
    provider = FakeProvider(*scripts)
    with running(provider, build=lambda: engine_of(provider, "key: {env: BASTIDE_TEST_PROVIDER_KEY}")) as guard:
        yield guard


@pytest.mark.parametrize("status", [401, 403])
def test_a_refused_credential_is_not_the_callers_business(monkeypatch: pytest.MonkeyPatch, status: int) -> None:
    """A provider repeats the key it refuses; neither client nor log gets it."""
    told = {"error": {"message": f"Incorrect API key provided: {KEY_OF_THE_GUARD}"}}
    with keyed(monkeypatch, [answer(told, status)]) as guard:
        got = ask(guard)
        assert (got.status, got.code) == (502, "upstream_credential")
        assert outcome(guard) == ("failed", "upstream_credential")
        assert guard.provider.requests[0][1]["authorization"] == f"Bearer {KEY_OF_THE_GUARD}"
        assert KEY_OF_THE_GUARD not in str(got) + str(guard.recorder.entries)


@pytest.mark.parametrize("status", [400, 404, 422, 500])
def test_a_provider_cannot_make_the_guard_tell_its_key(monkeypatch: pytest.MonkeyPatch, status: int) -> None:
    """The sentence of a provider's error goes on, without what is the guard's own secret in it."""
    told = {"error": {"message": f"the request with Bearer {KEY_OF_THE_GUARD} is bad"}}
    with keyed(monkeypatch, [answer(told, status)]) as guard:
        got = ask(guard, question(**ONCE))
        assert KEY_OF_THE_GUARD not in str(got) + str(guard.recorder.entries)
        assert outcome(guard) == ("failed", "upstream_refused")


def test_the_providers_rate_limit_is_a_429_with_its_waiting_time() -> None:
    """The client's own retry understands it; the log says that it was the provider's failure, not a block."""
    with faulty([answer({}, 429, "retry-after: 7\r\n")], [answer({}, 429, "retry-after: 7\r\n")]) as guard:
        got = ask(guard)
        assert (got.status, got.code, got.headers["retry-after"]) == (429, "upstream_rate_limited", "7")
        assert outcome(guard) == ("failed", "upstream_rate_limited")


def test_failover_only_where_the_data_may_go() -> None:
    """The plan lets articles and prompts go to the second model, and not what users say: that request fails instead."""
    first, second = FakeProvider([answer({}, 503)]), FakeProvider(OK)
    with running(first, also=[second], build=lambda: two_models(first, second)) as guard:
        got = ask(guard)
        assert (got.status, len(second.requests)) == (502, 0)
        prompt = {"model": "gpt", "messages": [{"role": "system", "content": "Write a haiku about spring."}]}
        got = ask(guard, prompt)
        assert (got.status, len(second.requests)) == (200, 1)
        assert second.documents[0]["model"] == "small-1"
        refused, served = guard.recorder.of("request")
        assert (refused["outcome"], served["outcome"], served["component"]) == ("failed", "allowed", "llm-small")
        assert at_rest(guard)


def test_no_second_call_after_bytes_went_on() -> None:
    """A stream that broke is not begun anew elsewhere, though the data may go there."""
    first, second = FakeProvider([STREAM_HEAD, delta({"role": "assistant"}), 0.1, None]), FakeProvider(OK)
    with running(first, also=[second], build=lambda: two_models(first, second)) as guard:
        prompt = {"model": "gpt", "stream": True, "messages": [{"role": "system", "content": "Write a haiku."}]}
        assert b"upstream_incomplete" in ask(guard, prompt).body
        assert (len(first.requests), len(second.requests)) == (1, 0)


def engine_of(provider: FakeProvider, more: str) -> Engine:
    """The engine with more settings of the provider."""
    text = settings_text(provider.url).replace("idle-timeout: 1s,", f"idle-timeout: 1s, {more},", 1)
    return make_engine(parse_plan(PLAN, VOCABULARY), parse_settings(text))


def two_models(first: FakeProvider, second: FakeProvider) -> Engine:
    """The engine with a model that may stand in."""
    other = f"""    failover: [llm-small]
  llm-small: {{names: [small], upstream-name: small-1, providers: [{{url: "{second.url}/v1"}}]}}
  embedder:"""
    text = settings_text(first.url).replace("  embedder:", other)
    return make_engine(parse_plan(PLAN, VOCABULARY), parse_settings(text))
