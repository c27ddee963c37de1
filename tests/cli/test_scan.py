# SPDX-License-Identifier: Apache-2.0
"""`bastide scan`: verdicts, exit codes, formats, and files that can't be read to their end."""

from __future__ import annotations

import json
import os
import pickle
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import jsonschema
import pytest
import yaml
from click.testing import Result

from bastide.cli.commands.scan import scan
from bastide.cli.scanned import _sentence
from bastide.verify.artifacts.model import Finding, Severity, Tier, Verdict
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


def test_what_is_passed_over_leaves_it_unknown(run: Run, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    (tmp_path / "elsewhere.pkl").write_bytes(EVIL)
    (folder / "model.pkl").symlink_to("../elsewhere.pkl")
    done = run("scan", str(folder), "--format", "json")
    assert (done.exit_code, "leads out of the folder" in done.stderr) == (3, True)
    document = json.loads(done.stdout)
    jsonschema.validate(document, json.loads(run("schema", "scan").stdout))
    assert (document["files"], len(document["passed_over"])) == ([], 1)
    assert run("scan", str(folder), "--allow-unknown").exit_code == 0


def test_unknown_can_be_allowed_and_unsafe_cannot(run: Run, models: Path) -> None:
    assert run("scan", str(models / "odd.bin"), "--allow-unknown").exit_code == 0
    assert run("scan", str(models), "--allow-unknown").exit_code == 1


def test_vex_is_valid_and_says_what_can_be_exploited(run: Run, models: Path) -> None:
    from bastide.report.bom_check import check_cyclonedx

    text = run("scan", str(models), "-f", "vex").stdout
    assert text == run("scan", str(models), "-f", "vex").stdout
    document = json.loads(text)
    check_cyclonedx(document)
    names = {one["bom-ref"]: Path(one["name"]).name for one in document["components"]}
    found = {
        (one["id"], one["analysis"]["state"], names[place["ref"]])
        for one in document["vulnerabilities"]
        for place in one["affects"]
    }
    assert ("pickle/runs-a-program", "exploitable", "evil.pkl") in found
    assert {state for _, state, name in found if name == "odd.bin"} == {"in_triage"}
    assert not [one for one in found if one[2] == "good.pkl"]


def test_kept_reports(run: Run, models: Path, tmp_path: Path) -> None:
    cache = str(tmp_path / "cache")
    first = run("scan", str(models), "--cache", cache)
    assert first.stdout == run("scan", str(models), "--cache", cache).stdout
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o777)
    done = run("scan", str(models), "--cache", str(tmp_path / "open"))
    assert (done.exit_code, "others may write there" in done.stderr) == (2, True)


def test_the_hook_calls_what_there_is() -> None:
    """The hook for pre-commit names this command with options that exist."""
    root = Path(__file__).parents[2]
    [hook] = yaml.safe_load((root / ".pre-commit-hooks.yaml").read_text())
    command, name, *options = hook["entry"].split()
    assert (command, name) == ("bastide", "scan")
    known = {option for parameter in scan.params for option in parameter.opts}
    assert set(options) <= known
    assert all(re.search(hook["files"], name) for name in ("m/model.pkl", "a.PT", "b.safetensors", "config.json"))
    assert not re.search(hook["files"], "README.md")


def test_what_could_not_be_read_has_no_place() -> None:
    """Where no byte is meant, none is named."""
    finding = Finding("scan/not-read", Tier.POLICY, Severity.MEDIUM, "not read")
    assert _sentence(finding) == "not read [scan/not-read]"
