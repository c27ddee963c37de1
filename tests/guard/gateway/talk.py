# SPDX-License-Identifier: Apache-2.0
"""Clients that speak HTTP by hand, well or badly, and what a guard has to look like after a fault."""

from __future__ import annotations

import asyncio
import http.client
import json
import socket
import time
from typing import Any, NamedTuple

from tests.guard.gateway.fake import event
from tests.guard.gateway.running import KEY, Guard

CHAT = "/v1/chat/completions"
HEAD = {"id": "x", "object": "chat.completion.chunk", "created": 1, "model": "gpt"}


class Got(NamedTuple):
    """An answer."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def code(self) -> str:
        """The code of the error in it."""
        return str(json.loads(self.body)["error"]["code"])


def question(text: str = "Hi", **more: Any) -> dict[str, Any]:
    """A chat request."""
    return {"model": "gpt", "messages": [{"role": "user", "content": text}], **more}


def delta(body: dict[str, Any], finish: str | None = None) -> bytes:
    """A chunk of a streamed completion."""
    return event({**HEAD, "choices": [{"index": 0, "delta": body, "finish_reason": finish}]})


def ask(
    guard: Guard, document: Any = None, path: str = CHAT, key: str = KEY, method: str = "POST", **headers: str
) -> Got:
    """One request on a connection of its own. A document that is bytes is sent as it is."""
    connection = http.client.HTTPConnection("127.0.0.1", guard.port, timeout=20)
    try:
        body = (
            document
            if isinstance(document, bytes)
            else json.dumps(question() if document is None else document).encode()
        )
        sent = {"authorization": f"Bearer {key}", "content-type": "application/json"}
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, path, body if method == "POST" else None, sent)
        answer = connection.getresponse()
        found = {name.lower(): value for name, value in answer.getheaders()}
        try:
            data = answer.read()
        except http.client.IncompleteRead as half:
            data = half.partial + b"<broken off>"
        return Got(answer.status, found, data)
    finally:
        connection.close()


def head(path: str = CHAT, *more: str, method: str = "POST", version: str = "1.1", key: str = KEY) -> bytes:
    """The head of a request, for clients that go on by hand."""
    lines = [f"{method} {path} HTTP/{version}", "host: guard", f"authorization: Bearer {key}", *more]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n"


def dial(guard: Guard, receive_buffer: int = 0) -> socket.socket:
    """A connection to the guard."""
    made = socket.socket()
    if receive_buffer:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    made.settimeout(20)
    made.connect(("127.0.0.1", guard.port))
    return made


def said(connection: socket.socket) -> bytes:
    """All that comes until the guard closes the connection or says nothing for a second."""
    connection.settimeout(1.0)
    parts = []
    try:
        while part := connection.recv(65_536):
            parts.append(part)
    except (TimeoutError, ConnectionError):
        pass
    return b"".join(parts)


def wait_for(condition: Any, seconds: float = 5.0) -> bool:
    """Whether it becomes true in time."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.01)
    return True


def at_rest(guard: Guard) -> bool:
    """No request holds a place, and no task of one is left."""
    return wait_for(lambda: guard.runtime.in_flight == 0 and guard.inside(lambda: len(_tasks())) == 0)


def _tasks() -> list[str]:
    """Tasks of requests; the server's own, the fake providers' and the one that asks don't count."""
    own = ("ModelCall", "run_asgi", "attended")
    return [t.get_name() for t in asyncio.all_tasks() if any(name in repr(t.get_coro()) for name in own)]
