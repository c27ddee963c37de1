# SPDX-License-Identifier: Apache-2.0
"""Signs models and statements about them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bastide.errors import UsageError
from bastide.verify.signing import certificates, files, names
from bastide.verify.signing.bundle import Bundle, Chain, Key, encoded, write_bundle
from bastide.verify.signing.keys import PrivateKey, private_key
from bastide.verify.signing.logbook import record, signing_entry
from bastide.verify.signing.manifest import digests_of, make_manifest, to_statement
from bastide.verify.signing.model import Manifest, Statement, Subject
from bastide.verify.signing.statement import write_statement
from bastide.verify.signing.strict import Wrong
from bastide.verify.signing.tree import Tree, read_tree


@dataclass(frozen=True, slots=True)
class Credentials:
    """With what is signed."""

    key: PrivateKey
    chain: tuple[bytes, ...] = ()
    """Certificates in DER form, the signer's first; empty: the key alone."""

    @property
    def id(self) -> str:
        """The fingerprint of the public key."""
        return self.key.public.fingerprint

    def sign(self, payload: bytes) -> bytes:
        """The bundle over a payload."""
        material = Chain(self.chain) if self.chain else Key(self.key.public.hint)
        return write_bundle(Bundle(payload, self.key.sign(encoded(payload)), material))


@dataclass(frozen=True, slots=True)
class Described:
    """A model as it was read for signing."""

    path: Path
    tree: Tree
    manifest: Manifest


@dataclass(frozen=True, slots=True)
class Signed:
    """What was signed."""

    path: Path
    """Where the signature or attestation was written."""
    model: str
    digest: Mapping[str, str]
    files: int
    left_out: tuple[str, ...]
    """Files that it doesn't cover."""
    signer: str
    payload: str
    """SHA-256 of what was signed, hex: how the ledger knows it."""
    predicate_type: str
    entry: int = 0
    """Number in the ledger; 0: none."""


def credentials(
    key: Path, password: bytes | None = None, certificate: Path | None = None, chain: Iterable[Path] = ()
) -> Credentials:
    """The key of a file, with the certificate for it. Raises `UsageError`."""
    try:
        private = private_key(_read(key), password)
    except UsageError as problem:
        raise UsageError(f"{key}: {problem}") from None
    if certificate is None:
        return Credentials(private)
    try:
        found = [one for path in (certificate, *chain) for one in certificates.certificates(_read(path))]
        who = certificates.holder(found[0])
    except (Wrong, IndexError) as problem:
        raise UsageError(
            f"{certificate}: {str(problem) if isinstance(problem, Wrong) else 'holds no certificate'}"
        ) from None
    if who.key.fingerprint != private.public.fingerprint:
        raise UsageError(f"{certificate}: isn't the certificate of the key in {key}")
    if not who.valid_from <= datetime.now(UTC) <= who.valid_until:
        raise UsageError(f"{certificate}: isn't valid now, but from {who.valid_from} to {who.valid_until}")
    return Credentials(private, tuple(certificates.der(one) for one in found))


def sign_model(
    model: Path,
    who: Credentials,
    output: Path | None = None,
    ignored: Iterable[str] = (),
    ledger: Path | None = None,
) -> Signed:
    """Signs all files of a model and writes the signature beside it, or to `output`.

    ignored: paths in the model that are left out with everything below them; the signature says so, and nobody accepts such files without a
    policy that allows them. Raises `UsageError` for what can't be signed, `LedgerError`.
    """
    output = output or default_path(model, who, files.SIGNATURE)
    about = describe(model, ignored, output)
    return sign_statement(about, to_statement(about.manifest), who, output, ledger)


def attestation(about: Described, predicate_type: str, predicate: Mapping[str, Any]) -> Statement:
    """A statement about a model, bound to the contents and the paths of its files."""
    subject = Subject(about.manifest.name, digests_of(about.manifest))
    return Statement(predicate_type, (subject,), predicate)


def describe(model: Path, ignored: Iterable[str] = (), output: Path | None = None) -> Described:
    """All files of a model. Raises `UsageError` when there is anything for which nobody could vouch: links, devices, names with two meanings."""
    left_out = [_plain(one) for one in ignored]
    tree = read_tree(model)
    if tree.faults:
        raise UsageError("\n".join([f"{model}: can't be signed:", *(f"  {fault}" for fault in tree.faults[:50])]))
    own = files.own_documents(model)
    inside = files.inside(model, output) if output else ""
    if output and inside and not files.may_lie_inside(output):
        raise UsageError(f"{output}: in the model's folder it has to be called `*.sig` or `*.att`")
    manifest = make_manifest(tree.name, tree.digests, [*left_out, *own, *([inside] if inside else [])])
    if not manifest.resources:
        raise UsageError(f"{model}: there is nothing to sign in it")
    return Described(model, tree, manifest)


def default_path(model: Path, who: Credentials, suffix: str, kind: str = "") -> Path:
    """Beside the model, named by the key, so that several signers don't overwrite each other's."""
    root = model if model.name not in ("", "..") else model.resolve()
    middle = f".{kind}" if kind else ""
    return root.with_name(f"{root.name}{middle}.{who.id.removeprefix('sha256:')[:8]}{suffix}")


def sign_statement(
    about: Described, statement: Statement, who: Credentials, output: Path, ledger: Path | None = None
) -> Signed:
    """Signs a statement about a model and writes it. Raises `UsageError`, `LedgerError`."""
    tree, manifest = about.tree, about.manifest
    covered = {one.name for one in manifest.resources}
    if files.inside(about.path, output) in covered or output == about.path:
        raise UsageError(f"{output}: is a file of the model; name another one")
    payload = write_statement(statement)
    digest, sha256 = digests_of(manifest), hashlib.sha256(payload).hexdigest()
    data = who.sign(payload)
    # First the log, then the signature: one that is out there without being logged would be the worse of the two.
    entry = (
        record(ledger, signing_entry(sha256, who.id, manifest.name, statement.predicate_type, digest)) if ledger else 0
    )
    files.write(output, data)
    left_out = tuple(sorted(n for n in tree.digests if names.below(n, manifest.ignored)))
    count = len(manifest.resources)
    return Signed(output, manifest.name, digest, count, left_out, who.id, sha256, statement.predicate_type, entry)


def _plain(path: str) -> str:
    plain = path.removeprefix("./").rstrip("/")
    if plain == names.SINGLE or names.fault(plain):
        raise UsageError(f"`{path[:100]}` is no path in the model")
    return plain


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as stream:
            return stream.read(1 << 20)
    except (OSError, ValueError) as problem:
        raise UsageError(f"{path}: can't be read: {getattr(problem, 'strerror', None) or problem}") from None
