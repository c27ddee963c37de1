# SPDX-License-Identifier: Apache-2.0
"""The picture of a system in the DOT language of Graphviz, for people who lay it out themselves.

Every name and label is a quoted string, and HTML labels are never used.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from bastide.plan.model import Plan
from bastide.plan.vocabulary import Vocabulary
from bastide.report.outline import Box, flow_label, outline

_SHAPES: Mapping[str, str] = {
    "person": "oval",
    "screen": "tab",
    "agent": "hexagon",
    "model": "component",
    "shield": "octagon",
    "document": "note",
    "store": "cylinder",
    "queue": "cds",
    "tool": "trapezium",
    "gear": "box3d",
    "vault": "folder",
    "cloud": "doubleoctagon",
}
"""What a kind is drawn as -> the shape of Graphviz; a box otherwise."""
_FILLS = {
    "none": "#fbe3e0",
    "third-party": "#fdf0d5",
    "enterprise": "#eef2f7",
    "workload": "#e6f2ea",
    "restricted": "#dfe9fb",
}


def dot(plan: Plan, vocabulary: Vocabulary) -> str:
    """The plan as a directed graph: zones as nested clusters, flows as labelled edges."""
    lines = [
        f"digraph {_quoted(plan.id or 'system')} {{",
        '  graph [rankdir=LR, compound=true, fontname="sans-serif", ranksep=0.9];',
        '  node [shape=box, fontname="sans-serif", fontsize=11, style=filled, fillcolor=white];',
        '  edge [fontname="sans-serif", fontsize=9];',
    ]
    for box in outline(plan):
        lines += _box(box, vocabulary, 1)
    for flow in plan.flows.values():
        direction = ", dir=both" if flow.both_ways else ""
        label = _quoted(flow_label(plan, flow))
        lines.append(f"  {_quoted(flow.source)} -> {_quoted(flow.target)} [label={label}{direction}];")
    return "\n".join([*lines, "}"]) + "\n"


def _box(box: Box, vocabulary: Vocabulary, depth: int) -> Iterator[str]:
    pad = "  " * depth
    inner = pad
    if box.zone is not None:
        inner = pad + "  "
        fill = _FILLS.get(str(box.zone.value("trust")), "#f4f4f4")
        yield f"{pad}subgraph {_quoted(f'cluster_{box.zone.id}')} {{"
        yield f'{inner}label={_quoted(box.zone.label)}; style=filled; fillcolor="{fill}"; color="#8a94a6";'
    for component in box.components:
        kind = vocabulary.kinds.get(component.kind)
        shape = _SHAPES.get(kind.draw if kind else "", "box")
        yield f"{inner}{_quoted(component.id)} [label={_quoted(component.label)}, shape={shape}];"
    for below in box.boxes:
        yield from _box(below, vocabulary, depth + 1)
    if box.zone is not None:
        yield f"{pad}}}"


def _quoted(text: str) -> str:
    r"""A quoted string of DOT.

    Graphviz reads `\n`, `\N` and the like inside labels, so each backslash is doubled; it also decodes HTML
    entities, so each `&` is written as one. Control characters, which it passes on, are left out.
    """
    words = "".join(c for c in " ".join(text.split()) if c.isprintable())
    return '"' + words.replace("&", "&amp;").replace("\\", "\\\\").replace('"', '\\"') + '"'
