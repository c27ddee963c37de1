# SPDX-License-Identifier: Apache-2.0
"""What is read of models: each statement with its place, placeholders as unknown, lineage, data, software."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bastide.errors import InputError, UsageError
from bastide.verify.bom.collect import Sources, collect
from bastide.verify.bom.model import Model, Relation, Use
from tests.verify.bom.conftest import fill, gguf

OWN = """\
version: 2.0
fairness:
- {group: dialects, harms: errors}
use.domain: help desks
metrics:
- {type: auc, value: 0.9, confidence-interval: [0.8, 0.95], threshold: 0.5}
"""


def read(path: Path, sources: Sources | None = None) -> Model:
    return collect([path], sources or Sources()).models[0]


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    ("field", "values", "origin"),
    [
        ("name", ("acme/answers",), "README.md:14"),
        ("version", ("1.10",), "README.md:11"),
        ("task", ("text-generation",), "README.md:8"),
        ("developer", ("ACME",), "README.md:24"),
        ("description", ("Answers questions of customers.",), "README.md:23"),
        ("use.intended", ("answering questions", "routing letters"), "README.md:28"),
        ("limits", ("It knows only two languages.",), "README.md:34"),
        ("oversight", ("A person reads each answer.",), "README.md:41"),
        ("architecture", ("MistralForCausalLM",), "config.json:2"),
        ("family", ("mistral",), "config.json:5"),
        ("inputs", ("text",), "README.md:8 (by its task)"),
        ("parameters", ("40",), "model.safetensors (counted in the headers)"),
    ],
)
def test_statements_know_their_place(model: Path, field: str, values: tuple[str, ...], origin: str) -> None:
    found = read(model)
    assert values == found.values(field)
    assert origin == str(found.fields[field][0].origin)


def test_placeholders_say_nothing(model: Path) -> None:
    """A heading over `More information needed` leaves its field unknown."""
    assert "use.out-of-scope" not in read(model).fields


def test_lineage_data_software_and_licences(model: Path) -> None:
    found = read(model)
    assert [(a.name, a.relation) for a in found.ancestors] == [("acme/base-7b", Relation.FINETUNE)]
    assert {d.name: d.uses for d in found.datasets} == {
        "squad": (Use.TESTED, Use.TRAINED),
        "acme/tickets": (Use.TRAINED,),
    }
    assert {d.name: d.version for d in found.dependencies} == {
        "torch": "2.3.0",
        "accelerate": "",
        "transformers": "4.40.0",
    }
    assert [(one.id, one.from_text) for one in found.licences] == [("Apache-2.0", False), ("Apache-2.0", True)]
    assert found.unread == ()
    assert any("other.txt" not in note and "not followed" in note for note in found.notes)


def test_metrics_with_their_slices(model: Path) -> None:
    found = [(m.type, m.value, m.dataset, m.slice) for m in read(model).metrics]
    assert found == [
        ("f1", "0.910", "squad", "validation"),
        ("accuracy", "0.90", "", "women"),
        ("accuracy", "0.91", "", "men"),
    ]


TRAINED = """\
---
license: mit
base_model: acme/small
---
# Model Card for Letters
[![badge](https://example.com)](x)

Sorts letters by topic.
It achieves the following results on the evaluation set:
- Loss: 0.21
- Accuracy: 0.93

### Training hyperparameters
The following hyperparameters were used during training:
- learning_rate: 2e-05
### Framework versions
- Transformers 4.40.0
- Pytorch 2.2.1+cu121
"""


def test_what_training_libraries_write(tmp_path: Path) -> None:
    found = read(write(tmp_path / "m/README.md", TRAINED).parent)
    assert found.name == "Letters"
    assert str(found.fields["description"][0].origin) == "README.md:8 (the first paragraph)"
    assert [(m.type, m.value) for m in found.metrics] == [("Loss", "0.21"), ("Accuracy", "0.93")]
    assert "learning_rate: 2e-05" in found.values("hyperparameters")
    assert {d.name: d.version for d in found.dependencies} == {"transformers": "4.40.0", "torch": "2.2.1+cu121"}


def test_a_licence_file_that_says_another_licence_is_noted(model: Path) -> None:
    write(
        model / "LICENSE",
        "MIT License\nPermission is hereby granted, free of charge, to any person obtaining a copy ... without restriction",
    )
    assert any("not that of the licence file (MIT)" in note for note in read(model).notes)


def test_adapters_and_quantisation(tmp_path: Path) -> None:
    adapter = {
        "base_model_name_or_path": "acme/base",
        "peft_type": "LORA",
        "r": 8,
        "task_type": "CAUSAL_LM",
        "revision": "main",
    }
    write(tmp_path / "a/adapter_config.json", json.dumps(adapter))
    found = read(tmp_path / "a")
    assert [(a.name, a.relation, a.revision) for a in found.ancestors] == [("acme/base", Relation.ADAPTER, "main")]
    assert found.first("family") == "LORA"
    assert "r: 8" in found.values("hyperparameters")
    write(tmp_path / "q/config.json", '{"quantization_config": {"quant_method": "gptq", "bits": 4}}')
    write(tmp_path / "q/README.md", "---\nbase_model: acme/base\n---\n")
    quantised = read(tmp_path / "q")
    assert [a.relation for a in quantised.ancestors] == [Relation.QUANTIZED]
    assert quantised.first("precision") == "gptq, bits 4"


def test_gguf_says_what_it_was_made_from(tmp_path: Path) -> None:
    texts = {
        "general.name": "Small", "general.architecture": "llama", "general.license": "mit",
        "general.base_model.0.name": "Big", "general.base_model.0.repo_url": "https://huggingface.co/acme/big",
    }  # fmt: skip
    path = tmp_path / "small.gguf"
    path.write_bytes(
        gguf(texts, {"general.base_model.count": 1, "general.file_type": 15, "llama.context_length": 4096})
    )
    found = read(path)
    assert tuple(found.first(f) for f in ("name", "family", "precision", "context")) == (
        "Small",
        "llama",
        "Q4_K_M",
        "4096",
    )
    assert [(a.name, a.relation) for a in found.ancestors] == [("acme/big", Relation.QUANTIZED)]
    assert [one.id for one in found.licences] == ["MIT"]
    assert found.digest == found.files[0].sha256


def test_mlflow(tmp_path: Path) -> None:
    text = """\
artifact_path: model
flavors:
  python_function: {loader_module: mlflow.sklearn, python_version: 3.11.7}
  sklearn: {sklearn_version: 1.5.0}
mlflow_version: 2.14.1
model_uuid: abcdef
signature:
  inputs: '[{"type": "double", "name": "age"}]'
  outputs: '[{"type": "tensor", "tensor-spec": {"dtype": "int64", "shape": [-1]}}]'
"""
    write(tmp_path / "m/MLmodel", text)
    found = read(tmp_path / "m")
    assert {d.name: d.version for d in found.dependencies} == {
        "python": "3.11.7",
        "scikit-learn": "1.5.0",
        "mlflow": "2.14.1",
    }
    assert (found.values("inputs"), found.values("outputs")) == (("age double",), ("int64",))


def test_croissant_describes_a_data_set_that_the_card_names(model: Path) -> None:
    description = {
        "@context": {"sc": "https://schema.org/"}, "@type": "sc:Dataset", "name": "Tickets", "sc:license": "https://spdx.org/licenses/CC-BY-4.0.html",
        "rai:dataCollection": "from the help desk", "rai:dataBiases": ["few in French"], "rai:personalSensitiveInformation": ["names"],
        "creator": {"name": "Support"}, "distribution": [{"sha256": "a" * 64}],
    }  # fmt: skip
    write(model / "data/croissant.json", json.dumps(description))
    [data] = [d for d in read(model).datasets if d.name == "acme/tickets"]
    assert tuple(data.first(f) for f in ("collection", "bias", "personal", "owner")) == (
        "from the help desk",
        "few in French",
        "names",
        "Support",
    )
    assert (tuple(one.id for one in data.licences), data.hashes) == (("CC-BY-4.0",), ("a" * 64,))


def test_an_own_card_comes_first_and_may_be_structured(model: Path, tmp_path: Path) -> None:
    card = write(tmp_path / "card.yaml", OWN)
    found = read(model, Sources(card=card))
    assert found.first("version") == "2.0"
    assert dict(found.fields["fairness"][0].parts) == {"group": "dialects", "harms": "errors"}
    assert (found.metrics[0].lower, found.metrics[0].upper, found.metrics[0].threshold) == ("0.8", "0.95", "0.5")
    with pytest.raises(InputError, match="mapping"):
        read(model, Sources(card=write(tmp_path / "list.yaml", "- a\n")))


def test_models_of_one_call_are_tied(tmp_path: Path) -> None:
    fill(tmp_path / "base-7b")
    write(tmp_path / "b/adapter_config.json", '{"base_model_name_or_path": "../base-7b"}')
    bill = collect([tmp_path / "base-7b", tmp_path / "b"])
    assert [a.model for a in bill.models[1].ancestors] == ["model-1"]
    assert any("isn't followed" in note for note in bill.models[1].notes)


def test_a_circle_of_ancestors_makes_the_bill_incomplete(tmp_path: Path) -> None:
    write(tmp_path / "a/README.md", "---\nbase_model: x/b\n---\n")
    write(tmp_path / "b/README.md", "---\nbase_model: x/a\n---\n")
    bill = collect([tmp_path / "a", tmp_path / "b"])
    assert all("made from itself" in why for why in bill.unread)
    assert len(bill.unread) == 2


def test_nothing_at_a_path(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such file"):
        collect([tmp_path / "none"])
