# SPDX-License-Identifier: Apache-2.0
"""Clients that don't read their answers: what waits for them, and how long."""

from __future__ import annotations

import asyncio
import json
import socket
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

import pytest

from bastide.errors import Unavailable
from bastide.guard.gateway.asgi import Disconnected, Stream, respond
from bastide.guard.gateway.exchange import Exchange
from tests.guard.gateway.fake import STREAM_HEAD, FakeProvider, Step, answer, chunk, event
from tests.guard.gateway.inside import Inside
from tests.guard.gateway.running import Guard, engine, running
from tests.guard.gateway.talk import CHAT, ask, at_rest, delta, dial, head, question, said, wait_for
from tests.guard.gateway.test_models import completion

OK: list[Step] = [answer(completion())]
MB = 1_000_000
SHORT = "content: {classifier: 'off'}\nbounds: {read-timeout: 200ms}\nbudgets: [{per: all, window: 1h, tokens: 1900}]"
"""A budget of which a request that waits takes more than half: the next one is refused unless it was given back."""
VECTORS = {"object": "list", "model": "embed", "usage": {"prompt_tokens": 1, "total_tokens": 1},
           "data": [{"object": "embedding", "index": 0, "embedding": "A" * 2 * MB}]}  # fmt: skip
"""More than the buffers between guard and client hold."""
EMBED = "/v1/embeddings"


def request(document: Any, path: str = CHAT) -> bytes:
    """A whole request, to be sent by hand."""
    body = json.dumps(document).encode()
    return head(path, f"content-length: {len(body)}") + body


def not_reading(guard: Guard) -> closing[socket.socket]:
    """A connection that holds little of what isn't read."""
    guard.buffers(65_536)
    return closing(dial(guard, receive_buffer=65_536))


@contextmanager
def unread(*scripts: list[Step]) -> Iterator[tuple[Guard, socket.socket]]:
    """A guard whose answer of some megabytes a client doesn't read. At the end it must work as if nothing had been."""
    with running(FakeProvider([answer(VECTORS)], *scripts, OK), SHORT) as guard, not_reading(guard) as client:
        client.sendall(request({"model": "embed", "input": "Hi", "encoding_format": "base64"}, EMBED))
        assert wait_for(lambda: len(guard.recorder.of("request")) == 1)
        yield guard, client
        assert at_rest(guard)
        assert ask(guard).status == 200, "the budget was given back"


def connections(guard: Guard) -> int:
    """How many of the guard's own are open."""
    return guard.inside(lambda: sum(type(t).__name__ == "Bounded" for t in _protocols()))


def _protocols() -> list[Any]:
    import gc

    return [o for o in gc.get_objects() if type(o).__name__ == "Bounded" and not o.transport.is_closing()]


def test_a_whole_answer_that_nobody_reads_is_dropped() -> None:
    """Its megabytes don't stay in the memory of the connection, which is cut."""
    with unread() as (guard, client):
        assert wait_for(lambda: connections(guard) == 0)
        assert len(said(client)) < 2 * MB


def test_an_idle_connection_with_something_unread_is_cut() -> None:
    """A close alone would wait for the reader for ever."""
    with unread() as (guard, _):

        def idle() -> int:
            [one] = _protocols()
            one.timeout_keep_alive_handler()
            return int(one.transport.get_write_buffer_size())

        assert guard.inside(idle) == 0


def test_who_reads_slowly_gets_the_whole_answer() -> None:
    """Only who takes nothing for twice the time is left."""
    with unread() as (_, client):
        client.settimeout(5)
        got = 0
        while got < 2 * MB:
            piece = client.recv(65_536)
            assert piece, "cut while it read"
            got += len(piece)
            time.sleep(0.005)


def test_an_answer_behind_one_that_nobody_reads_holds_no_place() -> None:
    """The next request on such a connection waits for the first one's answer, and is left with it."""
    with unread(OK) as (guard, client):
        client.sendall(request(question()))
        assert wait_for(lambda: len(guard.recorder.of("request")) == 2)
        assert wait_for(lambda: guard.runtime.in_flight == 0, 2)


def test_the_start_of_a_stream_that_nobody_reads_is_given_up() -> None:
    """A stream behind an answer that isn't read ends after the time for a piece."""
    stream = [STREAM_HEAD, delta({"content": "word " * 200}), delta({}, "stop"), event("[DONE]"), chunk(b"")]
    with unread(stream) as (guard, client):
        client.sendall(request(question(stream=True)))
        assert wait_for(lambda: len(guard.recorder.of("request")) == 2, 2)
        entry = guard.recorder.of("request")[1]
        assert (entry["outcome"], entry["error"]["code"]) == ("failed", "slow_client")


def test_the_last_message_of_a_stream_is_given_up_too() -> None:
    """It waits for what was sent before it."""

    async def send(message: Any) -> None:
        if message["type"] == "http.response.body" and not message.get("more_body"):
            await asyncio.sleep(5)

    async def run() -> None:
        out = Stream(send, write_timeout=0.05)
        await out.write(b"a")
        await out.end()

    with pytest.raises(Unavailable, match="too slowly"):
        asyncio.run(run())


def test_an_answer_begins_once() -> None:
    """An error in the middle of an answer, where the client was left, makes no second head."""
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def run() -> None:
        exchange = Exchange(Inside(engine("http://127.0.0.1:9")).runtime, {"headers": []}, send, send, "req_1")  # type: ignore[arg-type]
        await respond(exchange.send, 200, b"{}")
        with pytest.raises(Disconnected):
            await respond(exchange.send, 503, b"{}")

    asyncio.run(run())
    assert [m["type"] for m in sent] == ["http.response.start", "http.response.body"]


def endless() -> list[Step]:
    """A stream of many megabytes."""
    piece = delta({"content": "word " * 4000})
    return [STREAM_HEAD, *[piece, 0.005] * 1000, delta({}, "stop"), event("[DONE]"), chunk(b"")]


def test_a_reader_that_does_not_read_is_left() -> None:
    """What waits for it would fill the memory; after the time for a piece the call ends, and its provider is hung up on."""
    provider = FakeProvider(endless(), OK)
    with running(provider, SHORT) as guard, not_reading(guard) as client:
        client.sendall(request(question(stream=True)))
        assert wait_for(lambda: provider.hung_up == 1)
        assert provider.written < 15 * MB, "the guard took no more than its buffers hold"
        assert wait_for(lambda: guard.recorder.of("request"))
        [entry] = guard.recorder.of("request")
        assert (entry["outcome"], entry["error"]["code"]) == ("failed", "slow_client")
        assert wait_for(lambda: connections(guard) == 0)
        assert at_rest(guard)
