# SPDX-License-Identifier: Apache-2.0
"""Trains the injection detector and prints its card.

    python tools/train_detector.py --data ../shared/data/prompts -o src/bastide/guard/detect/weights.npz

Needs numpy, scipy, scikit-learn, pyarrow. The same data, seed and library versions give the same bytes. With the extra `onnx` installed, the
layer that combines both models is fitted too; without it (`--no-second`) that layer repeats the first.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import random
import sys
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1] / "src"))

from detector.data import Row, groups, read
from detector.evaluate import calibration_error, tables, unseen
from detector.fit import BASE_RATE, Linear, Table, calibrate, fit, rounded, write
from detector.generate import generate

from bastide.guard.detect.transformer import installed

GREY = (0.01, 1.01)
"""Probabilities of the fast model between which the transformer is asked; fixed by hand."""
MIX = 0.8
"""Weight of the fast model's score beside the transformer's output; fixed by hand."""
STRENGTH = 1.0
"""Inverse strength of the regularisation; fixed by hand."""


def main() -> None:
    """Reads the arguments and trains."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with the prompt sets")
    parser.add_argument("-o", "--output", type=Path, required=True, help="the weights")
    parser.add_argument("--own", type=int, default=6000, help="generated texts")
    parser.add_argument(
        "--sample", type=int, default=300, help="texts of a source and label that the transformer reads"
    )
    parser.add_argument("--no-second", action="store_true", help="without the transformer")
    args = parser.parse_args()
    rows = [*read(args.data), *generate(args.own)]
    card = train(rows, args.output, 0 if args.no_second else args.sample)
    print(json.dumps(card, indent=1, ensure_ascii=False))  # noqa: T201


def train(rows: list[Row], output: Path, sample: int) -> dict[str, Any]:
    """Evaluates on held-out sources, fits on everything, writes the weights; the card."""
    table = Table.of_rows(rows)
    by_source, by_group = unseen(table, np.array(groups([r.text for r in rows])), STRENGTH)
    usable = ~np.isnan(by_source)
    if not usable.any():
        by_source, usable = by_group, ~np.isnan(by_group)
    fast = calibrate(by_source[usable, None], table.attack[usable], table.weight[usable])
    card: dict[str, Any] = {"texts": len(rows), "fast": _measures(rows, table, by_source, by_group, fast, usable)}
    full = {"weights": [*fast["weights"], 0.0], "bias": fast["bias"]}
    second = installed() if sample else None
    if second is not None:
        chosen, logits, stands = _second(rows, usable, sample)
        values = np.c_[by_source, logits]
        mixed = calibrate(
            (MIX * by_source + logits)[chosen, None], table.attack[chosen], (stands * table.weight)[chosen]
        )
        full = {"weights": [round(MIX * mixed["weights"][0], 6), *mixed["weights"]], "bias": mixed["bias"]}
        card["full"] = _full(rows, table, values, by_group, (fast, full), stands)
    model = fit(table, np.ones(len(rows), bool), STRENGTH)
    weights, scale = rounded(model)
    loss = Linear(weights * scale, model.bias).scores(table) - model.scores(table)
    head = {
        "version": 1,
        "scale": scale,
        "bias": model.bias,
        "fast": fast,
        "full": full,
        "grey": GREY,
        "base rate": BASE_RATE,
    }
    write(output, weights, head)
    card["rounding"] = round(float(np.abs(loss).max()), 4)
    card["file"] = {"bytes": output.stat().st_size, "sha256": hashlib.sha256(output.read_bytes()).hexdigest()}
    return card


def _probability(layer: dict[str, Any], values: Any) -> Any:
    return 1 / (1 + np.exp(-(values @ np.array(layer["weights"]) + layer["bias"])))


def _measures(
    rows: list[Row], table: Table, by_source: Any, by_group: Any, layer: dict[str, Any], used: Any
) -> dict[str, Any]:
    probability = _probability(layer, by_source[:, None])
    share = np.where(
        table.attack,
        BASE_RATE / table.weight[table.attack & used].sum(),
        (1 - BASE_RATE) / table.weight[~table.attack & used].sum(),
    )
    return {
        "unseen sources of attacks, unseen texts of known harmless sources": tables(
            rows, by_source, by_group, used * 1.0
        ),
        "unseen sources of both": tables(rows, by_source, by_source, used * 1.0),
        "at 0.5": _at_half(table, probability, used),
        "calibration error": round(
            calibration_error(probability[used], table.attack[used], (share * table.weight)[used]), 4
        ),
        "layer": layer,
    }


def _at_half(table: Table, probability: Any, used: Any) -> dict[str, Any]:
    result = {}
    for name, label in (("recall", True), ("false alarms", False)):
        part = used & (table.attack == label)
        result[name] = {
            s: round(float((probability[part & (table.source == s)] >= 0.5).mean()), 3)
            for s in sorted(set(table.source[part]))
        }
    return result


def _full(
    rows: list[Row], table: Table, values: Any, by_group: Any, layers: tuple[Any, Any], stands: Any
) -> dict[str, Any]:
    """The cascade as it runs: the transformer only in the grey band of the fast model."""

    def cascade(first: Any) -> Any:
        sure = _probability(layers[0], first[:, None])
        both = _probability(layers[1], np.c_[first, values[:, 1:]])
        return np.where((sure >= GREY[0]) & (sure < GREY[1]), both, sure), sure

    chosen = stands > 0
    unseen_source, sure = cascade(values[:, 0])
    unseen_text, _ = cascade(by_group)
    alone = values[:, 1]
    return {
        "unseen sources of attacks, unseen texts of known harmless sources": tables(
            rows, unseen_source, unseen_text, stands
        ),
        "unseen sources of both": tables(rows, unseen_source, unseen_source, stands),
        "fast model alone, same texts": tables(rows, values[:, 0], values[:, 0], stands),
        "transformer alone": tables(rows, alone, alone, stands),
        "at 0.5": _at_half(table, unseen_source, chosen),
        "settled early": round(float(((sure < GREY[0]) | (sure >= GREY[1]))[chosen & ~table.attack].mean()), 3),
        "layer": layers[1],
    }


def _second(rows: list[Row], usable: Any, sample: int) -> tuple[Any, Any, Any]:
    """Which texts the transformer read, what it said, and for how many texts each stands."""
    model = installed()
    assert model is not None
    rng = random.Random(5)
    logits = np.full(len(rows), np.nan)
    stands = np.zeros(len(rows))
    parts: dict[tuple[str, bool], list[int]] = {}
    for index in np.flatnonzero(usable):
        parts.setdefault((rows[index].source, rows[index].attack), []).append(int(index))
    for key in sorted(parts):
        for index in rng.sample(parts[key], min(sample, len(parts[key]))):
            logit = model.logit(rows[index].text[:4000])
            logits[index] = np.nan if logit is None else logit
            stands[index] = max(1.0, len(parts[key]) / sample)
    return ~np.isnan(logits), logits, stands


if __name__ == "__main__":
    main()
