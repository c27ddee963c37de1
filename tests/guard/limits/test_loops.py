# SPDX-License-Identifier: Apache-2.0
"""What one session may do."""

from __future__ import annotations

from typing import Any

import pytest

from bastide.errors import OverLimit
from bastide.guard.limits.loops import LoopGuard
from bastide.guard.settings import Loops


def make(guard: LoopGuard, tool: str, arguments: dict[str, Any], *, made: bool = True) -> None:
    guard.count(guard.proposed(tool, arguments), made=made)


def test_the_same_call_again_and_again() -> None:
    """The same call with the same arguments, in whichever order they are written, is allowed three times."""
    guard = LoopGuard(Loops())
    for arguments in ({"a": 1, "b": 2}, {"b": 2, "a": 1}, {"a": 1, "b": 2}):
        make(guard, "read", arguments)
    make(guard, "read", {"a": 2, "b": 2})
    make(guard, "write", {"a": 1, "b": 2})
    with pytest.raises(OverLimit) as caught:
        make(guard, "read", {"a": 1, "b": 2})
    assert (caught.value.code, caught.value.details["limit"]) == ("loop_limit", "same_call")


def test_what_is_refused_has_its_own_bound() -> None:
    """Asking again whether a person has agreed takes nothing from the calls that may be made, and still has an end."""
    guard = LoopGuard(Loops(calls=2, same_call=1, refused=5))
    for _ in range(6):
        make(guard, "pay", {"to": "x"}, made=False)
    with pytest.raises(OverLimit) as caught:
        guard.proposed("pay", {"to": "x"})
    assert caught.value.details["limit"] == "refused"
    guard = LoopGuard(Loops(calls=2, same_call=1, refused=5))
    for _ in range(5):
        make(guard, "pay", {"to": "x"}, made=False)
    make(guard, "pay", {"to": "x"})


@pytest.mark.parametrize("which", ["calls", "turns", "depth", "children"])
def test_each_limit(which: str) -> None:
    """Up to the limit is fine, one more is not."""
    guard = LoopGuard(Loops(calls=2, turns=2, depth=2, children=2))
    act = {
        "calls": lambda n: make(guard, "t", {"n": n}), "turns": guard.turns, "depth": guard.child, "children": lambda _: guard.child(1),
    }[which]  # fmt: skip
    act(1)
    act(2)
    with pytest.raises(OverLimit) as caught:
        act(3)
    assert which == caught.value.details["limit"]
