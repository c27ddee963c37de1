# SPDX-License-Identifier: Apache-2.0
"""`bastide discover`, `bastide drift` and `bastide assess DIR`, from the command line."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import jsonschema
import pytest

from bastide.report.document import schema
from tests.cli.conftest import Run

COMPOSE = """\
services:
  chat:
    image: n8nio/n8n:1.100.0
    ports: ["5678:5678"]
    environment: {VECTORS_URL: "http://vectors:6333"}
  vectors:
    image: qdrant/qdrant:v1.15.0
    ports: ["6333:6333"]
"""
WORKFLOW = """\
on: issue_comment
permissions: {contents: read, id-token: write}
jobs:
  answer:
    runs-on: ubuntu-latest
    steps:
      - uses: anthropics/claude-code-action@v1
        with:
          anthropic_api_key: ${{ secrets.ANTHROPIC_API_KEY }}
          claude_args: |
            --allowedTools "Bash,WebFetch"
"""
TERRAFORM = """\
variable "open" { default = true }
module "ai" {
  source = "./ai"
  open   = var.open
}
"""
MODULE = """\
variable "open" {}
resource "azurerm_cognitive_account" "ai" {
  kind                          = "OpenAI"
  public_network_access_enabled = var.open
}
resource "azurerm_search_service" "off" {
  count = var.open ? 0 : 1
  name  = "s"
}
"""


@pytest.fixture
def repository(folder: Path) -> Path:
    """A repository that nobody described."""
    files = {
        "compose.yaml": COMPOSE,
        ".github/workflows/agent.yml": WORKFLOW,
        "infra/main.tf": TERRAFORM,
        "infra/ai/main.tf": MODULE,
    }
    for name, text in files.items():
        (folder / "repo" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "repo" / name).write_text(text)
    return folder / "repo"


def test_the_json_follows_its_schema_and_says_where(run: Run, repository: Path) -> None:
    """Components of all files, weak settings with their line; what `count` turns off isn't there."""
    result = run("discover", str(repository), "--format", "json")
    assert result.exit_code == 1
    document = json.loads(result.stdout)
    jsonschema.validate(document, schema("discover"))
    kinds = {c["id"]: c["kind"] for c in document["components"]}
    assert kinds["vectors"] == "data.vector-store"
    assert "ai.agent" in kinds.values()
    assert "off" not in kinds
    failed = {(w["expectation"], w["file"], w["line"]) for w in document["weaknesses"] if w["state"] == "fail"}
    assert ("access/published-store-or-server", "compose.yaml", 8) in failed
    assert ("agency/shell-on-outside-text", ".github/workflows/agent.yml", 11) in failed
    assert ("cloud/public-network-access", "infra/ai/main.tf", 4) in failed
    assert {"chat->vectors:calls"} <= {f["id"] for f in document["flows"]}


def test_what_could_not_be_read_is_said(run: Run, folder: Path) -> None:
    """An unreadable file makes the result incomplete: exit code 3, and a diagnostic with its line."""
    (folder / "repo").mkdir()
    (folder / "repo" / "compose.yaml").write_text("services:\n  a: [\n")
    result = run("discover", str(folder / "repo"), "--format", "json")
    assert result.exit_code == 3
    document = json.loads(result.stdout)
    assert not document["complete"]
    assert document["diagnostics"][0]["file"] == "compose.yaml"


def test_a_repository_is_assessed_without_a_plan(run: Run, repository: Path) -> None:
    """Its findings stand at the lines of its files; a `bastide.yaml` there would be taken instead."""
    result = run("assess", str(repository), "--format", "json")
    document = json.loads(result.stdout)
    assert document["findings"]
    assert "a plan was made from" in result.stderr
    run("discover", str(repository), "--format", "plan", "-o", str(repository / "bastide.yaml"))
    again = run("assess", str(repository), "--format", "json")
    assert "a plan was made" not in again.stderr
    assert {f["rule"] for f in json.loads(again.stdout)["findings"]} == {f["rule"] for f in document["findings"]}


def test_a_folder_without_anything_is_said_to_be_that(run: Run, folder: Path) -> None:
    (folder / "empty").mkdir()
    result = run("discover", "empty")
    assert (result.exit_code, "Nothing of an AI system was found" in result.stdout) == (0, True)
    assert "Components" not in result.stdout


def test_a_model_file_is_asked_about_as_a_file(run: Run, folder: Path) -> None:
    """It is no server: nothing is presented to it, and nothing in it is patched."""
    (folder / "weights").mkdir()
    (folder / "weights" / "a.gguf").write_bytes(b"GGUF\x03\0\0\0" + bytes(16))
    asked = {q["attribute"] for q in json.loads(run("assess", "weights", "-f", "json").stdout)["questions"]}
    assert asked
    assert asked.isdisjoint({"authentication", "patched", "admin-exposed"})


def test_a_plan_from_the_repository_has_not_drifted(run: Run, repository: Path, folder: Path) -> None:
    """What was just discovered is what is there; then somebody adds a store."""
    plan = folder / "design.yaml"
    run("discover", str(repository), "--format", "plan", "-o", str(plan))
    assert run("drift", str(plan), str(repository)).exit_code == 0
    (repository / "compose.yaml").write_text(COMPOSE + "  cache:\n    image: redis:7\n    ports: ['6379:6379']\n")
    result = run("drift", str(plan), str(repository), "--format", "json")
    assert result.exit_code == 1
    document = json.loads(result.stdout)
    jsonschema.validate(document, schema("drift"))
    assert [(d["standing"], d["part"]) for d in document["differences"] if d["standing"] != "unverifiable"] == [
        ("undocumented", "cache")
    ]


@pytest.mark.parametrize("args", [("discover", "nowhere"), ("drift", "nowhere.yaml", "."), ("assess", "empty")])
def test_wrong_calls_are_refused(run: Run, folder: Path, args: tuple[str, ...]) -> None:
    """No such folder, no such plan, a folder in which nothing is: exit code 2 and no output."""
    (folder / "empty").mkdir()
    result = run(*args)
    assert result.exit_code == 2
    assert result.stdout == ""


def test_an_inventory_of_repositories(run: Run, repository: Path, folder: Path) -> None:
    """What is AI, of each repository, with where it stands; databases and clusters aren't listed."""
    (folder / "other").mkdir()
    (folder / "other" / "app.py").write_text(
        "from openai import OpenAI\nOpenAI().responses.create(model='gpt-5-mini')\n"
    )
    result = run("inventory", "repo", "other", "--format", "json")
    assert result.exit_code == 0
    document = json.loads(result.stdout)
    jsonschema.validate(document, schema("inventory"))
    found = {(i["repository"], i["group"], i["name"]) for i in document["items"]}
    assert {("repo", "tools", "Bash"), ("repo", "stores", "vectors"), ("other", "models", "gpt-5-mini")} <= found
    assert "gpt-5-mini" in run("inventory", "repo", "other").stdout


def test_the_inventory_as_cyclonedx(run: Run, repository: Path) -> None:
    """Models are machine-learning models, all have their place, and the same inventory has the same serial number."""
    first = run("inventory", str(repository), "--format", "cyclonedx").stdout
    assert first == run("inventory", str(repository), "--format", "cyclonedx").stdout
    document = json.loads(first)
    assert (document["bomFormat"], document["specVersion"]) == ("CycloneDX", "1.6")
    types = {c["name"]: c["type"] for c in document["components"]}
    assert types["Anthropic API"] == "machine-learning-model"
    assert all(c["evidence"]["occurrences"] for c in document["components"])
    validation = pytest.importorskip("cyclonedx.validation.json", reason="cyclonedx-python-lib isn't installed")
    from cyclonedx.schema import SchemaVersion

    assert validation.JsonStrictValidator(SchemaVersion.V1_6).validate_str(first) is None


def test_an_assessment_of_a_repository_says_which_lines_to_change(run: Run, tmp_path: Path) -> None:
    """What doesn't hold in the files stands beside the threats, in every format."""
    repository = tmp_path / "repository"
    repository.mkdir()
    (repository / "compose.yaml").write_text('services:\n  db:\n    image: qdrant/qdrant\n    ports: ["6333:6333"]\n')
    table = " ".join(run("assess", str(repository)).stdout.split())
    assert "Weak settings" in table
    assert "not so for db compose.yaml:4" in table
    assert "[access/published-store-or-server]" in table
    document = json.loads(run("assess", str(repository), "-f", "json").stdout)
    jsonschema.validate(document, json.loads(run("schema", "assess").stdout))
    assert ("access/published-store-or-server", "fail", 4) in {
        (w["expectation"], w["state"], w["line"]) for w in document["weaknesses"]
    }
    results = json.loads(run("assess", str(repository), "-f", "sarif").stdout)["runs"][0]["results"]
    [found] = [r for r in results if r["ruleId"] == "expectation/access/published-store-or-server"]
    assert found["locations"][0]["physicalLocation"]["region"] == {"startLine": 4}
    assert "compose.yaml:4" in run("assess", str(repository), "-f", "markdown").stdout
    assert 'id="settings"' in run("assess", str(repository), "-f", "html").stdout
    gate = run("gate", str(repository), "--threshold", "high", "--allow-unknown", "-f", "json")
    verdict = json.loads(gate.stdout)
    jsonschema.validate(verdict, json.loads(run("schema", "gate").stdout))
    assert (gate.exit_code, verdict["verdict"]) == (1, "fail")
    assert [w["line"] for w in verdict["weaknesses"]] == [4]
    assert "1 weak setting" in run("gate", str(repository), "--threshold", "high").stdout
    written = json.loads(run("assess", "examples/support-agent/bastide.yaml", "-f", "json").stdout or "{}")
    assert "weaknesses" not in written


def test_every_file_that_was_read_is_named_as_it_was(run: Run, tmp_path: Path) -> None:
    """Whoever reads a fact later can tell whether the file is still the same."""
    repository = tmp_path / "repository"
    repository.mkdir()
    text = "services:\n  db: {image: qdrant/qdrant}\n"
    (repository / "compose.yaml").write_text(text)
    document = json.loads(run("discover", str(repository), "-f", "json").stdout)
    jsonschema.validate(document, json.loads(run("schema", "discover").stdout))
    digest = hashlib.sha256(text.encode()).hexdigest()
    assert document["sources"] == [{"file": "compose.yaml", "sha256": digest, "importers": ["compose"]}]


@pytest.mark.parametrize(
    ("name", "given", "begins"),
    [
        ("bastide.yaml", [], "bastide: 1"),
        ("found.json", [], "{"),
        ("found.txt", [], "2 components"),
        ("found.json", ["-f", "table"], "2 components"),
    ],
)
def test_the_name_of_the_file_says_the_format(run: Run, folder: Path, name: str, given: list[str], begins: str) -> None:
    (folder / "in").mkdir()
    (folder / "in" / "compose.yaml").write_text(COMPOSE.replace("ports:", "x-ports:"))
    written = folder / name
    run("discover", str(folder / "in"), "-q", "-o", str(written), *given)
    assert written.read_text().startswith(begins)
