# SPDX-License-Identifier: Apache-2.0
"""Limits on what one session may do, so that an agent that goes in circles or spawns agents without end is stopped.

Source: OWASP LLM10:2025 (unbounded consumption), MITRE ATLAS AML.T0034 (cost harvesting).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bastide.errors import OverLimit
from bastide.guard.approvals.canonical import digest
from bastide.guard.settings import Loops


class LoopGuard:
    """The counters of one session. They only grow, and hold at most `Loops.calls` digests.

    What was refused, or waits for a person, has a bound of its own: an agent that asks again whether it may now is in no loop of calls.
    """

    def __init__(self, loops: Loops) -> None:
        self._loops = loops
        self._calls = 0
        self._refused = 0
        self._children = 0
        self._same: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._same)

    def under(self, loops: Loops) -> LoopGuard:
        """The same counters under other limits."""
        other = LoopGuard(loops)
        other._calls, other._refused, other._children = self._calls, self._refused, self._children
        other._same = dict(self._same)
        return other

    def turns(self, count: int) -> None:
        """The session has `count` messages. Raises `OverLimit`."""
        self._within("turns", count, self._loops.turns, "messages")

    def proposed(self, tool: str, arguments: Mapping[str, Any] | None) -> str:
        """A tool call is proposed; the digest under which `count` counts it, once it is decided.

        Raises `OverLimit` when it would be one too many, the same one too often, or when too many were refused before.
        """
        same = digest([tool, arguments])
        self._within("refused", self._refused, self._loops.refused, "refused tool calls")
        self._within("calls", self._calls + 1, self._loops.calls, "tool calls")
        often = self._same.get(same, 0) + 1
        self._within("same_call", often, self._loops.same_call, f"calls of `{tool[:80]}` with the same arguments")
        return same

    def count(self, same: str, *, made: bool) -> None:
        """A proposed call was decided: it is made, or not."""
        if made:
            self._calls += 1
            self._same[same] = self._same.get(same, 0) + 1
        else:
            self._refused += 1

    def child(self, depth: int) -> None:
        """One more sub-agent starts, `depth` levels below the session's own agent. Raises `OverLimit`."""
        self._within("depth", depth, self._loops.depth, "levels of sub-agents")
        self._children += 1
        self._within("children", self._children, self._loops.children, "sub-agents")

    def _within(self, which: str, count: int, limit: int, what: str) -> None:
        if count > limit:
            raise OverLimit(
                f"this session has {count} {what}; at most {limit} are allowed (`loops.{which.replace('_', '-')}`)",
                code="loop_limit",
                details={"limit": which, "count": count, "allowed": limit},
            )
