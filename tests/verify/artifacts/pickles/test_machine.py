# SPDX-License-Identifier: Apache-2.0
"""The machine ends where the readers end, and says where they don't agree."""

from __future__ import annotations

import collections
import datetime
import pickle
import struct
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bastide.verify.artifacts.pickles.machine import Machine
from bastide.verify.artifacts.pickles.state import End
from tests.verify.artifacts.pickles.machines import Notes, run
from tests.verify.artifacts.pickles.oracle import c_reader, python_reader

SAMPLES: list[Any] = [
    None, True, 0, 255, 65536, -1, 1 << 70, 1.5, "text", "täxt", b"bytes", bytearray(b"b"), [], [1, [2]], (), (1,), (1, 2, 3, 4),
    {}, {"a": {"b": 1}}, {1, 2}, frozenset([3]), ["x" * 300] * 3, list(range(2000)), {str(i): i for i in range(1500)},
    collections.OrderedDict(a=1), datetime.date(2020, 1, 2), [datetime.timedelta(i) for i in range(5)], b"x" * 70_000,
]  # fmt: skip


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("sample", SAMPLES, ids=lambda s: repr(s)[:30])
def test_what_pickle_writes_is_read_to_its_end(sample: Any, protocol: int) -> None:
    data = pickle.dumps(sample, protocol)
    outcome, notes = run(data)
    assert (End.STOP, len(data), []) == (outcome.end, outcome.offset, notes.disagreements)


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda s: repr(s)[:30])
def test_a_beginning_of_a_pickle_is_truncated(sample: Any) -> None:
    data = pickle.dumps(sample, 4)
    for length in {*range(min(len(data), 40)), len(data) - 1}:
        assert run(data[:length])[0].end is End.TRUNCATED


# What loaders accept and other scanners don't read; each was tried with CPython's readers.
DISAGREED = {
    "a number in another base": b"I0x10\n.",
    "a long number in another base": b"L0x10L\n.",
    "an octal number": b"I0o17\n.",
    "a number with a blank": b"I 1\n.",
    "a memo number with an underscore": b"K\x01p1\n0g0_1\n.",
    "a float in words": b"FInfinity\n.",
    "an argument across the end of a frame": b"\x80\x04\x95" + struct.pack("<Q", 2) + b"M\x01\x02.",
    "a frame in a frame": b"\x80\x04\x95" + struct.pack("<Q", 20) + b"\x95" + struct.pack("<Q", 2) + b"N.",
    "a frame longer than the file": b"\x80\x04\x95" + struct.pack("<Q", 99) + b"N.",
    "an empty state for what takes none": b"N\x89b.",
    "MEMOIZE after a sparse memo": b"\x80\x04Nr\x00\x00\x01\x00\x94.",
}


@pytest.mark.parametrize("data", DISAGREED.values(), ids=DISAGREED.keys())
def test_readers_disagree(data: bytes) -> None:
    outcome, notes = run(data)
    assert outcome.end is End.STOP
    assert notes.disagreements


ENDS = {
    "nothing on the stack": (b".", End.ERROR),
    "below the mark": (b"N(R.", End.ERROR),
    "tuple across a mark": (b"N(N\x86.", End.ERROR),
    "no mark": (b"Nt.", End.ERROR),
    "a missing memo": (b"h\x00.", End.ERROR),
    "an unknown opcode": (b"\xff.", End.ERROR),
    "protocol 6": (b"\x80\x06N.", End.ERROR),
    "a negative size": (b"T\xff\xff\xff\xff.", End.ERROR),
    "a text that is none": (b"X\x01\x00\x00\x00\xff.", End.ERROR),
    "a size over the end": (b"\x8e" + struct.pack("<Q", 1 << 62), End.TRUNCATED),
    "an odd dict": (b"(Nd.", End.ERROR),
    "an unquoted string": (b"Sabc\n.", End.ERROR),
    "an extension code of 0": (b"\x82\x00.", End.ERROR),
    "a line without an end": (b"I12", End.TRUNCATED),
    "empty": (b"", End.TRUNCATED),
}


@pytest.mark.parametrize(("data", "end"), ENDS.values(), ids=ENDS.keys())
def test_ends(data: bytes, end: End) -> None:
    assert end is run(data)[0].end


def test_a_bound_is_said() -> None:
    data = b"N0" * 1000 + b"N."
    outcome = Machine(data, Notes(), max_steps=50).run()
    assert outcome.end is End.BOUND
    assert outcome.offset < len(data)


# Whatever the readers do, the machine has seen

_texts = st.sampled_from(["os", "system", "a.b", "x", "latin1", ""])
_piece = st.one_of(
    st.sampled_from([
        b"N", b"\x88", b"\x89", b")", b"]", b"}", b"\x8f", b"(", b"0", b"1", b"2", b"\x94", b"t", b"l", b"d", b"a", b"e", b"s", b"u",
        b"\x90", b"\x91", b"\x85", b"\x86", b"\x87", b"R", b"b", b"o", b"\x81", b"\x92", b"\x93", b"Q", b"\x98", b"\x97", b"cos\nsystem\n",
        b"imod\nCls\n", b"Pid\n", b"\x80\x02", b"\x80\x04", b"I1\n", b"I01\n", b"L5L\n", b"F1.5\n", b"S'x'\n", b"Vu\n", b"p3\n", b"g3\n",
        b"K\x07", b"M\x01\x02", b"J\x01\x02\x03\x04", b"G" + b"\0" * 8, b"\x8a\x01\x05", b"\x82\x05",
    ]),
    st.integers(0, 6).map(lambda i: b"h" + bytes([i])),
    st.integers(0, 6).map(lambda i: b"q" + bytes([i])),
    st.integers(0, 40).map(lambda i: b"r" + struct.pack("<I", i)),
    _texts.map(lambda t: b"\x8c" + bytes([len(t)]) + t.encode()),
    st.integers(0, 30).map(lambda n: b"\x95" + struct.pack("<Q", n)),
)  # fmt: skip
_call = st.sampled_from([
    b"cos\nsystem\n(S'x'\ntR", b"\x8c\x02os\x8c\x06system\x93\x8c\x01x\x85R", b"(S'x'\nios\nsystem\n", b"(cos\nsystem\nS'x'\no",
    b"cmod\nCls\n)\x81}b", b"cmod\nCls\n)}\x92", b"cmod\nCls\n)R(NNu", b"cmod\nCls\n)R(Ne", b"cmod\nCls\n)RNa",
])  # fmt: skip
_stream = st.lists(st.one_of(_piece, _piece, _call), max_size=14).map(lambda p: b"".join(p) + b".")


def _is_beginning(short: list[Any], long: list[Any]) -> bool:
    short, long = _once(short), _once(long)
    return long[: len(short)] == short


def _once(events: list[Any]) -> list[Any]:
    """The readers put one item after the other into what was made; the machine says so once."""
    return [
        event for event, before in zip(events, [None, *events], strict=False) if event != before or event[0] != "put"
    ]


@settings(max_examples=400)
@given(_stream)
@example(b"\x80\x04\x95\x02\x00\x00\x00\x00\x00\x00\x00M\x01\x02cos\nsystem\n(tR.")
@example(b"(cos\nsystem\no.")
@example(b"cos\nsystem\n(S'x'\ntR(e.")
@example(b"cos\nsystem\n(S'x'\ntR(NN\x90.")
def test_the_machine_sees_all_that_the_readers_do(data: bytes) -> None:
    _, notes = run(data)
    by_c, why = c_reader(data)
    by_python, _ = python_reader(data)
    if notes.disagreements:
        return
    assert _is_beginning(by_c, notes.events), (by_c, notes.events)
    assert _is_beginning(by_python, notes.events), (by_python, notes.events)
    if "must be a" not in why:
        # The C reader looks at the types of what it calls and of its arguments, the Python reader lets Python do that.
        assert _once(by_c) == _once(by_python)


@pytest.mark.slow
@settings(max_examples=2_000, deadline=None)
@given(_stream)
def test_the_machine_sees_all_that_the_readers_do_at_length(data: bytes) -> None:
    test_the_machine_sees_all_that_the_readers_do.hypothesis.inner_test(data)


@settings(max_examples=300)
@given(st.binary(max_size=200))
def test_any_bytes_have_an_end(data: bytes) -> None:
    assert run(data)[0].end in End
