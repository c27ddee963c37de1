# SPDX-License-Identifier: Apache-2.0
"""`bastide assess`: one plan in, every format out."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import jsonschema
import pytest

from bastide.catalog.load import load_catalog
from bastide.report.document import schema
from tests.cli.conftest import RULE, Run


def findings(run: Run, *args: str) -> list[dict]:
    return json.loads(run("assess", "--format", "json", *args).stdout)["findings"]


def test_a_table_shows_path_fix_and_place(run: Run) -> None:
    """Without options: the worst finding with severity, arithmetic, path, fix, place, and what to do next."""
    result = run("assess", "bastide.yaml", "--all")
    assert result.exit_code == 0
    assert "kb → assistant → refund" in result.stdout
    assert "human-approval on" in result.stdout
    assert "bastide.yaml:" in result.stdout
    assert "HIGH 12 = 4 x 3" in result.stdout
    assert "Next" in result.stdout
    assert "\x1b" not in result.stdout
    assert all(len(line) <= 100 for line in result.stdout.splitlines() if not line.startswith("  bastide "))


def test_the_plan_may_be_left_out(run: Run) -> None:
    """`bastide.yaml` in the working directory is the default."""
    assert run("assess").stdout == run("assess", "bastide.yaml").stdout


def test_json_keeps_the_contract(run: Run) -> None:
    """The document fits its schema and has what the contract names."""
    document = json.loads(run("assess", "--format", "json").stdout)
    jsonschema.validate(document, schema("assess"))
    assert document["schema_version"] == "1.0"
    assert document["plan"]["id"] == "support-assistant"
    assert document["summary"]["open"] == sum(document["summary"]["by_severity"].values())
    finding = next(f for f in document["findings"] if f["rule"] == RULE)
    assert finding["path"][-1] == "refund"
    assert finding["location"]["file"] == "bastide.yaml"
    assert finding["state"] == "open"
    assert finding["severity"] == "high"
    assert document["hardening"]["controls"]


def test_json_is_the_same_every_time(run: Run) -> None:
    """Nothing in the output depends on anything but plan, knowledge and day."""
    assert (
        run("assess", "-f", "json", "--today", "2026-11-23").stdout
        == run("assess", "-f", "json", "--today", "2026-11-23").stdout
    )


def test_an_absolute_path_is_shown_relative(run: Run, folder: Path) -> None:
    """Locations below the working directory are relative, so they work in other tools and on other machines."""
    found = findings(run, str(folder / "bastide.yaml"))
    assert {f["location"]["file"] for f in found} == {"bastide.yaml"}


def test_one_run_writes_several_files(run: Run, folder: Path) -> None:
    """Each `-o` is a file in the format of its suffix; nothing but notes on stderr is printed."""
    names = ["r.html", "r.json", "r.sarif", "r.md", "r.csv", "r.txt"]
    result = run("assess", *(word for name in names for word in ("-o", name)))
    assert result.exit_code == 0
    assert result.stdout == ""
    assert "open finding" in result.stderr
    assert (folder / "r.html").read_text().lower().startswith("<!doctype html>")
    assert json.loads((folder / "r.json").read_text())["findings"]
    assert json.loads((folder / "r.sarif").read_text())["version"] == "2.1.0"
    assert (folder / "r.md").read_text().startswith("## Threat model of Support assistant")
    assert next(csv.reader(io.StringIO((folder / "r.csv").read_text())))[0] == "id"
    assert (folder / "r.txt").read_text().startswith("Support assistant")
    assert [f.name for f in folder.iterdir() if f.name.startswith(".")] == []


def test_quiet_says_nothing(run: Run) -> None:
    result = run("assess", "-o", "r.json", "--quiet")
    assert result.output == ""


def test_format_wins_over_the_suffix_of_a_single_file(run: Run, folder: Path) -> None:
    run("assess", "--format", "json", "-o", "result.txt")
    assert json.loads((folder / "result.txt").read_text())["findings"]


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (["-o", "no/such/report.html"], "there is no folder `no/such`"),
        (["-o", "."], "which format"),
        (["-o", "report.xyz"], "which format"),
        (["-f", "json", "-o", "."], "is a directory"),
        (["--baseline", "nothing.json"], "nothing.json: no such file"),
        (["--baseline", "bastide.yaml"], "is no assessment"),
        (["--pack", "nowhere"], "is no folder with knowledge"),
        (["--today", "tomorrow"], "is no date"),
        (["--severity-min", "worst"], "is not one of"),
        (["other.yaml"], "other.yaml: no such file"),
    ],
)
def test_wrong_calls_are_explained(run: Run, args: list[str], says: str) -> None:
    """Exit code 2 and a message on stderr that names the culprit; nothing on stdout."""
    result = run("assess", *args)
    assert result.exit_code == 2
    assert says in result.stderr
    assert result.stdout == ""


def test_a_symbolic_link_is_not_written_through(run: Run, folder: Path) -> None:
    """The target of a link was never named, so it stays as it is."""
    target = folder / "target.json"
    target.write_text("kept")
    (folder / "link.json").symlink_to(target)
    result = run("assess", "-o", "link.json")
    assert result.exit_code == 2
    assert "symbolic link" in result.stderr
    assert target.read_text() == "kept"


def test_an_output_replaces_the_old_one_and_keeps_its_mode(run: Run, folder: Path) -> None:
    old = folder / "r.json"
    old.write_text("old")
    old.chmod(0o640)
    run("assess", "-o", "r.json")
    assert json.loads(old.read_text())["findings"]
    assert old.stat().st_mode & 0o777 == 0o640


def test_severity_min_leaves_out_what_is_below(run: Run) -> None:
    """The document says that it was filtered."""
    document = json.loads(run("assess", "-f", "json", "--severity-min", "high").stdout)
    assert document["severity_min"] == "high"
    assert {f["severity"] for f in document["findings"]} <= {"high", "critical"}
    assert {q["severity"] for q in document["questions"]} <= {"high", "critical"}
    everything = json.loads(run("assess", "-f", "json").stdout)
    assert len(everything["questions"]) > len(document["questions"])


def test_no_hardening(run: Run) -> None:
    document = json.loads(run("assess", "-f", "json", "--no-hardening").stdout)
    jsonschema.validate(document, schema("assess"))
    assert document["hardening"] is None
    assert "cheapest set" not in run("assess", "--no-hardening").stdout


def test_fail_on_ends_like_a_gate(run: Run, folder: Path) -> None:
    """1 for findings at or over the severity; the report is written all the same."""
    assert run("assess", "--fail-on", "high", "-o", "r.json").exit_code == 1
    assert (folder / "r.json").exists()
    assert run("assess", "--fail-on", "critical").exit_code in (0, 3)


def test_a_baseline_shows_what_changed(run: Run, folder: Path) -> None:
    """What was open before and isn't now is closed, and the other way round."""
    run("assess", "-o", "before.json", "-q")
    plan = folder / "bastide.yaml"
    plan.write_text(plan.read_text().replace("approval: none", "approval: human"))
    result = run("assess", "-f", "json", "--baseline", "before.json")
    document = json.loads(result.stdout)
    jsonschema.validate(document, schema("assess"))
    assert RULE in {f["rule"] for f in document["changes"]["closed"]}
    assert "- closed" in run("assess", "--baseline", "before.json").stdout
    run("assess", "-o", "after.json", "-q")
    plan.write_text(plan.read_text().replace("approval: human", "approval: none"))
    opened = json.loads(run("assess", "-f", "json", "--baseline", "after.json").stdout)["changes"]["opened"]
    assert opened == [f["id"] for f in document["changes"]["closed"]]
    assert "What changed" in run("assess", "-f", "html", "--baseline", "after.json").stdout
    assert "Nothing changed" in run("assess", "--baseline", "before.json").stdout


def test_a_filtered_baseline_is_compared_from_its_severity_on(run: Run) -> None:
    """What the baseline left out isn't new."""
    run("assess", "-o", "high.json", "-q", "--severity-min", "critical")
    changes = json.loads(run("assess", "-f", "json", "--baseline", "high.json").stdout)["changes"]
    assert changes["opened"] == []


def test_text_from_a_plan_can_not_steer_the_terminal(run: Run, folder: Path) -> None:
    """Escape sequences and direction marks of a name are not printed, neither in tables nor in errors."""
    plan = folder / "bastide.yaml"
    evil = "\\e[31mred\\u202eturned"
    plan.write_text(plan.read_text().replace("kind: ai.tool,", f'kind: ai.tool, name: "{evil}",'))
    for args in (["assess", "--all"], ["assess", "-f", "markdown"], ["gate"]):
        output = run(*args).output
        assert "\x1b" not in output
        assert "\u202e" not in output
    plan.write_bytes(plan.read_bytes() + "nonsense: \u009b2J\n".encode())
    assert "\u009b" not in run("assess").output


def test_a_pack_adds_rules(run: Run, folder: Path) -> None:
    """A folder in the shape of the knowledge is read beside it; a broken one is an error with a position."""
    load_catalog.cache_clear()
    rule = folder / "pack/threats/house/any-tool"
    rule.mkdir(parents=True)
    (rule / "threat.yaml").write_text(
        "title: Tools need a second look\nsummary: A tool.\nattack: [Somebody calls it.]\n"
        "roles: {tool: {kind: ai.tool}}\nfinding: '{tool} is a tool'\nbreaks: {human-approval: [tool]}\n"
        "likelihood: {base: 3, why: we say so}\nimpact: {at-least: 4}\nrefs: {}\n"
    )
    (rule / "fires.yaml").write_text("bastide: 1\nsystem: s\ncomponents: {t: {kind: ai.tool}}\n")
    (rule / "quiet.yaml").write_text("bastide: 1\nsystem: s\ncomponents: {t: {kind: app.web}}\n")
    assert "house/any-tool" in {f["rule"] for f in findings(run, "--pack", "pack")}
    assert run("catalog", "show", "house/any-tool", "--pack", "pack").exit_code == 0
    (rule / "quiet.yaml").unlink()
    load_catalog.cache_clear()
    result = run("assess", "--pack", "pack")
    assert result.exit_code == 2
    assert "pack/threats/house/any-tool/threat.yaml:1:1: rule `house/any-tool` has no `quiet.yaml`" in result.stderr
