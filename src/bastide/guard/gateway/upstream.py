# SPDX-License-Identifier: Apache-2.0
"""Calls the providers of models: timeouts, retries that repeat nothing, circuit breakers, failover.

A call is repeated only when the first one cannot have had an effect: the connection was never made, or the provider itself answered that it
did not take the request (429, 503). With `repeatable` (nothing in the request makes the provider act) also after 500, 502, 504 and after a
connection that broke before the first byte. Never once a byte of an answer has gone on.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType

import aiohttp

from bastide.errors import GuardError, OverLimit, UpstreamError
from bastide.guard.gateway.breaker import Breaker
from bastide.guard.model import Ruling
from bastide.guard.settings import ModelRoute, Provider

NOT_TAKEN = frozenset({429, 503})
FAILED = frozenset({500, 502, 504, 529})
_PLAIN = frozenset({"content-type", "anthropic-version"})
_SHORT = 8
"""Characters; a shorter value occurs by chance."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One provider to try, and what to send to it."""

    route: ModelRoute
    """The model that would answer."""
    ruling: Ruling
    """Why the request may go to it."""
    provider: Provider
    path: str
    """Below the provider's base address."""
    body: bytes
    headers: Mapping[str, str]
    """Complete, the credential included. Never logged."""

    @property
    def secrets(self) -> tuple[str, ...]:
        """What in the headers must not be told to anybody."""
        return tuple(v.removeprefix("Bearer ") for k, v in self.headers.items() if k not in _PLAIN and len(v) >= _SHORT)


class Answer:
    """A provider's answer, its body not yet read. Use it as an async context manager."""

    def __init__(self, response: aiohttp.ClientResponse, attempt: Attempt, deadline: float) -> None:
        self._response = response
        self._deadline = deadline
        self.attempt = attempt
        self.status = response.status
        self.headers: Mapping[str, str] = response.headers

    async def __aenter__(self) -> Answer:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # An unread rest makes the connection unusable for the next call.
        if self._response.content.at_eof():
            self._response.release()
        else:
            self._response.close()

    async def read(self, limit: int) -> bytes:
        """The whole body. Raises `UpstreamError` when it is longer than `limit`, stops coming or breaks off."""
        content = self._response.content
        if content.is_eof() and content.exception() is None and not content.at_eof():
            # All of it came with the headers, as short answers do.
            whole = content.read_nowait(-1)
            if len(whole) <= limit:
                return whole
            raise UpstreamError(f"the provider's answer has over {limit} bytes", code="upstream_too_large")
        parts, size = [], 0
        async for chunk in self.chunks():
            parts.append(chunk)
            size += len(chunk)
            if size > limit:
                raise UpstreamError(f"the provider's answer has over {limit} bytes", code="upstream_too_large")
        return parts[0] if len(parts) == 1 else b"".join(parts)

    async def chunks(self) -> AsyncIterator[bytes]:
        """The body as it comes. Raises `UpstreamError` on a silence longer than the provider's `idle_timeout`, or when it breaks off."""
        content = self._response.content
        idle = self.attempt.provider.idle_timeout
        while True:
            try:
                async with asyncio.timeout(min(idle, self._deadline - time.monotonic())):
                    chunk = await content.readany()
            except TimeoutError:
                raise UpstreamError(
                    "the provider went silent in the middle of its answer", code="upstream_timeout"
                ) from None
            except aiohttp.ClientError:
                raise UpstreamError(
                    "the provider broke off in the middle of its answer", code="upstream_broken"
                ) from None
            if not chunk:
                return
            yield chunk


class Upstreams:
    """All providers, with one connection pool and a breaker for each address."""

    def __init__(self, clock: Callable[[], float] = time.monotonic, pause: float = 0.2) -> None:
        self._clock = clock
        self._pause = pause
        self._session: aiohttp.ClientSession | None = None
        self._breakers: dict[str, Breaker] = {}

    @property
    def session(self) -> aiohttp.ClientSession:
        """The connection pool; made on first use, inside the running loop."""
        if self._session is None or self._session.closed:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0, limit_per_host=0, keepalive_timeout=30, ttl_dns_cache=60),
                timeout=aiohttp.ClientTimeout(total=None),
                # A cookie or a redirect of one caller's answer must not shape another's request.
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=True,
                skip_auto_headers=("User-Agent",),
            )
        return self._session

    async def close(self) -> None:
        """Closes the pool."""
        if self._session is not None:
            await self._session.close()

    def states(self) -> Mapping[str, str]:
        """Base address -> state of its breaker, for metrics and readiness."""
        return {url: breaker.state for url, breaker in self._breakers.items()}

    async def call(self, attempts: Sequence[Attempt], repeatable: bool) -> Answer:
        """The first answer that counts, of the attempts in their order; each may be repeated once.

        An answer that says the request is wrong (4xx) counts. Raises `UpstreamError` when no attempt gave one.
        """
        last: GuardError = UpstreamError("no provider is configured for this model")
        for attempt in attempts:
            breaker = self._breaker(attempt)
            for again in (False, True):
                if not breaker.admit():
                    last = UpstreamError(
                        "the provider keeps failing; it is tried again soon", code="upstream_unavailable",
                        retry_after=breaker.retry_after(),
                    )  # fmt: skip
                    break
                try:
                    answer = await self._once(attempt)
                except _Failure as failure:
                    breaker.failed()
                    last = failure.error
                    if not (failure.before_sending or repeatable):
                        raise last from None
                except BaseException:
                    breaker.undecided()
                    raise
                else:
                    if self._counts(answer, breaker, repeatable):
                        return answer
                    last = _refused(answer)
                    async with answer:
                        pass
                if not again:
                    await asyncio.sleep(self._pause)
        raise last

    def _counts(self, answer: Answer, breaker: Breaker, repeatable: bool) -> bool:
        if answer.status in NOT_TAKEN:
            # Too many requests is an answer about the caller, not a broken provider; another provider may still take it.
            breaker.undecided() if answer.status == 429 else breaker.failed()
            return False
        if answer.status in FAILED:
            breaker.failed()
            return not repeatable
        breaker.succeeded()
        return True

    def _breaker(self, attempt: Attempt) -> Breaker:
        return self._breakers.setdefault(attempt.provider.url, Breaker(self._clock))

    async def _once(self, attempt: Attempt) -> Answer:
        provider = attempt.provider
        deadline = time.monotonic() + provider.total_timeout
        try:
            async with asyncio.timeout(provider.connect_timeout + provider.first_byte_timeout):
                response = await self.session.post(
                    provider.url + attempt.path,
                    data=attempt.body,
                    headers=attempt.headers,
                    allow_redirects=False,
                    timeout=aiohttp.ClientTimeout(total=None, sock_connect=provider.connect_timeout),
                )
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError):
            raise _Failure("the provider can't be reached", "upstream_unreachable", before_sending=True) from None
        except TimeoutError:
            raise _Failure("the provider did not answer in time", "upstream_timeout") from None
        except (aiohttp.ClientError, OSError):
            raise _Failure("the provider broke the connection", "upstream_broken") from None
        if 300 <= response.status < 400:
            response.close()
            raise _Failure("the provider answered with a redirect, which is not followed", "upstream_redirect")
        return Answer(response, attempt, deadline)


def _refused(answer: Answer) -> GuardError:
    wait = answer.headers.get("retry-after", "")
    seconds = float(wait) if wait.isdigit() and len(wait) < 6 else 0.0
    if answer.status == 429:
        return OverLimit("the provider's own rate limit is reached", code="upstream_rate_limited", retry_after=seconds)
    return UpstreamError(f"the provider answered {answer.status}", retry_after=seconds)


class _Failure(Exception):
    """No answer came. `before_sending`: the request cannot have reached the other side."""

    def __init__(self, message: str, code: str, before_sending: bool = False) -> None:
        super().__init__(message)
        self.error = UpstreamError(message, code=code)
        self.before_sending = before_sending
