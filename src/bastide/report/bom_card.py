# SPDX-License-Identifier: Apache-2.0
"""The model card of CycloneDX 1.6 and 1.7 (`modelCard`), which the Python library doesn't have.

What the schema has no place for stands in the card's properties as `bastide:card:…`; where each statement stands, as `bastide:origin:…`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from bastide.verify.bom.knowledge import fields
from bastide.verify.bom.model import Metric, Model, Stated

_APPROACHES = ("supervised", "unsupervised", "reinforcement-learning", "semi-supervised", "self-supervised")
_ACTIVITIES = {
    "pre training": "training", "pretraining": "training", "training": "training", "fine tuning": "fine-tuning", "finetuning": "fine-tuning",
    "inference": "inference", "validation": "validation", "evaluation": "validation", "data preparation": "data-preparation",
}  # fmt: skip
_PLACED = {
    "name", "version", "description", "developer", "task", "approach", "family", "architecture", "inputs", "outputs", "use.intended", "use.users",
    "limits", "tradeoffs", "ethics", "fairness",
}  # fmt: skip
"""Fields that have a place of their own, here or in the component."""
_SOURCES = ("coal", "oil", "natural-gas", "nuclear", "wind", "solar", "geothermal", "hydropower", "biofuel", "other")


def model_card(model: Model, data_refs: Mapping[str, str]) -> dict[str, Any]:
    """The card. data_refs: bom-refs of the data sets that the model learnt from, by name."""
    card = {
        "bom-ref": f"{model.key}/card",
        "modelParameters": _parameters(model, list(data_refs.values())),
        "quantitativeAnalysis": without_empty({"performanceMetrics": [_metric(one) for one in model.metrics]}),
        "considerations": _considerations(model),
        "properties": [*_rest(model), *_origins(model)],
    }
    return without_empty(card)


def without_empty(entry: Mapping[str, Any]) -> dict[str, Any]:
    """Without what is unknown."""
    return {key: value for key, value in entry.items() if value not in ("", None, [], {})}


def properties(pairs: Iterable[tuple[str, str]]) -> list[dict[str, str]]:
    """Names and values in the form of CycloneDX; those without a value are left out."""
    return [{"name": name, "value": value} for name, value in pairs if value]


def _parameters(model: Model, data: list[str]) -> dict[str, Any]:
    return without_empty(
        {
            "approach": without_empty({"type": approach(model)}),
            "task": model.first("task"),
            "architectureFamily": model.first("family"),
            "modelArchitecture": ", ".join(model.values("architecture")),
            "datasets": [{"ref": ref} for ref in data],
            "inputs": [{"format": one} for one in model.values("inputs")],
            "outputs": [{"format": one} for one in model.values("outputs")],
        }
    )


def approach(model: Model) -> str:
    """How it learnt, in the word of the schema; '' when that isn't stated."""
    said = re.sub(r"[ _]", "-", model.first("approach").lower().removesuffix(" learning"))
    return said if said in _APPROACHES else ""


def _metric(metric: Metric) -> dict[str, Any]:
    between = without_empty({"lowerBound": metric.lower, "upperBound": metric.upper})
    where = ", ".join(filter(None, (metric.dataset, metric.slice)))
    return without_empty({"type": metric.type, "value": metric.value, "slice": where, "confidenceInterval": between})


def _considerations(model: Model) -> dict[str, Any]:
    risks = [
        without_empty(
            {"name": s.parts.get("name") or s.parts.get("risk") or s.value, "mitigationStrategy": _mitigation(s)}
        )
        for s in model.fields.get("ethics", ())
    ]
    return without_empty(
        {
            "users": list(model.values("use.users")),
            "useCases": list(model.values("use.intended")),
            "technicalLimitations": list(model.values("limits")),
            "performanceTradeoffs": list(model.values("tradeoffs")),
            "ethicalConsiderations": risks,
            "environmentalConsiderations": _environment(model),
            "fairnessAssessments": [_fairness(one) for one in model.fields.get("fairness", ())],
        }
    )


def _mitigation(stated: Stated) -> str:
    return stated.parts.get("mitigation") or stated.parts.get("mitigation strategy") or ""


def _fairness(stated: Stated) -> dict[str, Any]:
    if not stated.parts:
        return {"harms": stated.value}
    parts = stated.parts
    group = parts.get("group") or parts.get("group at risk") or parts.get("groupatrisk") or ""
    return without_empty(
        {
            "groupAtRisk": group,
            "benefits": parts.get("benefits", ""),
            "harms": parts.get("harms", ""),
            "mitigationStrategy": _mitigation(stated),
        }
    ) or {"harms": stated.value}


def _environment(model: Model) -> dict[str, Any]:
    """Energy where kilowatt-hours are stated, else what is said as properties: the schema has emissions only beside energy."""
    measured, said = [], []
    for stated in model.fields.get("training.energy", ()):
        energy = number(stated.parts.get("kwh") or stated.parts.get("energy kwh") or "")
        if energy is None:
            said.append(("bastide:card:training.energy", stated.value))
        else:
            measured.append(_energy(stated.parts, energy))
    return without_empty({"energyConsumptions": measured, "properties": properties(said)})


def _energy(parts: Mapping[str, str], energy: float) -> dict[str, Any]:
    cost = {"value": energy, "unit": "kWh"}
    source = parts.get("source", "").lower().replace(" ", "-")
    provider = {
        "organization": {"name": parts.get("provider") or "unknown"},
        "energySource": source if source in _SOURCES else "unknown",
        "energyProvided": cost,
    }
    kind = parts.get("training type") or parts.get("activity") or "training"
    found: dict[str, Any] = {
        "activity": _ACTIVITIES.get(kind.lower().replace("-", " "), "other"), "energyProviders": [provider], "activityEnergyCost": cost,
    }  # fmt: skip
    if (grams := number(parts.get("co2 g", ""))) is not None:
        found["co2CostEquivalent"] = {"value": grams / 1e6, "unit": "tCO2eq"}
    return found


def number(text: str) -> float | None:
    """A number that isn't negative, or None."""
    found = re.match(r"[0-9]{1,15}(?:\.[0-9]{1,15})?(?=$|\s)", text.strip())
    return float(found[0]) if found else None


def _rest(model: Model) -> list[dict[str, str]]:
    ids = [field.id for field in fields() if field.id not in _PLACED]
    ids += sorted(set(model.fields) - {field.id for field in fields()})
    pairs = [(f"bastide:card:{id}", value) for id in ids for value in model.values(id)]
    if model.first("approach") and not approach(model):
        pairs.append(("bastide:card:approach", model.first("approach")))
    pairs += [
        (f"bastide:metric:threshold:{metric.type}", metric.threshold) for metric in model.metrics if metric.threshold
    ]
    return properties(pairs)


def _origins(model: Model) -> list[dict[str, str]]:
    pairs = [
        (f"bastide:origin:{id}", origin)
        for id, stated in sorted(model.fields.items())
        for origin in dict.fromkeys(str(one.origin) for one in stated)
    ]
    pairs += [(f"bastide:origin:metric:{one.type}", str(one.origin)) for one in model.metrics]
    unknown = [field.id for field in fields() if field.names and not model.fields.get(field.id) and not field.made]
    return properties([*pairs, *((f"bastide:origin:{id}", "unknown") for id in unknown)])
