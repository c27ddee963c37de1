# SPDX-License-Identifier: Apache-2.0
"""Fits the linear model, the calibration layers, and writes them as one small file without pickles."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from sklearn.linear_model import LogisticRegression

from bastide.guard.detect import features
from detector.data import Row

SHARE: Mapping[str, float] = {"hackaprompt": 0.15, "s-labs": 0.4, "own-direct": 0.5, "own-indirect": 0.5}
"""Weight of a source's texts: large sets of one style would otherwise decide alone."""
WINDOWS = 6
"""Windows of one text that are learnt from."""
BASE_RATE = 0.05
"""Share of attacks for which probabilities are calibrated."""

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Table:
    """Texts as a sparse matrix, a line for each window."""

    x: Any
    of: NDArray[np.int64]
    """The text of each window."""
    first: Mask
    """Whether it is the first of its text."""
    attack: Mask
    source: NDArray[np.str_]
    weight: Floats

    @staticmethod
    def of_rows(rows: Sequence[Row]) -> Table:
        """The table of some texts."""
        found, of = [], []
        for index, row in enumerate(rows):
            for count, window in enumerate(features.windows(features.clean(row.text))):
                if count == WINDOWS:
                    break
                found.append(features.features(window))
                of.append(index)
        ends = np.cumsum([0, *(len(f) for f in found)])
        values = np.concatenate([np.full(len(f), 1 / max(1, len(f)) ** 0.5) for f in found])
        x = csr_matrix((values, np.concatenate(found), ends), shape=(len(found), 2**features.BITS))
        number = np.array(of, np.int64)
        return Table(
            x,
            number,
            np.r_[True, number[1:] != number[:-1]],
            np.array([r.attack for r in rows]),
            np.array([r.source for r in rows]),
            np.array([SHARE.get(r.source, 1.0) for r in rows]),
        )

    def best(self, scores: Floats) -> Floats:
        """The largest score of each text's windows."""
        result = np.full(len(self.attack), -np.inf)
        np.maximum.at(result, self.of, scores)
        return result


@dataclass(frozen=True)
class Linear:
    """Weights and bias, before or after rounding to bytes."""

    weights: Floats
    bias: float

    def scores(self, table: Table) -> Floats:
        """The score of each text."""
        return table.best(table.x @ self.weights + self.bias)


def fit(table: Table, used: Mask, strength: float) -> Linear:
    """Logistic regression on windows: all windows of harmless texts, and of each attack the window that looks most like one.

    Multiple-instance learning in two rounds (S. Andrews et al., NIPS 2002): at first an attack is taken to be at its start.
    """
    harmless = used[table.of] & ~table.attack[table.of]
    chosen = used[table.of] & table.first & table.attack[table.of]
    model = _fit(table, harmless | chosen, strength)
    scores = table.x @ model.weights + model.bias
    chosen = used[table.of] & table.attack[table.of] & (scores >= table.best(scores)[table.of] - 1e-9)
    return _fit(table, harmless | chosen, strength)


def _fit(table: Table, lines: Mask, strength: float) -> Linear:
    model = LogisticRegression(C=strength, solver="lbfgs", max_iter=60, tol=1e-3)
    of = table.of[lines]
    model.fit(table.x[lines], table.attack[of], sample_weight=table.weight[of])
    return Linear(model.coef_[0].astype(np.float64), float(model.intercept_[0]))


def rounded(model: Linear) -> tuple[NDArray[np.int16], float]:
    """Weights as integers of two bytes, and what one unit is worth."""
    scale = float(np.abs(model.weights).max()) / 32767
    return np.rint(model.weights / scale).astype(np.int16), scale


def calibrate(values: Floats, attack: Mask, weight: Floats) -> dict[str, Any]:
    """Platt scaling (J. Platt, 1999) on scores of texts whose source the model had not seen, at the stated base rate."""
    share = np.where(attack, BASE_RATE / weight[attack].sum(), (1 - BASE_RATE) / weight[~attack].sum())
    model = LogisticRegression(C=100.0, max_iter=1000)
    model.fit(values, attack, sample_weight=weight * share * len(attack))
    return {"weights": [round(float(w), 6) for w in model.coef_[0]], "bias": round(float(model.intercept_[0]), 6)}


def write(path: Path, weights: NDArray[np.int16], head: Mapping[str, Any]) -> None:
    """The file: two arrays, none of them an object. The same content gives the same bytes (no time stamps)."""
    text = json.dumps(head, sort_keys=True).encode("utf-8")
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name, array in (("head", np.frombuffer(text, np.uint8)), ("weights", weights)):
            buffer = io.BytesIO()
            np.lib.format.write_array(buffer, array, allow_pickle=False)
            archive.writestr(
                zipfile.ZipInfo(f"{name}.npy", (1980, 1, 1, 0, 0, 0)), buffer.getvalue(), zipfile.ZIP_DEFLATED
            )
