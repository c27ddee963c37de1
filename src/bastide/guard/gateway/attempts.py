# SPDX-License-Identifier: Apache-2.0
"""What is sent to the providers of a request's models, and what it may cost there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from bastide.errors import NotFound
from bastide.guard.events import Request, Usage
from bastide.guard.gateway.upstream import Attempt
from bastide.guard.identity.credentials import Credentials
from bastide.guard.model import Ruling
from bastide.guard.protocol.anthropic_count import NAME as COUNTING
from bastide.guard.protocol.wire import encode
from bastide.guard.settings import ModelRoute, Provider

PATHS: Mapping[str, str] = {
    "openai.chat": "/chat/completions",
    "openai.responses": "/responses",
    "openai.embeddings": "/embeddings",
    "anthropic.messages": "/messages",
    COUNTING: "/messages/count_tokens",
}
"""Protocol -> path below a provider's base address."""
ASSUMED_OUTPUT = 1000
"""Tokens that an answer is reckoned to have when the request doesn't limit it."""
CHARACTERS_PER_TOKEN = 3.5


def attempts_at(
    destinations: Sequence[tuple[ModelRoute, Ruling]], protocol: str, document: Any, credentials: Credentials
) -> Iterator[Attempt]:
    """The providers to try that speak the protocol, with the body and the credential of each.

    destinations: the models that may have the document, in the order in which they are tried. Raises `Unavailable` for a credential
    that can't be read, `NotFound` when no provider speaks the protocol.
    """
    family, found = protocol.split(".", maxsplit=1)[0], False
    for route, ruling in destinations:
        name = route.upstream_name
        body = encode({**document, "model": name} if name else document)
        for provider in route.providers:
            if provider.protocol == family:
                found = True
                headers = {**_headers(provider), **_credential(provider, credentials)}
                yield Attempt(route, ruling, provider, PATHS[protocol], body, headers)
    if not found:
        named = destinations[0][0].component
        words = f"no provider of the model `{named}` speaks the protocol of this request ({family})"
        raise NotFound(f"{words}; ask for it with a client of the protocol that it speaks", code="model_not_found")


def _credential(provider: Provider, credentials: Credentials) -> Mapping[str, str]:
    if provider.key is None:
        return {}
    key = credentials.get(provider.key)
    return {"x-api-key": key} if provider.protocol == "anthropic" else {"authorization": f"Bearer {key}"}


def _headers(provider: Provider) -> dict[str, str]:
    """No header of the client's goes on: none is needed, and each could carry a credential."""
    found = {"content-type": "application/json", **provider.headers}
    if provider.protocol == "anthropic":
        found.setdefault("anthropic-version", "2023-06-01")
    return found


def reckon(request: Request, attempts: Sequence[Attempt]) -> tuple[int, float]:
    """Tokens and cost that a request may need at most, as far as one can tell before: at the dearest model that may answer.

    Counting tokens is free of charge.
    """
    if request.protocol == COUNTING:
        return 0, 0.0
    used = Usage(input_tokens(request), request.max_tokens or ASSUMED_OUTPUT)
    return used.input + used.output, max((cost(used, attempt.route) for attempt in attempts), default=0.0)


def input_tokens(request: Request) -> int:
    """Tokens of a request, about."""
    return tokens(sum(len(p.text) for t in request.turns for p in t.parts if hasattr(p, "text")))


def tokens(characters: int) -> int:
    """Tokens of a text with so many characters, about."""
    return int(characters / CHARACTERS_PER_TOKEN) + 1


def cost(usage: Usage, route: ModelRoute) -> float:
    """What it costs at a model, in the currency of the settings' prices."""
    return (usage.input * route.input_price + usage.output * route.output_price) / 1e6
