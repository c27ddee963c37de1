# SPDX-License-Identifier: Apache-2.0
"""How much of a text the log keeps, by the class of what is in it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from bastide.evidence.bodies import Bodies
from bastide.guard.model import CLASSES

DEFAULTS: Mapping[str, str] = {
    "public": "redacted",
    "internal": "metadata",
    "confidential": "metadata",
    "restricted": "none",
}


class ContentStrategy:
    """Data class -> what is kept. A class that nobody named is treated as restricted."""

    def __init__(self, strategies: Mapping[str, str] | None = None, redact: Callable[[str], str] | None = None) -> None:
        """redact: without it, what is to be kept redacted is kept as metadata."""
        self._strategies = {**DEFAULTS, **(strategies or {})}
        self._redact = redact

    def keep(self, bodies: Bodies, subject: str, texts: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """What the entry says of texts `{text, class, role, path}` of a subject; bodies are put aside. Raises `LedgerError`."""
        return [self._one(bodies, subject, text) for text in texts]

    def _one(self, bodies: Bodies, subject: str, about: Mapping[str, Any]) -> dict[str, Any]:
        text, class_ = str(about.get("text", "")), str(about.get("class", CLASSES[-1]))
        strategy = self._strategies.get(class_, "none")
        kept: dict[str, Any] = {"class": class_, "strategy": strategy}
        if strategy == "none":
            return kept
        kept |= {key: about[key] for key in ("role", "path") if key in about}
        kept["characters"] = len(text)
        if strategy == "encrypted":
            kept["body"] = bodies.put(subject, "encrypted", text)
        elif strategy == "redacted" and self._redact is not None:
            kept["body"] = bodies.put(subject, "redacted", self._redact(text))
        return kept
