# SPDX-License-Identifier: Apache-2.0
"""Tells a webhook that somebody has to decide. Off the hot path: a webhook that hangs or is down delays no request.

The body holds no argument's value: what may be seen where the message ends up (a chat, a phone) is not the guard's to know.
The header `x-bastide-signature` is `t=UNIX_TIME,v1=HEX`, the HMAC-SHA256 of `UNIX_TIME.BODY`: who receives it refuses old times.
"""

from __future__ import annotations

import asyncio
import hmac
import json
import logging
import time
from collections.abc import Awaitable, Callable
from hashlib import sha256

import aiohttp

from bastide.errors import Diagnostic, SettingsError
from bastide.guard.approvals.book import Approval
from bastide.guard.approvals.page import HOME

ATTEMPTS = 5
WAITING = 1000
"""Messages that wait; more are dropped with a line in the log. The requests themselves are in the store all the same."""
TIMEOUT = 10.0
_log = logging.getLogger("bastide.guard.approvals")


class Webhook:
    """The notifier of `ApprovalStore`."""

    def __init__(
        self,
        url: str,
        key: Callable[[], str] | None = None,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """Parameters: `key` gives the secret for the signature each time; None: unsigned. Raises `SettingsError` for no web address."""
        if not url.startswith(("https://", "http://")):
            raise SettingsError(Diagnostic("`approvals.webhook` is an address that begins with https://"))
        self._url, self._key, self._clock, self._sleep = url, key, clock, sleep
        self._queue: asyncio.Queue[Approval] | None = None
        self._task: asyncio.Task[None] | None = None

    def __call__(self, approval: Approval) -> None:
        """Queues the message. Has to be called inside the running loop."""
        if self._queue is None or self._task is None or self._task.done():
            self._queue = asyncio.Queue(WAITING)
            self._task = asyncio.get_running_loop().create_task(self._deliver(self._queue))
        try:
            self._queue.put_nowait(approval)
        except asyncio.QueueFull:
            _log.error("too many messages wait for the webhook; %s was not announced", approval.id)

    async def drained(self) -> None:
        """Waits until all messages are delivered or given up."""
        if self._queue is not None:
            await self._queue.join()

    async def close(self) -> None:
        """Stops; what still waits is not announced."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _deliver(self, queue: asyncio.Queue[Approval]) -> None:
        timeout = aiohttp.ClientTimeout(total=TIMEOUT)
        async with aiohttp.ClientSession(timeout=timeout, cookie_jar=aiohttp.DummyCookieJar()) as session:
            while True:
                approval = await queue.get()
                try:
                    await self._announce(session, approval)
                except Exception:  # noqa: BLE001  # an edge: one message that fails must not silence those after it
                    _log.exception("approval %s was not announced", approval.id)
                finally:
                    queue.task_done()

    async def _announce(self, session: aiohttp.ClientSession, approval: Approval) -> None:
        body = json.dumps(message(approval)).encode()
        for attempt in range(ATTEMPTS):
            if attempt:
                await self._sleep(2.0 ** (attempt - 1))
            # Signed anew each time: a late attempt must not look like a replay.
            headers = {"content-type": "application/json"}
            if self._key is not None:
                headers["x-bastide-signature"] = signature(self._key(), body, self._clock())
            try:
                async with session.post(self._url, data=body, headers=headers, allow_redirects=False) as response:
                    if response.status < 300:
                        return
                    if 400 <= response.status < 500 and response.status not in (408, 429):
                        break
            except (aiohttp.ClientError, TimeoutError, OSError):
                continue
        _log.error("the webhook did not take the message about %s", approval.id)


def message(approval: Approval) -> dict[str, object]:
    """The body: enough to know that and where to decide, without the arguments' values."""
    binding = approval.binding
    return {
        "type": "approval.requested",
        "id": approval.id,
        "component": binding.component,
        "tool": binding.tool,
        "agent": binding.agent,
        "tenant": binding.tenant,
        "arguments": sorted(approval.arguments),
        "expires": approval.expires,
        "path": f"{HOME}/{approval.id}",
    }


def signature(key: str, body: bytes, now: float) -> str:
    """The value of `x-bastide-signature`."""
    moment = str(int(now))
    return f"t={moment},v1={hmac.new(key.encode(), moment.encode() + b'.' + body, sha256).hexdigest()}"
