# SPDX-License-Identifier: Apache-2.0
"""What recognisers say about a text."""

from __future__ import annotations

from typing import Literal, get_args

from msgspec import Struct

Direction = Literal["user", "retrieved", "tool", "system", "assistant"]
"""Whose text is looked at; `assistant` is what a model wrote, on its way out."""
DIRECTIONS: tuple[Direction, ...] = get_args(Direction)


class Span(Struct, frozen=True, gc=False):
    """A range of characters, end exclusive, of the text that was scanned."""

    start: int
    end: int


class Detection(Struct, frozen=True):
    """Something that a detector saw."""

    detector: str
    """Its path-like id, such as `injection/rules`, `secret/aws-access-key`, `personal/iban`, `exfiltration/markdown-image`."""
    score: float
    """0..1; for injection detectors a calibrated probability of an attack."""
    spans: tuple[Span, ...] = ()
    why: str = ""
    """For people: what was seen, never the secret itself."""
