# SPDX-License-Identifier: Apache-2.0
"""The gateway without a network: one ASGI call in, what was sent and logged out."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any

from bastide.errors import UpstreamError
from bastide.guard.approvals.store import ApprovalStore
from bastide.guard.engine import Engine
from bastide.guard.gateway.app import Gateway
from bastide.guard.gateway.runtime import Parts, Runtime
from bastide.guard.gateway.upstream import Attempt
from bastide.guard.identity.authenticate import HeaderAuthenticator
from bastide.guard.identity.credentials import Credentials
from bastide.guard.limits.local import LocalLimits
from bastide.guard.limits.quarantine import Quarantine
from tests.guard.gateway.running import KEY, FakeMetrics, FakeRecorder
from tests.guard.gateway.talk import CHAT, Got


class FakeAnswer:
    """A provider's answer that is already there."""

    def __init__(self, attempt: Attempt, body: bytes, status: int) -> None:
        self.attempt, self.status = attempt, status
        self.headers: Mapping[str, str] = {}
        self._body = body

    async def __aenter__(self) -> FakeAnswer:
        return self

    async def __aexit__(self, *_: object) -> None:
        pass

    async def read(self, limit: int) -> bytes:
        """All of it."""
        if len(self._body) > limit:
            raise UpstreamError("too long", code="upstream_too_large")
        return self._body

    async def chunks(self) -> AsyncIterator[bytes]:
        """In pieces."""
        for start in range(0, len(self._body), 1000):
            yield self._body[start : start + 1000]


class FakeUpstreams:
    """Providers that all say the same."""

    def __init__(self) -> None:
        self.body = b"{}"
        self.status = 200
        self.asked: list[Attempt] = []

    async def call(self, attempts: Sequence[Attempt], repeatable: bool) -> FakeAnswer:
        """The answer."""
        if not attempts:
            raise UpstreamError("no provider is configured for this model")
        self.asked.append(attempts[0])
        return FakeAnswer(attempts[0], self.body, self.status)

    async def close(self) -> None:
        """Nothing to do."""


class Inside:
    """A guard in this process."""

    def __init__(self, made: Engine) -> None:
        self.recorder = FakeRecorder()
        self.upstreams = FakeUpstreams()
        parts = Parts(
            HeaderAuthenticator(made.settings), LocalLimits(made.settings.budgets), ApprovalStore(), self.recorder,  # type: ignore[arg-type]
            FakeMetrics(), Credentials(),  # type: ignore[arg-type]
        )  # fmt: skip
        self.runtime = Runtime(made, parts, lambda: made)
        self.runtime.upstreams = self.upstreams  # type: ignore[assignment]
        self._gateway = Gateway(self.runtime)

    def ask(self, document: Any, answer: Any = None, path: str = CHAT, key: str = KEY, **headers: str) -> Got:
        """One request. Documents that are bytes are taken as they are; `answer` is what the provider says from now on."""
        if answer is not None:
            self.upstreams.body = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
        self.runtime.quarantine = Quarantine(self.runtime.engine.settings.abuse)
        body = document if isinstance(document, bytes) else json.dumps(document).encode()
        sent = {"authorization": f"Bearer {key}", "content-length": str(len(body))}
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        scope = {
            "type": "http", "method": "POST", "path": path, "client": ("127.0.0.1", 5), "scheme": "http",
            "headers": [(k.encode("latin-1"), v.encode("latin-1")) for k, v in sent.items()],
        }  # fmt: skip
        return asyncio.run(self._call(scope, body))

    async def _call(self, scope: dict[str, Any], body: bytes) -> Got:
        messages: list[Any] = []
        waiting = [{"type": "http.request", "body": body, "more_body": False}]

        async def receive() -> Any:
            return waiting.pop() if waiting else await asyncio.get_running_loop().create_future()

        async def send(message: Any) -> None:
            messages.append(message)

        async with asyncio.timeout(20):
            await self._gateway(scope, receive, send)
        headers = {k.decode(): v.decode() for k, v in messages[0]["headers"]}
        assert not messages[-1].get("more_body"), "the answer has an end"
        return Got(messages[0]["status"], headers, b"".join(m["body"] for m in messages[1:]))

    def entries(self, kind: str) -> list[dict[str, Any]]:
        """The log's entries of a kind, since the last look."""
        found = self.recorder.of(kind)
        self.recorder.entries.clear()
        return found


Make = Callable[[], Inside]
