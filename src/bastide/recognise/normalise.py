# SPDX-License-Identifier: Apache-2.0
"""Text as detectors should see it: NFKC, without invisible characters, with look-alike letters folded; and what was hidden in it.

A detector's span points into the normalised text; `Normalised.span` maps it back, so that redactions and explanations are about the text
that was received. Sources: Unicode UAX #15 (NFKC), UTS #39 (confusables), MITRE ATLAS AML.T0068 (prompt obfuscation).
"""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_right
from pathlib import Path

import yaml
from msgspec import Struct

from bastide.errors import LimitError
from bastide.recognise.model import Detection, Span

KNOWLEDGE = Path(__file__).parents[1] / "knowledge" / "content"
"""Rules and tables as data."""
_GROWTH = 4
"""One character can become 18 under NFKC; a text that grows more than this many times is not read."""
_CONTROLS = bytes([*range(9), 11, *range(14, 32), 127])
_INVISIBLE = (
    r"\x00-\x08\x0b\x0e-\x1f\x7f-\x84\x86-\x9f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e"
    r"\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb\U0001d173-\U0001d17a\U000e0000-\U000e01ef"
)
_COMBINING = (
    r"\u0300-\u036f\u0483-\u0489\u0591-\u05bd\u05bf\u0610-\u061a\u064b-\u065f\u1161-\u11ff\u1ab0-\u1aff\u1dc0-\u1dff"
    r"\u20d0-\u20ff\u3099\u309a\ufe20-\ufe2f"
)
_RUN = re.compile(rf"[^\t\n\r\x0c -~](?:[^\t\n\r\x0c -~])*|[ -~](?=[{_COMBINING}])[^\t\n\r\x0c -~]+")
_CLUSTER = re.compile(rf"[{_INVISIBLE}]+|.[{_COMBINING}]*", re.DOTALL)
_UNSEEN = re.compile(rf"[{_INVISIBLE}]")
_SURROGATE = re.compile(r"[\ud800-\udfff]")


class Normalised(Struct, frozen=True):
    """A text in normal form. `text` and `folded` have the same length, so a position means the same in both."""

    original: str
    text: str
    """NFKC, nothing invisible."""
    folded: str
    """Also with look-alike and accented letters as ASCII: only for comparing."""
    data: bytes
    """`text` in UTF-8."""
    hidden: tuple[Detection, ...] = ()
    """Hidden text that was found, with spans in the original."""
    starts: tuple[int, ...] = ()
    """Where each piece starts in `text`; empty when `text` is the original."""
    pieces: tuple[tuple[int, int], ...] = ()
    """The range of the original that each piece comes from."""

    def span(self, start: int, end: int) -> Span:
        """The range of the original that a range of `text` comes from."""
        if not self.starts:
            return Span(start, end)
        return Span(self._at(start, False), self._at(max(end - 1, start), True))

    def _at(self, position: int, last: bool) -> int:
        index = bisect_right(self.starts, position) - 1
        start, end = self.pieces[index]
        following = self.starts[index + 1] if index + 1 < len(self.starts) else len(self.text)
        if following - self.starts[index] == end - start:
            return start + position - self.starts[index] + last
        return end if last else start

    def position(self, original: int) -> int:
        """The first position of `text` that comes from `original` or from behind it."""
        if not self.starts:
            return original
        index = bisect_right(self.pieces, (original, len(self.original) + 1)) - 1
        if index < 0:
            return 0
        start, end = self.pieces[index]
        following = self.starts[index + 1] if index + 1 < len(self.starts) else len(self.text)
        if original >= end:
            return following
        if following - self.starts[index] == end - start:
            return self.starts[index] + original - start
        return self.starts[index] if original == start else following


def normalise(text: str) -> Normalised:
    """The normal form of a text; printable ASCII is its own.

    Raises:
        LimitError: the normal form would be many times as long.
    """
    if text.isascii():
        data = text.encode("ascii")
        if len(data.translate(None, _CONTROLS)) == len(data):
            return Normalised(text, text, text, data)
    return _slow(text)


def _slow(text: str) -> Normalised:
    starts, pieces, parts = [], [], []
    done = length = 0
    bound = _GROWTH * len(text) + 1000

    def keep(part: str, start: int, end: int) -> None:
        nonlocal length
        if part:
            starts.append(length)
            pieces.append((start, end))
            parts.append(part)
            length += len(part)
            if length > bound:
                raise LimitError("the text grows too much when it is normalised")

    for run in _RUN.finditer(text):
        if run.start() > done:
            keep(text[done : run.start()], done, run.start())
        for part, start, end in _clean(run.group(), run.start()):
            keep(part, start, end)
        done = run.end()
    if done < len(text):
        keep(text[done:], done, len(text))
    plain = "".join(parts)
    hidden = _hidden(text)
    if plain == text:
        return Normalised(text, text, text.translate(_FOLD), text.encode("utf-8"), hidden)
    data = plain.encode("utf-8")
    return Normalised(
        text, plain, plain.translate(_FOLD), data, hidden, tuple(starts) or (0,), tuple(pieces) or ((0, 0),)
    )


def _clean(run: str, at: int) -> list[tuple[str, int, int]]:
    """The run in pieces: each with its normal form and the range that it comes from."""
    run = _SURROGATE.sub("\ufffd", run)
    if not _UNSEEN.search(run) and unicodedata.is_normalized("NFKC", run):
        return [(run, at, at + len(run))]
    result = []
    for cluster in _CLUSTER.finditer(run):
        part = _UNSEEN.sub("", unicodedata.normalize("NFKC", _UNSEEN.sub("", cluster.group())))
        if part:
            result.append((part, at + cluster.start(), at + cluster.end()))
    return result


def printable(text: str, most: int = 80) -> str:
    """A short form of untrusted text for explanations: one line, nothing invisible."""
    short = "".join(c if c.isprintable() else " " for c in text[: most + 1])
    return short if len(short) <= most else short[: most - 1] + "…"


_TAGS = re.compile(r"(?<![\U000e0020-\U000e007f])[\U000e0020-\U000e007f]{2,}")
_FLAG = "\U0001f3f4"
_SELECTORS = re.compile(r"[\ufe00-\ufe0f\U000e0100-\U000e01ef]{4,}")
_ZERO = re.compile(r"[\u200b-\u200d\u2060-\u2064\ufeff]{8,}")
_BIDI = re.compile(r"[\u202d\u202e]")
_SPLIT = re.compile(r"[a-zA-Z][\u00ad\u200b-\u200d\u2060-\u2064\ufeff]+(?=[a-zA-Z])")


def _hidden(text: str) -> tuple[Detection, ...]:
    """Hidden text that carries a message: tag characters (ASCII smuggling), selectors and zero-width characters as bytes, turned text."""
    found = []
    for match in _TAGS.finditer(text):
        if text[match.start() - 1 : match.start()] == _FLAG and len(match.group()) <= 8:
            continue  # a regional flag, such as Wales
        message = "".join(chr(ord(c) - 0xE0000) for c in match.group() if 0xE0020 <= ord(c) < 0xE007F)
        found.append(_detection("tag-characters", 0.97, match, f"says `{printable(message)}` in tag characters"))
    for match in _SELECTORS.finditer(text):
        raw = bytes(ord(c) - 0xFE00 if ord(c) < 0xFE10 else ord(c) - 0xE0100 + 16 for c in match.group())
        message = raw.decode("utf-8", "replace")
        found.append(_detection("variation-selectors", 0.95, match, f"`{printable(message)}` as variation selectors"))
    for match in _ZERO.finditer(text):
        message = _bits(match.group())
        found.append(_detection("zero-width", 0.9, match, f"a run of zero-width characters: `{printable(message)}`"))
    if turned := _BIDI.search(text):
        found.append(
            _detection("bidi-override", 0.6, turned, "characters are shown in another order than they are read")
        )
    split = list(_SPLIT.finditer(text))[:1000]
    if len(split) >= 3 and len(split) * 200 >= len(text):
        found.append(_detection("split-words", 0.6, split[0], f"invisible characters inside {len(split)} words"))
    return tuple(found)


def _bits(run: str) -> str:
    """Zero-width characters read as bits, most significant first, when exactly two kinds are used."""
    kinds = sorted(set(run))
    if len(kinds) != 2 or len(run) % 8:
        return ""
    bits = "".join("01"[kinds.index(c)] for c in run)
    return int(bits, 2).to_bytes(len(run) // 8, "big").decode("utf-8", "replace")


def _detection(name: str, score: float, match: re.Match[str], why: str) -> Detection:
    return Detection(f"hidden/{name}", score, (Span(match.start(), match.end()),), why)


def hidden_text(text: str) -> str:
    """The message in tag characters, to be scanned like any other text; '' when there is none."""
    return "".join(chr(ord(c) - 0xE0000) for c in text if 0xE0020 <= ord(c) < 0xE007F)


def _fold() -> dict[int, str]:
    looks: dict[str, str] = yaml.load((KNOWLEDGE / "homoglyphs.yaml").read_text("utf-8"), yaml.CSafeLoader)
    table = {ord(other): letter for letter, others in looks.items() for other in others}
    for code in [*range(0xC0, 0x250), *range(0x1E00, 0x1F00)]:
        base = unicodedata.normalize("NFD", chr(code))[0]
        if base.isascii():
            table[code] = base
    for first in (0x1F150, 0x1F170, 0x1F1E6):  # circled, squared and flag letters
        table.update({first + i: chr(ord("A") + i) for i in range(26)})
    return table


_FOLD = _fold()
