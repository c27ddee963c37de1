# SPDX-License-Identifier: Apache-2.0
"""Where markdown shows code as code: fenced blocks (CommonMark 0.31 §4.5) and code spans within a line (§6.1)."""

from __future__ import annotations

import re

_FENCE = re.compile(r"^ {0,3}(`{3,}|~{3,})([^\n]{0,200})", re.MULTILINE)
_TICKS = re.compile(r"`+")
_REACH = 200
"""Characters of a line before and after a place that are looked at."""


class Fences:
    """Follows fenced code blocks through a text that comes in windows. Positions in windows only ever grow."""

    def __init__(self) -> None:
        self._open = ""
        self._done = 0

    def advance(self, window: str, base: int, end: int) -> None:
        """Reads all fences that begin before `end` of the window, which begins at `base` of the text."""
        self._open = self._walk(window, base, end)
        self._done = max(self._done, base + end)

    def inside(self, window: str, base: int, place: int) -> bool:
        """Whether a place in the window is in a fenced block."""
        return bool(self._walk(window, base, place))

    def _walk(self, window: str, base: int, end: int) -> str:
        state = self._open
        for match in _FENCE.finditer(window, max(self._done - base, 0)):
            if match.start() >= end:
                break
            state = _next(state, match.group(1), match.group(2))
        return state


def _next(state: str, fence: str, rest: str) -> str:
    if not state:
        # A line such as ```code``` is a code span, not a fence.
        return "" if fence[0] == "`" and "`" in rest else fence
    closes = fence[0] == state[0] and len(fence) >= len(state) and not rest.strip()
    return "" if closes else state


def inline(text: str, start: int, end: int) -> bool:
    """Whether a range is in a code span that begins and ends in its own line."""
    first = max(text.rfind("\n", 0, start) + 1, start - _REACH)
    last = text.find("\n", end)
    last = min(len(text) if last < 0 else last, max(end, start + 2 * _REACH))
    opened: tuple[int, int] | None = None
    for match in _TICKS.finditer(text, first, last):
        if opened is None:
            if match.start() >= start:
                return False
            opened = match.start(), len(match.group())
        elif len(match.group()) == opened[1]:
            if match.start() >= end:
                return True
            opened = None
    return False
