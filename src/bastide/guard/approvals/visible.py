# SPDX-License-Identifier: Apache-2.0
"""Text as a person has to see it before agreeing to it: what is invisible or turns the writing direction is shown by its number.

Source: Unicode Technical Report 36 (bidirectional text spoofing), CVE-2021-42574, MITRE ATLAS AML.T0068 (hidden text).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from unicodedata import category

_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
_BLANK = frozenset("\u00ad\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0") | {
    chr(c) for c in (*range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0))
}
"""Letters and marks that most fonts draw as nothing."""


def pieces(text: str) -> Iterator[tuple[bool, str]]:
    """The text in order; True with `U+202E` and the like in the place of a character that can't be seen. Line breaks and tabs stay."""
    plain = ""
    for character in text:
        if character not in "\n\t" and (category(character) in _HIDDEN or character in _BLANK or _odd_space(character)):
            if plain:
                yield False, plain
                plain = ""
            yield True, f"U+{ord(character):04X}"
        else:
            plain += character
    if plain:
        yield False, plain


def _odd_space(character: str) -> bool:
    return character != " " and category(character) == "Zs"


def written(value: Any) -> str:
    """An argument's value in full: a text as it is, anything else as JSON."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, indent=1)
