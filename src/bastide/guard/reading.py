# SPDX-License-Identifier: Apache-2.0
"""Reads what comes into a conversation: scans texts, keeps retrievals inside the caller's tenant, refuses what can't be understood."""

from __future__ import annotations

import json
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from bastide.errors import Denied, LimitError
from bastide.guard.content.cache import ByDigest
from bastide.guard.content.strings import mapped, strings
from bastide.guard.events import Opaque, Part, Path, Request, Role, Text, Tool, ToolCall, ToolResult, Turn
from bastide.guard.flow.session import Endorsement
from bastide.guard.flow.tools import changed, digests, shadowing
from bastide.guard.model import Action, Meaning, Outcome, Verdict
from bastide.guard.policy.retrieval import needs_check, recheck
from bastide.recognise.model import Detection, Direction

if TYPE_CHECKING:
    from bastide.guard.conversation import Conversation

REMOVED = "[removed by the guard: {}]"
"""What stands in the place of a text from outside that was found to be an attack."""
# What the model said comes back in the history with redactions undone: scanned like a prompt, its personal data are taken out again.
DIRECTIONS_OF: dict[Role, Direction] = {
    Role.SYSTEM: "system", Role.DEVELOPER: "system", Role.USER: "user", Role.ASSISTANT: "system", Role.TOOL: "tool",
}  # fmt: skip
PROSE = 24
"""Characters from which on a text inside of JSON is read for orders to the model as well; ids, dates and words are shorter."""

CLEAN = 10_000
"""Calls of one conversation of which it is remembered that nothing was found in them."""
_INSTEAD = {"tokens": ": send the text itself (in LangChain: `OpenAIEmbeddings(check_embedding_ctx_length=False)`)"}
"""What a client can do instead of sending what nobody can read."""
UNREAD = frozenset({"content/unscanned", "injection/unscanned"})
"""Detections that say that nobody has read all of a text."""


class Sighting(Struct, frozen=True):
    """A text with something in it: for the log."""

    direction: Direction
    source: str
    """Plan component it came from, or the role."""
    verdict: Verdict
    class_: int
    """Class of the data that the text may hold."""


class Intake(Struct, frozen=True):
    """What reading a request came to."""

    edits: dict[Path, Any]
    """Texts to replace before the request goes on."""
    sightings: tuple[Sighting, ...] = ()
    unscanned: tuple[str, ...] = ()
    """Types of content that could not be scanned and was let through."""
    endorsements: tuple[Endorsement, ...] = ()
    dropped: int = 0
    """Items of retrievals that were another tenant's or over the user's clearance."""


class Reading:
    """One pass over what comes in: scans texts, checks retrievals, collects what has to be edited and logged."""

    def __init__(self, conversation: Conversation, component: str = "", *, outside: bool = True) -> None:
        """component: the MCP server that it comes from; outside: whether it may leave the system, so that personal data are looked for."""
        self._of = conversation
        self._component = component
        self._kind = b"outside" if outside else b"inside"
        self._scanner = conversation.engine.scanner if outside else conversation.engine.inner_scanner
        self._engine = conversation.engine
        self.edits: dict[Path, Any] = {}
        self.sightings: list[Sighting] = []
        self.unscanned: list[str] = []
        self.dropped = 0

    def tools(self, request: Request) -> None:
        """Definitions of tools: changed under way, posing as others, or with orders to the model in them."""
        of = self._of
        if not request.tools:
            return
        fresh, posing = _tool_facts(_TOOLS.encode([(t.name, t.description, t.schema, t.server) for t in request.tools]))
        found = (
            *(changed(of.known_tools, request.tools) if of.known_tools and fresh != of.known_tools else ()),
            *posing,
        )
        if found:
            self.sightings.append(Sighting("system", "tools", Verdict(Outcome.BLOCK, 1.0, found), 0))
            raise Denied(found[0].why, code="tool_definition", details={"detector": found[0].detector})
        if fresh != of.known_tools:
            for tool in request.tools:
                self._tool(tool)
            of.known_tools.update(fresh)
            of.described(request.tools)

    def _tool(self, tool: Tool) -> None:
        """A model reads all of a definition: orders stand in names and in descriptions of parameters too."""
        source = f"tool `{tool.name[:60]}`"
        try:
            texts = [tool.name, tool.description, *strings(tool.schema)]
        except LimitError as bound:
            self.opaque(Opaque(str(bound), True), source)
            return
        for text in texts:
            if len(text) >= PROSE or text is tool.description:
                self._scan(Text(text), "tool", source, 0, refuse=True)

    def turn(self, turn: Turn) -> Turn:
        """The turn as it goes on."""
        parts: list[Part] = []
        before = len(self.edits)
        for part in turn.parts:
            if type(part) is Text:
                parts.append(self._said(turn.role, part))
            elif type(part) is ToolResult:
                parts.append(self._result(part))
            elif type(part) is ToolCall:
                parts.append(self._call(part))
            else:
                if type(part) is Opaque:
                    self.opaque(part, turn.role.value)
                parts.append(part)
        # The very same turn where nothing was edited: then its digest is known.
        same = len(self.edits) == before and all(a is b for a, b in zip(parts, turn.parts, strict=True))
        return turn if same else Turn(turn.role, tuple(parts))

    def opaque(self, part: Opaque, where: str) -> None:
        """What can't be scanned: refused, or let through and logged as unscanned when the settings say so and its type is known."""
        if not part.known:
            raise Denied(
                f"`{part.type[:80]}` in the {where} isn't understood by this guard, so it isn't passed on",
                code="not_understood",
            )
        if self._engine.settings.content.unscanned == "deny":
            raise Denied(
                f"`{part.type[:80]}` in the {where} can't be scanned{_INSTEAD.get(part.type, '')}; "
                "`content: {unscanned: allow}` lets it through unscanned",
                code="unscanned",
            )
        self.unscanned.append(part.type)

    def _said(self, role: Role, part: Text) -> Text:
        label = self._engine.origins.get(role)
        direction = DIRECTIONS_OF[role]
        return self._scan(
            part, direction, role.value, label.confidentiality if label else 0, refuse=role is not Role.TOOL
        )

    def _call(self, call: ToolCall) -> ToolCall:
        """A call of the history: the model reads its arguments like every other text."""
        source = f"call of `{call.name[:60]}`"
        if len(call.name) >= PROSE:
            self._scan(Text(call.name), "tool", "name of a call", 0, refuse=True)
        if call.arguments is None:
            raw = self._scan(Text(call.raw), "tool", source, 0, refuse=False).text
            if raw == call.raw:
                return call
            changed: Any = raw
            made = replace(call, raw=raw)
        else:
            # Each request brings the whole history again: what was found clean once is so as long as this policy is in force.
            key = blake2b(call.raw.encode("utf-8", "surrogatepass"), digest_size=16, key=self._kind).digest()
            if call.raw and key in self._of.clean:
                return call
            seen = len(self.sightings)
            changed = self._inside(call.arguments, "tool", source, 0)
            if changed is call.arguments and not _ambiguous(call.raw):
                if call.raw and len(self.sightings) == seen and len(self._of.clean) < CLEAN:
                    self._of.clean.add(key)
                return call
            made = replace(call, arguments=changed, raw=json.dumps(changed))
        if not call.path:
            raise Denied(f"a text in a {source} can't go on, and can't be taken out of it", code="content_blocked")
        self.edits[call.path] = changed
        return made

    def _inside(self, value: Any, direction: Direction, source: str, class_: int) -> Any:
        """Decoded JSON with each of its texts as it goes on."""

        def passed(text: str) -> str:
            kind: Direction = direction if len(text) >= PROSE else "system"
            return self._scan(Text(text), kind, source, class_, refuse=False).text

        try:
            return mapped(value, passed)
        except LimitError as bound:
            self.opaque(Opaque(str(bound), True), source)
            return value

    def _result(self, result: ToolResult) -> ToolResult:
        meaning = self._engine.meaning(result.name, self._component)
        direction: Direction = "retrieved" if meaning.action is Action.RETRIEVE else "tool"
        content: list[Text | Opaque] = []
        for part in result.content:
            if isinstance(part, Opaque):
                self.opaque(part, f"result of `{result.name[:60]}`")
                content.append(part)
            else:
                checked = self._checked(part, meaning)
                content.append(
                    self._scan(checked, direction, meaning.component, meaning.result.confidentiality, refuse=False)
                )
        structured = result.structured
        if structured is not None and needs_check(meaning):
            kept = recheck(structured, self._of.caller, meaning)
            self.dropped += kept.dropped
            structured = kept.result
        if structured is not None:
            structured = self._inside(structured, direction, meaning.component, meaning.result.confidentiality)
        same = structured is result.structured and all(a is b for a, b in zip(content, result.content, strict=True))
        return result if same else replace(result, content=tuple(content), structured=structured)

    def _checked(self, part: Text, meaning: Meaning) -> Text:
        if not needs_check(meaning):
            return part
        kept = recheck(part.text, self._of.caller, meaning)
        self.dropped += kept.dropped
        return part if kept.result == part.text else self._edited(part, str(kept.result))

    def _scan(self, part: Text, direction: Direction, source: str, class_: int, *, refuse: bool) -> Text:
        """The text as it goes on. An attack in what a person or program says refuses the request; one in what was fetched is cut out,
        since the conversation would otherwise be stuck with it for ever."""
        verdict = self._scanner.scan(part.text, direction, self._of.vault)
        if verdict.detections or not verdict.scanned:
            self.sightings.append(Sighting(direction, source, verdict, class_))
        if not verdict.scanned:
            # Overload degrades to the stages that ran; a text that nobody has read is blocked, unless the settings let it through.
            if verdict.outcome is Outcome.BLOCK and verdict.cause is not None and verdict.cause.detector in UNREAD:
                raise Denied(f"a text from {source} could not be scanned: {verdict.reason}", code="unscanned")
            self.unscanned.append(f"text of {source}")
        if verdict.outcome is Outcome.BLOCK:
            if refuse:
                raise Denied(
                    f"the {source} text was refused: {verdict.reason}",
                    code="content_blocked",
                    details=_names(verdict.detections),
                )
            return self._edited(part, REMOVED.format(verdict.reason))
        if verdict.outcome is Outcome.REDACT and verdict.text is not None:
            return self._edited(part, verdict.text)
        return part

    def _edited(self, part: Text, text: str) -> Text:
        if part.path:
            self.edits[part.path] = text
        return Text(text, part.path)


_TOOLS = msgspec.json.Encoder()


def _ambiguous(raw: str) -> bool:
    """Whether a key occurs twice: then what was read is not all that the model would read, and only that goes on."""
    twice = False

    def noted(pairs: list[tuple[str, Any]]) -> None:
        nonlocal twice
        twice = twice or len({key for key, _ in pairs}) < len(pairs)

    try:
        json.loads(raw or "{}", object_pairs_hook=noted)
    except (ValueError, RecursionError):
        return False  # the free text of a custom tool
    return twice


def _make_facts(encoded: bytes) -> tuple[dict[tuple[str, str], str], tuple[Detection, ...]]:
    """Digests of tool definitions and what is wrong with them among each other; agents send the same ones with each request."""
    tools = [Tool(*fields) for fields in msgspec.json.decode(encoded)]
    return digests(tools), shadowing(tools)


_tool_facts = ByDigest(_make_facts, 8 * 1024 * 1024)


def _names(detections: tuple[Detection, ...]) -> dict[str, Any]:
    return {"detectors": sorted({d.detector for d in detections})}
