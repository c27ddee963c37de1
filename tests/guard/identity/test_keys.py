# SPDX-License-Identifier: Apache-2.0
"""API keys, and headers that try to be two things at once."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from bastide.errors import SettingsError, Unauthenticated
from bastide.guard.identity.authenticate import HeaderAuthenticator
from bastide.guard.identity.keys import key_hash, new_key
from bastide.guard.model import Caller
from bastide.guard.settings import ApiKey, ClientCertificates, Settings

KEY, OTHER = "bst_one", "bst_two"
NOW = 1_800_000_000.0  # 2027-01-15


def authenticator(*keys: ApiKey, certificates: ClientCertificates | None = None) -> HeaderAuthenticator:
    return HeaderAuthenticator(
        Settings(Path("p"), keys=keys, certificates=certificates), clock=lambda: NOW, monotonic=lambda: 0.0
    )


def key(id: str = "k1", secret: str = KEY, **more: Any) -> ApiKey:
    return ApiKey(id, key_hash(secret), "assistant", **more)


def ask(one: HeaderAuthenticator, peer: str = "10.0.0.1", **headers: str) -> Caller:
    return asyncio.run(one.authenticate({k.replace("_", "-"): v for k, v in headers.items()}, peer))


def refused(one: HeaderAuthenticator, peer: str = "10.0.0.1", **headers: str) -> str:
    with pytest.raises(Unauthenticated) as caught:
        ask(one, peer, **headers)
    assert KEY not in str(caught.value)
    return caught.value.code


def test_where_a_key_may_stand() -> None:
    """In `Authorization`, `x-api-key` or `api-key`, or in several when it is the same."""
    one = authenticator(key(tenant="acme", team="t", clearance="internal"))
    expected = Caller("assistant", tenant="acme", team="t", key="k1", clearance=1)
    assert expected == ask(one, authorization=f"Bearer {KEY}")
    assert expected == ask(one, authorization=f"bearer  {KEY}")
    assert expected == ask(one, x_api_key=KEY)
    assert expected == ask(one, api_key=KEY, authorization=f"Bearer {KEY}")


@pytest.mark.parametrize(
    ("code", "headers"),
    [
        ("unauthenticated", {}),
        ("invalid_api_key", {"x_api_key": "bst_three"}),
        ("invalid_api_key", {"x_api_key": "x" * 100_000}),
        ("malformed_credential", {"authorization": f"Basic {KEY}"}),
        ("malformed_credential", {"authorization": KEY}),
        ("malformed_credential", {"authorization": "Bearer "}),
        ("malformed_credential", {"x_api_key": ""}),
        ("malformed_credential", {"authorization": f"Bearer {KEY}, Bearer {KEY}"}),
        ("malformed_credential", {"x_api_key": f"{KEY}, {OTHER}"}),
        ("malformed_credential", {"authorization": f"Bearer {KEY} {OTHER}"}),
        ("malformed_credential", {"x_api_key": KEY + "\x00"}),
        ("malformed_credential", {"x_api_key": KEY + "\u00e9"}),
        ("credentials_disagree", {"authorization": f"Bearer {KEY}", "x_api_key": OTHER}),
        ("credentials_disagree", {"authorization": f"Bearer {KEY}", "x_api_key": "eyJ.e30.x"}),
        ("invalid_token", {"authorization": "Bearer eyJ.e30.x"}),
    ],
)
def test_what_is_refused(code: str, headers: dict[str, str]) -> None:
    """Unknown, malformed, doubled and disagreeing credentials."""
    assert code == refused(authenticator(key(), key("k2", OTHER)), **headers)


def test_times_and_rotation() -> None:
    """A key is good from its first to its last moment; of two with overlapping times both are."""
    old, new = key(expires="2027-02-01"), key("k2", OTHER, not_before="2027-01-01T00:00:00+01:00")
    assert ask(authenticator(old, new), x_api_key=KEY).key == "k1"
    assert ask(authenticator(old, new), x_api_key=OTHER).key == "k2"
    assert refused(authenticator(key(expires="2027-01-15")), x_api_key=KEY) == "invalid_api_key"
    assert refused(authenticator(key(not_before="2027-01-16")), x_api_key=KEY) == "invalid_api_key"


def test_naming_a_user() -> None:
    """Only a key that may names a user, and only then is there a kind of person."""
    trusted, plain, fixed = (
        authenticator(key(may_name_user=True, actor="customer")),
        authenticator(key()),
        authenticator(key(user="ann")),
    )
    assert ((c := ask(trusted, x_api_key=KEY, x_bastide_user="ann")).user, c.actor) == ("ann", "customer")
    assert ((c := ask(trusted, x_api_key=KEY)).user, c.actor) == ("", "")
    assert refused(plain, x_api_key=KEY, x_bastide_user="ann") == "user_not_allowed"
    assert refused(fixed, x_api_key=KEY, x_bastide_user="bob") == "user_not_allowed"
    assert ask(fixed, x_api_key=KEY, x_bastide_user="ann").user == "ann"
    for user in ("", "ann, bob", "a" * 300, "ann\n", " ann", "\u202eann"):
        assert refused(trusted, x_api_key=KEY, x_bastide_user=user) == "malformed_user"


@pytest.mark.parametrize(
    ("words", "keys"),
    [
        ("twice", [key(), key()]),
        ("twice", [key(), key("k2")]),
        ("no class", [key(clearance="top")]),
        ("no ISO date", [key(expires="soon")]),
        ("fixed user", [key(user="ann", may_name_user=True)]),
    ],
)
def test_settings_that_make_no_sense(words: str, keys: list[ApiKey]) -> None:
    """They are errors at the start, not surprises later."""
    with pytest.raises(SettingsError, match=words):
        authenticator(*keys)


def test_new_keys() -> None:
    """A new key is long, different each time, and goes with its hash."""
    (one, digest), (two, _) = new_key(), new_key()
    assert one != two
    assert len(one) >= 47
    assert key_hash(one) == digest


PROXIED = ClientCertificates(
    "X-Forwarded-Client-Cert",
    ("10.0.0.0/8", "fd00::/8"),
    {"spiffe://acme/web": "web", "CN=web,O=Acme": "web", "CN=other": "other", "assistant": "assistant"},
)


@pytest.mark.parametrize(
    ("agent", "value", "peer"),
    [
        ("web", "spiffe://acme/web", "10.1.2.3"),
        ("web", "spiffe://acme/web", "::ffff:10.1.2.3"),
        ("web", "spiffe://acme/web", "fd00::1"),
        ("web", 'By=spiffe://acme/proxy;Hash=ab;Subject="CN=web,O=Acme";URI=spiffe://acme/web', "10.0.0.1"),
        ("web", 'Hash=ab;Subject="CN=web,O=Acme";URI=', "10.0.0.1"),
        ("untrusted_proxy", "spiffe://acme/web", "192.0.2.1"),
        ("untrusted_proxy", "spiffe://acme/web", ""),
        ("unknown_certificate", "spiffe://acme/web2", "10.0.0.1"),
        ("unknown_certificate", "By=spiffe://acme/web;Hash=ab", "10.0.0.1"),
        ("unknown_certificate", "URI=spiffe://acme/web;Subject=CN=other", "10.0.0.1"),
        ("several_certificates", "URI=spiffe://acme/web,URI=spiffe://acme/web", "10.0.0.1"),
        ("malformed_certificate", 'Subject="CN=web,O=Acme', "10.0.0.1"),
        ("malformed_certificate", "", "10.0.0.1"),
        ("malformed_certificate", "URI=spiffe://acme/web;x", "10.0.0.1"),
        ("malformed_certificate", "URI=" + "x" * 9000, "10.0.0.1"),
    ],
)
def test_certificates(agent: str, value: str, peer: str) -> None:
    """A certificate's header is believed from the listed proxies only, and names exactly one agent."""
    one = authenticator(certificates=PROXIED)
    if "_" in agent:
        assert agent == refused(one, peer, x_forwarded_client_cert=value)
    else:
        assert agent == ask(one, peer, x_forwarded_client_cert=value).agent


def test_certificate_and_key() -> None:
    """Both together are one caller when they say the same agent."""
    one = authenticator(key(tenant="acme"), certificates=PROXIED)
    assert ask(one, x_api_key=KEY, x_forwarded_client_cert="assistant").tenant == "acme"
    assert refused(one, x_api_key=KEY, x_forwarded_client_cert="CN=other") == "credentials_disagree"
    assert refused(one, "192.0.2.1", x_api_key=KEY, x_forwarded_client_cert="assistant") == "untrusted_proxy"
    with pytest.raises(SettingsError):
        authenticator(certificates=ClientCertificates("x", ("everywhere",), {}))
