# SPDX-License-Identifier: Apache-2.0
"""One text for one JSON value, and its digest: what an approval is bound to.

In the manner of RFC 8785 (keys sorted, no white space), but stricter where that is lenient: `1` and `1.0` stay different, keys are sorted
by code point, and everything outside of ASCII is escaped, so that lone surrogates have a text too.
"""

from __future__ import annotations

import json
from hashlib import sha256
from typing import Any

from bastide.errors import Malformed


def canonical(value: Any) -> bytes:
    """The canonical text of a decoded JSON value. Raises `Malformed` for NaN, infinities, other types and too deep nesting."""
    try:
        return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False).encode("ascii")
    except (TypeError, ValueError, RecursionError):
        raise Malformed("the arguments are no JSON value that can be written in one way") from None


def digest(value: Any) -> str:
    """SHA-256 of the canonical text, in hexadecimal."""
    return sha256(canonical(value)).hexdigest()
