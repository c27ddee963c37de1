# SPDX-License-Identifier: Apache-2.0
"""The guard without a network hop: the same engine inside of an agent's own process.

::

    guard = Guard.from_plan("bastide.yaml")
    session = guard.session(agent="assistant", user="ann", actor="customer")
    session.user("Refund order 1001 to DE89370400440532013000")
    decision = session.call("refund", {"order_id": "1001", "iban": "DE89370400440532013000"})
    if decision.allowed:
        text = session.result(decision.call, run(decision.call.arguments))
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from bastide.errors import Denied
from bastide.guard.build import engine_of
from bastide.guard.conversation import CallDecision, Conversation
from bastide.guard.engine import Engine
from bastide.guard.events import Request, Role, Text, Tool, ToolCall, ToolResult
from bastide.guard.model import CLASSES, Caller, Effect, Label, Verdict
from bastide.guard.reading import Reading

Ask = Callable[[CallDecision], bool]
"""Puts a call that needs a person to that person; True when they agree to exactly this call."""
Sink = Callable[[CallDecision], None]


class Guard:
    """A plan's guard, for any number of sessions."""

    def __init__(self, engine: Engine, *, ask: Ask | None = None, log: Sink | None = None) -> None:
        """ask: who agrees to calls that need a person; without one they are refused. log: told of each decision."""
        self.engine = engine
        self._ask = ask
        self._log = log
        self._memories: dict[str, Label] = {}

    @classmethod
    def from_plan(
        cls, plan: str | Path, settings: str | Path | None = None, *, ask: Ask | None = None, log: Sink | None = None
    ) -> Guard:
        """The guard of a plan file, with the settings beside it unless others are named. Raises `PlanError`, `SettingsError`."""
        return cls(engine_of(Path(plan), Path(settings) if settings else None), ask=ask, log=log)

    def session(  # noqa: PLR0913 - who somebody is has this many sides
        self,
        agent: str,
        *,
        user: str = "",
        actor: str = "",
        tenant: str = "",
        purpose: str = "",
        clearance: str = CLASSES[-1],
        scopes: frozenset[str] = frozenset(),
    ) -> Session:
        """A new conversation. Who calls is what this process says: the library can't check it, so the process has to be trusted."""
        caller = Caller(
            agent, user, actor, tenant, purpose=purpose, clearance=CLASSES.index(clearance), scopes=frozenset(scopes)
        )
        return Session(Conversation(self.engine, caller, memories=self._memories), self._ask, self._log)


class Session:
    """One conversation: tell it what comes in, ask it before a call is made, pass it what goes out."""

    def __init__(self, conversation: Conversation, ask: Ask | None = None, log: Sink | None = None) -> None:
        self.conversation = conversation
        self._ask = ask
        self._log = log
        self._count = 0
        self._servers: dict[str, str] = {}
        """Id of a call that may be made -> the MCP server that it goes to, whose answer its result is."""

    @property
    def label(self) -> Label:
        """What may have shaped what the model writes next."""
        return self.conversation.session.label

    def system(self, text: str) -> Verdict:
        """A system prompt."""
        return self.conversation.say(Role.SYSTEM, text)

    def user(self, text: str) -> Verdict:
        """A message of the user's. Raises `Denied` when it is an attack."""
        return self.conversation.say(Role.USER, text)

    def assistant(self, text: str) -> Verdict:
        """What the model said, for what follows; `answer` checks what goes out to people."""
        return self.conversation.say(Role.ASSISTANT, text)

    def tools(self, tools: Sequence[Tool]) -> None:
        """The tools as the model is told of them. Raises `Denied` when one changed under way, poses as another or gives orders."""
        Reading(self.conversation).tools(Request("library", "", (), tuple(tools)))

    def call(
        self,
        name: str,
        arguments: Mapping[str, Any] | None,
        id: str = "",
        *,
        component: str = "",
        ask: Ask | None = None,
    ) -> CallDecision:
        """The decision about a call, before it is made. Run it with `decision.call.arguments`, in which a tenant filter may stand.

        arguments: None when they are no JSON object, which is never allowed; component: the MCP server it goes to; ask: in place of
        the guard's own. Raises `OverLimit` when the session goes in circles.
        """
        self._count += 1
        ask = ask or self._ask
        call = ToolCall(id or f"call-{self._count}", name, None if arguments is None else dict(arguments))
        decision = self.conversation.decide(call, component=component)
        if decision.ruling.effect is Effect.APPROVE and ask is not None and ask(decision):
            decision = self.conversation.decide(call, component=component, approved=True)
        if decision.allowed:
            self.conversation.made(decision)
            self._servers[call.id] = component
        if self._log is not None:
            self._log(decision)
        return decision

    def result(self, call: ToolCall, content: str, *, is_error: bool = False) -> str:
        """What a tool answered, as the model may have it: attacks cut out, other tenants' items taken out, secrets redacted."""
        result = ToolResult(call.id, (Text(content, ("content",)),), call.name, is_error)
        checked, _ = self.conversation.result(result, self._servers.get(call.id, ""))
        [part] = checked.content
        return part.text if isinstance(part, Text) else ""

    def answer(self, text: str) -> str:
        """An answer as it may go out: redactions undone, links that carry data out made inert. Raises `Denied` when it must not go out."""
        scanner = self.conversation.answering()
        released = scanner.push(text) + scanner.finish()
        if scanner.blocked:
            raise Denied(f"the answer was stopped: {scanner.verdict.reason}", code="content_blocked")
        return released

    def child(self, agent: str) -> Session:
        """The session of a sub-agent, which begins with all that this one has seen. Raises `OverLimit`, `Denied`."""
        return Session(self.conversation.child(agent), self._ask, self._log)

    def join(self, child: Session) -> None:
        """The sub-agent is done: what it has seen may be in what it answered."""
        self.conversation.session.absorb(child.conversation.session)
