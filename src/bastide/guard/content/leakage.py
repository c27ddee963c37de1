# SPDX-License-Identifier: Apache-2.0
"""Whether an answer repeats the system prompt: word shingles that both have, in any order of lines and through light edits.

Source: A. Broder, "On the resemblance and containment of documents" (1997). A stretch of the answer counts when most of its words are
covered by shingles of the prompt; a quotation of a few words, which any honest answer may hold, does not.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from bastide.recognise.model import Detection, Span

_WORD = re.compile(r"\w+")
_SHINGLE = 3
"""Words of a shingle."""
_STRETCH = 24
"""Words that are looked at together."""
_COVERED = 14
"""Words of a stretch that have to be covered by shingles of the prompt."""
_WORDS = 20_000


class Leakage:
    """A check of answers against one system prompt; make it once for a prompt and keep it."""

    def __init__(self, prompt: str) -> None:
        self._known = frozenset(self._shingles(prompt))

    @staticmethod
    def _shingles(text: str) -> list[tuple[str, ...]]:
        words = [match.group() for match in _WORD.finditer(text[: 100 * _WORDS].lower())][:_WORDS]
        return [tuple(words[i : i + _SHINGLE]) for i in range(len(words) - _SHINGLE + 1)]

    def __call__(self, text: str) -> tuple[Detection, ...]:
        """Stretches of the text that repeat the prompt."""
        if not self._known:
            return ()
        lower = text.lower()
        quick = _WORD.findall(lower)
        if self._known.isdisjoint(zip(quick, quick[1:], quick[2:], strict=False)):  # as most answers are
            return ()
        places = list(_WORD.finditer(lower))
        words = [match.group() for match in places]
        covered = [False] * len(words)
        for i in range(len(words) - _SHINGLE + 1):
            if tuple(words[i : i + _SHINGLE]) in self._known:
                covered[i : i + _SHINGLE] = [True] * _SHINGLE
        first = self._first(covered)
        if first is None:
            return ()
        last = max(i for i, yes in enumerate(covered) if yes)
        count = sum(covered[first : last + 1])
        span = Span(min(places[first].start(), len(text)), min(places[last].end(), len(text)))
        return (Detection("leakage/system-prompt", 0.95, (span,), f"{count} words in the order of the system prompt"),)

    @staticmethod
    def _first(covered: Sequence[bool]) -> int | None:
        """Where the first stretch begins that holds too much of the prompt."""
        count = 0
        for i, yes in enumerate(covered):
            count += yes - (covered[i - _STRETCH] if i >= _STRETCH else False)
            if count >= _COVERED:
                return next(j for j in range(max(0, i - _STRETCH + 1), i + 1) if covered[j])
        return None
