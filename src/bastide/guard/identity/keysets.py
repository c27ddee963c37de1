# SPDX-License-Identifier: Apache-2.0
"""The public keys of an issuer (RFC 7517): from a file, or from an https address that is asked again in the background.

When the issuer can't be reached, the keys that are known stay good for `STALE` seconds; after that nothing of it is accepted.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import aiohttp
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, JWKRegistry, Key, OKPKey, RSAKey

from bastide.errors import Diagnostic, Location, SettingsError, Unavailable
from bastide.guard.settings_types import ALGORITHMS

FRESH = 300.0
"""Seconds after which the keys are asked for again."""
COOL_DOWN = 30.0
"""Seconds between two attempts: tokens with made-up key ids must not become requests to the issuer."""
STALE = 3600.0
"""Seconds for which keys are good when the issuer is down: as long as a withdrawn key may live on, too."""
LARGEST, MOST = 256 * 1024, 100
"""Bytes of a key set, and keys in it."""
SAME = 4
"""Keys with one id that are tried: each costs a verification of whatever somebody sends."""
TIMEOUT = 5.0

Fetch = Callable[[str], Awaitable[bytes]]


class KeySet:
    """The keys of one issuer."""

    def __init__(
        self, source: str, folder: Path, fetch: Fetch | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Parameters: `source`, `file:` path (relative to `folder`) or `https:` address; `clock` in seconds, monotonic.

        Raises `SettingsError` for another kind of source.
        """
        file = key_set_file(source, folder)
        if file is None and not (source.startswith("https:") and urlsplit(source).hostname):
            problem = f"`jwks: {source[:100]}` is neither a `file:` path nor an `https:` address"
            raise SettingsError(Diagnostic(problem, Location()))
        self._source = source
        if fetch is None:
            fetch = fetch_https if file is None else _reader(file)
        self._fetch = fetch
        self._clock = clock
        self._keys: dict[str, list[Key]] = {}
        self._loaded = self._tried = float("-inf")
        self._task: asyncio.Task[None] | None = None
        self.generation = 0
        """Grows when the keys change: what was verified with the old ones has to be verified again."""

    async def find(self, kid: str | None, types: frozenset[str]) -> Sequence[Key]:
        """The keys with this id and one of the types (in the middle of a rotation several may have it); without an id, the only key of
        these types.

        Raises `Unavailable` when no keys are known, or only too old ones.
        """
        await self.current()
        found = self._look(kid, types)
        if not found and self._due(COOL_DOWN):
            # The issuer may have a new key. One attempt in a cool-down, and all who wait share it.
            await asyncio.shield(self._refresh())
            found = self._look(kid, types)
        return found

    async def current(self) -> None:
        """Makes sure that the keys are good; asks anew in the background when they get old. Raises `Unavailable`."""
        age = self._clock() - self._loaded
        if age < FRESH:
            return
        if self._due(COOL_DOWN) or self._task is not None:
            task = self._refresh()
            if age >= STALE:
                await asyncio.shield(task)
                age = self._clock() - self._loaded
        if age >= STALE:
            raise Unavailable(
                "the keys of the token's issuer can't be had", code="issuer_unavailable", retry_after=COOL_DOWN
            )

    async def close(self) -> None:
        """Stops what runs in the background."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def _due(self, pause: float) -> bool:
        return self._clock() - self._tried >= pause

    def _look(self, kid: str | None, types: frozenset[str]) -> Sequence[Key]:
        if kid is None:
            all_ = [key for keys in self._keys.values() for key in keys if key.key_type in types]
            return all_ if len(all_) == 1 else ()
        return [key for key in self._keys.get(kid, ()) if key.key_type in types][:SAME]

    def _refresh(self) -> asyncio.Task[None]:
        if self._task is None:
            self._tried = self._clock()
            self._task = asyncio.create_task(self._load())
        return self._task

    async def _load(self) -> None:
        try:
            async with asyncio.timeout(TIMEOUT):
                keys = parse_keys(await self._fetch(self._source))
        except (OSError, TimeoutError, aiohttp.ClientError, ValueError):
            return
        finally:
            self._task = None
        if _thumbprints(keys) != _thumbprints(self._keys):
            self._keys = keys
            self.generation += 1
        self._loaded = self._clock()


def key_set_file(source: str, folder: Path) -> Path | None:
    """The file with the keys, None when they aren't in one."""
    return folder / unquote(urlsplit(source).path) if source.startswith("file:") else None


def parse_keys(data: bytes) -> dict[str, list[Key]]:
    """Key id -> keys. Keys that can't verify signatures (symmetric, for encryption, weak, unreadable) are left out.

    Raises `ValueError` for what is no key set, too large, or without a usable key.
    """
    if len(data) > LARGEST:
        raise ValueError("the key set is too large")
    try:
        entries = json.loads(data)["keys"]
    except (KeyError, TypeError, RecursionError):
        raise ValueError("this is no key set") from None
    if not isinstance(entries, list) or len(entries) > MOST:
        raise ValueError("this is no key set, or one with too many keys")
    found: dict[str, list[Key]] = {}
    for entry in entries:
        key = _usable(entry)
        if key is not None:
            found.setdefault(str(entry.get("kid", "")), []).append(key)
    if not found:
        raise ValueError("the key set has no usable key")
    return found


def _usable(entry: Any) -> Key | None:
    if not isinstance(entry, dict) or entry.get("use", "sig") != "sig" or entry.get("kty") not in ("RSA", "EC", "OKP"):
        return None
    if "d" in entry:
        # A private key in a public place is anybody's.
        return None
    try:
        if entry.get("alg", ALGORITHMS[0]) not in ALGORITHMS or "verify" not in entry.get("key_ops", ("verify",)):
            return None
        key = JWKRegistry.import_key(entry)
        if isinstance(key, RSAKey):
            return key if key.raw_value.key_size >= 2048 else None
        if isinstance(key, OKPKey):
            return key if key.curve_name in ("Ed25519", "Ed448") else None
        return key if isinstance(key, ECKey) else None
    except (JoseError, ValueError, TypeError, KeyError):
        return None


def _thumbprints(keys: dict[str, list[Key]]) -> list[tuple[str, str]]:
    return sorted((kid, key.thumbprint()) for kid, several in keys.items() for key in several)


def _reader(file: Path) -> Fetch:
    def read() -> bytes:
        with file.open("rb") as stream:
            return stream.read(LARGEST + 1)

    async def fetch(_: str) -> bytes:
        return await asyncio.to_thread(read)

    return fetch


async def fetch_https(url: str) -> bytes:
    """The document at an address, at most `LARGEST` bytes and one. Follows no redirect."""
    timeout = aiohttp.ClientTimeout(total=TIMEOUT)
    async with (
        aiohttp.ClientSession(timeout=timeout, cookie_jar=aiohttp.DummyCookieJar()) as session,
        session.get(url, allow_redirects=False) as response,
    ):
        if response.status != 200:
            raise ValueError(f"the issuer answered {response.status}")
        data = bytearray()
        async for chunk in response.content.iter_chunked(65_536):
            data += chunk
            if len(data) > LARGEST:
                break
        return bytes(data)
