# SPDX-License-Identifier: Apache-2.0
"""Sends spans to a collector over OTLP/HTTP, from a thread of its own: no request ever waits for it, and what is too much is counted and dropped."""

from __future__ import annotations

import queue
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import msgspec

from bastide.errors import UsageError
from bastide.guard.record.otlp import document, span

ROOM = 4096
"""Entries that may wait."""
BATCH = 512
TIMEOUT = 5.0
"""Seconds for one batch."""


class OtlpPush:
    """An observer of the log that sends on what are operations."""

    def __init__(self, address: str, interval: float = 1.0, room: int = ROOM) -> None:
        """address: the collector's base address, or its `/v1/traces`. Raises `UsageError`. interval: seconds between two batches."""
        parts = urlsplit(address)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise UsageError(f"`{address[:200]}` is no http(s) address of a collector")
        self._address = address if parts.path.rstrip("/").endswith("/v1/traces") else address.rstrip("/") + "/v1/traces"
        self._interval = interval
        self._waiting: queue.Queue[tuple[Mapping[str, Any], int]] = queue.Queue(room)
        self._ended = threading.Event()
        # A collector is named in the settings; a proxy of the environment or a redirect has no say in where the log goes.
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), _NoRedirect())
        self.dropped = 0
        """Spans that could not be sent: no room, or the collector failed."""
        self.sent = 0
        self._thread = threading.Thread(target=self._run, name="otlp", daemon=True)
        self._thread.start()

    def entry(self, entry: Mapping[str, Any]) -> None:
        """Takes an entry, if there is room."""
        if entry.get("kind") in ("request", "decision"):
            try:
                self._waiting.put_nowait((entry, time.time_ns()))
            except queue.Full:
                self.dropped += 1

    def close(self) -> None:
        """Sends what waits, once, and ends."""
        self._ended.set()
        self._thread.join(2 * TIMEOUT)

    def _run(self) -> None:
        while not self._ended.wait(self._interval):
            self._send_all()
        self._send_all()

    def _send_all(self) -> None:
        while batch := self._take():
            spans = [one for entry, at in batch if (one := span(entry, at)) is not None]
            if self._sent(msgspec.json.encode(document(spans))):
                self.sent += len(spans)
            else:
                self.dropped += len(spans)
                if self._ended.is_set():
                    self.dropped += self._waiting.qsize()
                    return

    def _take(self) -> list[tuple[Mapping[str, Any], int]]:
        batch: list[tuple[Mapping[str, Any], int]] = []
        while len(batch) < BATCH:
            try:
                batch.append(self._waiting.get_nowait())
            except queue.Empty:
                break
        return batch

    def _sent(self, body: bytes) -> bool:
        request = urllib.request.Request(self._address, body, {"content-type": "application/json"}, method="POST")
        try:
            with self._opener.open(request, timeout=TIMEOUT) as answer:
                answer.read(65_536)
                return bool(200 <= answer.status < 300)
        except urllib.error.HTTPError as refusal:
            refusal.close()
            return False
        except (OSError, ValueError):
            return False


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:
        """Follows none."""
