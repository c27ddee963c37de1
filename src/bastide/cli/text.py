# SPDX-License-Identifier: Apache-2.0
"""Text for a terminal: what a plan says can't move the cursor, colour the screen or turn the writing direction."""

from __future__ import annotations

import re

_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_TURNING = re.compile("[\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def printable(text: str) -> str:
    """The text with control characters replaced and direction marks dropped; line breaks and tabs stay."""
    return _TURNING.sub("", _CONTROL.sub("\ufffd", text.replace("\r\n", "\n")))


def one_line(text: str) -> str:
    """The same on one line."""
    return " ".join(printable(text).split())


def plural(count: int, word: str) -> str:
    """`1 finding`, `2 findings`."""
    return f"{count:,} {word}" if count == 1 else f"{count:,} {word}s"
