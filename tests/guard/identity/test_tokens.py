# SPDX-License-Identifier: Apache-2.0
"""Tokens: what is believed, and the known attacks."""

from __future__ import annotations

import asyncio
import hmac
import json
import warnings
from base64 import urlsafe_b64encode
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from joserfc import jws
from joserfc.jwk import ECKey, Key, OKPKey, RSAKey

from bastide.errors import SettingsError, Unauthenticated, Unavailable
from bastide.guard.identity.authenticate import HeaderAuthenticator
from bastide.guard.identity.keysets import COOL_DOWN, FRESH, LARGEST, STALE, fetch_https, parse_keys
from bastide.guard.model import Caller
from bastide.guard.settings import Issuer, Settings

NOW = 1_800_000_000
ISSUER = Issuer(
    "https://id.example", "bastide", "https://id.example/jwks", agents={"bot": "assistant"}, tenant_claim="org.id",
    clearance_claim="https://example/clearance", roles_claim="roles", actor="customer",
)  # fmt: skip
RSA = RSAKey.generate_key(2048, {"kid": "r"})
EC = ECKey.generate_key("P-256", {"kid": "e"})
ED = OKPKey.generate_key("Ed25519", {"kid": "d"})
STRANGER = RSAKey.generate_key(2048, {"kid": "r"})
CLAIMS: dict[str, Any] = {
    "iss": "https://id.example", "aud": ["x", "bastide"], "sub": "ann", "exp": NOW + 600, "act": {"sub": "bot"},
    "org": {"id": "acme"}, "https://example/clearance": "internal", "scope": "chat tools", "roles": ["operate"],
}  # fmt: skip


def keyset(*keys: Key) -> bytes:
    return json.dumps({"keys": [key.as_dict(private=False) for key in keys]}).encode()


class World:
    """An issuer with its keys, and clocks that move when they are told to."""

    def __init__(self, *keys: Key, issuer: Issuer = ISSUER) -> None:
        self.data, self.fetched, self.down = keyset(*(keys or (RSA, EC, ED))), 0, False
        self.now, self.mono = float(NOW), 0.0
        self.one = HeaderAuthenticator(
            Settings(Path("p"), issuers=(issuer,)),
            fetch=self.fetch,
            clock=lambda: self.now,
            monotonic=lambda: self.mono,
        )

    async def fetch(self, url: str) -> bytes:
        self.fetched += 1
        if self.down:
            raise OSError("down")
        return self.data

    async def ask(self, token: str) -> Caller:
        return await self.one.authenticate({"authorization": f"Bearer {token}"}, "")

    async def code(self, token: str) -> str:
        with pytest.raises(Unauthenticated) as caught:
            await self.ask(token)
        assert token not in str(caught.value)
        return f"{caught.value.code}: {caught.value}"


def sign(claims: dict[str, Any] | bytes = CLAIMS, key: Key = RSA, alg: str = "RS256", **header: Any) -> str:
    payload = claims if isinstance(claims, bytes) else json.dumps(claims).encode()
    registry = jws.JWSRegistry(algorithms=[alg], strict_check_header=False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return jws.serialize_compact({"alg": alg, "kid": key.kid, **header}, payload, key, [alg], registry)


def b64(value: Any) -> str:
    data = value if isinstance(value, bytes) else json.dumps(value).encode()
    return urlsafe_b64encode(data).rstrip(b"=").decode()


@pytest.mark.parametrize(("key", "alg"), [(RSA, "RS256"), (RSA, "PS256"), (EC, "ES256"), (ED, "EdDSA")])
def test_a_good_token(key: Key, alg: str) -> None:
    """Its claims become the caller."""
    expected = Caller(
        "assistant", user="ann", actor="customer", tenant="acme", key="https://id.example", scopes=frozenset({"chat", "tools"}),
        clearance=1, chain=("bot",), roles=frozenset({"operate"}),
    )  # fmt: skip
    assert expected == asyncio.run(World().ask(sign(key=key, alg=alg)))


def test_an_act_chain() -> None:
    """The outermost actor calls; those before it are kept in order (RFC 8693)."""
    claims = {**CLAIMS, "act": {"sub": "bot", "act": {"sub": "web", "act": {"sub": "app"}}}}
    caller = asyncio.run(World().ask(sign(claims)))
    assert (caller.agent, caller.chain) == ("assistant", ("bot", "web", "app"))
    inner = {**CLAIMS, "act": {"sub": "stranger", "act": {"sub": "bot"}}}
    assert "no agent" in asyncio.run(World().code(sign(inner)))


def nested(depth: int) -> dict[str, Any]:
    act: dict[str, Any] = {"sub": "bot"}
    for _ in range(depth - 1):
        act = {"sub": "bot", "act": act}
    return act


def without(name: str) -> dict[str, Any]:
    return {k: v for k, v in CLAIMS.items() if k != name}


def _hmac_with_the_public_key() -> str:
    signed = f"{b64({'alg': 'HS256', 'kid': 'r'})}.{b64(CLAIMS)}"
    return f"{signed}.{b64(hmac.digest(RSA.as_pem(private=False), signed.encode(), 'sha256'))}"


GOOD = sign()
ATTACKS: dict[str, tuple[str, Callable[[], str]]] = {
    "alg none": ("algorithm", lambda: f"{b64({'alg': 'none'})}.{b64(CLAIMS)}."),
    "alg None, signature kept": (
        "algorithm",
        lambda: f"{b64({'alg': 'None', 'kid': 'r'})}.{b64(CLAIMS)}.{GOOD.split('.')[2]}",
    ),
    "HS256 with the public key": ("algorithm", _hmac_with_the_public_key),
    "RS512, not pinned": ("algorithm", lambda: sign(alg="RS512")),
    "alg is a list": ("algorithm", lambda: f"{b64({'alg': ['RS256']})}.{b64(CLAIMS)}.x"),
    "signed by a stranger": ("signature", lambda: sign(key=STRANGER)),
    "no signature": ("signature", lambda: GOOD.rsplit(".", 1)[0] + "."),
    "other claims, same signature": (
        "signature",
        lambda: f"{GOOD.split('.')[0]}.{b64({**CLAIMS, 'sub': 'eve'})}.{GOOD.split('.')[2]}",
    ),
    "key of another type": ("no such key", lambda: sign(kid="e")),
    "key id as a path": ("no such key", lambda: sign(kid="../../dev/null")),
    "key id as SQL": ("no such key", lambda: sign(kid="r' OR 1=1 --")),
    "key id is no text": ("key id", lambda: f"{b64({'alg': 'RS256', 'kid': ['r']})}.{b64(CLAIMS)}.x"),
    "key id too long": ("key id", lambda: sign(kid="r" * 600)),
    "no key id among several": ("signature", lambda: f"{b64({'alg': 'RS256'})}.{b64(CLAIMS)}.{GOOD.split('.')[2]}"),
    "its own key": ("header", lambda: sign(key=STRANGER, jwk=STRANGER.as_dict(private=False))),
    "address of its own keys": ("header", lambda: sign(key=STRANGER, jku="https://evil.example")),
    "critical extension": (
        "header",
        lambda: f"{b64({'alg': 'RS256', 'kid': 'r', 'crit': ['b64'], 'b64': False})}.{b64(CLAIMS)}.x",
    ),
    "for logging out": ("typ", lambda: sign(typ="logout+jwt")),
    "other audience": ("aud", lambda: sign({**CLAIMS, "aud": "bastide-2"})),
    "audience inside a text": ("aud", lambda: sign({**CLAIMS, "aud": "x bastide"})),
    "no audience": ("aud", lambda: sign(without("aud"))),
    "audience is an object": ("aud", lambda: sign({**CLAIMS, "aud": {"bastide": 1}})),
    "other issuer": ("issuer", lambda: sign({**CLAIMS, "iss": "https://id.example.evil"})),
    "issuer with a slash": ("issuer", lambda: sign({**CLAIMS, "iss": "https://id.example/"})),
    "no issuer": ("issuer", lambda: sign(without("iss"))),
    "expired": ("token_expired", lambda: sign({**CLAIMS, "exp": NOW - 60})),
    "never expires": ("never", lambda: sign(without("exp"))),
    "expiry is a text": ("no time", lambda: sign({**CLAIMS, "exp": str(NOW + 600)})),
    "expiry is true": ("no time", lambda: sign({**CLAIMS, "exp": True})),
    "expiry is infinite": ("read", lambda: sign(json.dumps({**CLAIMS, "exp": float("inf")}).encode())),
    "expiry is huge": ("no time", lambda: sign(json.dumps(CLAIMS).replace(str(NOW + 600), "1e999").encode())),
    "not yet": ("not come", lambda: sign({**CLAIMS, "nbf": NOW + 61})),
    "issued in the future": ("not come", lambda: sign({**CLAIMS, "iat": NOW + 61})),
    "act too deep": ("chain", lambda: sign({**CLAIMS, "act": nested(9)})),
    "act is a list": ("act.sub", lambda: sign({**CLAIMS, "act": ["bot"]})),
    "act below is a text": ("chain", lambda: sign({**CLAIMS, "act": {"sub": "bot", "act": "x"}})),
    "act without a name": ("sub", lambda: sign({**CLAIMS, "act": {"sub": "bot", "act": {}}})),
    "no act": ("act.sub", lambda: sign(without("act"))),
    "no subject": ("sub", lambda: sign(without("sub"))),
    "subject with a line break": ("sub", lambda: sign({**CLAIMS, "sub": "ann\neve"})),
    "no tenant": ("org.id", lambda: sign(without("org"))),
    "unknown clearance": ("classes", lambda: sign({**CLAIMS, "https://example/clearance": "all"})),
    "roles that are none": ("several", lambda: sign({**CLAIMS, "roles": {"operate": 1}})),
    "a claim twice": ("read", lambda: sign(json.dumps(CLAIMS)[:-1].encode() + b', "sub": "eve"}')),
    "a claim twice, escaped": ("read", lambda: sign(json.dumps(CLAIMS)[:-1].encode() + b', "s\\u0075b": "eve"}')),
    "deep JSON": ("read", lambda: sign(b"[" * 5000)),
    "claims are a list": ("read", lambda: sign(b"[]")),
    "white space in the base64": ("read", lambda: GOOD.replace(".", "\t.", 1).replace("\t", "=")),
    "too long": ("too long", lambda: sign({**CLAIMS, "x": "y" * 20_000})),
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_attacks(attack: str) -> None:
    """None of the known attacks gets in, and each says why."""
    words, make = ATTACKS[attack]
    assert words in asyncio.run(World().code(make()))


def test_leeway() -> None:
    """Clocks may differ by a minute."""
    asyncio.run(World().ask(sign({**CLAIMS, "exp": NOW - 59, "nbf": NOW + 60})))


def test_remembered_until_it_expires() -> None:
    """A token is verified once, and forgotten when its time is over."""

    async def test() -> None:
        world, token = World(), sign()
        assert await world.ask(token) is await world.ask(token)
        world.now = NOW + 660
        assert "token_expired" in await world.code(token)

    asyncio.run(test())


def test_a_withdrawn_key() -> None:
    """A token whose key the issuer has withdrawn is no longer believed, though it was before."""

    async def test() -> None:
        world, token = World(), sign()
        await world.ask(token)
        world.data = keyset(EC)
        world.mono += FRESH
        await world.ask(token)
        await asyncio.sleep(0.01)
        assert "no such key" in await world.code(token)

    asyncio.run(test())


def test_a_new_key_and_made_up_ones() -> None:
    """An unknown key id makes the guard ask the issuer, but only once in a cool-down, however many such tokens come."""

    async def test() -> None:
        world = World(RSA)
        await world.ask(sign())
        world.data = keyset(RSA, EC)
        assert "no such key" in await world.code(sign(key=EC, alg="ES256"))
        world.mono += COOL_DOWN
        await world.ask(sign(key=EC, alg="ES256"))
        assert world.fetched == 2
        await asyncio.gather(*(world.code(sign(kid=f"k{n}")) for n in range(20)))
        assert world.fetched == 2

    asyncio.run(test())


def test_the_issuer_is_down() -> None:
    """Known keys are good for an hour; then nothing is accepted until the issuer is back."""

    async def test() -> None:
        world, token = World(), sign({**CLAIMS, "exp": NOW + 10 * STALE})
        await world.ask(token)
        world.down = True
        for _ in range(int(STALE / 400)):
            world.mono += 399
            await world.ask(token)
            await asyncio.sleep(0)
        world.mono += 400
        for _ in range(2):
            with pytest.raises(Unavailable) as caught:
                await world.ask(token)
            assert caught.value.code == "issuer_unavailable"
        world.down, world.mono = False, world.mono + COOL_DOWN
        await world.ask(token)

    asyncio.run(test())


@pytest.mark.parametrize(
    "data",
    [
        b"", b"[]", b"{}", b'{"keys": {}}', b'{"keys": []}', b'{"keys": [1, null]}', b"[" * 100_000, b" " * (LARGEST + 1),
        json.dumps({"keys": [RSA.as_dict(private=False)] * 101}).encode(),
        json.dumps({"keys": [{"kty": "oct", "k": "AAAA", "kid": "r"}]}).encode(),
        json.dumps({"keys": [RSA.as_dict(private=True)]}).encode(),
        json.dumps({"keys": [{**RSA.as_dict(private=False), "use": "enc"}]}).encode(),
        json.dumps({"keys": [{"kty": "RSA", "n": "AQAB", "e": "AQAB"}]}).encode(),
    ],
    ids=range(13),
)  # fmt: skip
def test_key_sets_that_are_none(data: bytes) -> None:
    """Huge, empty, nested and unusable key sets are refused; symmetric, private, encrypting and weak keys are not used."""
    with pytest.raises(ValueError):
        parse_keys(data)


def test_keys_from_a_file(tmp_path: Path) -> None:
    """A `file:` key set is relative to the settings."""
    (tmp_path / "keys.json").write_bytes(keyset(RSA))
    issuer = Issuer(ISSUER.issuer, "bastide", "file:keys.json", agents={"bot": "assistant"})
    settings = Settings(Path("p"), file=tmp_path / "x.yaml", issuers=(issuer,))

    async def test() -> None:
        one = HeaderAuthenticator(settings, clock=lambda: NOW)
        assert (await one.authenticate({"authorization": f"Bearer {sign()}"}, "")).agent == "assistant"
        (tmp_path / "keys.json").unlink()
        two = HeaderAuthenticator(settings, clock=lambda: NOW)
        with pytest.raises(Unavailable):
            await two.authenticate({"authorization": f"Bearer {sign()}"}, "")
        await one.close()
        await two.close()

    asyncio.run(test())


@pytest.mark.parametrize(
    "issuer",
    [
        Issuer("i", "a", "http://id.example/jwks"), Issuer("i", "a", "ftp://x"), Issuer("i", "", "file:x"),
        Issuer("i", "a", "file:x", algorithms=("HS256",)), Issuer("i", "a", "file:x", algorithms=("none",)),
    ],
)  # fmt: skip
def test_settings_that_are_not_safe(issuer: Issuer) -> None:
    """Keys over plain http, symmetric algorithms and a missing audience are errors at the start."""
    with pytest.raises(SettingsError):
        World(issuer=issuer)


def test_fetching_keys() -> None:
    """An issuer's answer is taken as it is; a redirect or an error is none, and what is too large is not read to its end."""

    async def answer(request: web.Request) -> web.Response:
        what = request.match_info["what"]
        if what == "moved":
            raise web.HTTPFound("/good")
        return web.Response(
            status=500 if what == "broken" else 200, body=keyset(RSA) if what == "good" else b" " * 10 * LARGEST
        )

    async def test() -> None:
        app = web.Application()
        app.router.add_get("/{what}", answer)
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        base = f"http://127.0.0.1:{runner.addresses[0][1]}"
        try:
            assert keyset(RSA) == await fetch_https(f"{base}/good")
            for what in ("moved", "broken"):
                with pytest.raises(ValueError):
                    await fetch_https(f"{base}/{what}")
            assert LARGEST < len(await fetch_https(f"{base}/huge")) < 2 * LARGEST
        finally:
            await runner.cleanup()

    asyncio.run(test())
