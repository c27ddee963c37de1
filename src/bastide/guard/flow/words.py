# SPDX-License-Identifier: Apache-2.0
"""Forms of a text in which values are looked up: folded, as whole tokens, as loose words; the numbers, dates and times in it.

Looking for a value in what may be *trusted* has to miss rather than find by luck, so it compares whole tokens. Looking for it in what is
*not* trusted has to find rather than miss, so it compares words without their punctuation. All of it takes linear time.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from decimal import Decimal, InvalidOperation
from typing import NamedTuple

_INVISIBLE = dict.fromkeys([0xAD, 0x200B, 0x200C, 0x200D, 0x2060, 0xFEFF, *range(0xE0000, 0xE0080)])
_QUOTES = {ord(a): b for a, b in zip("“”„«»‘’‚`´–—‑−", "\"\"\"\"\"'''''----", strict=True)}  # noqa: RUF001
_SPLIT = re.compile(r"[\s,;\"'`()\[\]{}<>|*]+")
_WORD = re.compile(r"\w+")
_NO_SPACE = re.compile(r"(?<=[a-z])\.(?=[A-Z][a-z']*\s)")
"""A full stop after which somebody forgot the space: `at www.example.org.They wrote`."""
_ENDS = ".:!?=#&_~/\\"


def fold(text: str) -> str:
    """NFKC, case-folded, without invisible characters, one kind of quote and dash."""
    if text.isascii():
        return text.lower()
    return unicodedata.normalize("NFKC", text.translate(_INVISIBLE)).translate(_QUOTES).casefold()


def tokens(text: str) -> str:
    """Whole tokens, a space around each: `" pay bob@x.org 12.50 "`. Of a folded or raw text."""
    found = (t.strip(_ENDS).removeprefix("mailto:") for t in _SPLIT.split(fold(_NO_SPACE.sub(". ", text))))
    return f" {' '.join(t for t in found if t)} "


def words(text: str) -> str:
    """Runs of letters and digits, a space around each: `" pay bob x org 12 50 "`."""
    return f" {' '.join(_WORD.findall(fold(text)))} "


def compact(text: str) -> str:
    """Letters and digits only, in upper case: how an IBAN or a telephone number is compared."""
    return "".join(_WORD.findall(fold(text))).replace("_", "").upper()


def bare_url(text: str) -> str:
    """An address on the web without what doesn't matter for where it leads."""
    return re.sub(r"^https?://", "", fold(text).strip()).rstrip("/.")


# Not the parts of a date, a time or a code.
_NUMBER = re.compile(r"(?:(?<![^\s(=])-)?(?<![\w./:])(?<!\w-)\d[\d,.']*(?!\d)(?![-/:]\d)(?:\s?%)?")
_WIDE = re.compile(r"\*|%|\.\+|\.\{")


def number(text: str) -> Decimal | None:
    """A number in one of the usual ways of writing it (`1,200.50`, `1.200,50`, `30'000`); None when it is none."""
    digits = text.strip().strip("$€£¥").strip().rstrip("%").rstrip(".,' ")
    sign = -1 if digits.startswith("-") else 1
    digits = digits.lstrip("+-").replace("'", "")
    if not digits or len(digits) > 30 or not digits[0].isdigit():
        return None
    comma, dot = digits.rfind(","), digits.rfind(".")
    if comma > dot:
        decimal = digits.count(",") == 1 and len(digits) - comma != 4
        digits = digits.replace(".", "").replace(",", "." if decimal else "")
    else:
        digits = digits.replace(",", "")
    try:
        return (sign * Decimal(digits)).normalize() if digits.isascii() else None
    except InvalidOperation:
        return None


def widens(text: str) -> bool:
    """Whether a value has a wildcard in it, of files, of SQL or of regular expressions: it means more than the words in it."""
    return _WIDE.search(text) is not None and number(text) is None


_NAMED = re.compile(
    r"(?:\b(?:account|acct|case|customer|event|flight|ids?|invoice|issue|item|message|nr|no|number|page|reference|ref|room|row|ticket|task|user)\b\.?"
    r"|#|\b(?:the|this|that|my|for|of|on) order\b)[ :#]*(?:no\.?|nr\.?|id|number)?[ :#]*\Z"
)
"""What stands before the number of a thing. `order` is one only where it can't be meant as an order for so many."""


def amounts(text: str) -> frozenset[Decimal]:
    """Numbers in a folded text that aren't said as the number of a thing: not the one of `invoice 1001`."""
    return frozenset(
        value
        for match in _NUMBER.finditer(text)
        if (value := number(match[0])) is not None
        and not _NAMED.search(text, max(0, match.start() - 40), match.start())
    )


def numbers(text: str) -> Iterator[tuple[Decimal, bool]]:
    """Every number in a text, and whether it is a percentage."""
    for match in _NUMBER.finditer(text):
        if (value := number(match[0])) is not None:
            yield value, match[0].endswith("%")


class Day(NamedTuple):
    """A calendar day; year 0 when the text doesn't say."""

    year: int
    month: int
    day: int


_MONTH_NAMES = (
    "jan january januar janvier enero gennaio", "feb february februar février febrero febbraio", "mar march märz mars marzo",
    "apr april avril abril aprile", "may mai mayo maggio", "jun june juni juin junio giugno", "jul july juli juillet julio luglio",
    "aug august août agosto", "sep sept september septembre septiembre settembre", "oct october oktober octobre octubre ottobre",
    "nov november novembre noviembre", "dec december dezember décembre diciembre dicembre",
)  # fmt: skip
_MONTHS = {name: i for i, names in enumerate(_MONTH_NAMES, 1) for name in names.split()}
_ANY_MONTH = "|".join(sorted(_MONTHS, key=len, reverse=True))
_ISO = re.compile(r"(?<!\d)(\d{4})[-/.](\d{1,2})[-/.](\d{1,2})(?!\d)")
_SHORT = re.compile(r"(?<![\d.])(\d{1,2})[./-](\d{1,2})[./-](\d{4}|\d{2})(?![\d])")
_ORD = r"(\d{1,2})(?:st|nd|rd|th)?"
_MONTH_DAY = re.compile(
    rf"\b({_ANY_MONTH})\b\.?\s+(?:the\s+)?{_ORD}\b(?!:)(?:\s*(?:-|to|and|until)\s*{_ORD}\b(?!:))?(?:,?\s+(\d{{4}}))?"
)
_DAY_MONTH = re.compile(
    rf"\b(?:{_ORD}\s*(?:-|to|and|until)\s*(?:the\s+)?)?{_ORD}\.?\s+(?:(?:day\s+)?of\s+|de\s+)?({_ANY_MONTH})\b\.?(?:,?\s+(\d{{4}}))?"
)
_TIME = re.compile(r"(?<![\d:.])(\d{1,2})(?::(\d{2}))(?::\d{2})?\s*([ap]\.?m\b)?|(?<![\d:.])(\d{1,2})\s*([ap]\.?m\b)")


def days(text: str) -> frozenset[Day]:
    """Every calendar day that a text names; both readings of one that could be month first or day first."""
    text = fold(text)
    found = {Day(int(y), int(m), int(d)) for y, m, d in _ISO.findall(text)}
    for a, b, year in _SHORT.findall(text):
        y = int(year) + (2000 if len(year) == 2 else 0)
        found |= {Day(y, int(a), int(b)), Day(y, int(b), int(a))}
    for month, first, second, year in _MONTH_DAY.findall(text):
        found |= {Day(int(year or 0), _MONTHS[month], int(d)) for d in (first, second) if d}
    for first, second, month, year in _DAY_MONTH.findall(text):
        found |= {Day(int(year or 0), _MONTHS[month], int(d)) for d in (first, second) if d}
    return frozenset(d for d in found if d.month <= 12 and d.day <= 31)


def times(text: str) -> frozenset[tuple[int, int]]:
    """Every time of day (hour, minute) that a text names."""
    found = set()
    for hour, minute, half, hour12, half12 in _TIME.findall(fold(text)):
        h = int(hour or hour12)
        late = (half or half12)[:1]
        if late and h <= 12:
            h = h % 12 + (12 if late == "p" else 0)
        found.add((h, int(minute or 0)))
    return frozenset(t for t in found if t[0] < 25 and t[1] < 60)


_MOMENT = re.compile(
    r"(?:\d{4}-\d{2}-\d{2}|\d{1,2}[./]\d{1,2}[./]\d{4})?(?:(?:^|[T ])\d{1,2}:\d{2}(?::\d{2}(?:\.0+)?)?(?:Z|[+-]\d{2}:\d{2})?)?"
)


def is_moment(text: str) -> bool:
    """Whether a text is a day, a time or both, and nothing else: beside a date anything could be said."""
    return bool(text.strip()) and _MOMENT.fullmatch(text.strip()) is not None


def same_day(wanted: Day, named: frozenset[Day]) -> bool:
    """Whether a text names this day; a text without a year means any year."""
    return (
        wanted in named
        or Day(0, wanted.month, wanted.day) in named
        or (wanted.year == 0 and any(d[1:] == wanted[1:] for d in named))
    )
