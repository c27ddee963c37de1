# SPDX-License-Identifier: Apache-2.0
"""The lint finds what is wrong with knowledge; each check is shown by knowledge that is wrong in that one way."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from bastide.catalog.lint import DESCRIPTIVE, STRUCTURAL, lint
from bastide.catalog.load import load_catalog
from bastide.catalog.model import Catalog
from bastide.catalog.uses import role_kinds, uses_of
from bastide.cli.main import cli
from bastide.errors import Diagnostic, Location

CATALOG = load_catalog()
RULE, CONTROL = "injection/untrusted-tool-call", "human-approval"


def new(changed: Catalog) -> list[Diagnostic]:
    """What the lint says of a changed catalogue and not of the shipped one."""
    known = {d.render() for d in lint(CATALOG)}
    return [d for d in lint(changed) if d.render() not in known]


def with_rule(id: str = RULE, **changes: object) -> Catalog:
    return replace(CATALOG, threats={**CATALOG.threats, id: replace(CATALOG.threats[RULE], id=id, **changes)})


def with_control(**changes: object) -> Catalog:
    return replace(CATALOG, controls={**CATALOG.controls, CONTROL: replace(CATALOG.controls[CONTROL], **changes)})


def test_the_shipped_knowledge_is_sound() -> None:
    """Ids resolve, controls are used and placed where they can stand, kinds and attributes matter, texts are tidy."""
    assert [d.render() for d in lint(CATALOG)] == []


@pytest.mark.parametrize(
    ("changed", "says", "hint"),
    [
        (lambda: with_rule(refs={"mitre-atlas:5.6": ("AML.T9999",)}), "has no entry `AML.T9999`", ""),
        (lambda: with_rule(refs={"mitre-atlas:5.6": ("AML.T0051.01",)}), "has no entry", "AML.T0051.001"),
        (lambda: with_rule(refs={"owasp-llm:2024": ("LLM01",)}), "there is no framework `owasp-llm:2024`", "owasp-llm:202"),
        (lambda: with_rule(refs={"owasp-llm:2026": ("LLM01", "LLM01")}), "`LLM01` stands twice", ""),
        (lambda: with_control(refs={"nist-800-53:r5": ("zz-1",)}), "has no entry `zz-1`", ""),
        (lambda: with_rule(reduces={CONTROL: ("path",)}), "`human-approval` can't both break and reduce", ""),
        (lambda: with_rule(title="x" * 81), "the title has 81 characters", ""),
        (lambda: with_rule(title="A title."), "a title ends without a full stop", ""),
        (lambda: with_rule(title="a title"), "a title begins with a capital", ""),
        (lambda: with_rule("test/other"), "another one has this title already", ""),
        (lambda: with_rule("Not An/Id", title="T"), "`Not An/Id` is no id for a rule", ""),
        (lambda: with_rule(summary="No end"), "`summary` is made of sentences", ""),
        (lambda: with_rule(attack=("Fine.", "no end")), "`attack` is made of sentences", ""),
        (lambda: with_rule(finding="{tool} ends."), "`finding` ends without a full stop", ""),
        (lambda: with_control(how="No end"), "`how` is made of sentences", ""),
    ],
)  # fmt: skip
def test_each_flaw_is_found(changed: Callable[[], Catalog], says: str, hint: str) -> None:
    """With its place: the file and, where the flaw stands at a key, the line of the key."""
    found = [d for d in new(changed()) if says in d.message]
    assert len(found) == 1
    assert hint in found[0].hint
    assert found[0].location.file.endswith(".yaml")
    assert found[0].location.line


@pytest.mark.parametrize(
    ("on", "misplaced"),
    [
        (("identity",), {"agent", "path", "tool"}),
        (("flow",), {"agent", "tool"}),
        (("ai.agent",), {"tool"}),
        (("ai", "flow"), set()),
    ],
)
def test_a_control_where_it_can_not_stand_is_found(on: tuple[str, ...], misplaced: set[str]) -> None:
    """A role says of which kinds it can be, a path is made of components and flows."""
    catalog = replace(with_control(on=on), threats={RULE: CATALOG.threats[RULE]})
    rule = replace(catalog.threats[RULE], breaks={CONTROL: ("agent", "tool", "path")}, reduces={})
    found = [d for d in lint(replace(catalog, threats={RULE: rule})) if "can't stand" in d.message]
    assert {d.message.rpartition(" at ")[2].strip("`") for d in found} == misplaced
    assert all(d.hint == f"it stands on {', '.join(on)}" for d in found)


def test_a_flaw_is_shown_at_its_key() -> None:
    (found,) = new(with_rule(refs={"owasp-llm:2026": ("LLM77",)}))
    assert found.source_line.strip().startswith("owasp-llm:2026:")
    lines = Path(found.location.file).read_text().splitlines()
    assert lines[found.location.line - 1] == found.source_line


def test_a_control_that_no_rule_uses_is_found() -> None:
    unused = replace(CATALOG.controls[CONTROL], id="never-used", title="Nobody needs it")
    found = new(replace(CATALOG, controls={**CATALOG.controls, "never-used": unused}))
    assert [d.message for d in found] == ["control `never-used` is used by no rule"]


def test_a_framework_that_nothing_names_is_found() -> None:
    extra = replace(CATALOG.frameworks["owasp-ml:2023"], id="other:1")
    found = new(replace(CATALOG, frameworks={**dict(CATALOG.frameworks.items()), "other:1": extra}))
    assert [d.message for d in found] == ["framework `other:1` is carried, but nothing refers to it"]


def test_a_kind_that_nothing_names_is_found() -> None:
    words = CATALOG.vocabulary
    kind = replace(
        words.kinds["ai.agent"], id="odd.thing", ancestors=frozenset({"odd", "odd.thing"}), cosai="componentNowhere"
    )
    found = new(replace(CATALOG, vocabulary=replace(words, kinds={**words.kinds, "odd.thing": kind})))
    assert sorted(d.message for d in found) == [
        "kind `odd.thing` is named by no rule, control or attribute",
        "kind `odd.thing` names `componentNowhere`, which CoSAI's map doesn't have",
    ]


def test_an_attribute_that_nothing_reads_is_found() -> None:
    words = CATALOG.vocabulary
    extra = replace(words.attributes["flow"]["encrypted"], name="colour")
    attributes = {**words.attributes, "flow": {**words.attributes["flow"], "colour": extra}}
    found = new(replace(CATALOG, vocabulary=replace(words, attributes=attributes)))
    assert [d.message for d in found] == ["attribute `colour` of a flow is used by no rule or control"]


def test_what_is_said_of_attributes_is_true(repo: Path) -> None:
    """Those called structural are read by the analysis, those called descriptive by no rule; all of them exist."""
    words = CATALOG.vocabulary.attributes
    code = "".join(path.read_text() for path in (repo / "src/bastide/threats").glob("*.py"))
    read = set(re.findall(r'"([a-z-]+)"', code))
    uses = uses_of(CATALOG).attributes
    for name in (*STRUCTURAL, *DESCRIPTIVE):
        element, _, attribute = name.partition(".")
        assert attribute in words[element], name  # type: ignore[index]
    assert {name.partition(".")[2] for name in STRUCTURAL} <= read
    for name in DESCRIPTIVE:
        element, _, attribute = name.partition(".")
        assert attribute not in uses.get(element, ()), f"{name} is used by a rule now; it needs no excuse"  # type: ignore[call-overload]


def test_the_kinds_a_role_can_be() -> None:
    """From the predicates on its kind and from the attributes that only some kinds have."""
    words = CATALOG.vocabulary
    tool = CATALOG.threats[RULE].roles[CATALOG.threats[RULE].sink]
    kinds = {k.id for k in role_kinds(tool.where, words)}
    assert "ai.tool" in kinds
    assert "actor.user" not in kinds


def test_the_lint_of_the_command_line_shows_positions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A pack with one bad reference and one rule that fires where it must not: exit code 1, both with their lines."""
    rule = tmp_path / "pack/threats/house/any-tool"
    rule.mkdir(parents=True)
    (rule / "threat.yaml").write_text(
        "title: Tools need a second look\nsummary: A tool.\nattack: [Somebody calls it.]\n"
        "roles: {tool: {kind: ai.tool}}\nfinding: '{tool} is a tool'\nbreaks: {human-approval: [tool]}\n"
        "likelihood: {base: 3, why: we say so}\nimpact: {at-least: 4}\nrefs:\n  owasp-llm:2026: [LLM99]\n"
    )
    (rule / "fires.yaml").write_text("bastide: 1\nsystem: s\ncomponents: {t: {kind: ai.tool}}\n")
    (rule / "quiet.yaml").write_text("bastide: 1\nsystem: s\ncomponents: {t: {kind: ai.tool}}\n")
    monkeypatch.chdir(tmp_path)
    load_catalog.cache_clear()
    result = CliRunner().invoke(cli, ["catalog", "lint", "--pack", "pack"], prog_name="bastide")
    load_catalog.cache_clear()
    assert result.exit_code == 1
    assert "pack/threats/house/any-tool/threat.yaml:10:3: `owasp-llm:2026` has no entry `LLM99`" in result.stdout
    assert (
        "pack/threats/house/any-tool/quiet.yaml:1:1: `house/any-tool` must be quiet here, but fires at t"
        in result.stdout
    )
    assert "problem" in result.stderr


def test_the_lint_of_the_command_line_passes() -> None:
    result = CliRunner().invoke(cli, ["catalog", "lint"], prog_name="bastide")
    assert result.exit_code == 0, result.output
    assert "all sound" in result.stdout


def test_diagnostics_without_a_file_still_name_the_rule() -> None:
    """A rule that was made in memory has no file to show."""
    (found,) = new(with_rule(refs={"owasp-llm:2026": ("LLM77",)}, location=Location("nowhere.yaml", 1, 1)))
    assert found.location == Location("nowhere.yaml", 1, 1)
