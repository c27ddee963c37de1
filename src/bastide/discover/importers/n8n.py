# SPDX-License-Identifier: Apache-2.0
"""n8n workflows: each node is a resource, with the nodes that it goes on to and those that it uses."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from bastide.discover.interface import Tree
from bastide.discover.model import Place, Problem, Reading, Resource, Value
from bastide.discover.readers.json_ import read_json


class N8n:
    """Workflows as n8n exports them, one in a file or several in a list."""

    name = "n8n"

    def wants(self, path: str, head: Callable[[], str]) -> bool:
        """JSON that names nodes of n8n near its beginning, or lies where n8n's workflows lie."""
        return path.endswith(".json") and ("workflow" in path.lower() or "n8n-nodes" in head())

    def read(self, tree: Tree, files: Sequence[str]) -> Reading:
        """The nodes of all workflows. JSON that is no workflow is left alone."""
        found: list[Resource] = []
        problems: list[Problem] = []
        read = set()
        for file in files:
            text = tree.read(file)
            if text is None or "n8n-nodes" not in text:
                continue
            root, wrong = read_json(text, file)
            problems += wrong
            read.add(file)
            if root is not None:
                found += [r for workflow in root.elements() for r in _nodes(workflow, file)]
        return Reading(tuple(found), tuple(problems), frozenset(read))


def _nodes(workflow: Value, file: str) -> Iterator[Resource]:
    if not isinstance(workflow.data, Mapping):
        return
    title = next((str(v.data) for v in workflow.find("name")), file)
    scope = f"n8n:{file}: {title}"
    nodes = {str(v.data): node for node in workflow.find("nodes") for v in node.find("name")[:1]}
    ids = {name: f"{file}: {title}: {name}" for name in nodes}
    following, used = _connections(workflow, ids)
    for name, node in nodes.items():
        kind = next((str(v.data) for v in node.find("type")), "")
        body = dict(node.data)
        body["next"] = Value(tuple(following.get(name, ())), node.place)
        body["uses"] = Value(
            {port: Value(tuple(vs), node.place) for port, vs in used.get(name, {}).items()}, node.place
        )
        for part in ("active", "settings"):
            if part in workflow.data:
                body[f"workflow-{part}"] = workflow.data[part]
        lines = next((Place(file, v.place.line) for v in node.find("type")), node.place)
        yield Resource(ids[name], f"n8n/{kind.rpartition('.')[2]}", name, Value(body, node.place), lines, scope=scope)


Ports = dict[str, dict[str, list[Value]]]


def _connections(workflow: Value, ids: Mapping[str, str]) -> tuple[dict[str, list[Value]], Ports]:
    """What each node goes on to, and by port what it uses: a model is connected *into* the chain that asks it."""
    following: dict[str, list[Value]] = {}
    used: Ports = {}
    for connections in workflow.find("connections"):
        for source, ports in (connections.data if isinstance(connections.data, Mapping) else {}).items():
            for port, targets in (ports.data if isinstance(ports.data, Mapping) else {}).items():
                for target in targets.find("node"):
                    name = str(target.data)
                    if name not in ids or source not in ids:
                        continue
                    if port == "main":
                        following.setdefault(source, []).append(Value(name, target.place, refs=(ids[name],)))
                    else:
                        place = Value(source, target.place, refs=(ids[source],))
                        used.setdefault(name, {}).setdefault(port, []).append(place)
    return following, used
