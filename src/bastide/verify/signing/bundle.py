# SPDX-License-Identifier: Apache-2.0
"""Sigstore bundles, version 0.3, with one DSSE envelope: how signatures and attestations are kept.

https://docs.sigstore.dev/about/bundle/ and https://github.com/secure-systems-lab/dsse/blob/v1.0.0/protocol.md. What the format doesn't
have is refused, since no signature covers the bundle itself: a field that one reader skips and another follows would be a hole.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bastide.verify.signing import strict
from bastide.verify.signing.strict import Wrong

MEDIA_TYPE = "application/vnd.dev.sigstore.bundle.v0.3+json"
PAYLOAD_TYPE = "application/vnd.in-toto+json"
LARGEST = 32 << 20
"""Bytes of a bundle: a manifest of a hundred thousand files fits."""
_PARTS = 5000
"""Objects and lists in it. What is signed stands in it as base64, which has no brackets, so an honest one has some dozens."""


@dataclass(frozen=True, slots=True)
class Key:
    """The signature is by a key that the reader has to know."""

    hint: str
    """Hex SHA-256 of the public key in PEM form; '' in old signatures."""


@dataclass(frozen=True, slots=True)
class Chain:
    """The signature is by the key of a certificate."""

    certificates: tuple[bytes, ...]
    """DER, the signer's first."""


@dataclass(frozen=True, slots=True)
class Keyless:
    """The signature is by a key of some minutes, for which Sigstore's authority and log vouch."""


@dataclass(frozen=True, slots=True)
class Bundle:
    """A signed payload."""

    payload: bytes
    signature: bytes
    material: Key | Chain | Keyless


def encoded(payload: bytes, payload_type: str = PAYLOAD_TYPE) -> bytes:
    """What is signed (PAE): the type of the payload is under the signature too."""
    kind = payload_type.encode()
    return b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(payload), payload)


def read_bundle(data: bytes) -> Bundle:
    """The bundle in a file. Raises `Wrong`; nothing is verified yet."""
    if len(data) > LARGEST:
        raise Wrong(f"is larger than {LARGEST >> 20} MiB")
    if data.count(b"{") + data.count(b"[") > _PARTS:
        raise Wrong("has more parts than any bundle")
    document = strict.read(data)
    strict.only(document, "mediaType", "verificationMaterial", "dsseEnvelope")
    if document.get("mediaType") != MEDIA_TYPE:
        raise Wrong(f"is no Sigstore bundle of version 0.3 ({MEDIA_TYPE})")
    envelope = strict.field(document, "dsseEnvelope", dict)
    strict.only(envelope, "payload", "payloadType", "signatures")
    if envelope.get("payloadType") != PAYLOAD_TYPE:
        raise Wrong(f"the payload is said to be `{str(envelope.get('payloadType'))[:60]}`, not {PAYLOAD_TYPE}")
    signatures = strict.objects(envelope, "signatures")
    if len(signatures) != 1:
        raise Wrong(f"has {len(signatures)} signatures; a bundle has one")
    strict.only(signatures[0], "sig", "keyid")
    if signatures[0].get("keyid"):
        # No signature covers it and nothing uses it.
        raise Wrong("names a key beside its signature")
    material = _material(strict.field(document, "verificationMaterial", dict))
    return Bundle(strict.base64_bytes(envelope, "payload"), strict.base64_bytes(signatures[0], "sig"), material)


def write_bundle(bundle: Bundle) -> bytes:
    """The bundle as it is kept: in one line, so that each byte of it means something."""
    if isinstance(bundle.material, Keyless):
        raise TypeError("Sigstore's own client writes its bundles")
    if isinstance(bundle.material, Key):
        material: dict[str, Any] = {"publicKey": {"hint": bundle.material.hint}}
    else:
        chain = [{"rawBytes": _base64(one)} for one in bundle.material.certificates]
        material = {"x509CertificateChain": {"certificates": chain}}
    envelope = {
        "payload": _base64(bundle.payload),
        "payloadType": PAYLOAD_TYPE,
        "signatures": [{"sig": _base64(bundle.signature), "keyid": ""}],
    }
    document = {
        "mediaType": MEDIA_TYPE,
        "verificationMaterial": {**material, "tlogEntries": []},
        "dsseEnvelope": envelope,
    }
    return json.dumps(document, separators=(",", ":")).encode()


def _material(document: Mapping[str, Any]) -> Key | Chain | Keyless:
    kinds = [name for name in ("publicKey", "x509CertificateChain", "certificate") if document.get(name) is not None]
    if len(kinds) != 1:
        raise Wrong("doesn't say in one way whose signature it is")
    [kind] = kinds
    if kind == "certificate":
        # All of it is for the client of Sigstore to check.
        return Keyless()
    strict.only(document, kind, "tlogEntries", "timestampVerificationData")
    if document.get("tlogEntries") or document.get("timestampVerificationData") is not None:
        raise Wrong("carries entries of a log or time stamps, which nothing here could check")
    found = strict.field(document, kind, dict)
    if kind == "publicKey":
        strict.only(found, "hint", "rawBytes", "keyDetails")
        return Key(str(found.get("hint") or ""))
    strict.only(found, "certificates")
    chain = strict.objects(found, "certificates")
    if not 0 < len(chain) <= 10:
        raise Wrong("has no certificate, or more than ten")
    for one in chain:
        strict.only(one, "rawBytes")
    return Chain(tuple(strict.base64_bytes(one, "rawBytes") for one in chain))


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()
