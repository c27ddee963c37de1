# SPDX-License-Identifier: Apache-2.0
"""Signatures over the ledger: checkpoints, and the stub that stands for deleted entries. Ed25519 (RFC 8032)."""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from bastide.errors import LedgerError
from bastide.evidence.files import PRIVATE, read_small, replace

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

Purpose = Literal["checkpoint", "stub"]


class Signed(msgspec.Struct, frozen=True, kw_only=True):
    """A statement about the ledger: up to entry `seq`, whose hash is `head`, it is what the key's owner wrote."""

    ledger: str
    """Random id of the ledger, so that no other ledger's statement fits."""
    seq: int
    head: str
    time: int
    """Nanoseconds since 1970."""
    key: str
    """Id of the key: the first 16 hex digits of the SHA-256 of the raw public key."""
    signature: str
    """Base64."""

    def document(self) -> dict[str, Any]:
        """As it is written."""
        return msgspec.structs.asdict(self)


class Signer:
    """A private key."""

    def __init__(self, private: Ed25519PrivateKey) -> None:
        self._private = private
        self.id = key_id(private.public_key())

    @classmethod
    def of(cls, pem: bytes) -> Signer:
        """The key of an unencrypted PEM. Raises `LedgerError`."""
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
        from cryptography.hazmat.primitives.serialization import load_pem_private_key

        try:
            private = load_pem_private_key(pem, None)
        except Exception:  # noqa: BLE001 - the library raises many kinds, some of which show what was read
            raise LedgerError("the signing key is no unencrypted private key in PEM form") from None
        if not isinstance(private, Ed25519PrivateKey):
            raise LedgerError("the signing key is no Ed25519 key")
        return cls(private)

    @classmethod
    def in_folder(cls, folder: Path) -> Signer:
        """The folder's own key, made when it is missing. Raises `LedgerError`, also when others can read it."""
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
        from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

        path = folder / PRIVATE
        data = read_small(path)
        if data is None:
            private = Ed25519PrivateKey.generate()
            data = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
            try:
                replace(path, data, 0o600)
            except OSError as problem:
                raise LedgerError(f"{path}: can't be written: {problem.strerror}") from None
        elif path.stat().st_mode & 0o077:
            raise LedgerError(f"{path}: others can read this private key; make it `chmod 600`, or better a new one")
        return cls.of(data)

    def sign(self, purpose: Purpose, ledger: str, seq: int, head: str, time: int) -> Signed:
        """The statement about a head."""
        signature = self._private.sign(_message(purpose, ledger, seq, head, time))
        encoded = base64.b64encode(signature).decode()
        return Signed(ledger=ledger, seq=seq, head=head, time=time, key=self.id, signature=encoded)

    def publish(self, folder: Path) -> None:
        """Puts the public key into the folder. Raises `OSError`."""
        from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

        path = folder / f"key-{self.id}.pub.pem"
        if not path.exists():
            public = self._private.public_key()
            replace(path, public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo), 0o644)


class Keyring:
    """Public keys with which statements are checked."""

    def __init__(self, keys: Iterable[Ed25519PublicKey]) -> None:
        self._keys = {key_id(key): key for key in keys}

    def __len__(self) -> int:
        return len(self._keys)

    @classmethod
    def of(cls, pems: Iterable[bytes]) -> Keyring:
        """The keys of PEM documents. Raises `LedgerError`."""
        return cls(_public(pem) for pem in pems)

    @classmethod
    def in_folder(cls, folder: Path) -> Keyring:
        """The keys that lie beside the ledger; what isn't one is left out."""
        found = []
        for path in sorted(folder.glob("key-*.pub.pem"))[:100]:
            try:
                data = read_small(path)
                found.append(_public(data or b""))
            except LedgerError:
                continue
        return cls(found)

    def wrong(self, purpose: Purpose, signed: Signed) -> str:
        """What is wrong with a statement's signature; '' when it is good."""
        from cryptography.exceptions import InvalidSignature

        key = self._keys.get(signed.key)
        if key is None:
            return f"is signed with the key {signed.key[:16]!r}, which isn't known"
        try:
            signature = base64.b64decode(signed.signature, validate=True)
            key.verify(signature, _message(purpose, signed.ledger, signed.seq, signed.head, signed.time))
        except (InvalidSignature, binascii.Error, ValueError):
            return "has a wrong signature"
        return ""


def statement(document: Mapping[str, Any]) -> Signed:
    """The statement in a document. Raises `ValueError`."""
    try:
        return msgspec.convert({k: v for k, v in document.items() if k != "kind"}, Signed)
    except (msgspec.MsgspecError, AttributeError, TypeError):
        raise ValueError("isn't what a checkpoint looks like") from None


def read_statement(path: Path) -> Signed | None:
    """The statement in a file; None when there is no file. Raises `LedgerError`."""
    data = read_small(path)
    if data is None:
        return None
    try:
        return statement(msgspec.json.decode(data))
    except (msgspec.MsgspecError, ValueError, RecursionError):
        raise LedgerError(f"{path}: isn't what a checkpoint looks like") from None


def write_statement(path: Path, signed: Signed) -> None:
    """Writes it, whole or not at all. Raises `OSError`."""
    replace(path, msgspec.json.encode(signed) + b"\n", 0o644)


def key_id(public: Ed25519PublicKey) -> str:
    """A name for a key."""
    return hashlib.sha256(public.public_bytes_raw()).hexdigest()[:16]


def random_id() -> str:
    """The id of a new ledger."""
    return os.urandom(16).hex()


def _public(pem: bytes) -> Ed25519PublicKey:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    try:
        key = load_pem_public_key(pem)
    except Exception:  # noqa: BLE001 - the library raises many kinds
        raise LedgerError("the key is no public key in PEM form") from None
    if not isinstance(key, Ed25519PublicKey):
        raise LedgerError("the key is no Ed25519 public key")
    return key


def _message(purpose: Purpose, ledger: str, seq: int, head: str, time: int) -> bytes:
    # JSON's quoting keeps the fields apart whatever stands in them.
    return msgspec.json.encode(["bastide-ledger", purpose, ledger, seq, head, time])
