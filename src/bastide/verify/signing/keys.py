# SPDX-License-Identifier: Apache-2.0
"""Keys: ECDSA on P-256, P-384 and P-521, as OpenSSF model signing has them, and Ed25519."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bastide.errors import UsageError
from bastide.verify.signing.strict import Wrong

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurvePrivateKey, EllipticCurvePublicKey
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

    Private = EllipticCurvePrivateKey | Ed25519PrivateKey
    Public = EllipticCurvePublicKey | Ed25519PublicKey

MISSING = "signing needs the package cryptography: pip install 'bastide[signing]'"


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A key that verifies."""

    key: Public

    @property
    def fingerprint(self) -> str:
        """`sha256:` and the hex SHA-256 of the key in DER form (SubjectPublicKeyInfo): the same whoever holds the key."""
        from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

        der = self.key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        return f"sha256:{hashlib.sha256(der).hexdigest()}"

    @property
    def hint(self) -> str:
        """How bundles name the key: hex SHA-256 of its PEM form."""
        return hashlib.sha256(self.pem).hexdigest()

    @property
    def pem(self) -> bytes:
        """SubjectPublicKeyInfo in PEM form."""
        from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

        return self.key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)

    def verifies(self, signature: bytes, message: bytes) -> bool:
        """Whether it is this key's signature over a message."""
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

        try:
            if isinstance(self.key, Ed25519PublicKey):
                self.key.verify(signature, message)
            else:
                self.key.verify(signature, message, _ecdsa(self.key))
        except InvalidSignature:
            return False
        return True


@dataclass(frozen=True, slots=True)
class PrivateKey:
    """A key that signs."""

    key: Private

    @property
    def public(self) -> PublicKey:
        """The key that verifies what this one signs."""
        return PublicKey(self.key.public_key())

    def sign(self, message: bytes) -> bytes:
        """The signature over a message; DER for ECDSA."""
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        if isinstance(self.key, Ed25519PrivateKey):
            return self.key.sign(message)
        return self.key.sign(message, _ecdsa(self.key.public_key()))


def private_key(pem: bytes, password: bytes | None = None) -> PrivateKey:
    """The key in a PEM document. Raises `UsageError`, which shows nothing of it."""
    try:
        from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
        from cryptography.hazmat.primitives.serialization import load_pem_private_key
    except ImportError:
        raise UsageError(MISSING) from None
    try:
        key = load_pem_private_key(pem, password)
    except TypeError:
        raise UsageError(
            "the private key is encrypted and no password was given"
            if password is None
            else "the private key isn't encrypted"
        ) from None
    except Exception:  # noqa: BLE001 - the library raises many kinds, some of which show what was read
        raise UsageError("is no private key in PEM form, or the password is wrong") from None
    if isinstance(key, (EllipticCurvePrivateKey, Ed25519PrivateKey)) and not _unfit(key.public_key()):
        return PrivateKey(key)
    raise UsageError("is no key of a kind that signs here: ECDSA on P-256, P-384 or P-521, or Ed25519")


def public_key(pem: bytes) -> PublicKey:
    """The key in a PEM document. Raises `Wrong`."""
    try:
        from cryptography.hazmat.primitives.serialization import load_pem_public_key
    except ImportError:
        raise UsageError(MISSING) from None
    try:
        key = load_pem_public_key(pem)
    except Exception:  # noqa: BLE001 - the library raises many kinds
        raise Wrong("is no public key in PEM form") from None
    return fit(key)


def fit(key: Any) -> PublicKey:
    """A key of the library, where it is of a kind that counts. Raises `Wrong`."""
    if why := _unfit(key):
        raise Wrong(why)
    return PublicKey(key)


def _unfit(key: Any) -> str:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    if isinstance(key, EllipticCurvePublicKey):
        known = ("secp256r1", "secp384r1", "secp521r1")
        return "" if key.curve.name in known else f"is a key on the curve {key.curve.name}, which doesn't count"
    return "" if isinstance(key, Ed25519PublicKey) else "is no ECDSA and no Ed25519 key"


def _ecdsa(key: EllipticCurvePublicKey) -> ECDSA:
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric.ec import ECDSA

    # As long as the key, so that neither is the weaker one.
    if key.curve.key_size == 256:
        return ECDSA(hashes.SHA256())
    return ECDSA(hashes.SHA384() if key.curve.key_size == 384 else hashes.SHA512())
