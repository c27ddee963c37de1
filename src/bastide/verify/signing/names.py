# SPDX-License-Identifier: Apache-2.0
"""Names of files in a model: which are refused, because somewhere they mean another file than they say."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable

LONGEST = 1024
SINGLE = "."
"""The name of the one file of a model that is no folder."""


def fault(name: str) -> str:
    """What is wrong with a path in a model; '' when nothing is."""
    if name == SINGLE:
        return ""
    if len(name) > LONGEST:
        return f"is longer than {LONGEST} characters"
    if name.startswith("/") or any(part in ("", ".", "..") for part in name.split("/")):
        return "isn't a plain path below the model's folder"
    if "\\" in name:
        return "has a backslash, which is a folder's border on some systems"
    if not name.isprintable():
        # Covers control characters, line breaks, bytes that are no text, and what turns the writing direction.
        return "has characters that can't be seen"
    return ""


def clashes(names: Iterable[str]) -> list[tuple[str, str]]:
    """Pairs of names that some file systems take for one: they differ in case, or in how a letter is composed."""
    seen: dict[str, str] = {}
    found = []
    for name in names:
        first = seen.setdefault(_folded(name), name)
        if first != name:
            found.append((first, name))
    return found


def below(name: str, folders: Iterable[str]) -> bool:
    """Whether a path is one of some paths, or lies below one."""
    return any(name == folder or name.startswith(f"{folder}/") or folder == SINGLE for folder in folders)


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", unicodedata.normalize("NFKC", name).casefold())
