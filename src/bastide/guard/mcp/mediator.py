# SPDX-License-Identifier: Apache-2.0
"""Every message between a client and a server passes here, whatever the transport, and leaves as it may.

::

    client ── to_server ──► what goes on to the server, or the answer that the client gets instead
    server ── to_client ──► what goes on to the client, or the answer that the server gets instead
"""

from __future__ import annotations

import itertools
from collections import OrderedDict
from typing import Any

from msgspec import Struct

from bastide.errors import GuardError, OverLimit
from bastide.guard.events import ToolCall
from bastide.guard.mcp import answers
from bastide.guard.mcp.book import MAX_NAME
from bastide.guard.mcp.gate import Incident, TextKind
from bastide.guard.mcp.messages import (
    ASKS,
    ASSUMED,
    CAPABILITIES_META,
    HANDSHAKE,
    STATELESS,
    URL_NEEDED,
    VERSION_META,
    Kind,
    Message,
    bad_params,
    client_notifications,
    client_requests,
    dump,
    error,
    invalid,
    no_method,
    result,
    server_notifications,
    server_requests,
    unsupported,
)
from bastide.guard.mcp.party import Party

MAX_PENDING = 1024
"""Requests of one session that wait for an answer."""
KEPT = 64
"""Requests that are remembered although they have their answer: a client that takes up a broken stream gets it again."""
_NUMBERS = itertools.count(1)
_META = frozenset({"progressToken", "traceparent", "tracestate"})
_CALL_KEYS = frozenset({"name", "arguments", "_meta", "inputResponses", "requestState"})
_SPOKEN = frozenset(
    {
        "subscriptions/listen",
        "resources/read",
        "resources/subscribe",
        "resources/unsubscribe",
        "prompts/get",
        "completion/complete",
    }
)
"""Requests whose parameters can carry text out."""


class Step(Struct, frozen=True):
    """What comes of a message: at most one of both."""

    onward: Message | None = None
    back: dict[str, Any] | None = None
    """A JSON-RPC document for whoever sent the message."""


class Pending(Struct):
    """A request that was passed on."""

    method: str
    version: str
    call: ToolCall | None = None
    done: bool = False


class Mediator:
    """One session, or one exchange where the revision has no sessions. Not for several threads."""

    def __init__(self, party: Party, version: str = "") -> None:
        self.party = party
        """May be replaced by one of the same caller at the same server."""
        self.version = version
        """The revision that both sides agreed on; '' before."""
        self._asked: OrderedDict[str | int, Pending] = OrderedDict()
        self._asked_back: OrderedDict[str | int, str] = OrderedDict()

    # client -> server

    async def to_server(self, message: Message) -> Step:
        """A message from the client. Raises nothing of the GuardError family: a refusal is the answer in `back`.

        A tool call that is refused gets a tool result with `isError`, so that the model reads why; everything else a JSON-RPC error.
        """
        try:
            if message.kind is Kind.REQUEST:
                return await self._request(message)
            if message.kind is Kind.NOTIFICATION:
                return await self._note(message, client_notifications(self._spoken(message)))
            return await self._answer_of_client(message)
        except GuardError as problem:
            return Step(back=self._refusal(message, problem))

    def _refusal(self, message: Message, problem: GuardError) -> dict[str, Any] | None:
        if message.kind is not Kind.REQUEST:
            return None
        if message.method == "tools/call" and "jsonrpc" not in problem.details:
            return result(message.id, answers.refused_call(problem))
        return error(message.id, problem)

    def _spoken(self, message: Message) -> str:
        """The revision of a message from the client."""
        meta = message.body.get("_meta")
        stated = meta.get(VERSION_META) if isinstance(meta, dict) else None
        if stated is None or message.method == "initialize":
            return self.version or ASSUMED
        if stated != STATELESS:
            raise unsupported(stated)
        if self.version in HANDSHAKE:
            raise invalid("the session was started with `initialize`, so its requests carry no protocol version")
        return STATELESS

    async def _request(self, message: Message) -> Step:
        version = self._spoken(message)
        if message.method not in client_requests(version):
            await self.party.incident(Incident("unscanned", message.method, "a method that the guard doesn't know"))
            raise no_method(message.method)
        message = _without_secrets(message)
        assert message.id is not None
        before = self._asked.get(message.id)
        if before is not None and not before.done:
            raise invalid("a request with this id is still being answered")
        pending = Pending(message.method, version)
        # Noted before the gate is asked: two requests with one id must not both get through while it thinks.
        self._remember(message.id, pending)
        try:
            body = await self._checked(message, pending)
        except BaseException:
            self._asked.pop(message.id, None)
            raise
        if version == STATELESS and not self.version:
            self.version = STATELESS
        return Step(onward=message.having(body) if body is not message.body else message)

    async def _checked(self, message: Message, pending: Pending) -> dict[str, Any]:
        """The parameters as they may be sent."""
        body = message.body
        if message.method == "initialize":
            return self._initialize(body)
        if message.method == "server/discover":
            self.party.book.start(self.party.server.component, self.party.owner)
        if pending.version == STATELESS:
            body = self._enveloped(body)
        if message.method == "tools/call":
            return await self._call(body, pending)
        if message.method in _SPOKEN:
            kept = {key: value for key, value in body.items() if key != "_meta"}
            body = {**body, **await self.party.texts("request", kept)}
        return body

    def _initialize(self, body: dict[str, Any]) -> dict[str, Any]:
        if self.version:
            raise invalid("the session is already started")
        if body.get("protocolVersion") not in HANDSHAKE:
            raise unsupported(body.get("protocolVersion"))
        self.party.book.start(self.party.server.component, self.party.owner)
        return {**body, "capabilities": answers.client_capabilities(body.get("capabilities"), self.party)}

    def _enveloped(self, body: dict[str, Any]) -> dict[str, Any]:
        """The parameters of a stateless request, without capabilities that the server may not use."""
        meta = body["_meta"]
        return {
            **body,
            "_meta": {**meta, CAPABILITIES_META: answers.client_capabilities(meta.get(CAPABILITIES_META), self.party)},
        }

    async def _call(self, body: dict[str, Any], pending: Pending) -> dict[str, Any]:
        if unknown := body.keys() - _CALL_KEYS:
            raise bad_params(f"the guard does not know `{min(unknown)[:60]}` in a tool call")
        name, arguments = body.get("name"), body.get("arguments")
        if arguments is None:
            arguments = {}
        if not isinstance(name, str) or not 0 < len(name) <= MAX_NAME or not isinstance(arguments, dict):
            raise bad_params(f"a tool call has a `name` of at most {MAX_NAME} characters and an object `arguments`")
        party = self.party
        if incident := party.book.refusal(party.server.component, party.owner, name):
            raise await party.refuse(incident)
        # A number of its own: the ids of two sessions of one caller, whose labels are kept together, may be the same.
        call = ToolCall(f"mcp-{next(_NUMBERS)}", name, arguments, dump(arguments).decode())
        sent = await party.gate.call(party.caller, party.conversation, party.server, call, party.session)
        pending.call = call
        made = {**body, "arguments": sent} if "arguments" in body or sent else dict(body)
        if "inputResponses" in body:
            made["inputResponses"] = await party.texts("answer", body["inputResponses"])
        return made

    def _remember(self, at: str | int, pending: Pending) -> None:
        if len(self._asked) >= KEPT:
            for old in [key for key, one in self._asked.items() if one.done][: -KEPT // 2]:
                del self._asked[old]
        if len(self._asked) >= MAX_PENDING:
            raise OverLimit(f"over {MAX_PENDING} requests of this session wait for an answer")
        self._asked.pop(at, None)
        self._asked[at] = pending

    async def _answer_of_client(self, message: Message) -> Step:
        method = self._asked_back.pop(message.id, None) if message.id is not None else None
        if method is None:
            await self.party.incident(Incident("unscanned", "response", "an answer to a question that nobody asked"))
            return Step()
        try:
            return Step(onward=message.having(await self.party.texts("answer", message.body)))
        except GuardError as problem:
            # The server waits for an answer, and the client can't be told.
            refused = error(message.id, problem)
            return Step(onward=Message(Kind.ERROR, message.id, "", refused["error"], refused))

    # server -> client

    async def to_client(self, message: Message) -> Step:
        """A message from the server. Raises nothing of the GuardError family."""
        if message.kind is Kind.NOTIFICATION:
            try:
                return await self._note(message, server_notifications(self.version or ASSUMED), "log")
            except GuardError:
                return Step()
        if message.kind is Kind.REQUEST:
            return await self._question(message)
        pending = self._asked.get(message.id) if message.id is not None else None
        if pending is None:
            await self.party.incident(Incident("unscanned", "response", "an answer to a request that was never sent"))
            return Step()
        try:
            body = await self._answer(message, pending)
        except GuardError as problem:
            return Step(onward=self._failed(message.id, pending, problem))
        finally:
            pending.done = True
        return Step(onward=message.having(body) if body is not message.body else message)

    async def _answer(self, message: Message, pending: Pending) -> dict[str, Any]:
        if message.kind is Kind.ERROR:
            if message.body["code"] == URL_NEEDED and not self.party.allows("elicitation"):
                why = "the server asked the client for elicitation, which the settings don't allow"
                raise await self.party.refuse(Incident("unscanned", "elicitation", why))
            judged: dict[str, Any] = await self.party.texts("error", message.body)
            return judged
        if pending.method == "initialize":
            body = await answers.initialized(message.body, self.party)
            self.version = body["protocolVersion"]
            return body
        return await answers.judged(message.body, pending.method, pending.call, self.party)

    @staticmethod
    def _failed(at: str | int | None, pending: Pending, problem: GuardError) -> Message:
        """What the client gets in place of an answer that may not pass."""
        if pending.call is not None:
            made = result(at, answers.refused_call(problem))
            return Message(Kind.RESULT, at, "", made["result"], made)
        made = error(at, problem)
        return Message(Kind.ERROR, at, "", made["error"], made)

    def fail(self, at: str | int | None, problem: GuardError) -> Message:
        """The answer to a request that the server will not answer: it died, hung or sent nonsense."""
        pending = self._asked.get(at) if at is not None else None
        if pending is None:
            made = error(at, problem)
            return Message(Kind.ERROR, at, "", made["error"], made)
        # Should it answer after all, the client doesn't get a second answer.
        self._asked.pop(at, None)  # type: ignore[arg-type]
        return self._failed(at, pending, problem)

    def forget(self, at: str | int | None) -> None:
        """The client no longer waits for this answer; should it come, it passes like any other."""
        if at is not None and (pending := self._asked.get(at)) is not None:
            pending.done = True

    @property
    def waiting(self) -> list[str | int]:
        """Ids of requests without an answer."""
        return [at for at, one in self._asked.items() if not one.done]

    @property
    def owed(self) -> bool:
        """Whether the server owes an answer now: not to a subscription, and not while it waits for the client itself."""
        waits = any(not one.done and one.method != "subscriptions/listen" for one in self._asked.values())
        return waits and not self._asked_back

    async def _question(self, message: Message) -> Step:
        """The server asks the client."""
        ask = ASKS.get(message.method)
        known = message.method in server_requests(self.version or ASSUMED)
        if message.method == "ping" and known:
            return self._ask(message)
        try:
            if not known:
                await self.party.incident(Incident("unscanned", message.method, "a method that the guard doesn't know"))
                raise no_method(message.method)
            if not ask or not self.party.allows(ask):
                why = f"the server asked the client for {ask}, which the settings don't allow"
                raise await self.party.refuse(Incident("unscanned", message.method, why))
            kind: TextKind = answers.KINDS[ask]
            return self._ask(message.having(await self.party.texts(kind, message.body)))
        except GuardError as problem:
            return Step(back=error(message.id, problem))

    def _ask(self, message: Message) -> Step:
        assert message.id is not None
        if len(self._asked_back) >= MAX_PENDING:
            self._asked_back.popitem(last=False)
        self._asked_back[message.id] = message.method
        return Step(onward=message)

    async def _note(self, message: Message, known: frozenset[str], kind: TextKind | None = None) -> Step:
        if message.method not in known:
            await self.party.incident(
                Incident("unscanned", message.method, "a notification that the guard doesn't know")
            )
            return Step()
        if message.method == "notifications/cancelled":
            # The reason is for logs; nobody has to get it, and it could carry anything.
            return Step(onward=message.having({k: v for k, v in message.body.items() if k == "requestId"}))
        if kind and message.body:
            return Step(onward=message.having(await self.party.texts(kind, message.body)))
        return Step(onward=message)


def _without_secrets(message: Message) -> Message:
    """The message with what of its `_meta` is MCP's; clients put tokens and baggage there, which are not for servers."""
    meta = message.body.get("_meta")
    if not isinstance(meta, dict):
        return message
    kept = {key: value for key, value in meta.items() if key in _META or key.startswith("io.modelcontextprotocol/")}
    return message if len(kept) == len(meta) else message.having({**message.body, "_meta": kept})
