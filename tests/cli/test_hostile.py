# SPDX-License-Identifier: Apache-2.0
"""Bad input of every sort: exit code 2, a message that names the file, no traceback, nothing half written."""

from __future__ import annotations

import json
import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import PLAN, Run

WRONG: list[Any] = [None, True, -1, 3.5, "", "text", [], [[]], {}, {"a": {"b": []}}, [None], "\u0000", "*", "x" * 5000]
SECTIONS = ["bastide", "system", "name", "owner", "purpose", "exposure", "include", "data", "zones", "identities",
            "components", "flows", "controls", "defaults"]  # fmt: skip


def deep(opening: str, closing: str, times: int) -> str:
    return "bastide: 1\nsystem: s\nx-deep: " + opening * times + closing * times + "\n"


FILES: dict[str, bytes] = {
    "empty": b"",
    "blank": b"\n\n  \n",
    "only a comment": b"# nothing\n",
    "binary": bytes(range(256)) * 64,
    "a picture": b"\x89PNG\r\n\x1a\n" + b"\x00" * 400,
    "UTF-16": PLAN.encode("utf-16"),
    "Latin-1": "bastide: 1\nsystem: caf\xe9\n".encode("latin-1"),
    "a list": b"- bastide: 1\n",
    "a word": b"bastide\n",
    "JSON": b'{"bastide": 1, "system": ["a"]}',
    "two documents": b"bastide: 1\nsystem: a\n---\nbastide: 1\nsystem: b\n",
    "an open bracket": b"bastide: 1\nsystem: s\ndata: {a: [\n",
    "tabs": b"bastide: 1\nsystem: s\ndata:\n\ta: {}\n",
    "duplicate keys": b"bastide: 1\nsystem: s\nsystem: t\n",
    "a tag": b"bastide: 1\nsystem: !!python/object/apply:os.system ['true']\n",
    "an alias to itself": b"bastide: 1\nsystem: s\ndata: &a {b: *a}\n",
    "a million laughs": b"bastide: 1\nsystem: s\n"
    + b"".join(b"x-%d: &a%d [%s]\n" % (n, n, b", ".join([b"*a%d" % (n - 1)] * 20) if n else b"1") for n in range(9)),
    "deep lists": deep("[", "]", 20_000).encode(),
    "deep mappings": deep("{a: ", "}", 20_000).encode(),
    "deep blocks": b"bastide: 1\nsystem: s\n" + b"\n".join(b" " * n + b"x-a:" for n in range(2_000)),
    "no such kind": b"bastide: 1\nsystem: s\ncomponents: {a: {kind: ai.nothing}}\n",
    "a flow to nowhere": b"bastide: 1\nsystem: s\ncomponents: {a: ai.agent}\nflows: [a -> b]\n",
    "zones in a circle": b"bastide: 1\nsystem: s\nzones: {a: {in: b}, b: {in: a}}\n",
    "out of the folder": b"bastide: 1\nsystem: s\ninclude: ../../../../etc/passwd\n",
    "an include of a folder": b"bastide: 1\nsystem: s\ninclude: .\n",
    "an include of itself": b"bastide: 1\nsystem: s\ninclude: plan.yaml\n",
    "another format": b"bastide: 99\nsystem: s\n",
    "a very long line": b"bastide: 1\nsystem: " + b"s" * 1_000_000 + b"\n",
    "a huge number": b"bastide: " + b"9" * 100_000 + b"\n",
    "a contradiction": PLAN.encode() + b"controls:\n  - human-approval: {on: refund-call}\n",
}
COMMANDS = [("assess",), ("assess", "-f", "json"), ("gate",), ("diagram",), ("otm", "export"), ("otm", "import")]


@pytest.mark.parametrize("name", FILES)
def test_a_bad_plan_is_an_error_of_the_input(run: Run, folder: Path, name: str) -> None:
    """Each says which file; the message fits a screen."""
    (folder / "plan.yaml").write_bytes(FILES[name])
    result = run("assess", "plan.yaml")
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr.startswith("error: plan.yaml")
    assert len(result.stderr) < 40_000


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
@pytest.mark.parametrize("name", ["empty", "binary", "deep lists", "a list", "a tag", "UTF-16"])
def test_every_command_that_reads_refuses(run: Run, folder: Path, name: str, command: tuple[str, ...]) -> None:
    (folder / "plan.yaml").write_bytes(FILES[name])
    result = run(*command, "plan.yaml")
    assert result.exit_code == 2
    assert "plan.yaml" in result.stderr


def make_directory(path: Path) -> None:
    path.mkdir()


def make_pipe(path: Path) -> None:
    os.mkfifo(path)


def make_dangling_link(path: Path) -> None:
    path.symlink_to("nowhere")


def make_loop(path: Path) -> None:
    path.symlink_to(path.name)


def make_big_garbage(path: Path) -> None:
    path.write_bytes(random.Random(7).randbytes(10 * 2**20))


def make_big_text(path: Path) -> None:
    path.write_text("bastide: 1\nsystem: s\ndata:\n" + "".join(f"  d{n}: {{class: x}}\n" for n in range(20_000)))


def make_too_big(path: Path) -> None:
    with path.open("wb") as stream:
        stream.truncate(17 * 2**20)


@pytest.mark.parametrize("make", [make_directory, make_pipe, make_dangling_link, make_loop, make_big_garbage,
                                  make_big_text, make_too_big])  # fmt: skip
@pytest.mark.parametrize("place", ["plan", "side file", "baseline"])
def test_what_is_no_readable_file_is_refused(run: Run, folder: Path, make: Callable[[Path], None], place: str) -> None:
    """As plan, as side file and as baseline. A pipe that nobody writes to doesn't hang."""
    name = {"plan": "plan.yaml", "side file": "bastide.findings.yaml", "baseline": "old.json"}[place]
    make(folder / name)
    args = {"plan": ["assess", name], "side file": ["assess"], "baseline": ["assess", "--baseline", name]}[place]
    result = run(*args)
    assert result.exit_code == 2
    assert name in result.stderr
    assert result.stdout == ""


@pytest.mark.parametrize("section", SECTIONS)
def test_wrong_types_everywhere(run: Run, folder: Path, section: str) -> None:
    """Any value in any section, and as any value in it, gives a result or a message, never a fault."""
    for value in WRONG:
        for document in (
            {"bastide": 1, "system": "s", section: value},
            {"bastide": 1, "system": "s", section: {"a": value}},
            {"bastide": 1, "system": "s", section: [value]},
            {
                "bastide": 1,
                "system": "s",
                "components": {"a": "ai.agent"},
                section: {"a": {"kind": value, "on": value}},
            },
        ):
            (folder / "plan.yaml").write_text(json.dumps(document))
            result = run("assess", "plan.yaml", "-f", "json")
            assert result.exit_code in (0, 2)
            assert bool(result.stdout) == (result.exit_code == 0)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}",
        "[]",
        "null",
        '{"schema_version": "1.0"}',
        '{"schema_version": "2.0", "plan": {"id": "a", "digest": "b"}, "findings": [], "questions": []}',
        '{"schema_version": 1, "plan": {"id": "a", "digest": "b"}, "findings": [], "questions": []}',
        '{"schema_version": "1.0", "plan": {"id": "a", "digest": "b"}, "findings": [{"id": 1}], "questions": []}',
        '{"schema_version": "1.0", "plan": {"id": "a", "digest": "b"}, "questions": [], "findings": [{"id": "B", "rule": '
        '"r", "title": "t", "likelihood": 99, "impact": 1, "state": "open", "path": []}]}',
        "[" * 100_000,
        '{"a":' * 100_000,
        '{"schema_version": "1.0"} trailing',
        "\ufeff{}",
        "NaN",
    ],
)
def test_a_bad_baseline_is_refused(run: Run, folder: Path, text: str) -> None:
    (folder / "old.json").write_text(text)
    for args in (["assess", "--baseline", "old.json"], ["gate", "--new-only", "--baseline", "old.json"]):
        result = run(*args)
        assert result.exit_code == 2
        assert "old.json" in result.stderr


@pytest.mark.parametrize(
    "text",
    [
        "- a",
        "findings: [a]",
        "findings: {B-1: text}",
        "findings: {B-1: {state: open, owner: o, reason: r}}",
        "findings: {B-1: {state: accepted, owner: o, reason: r}}",
        "findings: {B-1: {state: accepted, owner: o, reason: r, expires: soon}}",
        "findings: {B-1: {state: false-positive, owner: o}}",
        "findings: {B-1: {state: false-positive, owner: o, reason: r}, B-1: {}}",
        "finding: {}",
        "findings: {a: !!x b}",
        "[" * 5_000,
    ],
)
def test_a_bad_side_file_stops_the_assessment(run: Run, folder: Path, text: str) -> None:
    """A decision that can't be read is no decision; going on would hide or show the wrong findings."""
    (folder / "bastide.findings.yaml").write_text(text)
    for command in ("assess", "gate"):
        result = run(command)
        assert result.exit_code == 2
        assert "bastide.findings.yaml" in result.stderr
        assert result.stdout == ""


def test_random_bytes_in_a_good_plan(run: Run, folder: Path) -> None:
    """Damage anywhere gives a result or a message."""
    source = random.Random(11)
    whole = PLAN.encode()
    for _ in range(150):
        data = bytearray(whole)
        for _ in range(source.randint(1, 4)):
            place = source.randrange(len(data))
            change = source.choice([b"", bytes([source.randrange(256)]), b": ", b"\n", b"{", b"]", b"&a *a", b"\xff"])
            data[place : place + source.randint(0, 3)] = change
        (folder / "plan.yaml").write_bytes(bytes(data))
        assert run("assess", "plan.yaml", "-f", "json").exit_code in (0, 2)


def test_strange_names_reach_every_format(run: Run, folder: Path) -> None:
    """Names in all scripts, with markup and lone surrogates, don't break any output."""
    names = ["=cmd|'/C calc'!A0", "<script>alert(1)</script>", "] (http://x) @everyone", "\\0", "🙂 e\u0301 עברית",
             "[red]rich[/red] :smile:", "{{7*7}} {% x %}", "a" * 3000]  # fmt: skip
    lines = [f'  c{n}: {{kind: ai.tool, side-effect: irreversible, name: "{name}"}}' for n, name in enumerate(names)]
    flows = [f"  - assistant -> c{n}: {{data: orders, verb: invoke}}" for n in range(len(names))]
    text = PLAN.replace("flows:\n", "\n".join([*lines, "flows:", *flows, ""]))
    (folder / "plan.yaml").write_text(text)
    for format_ in ("table", "json", "html", "sarif", "markdown", "csv"):
        result = run("assess", "plan.yaml", "-f", format_)
        assert result.exit_code == 0, result.stderr
        result.stdout_bytes.decode("utf-8")
        if format_ in ("html", "markdown"):
            assert "<script>alert" not in result.stdout
    for format_ in ("svg", "mermaid", "dot"):
        assert run("diagram", "plan.yaml", "-f", format_).exit_code == 0
    (folder / "old.json").write_bytes(run("assess", "plan.yaml", "-f", "json").stdout_bytes)
    assert "Nothing changed" in run("assess", "plan.yaml", "--baseline", "old.json").stdout


def test_lone_surrogates_reach_every_format(run: Run, folder: Path) -> None:
    """JSON can hold half a character, which no encoding can; an imported name may have one."""
    run("otm", "export", "-o", "model.otm")
    text = (folder / "model.otm").read_text()
    assert '"refund"' in text
    (folder / "model.otm").write_text(text.replace('"name": "refund"', '"name": "re\\ud800fund"'))
    result = run("otm", "import", "model.otm", "-o", "plan.yaml")
    assert result.exit_code in (0, 2)
    if result.exit_code == 0:
        assert run("assess", "plan.yaml").exit_code == 0


def finding_ids(run: Run) -> list[str]:
    return [f["id"] for f in json.loads(run("assess", "-f", "json").stdout)["findings"]]


def test_a_side_file_that_links_out_of_the_folder_is_not_read(run: Run, folder: Path) -> None:
    """Its first line would stand in the message."""
    outside = folder.parent / "secret.txt"
    outside.write_text("the password\n")
    finding = finding_ids(run)[0]
    (folder / "bastide.findings.yaml").symlink_to(outside)
    decide = ("decide", "bastide.yaml", finding, "--state", "false-positive", "--owner", "o", "--reason", "r")
    for args in (("assess",), ("gate",), decide):
        result = run(*args)
        assert result.exit_code == 2
        assert "leads out of the plan's folder" in result.stderr
        assert "password" not in result.stderr
    assert outside.read_text() == "the password\n"


@pytest.mark.parametrize("day", ["20200101", "2020-W01-1"])
def test_a_date_in_another_form_is_no_date(run: Run, folder: Path, day: str) -> None:
    """As text, such a day comes after all others of its year."""
    entry = f"{{state: accepted, owner: o, reason: r, expires: {day}}}"
    (folder / "bastide.findings.yaml").write_text(f"findings: {{{finding_ids(run)[0]}: {entry}}}\n")
    result = run("gate", "--today", "2020-06-01")
    assert result.exit_code == 2
    assert "is no date" in result.stderr


def test_an_output_never_replaces_the_decisions(run: Run, folder: Path) -> None:
    side = folder / "bastide.findings.yaml"
    side.write_text("findings: {}\n")
    for args in (("assess", "-f", "json"), ("gate",), ("diagram",), ("otm", "export")):
        result = run(*args, "-o", side.name)
        assert result.exit_code == 2
        assert side.read_text() == "findings: {}\n"


def test_what_controls_a_terminal_reaches_no_output(run: Run, folder: Path) -> None:
    """Neither escapes of one or two bytes nor marks that turn the writing direction; and OTM brings them back."""
    name = '"a\\x9b31mb\\x85c\\e[31m\\u202ed\\x7f\\u2028"'
    lines = [line for line in PLAN.splitlines() if not line.startswith("name:")]
    (folder / "named.yaml").write_text("\n".join([*lines, f"name: {name}", f"x-note: {name}", ""]))
    bad = [chr(n) for n in (*range(9), *range(11, 32), *range(127, 160), 0x202E)]
    calls = [("assess", "-f", f) for f in ("table", "json", "html", "sarif", "markdown", "csv")]
    calls += [("diagram", "-f", f) for f in ("svg", "mermaid", "dot")]
    for args in [*calls, ("otm", "export")]:
        result = run(*args, "named.yaml")
        assert result.exit_code == 0, result.stderr
        assert not [char for char in bad if char in result.stdout.replace("\r\n", "\n")], args
    run("otm", "export", "named.yaml", "-o", "model.otm")
    assert run("otm", "import", "model.otm", "-o", "back.yaml").exit_code == 0
    assert run("otm", "export", "back.yaml").stdout_bytes == (folder / "model.otm").read_bytes()


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("kinds/ai.yaml", "agent: {title: Harmless, means: Nothing., passes: none}", "`ai.agent` is defined already"),
        ("kinds/ours.yaml", "- a", "expected a mapping"),
        ("attributes/component.yaml", "- a", "expected a mapping"),
        ("attributes/component.yaml", "side-effect: {type: boolean, means: M., ask: A?}", "is defined already"),
        ("frameworks/owasp-llm/2025.yaml", "title: T", "`owasp-llm:2025` is defined already"),
        ("threats/a/b/threat.yaml", "[" * 3000, "nested deeper"),
        ("controls/a/b.yaml", "\u0000", "not YAML"),
        ("readme.txt", "", "no folder with knowledge"),
    ],
)
def test_a_bad_pack_is_refused(run: Run, folder: Path, name: str, text: str, message: str) -> None:
    """Above all one that changes what words mean; a wrong folder isn't taken for a pack without rules."""
    file = folder / "pack" / name
    file.parent.mkdir(parents=True)
    file.write_text(text)
    for args in (("assess",), ("gate",), ("catalog", "lint")):
        result = run(*args, "--pack", "pack")
        assert result.exit_code == 2
        assert message in result.stderr
        assert result.stdout == ""


def test_a_test_of_a_rule_that_links_out_of_its_folder_is_not_read(run: Run, folder: Path) -> None:
    from bastide.catalog.load import KNOWLEDGE

    rule = next(path.parent for path in sorted((KNOWLEDGE / "threats").glob("*/*/threat.yaml")))
    target = folder / "pack" / "threats" / "ours" / "copied"
    shutil.copytree(rule, target)
    (folder / "secret.txt").write_text("password")
    (target / "fires.yaml").unlink()
    (target / "fires.yaml").symlink_to(folder / "secret.txt")
    result = run("catalog", "lint", "--pack", "pack")
    assert result.exit_code in (1, 2)
    assert "leads out of the rule's folder" in result.stdout + result.stderr
    assert "password" not in result.stdout + result.stderr
