# SPDX-License-Identifier: Apache-2.0
"""Propagates the lattice over a plan: who may have written what reaches a component, and which class of data may reach it."""

from __future__ import annotations

from collections.abc import Iterable

from bastide.plan.vocabulary import TRUST_LEVELS
from bastide.threats.model import Label
from bastide.threats.predicates import Index

MIXERS = ("ai.agent", "ai.chain", "ai.model", "app.workflow")
"""Kinds that can put anything from their context into anything they send."""


def propagate(index: Index) -> dict[str, Label]:
    """The label of each component."""
    integrity = _integrity(index)
    confidentiality = _confidentiality(index)
    return {id: Label(integrity.get(id, TRUST_LEVELS[-1]), confidentiality.get(id, "")) for id in index.plan.components}


def _integrity(index: Index) -> dict[str, str]:
    """Per component the least trusted author whose content gets there; one search for each level, the least trusted first."""
    graph = index.graph
    found: dict[str, str] = {}
    # Weights shape how a model behaves, but nobody reads them as content.
    weights = {f.id for f in index.plan.flows.values() if f.value("as") == "model"}
    passed = {n for n, element in enumerate(graph.element) if element in weights}
    for level in TRUST_LEVELS:
        started = {n for n, origin in graph.origins.items() if origin == level}
        todo = list(started)
        while todo:
            node = todo.pop()
            if node in passed:
                continue
            if not graph.is_flow[node]:
                found.setdefault(graph.element[node], level)
            # People take content in and pass none on, but what they write themselves still starts there.
            if graph.transit[node] or node in started:
                passed.add(node)
                todo += graph.after[node]
    return found


def _confidentiality(index: Index) -> dict[str, str]:
    """Per component the highest class that gets there: over flows that carry such data, and over anything that mixers send."""
    plan = index.plan
    found: dict[str, str] = {}
    mixers = {c.id for kind in MIXERS for c in index.by_kind.get(kind, ())}
    classes = index.vocabulary.attributes["data"]["class"].values
    for level in reversed(classes):
        assets = {d.id for d in plan.data.values() if d.value("class") == level}
        if not assets:
            continue
        todo = [c.id for c in plan.components.values() if assets.intersection(c.holds)]
        todo += [end for f in plan.flows.values() if assets.intersection(f.data) for end in (f.source, f.target)]
        seen: set[str] = set()
        while todo:
            id = todo.pop()
            if id in seen:
                continue
            seen.add(id)
            found.setdefault(id, level)
            if id in mixers:
                todo += _receivers(index, id)
    return found


def _receivers(index: Index, id: str) -> Iterable[str]:
    for flow in index.outgoing.get(id, ()):
        yield flow.target if flow.source == id else flow.source
