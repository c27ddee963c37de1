# SPDX-License-Identifier: Apache-2.0
"""All credentials of a request together become one caller, or the request is refused.

Several credentials are fine when they say the same; when they disagree, somebody in between added one.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from hashlib import sha256

from msgspec.structs import replace

from bastide.errors import Unauthenticated
from bastide.guard.identity.certificates import Certificates
from bastide.guard.identity.keys import KeyHolder, Keys
from bastide.guard.identity.keysets import Fetch
from bastide.guard.identity.tokens import Tokens, Verified, hint
from bastide.guard.model import Caller
from bastide.guard.settings import Settings

CACHED = 10_000
"""Tokens that are remembered as verified."""
USER_HEADER = "x-bastide-user"
_KEY_HEADERS = ("x-api-key", "api-key")
_USER = 256


class HeaderAuthenticator:
    """The `Authenticator` of the gateway."""

    def __init__(
        self,
        settings: Settings,
        *,
        fetch: Fetch | None = None,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Parameters: `fetch` gets key sets, over https when it is None; `clock` is Unix time.

        Raises `SettingsError` for callers that can't be as they are written.
        """
        self._clock = clock
        self._keys = Keys(settings.keys)
        self._tokens = Tokens(settings.issuers, settings.folder, fetch, clock, monotonic)
        self._certificates = Certificates(settings.certificates) if settings.certificates else None
        self._verified: OrderedDict[bytes, Verified] = OrderedDict()

    async def authenticate(self, headers: Mapping[str, str], peer: str) -> Caller:
        """Who calls, from lower-case header names and the peer's address.

        Raises `Unauthenticated`, and `Unavailable` when an issuer's keys can't be had.
        """
        caller: Caller | None = None
        holder: KeyHolder | None = None
        presented = _presented(headers)
        if presented is not None:
            if _is_token(presented):
                caller = await self._token(presented)
            else:
                holder = self._keys.find(presented, self._clock())
                caller = holder.caller
        if self._certificates is not None and (subject := headers.get(self._certificates.header)) is not None:
            certified = self._certificates.caller(subject, peer)
            if caller is not None and caller.agent != certified.agent:
                raise _disagree()
            caller = caller or certified
        if caller is None:
            raise Unauthenticated(
                "no credential: send `Authorization: Bearer` with an API key or a token, or `x-api-key`", details=hint()
            )
        user = headers.get(USER_HEADER)
        return caller if user is None else _named(caller, holder, user)

    async def close(self) -> None:
        """Stops what runs in the background."""
        await self._tokens.close()

    async def _token(self, token: str) -> Caller:
        digest = sha256(token.encode("utf-8", "surrogatepass")).digest()
        known = self._verified.get(digest)
        if known is not None:
            await known.keys.current()
            if self._clock() < known.expires and known.generation == known.keys.generation:
                self._verified.move_to_end(digest)
                return known.caller
            # Another request may have dropped it while this one waited.
            self._verified.pop(digest, None)
        verified = await self._tokens.verify(token)
        self._verified[digest] = verified
        if len(self._verified) > CACHED:
            self._verified.popitem(last=False)
        return verified.caller


def _presented(headers: Mapping[str, str]) -> str | None:
    """The one key or token that the headers hold, None without any. Raises `Unauthenticated` for two different ones."""
    found = [_bearer(headers["authorization"])] if "authorization" in headers else []
    found += [headers[name].strip() for name in _KEY_HEADERS if name in headers]
    for one in found:
        # A comma is what two headers of one name become on their way.
        if not one or "," in one or not one.isascii() or not one.isprintable() or " " in one:
            raise Unauthenticated(
                "the credential can't be read", code="malformed_credential", details=hint("invalid_request")
            )
    if len(set(found)) > 1:
        raise _disagree()
    return found[0] if found else None


def _bearer(value: str) -> str:
    scheme, _, credential = value.strip().partition(" ")
    if scheme.lower() != "bearer":
        raise Unauthenticated(
            "`Authorization` has to be `Bearer` and a key or a token",
            code="malformed_credential",
            details=hint("invalid_request"),
        )
    return credential.strip()


def _is_token(presented: str) -> bool:
    return presented.startswith("ey") and presented.count(".") == 2


def _named(caller: Caller, holder: KeyHolder | None, user: str) -> Caller:
    """The caller with the user that a trusted agent names."""
    if caller.user and user == caller.user:
        return caller
    if holder is None or not holder.may_name_user:
        raise Unauthenticated(f"this credential may not name a user in `{USER_HEADER}`", code="user_not_allowed")
    if (
        not 0 < len(user) <= _USER
        or "," in user
        or not user.isascii()
        or not user.isprintable()
        or user != user.strip()
    ):
        raise Unauthenticated(
            f"`{USER_HEADER}` is a name of at most {_USER} printable ASCII characters without a comma",
            code="malformed_user",
        )
    return replace(caller, user=user, actor=holder.actor)


def _disagree() -> Unauthenticated:
    return Unauthenticated("the request holds several credentials that disagree", code="credentials_disagree")
