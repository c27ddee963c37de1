# SPDX-License-Identifier: Apache-2.0
"""What operators and clients ask about the guard itself: health, readiness, metrics, models, reloading; and the way to MCP servers."""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from bastide.errors import BastideError, Denied, GuardError, Malformed, NotFound
from bastide.guard.conversations import name_in
from bastide.guard.events import Role
from bastide.guard.gateway.asgi import respond
from bastide.guard.gateway.exchange import Exchange
from bastide.guard.model import Action, Caller, Effect
from bastide.guard.protocol import anthropic_messages, openai_chat
from bastide.guard.protocol.wire import encode

OPERATOR = "operate"
"""The role that may see metrics and reload the policy."""


async def health(exchange: Exchange) -> None:
    """The process answers."""
    await _answer(exchange, {"status": "ok"})


async def ready(exchange: Exchange) -> None:
    """Whether it takes requests now; 503 while it drains."""
    runtime = exchange.runtime
    state = "draining" if runtime.draining else "ready"
    document = {"status": state, "policy": runtime.engine.version, "in_flight": runtime.in_flight}
    await _answer(exchange, document, 503 if runtime.draining else 200)


async def metrics(exchange: Exchange) -> None:
    """Metrics in Prometheus' text format."""
    await _operator(exchange)
    body = exchange.runtime.metrics.text(exchange.runtime)
    await respond(exchange.send, 200, body, [(b"content-type", b"text/plain; version=0.0.4; charset=utf-8")])


async def models(exchange: Exchange) -> None:
    """The models that the caller may use."""
    with exchange.logged("operate") as trace:
        trace.caller = await exchange.caller()
    await _answer(exchange, _dialect(exchange).models(_names(exchange, trace.caller)))


async def model(exchange: Exchange) -> None:
    """One of them."""
    name = exchange.scope["path"].removeprefix("/v1/models/")
    with exchange.logged("operate") as trace:
        trace.caller = await exchange.caller()
    listed = _dialect(exchange).models([n for n in _names(exchange, trace.caller) if n == name])
    if not listed["data"]:
        raise NotFound(f"no model `{name[:100]}` is served here", code="model_not_found")
    await _answer(exchange, listed["data"][0])


async def reload(exchange: Exchange) -> None:
    """Compiles the policy anew."""
    await _operator(exchange)
    try:
        version = await exchange.runtime.reload()
    except GuardError:
        raise
    except BastideError as problem:
        raise Malformed(f"the old policy stays in force:\n{problem}", code="policy_error") from None
    await _answer(exchange, {"policy": version})


async def mcp(exchange: Exchange) -> None:
    """An MCP server behind the guard."""
    name = exchange.scope["path"].split("/")[2]
    with exchange.logged("mcp") as trace:
        trace.caller = caller = await exchange.caller()
        server = next((s for s in exchange.runtime.engine.settings.mcp if s.component == name), None)
        if server is None:
            raise NotFound(f"no MCP server `{name[:60]}` is served here")
        conversation = name_in(exchange.headers)
    # A GET is a stream that stays open for as long as the client likes; it does no work meanwhile.
    place = exchange.runtime.place() if exchange.scope["method"] == "POST" else contextlib.nullcontext()
    with place:
        await exchange.runtime.mcp.handle(exchange.scope, exchange.receive, exchange.send, caller, server, conversation)


Handler = Callable[[Exchange], Awaitable[None]]
ROUTES: Mapping[tuple[str, str], Handler] = {
    ("GET", "/healthz"): health,
    ("GET", "/readyz"): ready,
    ("GET", "/metrics"): metrics,
    ("GET", "/v1/models"): models,
    ("POST", "/guard/api/reload"): reload,
}


async def _operator(exchange: Exchange) -> None:
    with exchange.logged("operate") as trace:
        trace.caller = await exchange.caller()
        if OPERATOR not in trace.caller.roles:
            raise Denied(f"this needs the role `{OPERATOR}`", code="role_missing")


def _names(exchange: Exchange, caller: Caller) -> list[str]:
    """Names without patterns, of the models to which the caller may send what a user says."""
    engine = exchange.runtime.engine
    label = engine.origins[Role.USER]
    found: list[str] = []
    for route in engine.settings.models:
        actions = (Action.INVOKE_MODEL, Action.EMBED)
        if any(engine.may_send(caller, route, action, label).effect is Effect.ALLOW for action in actions):
            found += [name for name in route.names if "*" not in name]
    return found


def _dialect(exchange: Exchange) -> Any:
    return anthropic_messages if "anthropic-version" in exchange.headers else openai_chat


async def _answer(exchange: Exchange, document: Any, status: int = 200) -> None:
    await respond(exchange.send, status, encode(document))
