# SPDX-License-Identifier: Apache-2.0
"""`bastide dataset check`: exit codes, formats, the card, and what is not read."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from click.testing import Result

Run = Callable[..., Result]
MAIL = "ann.lee" + "@mail.example.org"


def lines(*records: object) -> str:
    return "".join(json.dumps(r) + "\n" for r in records)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "set"
    folder.mkdir()
    rows = [{"text": f"the {i} parcel came in time and all was well", "label": "ab"[i % 2]} for i in range(60)]
    (folder / "good.jsonl").write_text(lines(*rows))
    (folder / "mail.jsonl").write_text(lines(*rows, {"text": f"please write to {MAIL} about it", "label": "a"}))
    (folder / "broken.jsonl").write_text(lines(*rows) + '{"text": \n')
    (folder / "LICENSE").write_text("MIT License\n\nPermission is hereby granted, free of charge, to any person\n")
    return folder


@pytest.mark.parametrize(
    ("file", "code"), [("good.jsonl", 0), ("mail.jsonl", 1), ("nothing.jsonl", 2), ("broken.jsonl", 3)]
)
def test_exit_codes(run: Run, data: Path, file: str, code: int) -> None:
    """0 without findings, 1 with some at the threshold, 2 for a wrong call, 3 when something was not read."""
    assert code == run("dataset", "check", str(data / file), "--purpose", "sorts parcels").exit_code


def test_the_threshold_can_be_set(run: Run, data: Path) -> None:
    """What is below the threshold doesn't fail."""
    assert run("dataset", "check", str(data / "mail.jsonl"), "--fail-on", "critical").exit_code == 0


def test_json_follows_its_schema_and_masks_what_it_found(run: Run, data: Path) -> None:
    """The document is what the schema says, and the personal value isn't in it."""
    shown = run("dataset", "check", str(data), "--format", "json").stdout
    document: dict[str, Any] = json.loads(shown)
    jsonschema.validate(document, json.loads(run("schema", "dataset").stdout))
    [mail] = [f for f in document["findings"] if f["kind"] == "personal/email" and f["id"] == "dataset/personal-data"]
    assert (str(data / "mail.jsonl"), 61, "text", 1) == (mail["file"], mail["row"], mail["field"], mail["count"])
    assert MAIL not in shown
    assert not document["complete"]


def test_the_table_names_the_place_and_what_was_not_read(run: Run, data: Path) -> None:
    """A person sees where to look."""
    shown = " ".join(run("dataset", "check", str(data)).stdout.split())
    assert "mail.jsonl:61" in shown
    assert "broken.jsonl:61: lines that are no JSON" in shown


def test_a_card_is_written(run: Run, data: Path, tmp_path: Path) -> None:
    """The data card says what was measured, and unknown for the rest."""
    card = tmp_path / "card.md"
    assert run("dataset", "check", str(data / "good.jsonl"), "--card", str(card)).exit_code == 0
    text = card.read_text()
    assert "| rows | 60 |" in text
    assert "| classification | unknown |" in text


def test_a_plan_says_what_the_data_may_be(run: Run, data: Path, folder: Path) -> None:
    """An asset that a plan calls internal must not hold personal data."""
    shown = run(
        "dataset", "check", str(data / "mail.jsonl"), "--plan", "bastide.yaml", "--asset", "kb-docs", "-f", "json"
    )
    ids = {f["id"] for f in json.loads(shown.stdout)["findings"]}
    assert "dataset/classification-understated" in ids
    assert run("dataset", "check", str(data), "--plan", "bastide.yaml", "--asset", "nothing").exit_code == 2
    assert run("dataset", "check", str(data), "--plan", "bastide.yaml").exit_code == 2


def test_a_report_does_not_overwrite_the_data(run: Run, data: Path) -> None:
    """An output that is an input is refused."""
    file = str(data / "good.jsonl")
    assert run("dataset", "check", file, "-o", file).exit_code == 2
    assert run("dataset", "check", file, "--card", file).exit_code == 2
