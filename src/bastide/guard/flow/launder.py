# SPDX-License-Identifier: Apache-2.0
"""Recognising untrusted text that comes again under a trusted role.

A client that is compromised, or just careless, may send a tool's result back as its user's message. Passages of eight words or more that
an untrusted text has, and whole short texts of three words or more, stay untrusted. Short values (an address, a name) are what users name.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from bastide.guard.flow.evidence import Said
from bastide.guard.flow.words import fold, words

RUN, LEAST = 8, 3
_WORD = re.compile(r"\w+")
SEARCHED = 30_000_000
"""Characters times words up to which searching is quicker."""
MAX_WORDS = 2_000_000
"""Words that are remembered; beyond them every longer text under a trusted role counts as untrusted."""


class Seen:
    """The passages of untrusted texts. Short questions are answered by searching, long ones by hashes of runs of words."""

    def __init__(self) -> None:
        self._mine: list[str] = []
        self._runs: set[int] = set()
        self._own: set[int] = set()
        self._counted: set[int] = set()
        self._total = 0

    def launder(self, text: str, untrusted: Sequence[Said]) -> tuple[str, str]:
        """What of a text is new, and what of it an untrusted text said before."""
        if not untrusted:
            self.remember(text)
            return text, ""
        folded = fold(text)
        spots = [m.span() for m in _WORD.finditer(folded)]
        found = [folded[a:b] for a, b in spots]
        old = self._old(found, untrusted) if len(found) >= LEAST else [False] * len(found)
        if not any(old):
            self.remember(text)
            return text, ""
        # Where folding moved the positions, what is left is taken from the folded text, which is looked up the same.
        new, again = _cut(text if len(folded) == len(text) else folded, spots, old)
        self.remember(new)
        return new, again

    def remember(self, text: str) -> None:
        """A text that the user or the system wrote first: it stays theirs when a tool repeats it."""
        self._mine.append(text)

    def _old(self, found: list[str], untrusted: Sequence[Said]) -> list[bool]:
        if len(found) < RUN:
            line = f" {' '.join(found)} "
            return [any(line in s.words and line in s.lines for s in untrusted)] * len(found)
        size = sum(len(s.text) for s in untrusted)
        if size * len(found) <= SEARCHED:
            return self._by_search(found, untrusted)
        return self._by_runs(found, untrusted)

    def _by_search(self, found: list[str], untrusted: Sequence[Said]) -> list[bool]:
        theirs = "\n".join(s.words for s in untrusted)
        mine = "\n".join(words(t) for t in self._mine)
        old = [False] * len(found)
        for i in range(len(found) - RUN + 1):
            run = f" {' '.join(found[i : i + RUN])} "
            if run in theirs and run not in mine:
                old[i : i + RUN] = [True] * RUN
        return old

    def _by_runs(self, found: list[str], untrusted: Sequence[Said]) -> list[bool]:
        while self._mine:
            self._own.update(_runs(words(self._mine.pop()).split()))
        for said in untrusted:
            if id(said) not in self._counted:
                self._counted.add(id(said))
                theirs = said.words.split()
                self._total += len(theirs)
                if self._total <= MAX_WORDS:
                    self._runs.update(h for h in _runs(theirs) if h not in self._own)
        if self._total > MAX_WORDS:
            return [True] * len(found)
        old = [False] * len(found)
        for i, h in enumerate(_runs(found)):
            if h in self._runs and h not in self._own:
                old[i : i + RUN] = [True] * RUN
        return old


def _runs(found: list[str]) -> Iterable[int]:
    return [hash(run) for run in zip(*(found[i:] for i in range(RUN)), strict=False)]


def _cut(text: str, spots: list[tuple[int, int]], old: list[bool]) -> tuple[str, str]:
    """The text in two: without the marked words, and only the marked words, each with what stands between them."""
    new: list[str] = []
    again: list[str] = []
    at = 0
    for i, (_, end) in enumerate(spots):
        until = spots[i + 1][0] if i + 1 < len(spots) else len(text)
        (again if old[i] else new).append(text[at:until])
        at = max(until, end)
    return "".join(new).strip(), "".join(again).strip()
