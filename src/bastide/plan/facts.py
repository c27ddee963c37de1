# SPDX-License-Identifier: Apache-2.0
"""Reads facts: short (`encrypted: true`) or long, with provenance (`{value: true, source: discovered, evidence: "main.tf:12"}`)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from bastide.errors import did_you_mean
from bastide.plan.model import Fact, Source, Value
from bastide.plan.vocabulary import Attribute, ElementType, Vocabulary
from bastide.plan.yamlfile import Node, key_text

UNKNOWN = "unknown"
_BOOLEANS: Mapping[str, bool] = {"yes": True, "no": False, "true": True, "false": False}
_SPOKEN: Mapping[ElementType, str] = {
    "component": "a component",
    "flow": "a flow",
    "data": "a data asset",
    "zone": "a zone",
    "identity": "an identity",
}
_LONG_KEYS = ("value", "source", "evidence", "at")


def source(node: Node | None) -> Source:
    """The provenance that a node names; declared when there is none."""
    if node is None or node.value is None:
        return Source.DECLARED
    choices = [s.value for s in Source if s is not Source.ASSUMED]
    word = "" if node.is_map or node.is_list else key_text(node)
    if word not in choices:
        node.problem(f"{node.describe()} is no source of a fact", did_you_mean(word, choices))
        return Source.DECLARED
    return Source(word)


@dataclass(slots=True)
class FactReader:
    """Reads the attributes of elements, and fills in what silence means."""

    vocabulary: Vocabulary
    _assumed: dict[tuple[str, str], dict[str, Fact]] = field(default_factory=dict)
    _allowed: dict[str, Mapping[str, Attribute]] = field(default_factory=dict)

    def read(
        self, node: Node, element: ElementType, structure: frozenset[str], defaults: Node | None, kind: str
    ) -> dict[str, Fact]:
        """The facts of one element: its own, then the plan's defaults, what others imply, and what holds by definition."""
        allowed = self._attributes(element, kind)
        found: dict[str, Fact] = {}
        for key, key_node, value in node.items():
            if key in structure or key.startswith("x-"):
                continue
            attribute = allowed.get(key)
            if attribute is None:
                self._unknown(key, key_node, element, kind, allowed, structure)
            elif (fact := _fact(attribute, value)) is not None:
                found[key] = fact
        if defaults is not None:
            self._add_defaults(found, defaults, allowed, structure, element)
        for name, attribute in allowed.items():
            if attribute.implied_by and name not in found and (fact := _implied(attribute, found)) is not None:
                found[name] = fact
        for name, fact in self._by_definition(element, kind, allowed).items():
            found.setdefault(name, fact)
        return found

    def _attributes(self, element: ElementType, kind: str) -> Mapping[str, Attribute]:
        if element != "component":
            return self.vocabulary.attributes[element]
        if kind not in self._allowed:
            known = self.vocabulary.kinds.get(kind)
            # With an unknown kind (reported already) every attribute is let through, to report no follow-up errors.
            chosen = self.vocabulary.attributes_of(known) if known else self.vocabulary.attributes["component"].values()
            self._allowed[kind] = {a.name: a for a in chosen}
        return self._allowed[kind]

    def _unknown(
        self,
        key: str,
        node: Node,
        element: ElementType,
        kind: str,
        allowed: Mapping[str, Attribute],
        structure: frozenset[str],
    ) -> None:
        elsewhere = self.vocabulary.attributes[element].get(key)
        if elsewhere is not None:
            kinds = ", ".join(elsewhere.on[:8])
            node.problem(f"`{kind}` has no attribute `{key}`", f"it belongs to {kinds}")
        else:
            what = f"`{kind}`" if kind else _SPOKEN[element]
            node.problem(f"unknown attribute `{key[:60]}` of {what}", did_you_mean(key, [*allowed, *structure]))

    def _add_defaults(
        self,
        found: dict[str, Fact],
        defaults: Node,
        allowed: Mapping[str, Attribute],
        structure: frozenset[str],
        element: ElementType,
    ) -> None:
        for key, key_node, value in defaults.items():
            if key in structure or key in found:
                continue
            if key in allowed:
                if (fact := _fact(allowed[key], value)) is not None:
                    found[key] = fact
            elif key not in self.vocabulary.attributes[element]:
                key_node.problem(
                    f"unknown attribute `{key}` of {_SPOKEN[element]}",
                    did_you_mean(key, self.vocabulary.attributes[element]),
                )

    def _by_definition(self, element: ElementType, kind: str, allowed: Mapping[str, Attribute]) -> dict[str, Fact]:
        cached = self._assumed.get((element, kind))
        if cached is None:
            cached = {a.name: Fact(a.unset, Source.ASSUMED) for a in allowed.values() if a.unset is not None}
            known = self.vocabulary.kinds.get(kind)
            if known:
                cached |= {name: Fact(value, Source.ASSUMED) for name, value in known.defaults.items()}
            self._assumed[(element, kind)] = cached
        return cached


def _implied(attribute: Attribute, found: Mapping[str, Fact]) -> Fact | None:
    for other, table in attribute.implied_by.items():
        fact = found.get(other)
        if fact is not None and isinstance(fact.value, str) and fact.value.lower() in table:
            # Assumed, not declared: it follows from the other fact, so it isn't saved on its own.
            return Fact(table[fact.value.lower()], Source.ASSUMED, fact.location, fact.evidence)
    return None


def _fact(attribute: Attribute, node: Node) -> Fact | None:
    if not node.is_map:
        known, value = _value(attribute, node)
        return Fact(value, Source.DECLARED, node.location) if known else None
    for key, key_node, _ in node.items():
        if key not in _LONG_KEYS:
            key_node.problem(f"unknown key `{key[:60]}` in a fact", did_you_mean(key, _LONG_KEYS))
    inner = node.get("value")
    if inner is None:
        node.problem(
            f"`{attribute.name}` needs a value", "the long form is `{value: ..., source: discovered, evidence: ...}`"
        )
        return None
    known, value = _value(attribute, inner)
    evidence = node.get("evidence") or node.get("at")
    words = key_text(evidence) if evidence is not None and not evidence.is_map and not evidence.is_list else ""
    return Fact(value, source(node.get("source")), inner.location, words) if known else None


def _value(attribute: Attribute, node: Node) -> tuple[bool, Value | None]:
    """Whether the node holds a proper value, and which; None is unknown."""
    if node.value == UNKNOWN:
        return True, None
    if attribute.type == "list":
        items = node.value if node.is_list else [node]
        checked = [_word(attribute, item) for item in items]
        return all(w is not None for w in checked), tuple(w for w in checked if w is not None)
    if node.is_list or node.is_map or node.value is None:
        _expected(attribute, node)
        return False, None
    word = key_text(node)
    if attribute.type == "boolean":
        if word not in _BOOLEANS:
            _expected(attribute, node)
        return word in _BOOLEANS, _BOOLEANS.get(word)
    if attribute.type == "text":
        return True, word
    return (found := _word(attribute, node)) is not None, found


def _word(attribute: Attribute, node: Node) -> str | None:
    word = "" if node.is_map or node.is_list else key_text(node)
    if word in attribute.values:
        return word
    _expected(attribute, node)
    return None


def _expected(attribute: Attribute, node: Node) -> None:
    word = "" if node.is_map or node.is_list or node.value is None else key_text(node)
    if attribute.type == "boolean":
        hint = "true, false or unknown"
    else:
        hint = did_you_mean(word, attribute.values) if word else ""
        hint = hint or "one of " + ", ".join(attribute.values) if attribute.values else "text"
    node.problem(f"{node.describe()} is no value of `{attribute.name}`", hint)
