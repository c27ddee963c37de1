# SPDX-License-Identifier: Apache-2.0
"""How good scores are on sources that the model had not seen, with the controls that show whether it learnt something else."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detector.data import Row
from detector.fit import Floats, Linear, Mask, Table, fit

_FOLDS = 5


def unseen(table: Table, groups: NDArray[np.int64], strength: float) -> tuple[Floats, Floats]:
    """Two scores of each text: by a model that saw nothing of its source, and by one that saw nothing of its group (near-duplicates).

    When a source is held out, so are all near-duplicates of its texts in other sources.
    """
    by_source, by_group = np.full(len(table.attack), np.nan), np.full(len(table.attack), np.nan)
    families = np.array([s.split("_judgecomp")[0] for s in table.source])
    for family in sorted(set(families)):
        held = families == family
        _fill(by_source, table, (held, groups), strength)
    for fold in range(_FOLDS):
        _fill(by_group, table, (groups % _FOLDS == fold, groups), strength)
    return by_source, by_group


def _fill(scores: Floats, table: Table, part: tuple[Mask, NDArray[np.int64]], strength: float) -> None:
    held, groups = part
    used = ~held & ~np.isin(groups, groups[held])
    if len(set(table.attack[used])) == 2:
        model: Linear = fit(table, used, strength)
        scores[held] = model.scores(table)[held]


def threshold(scores: Floats, weight: Floats, rate: float = 0.01) -> float:
    """What this share of the texts is above, each counted by its weight."""
    order = np.argsort(scores)
    below = np.cumsum(weight[order]) / weight.sum()
    return float(scores[order][min(np.searchsorted(below, 1 - rate), len(order) - 1)])


def recall(scores: Floats, attack: Mask, limit: float, weight: Floats) -> float:
    """Share of attacks above a threshold."""
    return float(np.average(scores[attack] > limit, weights=weight[attack])) if attack.any() else float("nan")


def tables(rows: Sequence[Row], scores: Floats, reference: Floats, weight: Floats) -> dict[str, Any]:
    """Recall at 1 % false positives: pooled and per source, English only and all, with text length alone as control.

    `scores` are of attacks, `reference` of harmless texts. `weight`: how many texts each stands for; 0 leaves it out.
    """
    attack = np.array([r.attack for r in rows])
    english = np.array([r.language == "en" for r in rows])
    source = np.array([r.source for r in rows])
    length = np.array([float(len(r.text)) for r in rows])
    own = np.char.startswith(source, "own-")
    known = (weight > 0) & ~np.isnan(scores) & ~np.isnan(reference) & ~own
    result: dict[str, Any] = {}
    for name, part in (("all", known), ("english", known & english)):
        limit = threshold(reference[part & ~attack], weight[part & ~attack])
        longest = threshold(length[part & ~attack], weight[part & ~attack])
        per = {
            s: [
                round(recall(scores, part & attack & (source == s), limit, weight), 3),
                int((part & attack & (source == s)).sum()),
            ]
            for s in sorted(set(source[part & attack]))
        }
        result[name] = {
            "pooled": round(recall(scores, part & attack, limit, weight), 3),
            "mean of sources": round(float(np.mean([v[0] for v in per.values()])), 3) if per else None,
            "per source": per,
            "length only": round(recall(length, part & attack, longest, weight), 3),
        }
    other = known & ~english & ~attack
    if other.any():
        limit = threshold(reference[known & english & ~attack], weight[known & english & ~attack])
        result["false alarms in other languages"] = [
            round(float((reference[other] > limit).mean()), 3),
            int(other.sum()),
        ]
    return result


def calibration_error(probability: Floats, attack: Mask, weight: Floats, bins: int = 10) -> float:
    """Expected calibration error in equal bins (C. Guo et al., ICML 2017)."""
    total = error = 0.0
    for low in np.arange(bins) / bins:
        part = (probability >= low) & (probability < low + 1 / bins + (low + 1 / bins >= 1) * 1e-9)
        if part.any():
            mass = weight[part].sum()
            error += mass * abs(
                np.average(probability[part], weights=weight[part]) - np.average(attack[part], weights=weight[part])
            )
            total += mass
    return float(error / total) if total else 0.0
