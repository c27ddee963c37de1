# SPDX-License-Identifier: Apache-2.0
"""The texts inside of decoded JSON (arguments of calls, structured results): keys count too, since models read them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from bastide.errors import LimitError

MOST, DEPTH = 10_000, 96
"""Texts and levels of one value; more is not read."""
LONG, BITS = 10**7, 13_000
"""Whole numbers from here on count as texts, since a card number is one without quotes too; bits of the longest that is read."""


def strings(value: Any) -> list[str]:
    """Every text and long number, in the order of the document, then every key. Raises `LimitError`."""
    texts: list[str] = []
    keys: list[str] = []
    _Mapping(_noting(texts), _noting(keys)).of(value, 0)
    return texts + keys


def mapped(value: Any, change: Callable[[str], str]) -> Any:
    """The value with other texts; the very same object where none changes.

    Raises `LimitError` when it has too many texts or levels, or two keys of an object would become the same.
    """
    return _Mapping(change, change).of(value, 0)


def _noting(found: list[str]) -> Callable[[str], str]:
    def note(text: str) -> str:
        found.append(text)
        return text

    return note


class _Mapping:
    def __init__(self, change: Callable[[str], str], of_key: Callable[[str], str]) -> None:
        self._change, self._of_key = change, of_key
        self._left = MOST

    def of(self, value: Any, depth: int) -> Any:
        if depth > DEPTH:
            raise LimitError(f"more than {DEPTH} levels of arguments or results are not read")
        if type(value) is str:
            return self._text(value, self._change)
        if type(value) is int and abs(value) >= LONG:
            if value.bit_length() > BITS:
                raise LimitError("numbers of over 4,000 digits are not read")
            written = str(value)
            text = self._text(written, self._change)
            return value if text == written else text
        if type(value) is dict:
            made = {self._text(k, self._of_key): self.of(v, depth + 1) for k, v in value.items()}
            if len(made) != len(value):
                raise LimitError("two keys can't be told apart after redaction")
            same = all(a is b and value[a] is made[a] for a, b in zip(value, made, strict=True))
            return value if same else made
        if type(value) is list:
            items = [self.of(item, depth + 1) for item in value]
            return value if all(a is b for a, b in zip(items, value, strict=True)) else items
        return value

    def _text(self, text: str, change: Callable[[str], str]) -> str:
        self._left -= 1
        if self._left < 0:
            raise LimitError(f"more than {MOST} texts of arguments or results are not read")
        changed = change(text)
        return text if changed == text else changed
