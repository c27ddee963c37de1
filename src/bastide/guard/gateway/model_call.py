# SPDX-License-Identifier: Apache-2.0
"""One call of a model through the guard, from the client's bytes to the client's bytes.

authenticate → decode → read (scan, label) → may it go there? → budget → provider → judge the answer → log → answer.
Whatever fails on the way ends in the protocol's own error, is logged as what it was, and gives back what it had reserved.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator

from bastide.errors import GuardError, Unavailable, UpstreamError
from bastide.guard.conversations import name_in
from bastide.guard.engine import Engine
from bastide.guard.events import Request, Role, Text, ToolResult, Usage
from bastide.guard.flow.session import mark
from bastide.guard.gateway.asgi import EVENT_STREAM, JSON, Disconnected, Stream, respond
from bastide.guard.gateway.attempts import attempts_at, cost, input_tokens, reckon, tokens
from bastide.guard.gateway.exchange import Exchange
from bastide.guard.gateway.judge import Judge
from bastide.guard.gateway.trace import Trace
from bastide.guard.gateway.upstream import Answer
from bastide.guard.limits.signals import Signal
from bastide.guard.model import CLASSES, Action, Ruling
from bastide.guard.protocol.anthropic_count import NAME as COUNTING
from bastide.guard.protocol.interface import Codec, StreamFilter
from bastide.guard.protocol.wire import decode, encode
from bastide.guard.settings import ModelRoute


def handler(codec: Codec) -> Callable[[Exchange], Awaitable[None]]:
    """The handler of a protocol's path."""

    async def handle(exchange: Exchange) -> None:
        with exchange.runtime.place():
            await ModelCall(exchange, codec).run()

    return handle


class ModelCall:
    """One call."""

    def __init__(self, exchange: Exchange, codec: Codec) -> None:
        self._exchange = exchange
        self._runtime = exchange.runtime
        self._engine = exchange.runtime.engine
        self._codec = codec
        self._serving: ModelRoute
        self._trace = Trace(exchange.id, codec.NAME, self._engine.version)

    async def run(self) -> None:
        """Does it. Raises the `GuardError` that ends it, after it was logged."""
        trace = self._trace
        try:
            await self._run()
        except GuardError as error:
            trace.failed(error)
            self._runtime.blame(trace, error)
            await self._record()
            raise
        except (Disconnected, asyncio.CancelledError):
            # Cancelled: the guard stops, and this took longer than it waits.
            trace.aborted()
            await self._record()
            raise
        except Exception as defect:
            trace.failed(Unavailable(f"defect: {type(defect).__name__}", code="internal_error"))
            await self._record()
            raise

    async def _run(self) -> None:
        exchange, engine, trace = self._exchange, self._engine, self._trace
        trace.caller = caller = await exchange.caller()
        self._runtime.quarantine.check(caller)
        request = self._codec.request(decode(await exchange.body()))
        trace.asked_for(request)
        route = engine.route(request.model)
        self._serving, trace.component = route, route.component
        trace.conversation = name = name_in(exchange.headers)
        self._watch(self._runtime.signals.prompted(caller, _asked(request)))
        marks = {id(turn): mark(turn) for turn in request.turns}
        conversations = self._runtime.conversations
        if request.protocol == COUNTING:
            conversation = conversations.aside(engine, caller, name)
        else:
            conversation = conversations.of(engine, caller, name, request, marks)
        trace.took(conversation.read(request, marks, outside=engine.leaves(route)))
        trace.label = label = conversation.session.label
        for role, class_, text in _new(request, engine):
            trace.said(role, class_, text)
        destinations = engine.destinations(caller, route, _action(request), label)
        self._goes(*destinations[0])
        document = self._codec.rewrite(request.document, trace.edits) if trace.edits else request.document
        attempts = list(attempts_at(destinations, self._codec.NAME, document, self._runtime.credentials))
        reserved = await self._runtime.limits.reserve(caller, *reckon(request, attempts))
        judge = Judge(self._runtime, conversation, trace)
        try:
            async with (
                exchange.attended(),
                await self._runtime.upstreams.call(attempts, _repeatable(request)) as answer,
            ):
                self._goes(answer.attempt.route, answer.attempt.ruling)
                if answer.status >= 400:
                    raise await self._refused(answer)
                await (self._stream if request.stream else self._whole)(answer, request, judge)
            if trace.reply_id and request.protocol == "openai.responses":
                conversations.answered(conversation, trace.reply_id)
        finally:
            self._count(request, judge)
            self._watch(self._runtime.signals.answered(caller, trace.usage.output))
            await self._runtime.limits.settle(reserved, trace.usage.input + trace.usage.output, trace.cost)
        await self._record()

    def _goes(self, route: ModelRoute, ruling: Ruling) -> None:
        """Notes which model the request goes to and why it may: at last the one that answered."""
        self._serving = route
        self._trace.component = route.component
        self._trace.ruled(ruling)

    def _count(self, request: Request, judge: Judge) -> None:
        """Sets what was used and what it costs: before it is logged, and once more when all has ended."""
        trace = self._trace
        if judge.size and trace.usage == Usage():
            # Answers without numbers, and those that broke off, cost something too.
            trace.usage = Usage(input_tokens(request), tokens(judge.size))
        trace.cost = cost(trace.usage, self._serving)

    def _watch(self, signal: Signal | None) -> None:
        if signal is not None:
            self._trace.signal(signal.name, signal.subject, signal.why)

    async def _refused(self, answer: Answer) -> GuardError:
        """What the caller is told of a provider's refusal."""
        if answer.status in (401, 403):
            # The guard's own credential is wrong; that is not the caller's business, and its text may name the key.
            return UpstreamError("the provider refused the guard's credential", code="upstream_credential")
        said = _message((await answer.read(65_536)).decode("utf-8", "replace"))
        for credential in answer.attempt.secrets:
            said = said.replace(credential, "[credential]")
        error = UpstreamError(f"the provider refused the request ({answer.status}): {said}", code="upstream_refused")
        if answer.status in (400, 404, 409, 413, 422):
            error.status = answer.status
        return error

    async def _whole(self, answer: Answer, request: Request, judge: Judge) -> None:
        trace = self._trace
        body = await answer.read(self._engine.settings.bounds.reply)
        reply = self._codec.reply(decode(body, UpstreamError, "the provider's answer"))
        trace.usage, trace.reply_id = reply.usage, reply.id
        document = judge.whole(self._codec, reply)
        # Only what was decoded goes on: then nothing can be read in two ways.
        data = encode(document)
        trace.said("assistant", trace.label.confidentiality, judge.said)
        self._count(request, judge)
        await self._record()
        await respond(self._exchange.send, 200, data, JSON)

    async def _stream(self, answer: Answer, request: Request, judge: Judge) -> None:
        trace = self._trace
        out = Stream(self._exchange.send, EVENT_STREAM, write_timeout=self._engine.settings.bounds.read_timeout)
        filter_ = self._codec.filter(judge)
        try:
            cause = await self._pass(answer, filter_, out)
            rest = filter_.finish()
        finally:
            trace.usage, trace.reply_id = filter_.usage, filter_.reply_id
            trace.said("assistant", trace.label.confidentiality, judge.said)
        if filter_.error is not None:
            error = cause or filter_.error
            if not out.started:
                # Nothing has gone on yet: a plain error, with its status.
                raise error
            # The client has half an answer; the only honest end is the error in the stream.
            trace.failed(error)
            self._runtime.blame(trace, error)
        self._count(request, judge)
        await self._record()
        if rest:
            await out.write(rest)
        await out.end()

    async def _pass(self, answer: Answer, filter_: StreamFilter, out: Stream) -> UpstreamError | None:
        """Passes on what may go on while it comes; the error of the provider that ended it early."""
        size, limit = 0, self._engine.settings.bounds.reply
        try:
            async for chunk in answer.chunks():
                size += len(chunk)
                if size > limit:
                    raise UpstreamError(f"the provider's answer has over {limit} bytes", code="upstream_too_large")
                data = filter_.feed(chunk)
                if data and (out.started or filter_.error is None):
                    if not out.started:
                        # Nothing goes on that isn't in the log; the entry of the request comes at the end.
                        self._trace.began()
                        self._runtime.record(self._trace.take())
                    await out.write(data)
                if filter_.error is not None:
                    break
        except UpstreamError as error:
            return error
        return None

    async def _record(self) -> None:
        """Writes the log entry, once, and afterwards what became known later, such as a signal that the answer's size gives."""
        if not self._trace.recorded:
            self._trace.recorded = True
            self._runtime.record(self._trace.entries())
            self._runtime.metrics.request(self._trace)
        elif later := self._trace.take():
            self._runtime.record(later)


def _asked(request: Request) -> str:
    """What the user said last."""
    for turn in reversed(request.turns):
        if turn.role is Role.USER:
            return "\n".join(p.text for p in turn.parts if isinstance(p, Text))
    return ""


def _new(request: Request, engine: Engine) -> Iterator[tuple[str, int, str]]:
    """What came since the model last spoke: role, class and text, without prompts, which are the program's own.

    What came before stands in the log of earlier requests.
    """
    last = max((i for i, turn in enumerate(request.turns) if turn.role is Role.ASSISTANT), default=-1)
    for turn in request.turns[last + 1 :]:
        label = engine.origins.get(turn.role)
        for part in turn.parts:
            if isinstance(part, Text) and turn.role is Role.USER:
                yield turn.role.value, label.confidentiality if label else len(CLASSES) - 1, part.text
            elif isinstance(part, ToolResult):
                class_ = engine.meaning(part.name).result.confidentiality
                yield from ((turn.role.value, class_, p.text) for p in part.content if isinstance(p, Text))


def _action(request: Request) -> Action:
    return Action.EMBED if request.protocol == "openai.embeddings" else Action.INVOKE_MODEL


def _repeatable(request: Request) -> bool:
    """Whether calling twice has no effect but the bill: nothing in it makes the provider act or store."""
    document = request.document
    return not (document.get("store") or document.get("background") or request.opaque)


def _message(said: str) -> str:
    """The sentence in a provider's error document."""
    try:
        error = decode(said).get("error", {})
        text = error.get("message", "") if isinstance(error, dict) else str(error)
    except (GuardError, AttributeError):
        text = ""
    return " ".join(str(text).split())[:500] or "no reason given"
