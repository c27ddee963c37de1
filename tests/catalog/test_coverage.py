# SPDX-License-Identifier: Apache-2.0
"""Coverage counts what is named, entry by entry, and reaches what we promise."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bastide.catalog.coverage import GroupCoverage, coverage
from bastide.catalog.load import load_catalog
from bastide.catalog.model import Catalog, Entry, Framework

CATALOG = load_catalog()


def small() -> Catalog:
    """One framework of two groups; a rule names a technique, a control another one and a measure."""
    entries = {id: Entry(id, f"name of {id}", "technique") for id in ("T1", "T2", "T2.001", "T3")}
    entries |= {id: Entry(id, id, "measure") for id in ("M1", "M2")}
    framework = Framework("f:1", "F", "https://example.com", "CC0-1.0", "nobody", entries)
    threat = replace(
        next(iter(CATALOG.threats.values())), refs={"f:1": ("T1", "T2.001")}, breaks={"c": ("path",)}, reduces={}
    )
    control = replace(next(iter(CATALOG.controls.values())), id="c", refs={"f:1": ("T3", "M1"), "other:1": ("T2",)})
    return Catalog(CATALOG.vocabulary, {"a/b": threat}, {"c": control}, {"f:1": framework})


def test_each_group_is_counted_by_what_names_its_entries() -> None:
    """A technique isn't covered by its sub-technique, and not by the same id in another framework."""
    technique, measure = coverage(small())
    assert technique == GroupCoverage(
        framework="f:1", group="technique", total=4, by_rules=("T1", "T2.001"), by_controls=("T3",), by_kinds=(),
        uncovered=("T2",), with_control=("T1", "T2.001", "T3"),
    )  # fmt: skip
    assert (measure.covered, measure.total, measure.uncovered) == (1, 2, ("M2",))


def test_a_rule_without_a_known_control_answers_nothing() -> None:
    """That it names a technique covers the technique, but there is no control for it."""
    catalog = small()
    technique, _ = coverage(replace(catalog, controls={}))
    assert technique.by_rules == ("T1", "T2.001")
    assert technique.with_control == ()


def test_groups_add_up() -> None:
    """Every entry of every framework is in one group, and is covered or not."""
    groups = coverage(CATALOG)
    for framework in CATALOG.frameworks.values():
        assert sum(g.total for g in groups if g.framework == framework.id) == len(framework.entries)
    for group in groups:
        named = {*group.by_rules, *group.by_controls, *group.by_kinds}
        assert group.covered == len(named)
        assert named.isdisjoint(group.uncovered)


PROMISED = [
    ("cosai:2026-08", "risk", 36, 36), ("owasp-llm:2025", "risk", 10, 10), ("owasp-llm:2026", "risk", 10, 10),
    ("owasp-asi:2026", "risk", 10, 10), ("owasp-mcp:2025", "risk", 10, 10), ("owasp-ml:2023", "risk", 10, 10),
    ("mitre-atlas:5.6", "technique", 120, 170),
]  # fmt: skip


@pytest.mark.parametrize(("framework", "group", "least", "total"), PROMISED)
def test_the_coverage_that_is_promised(framework: str, group: str, least: int, total: int) -> None:
    """By rules, each with a control: all risks of CoSAI and the OWASP lists, at least 120 of ATLAS's 170 techniques."""
    found = next(g for g in coverage(CATALOG) if (g.framework, g.group) == (framework, group))
    assert found.total == total
    assert len(set(found.by_rules) & set(found.with_control)) >= least, f"not covered: {', '.join(found.uncovered)}"
