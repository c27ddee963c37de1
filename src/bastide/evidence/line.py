# SPDX-License-Identifier: Apache-2.0
"""One entry of the ledger as one line: JSON whose last field is the SHA-256 of all bytes before it, chained to the line before.

The hash is of the bytes as they stand in the file, so there is exactly one form that verifies and no canonical JSON is needed to check it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import msgspec

from bastide.errors import LedgerError

ZERO = "0" * 64
"""What the first entry is chained to."""
LONGEST = 16 * 1024 * 1024
"""Bytes of a line; more is neither written nor read."""
_TAIL = 76
"""Bytes of `,"hash":"<64 hex digits>"}` and the line break."""
_encode = msgspec.json.Encoder().encode


class Line(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A line, decoded."""

    seq: int
    """Counts from 1. The order of the ledger."""
    time: int
    """Nanoseconds since 1970 by the system's clock, which may jump."""
    mono: int
    """Nanoseconds by a clock that never goes back, of the process that wrote it."""
    prev: str
    """`hash` of the line before."""
    entry: dict[str, Any]
    hash: str


_decode = msgspec.json.Decoder(Line).decode


def encode(entry: Mapping[str, Any]) -> bytes:
    """The entry as JSON. Raises `LedgerError` when it has no such form or is too large.

    Half surrogate pairs, which JSON can carry and UTF-8 can't, are replaced: what a hostile client sends can't keep its request out of the log.
    """
    try:
        data = _encode(entry)
    except UnicodeEncodeError:
        data = _encode(_clean(entry))
    except (TypeError, ValueError, OverflowError, RecursionError) as problem:
        raise LedgerError(f"the entry can't be written as JSON: {problem}") from None
    if len(data) > LONGEST // 2:
        raise LedgerError(f"the entry has {len(data)} bytes; the most is {LONGEST // 2}")
    return data


def seal(seq: int, time: int, mono: int, prev: str, entry: bytes) -> tuple[bytes, str]:
    """The line and its hash."""
    head = b'{"seq":%d,"time":%d,"mono":%d,"prev":"%s","entry":%s' % (seq, time, mono, prev.encode(), entry)
    digest = hashlib.sha256(head).hexdigest()
    return b'%s,"hash":"%s"}\n' % (head, digest.encode()), digest


def unseal(raw: bytes) -> Line:
    """The line of bytes that end with a line break. Raises `ValueError` that says what is wrong with it."""
    if len(raw) > LONGEST:
        raise ValueError("is longer than any entry")
    if raw[-_TAIL : -_TAIL + 9] != b',"hash":"' or raw[-3:] != b'"}\n':
        raise ValueError("is no entry")
    if hashlib.sha256(raw[:-_TAIL]).hexdigest().encode() != raw[-67:-3]:
        raise ValueError("doesn't have its own hash: it was changed")
    try:
        return _decode(raw)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        raise ValueError("has its hash, but isn't what an entry looks like") from None


def _clean(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, Mapping):
        return {_clean(k): _clean(v) for k, v in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_clean(v) for v in value]
    return value
