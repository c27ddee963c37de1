# SPDX-License-Identifier: Apache-2.0
"""Attacks on credentials: tokens, key sets, keys, headers of certificates and of users."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from joserfc.jwk import ECKey, OKPKey, RSAKey

from bastide.errors import Unauthenticated
from bastide.guard.identity.authenticate import HeaderAuthenticator
from bastide.guard.identity.keys import key_hash
from bastide.guard.identity.keysets import FRESH, parse_keys
from bastide.guard.model import Caller
from bastide.guard.settings import ApiKey, ClientCertificates, Issuer, Settings
from tests.guard.gateway.fake import FakeProvider
from tests.guard.gateway.running import running
from tests.guard.identity.test_keys import KEY, PROXIED, ask, authenticator, key, refused
from tests.guard.identity.test_tokens import CLAIMS, EC, ISSUER, NOW, RSA, World, b64, keyset, nested, sign

P384 = ECKey.generate_key("P-384", {"kid": "p384"})
TWO_ALGORITHMS = b64(b'{"alg": "none", "alg": "RS256", "kid": "r"}')
ED448 = OKPKey.generate_key("Ed448", {"kid": "ed448"})


def raw(header: dict[str, Any], claims: Any = CLAIMS) -> str:
    """A token whose signature is none."""
    return f"{b64(header)}.{b64(claims)}.{b64(b'x' * 256)}"


@pytest.mark.parametrize(
    ("words", "token"),
    [
        ("such key", lambda: sign(kid="https://evil.example/keys.json")),
        ("such key", lambda: sign(kid="file:///dev/null")),
        ("such key", lambda: sign(kid="r\x00")),
        ("such key", lambda: sign(kid="R")),
        ("header", lambda: sign(x5u="https://evil.example/x.pem")),
        ("header", lambda: sign(x5c=["MIIB"])),
        ("header", lambda: raw({"alg": "RS256", "kid": "r", "jwk": None})),
        ("header", lambda: raw({"alg": "RS256", "kid": "r", "crit": []})),
        ("algorithm", lambda: raw({"kid": "r"})),
        ("algorithm", lambda: raw({"alg": "rs256", "kid": "r"})),
        ("algorithm", lambda: raw({"alg": "HS256", "kid": "r"})),
        ("algorithm", lambda: raw({"alg": "RSA1_5", "kid": "r"})),
        ("read", lambda: f"{TWO_ALGORITHMS}.{b64(CLAIMS)}.x"),
        ("such key", lambda: raw({"alg": "ES256", "kid": "r"})),
        ("no time", lambda: sign(json.dumps(CLAIMS).replace(str(NOW + 600), "9" * 400).encode())),
        ("no time", lambda: sign({**CLAIMS, "nbf": -(10**400)})),
        ("read", lambda: sign(json.dumps(CLAIMS).replace(str(NOW + 600), "9" * 5000).encode())),
        ("not come", lambda: sign({**CLAIMS, "nbf": NOW + 10**9})),
        ("aud", lambda: sign({**CLAIMS, "aud": [["bastide"]]})),
        ("aud", lambda: sign({**CLAIMS, "aud": [{"bastide": 1}, None]})),
        ("aud", lambda: sign({**CLAIMS, "aud": []})),
        ("aud", lambda: sign({**CLAIMS, "aud": "BASTIDE"})),
        ("chain", lambda: sign({**CLAIMS, "act": nested(100)})),
        ("act.sub", lambda: sign({**CLAIMS, "act": {"sub": ["bot"]}})),
        ("act.sub", lambda: sign({**CLAIMS, "act": {"sub": {"x": "bot"}}})),
        ("act.sub", lambda: sign({**CLAIMS, "act": {"name": "bot"}})),
        ("twice", lambda: sign({**CLAIMS, "act.sub": "bot"})),
        ("no agent", lambda: sign({**CLAIMS, "act": {"sub": "Bot"}})),
        ("no agent", lambda: sign({**CLAIMS, "act": {"sub": " bot"}})),
        ("read", lambda: sign(json.dumps(CLAIMS).replace('{"sub": "bot"}', '{"sub": "x", "sub": "bot"}').encode())),
        ("too long", lambda: raw({"alg": "RS256", "kid": "r", "x": "y" * 2_000_000})),
        ("sub", lambda: sign({**CLAIMS, "sub": "a\ud800"})),
        ("sub", lambda: sign({**CLAIMS, "sub": "\u202enna"})),
    ],
)  # fmt: skip
def test_tokens(words: str, token: Any) -> None:
    """Whatever a token claims about itself, it is refused with the reason, and nothing is fetched for it but the issuer's keys."""
    world = World()
    assert words in asyncio.run(world.code(token()))
    assert world.fetched <= 1


def test_keys_of_another_curve() -> None:
    """An algorithm goes with its curve only."""
    world = World(P384, ED448)
    for made, alg in ((P384, "ES256"), (ED448, "Ed25519")):
        token = raw({"alg": alg, "kid": made.kid})
        assert "invalid_token" in asyncio.run(world.code(token))


def test_no_agent_claim() -> None:
    """Where another claim than `act` names the agent, the chain is still looked at."""
    issuer = Issuer(ISSUER.issuer, "bastide", ISSUER.jwks, agent_claim="azp", agents={"bot": "assistant"})
    claims = {**CLAIMS, "azp": "bot"}
    caller = asyncio.run(World(issuer=issuer).ask(sign({**claims, "act": {"sub": "web"}})))
    assert (caller.agent, caller.chain) == ("assistant", ("web",))
    for claim in (["bot"], {"bot": 1}, "", None, 1, True):
        assert "azp" in asyncio.run(World(issuer=issuer).code(sign({**claims, "azp": claim})))
    assert "chain" in asyncio.run(World(issuer=issuer).code(sign({**claims, "act": nested(100)})))


def test_key_sets_with_secrets() -> None:
    """Private and symmetric keys in a key set are not used; the public ones beside them are, each for what it is for."""
    public = RSA.as_dict(private=False)
    entries = [
        {"kty": "oct", "k": "AAAA", "kid": "r", "alg": "HS256"}, EC.as_dict(private=True), {**public, "kid": "enc", "use": "enc"},
        {**public, "kid": "ops", "key_ops": ["encrypt"]}, {**public, "kid": "oaep", "alg": "RSA-OAEP"}, {**public, "kid": 7}, public,
    ]  # fmt: skip
    found = parse_keys(json.dumps({"keys": entries}).encode())
    assert set(found) == {"r"}
    assert [key.key_type for key in found["r"]] == ["RSA"]


def test_rotation_under_one_id() -> None:
    """Two keys with one id, as in the middle of a rotation: what either signed is good."""
    other = RSAKey.generate_key(2048, {"kid": "r"})
    world = World(other, RSA)
    assert asyncio.run(world.ask(sign())).agent == "assistant"
    assert asyncio.run(world.ask(sign(key=other))).agent == "assistant"


def test_a_broken_answer_of_the_issuer_takes_no_key_away() -> None:
    """An issuer that answers with nonsense is one that is down: the known keys stay for their time."""

    async def test() -> None:
        world, token = World(), sign({**CLAIMS, "exp": NOW + 10**6})
        await world.ask(token)
        for data in (b"{}", b"<html>", b'{"keys": []}', keyset(EC)[:-5]):
            world.data = data
            world.mono += FRESH
            await world.ask(token)
            await asyncio.sleep(0.01)
            await world.ask(token)

    asyncio.run(test())


@pytest.mark.parametrize(
    "presented",
    ["\tbst_one", "bst_one\u00a0", "BST_ONE", "bst_one\u200b", "bst_on\u0435", "bst%5fone", key_hash(KEY), "", "*", "ey.e30.x.y"],
)  # fmt: skip
def test_keys_that_look_alike(presented: str) -> None:
    """Only the very key is the key; its hash, other letters and invisible ones are not."""
    expected = KEY if presented.strip() == KEY else ""
    if expected:
        assert ask(authenticator(key()), x_api_key=presented).key == "k1"
    else:
        assert refused(authenticator(key()), x_api_key=presented) in ("invalid_api_key", "malformed_credential")


def test_rotation_windows() -> None:
    """At its very first moment a key is good, at its last it isn't; scopes are those of the key that was shown."""
    at = "2027-01-15T08:00:00+00:00"
    assert ask(authenticator(key(not_before=at)), x_api_key=KEY).key == "k1"
    assert refused(authenticator(key(expires=at)), x_api_key=KEY) == "invalid_api_key"
    one = authenticator(key(scopes=frozenset({"a"})), key("k2", "bst_two", scopes=frozenset({"b"})))
    assert ask(one, x_api_key="bst_two").scopes == {"b"}


def test_a_key_and_a_token_at_once() -> None:
    """Two credentials of different kinds disagree, even when both are good."""
    settings = Settings(Path("p"), keys=(ApiKey("k1", key_hash(KEY), "assistant"),), issuers=(ISSUER,))

    async def fetch(_: str) -> bytes:
        return keyset(RSA)

    async def test() -> None:
        one = HeaderAuthenticator(settings, fetch=fetch, clock=lambda: float(NOW))
        with pytest.raises(Unauthenticated) as caught:
            await one.authenticate({"authorization": f"Bearer {sign()}", "x-api-key": KEY}, "")
        assert caught.value.code == "credentials_disagree"

    asyncio.run(test())


@pytest.mark.parametrize(
    ("code", "value", "peer"),
    [
        ("untrusted_proxy", "spiffe://acme/web", "11.0.0.1"),
        ("untrusted_proxy", "spiffe://acme/web", "::ffff:192.0.2.1"),
        ("untrusted_proxy", "spiffe://acme/web", "::10.0.0.1"),
        ("untrusted_proxy", "spiffe://acme/web", "10.0.0.1, 192.0.2.1"),
        ("untrusted_proxy", "spiffe://acme/web", "010.0.0.1"),
        ("untrusted_proxy", "spiffe://acme/web", "localhost"),
        ("untrusted_proxy", "spiffe://acme/web", "fe80::1%eth0"),
        ("unknown_certificate", "spiffe://ACME/web", "10.0.0.1"),
        ("unknown_certificate", "spiffe%3A%2F%2Facme%2Fweb", "10.0.0.1"),
        ("unknown_certificate", "spiffe://acme/web/", "10.0.0.1"),
        ("unknown_certificate", "spiffe://acme/web, spiffe://acme/web", "10.0.0.1"),
        ("unknown_certificate", "spiffe://acme/web,spiffe://acme/other", "10.0.0.1"),
        ("unknown_certificate", "CN=web, O=Acme", "10.0.0.1"),
        ("several_certificates", "Hash=x;URI=spiffe://acme/web,By=spiffe://acme/proxy", "10.0.0.1"),
        ("unknown_certificate", 'Hash="a;URI=spiffe://acme/web";Subject=CN=x', "10.0.0.1"),
        ("unknown_certificate", r'Subject="CN=x\";URI=spiffe://acme/web;\""', "10.0.0.1"),
        ("malformed_certificate", "URI=spiffe://acme/web\r\nx: y", "10.0.0.1"),
    ],
)  # fmt: skip
def test_headers_of_certificates(code: str, value: str, peer: str) -> None:
    """From another address, doubled, in a list, in other letters or hidden in a quoted value: nobody's."""
    assert refused(authenticator(certificates=PROXIED), peer, x_forwarded_client_cert=value) == code


def test_a_zone_is_no_other_address() -> None:
    """An address with a zone (link-local) is compared as it is, and breaks nothing."""
    one = authenticator(certificates=ClientCertificates("x-c", ("fe80::/10",), {"a": "assistant"}))
    assert ask(one, "fe80::1%eth0", x_c="a").agent == "assistant"


def test_a_certificate_gives_no_right_to_name_a_user() -> None:
    """Nor does a token; only a key that says so."""
    one = authenticator(certificates=PROXIED)
    assert refused(one, x_forwarded_client_cert="CN=other", x_bastide_user="ann") == "user_not_allowed"

    async def test() -> Caller:
        return await World().one.authenticate({"authorization": f"Bearer {sign()}", "x-bastide-user": "eve"}, "")

    with pytest.raises(Unauthenticated, match="may not name"):
        asyncio.run(test())


def test_forwarding_headers_move_nobody() -> None:
    """The peer is the other end of the connection, whatever headers say about where it came from."""
    from tests.guard.gateway.talk import ask as get

    more = "content: {classifier: 'off'}"
    with running(FakeProvider([b""]), more) as guard:
        guard.inside(lambda: setattr(guard.runtime, "authenticator", authenticator(certificates=PROXIED)))
        told = {"x_forwarded_for": "10.0.0.1", "forwarded": "for=10.0.0.1", "x_real_ip": "10.0.0.1"}
        answer = get(guard, path="/v1/models", method="GET", x_forwarded_client_cert="CN=other", **told)
        assert answer.status == 401
