# SPDX-License-Identifier: Apache-2.0
"""Certificates of signers: does a chain lead to a root that the policy names, at a given time, and whom does it name?

The path is built and checked by `cryptography`'s verifier (RFC 5280 with the rules of the web's certificates for authorities). Beyond it:
the signer's certificate has to be made for signatures, and every certificate in the bundle has to be part of the path.
"""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from bastide.errors import UsageError
from bastide.verify.signing.keys import MISSING, PublicKey, fit
from bastide.verify.signing.strict import Wrong

if TYPE_CHECKING:
    from cryptography.x509 import Certificate


@dataclass(frozen=True, slots=True)
class Holder:
    """Whom a certificate names."""

    key: PublicKey
    fingerprint: str
    """`sha256:` and the hex SHA-256 of the certificate in DER form."""
    subject: str
    """As RFC 4514 writes it: `CN=release,O=Acme`."""
    alternative: tuple[str, ...]
    """Mail addresses, addresses of services and host names."""
    issuer: str
    valid_from: datetime
    valid_until: datetime


def certificates(pem: bytes) -> tuple[Certificate, ...]:
    """The certificates in a PEM document. Raises `Wrong`."""
    try:
        from cryptography.x509 import load_pem_x509_certificates
    except ImportError:
        raise UsageError(MISSING) from None
    try:
        with _strictly():
            return tuple(load_pem_x509_certificates(pem))
    except Exception:  # noqa: BLE001 - the library raises many kinds
        raise Wrong("holds no certificates in PEM form") from None


def parse_chain(chain: Sequence[bytes]) -> tuple[Certificate, ...]:
    """The certificates of a bundle. Raises `Wrong`."""
    from cryptography.x509 import load_der_x509_certificate

    try:
        with _strictly():
            found = tuple(load_der_x509_certificate(one) for one in chain)
    except Exception:  # noqa: BLE001 - the library raises many kinds
        raise Wrong("a certificate in it is none") from None
    for raw, one in zip(chain, found, strict=True):
        # How many bits of the signature are unused isn't covered by it, and the library takes any number.
        if not raw.endswith(b"\x00" + one.signature):
            raise Wrong("a certificate in it isn't in DER form")
    return found


def holder(leaf: Certificate) -> Holder:
    """Whom the certificate names. Raises `Wrong` for what can't be read, or a key that doesn't count."""
    from cryptography.hazmat.primitives.hashes import SHA256

    try:
        with _strictly():
            key = leaf.public_key()
            alternative = _alternative(leaf)
            subject, issuer = leaf.subject.rfc4514_string(), leaf.issuer.rfc4514_string()
    except Exception:  # noqa: BLE001 - the library raises many kinds
        raise Wrong("the signer's certificate can't be read") from None
    digest = f"sha256:{leaf.fingerprint(SHA256()).hex()}"
    return Holder(fit(key), digest, subject, alternative, issuer, leaf.not_valid_before_utc, leaf.not_valid_after_utc)


def authority_keys(chain: Sequence[Certificate]) -> tuple[str, ...]:
    """The fingerprints of the keys of the certificates after the signer's own. Raises `Wrong`."""
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    try:
        keys = [one.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo) for one in chain[1:]]
    except Exception:  # noqa: BLE001 - the library raises many kinds
        raise Wrong("a certificate in it can't be read") from None
    return tuple(f"sha256:{hashlib.sha256(key).hexdigest()}" for key in keys)


def check_path(chain: Sequence[Certificate], roots: Sequence[Certificate], at: datetime) -> None:
    """Raises `Wrong` when the chain doesn't lead from the signer to one of the roots at that time."""
    from cryptography.x509 import verification

    leaf, *others = chain
    if leaf in roots:
        raise Wrong("is signed by an authority's own certificate")
    builder = verification.PolicyBuilder().store(verification.Store(list(roots))).time(at.replace(tzinfo=None))
    authorities = verification.ExtensionPolicy.webpki_defaults_ca()
    anything = verification.ExtensionPolicy.permit_all()
    policy = builder.extension_policies(ca_policy=authorities, ee_policy=anything).max_chain_depth(8)
    try:
        with _strictly():
            path = policy.build_client_verifier().verify(leaf, others).chain
    except (verification.VerificationError, ValueError, Warning) as problem:
        raise Wrong(f"its certificate doesn't lead to a root of the policy: {_short(problem)}") from None
    if not set(chain) <= set(path):
        raise Wrong("carries certificates that aren't part of the path to the root")
    _for_signatures(leaf)


@contextmanager
def _strictly() -> Iterator[None]:
    """What the library only warns of is an error: who signs models has certificates that nobody warns of."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def _for_signatures(leaf: Certificate) -> None:
    from cryptography import x509
    from cryptography.x509.oid import ExtendedKeyUsageOID

    known = (x509.BasicConstraints, x509.KeyUsage, x509.ExtendedKeyUsage, x509.SubjectAlternativeName)
    try:
        with _strictly():
            extensions = list(leaf.extensions)
    except Exception:  # noqa: BLE001 - the library raises many kinds
        raise Wrong("the signer's certificate can't be read") from None
    values = {type(one.value): one.value for one in extensions}
    if strange := [one.oid.dotted_string for one in extensions if one.critical and not isinstance(one.value, known)]:
        raise Wrong(f"its certificate has a critical extension that isn't known ({strange[0]})")
    basic, usage, extended = (values.get(kind) for kind in known[:3])
    if isinstance(basic, x509.BasicConstraints) and basic.ca:
        raise Wrong("is signed with an authority's certificate")
    may_sign = isinstance(usage, x509.KeyUsage) and usage.digital_signature
    for_code = isinstance(extended, x509.ExtendedKeyUsage) and ExtendedKeyUsageOID.CODE_SIGNING in extended
    if usage is not None and not may_sign:
        raise Wrong("its certificate isn't made for signatures (key usage)")
    if extended is not None and not for_code:
        raise Wrong("its certificate isn't made for signing code (extended key usage)")
    if usage is None and extended is None:
        raise Wrong("its certificate doesn't say what it is made for (key usage)")


def _alternative(leaf: Certificate) -> tuple[str, ...]:
    from cryptography import x509

    try:
        value = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return ()
    kinds = (x509.RFC822Name, x509.UniformResourceIdentifier, x509.DNSName)
    return tuple(str(name) for kind in kinds for name in value.get_values_for_type(kind))


def _short(problem: Exception) -> str:
    return str(problem).splitlines()[0][:160] if str(problem) else "no such path"


def der(certificate: Certificate) -> bytes:
    """The certificate in DER form."""
    from cryptography.hazmat.primitives.serialization import Encoding

    return certificate.public_bytes(Encoding.DER)
