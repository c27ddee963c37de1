# SPDX-License-Identifier: Apache-2.0
"""The predicates of the rule language: their syntax tree, and how YAML becomes one.

Everything is checked against the vocabulary while reading: an unknown attribute, kind or value is an error with a position and never
a predicate that silently doesn't hold. What they mean is written in docs/rules.md; `bastide.threats` evaluates them.
"""

from __future__ import annotations

from dataclasses import dataclass

from bastide.errors import did_you_mean
from bastide.plan.vocabulary import TRUST_LEVELS, Attribute, ElementType, Vocabulary
from bastide.plan.yamlfile import Node, key_text


@dataclass(frozen=True, slots=True)
class All:
    """True if all parts are; true without parts."""

    parts: tuple[Predicate, ...] = ()


@dataclass(frozen=True, slots=True)
class Any:
    """True if some part is."""

    parts: tuple[Predicate, ...]


@dataclass(frozen=True, slots=True)
class Not:
    """True if the part is false; unknown stays unknown."""

    part: Predicate


@dataclass(frozen=True, slots=True)
class Has:
    """The fact has one of the values (a list attribute: contains one); with `other`, it is known and has none of them."""

    attribute: str
    values: frozenset[str | bool]
    other: bool = False


@dataclass(frozen=True, slots=True)
class KindIs:
    """The component is of one of the kinds or below."""

    kinds: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PlatformIs:
    """The component runs on one of the platforms or below."""

    platforms: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Origin:
    """Content starts at the component that was written by a party with one of these trust levels."""

    levels: frozenset[str]


@dataclass(frozen=True, slots=True)
class Related:
    """Some related element (or the one related element) satisfies the predicate."""

    relation: str
    element: ElementType
    where: Predicate


@dataclass(frozen=True, slots=True)
class Crosses:
    """The ends of the flow are in different zones; with a direction, of different trust."""

    direction: str
    """`any`, `from-outside`, `to-outside`."""
    value: bool = True


Predicate = All | Any | Not | Has | KindIs | PlatformIs | Origin | Related | Crosses

RELATIONS: dict[ElementType, dict[str, ElementType]] = {
    "component": {
        "holds": "data",
        "handles": "data",
        "zone": "zone",
        "runs-as": "identity",
        "incoming": "flow",
        "outgoing": "flow",
    },
    "flow": {"from": "component", "to": "component", "data": "data"},
    "data": {"held-by": "component"},
    "identity": {"used-by": "component"},
    "zone": {"around": "component"},
}
_CROSSINGS = {"crosses-zones": "any", "from-outside": "from-outside", "to-outside": "to-outside"}


def parse_predicate(
    node: Node, element: ElementType, vocabulary: Vocabulary, skip: frozenset[str] = frozenset()
) -> Predicate:
    """The predicate that a mapping means for elements of a type; problems go to the node's document.

    `skip` names keys that belong to somebody else.
    """
    if not node.is_map:
        node.problem(f"expected a mapping of predicates, found {node.describe()}")
        return All()
    reader = _Reader(element, vocabulary)
    parts = [reader.one(key, key_node, value) for key, key_node, value in node.items() if key not in skip]
    return parts[0] if len(parts) == 1 else All(tuple(parts))


@dataclass(frozen=True, slots=True)
class _Reader:
    element: ElementType
    vocabulary: Vocabulary

    def one(self, key: str, key_node: Node, value: Node) -> Predicate:
        if key in ("all", "any"):
            return self._group(key, value)
        if key == "not":
            return Not(parse_predicate(value, self.element, self.vocabulary))
        if key in RELATIONS[self.element]:
            other = RELATIONS[self.element][key]
            return Related(key, other, parse_predicate(value, other, self.vocabulary))
        if self.element == "component" and key in ("kind", "platform", "origin"):
            return self._of_component(key, value)
        if self.element == "flow" and key in _CROSSINGS:
            if not isinstance(value.value, bool):
                value.problem(f"`{key}` is true or false, not {value.describe()}")
            return Crosses(_CROSSINGS[key], value.value is not False)
        attribute = self.vocabulary.attributes[self.element].get(key)
        if attribute is None:
            key_node.problem(f"unknown predicate `{key}` for a {self.element}", did_you_mean(key, self._known()))
            return All()
        return self._has(attribute, value)

    def _known(self) -> list[str]:
        names = [*self.vocabulary.attributes[self.element], *RELATIONS[self.element], "all", "any", "not"]
        if self.element == "component":
            names += ["kind", "platform", "origin"]
        return names + (list(_CROSSINGS) if self.element == "flow" else [])

    def _group(self, key: str, value: Node) -> Predicate:
        if not value.is_list or not value.value:
            value.problem(f"`{key}` needs a list of predicates")
            return All()
        parts = tuple(parse_predicate(item, self.element, self.vocabulary) for item in value.value)
        return All(parts) if key == "all" else Any(parts)

    def _of_component(self, key: str, value: Node) -> Predicate:
        if key == "origin":
            return Origin(frozenset(str(v) for v in _levels(value, TRUST_LEVELS, ordered=True, what="trust level")))
        words = tuple(_words(value))
        if key == "platform":
            return PlatformIs(words)
        for word, node in zip(words, _items(value), strict=True):
            if not _is_family(word, self.vocabulary):
                node.problem(f"unknown kind `{word}`", did_you_mean(word, self.vocabulary.kinds))
        return KindIs(words)

    def _has(self, attribute: Attribute, value: Node) -> Has:
        if value.is_map and set(value.value) == {"not"}:
            inner = self._has(attribute, value.value["not"])
            return Has(attribute.name, inner.values, other=True)
        if attribute.type == "boolean":
            if not isinstance(value.value, bool):
                value.problem(f"`{attribute.name}` is true or false, not {value.describe()}")
            return Has(attribute.name, frozenset({value.value is True}))
        if attribute.type == "text":
            return Has(attribute.name, frozenset(_words(value)))
        return Has(attribute.name, _levels(value, attribute.values, attribute.ordered, f"value of `{attribute.name}`"))


def _is_family(word: str, vocabulary: Vocabulary) -> bool:
    return word in vocabulary.kinds or any(word in kind.ancestors for kind in vocabulary.kinds.values())


def _items(node: Node) -> list[Node]:
    return node.value if node.is_list else [node]


def _words(node: Node) -> list[str]:
    """A word or a list of words."""
    words = []
    for item in _items(node):
        if item.is_map or item.is_list or item.value is None:
            item.problem(f"expected a word or a list of words, found {item.describe()}")
        words.append("" if item.is_map or item.is_list else key_text(item))
    return words


def _levels(node: Node, values: tuple[str, ...], ordered: bool, what: str) -> frozenset[str | bool]:
    """A set of values: one, several, or a range of ordered ones."""
    if not node.is_map:
        words = _words(node)
        for word, item in zip(words, _items(node), strict=True):
            _check(word, item, values, what)
        return frozenset(words)
    chosen = set(values)
    for key, key_node, bound in node.items():
        word = key_text(bound) if not (bound.is_map or bound.is_list) else ""
        if key not in ("at-least", "at-most") or not ordered:
            key_node.problem(
                f"`{key}` can't be used here",
                "ordered values have at-least and at-most" if ordered else "list the values",
            )
        elif _check(word, bound, values, what):
            index = values.index(word)
            chosen &= set(values[index:] if key == "at-least" else values[: index + 1])
    return frozenset(chosen)


def _check(word: str, node: Node, values: tuple[str, ...], what: str) -> bool:
    if word in values:
        return True
    node.problem(f"`{word}` is no {what}", did_you_mean(word, values))
    return False
