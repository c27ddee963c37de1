# SPDX-License-Identifier: Apache-2.0
"""What is wrong with a tool's description before anybody calls it: poisoned, hidden or posing as another server's.

A description is read by the model as if the developer had written it, and its author is whoever runs the server. Sources: "tool poisoning"
and "tool shadowing" (Invariant Labs, 2025); MITRE ATLAS AML.T0051.001 (indirect prompt injection); Unicode TR 39 (confusables).
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping
from typing import Any

import re2  # type: ignore[import-untyped]  # it has no types

from bastide.guard.mcp.content import texts
from bastide.guard.mcp.gate import Incident

_ORDERS = (
    (
        r"<\s*/?\s*(important|system|instructions?|secret|hidden|critical)\s*>",
        "has a tag that marks orders to the model",
    ),
    (
        r"\b(ignore|disregard|forget|override)\b[^.\n]{0,40}\b(previous|prior|above|earlier|other|system|all)\b"
        r"[^.\n]{0,40}\b(instructions?|prompts?|rules?|tools?|messages?)\b",
        "tells the model to ignore instructions",
    ),
    (
        r"\b(do not|don'?t|never|without)\b[^.\n]{0,30}\b(tell|mention|inform|reveal|notify|show|ask)(ing)?\b"
        r"[^.\n]{0,30}\b(user|human|person|customer|anyone|him|her|them)\b",
        "tells the model to keep something from the user",
    ),
    (
        r"\b(before|prior to|whenever|when|after|each time|every time)\b[^.\n]{0,40}\b(using|calling|invoking|you use|you call)\b"
        r"[^.\n]{0,60}\b(must|first|always|also|read|call|send|pass|include)\b",
        "gives orders about when to do something else",
    ),
    (
        r"\b(you|the (assistant|model|ai|agent)) (must|should|shall|have to|need to) (always|first|also|never|immediately)\b",
        "gives orders to the model",
    ),
    (
        r"(\.ssh/|id_rsa|id_ed25519|\.aws/credentials|/etc/(passwd|shadow)|\.env\b|mcp\.json|\.kube/config|\.netrc)",
        "names a file with credentials",
    ),
    (
        r"\b(system prompt|(conversation|chat) history|previous messages|full conversation)\b",
        "asks for the conversation",
    ),
    (r"\binstead of\b[^.\n]{0,40}\btools?\b", "asks to be used in place of another tool"),
)
_PATTERNS = tuple((re2.compile("(?i)" + pattern), why) for pattern, why in _ORDERS)
_CONFUSABLE: Mapping[str, tuple[int, ...]] = {
    "a": (0x430, 0x3B1, 0x251), "c": (0x441, 0x3F2), "d": (0x501,), "e": (0x435, 0x4BD, ord("3")), "g": (0x261,),
    "h": (0x4BB,), "i": (0x456, 0x3B9, 0x131, 0x26A, ord("l"), ord("1"), 0x4CF), "j": (0x458, 0x3F3), "k": (0x3BA, 0x43A),
    "m": (0x43C,), "n": (0x578, 0x3B7), "o": (0x43E, 0x3BF, 0x585, ord("0")), "p": (0x440, 0x3C1), "q": (0x51B,),
    "s": (0x455, ord("5")), "t": (0x442, 0x3C4), "u": (0x3C5, 0x57D, 0x1D1C), "v": (0x475, 0x3BD), "w": (0x51D, 0x461),
    "x": (0x445, 0x3C7), "y": (0x443, 0x3B3),
}  # fmt: skip
"""Letter -> code points that look like it: of the Cyrillic, Greek and Armenian alphabets, and digits."""
_LOOKALIKES = {point: letter for letter, points in _CONFUSABLE.items() for point in points}
_SEPARATORS = str.maketrans("", "", "_-. /:")
_PLAIN = frozenset("\t\n\r")
MAX_NAMES = 5_000
_SHORT = 5
"""Names shorter than this are words too often to say that a description means the tool."""


def skeleton(name: str) -> str:
    """A name as a hurried reader sees it: case, separators, width and look-alike letters don't count."""
    return unicodedata.normalize("NFKC", name).casefold().translate(_LOOKALIKES).translate(_SEPARATORS)


def invisible(text: str) -> str:
    """The first character that a person doesn't see, as `U+200B`; '' when there is none."""
    if text.isascii() and text.isprintable():
        return ""
    for character in text:
        # Cf: format (zero width, direction, tags), Cc: control, Co: private use, Cs: surrogates, Cn: unassigned.
        if (character not in _PLAIN and unicodedata.category(character)[0] == "C") or _selector(character):
            return f"U+{ord(character):04X}"
    return ""


def _selector(character: str) -> bool:
    """Whether it is one of the 240 supplementary variation selectors, which nothing but smuggling uses in running text."""
    return 0xE0100 <= ord(character) <= 0xE01EF


class Names:
    """The names of one server's tools, to be found by what they look like."""

    __slots__ = ("_alike", "_exact")

    def __init__(self, names: Iterable[str] = ()) -> None:
        self._alike: dict[str, str] = {}
        self._exact: set[str] = set()
        for name in names:
            self.add(name)

    def add(self, name: str) -> None:
        """Adds a name; over 5,000 no more are kept."""
        if len(self._exact) < MAX_NAMES:
            self._exact.add(name)
            self._alike.setdefault(skeleton(name), name)

    def like(self, name: str) -> str:
        """A name that is, or looks like, this one; '' when none does."""
        return self._alike.get(skeleton(name), "")

    def among(self, words: frozenset[str]) -> str:
        """A name among the words; '' when there is none."""
        found = self._exact & words
        return min((one for one in found if len(one) >= _SHORT and _is_name(one)), default="")


def findings(tool: Mapping[str, Any], others: Mapping[str, Names]) -> list[Incident]:
    """What is wrong with a tool.

    Parameters: `tool` as on the wire; `others`: other servers -> the names of their tools.
    """
    name = str(tool.get("name", ""))
    found = [text.text for text in texts(dict(tool))[0]] + _keys(tool)
    return _hidden(name, found) + _shadows(name, found, others)


def _hidden(name: str, found: list[str]) -> list[Incident]:
    for text in found:
        if seen := invisible(text):
            return [Incident("hidden", name, f"the description of `{name[:80]}` has the invisible character {seen}")]
    for text in found:
        for pattern, why in _PATTERNS:
            if pattern.search(text):
                return [Incident("hidden", name, f"the description of `{name[:80]}` {why}")]
    return []


def orders(text: str) -> str:
    """Why a text reads like orders to a model; '' when it doesn't."""
    seen = invisible(text)
    if seen:
        return f"has the invisible character {seen}"
    return next((why for pattern, why in _PATTERNS if pattern.search(text)), "")


def _shadows(name: str, found: list[str], others: Mapping[str, Names]) -> list[Incident]:
    words = frozenset(re2.findall(r"[\w.\-/]+", "\n".join(found))) - {name} if others else frozenset()
    for server, names in others.items():
        if other := names.like(name):
            why = f"`{name[:80]}` has the same or a confusable name as `{other[:80]}` of the server `{server}`"
            return [Incident("shadowing", name, why)]
        if other := names.among(words):
            why = f"the description of `{name[:80]}` speaks of `{other[:80]}` of the server `{server}`"
            return [Incident("shadowing", name, why)]
    return []


def _is_name(word: str) -> bool:
    """Whether it is written like the name of a tool; `search` may be just a verb."""
    return any(c in "_-./" or c.isdigit() for c in word) or (word != word.lower() and word[1:] != word[1:].lower())


def _keys(document: Any) -> list[str]:
    """Keys in a document: property names of a schema are read by the model too."""
    waiting, found = [document], []
    while waiting:
        one = waiting.pop()
        if isinstance(one, Mapping):
            found += list(one)
            waiting += one.values()
        elif isinstance(one, list):
            waiting += one
    return found
