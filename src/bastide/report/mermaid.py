# SPDX-License-Identifier: Apache-2.0
"""The picture of a system as a Mermaid flowchart, for Markdown that renders it (GitHub, GitLab, many wikis).

Only the plain subset is used: `subgraph`, the old bracket shapes, `-->` and `<-->` with a quoted label. Node
ids are made here, so that no name of a plan is read as syntax, and labels hold letters and entity codes only.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from bastide.plan.model import Component, Plan
from bastide.plan.vocabulary import Vocabulary
from bastide.report.outline import Box, flow_label, names, outline

_SHAPES: Mapping[str, tuple[str, str]] = {
    "person": ("([", "])"),
    "screen": ("(", ")"),
    "agent": ("{{", "}}"),
    "model": ("[[", "]]"),
    "shield": ("{{", "}}"),
    "document": ("[/", "/]"),
    "store": ("[(", ")]"),
    "queue": ("[\\", "\\]"),
    "tool": ("[/", "\\]"),
    "gear": ("[[", "]]"),
    "vault": ("[(", ")]"),
    "cloud": ("((", "))"),
}
"""What a kind is drawn as -> the brackets around the label; a plain box otherwise."""


def mermaid(plan: Plan, vocabulary: Vocabulary) -> str:
    """The plan as text of a Mermaid flowchart: zones as nested subgraphs, flows as labelled arrows.

    The same plan gives the same text.
    """
    ids = names(plan)
    lines = ["flowchart LR"]
    for box in outline(plan):
        lines += _box(box, ids, vocabulary, 1)
    for flow in plan.flows.values():
        arrow = "<-->" if flow.both_ways else "-->"
        label = f"|{_quoted(flow_label(plan, flow))}|" if flow_label(plan, flow) else ""
        lines.append(f"  {ids[flow.source]} {arrow}{label} {ids[flow.target]}")
    return "\n".join(lines) + "\n"


def _box(box: Box, ids: Mapping[str, str], vocabulary: Vocabulary, depth: int) -> Iterator[str]:
    pad = "  " * depth
    if box.zone is None:
        yield from (f"{pad}{_node(c, ids, vocabulary)}" for c in box.components)
        return
    yield f"{pad}subgraph {ids[box.zone.id]}[{_quoted(box.zone.label)}]"
    yield from (f"{pad}  {_node(c, ids, vocabulary)}" for c in box.components)
    for inner in box.boxes:
        yield from _box(inner, ids, vocabulary, depth + 1)
    yield f"{pad}end"


def _node(component: Component, ids: Mapping[str, str], vocabulary: Vocabulary) -> str:
    kind = vocabulary.kinds.get(component.kind)
    left, right = _SHAPES.get(kind.draw if kind else "", ("[", "]"))
    return f"{ids[component.id]}{left}{_quoted(component.label)}{right}"


def _quoted(text: str) -> str:
    """The text in quotes; everything but letters, digits and harmless signs becomes an entity code."""
    words = " ".join(text.split())
    return '"' + "".join(c if c.isalnum() or c in " .,_-/" else f"#{ord(c)};" for c in words) + '"'
