# SPDX-License-Identifier: Apache-2.0
"""A tiny catalogue of its own for tests of the engine, so that they don't depend on the shipped rules."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from bastide.catalog.control import read_control
from bastide.catalog.load import load_vocabulary
from bastide.catalog.model import Catalog, Control, Threat
from bastide.catalog.threat import read_threat
from bastide.catalog.vocabulary import with_controls
from bastide.plan.load import parse_plan
from bastide.plan.model import Plan
from bastide.plan.yamlfile import parse

CONTROLS = {
    "approval": "present-when: {flow: {approval: human}}",
    "isolation": "",
    "filter": "",
    "sandbox": "present-when: {component: {sandboxed: true}}",
    "allow-list": "present-when: {component: {egress: [none, allow-list]}}",
}
CONTROL = "title: {id}\nmeans: m\nhow: h\nwhere: both\non: [actor, app, ai, data, ml, ops, ext, flow, data, identity, zone]\nevidence: [e]\n"


@pytest.fixture(scope="session")
def vocabulary():
    """The shipped words, with the test's controls."""
    return with_controls(load_vocabulary(), frozenset(CONTROLS))


@pytest.fixture(scope="session")
def controls(vocabulary) -> dict[str, Control]:
    """The test's controls."""
    found = {}
    for id, more in CONTROLS.items():
        root = parse(CONTROL.format(id=id) + more, f"{id}.yaml")
        found[id] = read_control(root, Path(f"test/{id}.yaml"), vocabulary)
        assert not root.document.problems
    return found


@pytest.fixture(scope="session")
def make_threat(vocabulary) -> Callable[[str], Threat]:
    """A rule from the text of its roles, legs and controls."""

    def make(text: str, id: str = "test/rule") -> Threat:
        whole = "title: t\nsummary: s\nattack: [a]\n" + text
        root = parse(whole, f"{id}/threat.yaml")
        threat = read_threat(root, Path(f"{id}/threat.yaml"), vocabulary)
        assert not root.document.problems, "\n".join(p.render() for p in root.document.problems)
        return threat

    return make


@pytest.fixture(scope="session")
def make_catalog(vocabulary, controls) -> Callable[..., Catalog]:
    """A catalogue of the given rules."""

    def make(*threats: Threat) -> Catalog:
        return Catalog(vocabulary, {t.id: t for t in threats}, controls, {})

    return make


@pytest.fixture(scope="session")
def make_plan(vocabulary) -> Callable[[str], Plan]:
    """A plan from the text after its header."""

    def make(text: str) -> Plan:
        return parse_plan("bastide: 1\nsystem: test\n" + text, vocabulary)

    return make


def claimed(plan: Plan, control: str, element: str) -> Plan:
    """The plan with one more control claimed."""
    from bastide.plan.model import ControlClaim

    return replace(plan, claims=(*plan.claims, ControlClaim(control, (element,))))
