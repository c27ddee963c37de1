# SPDX-License-Identifier: Apache-2.0
"""Leaps over long stretches of mere data at the speed of a compiled regular expression.

A stretch holds only literals and containers that it makes itself: nothing in it imports, calls, or changes anything from outside of it. So
all that has to be known of it is where it ends and how many entries it puts into the memo. What it leaves on the stack isn't known
(`ELASTIC`); in the rare case that somebody asks, the machine goes back and takes the stretch step by step.
"""

from __future__ import annotations

import re
from functools import cache

from bastide.verify.artifacts.pickles.literals import Buffer
from bastide.verify.artifacts.pickles.values import Plain

LONG = 1 << 20
"""Bytes of a pickle from which on leaps are tried: to compile the expressions takes a third of a second."""
WORTH = 2048
"""Bytes from which on a leap is worth its price."""
NESTED = 4
"""Containers in containers that are leapt over; deeper ones go step by step."""
ELASTIC = Plain("elastic")
"""Stands for any number of values on the stack, of a stretch that was leapt over and what stood below it since the last mark."""
UNSEEN = Plain("unseen")
"""An entry of the memo from such a stretch."""


@cache
def _patterns() -> tuple[re.Pattern[bytes], re.Pattern[bytes]]:
    sized = b"|".join(re.escape(bytes([n])) + b".{%d}" % n for n in range(256))
    literal = rb"K.|[N\x88\x89]|h.|[\x8c\x8aCU](?:" + sized + rb")|M..|G.{8}|[Jj].{4}"
    # A container that is about to be filled in a way that isn't matched stays in front of the stretch's end.
    empty = rb"(?:[)\x85\x86\x87]|[\]}\x8f](?!\x94?\())"
    value = rb"(?:\x94|" + literal + rb"|" + empty + rb")"
    for _ in range(NESTED):
        filled = rb"[\]}\x8f]\x94?(?:\(" + value + rb"*+[eu\x90])++|\(" + value + rb"*+[tld\x91]"
        value = rb"(?:\x94|" + literal + rb"|" + filled + rb"|" + empty + rb")"
    return re.compile(value + rb"*+", re.S), re.compile(
        rb"(?:" + literal + rb"|[()\]}\x8f\x85\x86\x87eu\x90tld\x91])*+\x94", re.S
    )


def stretch(data: Buffer, start: int, end: int) -> int:
    """Where the stretch of mere data that begins at `start` ends, at most `end`."""
    found = _patterns()[0].match(data, start, end)
    return found.end() if found else start


def memoized(data: Buffer, start: int, end: int) -> int:
    """How many entries a stretch puts into the memo."""
    # One more stands at the end: else the search would begin anew at each byte behind the last one.
    return _patterns()[1].subn(b"", bytes(data[start:end]) + b"\x94")[1] - 1
