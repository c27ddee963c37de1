# SPDX-License-Identifier: Apache-2.0
"""JSON with bounds, edits, and server-sent events."""

from __future__ import annotations

import copy
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bastide.errors import GuardError, Malformed, TooLarge, UpstreamError
from bastide.guard.protocol import sse, wire

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=12,
)


@pytest.mark.parametrize(
    ("data", "raised"),
    [
        (b"", Malformed),
        (b"{", Malformed),
        (b'{"a":NaN}', Malformed),
        (b'"\xff"', Malformed),
        (b'"\\ud800"', Malformed),
        (b"1e999", Malformed),
        (b"{} {}", Malformed),
        (b"9" * 5000, Malformed),
        (b"[" * 200 + b"]" * 200, TooLarge),
        (b'{"a":' * 200 + b"1" + b"}" * 200, TooLarge),
        (b"[" * 1_000_000, TooLarge),
    ],
)
def test_what_is_no_json_or_too_deep_is_refused(data: bytes, raised: type[GuardError]) -> None:
    with pytest.raises(raised):
        wire.decode(data)


def test_wide_documents_are_no_deep_ones() -> None:
    assert len(wire.decode(b"[" + b"[]," * 9999 + b"[]]")) == 10_000


def test_both_sides_read_the_same_when_a_key_occurs_twice() -> None:
    """Only the encoded document is sent on, and it has each key once."""
    assert wire.encode(wire.decode(b'{"a":"hidden","a":"seen"}')) == b'{"a":"seen"}'


@given(JSON)
def test_encoding_undoes_decoding(value: Any) -> None:
    assert wire.decode(wire.encode(value)) == value


@given(st.binary(max_size=60))
def test_decoding_raises_only_what_it_says(data: bytes) -> None:
    with suppress(Malformed, TooLarge):
        wire.encode(wire.decode(data))


@given(JSON)
def test_editing_every_string_changes_nothing_else_and_not_the_original(value: Any) -> None:
    before = copy.deepcopy(value)
    texts = [text for text in wire.leaves(value, ()) if text.path]
    edited = wire.rewrite(value, {text.path: text.text + "!" for text in texts})
    assert value == before
    assert wire.rewrite(edited, {text.path: text.text for text in texts}) == before
    assert [text.text + "!" for text in texts] == [text.text for text in wire.leaves(edited, ()) if text.path and text.text != "!"]  # fmt: skip


@pytest.mark.parametrize("path", [(), ("b",), ("a", 5), ("a", "x"), ("a", 0, "deep")])
def test_an_edit_without_a_place_fails_closed(path: tuple[Any, ...]) -> None:
    with pytest.raises(GuardError):
        wire.rewrite({"a": ["x"]}, {path: "y"})


def test_an_edit_inside_of_another_one_is_refused() -> None:
    with pytest.raises(GuardError):
        wire.rewrite({"a": {"b": 1}}, {("a",): {}, ("a", "b"): 2})


@pytest.mark.parametrize(
    ("raw", "expected"),
    [("", {}), (" ", {}), ('{"a": 1}', {"a": 1}), ("[]", None), ("{", None), ('{"a":1,"a":2}', None), (5, None)],
)
def test_arguments_are_an_object_or_nothing(raw: Any, expected: Any) -> None:
    assert wire.arguments(raw, strict=True) == expected


def events(data: bytes, size: int) -> list[tuple[bytes, bytes]]:
    parser = sse.Parser()
    found = [event for at in range(0, len(data), size) for event in parser.feed(data[at : at + size])]
    return found + parser.close()


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"data: a\n\ndata: b\n\n", [(b"", b"a"), (b"", b"b")]),
        (b"event: x\ndata: a\ndata:b\n\n", [(b"x", b"a\nb")]),
        (b"\xef\xbb\xbfdata: a\r\n\r\n: note\r\rid: 1\nretry: 5\ndata: b\n\n", [(b"", b"a"), (b"", b"b")]),
        (b"event: x\n\ndata: a\n\n", [(b"", b"a")]),
        (b"data\n\n", [(b"", b"")]),
        (b"data: a", [(b"", b"a")]),
        (b"data:  a\n\n", [(b"", b" a")]),
        (b"database: a\n\n", []),
    ],
)
def test_events_are_found_however_the_stream_is_cut(data: bytes, expected: list[tuple[bytes, bytes]]) -> None:
    for size in range(1, len(data) + 1):
        assert events(data, size) == expected


def test_an_endless_event_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sse, "MAX_EVENT", 1000)
    for piece in (b"data: " + b"x" * 90, b"data: xxxxxxxxxxxxxxxxx\n"):
        with pytest.raises(UpstreamError):
            events(piece * 100, len(piece))
