# SPDX-License-Identifier: Apache-2.0
"""The gateway as an ASGI application: which path is whose. One of the three edges at which every error becomes an answer."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable

from bastide.errors import GuardError, LedgerError, NotFound, Unavailable
from bastide.guard.gateway import approvals_api, model_call, operate
from bastide.guard.gateway.asgi import Disconnected, Receive, Scope, Send, respond
from bastide.guard.gateway.exchange import Exchange
from bastide.guard.gateway.runtime import Runtime
from bastide.guard.mcp.messages import error as json_rpc_error
from bastide.guard.protocol import (
    anthropic_count,
    anthropic_messages,
    openai_chat,
    openai_common,
    openai_embeddings,
    openai_responses,
)
from bastide.guard.protocol.interface import Answer, Codec
from bastide.guard.protocol.wire import encode

_log = logging.getLogger("bastide.guard")
Handler = Callable[[Exchange], Awaitable[None]]

CODECS: dict[str, Codec] = {
    "/v1/chat/completions": openai_chat,
    "/v1/responses": openai_responses,
    "/v1/embeddings": openai_embeddings,
    "/v1/messages": anthropic_messages,
    "/v1/messages/count_tokens": anthropic_count,
}
"""Path -> protocol."""


class Gateway:
    """Dispatches requests; knows nothing of what they say."""

    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime
        self._routes: dict[tuple[str, str], Handler] = {
            **{("POST", path): model_call.handler(codec) for path, codec in CODECS.items()},
            **{(method, path): handler for (method, path), handler in operate.ROUTES.items()},
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One connection's next request."""
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
        else:
            await self._http(Exchange(self.runtime, scope, receive, send, self.runtime.new_id()))

    async def _http(self, exchange: Exchange) -> None:
        try:
            await self._handler(exchange)(exchange)
        except Disconnected:
            self.runtime.metrics.disconnected()
        except GuardError as error:
            await self._refuse(exchange, error)
        except LedgerError as error:
            _log.error("the log can't be written: %s", error)
            refusal = Unavailable("the log can't be written, so nothing is passed on", code="log_unavailable")
            await self._refuse(exchange, refusal)
        except Exception:  # noqa: BLE001 - the gateway's edge
            # What nobody foresaw ends here: the caller learns nothing of the inside, the operator everything.
            _log.exception("defect while answering %s", exchange.id)
            await self._refuse(exchange, Unavailable("an internal error; nothing was passed on", code="internal_error"))

    def _handler(self, exchange: Exchange) -> Handler:
        method, path = exchange.scope["method"], exchange.scope["path"]
        handler = self._routes.get((method, path))
        if handler is not None:
            return handler
        if path.startswith("/mcp/"):
            return operate.mcp
        if path.startswith((approvals_api.PAGES, approvals_api.API)):
            return approvals_api.handle
        if path.startswith("/v1/models/") and method == "GET":
            return operate.model
        known = sorted({p for _, p in self._routes})
        message = f"{method} {path[:100]} is nothing that this guard serves"
        raise self.runtime.counted(NotFound(message, details={"paths": known}))

    async def _refuse(self, exchange: Exchange, error: GuardError) -> None:
        """Errors outside of a model's protocol; those inside are answered by its codec."""
        if exchange.started:
            return
        status, headers, document = _speaker(exchange.scope)(error, exchange.id)
        headers["content-type"] = "application/json"
        if challenge := error.details.get("www_authenticate"):
            headers["www-authenticate"] = str(challenge)
        if exchange.rest or error.code == "request_timeout":
            headers["connection"] = "close"
        await respond(exchange.send, status, encode(document), [(k.encode(), v.encode()) for k, v in headers.items()])

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                await self.runtime.start()
                await send({"type": "lifespan.startup.complete"})
            else:
                await self.runtime.stop()
                await send({"type": "lifespan.shutdown.complete"})
                return


def _speaker(scope: Scope) -> Callable[[GuardError, str], Answer]:
    """How errors are told to whoever asks for a path: in the protocol that it belongs to."""
    path: str = scope["path"]
    if codec := CODECS.get(path):
        return codec.error
    if path == "/mcp" or path.startswith("/mcp/"):
        return _json_rpc
    # The header is on every request of Anthropic's clients, whose paths are in part those of OpenAI's.
    if path.startswith("/v1/messages/") or any(name == b"anthropic-version" for name, _ in scope["headers"]):
        return anthropic_messages.error
    return openai_common.error


def _json_rpc(error: GuardError, _: str) -> Answer:
    """An error before any message was read; it has no place for the request's id, which is in a header of all answers."""
    return error.status, openai_common.error_headers(error), json_rpc_error(None, error)
