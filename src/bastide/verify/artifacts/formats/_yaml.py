# SPDX-License-Identifier: Apache-2.0
"""YAML as hostile input: a tree of what stands in a file, with tags and places, made from events; nothing is constructed.

PyYAML and libyaml don't accept the same texts, and loaders use either, so what one refuses is given to the other.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml

MAX_BYTES = 8 << 20
MAX_EVENTS = 1_000_000
MAX_DEPTH = 200
SLOW = 1 << 18
"""Bytes up to which PyYAML's own parser is asked, which reads some 300 kB a second."""
_BOMS = ((b"\xff\xfe", "utf-16-le"), (b"\xfe\xff", "utf-16-be"), (b"\xef\xbb\xbf", "utf-8"))


class NotYaml(ValueError):
    """No loader reads the text; says why, and from which byte on."""

    def __init__(self, why: str, at: int = 0) -> None:
        super().__init__(why)
        self.why, self.at = why, at


@dataclass(slots=True, eq=False)
class Node:
    """A scalar, a list or a mapping."""

    at: int
    """Character of the text."""
    tag: str = ""
    """As it is written out: `tag:yaml.org,2002:python/name:os.system`; '' when none stands there."""
    text: str | None = None
    """Of a scalar."""
    plain: bool = True
    """Whether a scalar stands there without quotes."""
    items: list[Node] = field(default_factory=list)
    """Of a list."""
    pairs: list[tuple[Node, Node]] = field(default_factory=list)
    """Of a mapping; keys may stand twice."""

    def get(self, *keys: str) -> Node | None:
        """What stands under keys one below the other; of a key that stands twice, the last."""
        at: Node | None = self
        for key in keys:
            at = next((value for name, value in reversed(at.pairs) if name.text == key), None) if at else None
        return at

    def below(self) -> Iterator[Node]:
        """It and everything in it, each once: an alias can lead back."""
        seen = {id(self)}
        stack = [self]
        while stack:
            node = stack.pop()
            yield node
            for part in [*node.items, *(part for pair in node.pairs for part in pair)]:
                if id(part) not in seen:
                    seen.add(id(part))
                    stack.append(part)


@dataclass(slots=True)
class Parsed:
    """What was read of a text."""

    text: str
    lead: int
    """Bytes of the mark before the text."""
    encoding: str
    documents: list[Node] = field(default_factory=list)
    problem: NotYaml | None = None
    """Why the rest wasn't read."""
    bounded: bool = False
    """Whether a bound was reached: the rest may well be YAML."""

    def offset(self, at: int) -> int:
        """The byte of a character."""
        return self.lead + len(self.text[:at].encode(self.encoding, "surrogatepass"))


def decode(data: bytes) -> Parsed:
    """The text, as PyYAML decodes it. Raises `NotYaml`."""
    bom, encoding = next(((bom, name) for bom, name in _BOMS if data.startswith(bom)), (b"", "utf-8"))
    try:
        return Parsed(data[len(bom) :].decode(encoding), len(bom), encoding)
    except UnicodeDecodeError as problem:
        raise NotYaml("it is no text", problem.start + len(bom)) from None


def parse_yaml(data: bytes) -> Parsed:
    """The documents of a text. Raises `NotYaml` only when it is no text or too large; what is broken further behind is told by `problem`."""
    if len(data) > MAX_BYTES:
        raise NotYaml(f"more than {MAX_BYTES} bytes of YAML")
    parsed = decode(data)
    machines: list[Any] = [getattr(yaml, "CSafeLoader", yaml.SafeLoader)]
    if len(data) <= SLOW:
        machines.insert(0, yaml.SafeLoader)
    found: list[Node] = []
    for machine in dict.fromkeys(machines):
        parsed.problem = None
        over = _build(parsed, machine)
        found += parsed.documents
        if over:
            return parsed
    parsed.documents = found
    return parsed


def _build(parsed: Parsed, machine: Any) -> bool:
    """Whether that was all that can be had of the text."""
    builder = _Builder()
    parsed.documents = builder.documents
    try:
        for count, event in enumerate(yaml.parse(parsed.text, Loader=machine)):
            if count > MAX_EVENTS or len(builder.open) > MAX_DEPTH:
                parsed.bounded = True
                raise NotYaml("deeper or longer than is read here", getattr(event.start_mark, "index", 0))
            builder.take(event)
    except yaml.MarkedYAMLError as problem:
        mark = problem.problem_mark or problem.context_mark
        at = getattr(mark, "index", 0)
        parsed.problem = NotYaml(str(problem.problem)[:100], parsed.offset(at))
    except yaml.YAMLError as problem:
        parsed.problem = NotYaml(
            str(getattr(problem, "reason", "") or problem)[:100], parsed.offset(getattr(problem, "position", 0))
        )
    except NotYaml as problem:
        parsed.problem = NotYaml(problem.why, parsed.offset(problem.at))
    except (ValueError, RecursionError, OverflowError) as problem:
        # PyYAML on numbers in directives and escapes that no character has.
        parsed.problem = NotYaml(str(problem)[:100])
    builder.close()
    return parsed.problem is None or parsed.bounded


class _Builder:
    """Puts events together."""

    def __init__(self) -> None:
        self.documents: list[Node] = []
        self.open: list[tuple[Node, list[Node] | None]] = []
        """Collections that aren't over; of a mapping with its parts, key after value."""
        self._anchors: dict[str, Node] = {}

    def take(self, event: Any) -> None:
        if isinstance(event, yaml.DocumentStartEvent):
            self._anchors = {}
        elif isinstance(event, yaml.AliasEvent):
            at = getattr(event.start_mark, "index", 0)
            self._put(self._anchors.get(event.anchor or "", Node(at)))
        elif isinstance(event, yaml.NodeEvent):
            self._node(event)
        elif isinstance(event, yaml.CollectionEndEvent) and self.open:
            self._end()

    def close(self) -> None:
        """Ends what a broken text leaves open."""
        while self.open:
            self._end()

    def _node(self, event: Any) -> None:
        scalar = isinstance(event, yaml.ScalarEvent)
        node = Node(
            getattr(event.start_mark, "index", 0),
            event.tag or "",
            event.value if scalar else None,
            not scalar or not event.style,
        )
        if event.anchor:
            self._anchors[event.anchor] = node
        self._put(node)
        if not scalar:
            self.open.append((node, [] if isinstance(event, yaml.MappingStartEvent) else None))

    def _put(self, node: Node) -> None:
        if not self.open:
            self.documents.append(node)
            return
        holder, parts = self.open[-1]
        (holder.items if parts is None else parts).append(node)

    def _end(self) -> None:
        node, parts = self.open.pop()
        if parts:
            node.pairs = list(
                zip(parts[::2], [*parts[1::2], Node(node.at)] if len(parts) % 2 else parts[1::2], strict=True)
            )
