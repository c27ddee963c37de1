# SPDX-License-Identifier: Apache-2.0
"""A loopback server with canned answers for the official clients, and guards that do as they are told."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from bastide.guard.events import ToolCall
from bastide.guard.protocol.interface import Codec

SECRET = "hunter2"


class Guard:
    """Allows everything, at once."""

    def __init__(self, refuse: Mapping[str, str | dict[str, Any]] | None = None, opaque: bool = True) -> None:
        self.refuse = refuse or {}
        self.allow_opaque = opaque
        self.calls: list[ToolCall] = []
        self.asked: list[tuple[str, bool]] = []
        self.texts: dict[str, str] = {}
        self.ended: list[str] = []

    def text(self, channel: str, delta: str) -> str:
        self.texts[channel] = self.texts.get(channel, "") + delta
        return delta

    def text_end(self, channel: str) -> str:
        assert channel not in self.ended
        self.ended.append(channel)
        return ""

    def call(self, call: ToolCall) -> str | dict[str, Any] | None:
        self.calls.append(call)
        return self.refuse.get(call.name)

    def opaque(self, type: str, known: bool) -> bool:
        self.asked.append((type, known))
        return self.allow_opaque or known


class Redactor(Guard):
    """Replaces a secret by `[redacted]`, holding back as much as could be the secret's beginning."""

    def __init__(self, secret: str = SECRET, **more: Any) -> None:
        super().__init__(**more)
        self.secret = secret
        self.held: dict[str, str] = {}

    def text(self, channel: str, delta: str) -> str:
        super().text(channel, delta)
        text = (self.held.get(channel, "") + delta).replace(self.secret, "[redacted]")
        keep = next((n for n in range(len(self.secret) - 1, 0, -1) if text.endswith(self.secret[:n])), 0)
        self.held[channel] = text[len(text) - keep :]
        return text[: len(text) - keep]

    def text_end(self, channel: str) -> str:
        super().text_end(channel)
        return self.held.pop(channel, "")


class Server:
    """Answers every request with what `answer` was last told."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.status, self.headers, self.body = 200, {"content-type": "application/json"}, b"{}"
        self.seen: list[Any] = []

    def answer(self, body: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> None:
        stream = isinstance(body, bytes)
        self.body = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.status = status
        self.headers = {"content-type": "text/event-stream" if stream else "application/json", **(headers or {})}


@contextmanager
def serving() -> Iterator[Server]:
    """A server on a free port."""
    server: Server

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            length = int(self.headers.get("content-length") or 0)
            server.seen.append(json.loads(self.rfile.read(length) or b"null"))
            self.do_GET()

        def do_GET(self) -> None:
            self.send_response(server.status)
            for name, value in {**server.headers, "content-length": str(len(server.body))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(server.body)

        def log_message(self, *args: Any) -> None:
            pass

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    http.daemon_threads = True
    server = Server(f"http://127.0.0.1:{http.server_address[1]}")
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        http.shutdown()
        http.server_close()
        thread.join()


def filtered(codec: Codec, guard: Any, data: bytes, size: int = 0) -> bytes:
    """The stream after the filter, fed in pieces of `size` bytes (0: whole)."""
    filter_ = codec.filter(guard)
    step = size or len(data) or 1
    out = b"".join(filter_.feed(data[at : at + step]) for at in range(0, len(data), step))
    return out + filter_.finish()


def payloads(stream: bytes) -> list[Any]:
    """The decoded data of all events."""
    found = re.findall(rb"^data: (.*)$", stream, re.M)
    return [json.loads(item) for item in found if item != b"[DONE]"]


def stream_of(*documents: Any, named: bool = False, done: bool = False) -> bytes:
    """Events as a provider writes them."""
    lines = [
        (f"event: {document['type']}\n" if named else "") + f"data: {json.dumps(document)}\n\n"
        for document in documents
    ]
    return ("".join(lines) + ("data: [DONE]\n\n" if done else "")).encode()
