# SPDX-License-Identifier: Apache-2.0
"""Programs that train: what they are, what they read, and where they keep results."""

from __future__ import annotations

from pathlib import Path

import pytest

from bastide.discover.discover import discover

TRAIN = """
import mlflow
from datasets import load_dataset
from transformers import AutoModelForCausalLM, Trainer, TrainingArguments

model = AutoModelForCausalLM.from_pretrained("example/base", revision="main")
data = load_dataset("example/talks", split="train", revision="0123456789012345678901234567890123456789")
own = load_dataset("csv", data_files="own.csv")
Trainer(model=model, args=TrainingArguments(output_dir="out"), train_dataset=data).train()
mlflow.log_param("a", 1)
"""


def test_a_training_job_and_what_it_reads(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text(TRAIN)
    found = discover(tmp_path)
    assert {c.id: c.kind for c in found.components.values()} == {
        "train": "ml.training",
        "example-base": "ai.model",
        "example-talks": "data.dataset",
        "mlflow": "ml.tracker",
    }
    assert {f.id for f in found.flows} == {
        "train->example-base:loads",
        "example-talks->train:reads",
        "train->mlflow:logs",
    }
    assert found.components["example-talks"].facts["pinned"].value is True


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("from trl import SFTTrainer\nSFTTrainer(model='example/base')", "ml.fine-tuning"),
        (
            "import torch, wandb\nwandb.init()\nopt = torch.optim.AdamW([], lr=1e-4)",
            "ml.training",
        ),
        (
            "from fastapi import FastAPI\nfrom peft import get_peft_model\napp = FastAPI()\nget_peft_model(1, 2)",
            "app.api",
        ),
    ],
)
def test_what_a_program_trains_with_tells_what_it_is(tmp_path: Path, code: str, kind: str) -> None:
    (tmp_path / "run.py").write_text(code)
    assert discover(tmp_path).components["run"].kind == kind


def test_a_job_is_its_container(tmp_path: Path) -> None:
    (tmp_path / "train").mkdir()
    (tmp_path / "train" / "train.py").write_text(TRAIN)
    (tmp_path / "train" / "Dockerfile").write_text("FROM python:3.12\nCMD python train.py\n")
    (tmp_path / "compose.yaml").write_text("services:\n  tuning:\n    build: ./train\n")
    [job] = [c for c in discover(tmp_path).components.values() if c.kind == "ml.training"]
    assert job.name == "tuning"
