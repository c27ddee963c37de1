# SPDX-License-Identifier: Apache-2.0
"""Leaping over mere data changes nothing of what is found."""

from __future__ import annotations

import pickle
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bastide.verify.artifacts.pickles import leap
from bastide.verify.artifacts.pickles import machine as machines
from bastide.verify.artifacts.pickles.leap import memoized, stretch
from bastide.verify.artifacts.pickles.machine import Machine
from bastide.verify.artifacts.pickles.state import End
from tests.verify.artifacts.pickles.machines import Notes
from tests.verify.artifacts.pickles.test_machine import _is_beginning, _stream

_plain = st.recursive(
    st.none() | st.booleans() | st.integers(-(1 << 40), 1 << 40) | st.floats(allow_nan=False) | st.text(max_size=9) | st.binary(max_size=9),
    lambda inner: st.lists(inner, max_size=5) | st.tuples(inner, inner) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=30,
)  # fmt: skip


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every chance to leap is taken."""
    monkeypatch.setattr(leap, "LONG", 0)
    monkeypatch.setattr(leap, "WORTH", 1)
    monkeypatch.setattr(machines, "FEW", 1)
    monkeypatch.setattr(machines, "MANY", 1)


def _both(data: bytes) -> tuple[Any, Notes, Any, Notes]:
    leaping, exact = Notes(), Notes()
    first = Machine(data, leaping).run()
    second = Machine(data, exact)._run(leaping=False)
    return first, leaping, second, exact


@pytest.mark.usefixtures("small")
def test_the_same_is_seen() -> None:
    @settings(max_examples=600)
    @given(_stream)
    def check(data: bytes) -> None:
        _, leaping, second, exact = _both(data)
        # Where the exact reading ends early, the leaping one may have seen more: never less.
        seen = leaping.events[-len(exact.events) :] if second.end is End.STOP else leaping.events
        assert _is_beginning(exact.events, seen) or set(exact.events) <= set(leaping.events)
        assert set(exact.disagreements) <= set(leaping.disagreements)

    check()


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("protocol", [2, 4, 5])
def test_data_are_read_to_the_same_end(protocol: int) -> None:
    @settings(max_examples=150)
    @given(_plain)
    def check(value: Any) -> None:
        data = pickle.dumps(value, protocol)
        first, leaping, second, exact = _both(data)
        assert (End.STOP, len(data)) == (first.end, first.offset) == (second.end, second.offset)
        assert set(leaping.events) == set(exact.events)

    check()


@given(_plain)
def test_entries_of_the_memo_are_counted(value: Any) -> None:
    data = pickle._dumps(value, 4)  # type: ignore[attr-defined]
    exact = Machine(data, Notes())
    exact._run(leaping=False)
    begin = 11 if data[2] == 0x95 else 2
    end = stretch(data, begin, len(data))
    if end == len(data) - 1:
        assert len(exact.memo) == memoized(data, begin, end)


ATTACKS = {
    "a call behind a long list": b"\x80\x04](" + b"K\x01" * 5000 + b"e0cos\nsystem\n(S'x'\ntR.",
    "a call in the middle": b"\x80\x04](" + b"K\x01" * 5000 + b"cos\nsystem\n(S'x'\ntR" + b"K\x01" * 5000 + b"e.",
    "its arguments leapt over": b"\x80\x04cos\nsystem\n(" + b"K\x01" * 5000 + b"tR.",
    "an import put aside in a stretch": b"\x80\x04cos\nsystem\n\x940]("
    + b"h\x00\x94K\x01" * 5000
    + b"eh\x05(S'x'\ntR.",
    "a change behind a stretch": b"\x80\x04cos\nenviron\n(" + b"K\x01" * 5000 + b"u.",
    "an import below a stretch": b"\x80\x04cos\nsystem\n" + b"K\x01" * 5000 + b"0" * 5000 + b"(S'x'\ntR.",
}


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("data", ATTACKS.values(), ids=ATTACKS.keys())
def test_nothing_hides_behind_a_stretch(data: bytes) -> None:
    _, leaping, _, exact = _both(data)
    assert exact.events[-1] in leaping.events or ("call", "") in leaping.events
