# SPDX-License-Identifier: Apache-2.0
"""Paths that code builds beside itself: `path.join(__dirname, "../lambda")`. Pure."""

from __future__ import annotations

import posixpath
from collections.abc import Sequence

from bastide.discover.model import Value

_JOINS = frozenset(
    {"js:path.join", "js:path.resolve", "js:path.posix.join", "js:path.default.join", "js:path.default.resolve"}
)
_HERE = ("__dirname", "import.meta.dirname")


def joined(function: str, given: Sequence[Value]) -> str | None:
    """The path that a call makes, relative to the folder of its file; None when it isn't known."""
    if function not in _JOINS or not given:
        return None
    parts = ["." if v.text in _HERE else v.data for v in given]
    texts = [p for p in parts if isinstance(p, str)]
    return posixpath.normpath(posixpath.join(*texts)) if len(texts) == len(parts) else None
