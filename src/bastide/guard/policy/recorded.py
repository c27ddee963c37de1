# SPDX-License-Identifier: Apache-2.0
"""Why something was denied, from the log: the decisions of one request, with the policies that decided as they are now."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from bastide.guard.policy.cedar import CedarPolicy
from bastide.guard.policy.decide import CompiledPolicy


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
