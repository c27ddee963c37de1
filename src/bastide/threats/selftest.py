# SPDX-License-Identifier: Apache-2.0
"""Runs the tests that every rule carries: the plans on which it must fire and those on which it must be quiet."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from bastide.catalog.model import Catalog, Threat
from bastide.errors import BastideError, Diagnostic, InputError, KnowledgeError, Location
from bastide.plan.load import plan_from_node
from bastide.plan.yamlfile import Node, parse_documents, read_text
from bastide.threats.assess import analyse
from bastide.threats.model import FindingState

EXPECT = "x-expect"


def run(catalog: Catalog, threats: Iterable[str] | None = None) -> list[Diagnostic]:
    """What is wrong with the rules of the catalogue (or some of them) according to their own plans."""
    chosen = catalog.threats if threats is None else {id: catalog.threats[id] for id in threats}
    return [problem for threat in chosen.values() for problem in check(threat, catalog)]


def check(threat: Threat, catalog: Catalog) -> Iterator[Diagnostic]:
    """Runs the tests of one rule."""
    folder = Path(threat.location.file).parent
    only = replace(catalog, threats={threat.id: threat})
    for name, must_fire in (("fires.yaml", True), ("quiet.yaml", False)):
        try:
            if not (folder / name).resolve().is_relative_to(folder.resolve()):
                yield Diagnostic("is a link that leads out of the rule's folder", Location(str(folder / name)))
                continue
            roots = parse_documents(read_text(folder / name, KnowledgeError), str(folder / name), KnowledgeError)
        except InputError as problem:
            yield from problem.diagnostics
            continue
        if not roots:
            yield Diagnostic(f"`{name}` has no plan", threat.location)
        for root in roots:
            yield from _check_plan(threat, only, root, must_fire)


def _check_plan(threat: Threat, only: Catalog, root: Node, must_fire: bool) -> Iterator[Diagnostic]:
    try:
        plan = plan_from_node(root, only.vocabulary)
        analysis = analyse(plan, only)
    except InputError as problem:
        yield from problem.diagnostics
        return
    except BastideError as problem:
        yield root.diagnostic(str(problem))
        return
    sinks = {analysis.witnesses[f.id].sink for f in analysis.findings if f.state is FindingState.OPEN}
    if must_fire:
        yield from _check_sinks(threat, root, sinks, [f"{q.element}: {q.attribute}" for q in analysis.questions])
    elif sinks:
        yield root.diagnostic(f"`{threat.id}` must be quiet here, but fires at {', '.join(sorted(sinks))}")


def _check_sinks(threat: Threat, root: Node, sinks: set[str], questions: list[str]) -> Iterator[Diagnostic]:
    if not sinks:
        hint = f"it asks instead: {', '.join(questions[:6])}" if questions else "no role or leg fits; see docs/rules.md"
        yield root.diagnostic(f"`{threat.id}` must fire here and doesn't", hint)
        return
    expect = root.get(EXPECT)
    if expect is None:
        return
    wanted = {str(item) for item in (expect.plain_data() if expect.is_list else [expect.plain_data()])}
    if wanted != sinks:
        yield expect.diagnostic(
            f"`{threat.id}` fires at {', '.join(sorted(sinks))}, expected {', '.join(sorted(wanted))}"
        )
