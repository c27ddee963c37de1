# SPDX-License-Identifier: Apache-2.0
"""JSON documents inside of archives, read within bounds."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from bastide.verify.artifacts.interface import Buffer, Scan
from bastide.verify.artifacts.model import Severity, Tier

MAX_DOCUMENT = 128 << 20


def read_json(content: Buffer, scan: Scan) -> Any:
    """The document; None when it can't be read, which has been reported then."""
    if len(content) > MAX_DOCUMENT:
        scan.unread(f"a document of more than {MAX_DOCUMENT} bytes", 0)
        return None
    doubled: list[str] = []

    def paired(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            left = list(found)
            doubled.append(
                next((key for (key, _), other in zip(pairs, left, strict=False) if key != other), pairs[-1][0])
            )
        return found

    try:
        document = json.loads(bytes(content), object_pairs_hook=paired)
    except (ValueError, RecursionError) as problem:
        scan.malformed("json/broken", f"is no JSON: {problem}"[:300], 0)
        return None
    if doubled:
        scan.add(
            "json/double-key",
            Tier.MALFORMED,
            Severity.MEDIUM,
            "an object has a key twice; readers disagree on which one counts",
            0,
            doubled[0][:100],
        )
    return document


def objects(document: Any) -> Iterator[dict[str, Any]]:
    """All objects in it, outer ones first."""
    waiting = [document]
    while waiting:
        place = waiting.pop()
        if isinstance(place, dict):
            yield place
            waiting.extend(reversed(place.values()))
        elif isinstance(place, list):
            waiting.extend(reversed(place))
