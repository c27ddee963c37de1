# SPDX-License-Identifier: Apache-2.0
"""`bastide scan`: verdicts, exit codes, formats, and files that can't be read to their end."""

from __future__ import annotations

import json
import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import jsonschema
import pytest
from click.testing import Result

from bastide.verify.artifacts.model import Verdict
from bastide.verify.artifacts.pool import Allowance, scan_files

Run = Callable[..., Result]
EVIL = b"cos\nsystem\n(S'touch x'\ntR."


@pytest.fixture
def models(tmp_path: Path) -> Path:
    folder = tmp_path / "models"
    (folder / "deep").mkdir(parents=True)
    (folder / "good.pkl").write_bytes(pickle.dumps({"weights": [1.0, 2.0]}))
    (folder / "deep" / "evil.pkl").write_bytes(EVIL)
    (folder / "odd.bin").write_bytes(b"\x80\x04\x8c\x01xQ.")
    (folder / "link.pkl").symlink_to(folder / "good.pkl")
    os.mkfifo(folder / "pipe.pkl")
    return folder


@pytest.mark.parametrize(
    ("file", "code"), [("good.pkl", 0), ("deep/evil.pkl", 1), ("nothing.pkl", 2), ("odd.bin", 3), (".", 1)]
)
def test_exit_codes(run: Run, models: Path, file: str, code: int) -> None:
    assert code == run("scan", str(models / file)).exit_code


def test_json_follows_its_schema(run: Run, models: Path) -> None:
    document = json.loads(run("scan", str(models), "--format", "json").stdout)
    jsonschema.validate(document, json.loads(run("schema", "scan").stdout))
    seen = {Path(f["path"]).name: f["verdict"] for f in document["files"]}
    assert seen == {"good.pkl": "safe", "evil.pkl": "unsafe", "odd.bin": "unknown"}
    assert document["summary"] == {"files": 3, "safe": 1, "unsafe": 1, "unknown": 1}


def test_the_table_says_why_and_where(run: Run, models: Path) -> None:
    shown = " ".join(run("scan", str(models)).stdout.split())
    assert "calls `os.system`, which runs a program" in shown
    assert "os.system('touch x') [pickle/runs-a-program, byte 24]" in shown
    assert "3 files: 1 unsafe, 1 unknown, 1 safe" in shown


def test_sarif_and_junit(run: Run, models: Path) -> None:
    results: list[dict[str, Any]] = json.loads(run("scan", str(models), "-f", "sarif").stdout)["runs"][0]["results"]
    [unsafe, *_] = [r for r in results if r["ruleId"] == "pickle/runs-a-program"]
    assert unsafe["locations"][0]["physicalLocation"]["region"]["byteOffset"] == 24
    suite = ElementTree.fromstring(run("scan", str(models), "-f", "junit").stdout)
    assert (suite.get("tests"), suite.get("failures"), suite.get("errors")) == ("3", "1", "1")


def test_a_report_does_not_overwrite_what_was_scanned(run: Run, models: Path) -> None:
    file = models / "good.pkl"
    assert run("scan", str(file), "-o", str(file)).exit_code == 2


@pytest.mark.parametrize("jobs", [1, 3])
def test_reports_come_in_the_order_of_the_files(tmp_path: Path, jobs: int) -> None:
    paths = [tmp_path / f"{i}.pkl" for i in range(40)]
    for i, path in enumerate(paths):
        path.write_bytes(pickle.dumps(list(range(i * 500))))
    assert [str(p) for p in paths] == [r.path for r in scan_files(paths, jobs)]


def test_what_takes_too_long_is_unknown_and_the_rest_goes_on(tmp_path: Path) -> None:
    slow, good = tmp_path / "slow.pkl", tmp_path / "good.pkl"
    slow.write_bytes(b"\x80\x04" + b"N0" * 20_000_000 + b"N.")
    good.write_bytes(pickle.dumps(1))
    first, second = scan_files([slow, good], 1, Allowance(seconds=0.3))
    assert (first.verdict, second.verdict) == (Verdict.UNKNOWN, Verdict.SAFE)
    assert "over 0.3 seconds" in first.findings[0].message


def test_what_takes_too_much_memory_is_unknown(tmp_path: Path) -> None:
    huge = tmp_path / "huge.pkl"
    huge.write_bytes(b"\x80\x04" + b"(" * 6_000_000)
    [report] = scan_files([huge], 1, Allowance(memory=40 << 20))
    assert Verdict.UNKNOWN is report.verdict


def test_an_unreadable_file_is_unknown(tmp_path: Path) -> None:
    [report] = scan_files([tmp_path / "gone.pkl"])
    assert Verdict.UNKNOWN is report.verdict
    assert "No such file" in report.findings[0].message
