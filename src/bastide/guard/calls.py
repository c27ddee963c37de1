# SPDX-License-Identifier: Apache-2.0
"""To which tool a result belongs: it only names the id of its call."""

from __future__ import annotations

AMBIGUOUS = "(one of several calls)"
"""Stands for the tool when it can't be told: no tool has this name, so the result has the most cautious label."""


class CallNames:
    """The calls of a conversation, in their order.

    Ids may be used again when their call was answered, as some servers do. Two tools that wait under one id are a way to pass off the answer
    of one as the other's.
    """

    __slots__ = ("_names", "_open")

    def __init__(self) -> None:
        self._names: dict[str, str] = {}
        self._open: set[str] = set()

    def called(self, id: str, name: str) -> None:
        """A tool was called."""
        self._names[id] = AMBIGUOUS if id in self._open and self._names[id] != name else name
        self._open.add(id)

    def answered(self, id: str) -> str:
        """The name of the tool whose result has this id; '' when no call had it."""
        self._open.discard(id)
        return self._names.get(id, "")
