# SPDX-License-Identifier: Apache-2.0
"""Labels of one conversation of one caller: what has been seen, who may have written it, how sensitive it may be.

Labels only ever join: observing more never raises integrity and never lowers confidentiality. Text that once came from somebody who isn't
trusted stays so when a client sends it again as its user's, its own or the system's (`launder`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, MutableMapping
from hashlib import blake2b
from typing import Any

import msgspec
from msgspec import Struct

from bastide.guard.calls import CallNames
from bastide.guard.events import Opaque, Role, Text, Tool, ToolCall, ToolResult, Turn
from bastide.guard.flow.evidence import Said
from bastide.guard.flow.exfiltration import hosts_in
from bastide.guard.flow.launder import Seen
from bastide.guard.flow.leaves import Kind, Leaf
from bastide.guard.flow.lookup import Lookup
from bastide.guard.flow.provenance import influence
from bastide.guard.flow.tools import known_constants
from bastide.guard.model import CLASSES, Action, Influence, Label, Meaning
from bastide.plan.vocabulary import TRUST_LEVELS

USER = TRUST_LEVELS.index("user")
ORIGINS: Mapping[Role, Label] = {
    Role.SYSTEM: Label(TRUST_LEVELS.index("system"), 0, frozenset({"system"})),
    Role.DEVELOPER: Label(TRUST_LEVELS.index("developer"), 0, frozenset({"developer"})),
    Role.USER: Label(USER, 0, frozenset({"user"})),
}
"""Labels of what is said under a role; the gateway passes others where the plan says how sensitive a user's messages are."""
UNKNOWN = Label(0, len(CLASSES) - 1)
MAX_TEXT, MAX_ITEMS, MAX_CALLS = 8_000_000, 100_000, 20_000
"""Bounds on what a session keeps, in characters, texts and calls; beyond them it is tainted for good and traces nothing."""


class Endorsement(Struct, frozen=True):
    """A sanitiser raised the integrity of its result: to be logged."""

    tool: str
    component: str
    raised_from: int
    raised_to: int
    digest: str
    """Of the result's text."""


class Session:
    """One conversation of one caller. Not thread-safe; one request of a conversation at a time."""

    def __init__(
        self,
        meanings: Mapping[str, Meaning],
        *,
        required: int = USER,
        origins: Mapping[Role, Label] = ORIGINS,
        memories: MutableMapping[str, Label] | None = None,
    ) -> None:
        """meanings: by name on the wire; required: the integrity from which on something may steer a side effect;
        memories: labels of what memories hold, shared by the sessions that share the memories.
        """
        self.meanings = meanings
        self.required = required
        self.origins = origins
        self.memories: MutableMapping[str, Label] = {} if memories is None else memories
        self.label = Label()
        """The join of all that has been seen: the label of whatever the model writes next."""
        self.overfull = False
        """Whether a bound was reached."""
        self._said: list[Said] = []
        self._strange: list[Said] = []
        self._size = 0
        self._calls: dict[str, tuple[str, dict[str, Any] | None]] = {}
        self._names = CallNames()
        self._turns: list[bytes] = []
        self._constants: dict[str, frozenset[str]] = {}
        self._seen = Seen()
        self._lookup: Lookup | None = None

    @property
    def size(self) -> int:
        """Characters of what it keeps."""
        return self._size

    @property
    def tainted(self) -> bool:
        """Whether somebody below the required integrity may have shaped what the model does next."""
        return self.label.integrity < self.required

    # What is seen

    def follow(self, turns: Iterable[Turn], marks: Mapping[int, bytes] | None = None) -> tuple[Endorsement, ...]:
        """Observes a whole history as each request repeats it; what was observed before costs one digest a turn.

        marks: `mark` of turns for which it is known already, by the `id` of the turn.
        """
        known = marks or {}
        events: list[Endorsement] = []
        same = True
        for i, turn in enumerate(turns):
            digest = known.get(id(turn)) or mark(turn)
            same = same and i < len(self._turns) and self._turns[i] == digest
            if not same:
                del self._turns[i:]
                self._turns.append(digest)
                events += self.observe(turn)
        return tuple(events)

    def observe(self, turn: Turn) -> tuple[Endorsement, ...]:
        """Observes one message; returns the endorsements in it."""
        events: list[Endorsement] = []
        for part in turn.parts:
            if isinstance(part, Text):
                self._text(turn.role, part.text)
            elif isinstance(part, ToolCall):
                self.observe_call(part)
            elif isinstance(part, ToolResult):
                events += self.observe_result(part)
            elif turn.role != Role.ASSISTANT:
                self._opaque(self.origins.get(turn.role, UNKNOWN))
        return tuple(events)

    def observe_system(self, text: str) -> None:
        """A system prompt."""
        self._text(Role.SYSTEM, text)

    def observe_user(self, text: str) -> None:
        """A message of the user's."""
        self._text(Role.USER, text)

    def observe_assistant(self, text: str) -> None:
        """What the model wrote: it has the label of all that it had seen."""
        self._text(Role.ASSISTANT, text)

    def observe_tools(self, tools: Iterable[Tool]) -> None:
        """Tool definitions: the constants of their schemas count as known. Their descriptions are instructions; pins vouch for those."""
        for tool in tools:
            self._constants[tool.name] = known_constants(tool.schema)

    def observe_call(self, call: ToolCall) -> None:
        """A tool call that takes place. What is written to a memory is remembered with its label."""
        if len(self._calls) >= MAX_CALLS:
            self._overflow()
            return
        self._calls[call.id] = (call.name, call.arguments)
        self._names.called(call.id, call.name)
        meaning = self.meaning(call.name)
        if meaning.memory == "write":
            held = self.memories.get(meaning.component)
            written = self.influence(call).label
            self.memories[meaning.component] = written if held is None else held.join(written)

    def observe_result(self, result: ToolResult) -> tuple[Endorsement, ...]:
        """A tool's answer; returns an endorsement when the tool is a sanitiser that raised it."""
        _, question = self._calls.get(result.call_id, ("", None))
        name = self._names.answered(result.call_id)
        meaning = self.meaning(result.name or name)
        texts = [p.text for p in result.content if isinstance(p, Text)]
        if result.structured is not None:
            texts.append(_written(result.structured))
        label, events = self._result_label(meaning, "\n".join(texts), result.is_error)
        for text in texts:
            self._add(Said(text, label, "tool", meaning.fields, self.required), question)
        if any(isinstance(p, Opaque) for p in result.content):
            self._opaque(label)
        if not texts:
            self.label = self.label.join(label)
        return events

    def meaning(self, name: str) -> Meaning:
        """What a tool means; the most cautious meaning for one that nobody described."""
        known = self.meanings.get(name)
        return known if known is not None else Meaning(name, name, Action.INVOKE_TOOL, known=False)

    def _result_label(self, meaning: Meaning, text: str, is_error: bool) -> tuple[Label, tuple[Endorsement, ...]]:
        label = meaning.result
        if meaning.component not in label.sources:
            label = Label(label.integrity, label.confidentiality, label.sources | {meaning.component})
        if meaning.memory == "read" and (held := self.memories.get(meaning.component)) is not None:
            label = label.join(held)
        if meaning.endorses is None or is_error:
            return label, ()
        before = min(label.integrity, self.label.integrity)
        raised = Label(max(meaning.endorses, label.integrity), label.confidentiality, label.sources)
        if before >= meaning.endorses:
            return raised, ()
        digest = blake2b(text.encode("utf-8", "replace"), digest_size=16).hexdigest()
        return raised, (Endorsement(meaning.name, meaning.component, before, meaning.endorses, digest),)

    def _text(self, role: Role, text: str) -> None:
        if role == Role.ASSISTANT:
            label = Label(self.label.integrity, self.label.confidentiality, self.label.sources | {"assistant"})
            self._add(Said(text, label, "assistant", level=self.required))
            return
        label = self.origins.get(role, UNKNOWN)
        name = {Role.USER: "user", Role.TOOL: "tool"}.get(role, "system")
        clean, dirty = (text, "") if label.integrity < self.required else self._seen.launder(text, self._strange)
        if dirty:
            self._add(Said(dirty, self.label, name, level=self.required))
        if clean or not dirty:
            self._add(Said(clean, label, name, level=self.required))

    def _add(self, said: Said, question: Mapping[str, Any] | None = None) -> None:
        self.label = self.label.join(said.label)
        self._size += len(said.text)
        if self._size > MAX_TEXT or len(self._said) >= MAX_ITEMS:
            self._overflow()
            return
        said.question = question or {}
        self._said.append(said)
        if not said.trusted and said.role != "assistant":
            self._strange.append(said)
        self._lookup = None

    def _opaque(self, label: Label) -> None:
        """What can't be read may say anything, but whose it is is known."""
        self.label = self.label.join(label)

    def _overflow(self) -> None:
        self.overfull = True
        self.label = self.label.join(Label(0, self.label.confidentiality, frozenset({"too much to follow"})))

    # What it means for a call

    def influence(self, call: ToolCall) -> Influence:
        """What may have shaped a call that the model proposes now."""
        constants = self._constants.get(call.name, frozenset())
        return influence(call, self.meaning(call.name), self._lookups(), self.label, constants)

    def _lookups(self) -> Lookup:
        if self._lookup is None:
            self._lookup = Lookup([] if self.overfull else self._said, self.required)
        return self._lookup

    def says(self, url: str) -> bool:
        """Whether trusted text has this web address; for `exfiltration.scan_links`."""
        lookup = self._lookups()
        leaf = Leaf("", "url", url, Kind.ADDRESS, False)
        return lookup.in_instructions(leaf) or lookup.in_trusted(leaf)

    def hosts(self) -> frozenset[str]:
        """Hosts that the user's messages and the system prompt name."""
        return hosts_in(s.text for s in self._lookups().instructed)

    # Sub-agents, and keeping

    def child(self) -> Session:
        """The session of a sub-agent: it begins with all that this one has seen, whatever part of it is passed on."""
        child = Session(self.meanings, required=self.required, origins=self.origins, memories=self.memories)
        child.label, child.overfull, child._size = self.label, self.overfull, self._size
        child._said, child._strange = list(self._said), list(self._strange)
        child._constants = dict(self._constants)
        return child

    def absorb(self, child: Session) -> None:
        """Joins a sub-agent's session back: what it has seen may be in its answer."""
        known = set(map(id, self._said))
        for said in child._said:
            if id(said) not in known and not said.trusted:
                self._add(said, said.question)
        self.label = self.label.join(child.label)
        if child.overfull:
            self._overflow()


_JSON = msgspec.json.Encoder(order="deterministic")


def _written(value: Any) -> str:
    try:
        return _JSON.encode(value).decode()
    except (TypeError, RecursionError, msgspec.MsgspecError):
        return repr(value)[:MAX_TEXT]


def mark(turn: Turn) -> bytes:
    """A digest of what a turn says; where it stood in its document doesn't matter."""
    digest = blake2b(turn.role.encode(), digest_size=16)
    for part in turn.parts:
        if isinstance(part, Text):
            _feed(digest, "t", part.text)
        elif isinstance(part, ToolCall):
            _feed(digest, "c", part.id, part.name, part.raw or _written(part.arguments))
        elif isinstance(part, ToolResult):
            texts = (p.text if isinstance(p, Text) else p.type for p in part.content)
            _feed(digest, "r", part.call_id, part.name, str(part.is_error), *texts, _written(part.structured))
        else:
            _feed(digest, "o", part.type)
    return digest.digest()


def _feed(digest: Any, *parts: str) -> None:
    for part in parts:
        data = part.encode("utf-8", "surrogatepass")
        digest.update(len(data).to_bytes(8, "big") + data)
