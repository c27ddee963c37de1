# SPDX-License-Identifier: Apache-2.0
"""A guard on the loopback, in a thread of the test, in front of a provider that a test scripts."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any

import uvicorn

from bastide.catalog.load import load_vocabulary
from bastide.guard.approvals.store import ApprovalStore
from bastide.guard.build import make_engine
from bastide.guard.engine import Engine
from bastide.guard.gateway.runtime import Parts, Runtime
from bastide.guard.gateway.serve import configuration
from bastide.guard.identity.authenticate import HeaderAuthenticator
from bastide.guard.identity.credentials import Credentials
from bastide.guard.interface import Limits
from bastide.guard.limits.local import LocalLimits
from bastide.guard.settings_file import parse_settings
from bastide.plan.load import parse_plan
from tests.guard.gateway.fake import FakeProvider

KEY = "bst_test_0123456789"
BOSS = "bst_boss_0123456789"
VOCABULARY = load_vocabulary()
PLAN = (Path(__file__).resolve().parents[3] / "examples/support-agent/bastide.yaml").read_text()


class FakeRecorder:
    """Keeps entries in a list; fails when a test says so."""

    def __init__(self) -> None:
        self.entries: list[dict[str, Any]] = []
        self.broken: Exception | None = None

    def write(self, entries: Sequence[Mapping[str, Any]]) -> None:
        """Takes entries."""
        if self.broken:
            raise self.broken
        self.entries += [dict(e) for e in entries]

    async def record(self, entries: Sequence[Mapping[str, Any]]) -> None:
        """Takes entries."""
        self.write(entries)

    def close(self) -> None:
        """Nothing to do."""

    def of(self, kind: str) -> list[dict[str, Any]]:
        """The entries of a kind."""
        return [e for e in self.entries if e["kind"] == kind]


class FakeMetrics:
    """Counts nothing."""

    def request(self, trace: Any) -> None:
        """One more."""

    def disconnected(self) -> None:
        """One less."""

    def text(self, runtime: Any) -> bytes:
        """Nothing."""
        return b""


def settings_text(url: str, more: str = "") -> str:
    """Settings for the support agent, with the provider of a test."""
    digest, boss = sha256(KEY.encode()).hexdigest(), sha256(BOSS.encode()).hexdigest()
    return f"""bastide-guard: 1
plan: bastide.yaml
callers:
  keys:
    - {{id: a, sha256: {digest}, agent: assistant, actor: customer, user: ann, tenant: t1}}
    - {{id: boss, sha256: {boss}, agent: web, user: bo, tenant: t1, roles: [decide-approvals, operate]}}
models:
  llm:
    names: [gpt, claude]
    providers:
      - {{url: "{url}/v1", connect-timeout: 1s, idle-timeout: 1s, first-byte-timeout: 1s}}
      - {{url: "{url}/v1", protocol: anthropic, idle-timeout: 1s, first-byte-timeout: 1s}}
  embedder: {{names: embed, providers: [{{url: "{url}/v1"}}]}}
tools:
  search_articles: {{is: kb}}
  read_mail: {{is: inbox}}
  get_order: {{is: get-order, arguments: {{order_id: target}}}}
  refund: {{is: refund, arguments: {{order_id: target, amount: target, iban: target}}}}
  send_mail: {{is: send-mail, outbound: true, arguments: {{to: target, subject: content, body: content}}}}
{more or "content: {classifier: 'off'}"}
"""


def engine(url: str, more: str = "", plan: str = PLAN) -> Engine:
    """The engine of the support agent."""
    return make_engine(parse_plan(plan, VOCABULARY), parse_settings(settings_text(url, more)))


class Guard:
    """A running guard, as a test sees it."""

    def __init__(self, runtime: Runtime, recorder: FakeRecorder, provider: FakeProvider, listener: Any) -> None:
        self.runtime = runtime
        self.recorder = recorder
        self.provider = provider
        self.listener = listener
        self.port = int(listener.getsockname()[1])
        self.url = f"http://127.0.0.1:{self.port}"
        self.to_close: list[Any] = []
        self.loop = asyncio.get_running_loop()

    def buffers(self, size: int) -> None:
        """How much the system keeps of what the guard sends, of each connection from now on; else it is megabytes."""
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, size)

    def inside(self, what: Callable[[], Any]) -> Any:
        """What a function gives when it is called in the guard's own loop."""

        async def call() -> Any:
            return what()

        return asyncio.run_coroutine_threadsafe(call(), self.loop).result(20)


@contextmanager
def running(
    provider: FakeProvider,
    more: str = "",
    plan: str = PLAN,
    *,
    also: Sequence[FakeProvider] = (),
    build: Callable[[], Engine] | None = None,
    limits: Limits | None = None,
    clock: Callable[[], float] = time.time,
) -> Iterator[Guard]:
    """Provider and guard on free ports, until the block ends. `build` makes the engine, at the start and at each reload."""
    ready = threading.Event()
    found: list[Any] = []
    stop: list[Any] = []

    async def main() -> None:
        async with AsyncExitStack() as stack:
            for one in (provider, *also):
                await stack.enter_async_context(one.running())
            again = build or (lambda: engine(provider.url, more, plan))
            made = again()
            recorder = FakeRecorder()
            parts = Parts(
                HeaderAuthenticator(made.settings, clock=clock), limits or LocalLimits(made.settings.budgets), ApprovalStore(), recorder,
                FakeMetrics(), Credentials(),
            )  # fmt: skip
            runtime = Runtime(made, parts, again)
            server = uvicorn.Server(configuration(runtime, "127.0.0.1", 0))
            stop.append(server)
            task = asyncio.create_task(server.serve())
            while not server.started and not task.done():
                await asyncio.sleep(0.01)
            if server.started:
                found.append(Guard(runtime, recorder, provider, server.servers[0].sockets[0]))
            ready.set()
            await task

    thread = threading.Thread(target=asyncio.run, args=(main(),), daemon=True)
    thread.start()
    assert ready.wait(20)
    try:
        yield found[0]
    finally:
        for one in found[0].to_close:
            one.close()
        stop[0].should_exit = True
        thread.join(20)
