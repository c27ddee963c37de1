# SPDX-License-Identifier: Apache-2.0
"""Reads an Open Threat Model document into nodes in the shape of `bastide.yaml`, which keep their places in it.

So the plan's own reader checks the result and its messages point into the OTM file.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from bastide.errors import Diagnostic, Location, PlanError
from bastide.plan import otm_lens as lens
from bastide.plan.elements import flow_id
from bastide.plan.otm_lens import ENDS, EXTENSION, GROUPS, PREFIX, SYNTHETIC, VERSION, Body, Context, Names, mapping
from bastide.plan.otm_words import assign_ids
from bastide.plan.yamlfile import MAX_BYTES, MAX_DEPTH, Node, parse

_DEPTH = MAX_DEPTH - 4
"""A plan holds the content of OTM some levels deeper, and has to stay readable."""
_REQUIRED = {
    "project": ("name", "id"),
    "asset": ("name", "id", "risk"),
    "zone": ("name", "id", "risk"),
    "component": ("name", "id", "type", "parent"),
    "flow": ("name", "id", "source", "destination"),
}
_TEXT = ("name", "id", "type", "source", "destination")
_MAPPINGS = ("risk", "parent", "attributes")
_SECTIONS = {"asset": "data", "zone": "zones", "component": "components"}
_FROM = {
    "kind": "type", "zone": "parent", "in": "parent", "holds": "assets", "data": "assets", "tags": "tags",
    "trust": "risk", "class": "risk", "purpose": "description", ENDS: "source",
}  # fmt: skip
"""Key of a plan <- the field of OTM that says it."""
_PAIR = re.compile(r"(?<!\\)((?:\\\\)*)\\u(d[89ab][0-9a-f]{2})\\u(d[c-f][0-9a-f]{2})", re.IGNORECASE)


def read_document(text: str, file: str, kinds: frozenset[str]) -> Node:
    """The document as the root node of a plan. Raises `PlanError` when it isn't an OTM document."""
    if len(text) > MAX_BYTES:
        raise PlanError(Diagnostic(f"is larger than {MAX_BYTES // 2**20} MiB", Location(file)))
    if text.lstrip("\ufeff \t\r\n").startswith("{"):
        # JSON writes characters beyond the first 65,536 as two escapes, which YAML doesn't know.
        text = _PAIR.sub(_joined, text)
    root = parse(text.removeprefix("\ufeff"), file)
    _check(root)
    if problems := root.document.problems:
        raise PlanError(sorted(problems, key=lambda p: (p.location.line, p.location.column)))
    return _Reader(root, kinds).plan()


def _joined(match: re.Match[str]) -> str:
    high, low = int(match[2], 16), int(match[3], 16)
    return match[1] + chr(0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00))


# -- shape ------------------------------------------------------------------------------------------------
def _check(root: Node) -> None:
    """Reports what is not as in every OTM document; fields that a plan only keeps aren't looked at."""
    if not root.is_map or root.get("otmVersion") is None:
        root.problem("this is no Open Threat Model document", "it begins with `otmVersion` and has a `project`")
        return
    _check_depth(root)
    project = root.get("project")
    if project is None:
        root.problem("`project` is missing", "such as `project: {name: Shop, id: shop}`")
    else:
        _check_part(project, "project")
    for group, name in GROUPS.items():
        found = root.get(name)
        if found is None or found.value is None:
            continue
        if not found.is_list:
            found.problem(f"`{name}` is a list, found {found.describe()}")
            continue
        seen: dict[str, Node] = {}
        for part in found.value:
            _check_part(part, group)
            _check_unique(part, seen, group)
    if not root.document.problems:
        _check_parents(root)


def _check_depth(root: Node) -> None:
    level, depth = [root], 0
    while level and depth <= _DEPTH:
        level = [
            n for node in level for n in (node.value.values() if node.is_map else node.value if node.is_list else ())
        ]
        depth += 1
    if level:
        level[0].problem(f"is nested deeper than {_DEPTH} levels")


def _check_part(part: Node, group: str) -> None:
    if not part.is_map:
        part.problem(f"expected a mapping ({group}), found {part.describe()}")
        return
    for key in _REQUIRED[group]:
        if part.get(key) is None:
            part.problem(f"`{key}` is missing ({group})")
    for key, _, value in part.items():
        if key in _TEXT and (not isinstance(value.value, str) or (key == "id" and not value.value)):
            value.problem(f"`{key}` is a text, found {value.describe()}", "numbers need quotes")
        elif key in _MAPPINGS and not value.is_map and (value.value is not None or key in _REQUIRED[group]):
            value.problem(f"`{key}` is a mapping, found {value.describe()}")
    parent = part.get("parent")
    if parent is not None and parent.is_map:
        ends = [n for k in ("trustZone", "component") if (n := parent.get(k)) is not None]
        if len(ends) != 1 or not isinstance(ends[0].value, str):
            parent.problem("a parent is one `trustZone` or one `component`")


def _check_unique(part: Node, seen: dict[str, Node], group: str) -> None:
    id = part.get("id")
    if id is None or not isinstance(id.value, str):
        return
    earlier = seen.setdefault(id.value, id)
    if earlier is not id:
        id.problem(f"there is another {group} `{id.value[:80]}`", f"at {earlier.location}")


def _check_parents(root: Node) -> None:
    """Reports parents that are nowhere, and components that lie in themselves."""
    components = {c.value["id"].value: c for c in _parts(root, "component")}
    zones = zones_of([c.plain_data() for c in components.values()])
    missing = False
    for node in (*components.values(), *_parts(root, "zone")):
        parent = node.get("parent")
        inside = parent.get("component") if parent is not None else None
        if inside is not None and inside.value not in components:
            inside.problem(f"there is no component `{inside.value[:80]}`")
            missing = True
    for id, component in components.items():
        if zones[id] is None and not missing:
            component.value["parent"].problem(f"component `{id[:80]}` lies in itself")


def _parts(root: Node, group: str) -> list[Node]:
    found = root.get(GROUPS[group])
    return found.value if found is not None and found.is_list else []


def zones_of(components: Sequence[Mapping[str, Any]]) -> dict[str, str | None]:
    """Component -> the zone around it, through the components that it lies in; None where these lead nowhere."""
    parents = {c["id"]: c["parent"] for c in components}
    found: dict[str, str | None] = {}
    for id in parents:
        path: list[str] = []
        here, zone = id, None
        while here in parents and here not in found:
            found[here] = None  # until it is known; a circle ends here too
            path.append(here)
            if (zone := parents[here].get("trustZone")) is not None:
                break
            here = parents[here]["component"]
        else:
            zone = found.get(here)
        found.update(dict.fromkeys(path, zone))
    return found


# -- content ----------------------------------------------------------------------------------------------
class _Reader:
    """Turns the parts of a document of the right shape into those of a plan."""

    def __init__(self, root: Node, kinds: frozenset[str]) -> None:
        self.root = root
        self.document: dict[str, Any] = root.plain_data()
        synthetic = {z["id"] for z in self._plain("zone") if mapping(z.get("attributes")).get(SYNTHETIC) is True}
        self.parts = {
            g: [p for p in _parts(root, g) if g != "zone" or p.value["id"].value not in synthetic] for g in GROUPS
        }
        ids = _ids({g: [p.plain_data() for p in own] for g, own in self.parts.items()})
        self.names = Names(
            {g: {id: otm for otm, id in own.items()} for g, own in ids.items()}, min(synthetic, default="")
        )
        ids["zone"] |= dict.fromkeys(synthetic, "")
        self.context = Context(ids, zones_of(self._plain("component")), kinds)

    def _plain(self, group: str) -> list[dict[str, Any]]:
        return self.document.get(GROUPS[group]) or []

    def plan(self) -> Node:
        """The root node of the plan."""
        project = self.root.value["project"]
        original = self.document["project"]
        system = assign_ids({"system": [original["id"]]})["system"][original["id"]]
        header = lens.derive_project(original, system).body
        kept = self._kept(original, lens.native_project(system, header))
        found = [("bastide", _node(1, self.root)), ("system", _node(system, project.value["id"]))]
        found += _fields(header, project)
        for group, section in _SECTIONS.items():
            found.append((section, _map(dict(self._named(group)), self.root)))
        found.append(("flows", _list([_map({key: node}, node) for key, node in self._flows()], self.root)))
        if kept:
            found.append((EXTENSION, _node(kept, self.root)))
        return _map(dict(found), self.root)

    def _named(self, group: str) -> Iterator[tuple[str, Node]]:
        for part in self.parts[group]:
            id, body = self._body(group, part)
            yield id, _map(dict(_fields(body, part)), part.value["id"])

    def _flows(self) -> Iterator[tuple[str, Node]]:
        for part in self.parts["flow"]:
            _, body = self._body("flow", part)
            ends = body.pop(ENDS)
            yield ends, _map(dict(_fields(body, part)), part.value["source"])

    def _body(self, group: str, part: Node) -> tuple[str, Body]:
        original = part.plain_data()
        id = self.context.ids[group][original["id"]]
        derived = lens.DERIVE[group](original, id, self.context)
        rebuilt = lens.native(group, id, derived.body, self.names)
        kept = lens.remainder(original, rebuilt, derived.guessed)
        return id, {**derived.body, EXTENSION: kept} if kept else derived.body

    def _kept(self, project: Mapping[str, Any], rebuilt: Mapping[str, Any]) -> Body:
        lists = tuple(GROUPS.values())
        fields = {k: v for k, v in self.document.items() if k != "project" and (k not in lists or v is None)}
        if fields.get("otmVersion") == VERSION:
            del fields["otmVersion"]
        own = lens.remainder(project, rebuilt, frozenset())
        found: Body = {"set": fields, "without": [k for k in lists if k not in self.document], "project": own}
        return {key: value for key, value in found.items() if value}


def _ids(parts: Mapping[str, list[dict[str, Any]]]) -> dict[str, dict[str, str]]:
    """Ids of the plan for those of OTM; a flow whose id is that of its ends keeps it."""
    plain = {g: [p["id"] for p in own] for g, own in parts.items() if g != "flow"}
    components = assign_ids(plain)["component"]
    own = {p["id"] for p in parts["flow"] if p["id"] == _by_ends(p, components)}
    found = assign_ids({**plain, "flow": [p["id"] for p in parts["flow"] if p["id"] not in own]})
    # The ids of flows may have taken one that a part wanted only in a changed form, never one that fits as it is.
    found["flow"] |= {id: id for id in own}
    return found


def _by_ends(flow: Mapping[str, Any], components: Mapping[str, str]) -> str:
    arrow = "<->" if flow.get("bidirectional") is True else "->"
    return flow_id(arrow.join(components.get(flow[end], flow[end]) for end in ("source", "destination")))


# -- nodes ------------------------------------------------------------------------------------------------
def _fields(body: Body, part: Node) -> list[tuple[str, Node]]:
    """The keys of a body, each placed where the document says it."""
    attributes = part.get("attributes") or part
    return [
        (key, _node(value, attributes.get(PREFIX + key) or part.get(_FROM.get(key, key)) or part))
        for key, value in body.items()
    ]


def _node(value: Any, near: Node) -> Node:
    """A value as nodes that all stand in one place."""
    if isinstance(value, dict):
        return _map({str(k): _node(v, near) for k, v in value.items()}, near)
    if isinstance(value, list):
        return _list([_node(v, near) for v in value], near)
    return Node(value, near.line, near.column, near.document, near.length, plain=False)


def _map(values: dict[str, Node], near: Node) -> Node:
    keys = {key: Node(key, near.line, near.column, near.document, near.length, plain=False) for key in values}
    return Node(values, near.line, near.column, near.document, near.length, keys=keys)


def _list(values: list[Node], near: Node) -> Node:
    return Node(values, near.line, near.column, near.document, near.length)
