# SPDX-License-Identifier: Apache-2.0
"""Approvals for a terminal, from the API's documents: what can't be seen is shown by its number, and nothing moves the cursor."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from bastide.guard.approvals.visible import pieces, written


def as_json(found: Any) -> str:
    """For machines; only ASCII."""
    return json.dumps(found, indent=2)


def as_lines(found: Sequence[Mapping[str, Any]]) -> str:
    """One line each."""
    if not found:
        return "nothing waits for a decision"
    return "\n".join(
        f"{_line(a, 'id')}  {_line(a, 'tool')} of {_line(a, 'component')}"
        f"  by {_line(a, 'agent')} for {_line(a, 'user') or 'nobody'}: {_line(a, 'reason')}"
        for a in found
    )


def as_text(found: Mapping[str, Any]) -> str:
    """All about one."""
    lines = [
        f"{name:<10}{_line(found, name)}"
        for name in ("id", "state", "component", "tool", "agent", "user", "tenant", "reason", "flow")
    ]
    lines.append(f"{'expires':<10}{_moment(found.get('expires'))}")
    arguments = found.get("arguments")
    for name, value in arguments.items() if isinstance(arguments, dict) else ():
        lines += ["", f"{seen(str(name), lines=False)}:", *("  " + line for line in seen(written(value)).split("\n"))]
    untraced = found.get("untraced")
    for one in untraced if isinstance(untraced, list) else ():
        sources = ", ".join(map(str, one.get("sources") or ())) or "nowhere: the model made it up"
        lines += ["", seen(f"! {one.get('path')} comes from {sources}", lines=False)]
    return "\n".join(lines)


def seen(text: str, lines: bool = True) -> str:
    """The text with `<U+202E>` in the place of what can't be seen; line breaks too unless they may stay."""
    shown = "".join(f"<{piece}>" if hidden else piece for hidden, piece in pieces(text))
    return shown if lines else shown.replace("\n", "<U+000A>").replace("\t", " ")


def _line(found: Mapping[str, Any], name: str) -> str:
    return seen(str(found.get(name, "")), lines=False)


def _moment(value: Any) -> str:
    try:
        return datetime.fromtimestamp(value, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    except (TypeError, ValueError, OverflowError, OSError):
        return "unknown"
