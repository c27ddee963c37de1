# SPDX-License-Identifier: Apache-2.0
"""Python functions as code in a model's configuration: marshalled, in base64.

They are never unmarshalled, which bad bytes could crash; the names that they use stand in them as they are.
"""

from __future__ import annotations

import base64
import binascii
import re
from typing import Any

from bastide.verify.artifacts.pickles.knowledge import load_knowledge

_WORD = re.compile(rb"[A-Za-z_][A-Za-z0-9_]+")
_SPECIAL = re.compile(rb"__[a-z_]+__")
PLAIN_SPECIALS = frozenset(
    {b"__len__", b"__name__", b"__init__", b"__call__", b"__class__", b"__main__", b"__doc__", b"__keras_api__"}
)


def words_of(code: bytes) -> tuple[set[str], set[str]]:
    """The names in marshalled code, and those by which code does harm."""
    words = {word.decode() for word in _WORD.findall(code)}
    special = {word.decode() for word in set(_SPECIAL.findall(code)) - PLAIN_SPECIALS}
    return words, (load_knowledge().harmful_names & words) | special


def decoded(value: Any) -> bytes:
    """The bytes of marshalled code or of a pickle in a text."""
    if not isinstance(value, str):
        return b""
    try:
        return base64.b64decode(value.encode("ascii"), validate=False)
    except (UnicodeEncodeError, binascii.Error, ValueError):
        return value.encode("raw_unicode_escape")
