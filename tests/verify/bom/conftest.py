# SPDX-License-Identifier: Apache-2.0
"""A small model's folder in the form of Hugging Face, with much that a card can say."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import pytest

CARD = """\
---
license: apache-2.0
base_model: acme/base-7b
base_model_relation: finetune
datasets:
- squad
- acme/tickets
pipeline_tag: text-generation
language: [en, de]
library_name: transformers
version: 1.10
co2_eq_emissions: {emissions: 1200, training_type: fine-tuning, hardware_used: 1 GPU}
model-index:
- name: acme/answers
  results:
  - task: {type: text-generation}
    dataset: {name: SQuAD, type: squad, split: validation}
    metrics:
    - {type: f1, value: 0.910}
---
# Answers
## Model Description
Answers questions of customers.
- **Developed by:** ACME
- **Shared by:** [More Information Needed]
## Uses
### Direct Use
- answering questions
- routing letters
### Out-of-Scope Use
[More Information Needed]
## Bias, Risks, and Limitations
<!-- say what it can't do -->
It knows only two languages.
## Evaluation
| Metric | Group | Value |
|---|---|---|
| accuracy | women | 0.90 |
| accuracy | men | 0.91 |
## Human oversight
A person reads each answer.
"""
CONFIG = {
    "architectures": ["MistralForCausalLM"], "model_type": "mistral", "torch_dtype": "bfloat16", "transformers_version": "4.40.0", "hidden_size": 64,
}  # fmt: skip


def safetensors(tensors: dict[str, list[int]]) -> bytes:
    """A file with tensors of zeros in half precision."""
    header, at = {}, 0
    for name, shape in tensors.items():
        size = 2
        for extent in shape:
            size *= extent
        header[name] = {"dtype": "BF16", "shape": shape, "data_offsets": [at, at + size]}
        at += size
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + bytes(at)


def gguf(texts: dict[str, str], numbers: dict[str, int]) -> bytes:
    """A file with metadata and no tensors."""

    def text(value: str) -> bytes:
        return struct.pack("<Q", len(value.encode())) + value.encode()

    data = b"GGUF" + struct.pack("<IQQ", 3, 0, len(texts) + len(numbers))
    for key, value in texts.items():
        data += text(key) + struct.pack("<I", 8) + text(value)
    for key, number in numbers.items():
        data += text(key) + struct.pack("<II", 4, number)
    return data


def fill(folder: Path) -> Path:
    """The model in a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "README.md").write_text(CARD)
    (folder / "config.json").write_text(json.dumps(CONFIG, indent=2))
    (folder / "requirements.txt").write_text("torch==2.3.0\naccelerate>=0.30\n-r other.txt\n")
    (folder / "LICENSE").write_text("Apache License\n Version 2.0, January 2004\n http://www.apache.org/licenses/\n")
    (folder / "model.safetensors").write_bytes(safetensors({"a": [4, 8], "b": [8]}))
    return folder


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return fill(tmp_path / "answers")
