# SPDX-License-Identifier: Apache-2.0
"""Turns the sections of a plan into its parts, checking every word against the vocabulary."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from bastide.errors import did_you_mean
from bastide.plan import facts
from bastide.plan.model import Component, ControlClaim, Data, Flow, Grant, Identity, Plan, Source, Zone
from bastide.plan.vocabulary import ElementType, Vocabulary
from bastide.plan.yamlfile import Node, key_text

_ID = re.compile(r"[a-z0-9](?:[a-z0-9_.-]{0,118}[a-z0-9_])?\Z")
_ARROW = re.compile(r"\s*(<->|->)\s*")
_COMMON = frozenset({"name", "description", "tags"})
STRUCTURE: Mapping[ElementType, frozenset[str]] = {
    "component": _COMMON | {"kind", "zone", "platform", "owner", "runs-as", "holds"},
    "flow": _COMMON | {"id", "data"},
    "data": _COMMON | {"owner"},
    "zone": _COMMON | {"in"},
    "identity": _COMMON | {"owner", "grants"},
}
"""The keys of each part that are structure; every other key is an attribute."""
MAX_ZONE_DEPTH = 50
SYSTEM = "system"
"""What a claim stands on when it holds for every element."""


def is_identifier(word: str) -> bool:
    """Whether the word can be the id of a part."""
    return _ID.match(word) is not None


def identifier(node: Node, what: str) -> str:
    """The id that a node holds; a problem if it isn't one."""
    word = "" if node.is_map or node.is_list else key_text(node)
    if not is_identifier(word):
        node.problem(
            f"{what} can't be {node.describe()}", "use lower-case letters, digits, `-`, `_` and `.`, such as `order-db`"
        )
    return word


def text(node: Node | None) -> str:
    """The text of an optional scalar."""
    if node is None or node.value is None:
        return ""
    if node.is_map or node.is_list:
        node.problem(f"expected text, found {node.describe()}")
        return ""
    return key_text(node)


def words(node: Node | None, what: str) -> list[tuple[str, Node]]:
    """A word or a list of words, each with its node."""
    if node is None or node.value is None:
        return []
    found = []
    for item in node.value if node.is_list else [node]:
        if item.is_map or item.is_list or item.value is None:
            item.problem(f"expected {what}, found {item.describe()}")
        else:
            found.append((key_text(item), item))
    return found


def extensions(node: Node) -> dict[str, Any]:
    """The `x-` keys of a mapping, as plain data."""
    return {key: value.plain_data() for key, _, value in node.items() if key.startswith("x-")}


def flow_id(written: str) -> str:
    """A flow's id as it may be written in a claim: spaces around the arrow don't matter."""
    return _ARROW.sub(r"\1", written.strip())


@dataclass(slots=True)
class _Reference:
    node: Node
    id: str
    group: str
    """Which section it must be in, or `element` for any."""


@dataclass(slots=True)
class Builder:
    """Builds the parts of one plan; problems go to the documents of the nodes."""

    vocabulary: Vocabulary
    defaults: Mapping[str, Node]
    count: int = 0
    _ids: dict[str, Node] = field(default_factory=dict)
    _references: list[_Reference] = field(default_factory=list)
    _zone_nodes: dict[str, Node] = field(default_factory=dict)
    _facts: facts.FactReader = field(init=False)

    def __post_init__(self) -> None:
        """Prepares the reader of facts."""
        self._facts = facts.FactReader(self.vocabulary)

    # -- sections -----------------------------------------------------------------------------------------------
    def data(self, sections: Iterable[Node]) -> dict[str, Data]:
        """The data assets."""
        found = {}
        for id, key, node in self._named(sections, "data asset"):
            common = self._common(id, key, node, "data", "data")
            found[id] = Data(**common, owner=text(self._key(node, "owner", "data")))
        return found

    def zones(self, sections: Iterable[Node]) -> dict[str, Zone]:
        """The trust zones."""
        found = {}
        for id, key, node in self._named(sections, "zone"):
            self._zone_nodes[id] = key
            parent = self._reference(node.get("in"), "zones")
            found[id] = Zone(**self._common(id, key, node, "zone", "zones"), parent=parent)
        return found

    def identities(self, sections: Iterable[Node]) -> dict[str, Identity]:
        """The identities with their grants."""
        found = {}
        for id, key, node in self._named(sections, "identity"):
            common = self._common(id, key, node, "identity", "identities")
            found[id] = Identity(
                **common, owner=text(self._key(node, "owner", "identities")), grants=self._grants(node.get("grants"))
            )
        return found

    def components(self, sections: Iterable[Node]) -> dict[str, Component]:
        """The components."""
        found = {}
        for id, key, node in self._named(sections, "component", shorthand="kind"):
            kind_node = node if not node.is_map else node.get("kind")
            kind = self._kind(kind_node, key)
            zone, platform, owner, runs_as = (
                self._key(node, name, "components") for name in ("zone", "platform", "owner", "runs-as")
            )
            found[id] = Component(
                **self._common(id, key, node, "component", "components", kind),
                kind=kind,
                zone=self._reference(zone, "zones"),
                platform=text(platform),
                owner=text(owner),
                runs_as=self._reference(runs_as, "identities"),
                holds=self._reference_list(node.get("holds"), "data"),
            )
        return found

    def flows(self, sections: Iterable[Node]) -> dict[str, Flow]:
        """The flows; a chain becomes one flow for each arrow."""
        found: dict[str, Flow] = {}
        for key, node in self._entries(sections, "flow", "`- a -> b: {...}`"):
            written = key_text(key)
            parts = _ARROW.split(written.strip())
            if len(parts) < 3 or not all(parts):
                hint = (
                    "write it the other way round with `->`"
                    if "<-" in written and "<->" not in written
                    else "write `from -> to` or `a <-> b`"
                )
                key.problem(f"`{written[:80]}` is no flow", hint)
                continue
            for source, arrow, target in zip(parts[::2], parts[1::2], parts[2::2], strict=False):
                flow = self._flow(key, node, source, arrow, target, single=len(parts) == 3)
                if flow is not None:
                    found[flow.id] = flow
        return found

    def claims(self, sections: Iterable[Node]) -> tuple[ControlClaim, ...]:
        """The controls that the plan says are in place."""
        found = []
        for key, node in self._entries(sections, "control", "`- control-id: {on: element}`"):
            control = key_text(key)
            if self.vocabulary.controls and control not in self.vocabulary.controls:
                key.problem(f"unknown control `{control[:60]}`", did_you_mean(control, self.vocabulary.controls))
            found.append(self._claim(control, key, node))
        return tuple(found)

    def check_references(self, plan: Plan) -> None:
        """Reports references to parts that don't exist, and zones that contain themselves."""
        groups: dict[str, Mapping[str, Any]] = {
            "zones": plan.zones, "identities": plan.identities, "data": plan.data, "components": plan.components,
            "element": {**plan.components, **plan.flows, **plan.data, **plan.identities, **plan.zones, SYSTEM: None},
        }  # fmt: skip
        for reference in self._references:
            known = groups[reference.group]
            if reference.id not in known:
                what = {"zones": "zone", "identities": "identity", "data": "data asset", "components": "component"}.get(
                    reference.group, "element"
                )
                hint = did_you_mean(reference.id, known) or f"define it under `{reference.group}:`"
                reference.node.problem(f"there is no {what} `{reference.id[:80]}`", hint)
        self._check_nesting(plan)

    def _check_nesting(self, plan: Plan) -> None:
        """Reports zones that contain themselves or nest too deep; looks no further than the bound from each."""
        for id, zone in plan.zones.items():
            around: dict[str, None] = {}
            parent = zone.parent
            while parent is not None and parent != id and parent not in around and len(around) <= MAX_ZONE_DEPTH:
                around[parent] = None
                parent = plan.zones[parent].parent if parent in plan.zones else None
            if parent == id:
                self._zone_nodes[id].problem(f"zone `{id}` lies in itself", "take out one `in:` of the circle")
            elif len(around) > MAX_ZONE_DEPTH:
                self._zone_nodes[id].problem(f"zone `{id}` lies in more than {MAX_ZONE_DEPTH} others")

    # -- pieces -------------------------------------------------------------------------------------------------
    def _named(self, sections: Iterable[Node], what: str, shorthand: str = "") -> Iterator[tuple[str, Node, Node]]:
        for section in sections:
            if not section.is_map:
                section.problem(f"expected a mapping from {what} id to its description, found {section.describe()}")
                continue
            for id, key, node in section.items():
                identifier(key, f"the id of a {what}")
                if not node.is_map and node.value is not None and not (shorthand and isinstance(node.value, str)):
                    node.problem(f"expected a mapping, found {node.describe()}")
                self._register(id, key, what)
                yield id, key, node

    def _entries(self, sections: Iterable[Node], what: str, form: str) -> Iterator[tuple[Node, Node]]:
        """Items of a list of one-key mappings (or words), or of a mapping."""
        for section in sections:
            if section.is_map:
                yield from ((key, node) for _, key, node in section.items())
            elif not section.is_list:
                section.problem(f"expected a list of {what}s, found {section.describe()}", f"such as {form}")
            else:
                for item in section.value:
                    if item.is_map and len(item.value) == 1:
                        _, key, node = next(item.items())
                        yield key, node
                    elif item.is_map and item.value:
                        second = list(item.items())[1][1]
                        second.problem(f"one {what} for each item", f"put the rest in braces: {form}")
                    elif isinstance(item.value, str):
                        yield item, Node(None, item.line, item.column, item.document)
                    else:
                        item.problem(f"expected a {what}, found {item.describe()}", f"such as {form}")

    def _register(self, id: str, key: Node, what: str) -> None:
        self.count += 1
        earlier = self._ids.setdefault(id, key)
        if earlier is not key:
            key.problem(
                f"{what} `{id[:80]}` has the id of another part",
                f"ids are unique in a plan; it is used at {earlier.location}",
            )

    def _key(self, node: Node, name: str, section: str) -> Node | None:
        own = node.get(name)
        if own is None and (defaults := self.defaults.get(section)) is not None:
            return defaults.get(name)
        return own

    def _common(
        self, id: str, key: Node, node: Node, element: ElementType, section: str, kind: str = ""
    ) -> dict[str, Any]:
        own = self._facts.read(node, element, STRUCTURE[element], self.defaults.get(section), kind)
        return {
            "id": id,
            "name": text(node.get("name")),
            "description": text(node.get("description")),
            "location": key.location,
            "facts": own,
            "tags": tuple(word for word, _ in words(node.get("tags"), "a tag")),
            "extensions": extensions(node),
        }

    def _kind(self, node: Node | None, key: Node) -> str:
        if node is None or node.value is None:
            key.problem(
                f"component `{key_text(key)[:60]}` has no kind",
                "such as `kind: ai.agent`; `bastide catalog list kinds` shows them all",
            )
            return ""
        kind = text(node)
        if kind not in self.vocabulary.kinds and not (node.is_map or node.is_list):
            node.problem(f"unknown kind `{kind[:60]}`", did_you_mean(kind, self.vocabulary.kinds))
        return kind

    def _reference(self, node: Node | None, group: str) -> str | None:
        word = text(node)
        if node is None or not word:
            return None
        self._references.append(_Reference(node, word, group))
        return word

    def _reference_list(self, node: Node | None, group: str) -> tuple[str, ...]:
        found = words(node, "an id or a list of ids")
        self._references += [_Reference(n, word, group) for word, n in found]
        return tuple(dict.fromkeys(word for word, _ in found))

    def _grants(self, node: Node | None) -> tuple[Grant, ...]:
        if node is None or node.value is None:
            return ()
        if not node.is_list:
            node.problem(
                f"`grants` is a list, found {node.describe()}", "such as `grants: [{on: kb, actions: [read]}]`"
            )
            return ()
        found = []
        for item in node.value:
            for name, key, _ in item.items():
                if name not in ("on", "actions") and not name.startswith("x-"):
                    key.problem(f"unknown key `{name}` in a grant", did_you_mean(name, ("on", "actions")))
            on = self._reference(item.get("on"), "element")
            if on is None:
                item.problem("a grant needs `on:`", "such as `{on: kb, actions: [read]}`")
            else:
                actions = tuple(w for w, _ in words(item.get("actions"), "an action"))
                found.append(Grant(on, actions, item.location, extensions(item)))
        return tuple(found)

    def _flow(self, key: Node, node: Node, source: str, arrow: str, target: str, single: bool) -> Flow | None:
        own_id = text(node.get("id")) if node.is_map else ""
        if own_id and not single:
            key.problem("a chain of flows can't have one `id`", "write the flows one by one")
        id = own_id or f"{source}{arrow}{target}"
        if own_id and (id_node := node.get("id")) is not None:
            identifier(id_node, "the id of a flow")
        if node.value is not None and not node.is_map:
            node.problem(
                f"expected a mapping, found {node.describe()}",
                "such as `- web -> api: {data: prompt, protocol: https}`",
            )
            return None
        earlier = self._ids.setdefault(id, key)
        if earlier is not key:
            key.problem(
                f"there is a flow `{id[:80]}` already, at {earlier.location}", "give this one an `id:` of its own"
            )
            return None
        self.count += 1
        for end in (source, target):
            self._references.append(_Reference(key, end, "components"))
        common = self._common(id, key, node, "flow", "flows")
        data = self._reference_list(self._key(node, "data", "flows"), "data")
        return Flow(**common, source=source, target=target, both_ways=arrow == "<->", data=data)

    def _claim(self, control: str, key: Node, node: Node) -> ControlClaim:
        on_node = node.get("on") if node.is_map else node
        for name, name_key, _ in node.items():
            if name not in ("on", "by", "source", "evidence") and not name.startswith("x-"):
                name_key.problem(
                    f"unknown key `{name}` in a control", did_you_mean(name, ("on", "by", "source", "evidence"))
                )
        targets = [(flow_id(word), n) for word, n in words(on_node, "an element's id or a list of them")]
        if not targets:
            key.problem(
                f"control `{control[:60]}` doesn't say where it stands",
                "such as `on: assistant`, a zone, a flow `a -> b`, or `system`",
            )
        self._references += [_Reference(n, word, "element") for word, n in targets]
        return ControlClaim(
            control=control,
            on=tuple(dict.fromkeys(word for word, _ in targets)),
            by=text(node.get("by")),
            source=facts.source(node.get("source")) if node.is_map else Source.DECLARED,
            evidence=text(node.get("evidence")),
            location=key.location,
            extensions=extensions(node),
        )
