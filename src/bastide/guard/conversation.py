# SPDX-License-Identifier: Apache-2.0
"""One conversation of one caller: reads what comes in, decides what the model proposes, judges what goes out.

This is the guard itself, without network or clock: the gateway, the library, the hooks and `guard replay` all use it.
"""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping, Sequence
from functools import partial
from typing import Any, TypeVar

from msgspec import Struct
from msgspec.structs import replace

from bastide.errors import Denied, LimitError, TooLarge
from bastide.guard.arguments import fit, held, way_out
from bastide.guard.content.cache import ByDigest
from bastide.guard.content.leakage import Leakage
from bastide.guard.content.redact import Vault
from bastide.guard.content.stream import Check, StreamScanner
from bastide.guard.content.strings import mapped, strings
from bastide.guard.engine import Engine, denied
from bastide.guard.events import Part, Request, Role, Text, Tool, ToolCall, ToolResult, Turn
from bastide.guard.flow.exfiltration import links, neutral, scan_links, settled
from bastide.guard.flow.session import Session
from bastide.guard.limits.loops import LoopGuard
from bastide.guard.model import (
    Action,
    Caller,
    Effect,
    Influence,
    Label,
    Meaning,
    Outcome,
    Question,
    Ruling,
    SideEffect,
    Verdict,
)
from bastide.guard.policy.retrieval import restrict
from bastide.guard.reading import Intake, Reading
from bastide.recognise.model import Detection

PartT = TypeVar("PartT", bound=Part)


class CallDecision(Struct, frozen=True):
    """What is to happen with a call that the model proposes."""

    call: ToolCall
    """With the arguments that may be sent: a tenant filter is written into them."""
    ruling: Ruling
    influence: Influence
    meaning: Meaning
    seen: Verdict = Verdict(Outcome.ALLOW)
    """What stands in the arguments."""

    @property
    def allowed(self) -> bool:
        """Whether it may be made now."""
        return self.ruling.effect is Effect.ALLOW


class Conversation:
    """One conversation. Not thread-safe; it holds everything that the labels of its next call depend on."""

    def __init__(
        self,
        engine: Engine,
        caller: Caller,
        session: Session | None = None,
        memories: MutableMapping[str, Label] | None = None,
    ) -> None:
        """memories: labels of what memories hold, shared by all conversations that share the memories."""
        self.engine = engine
        self.caller = caller
        self.session = session or Session(
            engine.meanings, required=engine.required, origins=engine.origins, memories=memories
        )
        self.vault = Vault()
        self.loops = LoopGuard(engine.settings.loops)
        self.prompts: list[str] = []
        """System prompts, for the check that answers don't leak them."""
        self.depth = 0
        """Agents above this one."""
        self.watched = False
        """Whether the guard has seen what the model is told."""
        self.known_tools: dict[tuple[str, str], str] = {}
        """Digests of the tools that the agent described to the model."""
        self.schemas: dict[tuple[str, str], Any] = {}
        """MCP server ('' for the agent's own) and tool -> JSON schema of its arguments."""
        self.clean: set[bytes] = set()
        """Digests of arguments in the history in which nothing was found."""
        self._checks: tuple[Check, ...] | None = None

    # What comes in

    def read(self, request: Request, marks: Mapping[int, bytes] | None = None, *, outside: bool = True) -> Intake:
        """Scans and labels a whole request; marks: as for `Session.follow`; outside: whether it goes to a model outside of the system.

        Raises `Denied` when it must not go on, `TooLarge`, `OverLimit` (loops).
        """
        self.watched = True
        bounds = self.engine.settings.bounds
        if len(request.turns) > bounds.turns or len(request.tools) > bounds.tools:
            raise TooLarge(f"at most {bounds.turns} messages and {bounds.tools} tools are read")
        reading = Reading(self, outside=outside)
        for opaque in request.opaque:
            reading.opaque(opaque, "request")
        reading.tools(request)
        turns = [self._meant(turn, reading.turn(turn)) for turn in request.turns]
        self._checks = None
        self.prompts = [p.text for t in turns if t.role in _INSTRUCTING for p in t.parts if isinstance(p, Text)]
        self.loops.turns(len(request.turns))
        endorsements = self.session.follow(turns, marks)
        return Intake(reading.edits, tuple(reading.sightings), tuple(reading.unscanned), endorsements, reading.dropped)

    def described(self, tools: Sequence[Tool]) -> None:
        """Tools that the model may be told of, as their descriptions stand."""
        self.session.observe_tools(tools)
        for tool in tools:
            self.schemas.pop((tool.server, tool.name), None)
            self.schemas[tool.server, tool.name] = tool.schema
        while len(self.schemas) > self.engine.settings.bounds.tools:
            del self.schemas[next(iter(self.schemas))]

    def say(self, role: Role, text: str) -> Verdict:
        """A message of somebody's. Raises `Denied` when it is an attack."""
        self.watched = True
        reading = Reading(self)
        turn = Turn(role, (Text(text, ("text",)),))
        self.session.observe(self._meant(turn, reading.turn(turn)))
        if role in _INSTRUCTING:
            self.prompts.append(text)
            self._checks = None
        return reading.sightings[-1].verdict if reading.sightings else _CLEAN

    def result(self, result: ToolResult, component: str = "", *, outside: bool = True) -> tuple[ToolResult, Intake]:
        """A tool's answer, as the model may have it; `component`: the MCP server that gave it; outside: as for `read`."""
        reading = Reading(self, component, outside=outside)
        turn = reading.turn(Turn(Role.TOOL, (result,)))
        [part] = turn.parts
        assert isinstance(part, ToolResult)
        known = self._known_as(result.name, self.engine.meaning(result.name, component))
        endorsements = self.session.observe(Turn(Role.TOOL, (self._part(replace(part, name=known)),)))
        return part, Intake({}, tuple(reading.sightings), tuple(reading.unscanned), endorsements, reading.dropped)

    def outgoing(self, text: str) -> str:
        """A text that goes to a tool's server outside of a call. Raises `Denied`."""
        verdict = self.engine.scanner.scan(text, "assistant", self.vault)
        if verdict.outcome is Outcome.BLOCK:
            raise Denied(f"the text was refused: {verdict.reason}", code="content_blocked")
        return verdict.text if verdict.outcome is Outcome.REDACT and verdict.text is not None else text

    def _meant(self, turn: Turn, passed: Turn) -> Turn:
        """A turn that goes on as `passed`, with redactions undone: labels, limits and policies are about the real values."""
        if passed is turn or not self.vault:
            return passed
        return Turn(passed.role, tuple(map(self._part, passed.parts)))

    def _part(self, part: PartT) -> PartT:
        restore = self.vault.restore
        if not self.vault:
            return part
        if isinstance(part, Text):
            return replace(part, text=restore(part.text))
        if isinstance(part, ToolCall):
            return replace(part, arguments=self._restored(part.arguments), raw=restore(part.raw))
        if isinstance(part, ToolResult):
            content = tuple(map(self._part, part.content))
            return replace(part, content=content, structured=self._restored(part.structured))
        return part

    def _restored(self, value: Any) -> Any:
        try:
            return mapped(value, self.vault.restore)
        except LimitError:
            # Refused, or let through as unscanned, where it is read.
            return value

    # What the model answers

    def answering(self) -> StreamScanner:
        """A scanner for one answer: unsafe output, secrets, canaries, links that carry data out, the system prompt."""
        return self.engine.scanner.stream(self.vault, self._plugged())

    def _plugged(self) -> tuple[Check, ...]:
        """The checks that know this conversation: links first, then a look for each system prompt."""
        if self._checks is None:
            content = self.engine.settings.content
            # Not `self`: what is let go has to be free at once, not when the garbage is collected.
            session = self.session

            def ways_out(text: str) -> Sequence[Detection]:
                # Which hosts people named is looked up only when there is a link at all.
                if next(links(text), None) is None:
                    return ()
                return scan_links(text, session.says, content.url_hosts or session.hosts())[0]

            leaks = [Check(_leakage(_bytes(prompt))) for prompt in self.prompts if len(prompt) < _LONG_PROMPT]
            self._checks = (Check(ways_out, settled, _inert), *leaks)
        return self._checks

    # What the model proposes

    def decide(self, call: ToolCall, *, component: str = "", approved: bool = False) -> CallDecision:
        """The decision about a proposed call; `component`: the MCP server it goes to; `approved`: a person agreed to exactly this one.

        Redactions in its arguments are undone first: what is decided, approved and made has the real values. Raises `OverLimit` when
        the conversation goes in circles.
        """
        call = self._part(call)
        same = self.loops.proposed(call.name, call.arguments)
        decision = self._decide(call, component, approved)
        self.loops.count(same, made=decision.allowed)
        return decision

    def _decide(self, call: ToolCall, component: str, approved: bool) -> CallDecision:
        meaning = self.engine.meaning(call.name, component)
        influence = self.session.influence(replace(call, name=self._known_as(call.name, meaning)))
        if not self.watched:
            # The guard hasn't seen what the model was told, so anybody may have told it to make this call.
            influence = replace(influence, label=influence.label.join(_ANYBODY), traced=False)
        if call.arguments is None:
            reason = f"the arguments of `{call.name[:80]}` are no JSON object, so they can't be judged"
            return CallDecision(call, Ruling(Effect.DENY, reason, version=self.engine.version), influence, meaning)
        refused = partial(Ruling, Effect.DENY, version=self.engine.version)
        try:
            if self.engine.settings.content.tool_schemas == "enforce":
                fit(call, self.schemas.get((component, call.name), True))
            call = replace(call, arguments=restrict(call.arguments, self.caller, meaning))
        except Denied as refusal:
            return CallDecision(call, refused(str(refusal)), influence, meaning)
        question = Question(
            caller=self.caller,
            action=meaning.action,
            resource=meaning.component,
            tool=call.name,
            label=influence.label,
            traced=influence.traced,
            approved=approved,
            arguments=call.arguments or {},
        )
        ruling = self.engine.policy.decide(question)
        if ruling.effect is not Effect.ALLOW and influence.untraced:
            ruling = replace(ruling, reason=f"{ruling.reason} ({_untraced(influence)})")
        if ruling.effect is Effect.DENY:
            return CallDecision(call, ruling, influence, meaning)
        try:
            texts = strings(call.arguments)
            leaks = self._plugged()[1:] if meaning.outbound else ()
            seen = held(call, texts, self.engine.scanner, leaks)
        except (Denied, LimitError) as refusal:
            return CallDecision(call, refused(str(refusal)), influence, meaning)
        if ruling.effect is Effect.ALLOW and not approved and (why := self._led_out(call, meaning)):
            reason = f"a link in the arguments of `{call.name[:80]}` may carry data out: {why}"
            ruling = replace(ruling, effect=Effect.APPROVE, reason=reason)
        return CallDecision(call, ruling, influence, meaning, seen)

    def _led_out(self, call: ToolCall, meaning: Meaning) -> str:
        """Why a link in what is sent or stored may carry data out, when somebody else may have asked for it."""
        if not self.session.tainted or meaning.side_effect <= SideEffect.READ:
            return ""
        content = self.engine.settings.content
        return way_out(call, meaning.arguments, self.session.says, lambda: content.url_hosts or self.session.hosts())

    def decided(self, call: ToolCall, ruling: Ruling, component: str = "") -> CallDecision:
        """The decision about a call on which there was a ruling already, when the model proposed it."""
        meaning = self.engine.meaning(call.name, component)
        return CallDecision(self._part(call), ruling, Influence(self.session.label, True), meaning)

    def child(self, agent: str) -> Conversation:
        """The conversation of a sub-agent. Raises `OverLimit` when there are too many or they nest too deeply, `Denied`."""
        meaning = self.engine.meaning(agent)
        question = Question(self.caller, Action.DELEGATE, meaning.component, agent, label=self.session.label)
        ruling = self.engine.policy.decide(question)
        if ruling.effect is not Effect.ALLOW:
            raise denied(ruling)
        self.loops.child(self.depth + 1)
        caller = replace(self.caller, agent=meaning.component, chain=(self.caller.agent, *self.caller.chain))
        child = Conversation(self.engine, caller, self.session.child())
        child.depth, child.watched, child.vault = self.depth + 1, self.watched, self.vault
        return child

    def beside(self) -> Conversation:
        """One that has seen the same and redacts the same, with counters of its own: another session of the same caller."""
        other = Conversation(self.engine, self.caller, self.session)
        other.vault, other.depth, other.schemas = self.vault, self.depth, self.schemas
        return other

    def made(self, decision: CallDecision) -> None:
        """The call takes place: what it writes into a memory keeps its label."""
        call = decision.call
        self.session.observe_call(replace(call, name=self._known_as(call.name, decision.meaning)))

    def _known_as(self, name: str, meaning: Meaning) -> str:
        """The name under which the session knows a tool: that of its server where another's tool is called the same."""
        return name if self.engine.meanings.get(name) is meaning else meaning.component


_LONG_PROMPT = 200_000
_ANYBODY = Label(0, 0, frozenset({"somebody whom the guard has not heard"}))
_CLEAN = Verdict(Outcome.ALLOW)
_INSTRUCTING = (Role.SYSTEM, Role.DEVELOPER)


def _inert(_: Detection, text: str) -> str:
    """A link so that it leads nowhere."""
    return next((neutral(link) for link in links(text)), "[link removed]")


def _bytes(prompt: str) -> bytes:
    return prompt.encode("utf-8", "surrogatepass")


_leakage = ByDigest(lambda prompt: Leakage(prompt.decode("utf-8", "surrogatepass")), 2 * 1024 * 1024)
"""Prompts of 2 MiB together; what is known of a prompt takes about 25 times its size."""


def _untraced(influence: Influence) -> str:
    # Without the values: a reason stands in the log for ever, and a value may be somebody's.
    return "; ".join(_one(u.path, u.sources) for u in influence.untraced[:4])


def _one(path: str, sources: frozenset[str]) -> str:
    if not sources:
        return f"the value of `{path}` occurs nowhere in what was read"
    return f"the value of `{path}` comes from {', '.join(sorted(sources))}"
