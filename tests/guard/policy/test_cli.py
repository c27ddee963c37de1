# SPDX-License-Identifier: Apache-2.0
"""`bastide guard policy` and `bastide guard explain`."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import cedarpy
import jsonschema
import pytest
from click.testing import CliRunner, Result

from bastide.cli.main import cli
from bastide.report.document import schema
from tests.guard.policy.build import SMALL

Run = Callable[..., Result]


@pytest.fixture
def run(examples: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs `bastide guard` in a folder with the support agent's plan and settings; asserts that no traceback is shown."""
    for name in ("bastide.yaml", "bastide.guard.yaml"):
        shutil.copy(examples / "support-agent" / name, tmp_path / name)
    flows = '  - agent -> tool: {verb: invoke, data: order, approval: human, scopes: "pay"}\n  - post -> agent: {verb: retrieve, data: note}\n'
    post = "  post:   {kind: data.mailbox, zone: app, holds: note}\nflows:\n"
    (tmp_path / "small.yaml").write_text(SMALL.lstrip().replace("flows:\n", post) + flows)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")

    def invoke(*args: str) -> Result:
        result = CliRunner().invoke(cli, ["guard", *args], prog_name="bastide")
        assert isinstance(result.exception, SystemExit | None), result.exception
        assert "Traceback" not in result.output
        assert "defect in Bastide" not in result.output, result.output
        return result

    return invoke


def test_the_policy_as_cedar_is_valid_cedar(run: Run, snapshot: object) -> None:
    """What is printed can be given to another Cedar engine, with the schema that is printed."""
    assert cedarpy.validate_policies(run("policy").stdout, run("policy", "--schema").stdout).validation_passed
    text, types = run("policy", "small.yaml").stdout, run("policy", "small.yaml", "--schema").stdout
    assert cedarpy.validate_policies(text, types).validation_passed
    assert text == snapshot
    assert types == snapshot


def test_the_policy_as_a_table(run: Run, snapshot: object) -> None:
    """Who may do what, for whom, what names mean, what is forbidden in spite of a flow."""
    assert run("policy", "small.yaml", "--format", "table").stdout == snapshot


def test_documents_fit_their_schemas(run: Run) -> None:
    """JSON outputs have a published schema."""
    jsonschema.validate(json.loads(run("policy", "-f", "json").stdout), schema("guard-policy"))
    for more in (
        ("--tool", "refund"),
        ("--tool", "nothing"),
        ("--tool", "refund", "--user", "u", "--actor", "customer"),
    ):
        jsonschema.validate(
            json.loads(run("explain", "--agent", "assistant", *more, "-f", "json").stdout), schema("guard-explain")
        )


def test_why_an_approval(run: Run, snapshot: object) -> None:
    """The ruling, what the tool is, the flow, the policies, what would change it."""
    who = ("--agent", "agent", "--tool", "tool", "--user", "u1", "--actor", "person")
    told = run("explain", "small.yaml", *who, "--integrity", "public", "--source", "post", "--scope", "pay")
    assert told.exit_code == 0
    assert told.stdout == snapshot


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("--tool", "refund"), "DENY"),
        (("--tool", "refund", "--user", "u1", "--actor", "customer"), "ALLOW"),
        (("--tool", "refund", "--user", "u1", "--actor", "customer", "--integrity", "public", "--traced"), "ALLOW"),
        (("--tool", "refund", "--user", "u1", "--actor", "customer", "--integrity", "public", "--approved"), "ALLOW"),
        (("--tool", "small", "--user", "u1", "--actor", "customer", "--class", "confidential"), "DENY"),
        (("--tool", "gpt-4o-mini", "--user", "u1", "--actor", "customer", "--class", "confidential"), "ALLOW"),
        (("--tool", "kb", "--action", "invoke_tool", "--user", "u1", "--actor", "customer"), "no flow of the plan"),
        (("--tool", "refnd", "--user", "u1", "--actor", "customer"), "did you mean `refund`?"),
    ],
)
def test_what_if(run: Run, args: tuple[str, ...], said: str) -> None:
    """Each option is a part of the question."""
    assert said in " ".join(run("explain", "--agent", "assistant", *args).stdout.split())


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("explain", "--agent", "assistnt", "--tool", "refund"), "did you mean `assistant`?"),
        (("explain", "--agent", "assistant", "--tool", "refund", "--actor", "custmer"), "did you mean `customer`?"),
        (("explain", "--tool", "refund"), "--agent"),
        (("explain", "--agent", "assistant", "--tool", "refund", "--argument", "x"), "NAME=JSON"),
        (("explain", "none.yaml", "--agent", "a", "--tool", "b"), "none.yaml"),
        (("policy", "none.yaml"), "none.yaml"),
        (("policy", "--settings", "none.guard.yaml"), "none.guard.yaml"),
        (("policy", "-o", "bastide.yaml"), "is an input"),
    ],
)
def test_wrong_calls(run: Run, args: tuple[str, ...], said: str) -> None:
    """Exit code 2 and a message."""
    result = run(*args)
    assert result.exit_code == 2
    assert said in result.stderr


def test_settings_are_read_from_beside_the_plan_or_from_a_file(run: Run) -> None:
    """Without settings, tools are called like their components."""
    assert "search_articles" in run("policy", "-f", "json").stdout
    Path("other.yaml").write_text("bastide-guard: 1\nplan: bastide.yaml\ntools: {pay: {is: refund}}\n")
    told = run("policy", "--settings", "other.yaml", "-f", "json").stdout
    assert set(json.loads(told)["meanings"]) >= {"pay", "refund"}
    Path("bastide.guard.yaml").unlink()
    assert "search_articles" not in run("policy", "-f", "json").stdout


def test_own_policies_are_printed_too(run: Run) -> None:
    """The whole policy stands in one text."""
    Path("own.cedar").write_text('@id("mine")\nforbid (principal, action, resource) when { context.team == "x" };\n')
    Path("other.yaml").write_text("bastide-guard: 1\nplan: bastide.yaml\npolicies: [own.cedar]\n")
    assert '@id("mine")' in run("policy", "--settings", "other.yaml").stdout
    Path("own.cedar").write_text("forbid (principal;\n")
    result = run("policy", "--settings", "other.yaml")
    assert result.exit_code == 2
    assert "own.cedar:1: no Cedar policy" in result.stderr


def test_why_from_the_log(run: Run) -> None:
    """A recorded decision is shown with the policies that decided, whatever is wrapped around the entry."""
    ruling = {
        "effect": "approve",
        "reason": "a person has to agree",
        "policies": ["rule:influence", "rule:gone"],
        "flow": "assistant->refund",
        "version": "sha256:0",
    }
    caller = {"agent": "assistant", "user": "u1"}
    label = {"integrity": "public", "confidentiality": "internal", "sources": ["inbox"]}
    entry = {"kind": "decision", "request": "r1", "caller": caller, "tool": "refund", "ruling": ruling, "label": label}
    refused = {
        "kind": "request",
        "request": "r2",
        "caller": caller,
        "error": {"code": "content_blocked", "message": "an attack"},
    }
    lines = [
        json.dumps({"seq": 1, "entry": entry}),
        "{broken",
        "[]",
        json.dumps(refused),
        json.dumps({**entry, "request": "r3", "ruling": 7}),
    ]
    Path("log").mkdir()
    Path("log/000001.jsonl").write_text("\n".join(lines))
    told = run("explain", "--log", "log", "--request", "r1")
    assert told.exit_code == 0, told.stderr
    for words in (
        "APPROVE",
        "`assistant` for `u1` asked for `refund`",
        "public text, internal data, from inbox",
        "forbid (",
        "rule:gone: the policy has none",
        "has changed since",
    ):
        assert words in told.stdout
    assert "an attack" in run("explain", "--log", "log", "--request", "r2").stdout
    assert (
        json.loads(run("explain", "--log", "log", "--request", "r1", "-f", "json").stdout)["decisions"][0]["current"]
        is False
    )
    assert "says nothing" in run("explain", "--log", "log", "--request", "r3").stderr
    assert "go together" in run("explain", "--log", "log").stderr
    assert "can't be read" in run("explain", "--log", "nolog", "--request", "r").stderr
    Path("log/000001.jsonl").unlink()
    assert "holds no log" in run("explain", "--log", "log", "--request", "r").stderr
