# SPDX-License-Identifier: Apache-2.0
"""Clients that send too much, too slowly, nonsense or two things at once, and those that go away. The table is docs/guard/faults.md."""

from __future__ import annotations

import json
import socket
import struct
import time
import tracemalloc
from contextlib import closing

import pytest

from bastide.guard.build import make_engine
from bastide.guard.engine import Engine
from bastide.guard.settings_file import parse_settings
from bastide.plan.load import parse_plan
from tests.guard.gateway.fake import STREAM_HEAD, FakeProvider, Step, answer, chunk, event
from tests.guard.gateway.running import BOSS, KEY, PLAN, VOCABULARY, Guard, running, settings_text
from tests.guard.gateway.talk import CHAT, ask, at_rest, delta, dial, head, question, said, wait_for
from tests.guard.gateway.test_models import completion

OK: list[Step] = [answer(completion())]
MB = 1_000_000
SLOW = "content: {classifier: 'off'}\nbounds: {read-timeout: 500ms}"


def works(guard: Guard) -> bool:
    """Whether the guard is at rest and answers the next request."""
    return at_rest(guard) and ask(guard).status == 200


def the_entry(guard: Guard) -> tuple[str, str]:
    """Outcome and error code of the one request in the log."""
    assert wait_for(lambda: guard.recorder.of("request"))
    [entry] = guard.recorder.of("request")
    return entry["outcome"], entry.get("error", {}).get("code", "")


def pour(connection: socket.socket, piece: bytes, times: int) -> int:
    """Sends a piece many times, until the guard hangs up; how often it went."""
    for sent in range(times):
        try:
            connection.sendall(piece)
        except OSError:
            return sent
    return times


@pytest.mark.parametrize("length", ["content-length: 100000000", "transfer-encoding: chunked"])
def test_a_hundred_megabytes_are_refused_without_being_read(length: str) -> None:
    """413, by what is announced or as soon as the bound is passed; neither memory nor line is spent on the rest."""
    with (
        running(FakeProvider(OK), "content: {classifier: 'off'}\nbounds: {body: 2000000}") as guard,
        closing(dial(guard)) as client,
    ):
        tracemalloc.start()
        try:
            client.sendall(head(CHAT, length))
            piece = bytes(MB) if "content" in length else f"{MB:x}\r\n".encode() + bytes(MB) + b"\r\n"
            sent = pour(client, piece, 100)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert sent < 60, "the guard hung up"
        assert peak < 20 * MB
        assert the_entry(guard) == ("blocked", "too_large")
        assert works(guard)
        assert len(guard.provider.requests) == 1


def test_what_is_too_large_is_told_to_a_client_that_waits() -> None:
    """A client that reads before it sends on sees the 413 in its protocol."""
    with running(FakeProvider(OK)) as guard, closing(dial(guard)) as client:
        client.sendall(head(CHAT, "content-length: 100000000"))
        told = said(client)
        assert told.startswith(b"HTTP/1.1 413 ")
        assert b'"code":"too_large"' in told
        assert b"connection: close" in told


def test_a_body_that_comes_byte_by_byte_is_given_up() -> None:
    """Who holds a place has so much time for all of the request, not for each piece of it."""
    with running(FakeProvider(OK), SLOW) as guard, closing(dial(guard)) as client:
        client.sendall(head(CHAT, "content-length: 1000"))
        began = time.monotonic()
        pour_slowly(client, 30)
        assert time.monotonic() - began < 3
        assert the_entry(guard) == ("blocked", "request_timeout")
        assert works(guard)


def pour_slowly(client: socket.socket, pieces: int) -> None:
    """A byte every tenth of a second, until the guard hangs up."""
    for _ in range(pieces):
        try:
            client.sendall(b" ")
        except OSError:
            return
        time.sleep(0.1)


def test_a_client_that_says_nothing_is_hung_up_on() -> None:
    """A connection without a complete head costs memory; it gets as much time as a body. Each is counted, with or without a word."""
    counted: list[str] = []
    with running(FakeProvider(OK), SLOW) as guard, closing(dial(guard)) as silent, closing(dial(guard)) as slow:
        guard.runtime.metrics.request = lambda trace: counted.append(trace.error.code)  # type: ignore[assignment,method-assign]
        slow.sendall(b"POST /v1/chat/completions HTTP/1.1\r\nx-a:")
        began = time.monotonic()
        pour_slowly(slow, 30)
        assert time.monotonic() - began < 2.5
        silent.settimeout(3)
        assert silent.recv(1000) == b""
        assert counted == ["request_timeout", "request_timeout"]
        guard.runtime.metrics.request = lambda _: None  # type: ignore[method-assign]
        assert works(guard)


def test_what_is_no_http_is_counted() -> None:
    """The server answers it before anything of the guard's sees a request."""
    counted: list[str] = []
    with running(FakeProvider(OK)) as guard, closing(dial(guard)) as client:
        guard.runtime.metrics.request = lambda trace: counted.append(trace.error.code)  # type: ignore[assignment,method-assign]
        client.sendall(b"\x16\x03\x01\x02\x00\x01\r\n\r\n")
        assert said(client).startswith(b"HTTP/1.1 400 ")
        assert counted == ["no_http"]


@pytest.mark.parametrize("end", [b"", b": "])
def test_a_head_without_end_is_refused(end: bytes) -> None:
    """A header of any length would be kept in memory before anybody knows who sends it."""
    with running(FakeProvider(OK)) as guard, closing(dial(guard)) as client:
        client.sendall(b"POST /v1/chat/completions HTTP/1.1\r\nx" + end)
        sent = pour(client, b"a" * 65_536, 1000)
        assert sent < 200, "the guard hung up"
        assert works(guard)


def test_many_small_headers_are_refused() -> None:
    """The bound is on the whole head."""
    with running(FakeProvider(OK)) as guard, closing(dial(guard)) as client:
        client.sendall(b"POST /v1/chat/completions HTTP/1.1\r\n")
        assert pour(client, b"a: b\r\n" * 10_000, 1000) < 200
        assert works(guard)


def endless(count: int = 400, size: int = 2000) -> list[Step]:
    """A stream that goes on for a long while."""
    steps: list[Step] = [STREAM_HEAD]
    for _ in range(count):
        steps += [delta({"content": "word " * (size // 5)}), 0.005]
    return [*steps, delta({}, "stop"), event("[DONE]"), chunk(b"")]


def test_a_client_that_leaves_in_the_middle_ends_the_call() -> None:
    """The provider's connection is closed, so nobody pays for what nobody reads; the log says aborted, with what was used."""
    provider = FakeProvider(endless(), OK)
    with running(provider) as guard:
        with closing(dial(guard)) as client:
            body = json.dumps(question(stream=True)).encode()
            client.sendall(head(CHAT, f"content-length: {len(body)}") + body)
            assert client.recv(1000)
        assert wait_for(lambda: provider.hung_up == 1)
        assert the_entry(guard)[0] == "aborted"
        [entry] = guard.recorder.of("request")
        assert entry["usage"]["output"] > 0, "what went on is counted, though the provider's numbers never came"
        assert works(guard)


def test_a_client_that_leaves_before_the_answer_ends_the_call() -> None:
    """Also where no byte has come yet, and when it resets the connection."""
    provider = FakeProvider([0.9, *OK], OK)
    with running(provider) as guard:
        client = dial(guard)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        body = json.dumps(question()).encode()
        client.sendall(head(CHAT, f"content-length: {len(body)}") + body)
        assert wait_for(lambda: provider.requests)
        client.close()
        assert wait_for(lambda: provider.hung_up == 1)
        assert the_entry(guard)[0] == "aborted"
        assert works(guard)


def test_a_client_that_leaves_before_its_body_is_logged() -> None:
    """Half a request never reaches a provider."""
    with running(FakeProvider(OK)) as guard:
        with closing(dial(guard)) as client:
            client.sendall(head(CHAT, "content-length: 1000") + b'{"model": ')
        assert the_entry(guard)[0] == "aborted"
        assert guard.provider.requests == []
        assert works(guard)


DEEP = b'{"model":"gpt","messages":' + b"[" * 5000 + b"]" * 5000 + b"}"


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        pytest.param(b"", 400, "malformed_request", id="nothing"),
        pytest.param(b"[]", 400, "malformed_request", id="no object"),
        pytest.param(b'{"model": "gpt", "messages": [', 400, "malformed_request", id="half JSON"),
        pytest.param(DEEP, 413, "too_large", id="deep JSON"),
        pytest.param(b'{"model":"gpt","messages":[{"role":"user","content":"\xff"}]}', 400, "malformed_request", id="no UTF-8"),
        pytest.param(b'{"model":"gpt","messages":[{"role":"user","content":"\\ud800"}]}', 400, "malformed_request", id="lone surrogate"),
        pytest.param(b'{"model":"gpt","messages":[{"role":"user","content":NaN}]}', 400, "malformed_request", id="NaN"),
        pytest.param(b'{"model":"gpt","messages":[],"n":1' + b"0" * 5000 + b"}", 400, "malformed_request", id="huge number"),
        pytest.param(b'\xef\xbb\xbf{"model":"gpt","messages":[]}', 400, "malformed_request", id="byte order mark"),
        pytest.param(json.dumps(question()).encode("utf-16"), 400, "malformed_request", id="UTF-16"),
    ],
)  # fmt: skip
def test_a_body_that_cannot_be_read_is_refused(body: bytes, status: int, code: str) -> None:
    """In the protocol's own words, logged as blocked, and never sent on."""
    with running(FakeProvider(OK)) as guard:
        got = ask(guard, body)
        assert (got.status, got.code) == (status, code)
        assert the_entry(guard) == ("blocked", code)
        assert guard.provider.requests == []
        assert works(guard)


def test_only_one_reading_of_a_body_goes_on() -> None:
    """Of a key that occurs twice the guard judges one value, and only that one reaches the provider."""
    twice = (
        b'{"model":"gpt","messages":[{"role":"user","content":"evil"}],"messages":[{"role":"user","content":"good"}]}'
    )
    with running(FakeProvider(OK)) as guard:
        assert ask(guard, twice).status == 200
        assert guard.provider.requests[0][2].count(b"messages") == 1
        assert b"evil" not in guard.provider.requests[0][2]


def test_zero_bytes_in_texts_pass_as_what_they_are() -> None:
    """A NUL ends no string here."""
    with running(FakeProvider(OK)) as guard:
        assert ask(guard, question("a\x00b")).status == 200
        assert guard.provider.documents[0]["messages"][0]["content"] == "a\x00b"


@pytest.mark.parametrize(
    ("more", "status"),
    [
        pytest.param(["authorization: Bearer " + BOSS], 400, id="two authorizations"),
        pytest.param(["x-api-key: " + BOSS], 401, id="two credentials that disagree"),
        pytest.param(["x-api-key: a", "x-api-key: b"], 400, id="two keys"),
        pytest.param([f"x-api-key: {KEY}", f"X-Api-Key: {KEY}"], 400, id="the same key twice"),
        pytest.param(["api-key: a", "api-key: b"], 400, id="two keys, as Azure's clients send them"),
        pytest.param([f"Authorization: Bearer {KEY}"], 400, id="the same authorization twice"),
        pytest.param(["x-bastide-user: ann", "x-bastide-user: eve"], 400, id="two users"),
        pytest.param(["x-bastide-conversation: a", "x-bastide-conversation: b"], 400, id="two conversations"),
        pytest.param(["host: other"], 400, id="two hosts"),
        pytest.param(["x-bastide-user: eve"], 401, id="a user from a key that names none"),
    ],
)
def test_headers_that_say_two_things_are_refused(more: list[str], status: int) -> None:
    """Two readers could take different ones."""
    body = json.dumps(question()).encode()
    with running(FakeProvider(OK)) as guard, closing(dial(guard)) as client:
        client.sendall(head(CHAT, *more, "connection: close", f"content-length: {len(body)}") + body)
        assert said(client).startswith(f"HTTP/1.1 {status} ".encode())
        assert the_entry(guard)[0] == "blocked"
        assert guard.provider.requests == []


def test_a_certificates_header_given_twice_is_refused() -> None:
    """Joined they would be another subject than either: here the agent's. Once, it is believed; and no user stands behind it."""
    subject = "CN=web, O=Acme"
    proxied = f"certificates: {{header: X-Client-Cert, proxies: [127.0.0.0/8], subjects: {{'{subject}': assistant}}}}"
    provider = FakeProvider(OK)

    def build() -> Engine:
        text = settings_text(provider.url).replace("callers:\n", f"callers:\n  {proxied}\n")
        return make_engine(parse_plan(PLAN, VOCABULARY), parse_settings(text))

    body = json.dumps(question()).encode()
    lines = ["host: guard", "connection: close", f"content-length: {len(body)}"]
    with running(provider, build=build) as guard:
        for certificates, status in (([subject], 403), (subject.split(", "), 400), ([subject, subject], 400)):
            with closing(dial(guard)) as client:
                sent = [f"POST {CHAT} HTTP/1.1", *lines, *(f"x-client-cert: {one}" for one in certificates)]
                client.sendall("\r\n".join(sent).encode() + b"\r\n\r\n" + body)
                assert said(client).startswith(f"HTTP/1.1 {status} ".encode())
        entries = guard.recorder.of("request")
        assert [e["caller"]["agent"] for e in entries] == ["assistant", "", ""]
        assert [e["error"]["code"] for e in entries] == ["denied_by_policy", "malformed_request", "malformed_request"]


SMUGGLED = f"POST {CHAT} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {KEY}\r\ncontent-length: 2\r\n\r\n{{}}".encode()


@pytest.mark.parametrize(
    "lines",
    [
        pytest.param(["content-length: 5", "content-length: 6"], id="two lengths"),
        pytest.param(["content-length: 5", "transfer-encoding: chunked"], id="length and chunks"),
        pytest.param(["transfer-encoding: chunked", "transfer-encoding: identity"], id="two encodings"),
        pytest.param(["transfer-encoding: xchunked"], id="an unknown encoding"),
        pytest.param(["transfer-encoding : chunked"], id="a space before the colon"),
        pytest.param(["content-length: +5"], id="a signed length"),
        pytest.param(["content-length: 0x5"], id="a hexadecimal length"),
        pytest.param(["content-length: 99999999999999999999999"], id="a huge length"),
    ],
)
def test_requests_that_two_servers_could_cut_differently_are_refused(lines: list[str]) -> None:
    """Request smuggling: the connection ends with a 400, and what follows is never taken for a request."""
    with running(FakeProvider(OK)) as guard, closing(dial(guard)) as client:
        client.sendall(head(CHAT, *lines) + b"0\r\n\r\n" + SMUGGLED)
        told = said(client)
        assert told.count(b"HTTP/1.1") <= 1
        assert told.startswith(b"HTTP/1.1 4")
        assert guard.provider.requests == []
        assert works(guard)


def test_http_1_0_works() -> None:
    """An old client gets a whole answer and the end of the connection."""
    body = json.dumps(question()).encode()
    with running(FakeProvider(OK)) as guard, closing(dial(guard)) as client:
        client.sendall(head(CHAT, f"content-length: {len(body)}", version="1.0") + body)
        told = said(client)
        assert b" 200 OK" in told
        assert told.endswith(b"}")


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", CHAT, 404),
        ("DELETE", CHAT, 404),
        ("POST", "/v1/chat/completions/", 404),
        ("POST", "/v1/files", 404),
        ("GET", "/", 404),
        ("GET", "/" + "a" * 5000, 404),
        ("GET", "/v1/models/..%2f..%2fetc", 404),
        ("GET", "/mcp/", 404),
        ("POST", "/mcp/nobody", 404),
        ("GET", "/metrics", 403),
    ],
)
def test_what_the_guard_does_not_serve_is_not_found(method: str, path: str, status: int) -> None:
    """An address that nobody wrote a handler for goes nowhere."""
    with running(FakeProvider(OK)) as guard:
        got = ask(guard, path=path, method=method)
        assert got.status == status
        assert guard.provider.requests == []
