# SPDX-License-Identifier: Apache-2.0
"""The cascade behind the rules: a fast model for every text, a transformer for those about which it is not sure.

The result is a signal and no guarantee: what tainted content may cause is decided by the policy. See docs/guard/detector.md for how often
it is right. MITRE ATLAS AML.T0051 (prompt injection), AML.T0054 (jailbreak).
"""

from __future__ import annotations

from dataclasses import dataclass
from math import exp
from typing import Literal, Protocol

from bastide.guard.detect.fast import FastModel, Found, shipped
from bastide.guard.detect.features import STEP, WINDOW
from bastide.guard.detect.transformer import installed
from bastide.recognise.model import Detection, Direction, Span

Mode = Literal["off", "fast", "full"]
REPORTED = 0.002
"""Probabilities below aren't worth a detection."""
_PLAIN = frozenset({"system", "assistant"})


class Second(Protocol):
    """The slower model."""

    def logit(self, text: str) -> float | None:
        """Its output; None when it is overloaded."""
        ...


@dataclass(frozen=True, slots=True)
class Assessment:
    """What the cascade says about a text."""

    probability: float
    """Of an attack, calibrated; rounded, so that it is the same on every platform."""
    stage: Literal["none", "fast", "onnx"]
    """Which stage decided."""
    span: Span
    """About where the most suspicious window is."""
    complete: bool = True
    """False when a stage that should have read the text did not, or not all of it (overload, a bound was reached)."""
    why: str = ""
    overload: bool = False
    """Whether only the second model is missing."""


class Cascade:
    """Implements `interface.Detector`. Safe for several threads; nothing in it changes after the models were read.

    `mode`: off; fast (numpy only); full (also the transformer, in the grey band; fast when it isn't installed).
    """

    def __init__(self, mode: Mode = "fast", second: Second | None = None, model: FastModel | None = None) -> None:
        self._mode = mode
        self._model = model
        self._second = second if second is not None else installed() if mode == "full" else None

    @property
    def stages(self) -> tuple[str, ...]:
        """The stages that are there."""
        if self._mode == "off":
            return ()
        return ("fast", "onnx") if self._second is not None else ("fast",)

    def detect(self, text: str, direction: Direction) -> list[Detection]:
        """At most one detection, `injection/fast` or `injection/onnx` by the stage that decided; its score is the probability.

        One more with score 0 when a stage could not do its work: `injection/overload` (the transformer had no place; rules and the fast
        model have read the text) or `injection/unscanned` (a bound was reached, so nobody has read all of it).
        """
        found = self.assess(text, direction)
        result = []
        if found.probability >= REPORTED:
            result.append(
                Detection(
                    f"injection/{found.stage}", found.probability, (found.span,), "reads like an attack on a model"
                )
            )
        if not found.complete:
            result.append(Detection(f"injection/{'overload' if found.overload else 'unscanned'}", 0.0, (), found.why))
        return result

    def probability(self, text: str, direction: Direction = "user") -> float:
        """The calibrated probability that a text is an attack."""
        return self.assess(text, direction).probability

    def assess(self, text: str, direction: Direction) -> Assessment:
        """The probability, who said so, and whether all was read. What the system itself or the model wrote isn't judged."""
        if self._mode == "off" or direction in _PLAIN:
            return Assessment(0.0, "none", Span(0, len(text)))
        model = self._model or shipped()
        found = model.score(text)
        span = _span(text, found)
        sure = _probability(model.fast.logit(found.score))
        why = "" if found.complete else "the text is longer than the fast model reads"
        low, high = model.grey
        if self._second is None or not low <= sure < high:
            return Assessment(sure, "fast", span, found.complete, why)
        logit = self._second.logit(_around(text, span))
        if logit is None:
            full = "the second model had no place for one more text"
            return Assessment(sure, "fast", span, False, why or full, found.complete)
        return Assessment(_probability(model.full.logit(found.score, logit)), "onnx", span, found.complete, why)


def _probability(logit: float) -> float:
    # Six digits: the last bits of exp differ between C libraries.
    return round(1.0 / (1.0 + exp(-max(-30.0, min(30.0, logit)))), 6)


def _span(text: str, found: Found) -> Span:
    """About which characters the window is of: cleaning shortens blanks and lengthens what isn't ASCII, so it is in proportion."""
    share = len(text) / found.size
    start = min(int(found.window * STEP * share), max(len(text) - 1, 0))
    return Span(start, min(len(text), start + int(WINDOW * share) + 1))


def _around(text: str, span: Span) -> str:
    """The part of a long text that the second model reads: what is around the most suspicious window."""
    return text if len(text) <= _READ else text[max(0, span.start - _READ // 2) : span.end + _READ // 2]


_READ = 4000
"""Characters."""
