# SPDX-License-Identifier: Apache-2.0
"""What importers read: resources with their attributes, each value with its place and with how sure it is.

An importer only reads a syntax. It gives a *resource* for each thing that its language declares (a Terraform resource, a container, a call
of a library), with the attributes as written. What that thing is, in the words of a plan, says the type catalogue (`knowledge/types`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import Any


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """Where something stands: the file, relative to the folder that was read, with `/`; lines count from 1, 0 is the whole file."""

    file: str
    line: int = 0
    end: int = 0
    """Last line; 0: the same."""

    def __str__(self) -> str:
        """`file:line`."""
        return f"{self.file}:{self.line}" if self.line else self.file


class State(StrEnum):
    """How sure a value is."""

    KNOWN = "known"
    """It stands there, or follows from what stands there."""
    DEFAULT = "default"
    """Nothing stands there; the provider's default, with its source."""
    CONDITIONAL = "conditional"
    """It depends on a choice that is made elsewhere (a variable, a profile); `data` holds what it is by default."""
    UNKNOWN = "unknown"
    """It can't be told from the files."""


TEXT = 200


@dataclass(frozen=True, slots=True, eq=False)
class Value:
    """An attribute as read."""

    data: Any
    """A scalar, a tuple of values, or a mapping from name to value; None when it is null or unknown."""
    place: Place
    state: State = State.KNOWN
    refs: tuple[str, ...] = ()
    """What it is made from: ids of other resources, `env:NAME`, `var:name`, `secret:name`. Kept when the value is known too."""
    text: str = ""
    """As written, where it could not be evaluated, at most `TEXT` characters."""

    @property
    def known(self) -> bool:
        """Whether `data` can be relied upon."""
        return self.state is not State.UNKNOWN

    def find(self, path: str) -> tuple[Value, ...]:
        """The values at a path such as `guardrail_configuration.guardrail_identifier`.

        Steps go through mappings by name (upper and lower case, `_` and `-` don't matter; `*` stands for any characters) and
        through all elements of lists.
        Nothing: surely absent. An unknown value on the way is returned in place of what it hides.
        """
        found: tuple[Value, ...] = (self,)
        for step in path.split("."):
            found = tuple(child for value in found for child in value._step(plain_key(step)))
        return tuple(leaf for value in found for leaf in value.elements())

    def _step(self, key: str) -> Iterator[Value]:
        for value in self.elements():
            if value.state is State.UNKNOWN and value.data is None:
                yield value
            elif isinstance(value.data, Mapping):
                hits = [
                    v for name, v in value.data.items() if plain_key(name) == key or ("*" in key and _like(name, key))
                ]
                # `*` in a resource: some attributes could not be read, so none is surely absent.
                yield from hits or ([value.data[REST]] if REST in value.data else [])

    def elements(self) -> Iterator[Value]:
        """The elements of a list, lists in it laid out; of anything else, itself."""
        if isinstance(self.data, tuple):
            for element in self.data:
                yield from element.elements()
        else:
            yield self

    def leaves(self) -> Iterator[tuple[str, Value]]:
        """All scalars in it with their paths, depth first."""
        stack: list[tuple[str, Value]] = [("", self)]
        while stack:
            path, value = stack.pop()
            if isinstance(value.data, Mapping):
                stack += [(f"{path}.{k}" if path else k, v) for k, v in reversed(tuple(value.data.items()))]
            elif isinstance(value.data, tuple):
                stack += [(path, v) for v in reversed(value.data)]
            else:
                yield path, value

    def is_larger(self, most: int) -> bool:
        """Whether there are more than so many values in it; one that stands in it twice counts twice."""
        todo, count = [self], 1
        while todo and count <= most:
            data = todo.pop().data
            if isinstance(data, (Mapping, tuple)):
                count += len(data)
                todo += data.values() if isinstance(data, Mapping) else data
        return count > most

    def plain(self) -> Any:
        """The same as plain Python data; None for what is unknown."""
        if isinstance(self.data, Mapping):
            return {key: value.plain() for key, value in self.data.items()}
        if isinstance(self.data, tuple):
            return [value.plain() for value in self.data]
        return self.data


def _like(name: str, key: str) -> bool:
    return name != REST and fnmatchcase(plain_key(name), key)


REST = "*"
"""Name of an attribute that stands for all that could not be read (a dynamic block, `**kwargs`, a template); its value is unknown."""


def plain_key(name: str) -> str:
    """A name without case, `_` and `-`, so that `GuardrailIdentifier` is `guardrail_identifier`."""
    return name.replace("_", "").replace("-", "").lower()


@dataclass(frozen=True, slots=True, eq=False)
class Resource:
    """One thing that a file declares."""

    id: str
    """Qualified and stable: `infra/main.tf: module.ai.aws_bedrockagent_agent.helper` without the line; unique over all importers."""
    type: str
    """What its language calls it: `aws_bedrockagent_agent`, `AWS::Bedrock::Agent`, `container`, `kubernetes/Ingress`, `call/openai.OpenAI`."""
    name: str
    """Short name, as people would say it."""
    body: Value
    place: Place
    names: tuple[str, ...] = ()
    """Under which others refer to it, with a prefix: `host:`, `arn:`, `url:`, `model:`, `image:`. Hosts carry their scope: `host:ollama@deploy`."""
    scope: str = ""
    """Where its references by short name resolve: the compose project, the namespace, the Terraform root."""
    confidence: float = 1.0
    variant: str = ""
    """Choice under which it exists (a compose profile, a values file); resources that only differ in it are one thing."""
    via: tuple[Place, ...] = ()
    """Where it is called for, when that is elsewhere: the calls of the modules around it."""
    part_of: str = ""
    """Id of the resource in which it runs or to which it belongs, where the language says so."""

    def find(self, path: str) -> tuple[Value, ...]:
        """The values at a path of its attributes; see `Value.find`."""
        return self.body.find(path)


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """Something that could not be read or understood. The result is incomplete where `hides` is set."""

    place: Place
    message: str
    """What happened and what to do about it."""
    hides: bool = True
    """Whether something may be there that isn't in the result."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What an importer read."""

    resources: tuple[Resource, ...] = ()
    problems: tuple[Problem, ...] = ()
    read: frozenset[str] = frozenset()
    """Files that were read (also when nothing was in them)."""
    by: tuple[tuple[str, str], ...] = ()
    """File and importer, of each file that was read; filled in for the importers."""
