# SPDX-License-Identifier: Apache-2.0
"""Signatures of Sigstore, checked by its own client against a trusted root that lies on this machine: never over the network."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING

from bastide.verify.signing.strict import Wrong

if TYPE_CHECKING:
    from sigstore.models import TrustedRoot


class Undecided(Exception):
    """The signature can't be checked here."""


def verify(raw: bytes, payload: bytes, identity: str, issuer: str, trust_root: Path) -> None:
    """Raises `Wrong` when it isn't the account's signature over the payload, `Undecided` when that can't be checked."""
    try:
        from sigstore.errors import Error
        from sigstore.models import Bundle
        from sigstore.verify import Verifier, policy
    except ImportError:
        raise Undecided("checking it needs the package sigstore: pip install 'bastide[sigstore]'") from None
    root = _trusted_root(trust_root)
    try:
        bundle = Bundle.from_json(raw)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            _, signed = Verifier(trusted_root=root).verify_dsse(
                bundle, policy.Identity(identity=identity, issuer=issuer)
            )
    except Error as problem:
        raise Wrong(f"Sigstore's client refuses it: {_short(problem)}") from None
    except Exception as problem:  # noqa: BLE001 - hostile input in a library that doesn't say what it raises
        raise Wrong(f"Sigstore's client can't read it: {type(problem).__name__}") from None
    if signed != payload:
        raise Wrong("Sigstore's client sees another payload in it")


def _trusted_root(path: Path) -> TrustedRoot:
    """A trusted root, or that of a client's trust configuration."""
    from sigstore.models import ClientTrustConfig, TrustedRoot

    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, ValueError) as problem:
        raise Undecided(f"{path}: can't be read: {getattr(problem, 'strerror', None) or 'no text'}") from None
    for read in (TrustedRoot.from_file, lambda _: ClientTrustConfig.from_json(text).trusted_root):
        try:
            return read(str(path))
        except Exception:  # noqa: BLE001 - each library error here means: it isn't this kind of file
            continue
    raise Undecided(f"{path}: is no trusted root of Sigstore")


def _short(problem: Exception) -> str:
    return (str(problem).strip().splitlines() or ["invalid"])[0][:200]
