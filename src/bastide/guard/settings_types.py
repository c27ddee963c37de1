# SPDX-License-Identifier: Apache-2.0
"""The types of values in the settings: each with the rule that its values have to keep, and the words for messages.

The types of names, addresses and numbers are plain `str`, `int` and `float` for whoever makes settings in code; the reader keeps the rules.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import ip_network
from typing import Annotated, Any
from urllib.parse import SplitResult, urlsplit

from bastide.guard.model import CLASSES
from bastide.plan.vocabulary import TRUST_LEVELS
from bastide.recognise.model import DIRECTIONS


@dataclass(frozen=True, slots=True)
class Rule:
    """What a value has to be beyond its type."""

    holds: Callable[[Any], bool]
    wanted: str
    """In words, for messages."""
    words: tuple[str, ...] = ()
    """What may stand there, where that is a list."""


def from_to(least: int, most: int) -> Rule:
    """A range, both ends included."""
    return Rule(lambda n: least <= n <= most, f"a whole number, {least} to {most}")


def one_of(words: tuple[str, ...]) -> Rule:
    """Some words."""
    return Rule(words.__contains__, "one of the known words", words)


def _address(text: str, *schemes: str) -> SplitResult | None:
    """The parts of an address; None when it isn't one."""
    try:
        parts = urlsplit(text)
        # Reading the port raises for one that is none.
        whole = parts.scheme in schemes and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return None
    return parts if whole and text.isprintable() and " " not in text else None


def _key_set(text: str) -> bool:
    return (text.startswith("file:") and len(text) > 5) or _address(text, "https") is not None


def _network(text: str) -> bool:
    try:
        return bool(ip_network(text, strict=False))
    except ValueError:
        return False


ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "Ed25519")
"""Signatures of tokens. No symmetric one: with it, who can check can also sign."""
ROLES = ("decide-approvals", "operate")

Seconds = Annotated[float, Rule(lambda s: 0 < s < 1e9, "a time, longer than nothing")]
"""Written as a number or with a unit: `500ms`, `30s`, `15m`, `1h`, `7d`."""
Positive = Annotated[int, Rule(lambda n: n > 0, "a whole number, 1 or more")]
Probability = Annotated[float, Rule(lambda p: p <= 1, "a number from 0 to 1")]
Name = Annotated[str, Rule(lambda s: bool(s) and s.isprintable(), "a name")]
Trust = Annotated[str, one_of(TRUST_LEVELS)]
DataClass = Annotated[str, one_of(CLASSES)]
Web = Annotated[str, Rule(lambda s: _address(s, "http", "https") is not None, "an address such as `https://host/path`")]
KeySetPlace = Annotated[str, Rule(_key_set, "a `file:` path or an `https:` address")]
Network = Annotated[str, Rule(_network, "a network such as `10.0.0.0/8`")]
Digest = Annotated[str, Rule(lambda s: len(s) == 64 and not set(s) - set("0123456789abcdef"),
    "64 hexadecimal digits in lower case, as `bastide guard key new` prints them")]  # fmt: skip
Algorithm = Annotated[str, one_of(ALGORITHMS)]
Role = Annotated[str, one_of(ROLES)]
Spoken = Annotated[str, one_of(DIRECTIONS)]
"""Whose text it is."""
Effect = Annotated[str, one_of(("none", "read", "reversible", "irreversible"))]
MemoryUse = Annotated[str, one_of(("write", "read"))]
