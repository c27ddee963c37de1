# SPDX-License-Identifier: Apache-2.0
"""Topics that an application doesn't talk about, as phrases. A phrase is matched whatever its case, accents and spacing."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import msgspec

from bastide.recognise.normalise import normalise
from bastide.recognise.rules import LONGEST, Rule


def rules(denied: Mapping[str, Sequence[str]]) -> tuple[Rule, ...]:
    """One rule for each topic, for what people ask and what models answer.

    Raises:
        ValueError: a phrase is empty or too long to be found in a stream.
    """
    result = []
    for topic, phrases in denied.items():
        patterns = tuple(_pattern(phrase) for phrase in phrases)
        if patterns:
            rule = Rule(
                why=f"the topic `{topic}` is denied",
                directions=("user", "retrieved", "tool", "assistant"),
                patterns=patterns,
                fires=tuple(phrases),
                quiet=("nothing",),
                weight=1.0,
                view="folded",
            )
            result.append(msgspec.structs.replace(rule, id=f"topic/{topic}"))
    return tuple(result)


def _pattern(phrase: str) -> str:
    words = _plain(phrase).split()
    if not words or len(phrase) > LONGEST // 4:
        raise ValueError(f"a denied phrase has 1 to {LONGEST // 4} characters: {phrase!r}")
    body = r"[\s-]{1,4}".join(re.escape(word) for word in words)
    # `\b` knows ASCII letters only; other scripts don't all put spaces between words.
    return rf"\b{body}\b" if words[0][0].isascii() and words[-1][-1].isascii() else body


def _plain(phrase: str) -> str:
    return normalise(phrase).folded
