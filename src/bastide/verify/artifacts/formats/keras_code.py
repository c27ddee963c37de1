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

REACHING = frozenset([
    "write_file", "read_file", "matching_files", "load_op_library", "py_function", "numpy_function", "eager_py_func", "gfile", "get_file",
    "load_model", "load_weights", "save_weights", "pickle", "joblib", "loads", "shutil", "builtins", "globals", "getattr", "setattr", "importlib",
    "execfile", "fork", "http", "pty", "pip", "sys", "modules", "pathlib", "touch", "tempfile", "fromfile", "tofile", "savetxt",
])  # fmt: skip
"""Further names by which a function in a model reaches files, modules or the network."""


def words_of(code: bytes) -> tuple[set[str], set[str]]:
    """The names in marshalled code as far as they can be told, and those by which code does harm."""
    harmful = {name for name in load_knowledge().harmful_names | REACHING if _has(code, name.encode())}
    harmful |= {word.decode() for word in set(_SPECIAL.findall(code)) - PLAIN_SPECIALS}
    return {word.decode() for word in _WORD.findall(code)}, harmful


def _has(code: bytes, name: bytes) -> bool:
    """A name stands behind its length, in one byte or in four; what follows may be a letter as well."""
    size = len(name)
    return any(prefix + name in code for prefix in (bytes([size & 0xFF]), size.to_bytes(4, "little")))


def decoded(value: Any) -> bytes:
    """The bytes of marshalled code or of a pickle in a text."""
    if not isinstance(value, str):
        return b""
    try:
        return base64.b64decode(value.encode("ascii"), validate=False)
    except (UnicodeEncodeError, binascii.Error, ValueError):
        return value.encode("raw_unicode_escape")
