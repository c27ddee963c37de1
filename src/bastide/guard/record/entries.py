# SPDX-License-Identifier: Apache-2.0
"""The entries of a log, as they stand there.

A log is read line by line as JSON, whatever is wrapped around an entry (sequence numbers, hashes). Whether it is what was written is for
`bastide ledger verify` to say, not for this.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from bastide.errors import UsageError

MAX_LINE = 4 * 1024 * 1024
_WRAPPED = 3
"""Objects that may be around an entry."""


def entries(folder: Path) -> Iterator[Mapping[str, Any]]:
    """The entries in a log's folder, oldest file first. Raises `UsageError` when it can't be read."""
    try:
        files = sorted(p for p in folder.iterdir() if p.is_file() and p.suffix in (".jsonl", ".ndjson", ".log"))
        if not files:
            raise UsageError(f"{folder}: holds no log (files with the suffix .jsonl)")
        for file in files:
            with file.open("rb") as stream:
                while line := stream.readline(MAX_LINE):
                    if (entry := _entry(line)) is not None:
                        yield entry
    except OSError as problem:
        raise UsageError(f"{folder}: can't be read: {problem.strerror}") from None


def _entry(line: bytes) -> Mapping[str, Any] | None:
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        return None
    level = [found]
    for _ in range(_WRAPPED):
        for one in level:
            if isinstance(one, dict) and isinstance(one.get("request"), str) and isinstance(one.get("kind"), str):
                return one
        level = [v for one in level if isinstance(one, dict) for v in one.values() if isinstance(v, dict)]
    return None
