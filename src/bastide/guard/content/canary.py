# SPDX-License-Identifier: Apache-2.0
"""Canary tokens: strings planted in prompts and stores that have no business in an answer, whatever they are dressed up as."""

from __future__ import annotations

import codecs
import re
from base64 import b32encode, b64encode
from collections.abc import Iterator, Sequence

import msgspec

from bastide.recognise.normalise import normalise
from bastide.recognise.rules import LONGEST, Rule

_SHORTEST = 8


def rules(canaries: Sequence[str]) -> tuple[Rule, ...]:
    """Rules that find canaries in answers and arguments: as they are, with look-alike letters or things between the letters, reversed, in
    ROT13, base64 and base32, and as numbers of characters (hex, decimal, octal, binary) in any of the usual writings.

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
            view="folded",
        )
        result.append(msgspec.structs.replace(rule, id=f"canary/{number}"))
    return tuple(result)


def _patterns(canary: str) -> Iterator[str]:
    plain = normalise(canary).folded
    yield r"[\W_]{0,4}".join(re.escape(c) for c in plain)
    yield re.escape(plain[::-1])
    yield re.escape(codecs.encode(plain, "rot13"))
    raw = canary.encode()
    # `%72`, `=72`, `0x72, `, `\x72`, `\u0072`, `&#x72;`, `114 `, `&#114;`, `\162`, `01110010 `
    yield r"[^0-9a-f]{0,4}(?:0x|00)?".join(f"{byte:02x}" for byte in raw)
    yield r"[^0-9]{1,4}0{0,2}".join(str(byte) for byte in raw)
    yield r"[^0-9]{1,4}0{0,2}".join(f"{byte:o}" for byte in raw)
    if len(raw) * 10 <= LONGEST:
        yield r"[^01]{0,2}".join(f"{byte:08b}" for byte in raw)
    for shift in range(5):
        # A text in base32 or base64 reads in one of five or three ways, by where it starts; the ends mix with their neighbours.
        yield re.escape(_middle(b32encode(b"\0" * shift + raw), shift, len(raw), 5))
        if shift < 3:
            encoded = _middle(b64encode(b"\0" * shift + raw), shift, len(raw), 6)
            yield "(?-i)" + re.escape(encoded).replace(r"\+", r"[+-]").replace("/", "[/_]")


def _middle(encoded: bytes, shift: int, size: int, bits: int) -> str:
    """The characters of an encoding that only the bytes behind the shift decide."""
    return encoded.decode()[-(-shift * 8 // bits) : (shift + size) * 8 // bits]
