# SPDX-License-Identifier: Apache-2.0
"""The type catalogue: what a resource is in the words of a plan. Knowledge as data: `knowledge/types/<group>/<file>.yaml`.

One entry maps all spellings of a thing (`awscc_bedrock_agent`, `aws_bedrockagent_agent`, `AWS::Bedrock::Agent`) to one kind, its attributes to
facts, and its references to flows. An entry without a kind is a trait: it adds facts and links to whatever else a resource is.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from fnmatch import translate
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, Literal

import msgspec
import yaml
from msgspec import Struct

from bastide.catalog.load import load_vocabulary
from bastide.errors import Diagnostic, KnowledgeError, Location, did_you_mean

KNOWLEDGE = Path(__file__).parents[1] / "knowledge" / "types"
OTHER_KINDS: Mapping[str, str] = {
    "identity.workload": "an account with which software acts",
    "identity.ci": "an account of a pipeline",
    "identity.human": "an account or group of people",
    "secret": "a credential that something uses",
    "network.private-endpoint": "a private way to a service",
    "network.policy": "a rule about who may connect to whom",
}
"""Kinds of things that are found and are no components of a plan: they become identities, facts or evidence there."""
Scalar = str | bool


class Case(Struct, frozen=True, forbid_unknown_fields=True, rename="kebab"):
    """One way to a fact's value; the first that holds counts. An unknown attribute on the way makes the fact unknown."""

    path: str = ""
    """Attribute that is looked at; without `is` it has to be set."""
    is_: tuple[str, ...] = msgspec.field(default=(), name="is")
    """Globs, without case, of which one has to match one of its values (`true`, `false` and numbers as text)."""
    but: tuple[str, ...] = ()
    """Globs that a value must not match to count. With it only values that stand in the files count."""
    absent: str = ""
    """Attribute that must not be there, or is null, empty or false."""
    value: Scalar | tuple[str, ...] | None = None
    """The fact's value then; without it, the attribute's own."""
    map: dict[str, Scalar] = {}
    """Attribute's value -> the fact's."""
    pattern: str = ""
    """Expression whose first group, found in the attribute, is the value."""
    unknown: bool = False
    """The case shows that it can't be told from the files."""
    default: Scalar | tuple[str, ...] | None = None
    """What the provider does when nothing is said. Only in the last case."""
    source: str = ""
    """Where the provider says so."""


class LinkRule(Struct, frozen=True, forbid_unknown_fields=True, rename="kebab"):
    """An attribute that names something else."""

    to: tuple[str, ...] | str
    """Paths of the attributes that name it: by reference, address, ARN or name."""
    verb: Literal[
        "calls",
        "reads",
        "writes",
        "invokes",
        "retrieves",
        "loads",
        "logs",
        "runs-as",
        "trusts",
        "serves",
        "trains",
        "hands-off",
    ] = "calls"
    back: bool = False
    """The flow goes from the named to this."""
    kind: str = ""
    """Kind of what is named when nothing in the folder declares it; without it such names make no component."""
    platform: str = ""
    prefix: str = ""
    """Namespace of the name: `model`, `dataset`, `index`, `secret`, `server`, ...; without it addresses and references only."""
    pattern: str = ""
    """Expression whose first group is the name."""
    but: tuple[str, ...] = ()
    """Globs of names that are left out."""
    only: tuple[str, ...] = ()
    """Globs of the kinds of things that may be meant; without them any."""
    function: str = ""
    """Kind that a function of the folder gets by being named here: what is handed to an agent as a tool is one."""
    around: bool = False
    """The flow begins at what this stands in, not at the thing to which it belongs."""
    data: str = ""
    """What flows, in a word."""


class Make(LinkRule, frozen=True, forbid_unknown_fields=True, rename="kebab", kw_only=True):
    """A component that is declared by an attribute of another: a model named in a command, a tool in an allow-list."""

    facts: dict[str, tuple[Case, ...]] = {}
    """Facts of the new component, from the attributes of the resource that names it."""
    each: bool = True
    """One for each value (else the first)."""
    split: str = ""
    """What separates names in one text."""
    otherwise: bool = False
    """Only where who acts has no flow to anything of the kind: a right to use a service says less than what is used of it."""
    name: str = ""
    """Display name; `{}` stands for what was found. Without `{}` it is the name that counts, whatever was found."""


class Gift(Struct, frozen=True, forbid_unknown_fields=True, rename="kebab"):
    """Facts for another resource: a rule of a firewall says something about the server behind it."""

    to: str
    facts: dict[str, tuple[Case, ...]]


class Type(Struct, frozen=True, forbid_unknown_fields=True, rename="kebab"):
    """What resources of some types are."""

    types: tuple[str, ...]
    """Globs of resource types."""
    as_of: str = ""
    """When somebody compared the entry with the provider's documentation, `2026-11`."""
    where: dict[str, tuple[str, ...]] = {}
    """Attributes that must have one of some values (globs); `set` and `absent` are such."""
    unless: dict[str, tuple[str, ...]] = {}
    """None of these may hold."""
    kind: str = ""
    platform: str = ""
    name: tuple[str, ...] = ()
    """Paths of attributes with its name, `@path` for the name of what is handed in there; else the resource's."""
    identity: dict[str, tuple[str, ...]] = {}
    """Prefix -> paths: names under which others refer to it, and by which it is recognised elsewhere."""
    also_named: tuple[str, ...] = ()
    """Names under which it is meant wherever nothing more is said, such as `provider:Azure OpenAI`."""
    facts: dict[str, tuple[Case, ...]] = {}
    links: tuple[LinkRule, ...] = ()
    makes: tuple[Make, ...] = ()
    gives: tuple[Gift, ...] = ()
    part_of: tuple[str, ...] = ()
    """Paths whose reference names the thing of which this is only a part."""
    stands_for: tuple[str, ...] = ()
    """Paths of what is meant where this is named: a client is its servers, what wraps an agent is that agent."""
    does: tuple[str, ...] = ()
    """Paths of functions of the folder: what their code does, this does."""
    absorbs: tuple[str, ...] = ()
    """Paths whose references are only parts of this."""
    tells_of: Literal["", "program"] = ""
    """The kind is that of the program in which it stands, and it is a part of that: a program that makes a trainer is a training job."""
    weak: bool = False
    """Counts only when no other entry gives the resource a kind (a container with an image nobody knows)."""
    linked_only: bool = False
    """A component only where something flows to or from it: what every system has (buckets, tables) is part of this one only then."""
    confidence: float = 1.0
    id: str = ""


@lru_cache(maxsize=4)
def load_types(packs: tuple[Path, ...] = ()) -> tuple[Type, ...]:
    """All entries, checked. Raises `KnowledgeError` with the file and what is wrong in it."""
    kinds = {*load_vocabulary(packs).kinds, *OTHER_KINDS}
    found: list[Type] = []
    problems: list[Diagnostic] = []
    for root in (KNOWLEDGE, *(pack / "types" for pack in packs)):
        for path in sorted(root.glob("**/*.yaml")):
            try:
                found += _read(path, path.relative_to(root).with_suffix("").as_posix())
            except (msgspec.ValidationError, yaml.YAMLError, ValueError) as error:
                problems.append(Diagnostic(str(error).splitlines()[0], Location(str(path))))
    problems += [problem for type_ in found for problem in _wrong(type_, kinds)]
    if problems:
        raise KnowledgeError(problems)
    return tuple(found)


def _read(path: Path, prefix: str) -> Iterator[Type]:
    document: Any = yaml.load(path.read_text("utf-8"), yaml.CSafeLoader)
    for name, entry in document.items():
        try:
            yield msgspec.structs.replace(msgspec.convert(entry, Type, strict=False), id=f"{prefix}/{name}")
        except msgspec.ValidationError as error:
            raise ValueError(f"`{name}`: {error}") from None


_DOTTED = re.compile(r"(?:annotations|labels)\.[^.]+\.")


def _wrong(type_: Type, kinds: set[str]) -> Iterator[Diagnostic]:
    place = Location(f"types/{type_.id}")
    named = [type_.kind, *(rule.kind for rule in (*type_.links, *type_.makes))]
    for kind in named:
        if kind and kind not in kinds:
            yield Diagnostic(f"`{kind}` is no kind", place, hint=did_you_mean(kind, kinds))
    if not re.fullmatch(r"20[2-9]\d-[01]\d(-\d\d)?", str(type_.as_of)):
        yield Diagnostic("`as-of` says when the entry was compared with the documentation, such as 2026-11", place)
    for pattern in (p for rule in (*type_.links, *type_.makes) for p in rule.only):
        if not any(fits(kind, (pattern,)) for kind in kinds):
            yield Diagnostic(f"`{pattern}` in `only` is no kind", place, hint=did_you_mean(pattern, kinds))
    yield from _wrong_parts(type_, place)


def _wrong_parts(type_: Type, place: Location) -> Iterator[Diagnostic]:
    for rule in (*type_.links, *type_.makes):
        if rule.pattern and re.compile(rule.pattern).groups != 1:
            yield Diagnostic(f"the pattern `{rule.pattern}` needs one group", place)
    facts = [type_.facts, *(m.facts for m in type_.makes), *(g.facts for g in type_.gives)]
    for case in (case for group in facts for cases in group.values() for case in cases):
        if case.default is not None and not case.source:
            yield Diagnostic("a default names its `source`", place)
        if _DOTTED.search(case.path):
            yield Diagnostic(
                f"`{case.path}`: a dot ends a step", place, hint="write `?` for a dot in the name of an annotation"
            )


@cache
def glob(pattern: str) -> re.Pattern[str]:
    """A glob as an expression, without case."""
    return re.compile(translate(pattern), re.IGNORECASE)


def fits(text: str, globs: tuple[str, ...]) -> bool:
    """Whether one of the globs matches the whole text."""
    return _one_of(globs).match(text) is not None


@cache
def _one_of(globs: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile("|".join(map(translate, globs)) or r"(?!)", re.IGNORECASE)
