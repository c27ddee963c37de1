# SPDX-License-Identifier: Apache-2.0
"""`bastide bom`: formats, exit codes, the scan, the signature, and what is missing."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import jsonschema
import pytest
from click.testing import Result

from tests.verify.bom.conftest import fill

Run = Callable[..., Result]
WHEN = ("--timestamp", "2026-11-23T12:00:00Z")


@pytest.fixture
def model(folder: Path) -> Path:
    return fill(folder / "answers")


def test_the_table_says_what_is_known_and_where_to_write_the_rest(run: Run, model: Path) -> None:
    result = run("bom", str(model))
    assert result.exit_code == 0
    shown = " ".join(result.stdout.split())
    assert "made from acme/base-7b (finetune)" in shown
    assert "scan safe" in shown
    assert "Signature bastide sign" in shown
    assert "missing 5 risk management" in shown
    assert "% of Annex IV" in shown


def test_json_follows_its_schema(run: Run, model: Path) -> None:
    document = json.loads(run("bom", str(model), "-f", "json").stdout)
    jsonschema.validate(document, json.loads(run("schema", "bom").stdout))
    assert {"safe"} == {one["verdict"] for one in document["models"][0]["files"]}


@pytest.mark.parametrize(
    ("format_", "version"), [("cyclonedx", "1.7"), ("cyclonedx-1.6", "1.6"), ("cyclonedx-1.7", "1.7")]
)
def test_cyclonedx(run: Run, model: Path, format_: str, version: str) -> None:
    result = run("bom", str(model), "--plan", "bastide.yaml", "--no-scan", "-f", format_, "-o", "bom.json", *WHEN)
    assert result.exit_code == 0
    document = json.loads(Path("bom.json").read_text())
    assert (version, "2026-11-23T12:00:00Z") == (document["specVersion"], document["metadata"]["timestamp"])
    assert document["metadata"]["component"]["name"] == "Support assistant"


def test_the_time_comes_from_the_call_or_the_environment(
    run: Run, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "0")
    first = run("bom", str(model), "--no-scan", "-f", "spdx")
    assert json.loads(first.stdout)["@graph"][0]["created"] == "1970-01-01T00:00:00Z"
    assert first.stdout == run("bom", str(model), "--no-scan", "-f", "spdx").stdout
    assert run("bom", str(model), "--no-scan", "-f", "spdx", "--timestamp", "soon").exit_code == 2


def test_a_report_of_a_scan_counts_by_content(run: Run, model: Path) -> None:
    run("scan", str(model), "-f", "json", "-o", "scan.json")
    taken = json.loads(run("bom", str(model), "--scan", "scan.json", "-f", "json").stdout)["models"][0]
    assert taken["evidence"][0]["state"] == "safe"
    (model / "config.json").write_text("{}")
    changed = json.loads(run("bom", str(model), "--scan", "scan.json", "-f", "json").stdout)["models"][0]
    assert changed["evidence"][0]["state"] == "unknown"
    assert [one["verdict"] for one in changed["files"] if one["path"] == "config.json"] == [""]


def test_a_signature_matches_until_a_file_changes(run: Run, model: Path, folder: Path) -> None:
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (folder / "key.pem").write_bytes(pem)
    signed = run("sign", str(model), "--key", "key.pem", "-f", "json")
    assert signed.exit_code == 0, signed.output

    def state() -> tuple[str, str]:
        found = json.loads(run("bom", str(model), "--no-scan", "-f", "json").stdout)["models"][0]
        return found["evidence"][0]["state"], found["digest"]

    assert ("matches", json.loads(signed.stdout)["digest"]["sha256"]) == state()
    (model / "more.txt").write_text("x")
    assert state()[0] == "partial"
    (model / "config.json").write_text("{}")
    assert state()[0] == "differs"


@pytest.mark.parametrize(
    ("args", "code"),
    [
        (("answers", "--no-scan", "--fail-under", "10"), 0),
        (("answers", "--no-scan", "--fail-under", "99"), 1),
        (("nothing",), 2),
        (("answers", "--scan", "bastide.yaml"), 2),
        (("answers", "--scan", "x", "--no-scan"), 2),
        (("answers", "--card", "answers/model.safetensors"), 2),
        (("answers", "answers/config.json", "--card", "card.yaml"), 2),
        (("answers/config.json", "-o", "answers/config.json"), 2),
        (("answers", "--no-scan", "-f", "cyclonedx", "--fail-under", "5"), 0),
    ],
)
def test_exit_codes(run: Run, model: Path, args: tuple[str, ...], code: int) -> None:
    result = run("bom", *args)
    assert code == result.exit_code, result.output


def test_what_was_not_read_makes_it_incomplete(run: Run, model: Path) -> None:
    (model / "config.json").write_text("{")
    result = run("bom", str(model), "--no-scan", "-f", "cyclonedx")
    assert result.exit_code == 3
    assert json.loads(result.stdout)["compositions"][0]["aggregate"] == "incomplete"
    assert run("bom", str(model), "--no-scan").exit_code == 3
