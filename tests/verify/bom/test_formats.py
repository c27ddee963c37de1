# SPDX-License-Identifier: Apache-2.0
"""CycloneDX and SPDX: valid, read back by their own libraries, the same for the same content, with the whole card."""

from __future__ import annotations

import copy
import json
import random
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import spdx_python_model
from cyclonedx.model.bom import Bom
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from bastide.catalog.load import load_catalog
from bastide.errors import BastideError
from bastide.plan.load import parse_plan
from bastide.report.bom_check import check_cyclonedx, check_spdx
from bastide.report.bom_cyclonedx import cyclonedx
from bastide.report.bom_spdx import spdx
from bastide.verify.artifacts.scan import scan_file
from bastide.verify.bom.collect import Sources, collect
from bastide.verify.bom.model import Bill
from tests.verify.bom.conftest import fill

NOW = datetime(2026, 11, 23, tzinfo=UTC)
OWN = """\
approach: supervised learning
users: [clerks]
tradeoffs: [speed over length]
ethical considerations: [{name: wrong advice, mitigation: a person reads it}]
fairness: [{group: dialects, benefits: help, harms: errors, mitigation: a person}]
co2_eq_emissions: {kwh: 12.5, emissions: 4000, training_type: fine-tuning, provider: ACME, source: wind}
metrics: [{type: auc, value: 0.9, slice: German, confidence-interval: [0.8, 0.95], threshold: 0.5}]
datasets:
- {name: acme/tickets, classification: confidential, personal: [names], collection: help desk, bias: [few in French], owner: Support,
   license: cc-by-4.0, size: 5000, type: text}
explainability: [attention maps]
standards: [ISO/IEC 42001]
risk level: medium
release date: 2026-01-02
distribution: https://example.com/answers
"""
PLAN = """\
bastide: 1
system: desk
purpose: Answers letters.
data:
  letters: {class: confidential, contains: [personal.contact], owner: Support}
zones: {app: {trust: workload}}
components:
  agent: {kind: ai.agent, zone: app}
  answers: {kind: ai.model.server, zone: app, trained-on: letters, owner: ml-team}
flows:
  - agent <-> answers: {data: letters}
"""


@pytest.fixture
def bill(model: Path, tmp_path: Path) -> Bill:
    """With all that can be there."""
    card = tmp_path / "card.yaml"
    card.write_text(OWN)
    plan = parse_plan(PLAN, load_catalog(()).vocabulary, "bastide.yaml")
    return collect([model], Sources(card, plan, lambda paths: map(scan_file, paths)))


def entry(document: dict[str, Any], name: str) -> dict[str, Any]:
    [found] = [one for one in document["components"] if one["name"] == name]
    return found  # type: ignore[no-any-return]


@pytest.mark.parametrize("version", ["1.6", "1.7"])
def test_cyclonedx_is_valid_and_its_library_reads_it(bill: Bill, version: str) -> None:
    document = cyclonedx(bill, version, NOW)
    schema = {"1.6": SchemaVersion.V1_6, "1.7": SchemaVersion.V1_7}[version]
    assert JsonStrictValidator(schema).validate_str(json.dumps(document)) is None
    check_cyclonedx(document)
    read = Bom.from_json(document)  # type: ignore[attr-defined]
    assert {one["name"] for one in document["components"]} == {one.name for one in read.components}
    [model] = [one for one in read.components if one.name == "acme/answers"]
    assert bill.models[0].digest == next(iter(model.hashes)).content
    assert {"Apache-2.0"} == {one.id for one in model.licenses}
    graph = {one.ref.value: {d.ref.value for d in one.dependencies} for one in read.dependencies}
    assert {one["bom-ref"] for one in document["components"]} - {"model-1"} == graph["model-1"]
    assert {"model-1"} == graph["subject"]


def test_the_model_card_is_full(bill: Bill) -> None:
    card = entry(cyclonedx(bill, "1.7", NOW), "acme/answers")["modelCard"]
    parameters, considerations = card["modelParameters"], card["considerations"]
    assert parameters["approach"] == {"type": "supervised"}
    assert tuple(parameters[k] for k in ("task", "architectureFamily", "modelArchitecture")) == (
        "text-generation",
        "mistral",
        "MistralForCausalLM",
    )
    assert (parameters["inputs"], parameters["outputs"]) == ([{"format": "text"}], [{"format": "text"}])
    assert len(parameters["datasets"]) == 3
    metrics = card["quantitativeAnalysis"]["performanceMetrics"]
    assert metrics[0] == {
        "type": "auc",
        "value": "0.9",
        "slice": "German",
        "confidenceInterval": {"lowerBound": "0.8", "upperBound": "0.95"},
    }
    assert {"women", "men"} <= {one.get("slice") for one in metrics}
    assert considerations["users"] == ["clerks"]
    assert considerations["ethicalConsiderations"] == [
        {"name": "wrong advice", "mitigationStrategy": "a person reads it"}
    ]
    assert considerations["fairnessAssessments"] == [
        {"groupAtRisk": "dialects", "benefits": "help", "harms": "errors", "mitigationStrategy": "a person"}
    ]
    [energy] = considerations["environmentalConsiderations"]["energyConsumptions"]
    assert (
        energy["activity"],
        energy["activityEnergyCost"]["value"],
        energy["co2CostEquivalent"]["value"],
    ) == ("fine-tuning", 12.5, 0.004)
    names = {one["name"]: one["value"] for one in card["properties"]}
    assert names["bastide:card:oversight"] == "A person reads each answer."
    assert names["bastide:origin:task"] == "README.md:8"
    assert names["bastide:origin:monitoring"] == "unknown"


def test_data_lineage_and_evidence(bill: Bill) -> None:
    document = cyclonedx(bill, "1.7", NOW)
    [data] = entry(document, "acme/tickets")["data"]
    assert (data["classification"], data["sensitiveData"]) == ("confidential", ["names"])
    assert data["governance"] == {"owners": [{"organization": {"name": "Support"}}]}
    assert entry(document, "letters")["data"][0]["classification"] == "confidential"
    model = entry(document, "acme/answers")
    assert model["pedigree"]["ancestors"][0]["purl"] == "pkg:huggingface/acme/base-7b"
    assert len(model["components"]) == 5
    assert all(one["hashes"][0]["alg"] == "SHA-256" for one in model["components"])
    [claim] = document["declarations"]["claims"]
    assert (claim["target"], claim["evidence"]) == ("model-1", ["model-1/evidence-1"])
    assert document["compositions"][0]["aggregate"] == "complete"


def test_an_unsafe_file_is_counter_evidence(model: Path) -> None:
    (model / "evil.pkl").write_bytes(b"cos\nsystem\n(S'touch x'\ntR.")
    document = cyclonedx(collect([model], Sources(scan=lambda paths: map(scan_file, paths))), "1.6", NOW)
    [claim] = document["declarations"]["claims"]
    assert claim["counterEvidence"] == ["model-1/evidence-1"]
    [evil] = [one for one in entry(document, "acme/answers")["components"] if one["name"] == "evil.pkl"]
    facts = [(one["name"], one["value"]) for one in evil["properties"]]
    assert ("bastide:scan:verdict", "unsafe") in facts
    assert ("bastide:scan:finding", "pickle/runs-a-program") in facts


def test_an_unknown_file_leaves_the_claim_open(model: Path) -> None:
    (model / "odd.bin").write_bytes(b"\x80\x04\x8c\x01xQ.")
    document = cyclonedx(collect([model], Sources(scan=lambda paths: map(scan_file, paths))), "1.6", NOW)
    [claim] = document["declarations"]["claims"]
    assert set(claim) == {"bom-ref", "target", "predicate", "reasoning"}
    assert claim["reasoning"].startswith("open: ")


def test_spdx_is_valid_and_its_library_reads_it(bill: Bill) -> None:
    document = spdx(bill, NOW)
    check_spdx(document)
    types, found = spdx_python_model.load_data(document)
    assert set() == found.link()
    [package] = [one for one in found.foreach_type(types.ai_AIPackage) if one.name == "acme/answers"]
    assert list(package.ai_standardCompliance) == ["ISO/IEC 42001"]
    assert types.ai_SafetyRiskAssessmentType.medium == package.ai_safetyRiskAssessment
    assert {"hidden_size": "64"}.items() <= {one.key: one.value for one in package.ai_hyperparameter}.items()
    relations: dict[str, set[str]] = {}
    for one in found.foreach_type(types.Relationship):
        if one.from_ is package:
            kind = one.relationshipType.rpartition("/")[2]
            relations.setdefault(kind, set()).update(
                t if isinstance(t, str) else t.name or t.simplelicensing_licenseExpression for t in one.to
            )
    assert {"squad", "acme/tickets", "letters"} == relations["trainedOn"]
    assert {"squad"} == relations["testedOn"]
    assert {"acme/base-7b"} == relations["descendantOf"]
    assert {"Apache-2.0"} == relations["hasDeclaredLicense"] == relations["hasConcludedLicense"]
    assert {"torch", "transformers", "accelerate"} == relations["dependsOn"]
    [data] = [one for one in found.foreach_type(types.dataset_DatasetPackage) if one.name == "acme/tickets"]
    assert (5000, types.dataset_ConfidentialityLevelType.amber) == (
        data.dataset_datasetSize,
        data.dataset_confidentialityLevel,
    )


@pytest.mark.parametrize(
    ("stated", "cyclone", "expression"),
    [
        ("license: llama3.1", [{"license": {"name": "LicenseRef-llama-3.1"}}], "LicenseRef-llama-3.1"),
        ("license: MIT OR Apache-2.0", [{"expression": "MIT OR Apache-2.0"}], "MIT OR Apache-2.0"),
        (
            "license: other\nlicense_name: our-terms\nlicense_link: https://example.com/t",
            [{"license": {"name": "our-terms"}}],
            "LicenseRef-",
        ),
        ("license: other", [], "NoAssertion"),
    ],
)
def test_licences_that_are_no_plain_id(tmp_path: Path, stated: str, cyclone: list[Any], expression: str) -> None:
    (tmp_path / "README.md").write_text(f"---\n{stated}\n---\n")
    bill = collect([tmp_path])
    document, graph = cyclonedx(bill, "1.6", NOW), spdx(bill, NOW)
    check_cyclonedx(document)
    check_spdx(graph)
    licences = document["components"][0].get("licenses", [])
    plain = [
        {k: {"name": v["name"]} if k == "license" else v for k, v in one.items() if k != "acknowledgement"}
        for one in licences
    ]
    assert plain == cyclone
    assert expression in json.dumps(graph)


def test_profiles_are_claimed_only_when_they_hold(bill: Bill) -> None:
    """The base model says no supplier, so the AI profile isn't claimed, and the document says why."""
    [document] = [one for one in spdx(bill, NOW)["@graph"] if one["type"] == "SpdxDocument"]
    assert document["profileConformance"] == ["core", "software", "simpleLicensing"]
    assert "acme/base-7b lacks releaseTime, suppliedBy" in document["comment"]


def test_what_is_not_valid_is_not_written(bill: Bill) -> None:
    for change in ({"modelCard": {"bogus": 1}}, {"bom-ref": "subject"}, {"type": "model"}):
        document = copy.deepcopy(cyclonedx(bill, "1.6", NOW))
        document["components"][0] |= change
        with pytest.raises(BastideError, match="would not be valid"):
            check_cyclonedx(document)
    for key, value in (
        ("bogus", 1),
        ("ai_safetyRiskAssessment", "mild"),
        ("suppliedBy", "urn:nobody"),
        ("dataset_datasetType", None),
    ):
        graph = copy.deepcopy(spdx(bill, NOW))
        kind = "dataset_DatasetPackage" if key.startswith("dataset") else "ai_AIPackage"
        element = next(one for one in graph["@graph"] if one["type"] == kind)
        element.pop(key, None)
        if value is not None:
            element[key] = value
        with pytest.raises(BastideError, match="would not be valid"):
            check_spdx(graph)


def test_the_same_content_makes_the_same_documents(tmp_path: Path) -> None:
    """Wherever the folder lies, whenever and in whatever order its files were made; another content has another number."""
    first = fill(tmp_path / "one/answers")
    second = tmp_path / "two/answers"
    second.mkdir(parents=True)
    files = list(first.iterdir())
    random.Random(1).shuffle(files)
    for file in files:
        (second / file.name).write_bytes(file.read_bytes())
    a, b = collect([first]), collect([second])
    later = datetime(2027, 1, 1, tzinfo=UTC)
    assert json.dumps(cyclonedx(a, "1.7", NOW)) == json.dumps(cyclonedx(b, "1.7", NOW))
    assert json.dumps(spdx(a, NOW)) == json.dumps(spdx(b, NOW))
    assert cyclonedx(a, "1.7", NOW)["serialNumber"] == cyclonedx(a, "1.7", later)["serialNumber"]
    (second / "config.json").write_text("{}")
    assert cyclonedx(a, "1.7", NOW)["serialNumber"] != cyclonedx(collect([second]), "1.7", NOW)["serialNumber"]


@pytest.mark.slow
def test_a_folder_of_many_files(tmp_path: Path) -> None:
    """A hundred thousand files: the first twenty thousand are in the bill, which says that it is incomplete."""
    for folder in range(100):
        (tmp_path / f"{folder:03}").mkdir()
        for number in range(1000):
            (tmp_path / f"{folder:03}" / str(number)).touch()
    bill = collect([tmp_path])
    assert len(bill.models[0].files) == 20_000
    document = cyclonedx(bill, "1.6", NOW)
    check_cyclonedx(document)
    assert document["compositions"][0]["aggregate"] == "incomplete"
