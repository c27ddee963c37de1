# SPDX-License-Identifier: Apache-2.0
"""Faults of the guard's own surroundings: log, counters, clocks, files of the policy, too many requests. The table is docs/guard/faults.md."""

from __future__ import annotations

import json
import shutil
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bastide.errors import LedgerError
from bastide.guard.build import make_engine
from bastide.guard.conversations import IDLE, PROPOSAL_LIFE, Conversations
from bastide.guard.engine import Engine
from bastide.guard.events import ToolCall
from bastide.guard.limits.local import LocalLimits
from bastide.guard.model import Caller, Effect, Ruling
from bastide.guard.settings import Budget
from bastide.guard.settings_file import parse_settings
from bastide.plan.load import parse_plan
from tests.guard.gateway.fake import STREAM_HEAD, Clock, FakeProvider, Step, answer, chunk, event
from tests.guard.gateway.running import BOSS, PLAN, VOCABULARY, Guard, engine, running, settings_text
from tests.guard.gateway.talk import Got, ask, at_rest, delta, question, wait_for
from tests.guard.gateway.test_models import completion
from tests.guard.limits.conftest import free_port, start_redis

OK: list[Step] = [answer(completion())]
ORDER = {"order_id": "1001"}
CALL = {"index": 0, "id": "c1", "type": "function", "function": {"name": "get_order", "arguments": json.dumps(ORDER)}}
ASKS = [{"role": "user", "content": "Where is my order 1001?"}]
FULL = LedgerError("no space left on the device")


class Later(threading.Thread):
    """A request that waits for its answer in a thread."""

    def __init__(self, call: Callable[[], Got]) -> None:
        super().__init__(daemon=True)
        self._call = call
        self.start()

    def run(self) -> None:
        """Makes it."""
        self._got = self._call()

    def got(self) -> Got:
        """The answer, when it is there."""
        self.join(20)
        return self._got


@pytest.mark.parametrize("stream", [False, True])
def test_without_a_log_nothing_goes_out(stream: bool) -> None:
    """A full disk: no byte of an answer, no call, no decision leaves the guard; when there is room again it goes on."""
    streamed: list[Step] = [STREAM_HEAD, delta({"content": "Hello."}), delta({}, "stop"), event("[DONE]"), chunk(b"")]
    with running(FakeProvider(streamed if stream else OK, streamed if stream else OK, OK)) as guard:
        guard.recorder.broken = FULL
        got = ask(guard, question(stream=stream))
        assert (got.status, got.code) == (503, "log_unavailable")
        assert b"Hello" not in got.body
        assert ask(guard, b"{}").status == 503, "nor is a refusal given that nobody wrote down"
        guard.recorder.broken = None
        assert ask(guard, question(stream=stream)).status == 200
        assert at_rest(guard)


def test_a_stream_is_in_the_log_before_its_first_byte_goes_on() -> None:
    """A guard that is killed in the middle of a stream leaves an entry of what it had begun to pass on."""
    script: list[Step] = [
        STREAM_HEAD,
        delta({"content": "word " * 300}),
        0.5,
        delta({}, "stop"),
        event("[DONE]"),
        chunk(b""),
    ]
    with running(FakeProvider(script)) as guard:
        later = Later(lambda: ask(guard, question(stream=True)))
        assert wait_for(lambda: guard.recorder.of("answering"))
        assert guard.recorder.of("request") == []
        later.got()
        [begun] = guard.recorder.of("answering")
        [ended] = guard.recorder.of("request")
        assert (begun["request"], begun["component"], ended["outcome"]) == (ended["request"], "llm", "allowed")


def test_a_call_that_cannot_be_logged_is_not_released() -> None:
    """The disk gets full in the middle of a stream: text that was logged has gone on, the call has not."""
    script: list[Step] = [
        STREAM_HEAD, delta({"content": "word " * 300}), 0.5, delta({"tool_calls": [CALL]}), delta({}, "tool_calls"), event("[DONE]"),
        chunk(b""),
    ]  # fmt: skip
    with running(FakeProvider(script, OK)) as guard:
        later = Later(lambda: ask(guard, {"model": "gpt", "messages": ASKS, "stream": True}))
        assert wait_for(lambda: guard.recorder.of("answering"))
        guard.recorder.broken = FULL
        body = later.got().body
        assert b"word" in body
        assert b"get_order" not in body
        assert b"[DONE]" not in body
        guard.recorder.broken = None
        assert guard.recorder.of("decision") == []
        assert at_rest(guard)
        assert ask(guard).status == 200


def test_calls_are_in_the_log_when_they_are_released() -> None:
    """The entry of a decision comes before that of its request."""
    wish = completion(None, [("get_order", ORDER)])
    with running(FakeProvider([answer(wish)])) as guard:
        got = json.loads(ask(guard, {"model": "gpt", "messages": ASKS}).body)
        assert got["choices"][0]["message"]["tool_calls"]
        assert [e["kind"] for e in guard.recorder.entries if e["kind"] != "start"] == ["decision", "request"]


def test_without_redis_nothing_is_spent(tmp_path: Path) -> None:
    """Budgets that can't be read refuse; an answer on its way arrives; when the Redis is back the guard goes on by itself."""
    if not shutil.which("redis-server"):
        pytest.skip("no redis-server on this machine")
    from bastide.guard.limits.shared import SharedLimits

    port = free_port()
    process = start_redis(tmp_path, port)
    try:
        limits = SharedLimits((Budget("all", 3600.0, tokens=100_000),), f"redis://127.0.0.1:{port}/0")
        with running(FakeProvider(OK, [0.6, *OK], OK), limits=limits) as guard:
            assert ask(guard).status == 200
            later = Later(lambda: ask(guard))
            assert wait_for(lambda: len(guard.provider.requests) == 2)
            process.kill()
            process.wait()
            assert later.got().status == 200
            got = ask(guard)
            assert (got.status, got.code) == (503, "limits_unavailable")
            assert len(guard.provider.requests) == 2
            assert [e["outcome"] for e in guard.recorder.of("request")] == ["allowed", "allowed", "failed"]
            process = start_redis(tmp_path, port)
            assert wait_for(lambda: ask(guard).status == 200)
            assert at_rest(guard)
            guard.inside(lambda: guard.loop.create_task(limits.close()))
    finally:
        process.kill()
        process.wait()


class Files:
    """Plan and settings that a test changes under a running guard."""

    def __init__(self, provider: FakeProvider, folder: Path) -> None:
        self._provider = provider
        self._folder = folder
        self.plan = PLAN
        self.more = "content: {classifier: 'off'}\npolicies: [own.cedar]"
        self.keys = ""
        self.cedar = ""

    def engine(self) -> Engine:
        """Compiles them."""
        (self._folder / "own.cedar").write_text(self.cedar)
        text = settings_text(self._provider.url, self.more).replace("user: ann", f"user: ann{self.keys}")
        return make_engine(parse_plan(self.plan, VOCABULARY), parse_settings(text, folder=self._folder))


def reload(guard: Guard) -> Got:
    """Asks the guard to read its files again."""
    return ask(guard, {}, "/guard/api/reload", BOSS)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        pytest.param("plan", PLAN.replace("kind: ai.agent,", "kind: ai.agnet,"), id="plan with a wrong word"),
        pytest.param("plan", "bastide: 1\n  x: [", id="plan that is no YAML"),
        pytest.param("plan", "", id="empty plan"),
        pytest.param("more", "contents: {classifier: 'off'}", id="settings with a wrong word"),
        pytest.param("more", "content: {classifier: maybe}", id="settings with a wrong value"),
        pytest.param("keys", ", expires: tomorrow", id="settings with a date that is none"),
        pytest.param("cedar", "permit (principal", id="own policy that is no Cedar"),
        pytest.param(
            "cedar", 'permit (principal == Nothing::"x", action, resource);', id="own policy with an unknown type"
        ),
    ],
)
def test_an_error_at_reload_leaves_the_old_policy_in_force(tmp_path: Path, field: str, value: str) -> None:
    """What is wrong is told to the operator; requests go on under the old version; the next good reload works."""
    provider = FakeProvider(OK)
    files = Files(provider, tmp_path)
    with running(provider, build=files.engine) as guard:
        before, good = guard.runtime.engine, getattr(files, field)
        setattr(files, field, value)
        got = reload(guard)
        assert (got.status, got.code) == (400, "policy_error")
        assert b"the old policy stays in force" in got.body
        assert guard.runtime.engine is before
        assert guard.recorder.of("reload") == []
        assert ask(guard).status == 200
        setattr(files, field, good)
        assert reload(guard).status == 200
        assert len(guard.recorder.of("reload")) == 1
        assert ask(guard).status == 200


def test_requests_in_flight_finish_under_the_version_they_began_with(tmp_path: Path) -> None:
    """A reload takes nothing away from who has begun; who comes later is judged by the new version."""
    provider = FakeProvider([0.6, *OK], OK)
    files = Files(provider, tmp_path)
    with running(provider, build=files.engine) as guard:
        before = guard.runtime.engine.version
        later = Later(lambda: ask(guard))
        assert wait_for(lambda: provider.requests)
        files.plan = PLAN.replace(
            "guard <-> llm: {data: [question, articles, orders, mail, prompts, answer]",
            "guard <-> llm: {data: [prompts]",
        )
        assert reload(guard).status == 200
        assert later.got().status == 200
        assert ask(guard).status == 403
        first, second = guard.recorder.of("request")
        assert (first["version"], first["outcome"]) == (before, "allowed")
        assert (second["version"], second["outcome"]) == (guard.runtime.engine.version, "blocked")


def test_a_key_that_was_taken_out_is_refused_after_the_reload(tmp_path: Path) -> None:
    """Revoking a key is a reload, and no restart."""
    provider = FakeProvider(OK)
    files = Files(provider, tmp_path)
    with running(provider, build=files.engine) as guard:
        assert ask(guard).status == 200
        files.keys = ", expires: 2001-01-01"
        assert reload(guard).status == 200
        assert ask(guard).status == 401


def test_a_reload_that_cannot_be_logged_does_not_happen(tmp_path: Path) -> None:
    """The log always knows under which policy the guard decides."""
    provider = FakeProvider(OK)
    files = Files(provider, tmp_path)
    with running(provider, build=files.engine) as guard:
        before = guard.runtime.engine
        guard.recorder.broken = FULL
        assert reload(guard).status == 503
        assert guard.runtime.engine is before


def test_over_the_bound_requests_are_refused_at_once() -> None:
    """No queue: who comes too many is told so at once, and the places come back."""
    more = "content: {classifier: 'off'}\nbounds: {in-flight: 2}"
    with running(FakeProvider([0.8, *OK], [0.8, *OK], OK), more) as guard:
        waiting = [Later(lambda: ask(guard)) for _ in range(2)]
        assert wait_for(lambda: len(guard.provider.requests) == 2)
        began = time.monotonic()
        got = ask(guard)
        assert (got.status, got.code, got.headers["retry-after"]) == (503, "overloaded", "1")
        assert time.monotonic() - began < 0.5
        assert ask(guard, path="/readyz", method="GET").status == 200
        assert [one.got().status for one in waiting] == [200, 200]
        assert at_rest(guard)
        assert ask(guard).status == 200


def test_a_guard_that_drains_takes_nothing_new_and_ends_what_it_has() -> None:
    """The load balancer sees it at once; requests in flight get their answers."""
    with running(FakeProvider([0.6, *OK], OK)) as guard:
        later = Later(lambda: ask(guard))
        assert wait_for(lambda: guard.provider.requests)
        guard.runtime.draining = True
        got = ask(guard)
        assert (got.status, got.code) == (503, "draining")
        ready = ask(guard, path="/readyz", method="GET")
        assert (ready.status, json.loads(ready.body)["status"]) == (503, "draining")
        assert later.got().status == 200
        assert guard.recorder.of("request")[0]["outcome"] == "allowed"


def test_wall_clock_jumps_only_move_the_expiry_of_keys() -> None:
    """A key is good between its dates by the wall clock, whichever way it jumps; nothing else looks at that clock."""
    clock = Clock()
    clock.now = 1_800_000_000.0
    provider = FakeProvider(OK)
    text = settings_text(provider.url).replace("user: ann", "user: ann, not-before: 2027-01-01, expires: 2027-06-30")

    def build() -> Engine:
        settings = parse_settings(text.replace('url: "/v1"', f'url: "{provider.url}/v1"'))
        return make_engine(parse_plan(PLAN, VOCABULARY), settings)

    with running(provider, build=build, clock=clock) as guard:
        statuses = []
        for jump in (0.0, 300 * 86_400.0, -300 * 86_400.0, -300 * 86_400.0, 300 * 86_400.0):
            clock.now += jump
            statuses.append(ask(guard).status)
        assert statuses == [200, 401, 200, 401, 200]


def test_idle_conversations_and_proposals_end_by_a_clock_that_never_goes_back() -> None:
    """A pause as long as a suspended machine's: what was said is forgotten, so it is read anew; nothing counts for longer."""
    clock, made = Clock(), engine("http://127.0.0.1:9")
    caller = Caller("assistant", "ann")
    conversations = Conversations(clock)
    first = conversations.named(made, caller, "x")
    clock.now += IDLE - 1
    assert conversations.named(made, caller, "x") is first
    clock.now += IDLE + 1
    assert conversations.named(made, caller, "x") is not first
    call, ruling = ToolCall("c", "get_order", {"order_id": "1"}), Ruling(Effect.ALLOW, "", version="v")
    conversations.proposed(caller, call, ruling)
    clock.now += PROPOSAL_LIFE + 1
    assert conversations.redeem(caller, call, "v") is None


def test_a_jump_forward_frees_budgets_and_never_breaks_them() -> None:
    """Windows end with their time; the clock of budgets is monotonic, and even one that went back only keeps them longer."""
    import asyncio

    clock = Clock()
    limits = LocalLimits((Budget("all", 60.0, tokens=100),), clock)
    caller = Caller("assistant", "ann")

    async def fits() -> bool:
        from bastide.errors import OverLimit

        try:
            await limits.reserve(caller, 60, 0.0)
        except OverLimit:
            return False
        return True

    def at(jump: float) -> Any:
        clock.now += jump
        return asyncio.run(fits())

    assert at(0) is True
    assert at(-50) is False
    assert at(50) is False
    assert at(1e9) is True
