# SPDX-License-Identifier: Apache-2.0
"""The running guard from its beginning to its end: what it is made from, what a reload reads, what is closed."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path
from typing import Any

import pytest

from bastide.errors import LedgerError, Unavailable
from bastide.guard.build import runtime_of
from bastide.guard.gateway import serve
from bastide.guard.gateway.runtime import Runtime
from bastide.guard.gateway.trace import Trace
from tests.guard.gateway.fake import FakeProvider
from tests.guard.gateway.inside import Inside
from tests.guard.gateway.running import KEY, FakeMetrics, engine, running, settings_text
from tests.guard.gateway.talk import ask, dial, said, wait_for

EXAMPLE = Path(__file__).resolve().parents[2] / "examples/support-agent/bastide.yaml"


@pytest.fixture
def made(tmp_path: Path) -> Runtime:
    """A guard of files, with its log."""
    shutil.copy(EXAMPLE, tmp_path)
    (tmp_path / "bastide.guard.yaml").write_text(settings_text("http://127.0.0.1:9"))
    return runtime_of(tmp_path / "bastide.yaml", None)


def test_the_files_that_are_watched(tmp_path: Path) -> None:
    """Everything that the engine was made from, and settings that aren't there yet."""
    shutil.copy(EXAMPLE, tmp_path / "p.yaml")
    pack = tmp_path / "pack/controls/x"
    pack.mkdir(parents=True)
    control = next((Path(__file__).resolve().parents[2] / "src/bastide/knowledge/controls").rglob("*.yaml"))
    shutil.copy(control, pack / "own-control.yaml")
    runtime = runtime_of(tmp_path / "p.yaml", None, (tmp_path / "pack",))
    assert {tmp_path / "p.yaml", tmp_path / "p.guard.yaml", pack / "own-control.yaml"} == set(runtime.files())
    asyncio.run(runtime.stop())
    (tmp_path / "pins.json").write_text('{"bastide-pins": 1, "server": "crm", "tools": []}')
    (tmp_path / "own.cedar").write_text("")
    more = "mcp: {crm: {url: 'http://127.0.0.1:9/mcp', pins: pins.json}}\npolicies: [own.cedar]\ncontent: {classifier: 'off'}"
    issuer = "issuers: [{issuer: i, audience: a, jwks: 'file:keys.json', agents: {b: assistant}}]"
    text = settings_text("http://127.0.0.1:9", more).replace("callers:\n", f"callers:\n  {issuer}\n")
    (tmp_path / "p.guard.yaml").write_text(text.replace("plan: bastide.yaml", "plan: p.yaml"))
    runtime = runtime_of(tmp_path / "p.yaml", None)
    names = {"p.yaml", "p.guard.yaml", "pins.json", "own.cedar", "keys.json"}
    assert names == {file.name for file in runtime.files()}
    asyncio.run(runtime.stop())


def test_a_reload_reads_new_credentials(made: Runtime, tmp_path: Path) -> None:
    """A credential that new settings name and that can't be had stops the reload, not a later request."""
    key = 'url: "http://127.0.0.1:9/v1", key: {env: BASTIDE_NO_SUCH_KEY}'
    text = settings_text("http://127.0.0.1:9").replace('url: "http://127.0.0.1:9/v1"', key, 1)
    (tmp_path / "bastide.guard.yaml").write_text(text)
    before = made.engine

    async def test() -> None:
        with pytest.raises(Unavailable, match="BASTIDE_NO_SUCH_KEY"):
            await made.reload()
        assert made.engine is before
        await made.stop()

    asyncio.run(test())


def test_reloading_outlives_what_nobody_foresaw(caplog: pytest.LogCaptureFixture) -> None:
    """Whatever goes wrong in a reload is logged, and the next change is seen."""
    tries: list[str] = []

    class Broken:
        async def reload(self) -> str:
            tries.append("once more")
            raise ZeroDivisionError

    async def test() -> None:
        event = asyncio.Event()
        task = asyncio.create_task(serve._reload_on(event, Broken()))  # type: ignore[arg-type]
        for _ in range(2):
            event.set()
            await asyncio.sleep(0.01)
        assert not task.done()
        task.cancel()

    asyncio.run(test())
    assert len(tries) == 2
    assert "ZeroDivisionError" in caplog.text


def test_everything_is_closed_also_when_something_fails(caplog: pytest.LogCaptureFixture) -> None:
    """Whoever fails, the others are closed in their order, and the log last."""
    inside = Inside(engine("http://127.0.0.1:9"))
    runtime, closed = inside.runtime, []

    def closing(name: str, error: Exception | None = None) -> Any:
        async def close() -> None:
            closed.append(name)
            if error:
                raise error

        return close

    for name in ("mcp", "upstreams", "authenticator"):
        getattr(runtime, name).close = closing(name, OSError(name))
    runtime._close = (closing("redis", OSError("redis")), closing("webhook"))
    runtime.approvals.close = lambda: closed.append("approvals")  # type: ignore[method-assign]
    inside.recorder.broken = LedgerError("full")
    runtime.recorder.close = lambda: closed.append("log")  # type: ignore[method-assign]
    asyncio.run(runtime.stop())
    assert closed == ["mcp", "upstreams", "authenticator", "webhook", "redis", "approvals", "log"]
    assert all(word in caplog.text for word in ("mcp", "upstreams", "authenticator", "redis", "full"))


class Counting(FakeMetrics):
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, str, str]] = []

    def request(self, trace: Trace) -> None:
        """One more."""
        self.seen.append((trace.protocol, trace.outcome, trace.error.code if trace.error else ""))


def test_no_refusal_goes_without_a_trace() -> None:
    """Who is known, or tries to be, is in the log and counted; what anybody can send any number of is counted."""
    with running(FakeProvider([b""])) as guard:
        metrics = Counting()
        guard.inside(lambda: setattr(guard.runtime, "metrics", metrics))
        for path, key in (
            ("/metrics", "nobody"),
            ("/metrics", KEY),
            ("/v1/models", "x"),
            ("/v1/models/gpt", "x"),
            ("/mcp/x", KEY),
        ):
            ask(guard, path=path, method="GET", key=key)
        found = [(e["protocol"], e["error"]["code"], e["caller"]["key"]) for e in guard.recorder.of("request")]
        assert found == [
            ("operate", "invalid_api_key", ""), ("operate", "role_missing", "a"), ("operate", "invalid_api_key", ""),
            ("operate", "invalid_api_key", ""), ("mcp", "not_found", "a"),
        ]  # fmt: skip
        assert [("blocked", code) for _, code, _ in found] == [one[1:] for one in metrics.seen]
        metrics.seen.clear()
        ask(guard, path="/nowhere", method="GET")
        guard.runtime.draining = True
        ask(guard)
        guard.runtime.draining = False
        with dial(guard) as connection:
            connection.sendall(b"GET / HTTP/1.1\r\nx: " + b"y" * 70_000)
            said(connection)
        codes = [("blocked", "not_found"), ("failed", "draining"), ("blocked", "too_large")]
        assert wait_for(lambda: [("http", *one) for one in codes] == metrics.seen)
        assert len(guard.recorder.of("request")) == 5
