# SPDX-License-Identifier: Apache-2.0
"""What stands in a text in another writing: base64, base32, hex, percent, entities, escapes, ROT13, leet, Morse, spaced or reversed.

Each decoding is a view that is scanned like a text of its own; what is found there is reported at the place of the encoded part. Ordinary
base64 (images, tokens) decodes to bytes that are no text and makes no view. Source: MITRE ATLAS AML.T0068.
"""

from __future__ import annotations

import binascii
import html
import re
from base64 import b32decode, b64decode
from collections.abc import Callable, Iterator
from itertools import islice
from urllib.parse import unquote_to_bytes

import re2  # type: ignore[import-untyped]
from msgspec import Struct

from bastide.recognise.model import Span
from bastide.recognise.normalise import Normalised, hidden_text

DEPTH = 3
"""Encodings inside of encodings."""
_VIEWS = 32
_SIZE = 64 * 1024
"""Characters of one encoded part that are decoded."""


class View(Struct, frozen=True):
    """A decoded part of a text."""

    text: str
    span: Span
    """Of the encoded part, in the original text."""
    how: str


def _bytes(decoded: bytes) -> str:
    """The text that bytes are; '' when they are none."""
    wide = len(decoded) % 2 == 0 and decoded.count(0) * 4 >= len(decoded)
    try:
        text = decoded.decode("utf-16-le" if wide else "utf-8")
    except UnicodeDecodeError:
        return ""
    odd = sum(not (c.isprintable() or c in "\r\n\t") for c in text[:2000])
    return text if odd * 20 <= len(text[:2000]) else ""


def _base64(part: str) -> str:
    part = re.sub(r"[\s=]", "", part).translate({45: "+", 95: "/"})
    try:
        return _bytes(b64decode(part[: len(part) - (len(part) % 4 == 1)] + "=" * (-len(part) % 4)))
    except (binascii.Error, ValueError):
        return ""


def _base32(part: str) -> str:
    part = part.rstrip("=").upper()
    try:
        return _bytes(b32decode(part + "=" * (-len(part) % 8)))
    except (binascii.Error, ValueError):
        return ""


def _hex(part: str) -> str:
    digits = re.sub(r"0x|\\x|[^0-9a-fA-F]", "", part)
    return _bytes(bytes.fromhex(digits[: len(digits) // 2 * 2]))


def _binary(part: str) -> str:
    digits = re.sub(r"[^01]", "", part)
    return _bytes(int(digits, 2).to_bytes(len(digits) // 8, "big"))


def _escapes(part: str) -> str:
    text = re.sub(r"\\u\{?([0-9a-fA-F]{4,6})\}?|\\U([0-9a-fA-F]{8})|\\x([0-9a-fA-F]{2})", _character, part)
    # Surrogate pairs are how JSON and JavaScript write what lies outside of the first plane.
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def _character(match: re.Match[str]) -> str:
    code = int(next(filter(None, match.groups())), 16)
    return chr(code) if code < 0x110000 else ""


def _percent(part: str) -> str:
    return _bytes(unquote_to_bytes(part.replace("+", " ")))


def _spaced(part: str) -> str:
    """`i g n o r e   t h i s`: wider gaps are the gaps between words."""
    separator = part[1]
    words = re.split(rf"[{re.escape(separator)} ]{{2,}}", part)
    return " ".join(re.sub(rf"[{re.escape(separator)}]", "", word) for word in words)


_MORSE = dict(
    zip(
        re.split(" ", ".- -... -.-. -.. . ..-. --. .... .. .--- -.- .-.. -- -. --- .--. --.- .-. ... - ..- ...- .-- -..- -.-- --.. "
                 "----- .---- ..--- ...-- ....- ..... -.... --... ---.. ----."),
        "abcdefghijklmnopqrstuvwxyz0123456789",
        strict=True,
    )
)  # fmt: skip


def _morse(part: str) -> str:
    words = re.split(r"\s*/\s*|\s{2,}", part.strip())
    return " ".join("".join(_MORSE.get(code, "") for code in word.split()) for word in words)


_ROT13 = str.maketrans(
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ", "nopqrstuvwxyzabcdefghijklmNOPQRSTUVWXYZABCDEFGHIJKLM"
)
_LEET = str.maketrans("013457@$!|", "oieastasil")

_PARTS: tuple[tuple[str, str, Callable[[str], str]], ...] = (
    ("base64", r"(?:[A-Za-z0-9+/_-]{20,}(?:\r?\n[A-Za-z0-9+/_-]{20,})*)(?:\r?\n[A-Za-z0-9+/_-]+)?={0,2}", _base64),
    ("base32", r"(?-i)[A-Z2-7]{24,}={0,6}", _base32),
    ("hex", r"(?:(?:0x|\\x)?[0-9a-f]{2}[\s,:]?){12,}", _hex),
    ("binary", r"(?:[01]{8}[\s,]?){8,}", _binary),
    ("percent", r"(?:[\w.+-]{0,20}%[0-9a-f]{2}){4,}[\w.+-]{0,20}", _percent),
    ("entities", r"(?:[^&\n]{0,3}&(?:#x?[0-9a-f]{1,6}|[a-z]{2,8});){4,}[^&\n]{0,3}", html.unescape),
    ("escapes", r"(?:[^\\\n]{0,3}\\(?:u\{?[0-9a-f]{4,6}\}?|U[0-9a-f]{8}|x[0-9a-f]{2})){4,}", _escapes),
    ("spaced", r"\b(?:[a-z0-9](?: {1,3}|[._*|-]{1,2}| ?[._*|-] ?)){10,}[a-z0-9]\b", _spaced),
    ("morse", r"(?:[.-]{1,5}(?:\s{0,2}/\s{0,2}| {1,3})){10,}[.-]{0,5}", _morse),
)
_WHOLE: tuple[tuple[str, str, Callable[[str], str]], ...] = (
    ("rot13", r"\b(?:vtaber|qvfertneq|vafgehpgvbaf?|cerivbhf|cebzcg|erfgevpgvbaf|olcnff|erirny)\b", lambda t: t.translate(_ROT13)),
    ("reversed", r"(?:snoitcurtsni|erongi|drager?sid|tpmorp|suoiverp|ssapyb)", lambda t: t[::-1]),
    ("leet", r"\b[a-z]*[a-z][013457@$!|][a-z][a-z013457@$!|]*\s+\S*[a-z0-9]*[a-z][013457@$!|]", lambda t: t.translate(_LEET)),
)  # fmt: skip


def _options() -> re2.Options:
    options = re2.Options()
    options.case_sensitive = False
    options.log_errors = False
    options.max_mem = 32 * 1024 * 1024
    return options


_KINDS = [(name, re2.compile(pattern, _options()), decode) for name, pattern, decode in _PARTS + _WHOLE]
_TRIGGERS = re2.Set.SearchSet(_options())
for _name, _pattern, _decoder in _PARTS + _WHOLE:
    _TRIGGERS.Add(_pattern)
_TRIGGERS.Compile()


def views(text: Normalised) -> Iterator[View]:
    """The decodings of a text's encoded parts, at most 32."""
    if text.original is not text.text and (message := hidden_text(text.original)):
        yield View(message, Span(0, len(text.original)), "tag-characters")
    hits = _TRIGGERS.Match(text.data)
    if hits:
        yield from islice(_decode(text, hits), _VIEWS)


def _decode(text: Normalised, hits: list[int]) -> Iterator[View]:
    for index in sorted(hits):
        name, pattern, decode = _KINDS[index]
        if index >= len(_PARTS):
            yield View(decode(text.text[:_SIZE]), text.span(0, len(text.text)), name)
            continue
        for match in pattern.finditer(text.text):
            part = match.group()[:_SIZE]
            decoded = decode(part)
            if decoded.strip() and decoded != part:
                yield View(decoded, text.span(match.start(), match.end()), name)
