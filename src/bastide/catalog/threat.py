# SPDX-License-Identifier: Apache-2.0
"""Reads one threat rule and checks that it makes sense; see docs/rules.md for the language."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from string import Formatter
from typing import cast, get_args

from bastide.catalog import fields
from bastide.catalog.model import ImpactRule, Leg, LegKind, Role, Threat
from bastide.catalog.pattern import All, parse_predicate
from bastide.errors import did_you_mean
from bastide.plan.vocabulary import ElementType, Vocabulary
from bastide.plan.yamlfile import Node, key_text

_KEYS = (
    "title",
    "summary",
    "attack",
    "roles",
    "legs",
    "sink",
    "finding",
    "breaks",
    "reduces",
    "impact",
    "likelihood",
    "refs",
)
_LEG = re.compile(r"\s*([a-z][a-z0-9-]*)\s+(~>|->|holds|runs-as|in)\s+([a-z][a-z0-9-]*)\s*\Z")
_KINDS = {"~>": "path", "->": "flow", "holds": "holds", "runs-as": "runs-as", "in": "in"}
_ENDS: Mapping[str, tuple[ElementType, ElementType]] = {
    "path": ("component", "component"), "flow": ("component", "component"), "holds": ("component", "data"),
    "runs-as": ("component", "identity"), "in": ("component", "zone"),
}  # fmt: skip
_LEG_OPTIONS: Mapping[str, tuple[str, ...]] = {"path": ("where", "via", "name"), "flow": ("where", "role", "name")}


def read_threat(root: Node, path: Path, vocabulary: Vocabulary) -> Threat:
    """The rule of a `threat.yaml`; its id is the path of its folder. Problems go to the document."""
    fields.check_keys(root, _KEYS, "threat")
    roles = _roles(root.get("roles") or root, vocabulary)
    legs = _legs(root.get("legs"), roles, vocabulary)
    for leg in legs:
        if leg.role and leg.role not in roles:
            roles[leg.role] = Role(leg.role, "flow", All(), leg.location)
    _check_shape(root, roles, legs)
    breaks, reduces = _controls(root, roles, legs, vocabulary)
    likelihood = root.get("likelihood")
    if likelihood is not None:
        fields.check_keys(likelihood, ("base", "why"), "likelihood")
    return Threat(
        id=f"{path.parent.parent.name}/{path.parent.name}",
        title=fields.text(root, "title"),
        summary=fields.text(root, "summary"),
        attack=fields.texts(root, "attack", required=True),
        roles=roles,
        legs=legs,
        sink=_sink(root, roles),
        finding=_finding(root, roles),
        breaks=breaks,
        reduces=reduces,
        impact=_impact(root.get("impact"), roles),
        likelihood=fields.number(likelihood, "base", 1, 1, 5) if likelihood is not None else None,
        likelihood_why=fields.text(likelihood, "why") if likelihood is not None else "",
        refs=fields.refs(root),
        location=root.location,
    )


def _roles(node: Node, vocabulary: Vocabulary) -> dict[str, Role]:
    found = {}
    if node.get("roles") is not None or not node.is_map or not node.value:
        node.problem("`roles` must name at least one role")
        return {}
    for name, key, value in node.items():
        element: ElementType = "component"
        kind = value.get("is")
        if kind is not None:
            word = key_text(kind)
            if word in get_args(ElementType):
                element = cast(ElementType, word)
            else:
                kind.problem(f"`{word}` is no part of a plan", did_you_mean(word, get_args(ElementType)))
        where = parse_predicate(value, element, vocabulary, skip=frozenset({"is"}))
        found[name] = Role(name, element, where, key.location)
    return found


def _legs(node: Node | None, roles: Mapping[str, Role], vocabulary: Vocabulary) -> tuple[Leg, ...]:
    if node is None or node.value is None:
        return ()
    if not node.is_list:
        node.problem(f"`legs` is a list, found {node.describe()}", "such as `- source ~> agent`")
        return ()
    found = []
    for item in node.value:
        key, options = item, None
        if item.is_map and len(item.value) == 1:
            _, key, options = next(item.items())
        leg = _leg(key, options, roles, vocabulary)
        if leg is not None:
            found.append(leg)
    return tuple(found)


def _leg(key: Node, options: Node | None, roles: Mapping[str, Role], vocabulary: Vocabulary) -> Leg | None:
    match = None if key.is_map or key.is_list else _LEG.match(key_text(key))
    if match is None:
        key.problem(f"{key.describe()} is no leg", "write `a ~> b`, `a -> b`, `a holds b`, `a runs-as b` or `a in b`")
        return None
    source, arrow, target = match.groups()
    kind = _KINDS[arrow]
    for name, element in zip((source, target), _ENDS[kind], strict=True):
        if name not in roles:
            key.problem(f"there is no role `{name}`", did_you_mean(name, roles))
            return None
        if roles[name].element != element:
            key.problem(f"role `{name}` is a {roles[name].element}, but this end of the leg is a {element}")
    if options is not None:
        fields.check_keys(options, _LEG_OPTIONS.get(kind, ()), f"`{arrow}` leg")
    where, via = (options.get("where"), options.get("via")) if options is not None else (None, None)
    return Leg(
        kind=cast(LegKind, kind),
        source=source,
        target=target,
        where=parse_predicate(where, "flow", vocabulary) if where is not None else None,
        via=parse_predicate(via, "component", vocabulary) if via is not None else None,
        role=fields.text(options, "role", required=False) if options is not None else "",
        name=fields.text(options, "name", required=False) if options is not None else "",
        location=key.location,
    )


def _check_shape(root: Node, roles: Mapping[str, Role], legs: Iterable[Leg]) -> None:
    """The roles that legs join must form one tree, so that a witness can be found leg by leg."""
    bound = {leg.role for leg in legs if leg.role}
    for name in bound:
        if name in roles and roles[name].element != "flow":
            root.problem(f"role `{name}` is bound to a flow by a leg, but is a {roles[name].element}")
    nodes = [name for name in roles if name not in bound]
    group = {name: name for name in nodes}

    def top(name: str) -> str:
        while group[name] != name:
            name = group[name]
        return name

    for leg in legs:
        one, two = top(leg.source), top(leg.target)
        if one == two:
            root.problem(
                f"the legs form a circle at `{leg.source}` and `{leg.target}`", "roles and legs must form a tree"
            )
        group[one] = two
    if len({top(name) for name in nodes}) > 1:
        root.problem("the legs don't join all roles", "every role hangs together with the sink by legs")


def _sink(root: Node, roles: Mapping[str, Role]) -> str:
    sink = fields.text(root, "sink", required=len(roles) != 1) or next(iter(roles), "")
    if roles and sink not in roles:
        (root.get("sink") or root).problem(f"there is no role `{sink}`", did_you_mean(sink, roles))
        return next(iter(roles))
    return sink


def _finding(root: Node, roles: Mapping[str, Role]) -> str:
    sentence = fields.text(root, "finding")
    node = root.get("finding") or root
    try:
        names = [name for _, name, _, _ in Formatter().parse(sentence) if name is not None]
    except ValueError as problem:
        node.problem(f"`finding` is no sentence with {{role}} placeholders: {problem}")
        return ""
    for name in names:
        if name not in roles:
            node.problem(f"`{{{name}}}` is no role", did_you_mean(name, roles))
    return sentence if all(name in roles for name in names) else ""


def _controls(
    root: Node, roles: Mapping[str, Role], legs: Iterable[Leg], vocabulary: Vocabulary
) -> tuple[dict[str, tuple[str, ...]], dict[str, tuple[str, ...]]]:
    places = [*roles, *(leg.name for leg in legs if leg.name), "path"]
    breaks, reduces = fields.places(root, "breaks", places), fields.places(root, "reduces", places)
    if not breaks and not reduces:
        root.problem("a rule needs at least one control", "name it under `breaks` or `reduces`")
    for key in ("breaks", "reduces"):
        section = root.get(key)
        for control, key_node, _ in section.items() if section is not None else ():
            if control not in vocabulary.controls:
                key_node.problem(f"unknown control `{control}`", did_you_mean(control, vocabulary.controls))
    return breaks, reduces


def _impact(node: Node | None, roles: Mapping[str, Role]) -> ImpactRule:
    if node is None or node.value is None:
        return ImpactRule()
    fields.check_keys(node, ("data", "effect", "privilege", "at-least", "at-most"), "impact")
    named = {key: fields.texts(node, key) for key in ("data", "effect", "privilege")}
    for key, words in named.items():
        for word in words:
            if word not in roles:
                (node.get(key) or node).problem(f"there is no role `{word}`", did_you_mean(word, roles))
    return ImpactRule(
        **named, at_least=fields.number(node, "at-least", 1, 1, 5), at_most=fields.number(node, "at-most", 5, 1, 5)
    )
