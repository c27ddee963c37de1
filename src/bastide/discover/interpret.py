# SPDX-License-Identifier: Apache-2.0
"""Resources in the words of the type catalogue: kinds, facts, names, and references that become flows. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from itertools import islice
from typing import Any

from bastide.discover.commands import options
from bastide.discover.model import Place, Resource, State, Value
from bastide.discover.packages import started
from bastide.discover.types import Case, LinkRule, Make, Type, fits, glob

Scalar = str | bool | tuple[str, ...]
_LONGEST = 20_000
"""Characters of one attribute in which patterns look."""


@dataclass(frozen=True, slots=True)
class Fact:
    """Something known (or known to be unknown) of a thing."""

    value: Scalar | None
    state: State
    place: Place
    source: str = ""
    """For a default: where the provider says so."""


@dataclass(frozen=True, slots=True)
class Pointer:
    """A reference that was found: a rule, and what stands in the attribute."""

    rule: LinkRule
    value: Value
    name: str
    """What the pattern found, or the whole text; '' when only references are known."""


@dataclass(slots=True)
class Piece:
    """A resource with what the catalogue says about it."""

    resource: Resource
    type: Type | None = None
    """The entry that gives the kind; None when none does."""
    facts: dict[str, Fact] = field(default_factory=dict)
    names: set[str] = field(default_factory=set)
    label: str = ""
    links: list[Pointer] = field(default_factory=list)
    makes: list[Pointer] = field(default_factory=list)
    gifts: list[tuple[Value, Mapping[str, Fact]]] = field(default_factory=list)
    part_of: list[Value] = field(default_factory=list)
    absorbs: list[Value] = field(default_factory=list)
    stands_for: list[Value] = field(default_factory=list)
    does: list[Value] = field(default_factory=list)
    entries: tuple[str, ...] = ()
    """Ids of the entries that matched."""


class Interpreter:
    """Applies the entries of the catalogue. Entries are looked up by the type's text, once for each type."""

    def __init__(self, types: Iterable[Type]) -> None:
        self._types = tuple(types)
        self._of: dict[str, tuple[Type, ...]] = {}

    def piece(self, resource: Resource) -> Piece:
        """What the catalogue says about one resource."""
        if resource.type not in self._of:
            method = _METHOD.fullmatch(resource.type) is not None
            self._of[resource.type] = tuple(
                t for t in self._types if fits(resource.type, _closed(t.types) if method and t.kind else t.types)
            )
        matching = [t for t in self._of[resource.type] if _matches(t, resource)]
        strong = [t for t in matching if t.kind and not t.weak]
        kind = next(iter(strong), None) or next((t for t in matching if t.kind), None)
        piece = Piece(resource, kind, names=set(resource.names), entries=tuple(t.id for t in matching))
        for type_ in sorted((t for t in matching if t is kind or not t.kind), key=lambda t: t is not kind):
            _apply(piece, type_)
        piece.label = piece.label or resource.name
        return piece


_METHOD = re.compile(
    r"call/(?!js:)(?:\w+\.)*[A-Z]\w*(?:\.\w+)*\.(?!(?:a?from|a?load|a?create|connect|init|open|new|build|make)(?:_|\Z))_?[a-z]\w*"
)
"""Calls of Python that do something with an object, and make none."""


@cache
def _closed(types: tuple[str, ...]) -> tuple[str, ...]:
    """The globs of a component that hold for methods too: `package.*` means what it makes, and methods make no more of it."""
    return tuple(p for p in types if not (p.endswith("*") and not p.rpartition(".")[2][:1].islower()))


def _matches(type_: Type, resource: Resource) -> bool:
    if any(_holds(resource, path, globs) for path, globs in type_.unless.items()):
        return False
    return all(_holds(resource, path, globs) for path, globs in type_.where.items())


def _holds(resource: Resource, path: str, globs: tuple[str, ...]) -> bool:
    values = _values(resource, path)
    there = [v for v in values if not _nothing(v)]
    if "absent" in globs and not there:
        return True
    if "set" in globs and there:
        return True
    return any(fits(text, globs) for v in there if (text := as_text(v)) is not None)


def _values(resource: Resource, path: str) -> tuple[Value, ...]:
    if path == "$image":
        return tuple(
            replace(v, data=repository(v.data)) if isinstance(v.data, str) else v for v in resource.find("image")
        )
    if path.startswith("$options."):
        return options(resource.find("command")).find(path.removeprefix("$options."))
    if path in _STARTED:
        return tuple(v for k, v in started(resource).items() if k == path)
    if path in _OWN:
        return (Value(_OWN[path](resource), resource.place),)
    return resource.find(path)


_STARTED = frozenset({"$runner", "$package", "$reach"})


def _class(type_: str) -> str:
    """The class of which a call makes an object: `PineconeStore` of `call/js:@langchain/pinecone.PineconeStore.fromExistingIndex`."""
    parts = type_.rpartition("/")[2].split(".")
    return next((p for p in reversed(parts) if p[:1].isupper()), parts[-1])


_OWN: Mapping[str, Callable[[Resource], str]] = {
    "$name": lambda r: r.name,
    "$type": lambda r: r.type,
    "$file": lambda r: r.place.file,
    "$id": lambda r: r.id,
    "$class": lambda r: _class(r.type),
}


def repository(image: str) -> str:
    """An image's name without registry, tag and digest: `ghcr.io/org/app:1` is `org/app`, `redis` is `redis`."""
    name = image.partition("@")[0]
    first, slash, rest = name.partition("/")
    name = rest if slash and ("." in first or ":" in first or first == "localhost") else name
    head, slash, last = name.rpartition("/")
    return (head + slash + last.partition(":")[0]).removeprefix("library/")


def as_text(value: Value) -> str | None:
    """A scalar as catalogue entries write it; None for what is unknown or no scalar."""
    if value.data is None or isinstance(value.data, (Mapping, tuple)):
        return None
    return str(value.data).lower() if isinstance(value.data, bool) else str(value.data)


def _nothing(value: Value) -> bool:
    """Whether it says as much as its absence: null, or empty."""
    return value.state is not State.UNKNOWN and (value.data is None or value.data in ("", (), {}))


def _apply(piece: Piece, type_: Type) -> None:
    resource = piece.resource
    for name, cases in type_.facts.items():
        if name not in piece.facts and (fact := decide(cases, resource)) is not None:
            piece.facts[name] = fact
    for path in type_.name:
        if not piece.label:
            piece.label = _label(path, resource)
    for prefix, paths in type_.identity.items():
        piece.names |= {
            f"{prefix}:{normal(prefix, t)}" for p in paths for v in _values(resource, p) if (t := as_text(v))
        }
    piece.names |= set(type_.also_named)
    piece.links += [p for rule in type_.links for p in _pointers(rule, resource)]
    piece.makes += [p for rule in type_.makes for p in _pointers(rule, resource)]
    for gift in type_.gives:
        facts = {n: f for n, cases in gift.facts.items() if (f := decide(cases, resource)) is not None}
        piece.gifts += [(value, facts) for value in resource.find(gift.to)] if facts else []
    piece.part_of += [v for path in type_.part_of for v in resource.find(path)]
    piece.absorbs += [v for path in type_.absorbs for v in resource.find(path)]
    piece.does += [v for path in type_.does for v in resource.find(path)]
    piece.stands_for += [v for path in type_.stands_for for v in resource.find(path)]


_IDENTIFIER = re.compile(r"(?:\w+\.)*([A-Za-z]\w*)\Z")


def _label(path: str, resource: Resource) -> str:
    """A name that an attribute holds; of `@attribute`, the name of what is handed in there."""
    for value in _values(resource, path.removeprefix("@")):
        written = _IDENTIFIER.match(value.text) if path.startswith("@") else None
        if text := written[1] if written else as_text(value):
            return text
    return ""


def decide(cases: tuple[Case, ...], resource: Resource) -> Fact | None:
    """The value of a fact by its cases; None when none of them holds."""
    for case in cases:
        if case.default is not None:
            return Fact(case.default, State.DEFAULT, resource.place, case.source)
        fact = _absent(case, resource) if case.absent else _present(case, resource)
        if fact is not None:
            return fact
    return None


def _absent(case: Case, resource: Resource) -> Fact | None:
    there = [v for v in _values(resource, case.absent) if not _nothing(v) and v.data is not False]
    if not there:
        return Fact(_constant(case), State.KNOWN, resource.place)
    unknown = all(v.state is State.UNKNOWN and not v.refs for v in there)
    return Fact(None, State.UNKNOWN, there[0].place) if unknown else None


def _present(case: Case, resource: Resource) -> Fact | None:
    there = [v for v in _values(resource, case.path) if not _nothing(v)]
    unknown = None
    for value in there:
        text = as_text(value)
        if text is None and value.state is State.UNKNOWN:
            if case.pattern and (match := _pattern(case.pattern).search(value.text)):
                # What is put in isn't known, but where it comes from is.
                return Fact(_constant(case) if case.value is not None else match[1], State.CONDITIONAL, value.place)
            if value.refs and case.but:
                # It comes from outside, so it is none of the values that could stand here.
                continue
            given = value.refs and not any(r.startswith("var:") for r in value.refs)
            if given and not (case.is_ or case.but or case.pattern) and case.value is not None:
                # It is set, to something that isn't known here. (A variable may be null.)
                return Fact(_constant(case), State.CONDITIONAL, value.place)
            unknown = unknown or Fact(None, State.UNKNOWN, value.place)
        elif (found := _value(case, text, value)) is not None:
            return Fact(None, State.UNKNOWN, value.place) if case.unknown else Fact(found, value.state, value.place)
    return unknown


def _value(case: Case, text: str | None, value: Value) -> Scalar | None:
    if text is None:
        # A list or a mapping: there is something, and no more is asked.
        return _constant(case) if not case.is_ and case.value is not None else None
    if (case.is_ and not fits(text, case.is_)) or (case.but and fits(text, case.but)):
        return None
    if case.pattern:
        found = _pattern(case.pattern).search(text[:_LONGEST])
        return _constant(case) if found and case.value is not None else found[1] if found else None
    if case.map:
        return next((v for key, v in case.map.items() if glob(key).match(text)), None)
    if case.value is not None:
        return _constant(case)
    return value.data if isinstance(value.data, bool) else text


def _constant(case: Case) -> Scalar:
    return case.value if case.value is not None else True


def _pointers(rule: LinkRule, resource: Resource) -> Iterator[Pointer]:
    found = _all_pointers(rule, resource)
    yield from islice(found, None if not isinstance(rule, Make) or rule.each else 1)


def _all_pointers(rule: LinkRule, resource: Resource) -> Iterator[Pointer]:
    paths = (rule.to,) if isinstance(rule.to, str) else rule.to
    for path in paths:
        for value in _values(resource, path):
            if _nothing(value):
                continue
            text = as_text(value) or ""
            if not rule.pattern:
                yield from _split(rule, value, text)
            else:
                searched = (text or (value.text if value.data is None else ""))[:_LONGEST]
                for match in _pattern(rule.pattern).finditer(searched):
                    yield from _split(rule, _at_line(value, searched, match.start(1)), match[1] or "")


def _at_line(value: Value, text: str, position: int) -> Value:
    """The value with the place of a position in it, when it is a literal block."""
    if not value.place.end or "\n" not in text:
        return value
    return replace(value, place=Place(value.place.file, value.place.line + 1 + text.count("\n", 0, position)))


def _split(rule: LinkRule, value: Value, text: str) -> Iterator[Pointer]:
    separator = rule.split if isinstance(rule, Make) else ""
    fixed = rule.name if isinstance(rule, Make) and "{}" not in rule.name else ""
    for found in [p.strip() for p in text.split(separator)] if separator else [text]:
        part = fixed or found
        if (part or value.refs) and not (rule.but and fits(part, rule.but)):
            yield Pointer(rule, value, part)


@cache
def _pattern(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern)


_NORMAL: Mapping[str, Callable[[str], str]] = {
    "model": lambda text: re.sub(r":latest\Z", "", text.strip().lower()),
    "url": lambda text: text.strip().rstrip("/").lower(),
}


def normal(prefix: str, text: str) -> str:
    """A name in the form in which names are compared."""
    return _NORMAL[prefix](text) if prefix in _NORMAL else text.strip()


def plain(value: Any) -> Any:
    """A fact's value for JSON."""
    return list(value) if isinstance(value, tuple) else value
