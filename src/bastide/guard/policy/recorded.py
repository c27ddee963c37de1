# SPDX-License-Identifier: Apache-2.0
"""Why something was denied, from the log: the decisions of one request, with the policies that decided as they are now.

A log is read line by line as JSON, whatever is wrapped around an entry (sequence numbers, hashes). Whether it is what was written is for
`bastide ledger verify` to say, not for this.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bastide.errors import UsageError
from bastide.guard.policy.cedar import CedarPolicy
from bastide.guard.policy.decide import CompiledPolicy

MAX_LINE = 4 * 1024 * 1024
_WRAPPED = 3
"""Objects that may be around an entry."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """One decision as it was written down."""

    what: str
    """The tool or model that was asked for."""
    agent: str
    user: str
    effect: str
    reason: str
    flow: str
    version: str
    influence: str
    """The label of what shaped it, in words."""
    policies: tuple[tuple[str, CedarPolicy | None], ...]
    """Id, and the policy that has this id now; None when there is none any more."""
    current: bool
    """Whether the policy is still the one that decided."""


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


def recorded(found: Iterable[Mapping[str, Any]], request: str, policy: CompiledPolicy) -> Iterator[Recorded]:
    """The decisions about a request: of the tool calls in it, and of the request itself when it went to a model."""
    for entry in found:
        ruling = entry.get("ruling")
        if entry.get("request") != request:
            continue
        error = _object(entry, "error")
        if isinstance(ruling, dict) or error:
            yield _recorded(entry, ruling if isinstance(ruling, dict) else {}, error, policy)


def _recorded(
    entry: Mapping[str, Any], ruling: Mapping[str, Any], error: Mapping[str, Any], policy: CompiledPolicy
) -> Recorded:
    caller, label = _object(entry, "caller"), _object(entry, "label")
    ids = ruling.get("policies")
    names = tuple(str(i) for i in ids) if isinstance(ids, list) else ()
    version = str(ruling.get("version") or entry.get("version") or "")
    sources = label.get("sources")
    written = f"{label.get('integrity', '?')} text, {label.get('confidentiality', '?')} data"
    return Recorded(
        what=str(entry.get("tool") or entry.get("component") or entry.get("model") or ""),
        agent=str(caller.get("agent", "")),
        user=str(caller.get("user", "")),
        effect="deny" if error else str(ruling.get("effect", "")),
        reason=str(error.get("message") or ruling.get("reason", "")),
        flow=str(ruling.get("flow", "")),
        version=version,
        influence=written + (f", from {', '.join(map(str, sources))}" if isinstance(sources, list) and sources else ""),
        policies=tuple((i, policy.policies.get(i)) for i in names),
        current=version == policy.version,
    )


def _object(entry: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    found = entry.get(key)
    return found if isinstance(found, dict) else {}
