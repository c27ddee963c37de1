# SPDX-License-Identifier: Apache-2.0
"""The fast model: a linear classifier over hashed n-grams with integer weights; the most suspicious window decides.

The sum of weights is an integer, so the same text has the same score on every platform.
"""

from __future__ import annotations

import io
import json
from dataclasses import dataclass
from functools import cache
from math import sqrt
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from bastide.errors import KnowledgeError
from bastide.guard.detect.features import BITS, clean, complete, features, windows

WEIGHTS = Path(__file__).with_name("weights.npz")
_LARGEST = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Calibration:
    """A logistic layer: probability = 1 / (1 + exp(-(bias + weights · values)))."""

    weights: tuple[float, ...]
    bias: float

    def logit(self, *values: float) -> float:
        """The log-odds of an attack."""
        return self.bias + sum(w * v for w, v in zip(self.weights, values, strict=True))


@dataclass(frozen=True, slots=True)
class Found:
    """What the model says about a text."""

    score: float
    """Of the most suspicious window; not calibrated."""
    window: int
    """Its number."""
    size: int
    """Cleaned bytes of the text."""
    complete: bool
    """Whether the whole text was read."""


@dataclass(frozen=True)
class FastModel:
    """The weights. Made by `tools/train_detector.py`."""

    weights: NDArray[np.int16]
    scale: float
    bias: float
    fast: Calibration
    """Score -> log-odds."""
    full: Calibration
    """Score and the output of the transformer -> log-odds."""
    grey: tuple[float, float]
    """Probabilities between which the transformer is asked."""

    def score(self, text: str) -> Found:
        """How suspicious the most suspicious window is."""
        data = clean(text)
        best, where = -np.inf, 0
        for index, window in enumerate(windows(data)):
            value = self.window_score(window)
            if value > best:
                best, where = value, index
        return Found(float(best), where, len(data), complete(data))

    def window_score(self, window: bytes) -> float:
        """The score of one cleaned window."""
        found = features(window)
        if not len(found):
            return self.bias
        total = int(self.weights[found].sum(dtype=np.int64))
        return float(self.bias + self.scale * total / sqrt(len(found)))


def read_model(path: Path = WEIGHTS) -> FastModel:
    """The model of a file.

    Raises:
        KnowledgeError: the file is missing, too large or no model of this version.
    """
    try:
        raw = path.read_bytes()
        if len(raw) > _LARGEST:
            raise ValueError("too large")
        with np.load(io.BytesIO(raw), allow_pickle=False) as arrays:
            head = json.loads(bytes(arrays["head"]).decode("utf-8"))
            weights = arrays["weights"]
        if weights.dtype != np.int16 or weights.shape != (2**BITS,) or head["version"] != 1:
            raise ValueError("made by another version")
        if len(head["fast"]["weights"]) != 1 or len(head["full"]["weights"]) != 2:
            raise ValueError("another number of values")
        return FastModel(
            weights,
            float(head["scale"]),
            float(head["bias"]),
            Calibration(tuple(head["fast"]["weights"]), float(head["fast"]["bias"])),
            Calibration(tuple(head["full"]["weights"]), float(head["full"]["bias"])),
            (float(head["grey"][0]), float(head["grey"][1])),
        )
    except (OSError, EOFError, BadZipFile, ValueError, KeyError, TypeError) as error:
        raise KnowledgeError(f"{path.name}: the detector's weights can't be used: {error}") from None


@cache
def shipped() -> FastModel:
    """The model that ships with the package, read once."""
    return read_model()
