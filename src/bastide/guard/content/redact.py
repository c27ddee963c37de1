# SPDX-License-Identifier: Apache-2.0
"""Reversible redaction: a placeholder instead of a value, and the value back again in the answer.

A `Vault` belongs to one session. The same value has the same placeholder all through it, so that a model can still tell people apart. What
looks like a placeholder in incoming text is itself replaced (by `<LITERAL_1>`), so nobody can write one and be given another's value; and
what is restored is never read again.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

PLACEHOLDER = re.compile(r"<[A-Z][A-Z0-9]{1,15}_[0-9]{1,6}>")
_BEGUN = re.compile(r"<(?:[A-Z][A-Z0-9]{0,15}(?:_[0-9]{0,6})?)?\Z")
_VALUES = 10_000
_CHARACTERS = 2_000_000


class Vault:
    """The values that were taken out of the texts of one session. Full, it takes no more, and redaction is for good from then on."""

    def __init__(self) -> None:
        self._values: dict[str, str] = {}
        self._names: dict[tuple[str, str], str] = {}
        self._counts: dict[str, int] = {}
        self._characters = 0

    def __len__(self) -> int:
        return len(self._values)

    def hide(self, label: str, value: str) -> str:
        """The placeholder for a value; the same for the same value."""
        known = self._names.get((label, value))
        if known:
            return known
        if len(self._values) >= _VALUES or self._characters + len(value) > _CHARACTERS:
            return f"[redacted: {label.lower()}]"
        number = self._counts[label] = self._counts.get(label, 0) + 1
        name = f"<{label}_{number}>"
        self._names[label, value] = name
        self._values[name] = value
        self._characters += len(value)
        return name

    def restore(self, text: str) -> str:
        """The text with the values of this session's placeholders; unknown placeholders stay as they are."""
        if not self._values or "<" not in text:
            return text
        return PLACEHOLDER.sub(lambda match: self._values.get(match.group(), match.group()), text)


def unfinished(text: str) -> int:
    """Where a placeholder begins that may go on behind the end of the text; its length when none does."""
    at = text.rfind("<", max(0, len(text) - 25))
    return at if at >= 0 and _BEGUN.match(text, at) else len(text)


def replace(text: str, pieces: Iterable[tuple[int, int, str]]) -> str:
    """The text with ranges replaced. Ranges that overlap are cut to what the earlier ones leave."""
    parts, done = [], 0
    for start, end, instead in sorted(pieces, key=lambda piece: (piece[0], -piece[1])):
        if end > done:
            parts += [text[done : max(start, done)], instead]
            done = end
    return "".join([*parts, text[done:]])
