# SPDX-License-Identifier: Apache-2.0
"""Text in pictures: how wide it will be, how to cut it, and what XML can't hold."""

from __future__ import annotations

import re
from collections.abc import Sequence

_NOT_XML = re.compile("[^\t\n\r\x20-\x7e\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_TURNING = re.compile("[\u202a-\u202e\u2066-\u2069]")
_MARKUP = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;"})
_NARROW, _WIDE = set("ijltfrI.,:;'|!()[] -"), set("mwMW@%")
ELLIPSIS = "…"


def escape(text: str) -> str:
    """Text for an element or a quoted attribute: markup escaped, what XML can't hold replaced.

    Marks that turn the writing direction are dropped, so that a name can't rewrite its neighbours.
    """
    return clean(text).translate(_MARKUP)


def clean(text: str) -> str:
    """Text without characters that XML can't hold, that control a terminal or that turn the writing direction."""
    return _TURNING.sub("", _NOT_XML.sub("\ufffd", text))


def width(text: str, size: float) -> float:
    """About how wide a line of text is, erring on the wide side."""
    return sum(map(_em, text)) * size


def _em(char: str) -> float:
    if char in _NARROW:
        return 0.34
    if char in _WIDE:
        return 0.92
    if ord(char) >= 0x1100:
        return 1.1
    return 0.7 if char.isupper() else 0.57


def fit(text: str, room: float, size: float) -> str:
    """The text, cut with an ellipsis where it is wider than the room."""
    # No line is ever longer than this, so a name of a million characters costs nothing.
    text = clean(text[:200]).replace("\n", " ")
    if width(text, size) <= room:
        return text
    left = room - width(ELLIPSIS, size)
    for n, char in enumerate(text):
        left -= _em(char) * size
        if left < 0:
            return text[:n].rstrip() + ELLIPSIS
    return text


def wrap(text: str, room: float, size: float) -> list[str]:
    """The text on one or two lines, cut where two aren't enough."""
    words = clean(text[:200]).split()
    first = ""
    while words and width(f"{first} {words[0]}".strip(), size) <= room:
        first = f"{first} {words.pop(0)}".strip()
    if not first:
        return [fit(text, room, size)]
    return [first, fit(" ".join(words), room, size)] if words else [first]


def listed(words: Sequence[str], room: float, size: float) -> str:
    """As many of the words as there is room for, and how many more there are."""
    for shown in range(len(words), 0, -1):
        rest = len(words) - shown
        text = ", ".join(words[:shown]) + (f" +{rest}" if rest else "")
        if width(text, size) <= room:
            return text
    rest_mark = f" +{len(words) - 1}" if len(words) > 1 else ""
    return fit(words[0], room - width(rest_mark, size), size) + rest_mark if words else ""
