# SPDX-License-Identifier: Apache-2.0
"""Recognising untrusted text that comes again under a trusted role.

A client that is compromised, or just careless, may send a tool's result back as its user's message. Passages of eight words or more that
an untrusted text has, and whole short texts of three words or more, stay untrusted. Short values (an address, a name) are what users name.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from bastide.guard.flow.evidence import Said
from bastide.guard.flow.words import fold

RUN, LEAST = 8, 3
_WORD = re.compile(r"\w+")
MAX_WORDS = 2_000_000
"""Words that are remembered; beyond them every longer text under a trusted role counts as untrusted."""


class Seen:
    """The passages of untrusted texts, as hashes of runs of words; counted when they are first asked for."""

    def __init__(self) -> None:
        self._runs: set[int] = set()
        self._own: set[int] = set()
        self._short: set[int] = set()
        self._counted: set[int] = set()
        self._total = 0

    def launder(self, text: str, untrusted: Iterable[Said]) -> tuple[str, str]:
        """What of a text is new, and what of it an untrusted text said before."""
        for said in untrusted:
            if id(said) not in self._counted:
                self._counted.add(id(said))
                self._count(said.text)
        folded = fold(text)
        spots = [m.span() for m in _WORD.finditer(folded)]
        found = [folded[a:b] for a, b in spots]
        if not self._total or len(found) < LEAST:
            self._own.update(_runs(found))
            return text, ""
        old = self._old(found)
        self._own.update(h for i, h in enumerate(_runs(found)) if not any(old[i : i + RUN]))
        if not any(old):
            return text, ""
        if len(folded) != len(text) or all(old):
            # Folding moved the positions: what is left is taken from the folded text, which is looked up the same.
            text = folded
        return _cut(text, spots, old)

    def _count(self, text: str) -> None:
        found = _WORD.findall(fold(text))
        self._total += len(found)
        if self._total > MAX_WORDS:
            return
        if LEAST <= len(found) < RUN:
            self._short.add(hash(tuple(found)))
        self._runs.update(h for h in _runs(found) if h not in self._own)
        for line in text.splitlines():
            words = _WORD.findall(fold(line))
            if LEAST <= len(words) < RUN:
                self._short.add(hash(tuple(words)))

    def _old(self, found: list[str]) -> list[bool]:
        if self._total > MAX_WORDS:
            return [True] * len(found)
        if len(found) < RUN:
            return [hash(tuple(found)) in self._short] * len(found)
        old = [False] * len(found)
        for i, h in enumerate(_runs(found)):
            if h in self._runs:
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
