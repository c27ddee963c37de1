# SPDX-License-Identifier: Apache-2.0
"""Whether what a container waits for (`depends_on`) is what it calls: its address may stand in a variable that isn't known. Pure."""

from __future__ import annotations

import re
from collections.abc import Set

_WAITED_FOR = ("data.", "ai.")
_GENERIC = frozenset(
    {"service", "server", "host", "port", "api", "app", "url", "uri", "base", "endpoint", "backend", "http", "https", "addr", "address"}
)  # fmt: skip
"""Words of names that don't say which of several is meant."""


def is_used(kind: str, waited_for: str, name: str, open_: Set[str]) -> bool:
    """Whether a component of a kind calls another that it waits for, of the kind `waited_for` and by the name `name`.

    Args:
        open_: its variables for addresses that aren't known.
    """
    if waited_for == "ai.model.server":
        return kind.startswith("app.")
    if kind == "app.web":
        return bool(open_) and waited_for.startswith((*_WAITED_FOR, "app.api"))
    if waited_for in ("app.api", "app.worker") and kind.startswith("app."):
        # Programs wait for programs for many reasons: only where a variable says the name too.
        return not _words(name).isdisjoint(word for variable in open_ for word in _words(variable))
    return bool(open_) and waited_for.startswith(_WAITED_FOR)


def _words(name: str) -> set[str]:
    return {word for word in re.split(r"[^a-z0-9]+", name.lower()) if len(word) > 2} - _GENERIC
