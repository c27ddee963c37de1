# SPDX-License-Identifier: Apache-2.0
"""Which split a row belongs to: what its split field says, or the name of its file or folder."""

from __future__ import annotations

import re
from pathlib import Path

_NAMES = {
    "train": ("train", "training", "trn"),
    "validation": ("validation", "valid", "val", "dev", "eval", "evaluation"),
    "test": ("test", "testing", "tst", "heldout", "holdout"),
    "against": ("against",),
}
CODES = {"": 0, **{name: number for number, name in enumerate(_NAMES, 1)}}
AGAINST = "against"
"""The split of the files that the data set is held against."""
_WORD = re.compile(r"[a-z]+")
_BY_WORD = {word: split for split, names in _NAMES.items() for word in names}


def split_of(text: str) -> str:
    """`train`, `validation` or `test`; '' for what is none of them."""
    for word in _WORD.findall(text.lower()):
        if word in _BY_WORD:
            return _BY_WORD[word]
    return ""


def split_of_file(path: Path) -> str:
    """By the file's name, else by its folder's."""
    return split_of(path.name.split(".")[0]) or split_of(path.parent.name)


def code_of(text: str) -> int:
    """The number of a split, for fingerprints."""
    return CODES[split_of(text)] if text else 0


def name_of(code: int) -> str:
    """The split of a number."""
    return next((name for name, have in CODES.items() if have == code), "")
