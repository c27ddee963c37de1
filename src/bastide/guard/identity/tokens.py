# SPDX-License-Identifier: Apache-2.0
"""Tokens of OIDC issuers (RFC 7519, 8725, 9068), and who acts for whom in them (`act` chains of RFC 8693).

A token is believed when a pinned algorithm and a key of exactly its issuer signed it, for this audience, at this time. Nothing in its
header chooses how it is checked: keys or addresses of keys in it are refused.
"""

from __future__ import annotations

import json
import time
from base64 import urlsafe_b64decode
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from joserfc import jws
from joserfc._rfc7515.model import JWSAlgModel
from joserfc.errors import JoseError, UnsupportedAlgorithmError
from joserfc.jwk import Key

from bastide.errors import Diagnostic, SettingsError, Unauthenticated
from bastide.guard.identity.keysets import Fetch, KeySet
from bastide.guard.model import CLASSES, Caller
from bastide.guard.settings import Issuer

LONGEST = 16 * 1024
"""Characters of a token."""
LEEWAY = 60.0
"""Seconds by which clocks may differ."""
ACTORS = 8
"""Depth of an `act` chain."""
NAME = 512
"""Characters of a name in a claim."""
VALUES = 64
"""Values of a claim with several."""

_TYPES: Mapping[str, frozenset[str]] = {
    **dict.fromkeys(("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"), frozenset({"RSA"})),
    **dict.fromkeys(("ES256", "ES384", "ES512"), frozenset({"EC"})),
    **dict.fromkeys(("EdDSA", "Ed25519"), frozenset({"OKP"})),
}
"""Signature algorithm -> types of key. No symmetric one: with it, who can check can also sign."""
_LAST = 1e15
"""Seconds; no time is later, and larger numbers don't fit what reckons with them."""
_KINDS = frozenset({"jwt", "at+jwt", "application/at+jwt"})


class _Registry(jws.JWSRegistry):
    """Knows one algorithm. The library's own warns at each use of `EdDSA`, whose only fault is that it doesn't name its curve."""

    max_header_length = 4096
    max_payload_length = LONGEST

    def __init__(self, algorithm: str) -> None:
        super().__init__(algorithms=[algorithm], strict_check_header=False)
        self._algorithm = algorithm

    def get_alg(self, name: str) -> JWSAlgModel:
        if name != self._algorithm:
            raise UnsupportedAlgorithmError(name)
        return self.algorithms[name]


_REGISTRIES = {name: _Registry(name) for name in _TYPES}


@dataclass(frozen=True, slots=True)
class Verified:
    """A token that was believed."""

    caller: Caller
    expires: float
    """Unix time, leeway included."""
    keys: KeySet
    generation: int
    """Of the keys with which it was checked."""


class Tokens:
    """All issuers of the settings."""

    def __init__(
        self,
        issuers: Iterable[Issuer],
        folder: Path,
        fetch: Fetch | None = None,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Raises `SettingsError` for an issuer that stands there twice or with an algorithm that isn't safe."""
        self._issuers: dict[str, tuple[Issuer, KeySet]] = {}
        self._clock = clock
        for issuer in issuers:
            if unsafe := [name for name in issuer.algorithms if name not in _TYPES]:
                raise SettingsError(
                    Diagnostic(
                        f"`{unsafe[0]}` is no algorithm for this: known are {', '.join(_TYPES)}", issuer.location
                    )
                )
            if issuer.issuer in self._issuers or not (issuer.issuer and issuer.audience):
                raise SettingsError(
                    Diagnostic("each issuer stands there once, with its name and an audience", issuer.location)
                )
            self._issuers[issuer.issuer] = (issuer, KeySet(issuer.jwks, folder, fetch, monotonic))

    async def verify(self, token: str) -> Verified:
        """Who a token stands for. Raises `Unauthenticated`, and `Unavailable` when the issuer's keys can't be had."""
        header, claims = _parts(token)
        issuer, keys = self._issuer(claims)
        algorithm = _algorithm(header, issuer)
        kid = header.get("kid")
        if kid is not None and not (isinstance(kid, str) and 0 < len(kid) <= NAME):
            raise _refused("its key id is no name")
        candidates = await keys.find(kid, _TYPES[algorithm])
        if not candidates:
            raise _refused("its issuer has no such key")
        generation = keys.generation
        if not any(_signed(token, key, algorithm) for key in candidates):
            raise _refused("its signature is not valid")
        expires = _in_time(claims, self._clock())
        _for_us(claims, issuer)
        return Verified(_caller(claims, issuer), expires, keys, generation)

    async def close(self) -> None:
        """Stops what runs in the background."""
        for _, keys in self._issuers.values():
            await keys.close()

    def _issuer(self, claims: Mapping[str, Any]) -> tuple[Issuer, KeySet]:
        name = claims.get("iss")
        found = self._issuers.get(name) if isinstance(name, str) else None
        if found is None:
            raise _refused("its issuer is not known here")
        return found


def _signed(token: str, key: Key, algorithm: str) -> bool:
    try:
        jws.deserialize_compact(token, key, [algorithm], _REGISTRIES[algorithm])
    except (JoseError, ValueError, TypeError):
        return False
    return True


def _parts(token: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Header and claims, not yet believed."""
    pieces = token.split(".")
    if len(token) > LONGEST or len(pieces) != 3:
        raise _refused("it is no signed token, or too long")
    return _object(pieces[0]), _object(pieces[1])


def _object(piece: str) -> dict[str, Any]:
    if not (piece.isascii() and piece.replace("-", "a").replace("_", "a").isalnum()):
        raise _refused("it can't be read")
    try:
        value = json.loads(
            urlsafe_b64decode(piece + "=" * (-len(piece) % 4)), object_pairs_hook=_unique, parse_constant=_no_constant
        )
    except (ValueError, RecursionError):
        raise _refused("it can't be read") from None
    if not isinstance(value, dict):
        raise _refused("it can't be read")
    return value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        # Of two claims with one name, two readers may take different ones.
        raise ValueError("a name occurs twice")
    return found


def _no_constant(word: str) -> Any:
    raise ValueError(f"{word} is no JSON")


def _algorithm(header: Mapping[str, Any], issuer: Issuer) -> str:
    algorithm = header.get("alg")
    if not isinstance(algorithm, str) or algorithm not in issuer.algorithms:
        raise _refused("its algorithm is not one of its issuer's")
    if any(name in header for name in ("jwk", "jku", "x5c", "x5u", "crit", "b64", "zip")):
        raise _refused("its header wants to say how it is checked")
    kind = header.get("typ", "jwt")
    if not isinstance(kind, str) or kind.lower() not in _KINDS:
        raise _refused("it is a token for something else (`typ`)")
    return algorithm


def _in_time(claims: Mapping[str, Any], now: float) -> float:
    expires = _time(claims, "exp")
    if expires is None:
        raise _refused("it never expires")
    if expires + LEEWAY <= now:
        raise Unauthenticated("the token has expired", code="token_expired", details=hint("invalid_token"))
    for name in ("nbf", "iat"):
        moment = _time(claims, name)
        if moment is not None and moment - LEEWAY > now:
            raise _refused("its time has not come")
    return expires + LEEWAY


def _time(claims: Mapping[str, Any], name: str) -> float | None:
    value = claims.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not abs(value) < _LAST:
        raise _refused(f"`{name}` is no time")
    return float(value)


def _for_us(claims: Mapping[str, Any], issuer: Issuer) -> None:
    audience = claims.get("aud")
    several = audience if isinstance(audience, list) else [audience]
    if issuer.audience not in several:
        raise _refused("it is meant for somebody else (`aud`)")


def _caller(claims: Mapping[str, Any], issuer: Issuer) -> Caller:
    agent = issuer.agents.get(_claim(claims, issuer.agent_claim))
    if agent is None:
        raise _refused(f"who calls (`{issuer.agent_claim}`) is no agent that is known here")
    user = _claim(claims, issuer.user_claim)
    return Caller(
        agent=agent,
        user=user,
        actor=issuer.actor if user else "",
        tenant=_claim(claims, issuer.tenant_claim),
        team=_claim(claims, issuer.team_claim),
        key=issuer.issuer,
        scopes=_words(claims.get("scope", claims.get("scp"))),
        purpose=_claim(claims, issuer.purpose_claim),
        clearance=_clearance(claims, issuer.clearance_claim),
        chain=_actors(claims),
        roles=_words(_at(claims, issuer.roles_claim)) if issuer.roles_claim else frozenset(),
    )


def _at(claims: Mapping[str, Any], path: str) -> Any:
    """The value at a claim of that very name (such as `https://example.com/team`), or at a dotted path. Raises when both are there."""
    value: Any = claims
    for name in path.split("."):
        value = value.get(name) if isinstance(value, dict) else None
    if path not in claims:
        return value
    if value is not None and "." in path:
        raise _refused(f"`{path}` is there twice")
    return claims[path]


def _claim(claims: Mapping[str, Any], path: str) -> str:
    """A name in a claim that the settings ask for; '' when they ask for none."""
    if not path:
        return ""
    value = _at(claims, path)
    if not isinstance(value, str) or not 0 < len(value) <= NAME or not value.isprintable():
        raise _refused(f"it has no name in `{path}`")
    return value


def _clearance(claims: Mapping[str, Any], path: str) -> int:
    if not path:
        return len(CLASSES) - 1
    value = _claim(claims, path)
    if value not in CLASSES:
        raise _refused(f"`{path}` is none of the classes")
    return CLASSES.index(value)


def _words(value: Any) -> frozenset[str]:
    words = value.split() if isinstance(value, str) else [] if value is None else value
    if (
        not isinstance(words, list)
        or len(words) > VALUES
        or not all(isinstance(w, str) and len(w) <= NAME for w in words)
    ):
        raise _refused("a claim with several values can't be read")
    return frozenset(words)


def _actors(claims: Mapping[str, Any]) -> tuple[str, ...]:
    """Everybody in the `act` chain: first who calls now, then those before it."""
    found: list[str] = []
    actor = claims.get("act")
    while actor is not None:
        if len(found) == ACTORS or not isinstance(actor, dict):
            raise _refused(f"its `act` chain is no chain, or longer than {ACTORS}")
        found.append(_claim(actor, "sub"))
        actor = actor.get("act")
    return tuple(found)


def hint(error: str = "") -> dict[str, str]:
    """What the header `WWW-Authenticate` of the answer should say (RFC 6750)."""
    return {"www_authenticate": 'Bearer realm="bastide"' + (f', error="{error}"' if error else "")}


def _refused(why: str) -> Unauthenticated:
    return Unauthenticated(f"the token is not accepted: {why}", code="invalid_token", details=hint("invalid_token"))
