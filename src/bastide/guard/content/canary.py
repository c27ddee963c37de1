# SPDX-License-Identifier: Apache-2.0
"""Canary tokens: strings planted in prompts and stores that have no business in an answer, whatever they are dressed up as."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Iterator, Sequence

import msgspec

from bastide.guard.content.rules import LONGEST, Rule

_SHORTEST = 8


def rules(canaries: Sequence[str]) -> tuple[Rule, ...]:
    """Rules that find canaries in answers: as they are, reversed, in base64, in hex, spaced out.

    Raises:
        ValueError: a canary is so short that it could stand in a text by chance, or too long to be found in a stream.
    """
    result = []
    for number, canary in enumerate(canaries, 1):
        if not _SHORTEST <= len(canary) <= LONGEST // 8:
            raise ValueError(
                f"canary {number} has {len(canary)} characters; {_SHORTEST} to {LONGEST // 8} can be looked for"
            )
        rule = Rule(
            why=f"canary {number} is in the text",
            directions=("assistant",),
            patterns=tuple(dict.fromkeys(_patterns(canary))),
            fires=(canary,),
            quiet=("nothing",),
            weight=1.0,
        )
        result.append(msgspec.structs.replace(rule, id=f"canary/{number}"))
    return tuple(result)


def _patterns(canary: str) -> Iterator[str]:
    yield r"[\s._*|-]{0,3}".join(re.escape(c) for c in canary)
    yield re.escape(canary[::-1])
    raw = canary.encode()
    yield re.escape(raw.hex())
    for shift in range(3):
        # A text in base64 reads in one of three ways, by where it starts; the ends mix with their neighbours.
        encoded = b64encode(b"\0" * shift + raw).decode().rstrip("=")
        start = -(-shift * 8 // 6)
        whole = (shift + len(raw)) * 8 // 6
        yield "(?-i)" + re.escape(encoded[start:whole]).replace(r"\+", r"[+-]").replace("/", "[/_]")
