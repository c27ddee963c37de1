# SPDX-License-Identifier: Apache-2.0
"""Scores discovery on labelled systems: components, flows, weaknesses, and things that must not be reported.

    python benchmarks/discovery.py FOLDER [--show]

FOLDER holds one folder a system, each with a `ground_truth.yaml` (components, flows and weaknesses with evidence as file and line). A component
of the labels counts as found when one of ours stands in one of its evidence files within a few lines of the evidence, or has its name, and its
kind is of the same family; each of ours is matched once. What can't be matched counts against precision when its kind is one that the labels use.
"""

from __future__ import annotations

import argparse
import resource
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from bastide.discover.discover import discover
from bastide.discover.model import Place
from bastide.discover.result import Discovery, Found

NEAR = 3
FAMILIES: Mapping[str, tuple[str, ...]] = {
    "model": ("ai.model", "ai.embedder", "ai.reranker", "ml.artifact"),
    "embedding": ("ai.embedder", "ai.model"),
    "model-endpoint": ("ai.model", "ai.gateway", "ai.embedder", "ai.reranker"),
    "vector-store": ("data.vector-store", "data.database", "data.cache", "ai.retriever"),
    "data-store": ("data", "ops.image-registry", "ml.registry", "ml.tracker"),
    "agent": ("ai.agent", "ai.chain"),
    "tool": ("ai.tool", "ai.mcp-server"),
    "mcp-server": ("ai.mcp-server", "ai.tool"),
    "guardrail": ("ai.guardrail", "ai.gateway"),
    "public-endpoint": ("app", "ai.model"),
    "identity": ("identity",),
    "secret": ("secret", "ops.secrets"),
    "network-control": ("network", "app.gateway"),
    "observability": ("ops.log", "ops.monitor"),
    "model-artifact": ("ml", "ai.model", "ops.image-registry", "data"),
    "service": ("app", "ops", "ml", "ai", "data"),
}


def main() -> int:
    """Prints a line for each system and the means."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--show", action="store_true", help="what was missed and what is too much")
    given = parser.parse_args()
    rows = []
    for truth in sorted(given.folder.glob("*/ground_truth.yaml")):
        started = time.perf_counter()
        found = discover(truth.parent)
        seconds = time.perf_counter() - started
        labels = yaml.safe_load(truth.read_text("utf-8"))
        row, notes = score(found, labels)
        rows.append(row)
        print(f"{truth.parent.name:<28}", *(f"{k} {v:.2f}" for k, v in row.items()), f"{seconds:.2f} s")
        if given.show:
            print("\n".join(f"    {note}" for note in notes))
    if rows:
        print(f"{'mean':<28}", *(f"{k} {sum(r[k] for r in rows) / len(rows):.2f}" for k in rows[0]))
    print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10} MiB")
    return 0


def score(found: Discovery, labels: Any) -> tuple[dict[str, float], list[str]]:
    """Recall and precision of components, recall of flows and weaknesses, and what explains them."""
    matched = match(found, labels["components"])
    notes = [f"missed component {c['id']} ({c['kind']})" for c in labels["components"] if c["id"] not in matched]
    taken = {f.id for f in matched.values()}
    extra = [c for c in found.components.values() if c.id not in taken and not c.kind.startswith("actor")]
    notes += [f"too much: {c.id} ({c.kind}) {c.provenance[0] if c.provenance else ''}" for c in extra]
    flows = [f for f in labels.get("flows", []) if _has_flow(found, matched, f)]
    notes += [f"missed flow {f['src']} -> {f['dst']}" for f in labels.get("flows", []) if f not in flows]
    weak = [w for w in labels.get("weaknesses", []) if _has_weakness(found, matched, w)]
    notes += [f"missed weakness {w['id']} {w['title']}" for w in labels.get("weaknesses", []) if w not in weak]
    row = {
        "components": len(matched) / max(1, len(labels["components"])),
        "precision": len(matched) / max(1, len(matched) + len(extra)),
        "flows": len(flows) / max(1, len(labels.get("flows", []))),
        "weaknesses": len(weak) / max(1, len(labels.get("weaknesses", []))),
    }
    return row, notes


def match(found: Discovery, labels: list[Any]) -> dict[str, Found]:
    """Label id -> the component that is it, best evidence first, each used once."""
    pairs = [(_alike(c, label), label["id"], c) for label in labels for c in found.components.values()]
    matched: dict[str, Found] = {}
    used: set[str] = set()
    for points, label_id, component in sorted(pairs, key=lambda p: -p[0]):
        if points > 0 and label_id not in matched and component.id not in used:
            matched[label_id] = component
            used.add(component.id)
    return matched


def _alike(component: Found, label: Any) -> int:
    families = FAMILIES.get(label["kind"], ("",))
    if not any(component.kind == f or component.kind.startswith(f + ".") or f == "" for f in families):
        return 0
    near = sum(any(_near(p, e) for p in _places(component)) for e in label.get("evidence", []))
    name = label["name"].lower()
    named = len(component.name) > 2 and (component.name.lower() in name or name in component.name.lower())
    return 4 * near + 2 * named


def _places(component: Found) -> Iterator[Place]:
    yield from component.provenance
    yield from (fact.place for fact in component.facts.values())


def _near(place: Place, evidence: Any) -> bool:
    return place.file == evidence["file"] and (
        place.line - NEAR <= evidence["line"] <= max(place.line, place.end) + NEAR
    )


def _has_flow(found: Discovery, matched: Mapping[str, Found], flow: Any) -> bool:
    source, target = (matched.get(flow[end]) for end in ("src", "dst"))
    for one in found.flows:
        ends = found.components.get(one.source), found.components.get(one.target)
        fits = all(
            (wanted is not None and have is not None and wanted.id == have.id)
            or (wanted is None and name not in matched and have is not None and have.kind.startswith("actor"))
            for wanted, have, name in zip((source, target), ends, (flow["src"], flow["dst"]), strict=True)
        )
        if fits:
            return True
    return False


def _has_weakness(found: Discovery, matched: Mapping[str, Found], label: Any) -> bool:
    names = label.get("component") or []
    elements = {matched[n].id for n in ([names] if isinstance(names, str) else names) if n in matched}
    for weakness in found.weaknesses:
        near = weakness.element in elements or any(_near(weakness.place, e) for e in label.get("evidence", []))
        if near and weakness.state == "fail" and weakness.category == label["category"]:
            return True
    return False


if __name__ == "__main__":
    sys.exit(main())
