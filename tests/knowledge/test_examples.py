# SPDX-License-Identifier: Apache-2.0
"""The findings of the example plans, kept as text so that a review sees what a change of the rules does to real systems.

After a wanted change: `pytest tests/knowledge/test_examples.py --snapshot-update`.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from bastide.catalog.load import load_catalog
from bastide.plan.load import load_plan, parse_plan
from bastide.threats.assess import assess
from bastide.threats.diff import compare
from bastide.threats.model import Assessment, Severity

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = sorted(p for p in (ROOT / "examples").glob("*/*.yaml") if not p.name.endswith(".guard.yaml"))
CATALOG = load_catalog()


def assessed(path: Path) -> Assessment:
    """The assessment of a plan file."""
    return assess(load_plan(path, CATALOG.vocabulary), CATALOG)


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda p: f"{p.parent.name}/{p.stem}")
def test_findings_of_the_examples(path: Path, snapshot) -> None:
    """Severity, state, rule and path of every finding."""
    found = assessed(path).findings
    assert "\n".join(f"{f.severity} {f.state} {f.rule}: {' > '.join(f.path) or f.elements}" for f in found) == snapshot


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda p: f"{p.parent.name}/{p.stem}")
def test_examples_stay_short(path: Path) -> None:
    """A real system in about 80 lines."""
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 80


def test_guardrails_change_what_they_check_and_nothing_else() -> None:
    """Llama Guard looks at the user's question for harmful content: that gets less likely; injected documents don't pass it at all."""
    folder = ROOT / "examples" / "opea-chatqna"
    plain, guarded = assessed(folder / "bastide.yaml"), assessed(folder / "with-guardrails.yaml")
    changes = compare(plain, guarded)
    rated = {
        now.rule: (old.rating.score, now.rating.score)
        for old, now in changes.changed
        if old.rating.score != now.rating.score
    }
    assert set(rated) == {"injection/jailbreak"}
    assert rated["injection/jailbreak"][0] > rated["injection/jailbreak"][1]
    assert not changes.closed
    assert {f.elements["service"] for f in changes.opened if "service" in f.elements} == {"llama-guard"}
    indirect = {f.id: f.rating for f in plain.open if f.rule == "injection/retrieved-document"}
    assert indirect
    assert indirect == {f.id: f.rating for f in guarded.open if f.rule == "injection/retrieved-document"}


def test_hardening_takes_nine_findings_of_ten() -> None:
    """The weak agentic RAG against its hardened twin, same parts and flows."""
    plans = ROOT / "benchmarks" / "plans"
    weak, hardened = assessed(plans / "weak.yaml"), assessed(plans / "hardened.yaml")
    assert len(weak.open) >= 30
    assert len(hardened.open) <= len(weak.open) // 10


def test_an_unrelated_component_changes_no_finding() -> None:
    """Not an id, not a path, not a rating."""
    text = (ROOT / "benchmarks" / "plans" / "weak.yaml").read_text(encoding="utf-8")
    grown = text.replace("components:\n", "components:\n  aaa-unrelated: {kind: ops.monitor}\n", 1)
    before, after = (assess(parse_plan(t, CATALOG.vocabulary), CATALOG).open for t in (text, grown))
    assert {(f.id, f.path, f.rating) for f in before} == {(f.id, f.path, f.rating) for f in after}


def test_the_supplier_cannot_pay_himself_unnoticed() -> None:
    """The README's system: its promise is kept."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    text = readme.split("```yaml\n")[1].split("```")[0]
    found = [
        f
        for f in assess(parse_plan(text, CATALOG.vocabulary), CATALOG).open
        if f.rule == "injection/untrusted-tool-call"
    ]
    assert [(f.severity, f.elements["tool"]) for f in found] == [(Severity.HIGH, "refund")]
    assert f"**{found[0].severity}** {found[0].message}" in readme


SENSIBLE = """
bastide: 1
system: team-chat
exposure: internal
data: {prompt: {class: internal, contains: [personal.contact]}}
zones: {office: {trust: enterprise}, app: {trust: workload, segmented: true, egress: allow-list}, provider: {trust: third-party}}
components:
  employee: {kind: actor.user, zone: office}
  web: {kind: app.web, zone: app, authentication: sso, renders: [text], rate-limited: true, logs: true, patched: true, internet-facing: false}
  chat: {kind: ai.chain, zone: app, authentication: iam, rate-limited: true, logs: true, patched: true, internet-facing: false}
  llm: {kind: ai.model.endpoint, zone: provider, provenance: vendor, retains-inputs: false, authentication: iam, rate-limited: true, logs: true}
flows:
  - employee <-> web: {data: prompt, protocol: https, authn: oidc}
  - web <-> chat: {data: prompt, protocol: https, authn: iam}
  - chat <-> llm: {data: prompt, protocol: https, authn: iam, credential: service}
"""


def test_a_plain_sensible_chat_is_left_in_peace() -> None:
    """No tools, no retrieval, good answers to the usual questions: nothing to report."""
    assert [f.rule for f in assess(parse_plan(SENSIBLE, CATALOG.vocabulary), CATALOG).open] == []
