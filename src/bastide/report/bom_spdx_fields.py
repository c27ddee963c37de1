# SPDX-License-Identifier: Apache-2.0
"""What models and data sets say, in the properties of SPDX's AI and Dataset profiles."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from bastide.report.bom_card import number, without_empty
from bastide.report.bom_names import stamp
from bastide.verify.bom.model import Dataset, Model

NO_ASSERTION = "expandedlicensing_NoAssertionLicense"
_RISKS = ("serious", "high", "medium", "low")
_LEVELS = {"public": "clear", "internal": "green", "confidential": "amber", "restricted": "red"}
"""Our classes by the traffic lights of SPDX."""
_TYPES = {
    "text": ("text", "nlp", "document", "translation", "summarization"),
    "image": ("image", "picture", "vision"), "audio": ("audio", "speech", "sound"),
    "video": ("video",), "timeseries": ("time series", "timeseries"), "structured": ("table", "tabular", "csv", "structured"), "graph": ("graph",),
    "numeric": ("numeric", "number"), "sensor": ("sensor",),
}  # fmt: skip
_YES, _NO = ("yes", "true"), ("no", "none", "false")


def ai_fields(model: Model) -> dict[str, Any]:
    """Properties of `ai_AIPackage`."""
    training = [*model.values("training.procedure"), *(f"hardware: {one}" for one in model.values("training.compute"))]
    kinds = [*model.values("family"), *model.values("architecture"), *model.values("approach")]
    measured = {" ".join(filter(None, (m.type, m.dataset, m.slice))): m.value for m in model.metrics}
    risk = model.first("risk.level").lower()
    return without_empty(
        {
            "ai_autonomyType": presence(model.first("autonomy")),
            "ai_domain": list(dict.fromkeys((*model.values("use.domain"), *model.values("task")))),
            "ai_energyConsumption": _energy(model),
            "ai_hyperparameter": _entries({k: v for s in model.fields.get("hyperparameters", ()) for k, v in _pair(s.value, s.parts).items()}),
            "ai_informationAboutApplication": "\n".join((*model.values("use.intended"), *model.values("interaction"))),
            "ai_informationAboutTraining": "\n".join(training),
            "ai_limitation": "\n".join((*model.values("limits"), *(f"not for: {one}" for one in model.values("use.out-of-scope")))),
            "ai_metric": _entries(measured),
            "ai_metricDecisionThreshold": _entries({m.type: m.threshold for m in model.metrics if m.threshold}),
            "ai_modelDataPreprocessing": list(model.values("training.preprocessing")),
            "ai_modelExplainability": list(model.values("explainability")),
            "ai_safetyRiskAssessment": risk if risk in _RISKS else "",
            "ai_standardCompliance": list(model.values("standards")),
            "ai_typeOfModel": list(dict.fromkeys(kinds)),
            "ai_useSensitivePersonalInformation": presence(model.first("data.personal")),
        }
    )  # fmt: skip


def _pair(value: str, parts: Mapping[str, str]) -> dict[str, str]:
    if parts:
        return dict(parts)
    key, _, rest = value.partition(":")
    return {key.strip(): rest.strip()} if rest else {value: ""}


def _entries(pairs: Mapping[str, str]) -> list[dict[str, str]]:
    return [
        without_empty({"type": "DictionaryEntry", "key": key, "value": value}) for key, value in pairs.items() if key
    ]


def presence(said: str) -> str:
    """yes or no where the text begins so; '' otherwise, since no word of a text decides it."""
    first = next(iter(re.findall(r"\w+", said.lower())), "")
    return "yes" if first in _YES else "no" if first in _NO else ""


def _energy(model: Model) -> dict[str, Any]:
    by_kind: dict[str, list[dict[str, Any]]] = {}
    for stated in model.fields.get("training.energy", ()):
        energy = number(stated.parts.get("kwh") or stated.parts.get("energy kwh") or "")
        kind = (stated.parts.get("training type") or stated.parts.get("activity") or "training").lower()
        if energy is not None:
            name = "finetuning" if "tuning" in kind else "inference" if "inference" in kind else "training"
            entry = {
                "type": "ai_EnergyConsumptionDescription",
                "ai_energyQuantity": energy,
                "ai_energyUnit": "kilowattHour",
            }
            by_kind.setdefault(f"ai_{name}EnergyConsumption", []).append(entry)
    return {"type": "ai_EnergyConsumption", **by_kind} if by_kind else {}


def data_fields(data: Dataset) -> dict[str, Any]:
    """Properties of `dataset_DatasetPackage`."""
    size = re.fullmatch(r"[0-9]{1,15}", data.first("size"))
    personal = data.fields.get("personal", ())
    free = presence(data.first("availability"))
    return without_empty(
        {
            "dataset_anonymizationMethodUsed": _all(data, "anonymisation"),
            "dataset_confidentialityLevel": _LEVELS.get(data.first("classification").lower(), ""),
            "dataset_dataCollectionProcess": "\n".join(_all(data, "collection")),
            "dataset_dataPreprocessing": _all(data, "preprocessing"),
            "dataset_datasetAvailability": "directDownload" if free == "yes" else "",
            "dataset_datasetNoise": "\n".join(_all(data, "noise")),
            "dataset_datasetSize": int(size[0]) if size else None,
            "dataset_datasetType": _types(data),
            "dataset_datasetUpdateMechanism": data.first("update"),
            "dataset_hasSensitivePersonalInformation": _sensitive([one.value for one in personal]),
            "dataset_intendedUse": "\n".join(_all(data, "intended-use")),
            "dataset_knownBias": _all(data, "bias"),
        }
    )


def _sensitive(said: list[str]) -> str:
    """What is named is there; only a plain no says that there is none."""
    if not said:
        return ""
    return "no" if len(said) == 1 and presence(said[0]) == "no" else "yes"


def _all(data: Dataset, what: str) -> list[str]:
    return [one.value for one in data.fields.get(what, ())]


def _types(data: Dataset) -> list[str]:
    """`noAssertion` where nobody says what kind of data it is: the class wants one."""
    said = " ".join((*_all(data, "type"), *_all(data, "intended-use"))).lower()
    return [kind for kind, marks in _TYPES.items() if any(mark in said for mark in marks)] or ["noAssertion"]


def moment_of(text: str) -> str:
    """A stated day or time as SPDX writes it; '' when it is none."""
    if re.fullmatch(r"\d{4}-\d{2}-\d{2}(?:[T ][0-9:.]{5,15}(?:Z|[+-][0-9:]{2,6})?)?", text, re.ASCII) is None:
        return ""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return ""
    return stamp((found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC))
