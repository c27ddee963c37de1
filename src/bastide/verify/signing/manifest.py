# SPDX-License-Identifier: Apache-2.0
"""Manifests: the statement that OpenSSF model signing signs, and how the files on a disk compare with it.

The predicate https://model_signing/signature/v1.0 lists every file with its digest. The subject's SHA-256 is over these digests in the
order of the paths, so it is the same for every signer; since it leaves the paths out, attestations carry in-toto's `dirHash` beside it
(https://github.com/in-toto/attestation/blob/main/spec/v1/digest_set.md), which has them.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from typing import Any

from bastide.verify.signing import names, strict
from bastide.verify.signing.model import Differences, Manifest, Resource, Statement, Subject
from bastide.verify.signing.strict import Wrong

PREDICATE_TYPE = "https://model_signing/signature/v1.0"
_LENGTHS = {"sha256": 64, "blake2b": 128}
_STRETCH = re.compile(r"(?s)(.+):(0|[1-9][0-9]{0,18}):(0|[1-9][0-9]{0,18})\Z")


def make_manifest(name: str, digests: Mapping[str, str], ignored: Iterable[str] = ()) -> Manifest:
    """The manifest of files (path -> SHA-256) without those that are ignored."""
    left_out = tuple(sorted(set(ignored)))
    kept = [Resource(path, digests[path]) for path in digests if not names.below(path, left_out)]
    return Manifest(name, tuple(sorted(kept, key=_order)), left_out)


def root_digest(resources: Iterable[Resource]) -> str:
    """SHA-256 over the digests in their order: the model's digest."""
    return hashlib.sha256(b"".join(bytes.fromhex(one.digest) for one in resources)).hexdigest()


def tree_digest(resources: Iterable[Resource]) -> str:
    """`dirHash`: SHA-256 over digests and paths."""
    lines = sorted((one.name.encode(), one.digest.encode()) for one in resources)
    return hashlib.sha256(b"".join(b"%s  %s\n" % (digest, name) for name, digest in lines)).hexdigest()


def digests_of(manifest: Manifest) -> dict[str, str]:
    """What an attestation about the model is bound to."""
    return {"sha256": root_digest(manifest.resources), "dirHash": tree_digest(manifest.resources)}


def to_statement(manifest: Manifest) -> Statement:
    """What is signed."""
    serialization: dict[str, Any] = {"method": "files", "hash_type": manifest.algorithm, "allow_symlinks": False}
    if manifest.ignored:
        serialization["ignore_paths"] = list(manifest.ignored)
    resources = [{"name": r.name, "algorithm": manifest.algorithm, "digest": r.digest} for r in manifest.resources]
    subject = Subject(manifest.name, {"sha256": root_digest(manifest.resources)})
    return Statement(PREDICATE_TYPE, (subject,), {"serialization": serialization, "resources": resources})


def from_statement(statement: Statement) -> Manifest:
    """The manifest that was signed. Raises `Wrong`, also when it contradicts itself."""
    if statement.predicate_type != PREDICATE_TYPE:
        raise Wrong(f"is no signature of a model, but `{statement.predicate_type[:100]}`")
    if len(statement.subjects) != 1:
        raise Wrong("isn't about one model")
    [subject] = statement.subjects
    how = strict.field(statement.predicate, "serialization", dict)
    method, algorithm = strict.field(how, "method", str), strict.field(how, "hash_type", str)
    if method not in ("files", "shards") or algorithm not in _LENGTHS:
        raise Wrong(f"hashes `{method[:20]}` with `{algorithm[:20]}`, which isn't known here")
    ignored = how.get("ignore_paths", [])
    if not isinstance(ignored, list) or not all(isinstance(one, str) for one in ignored):
        raise Wrong("`ignore_paths` isn't a list of paths")
    size = _shard_size(how) if method == "shards" else 0
    resources = tuple(_resource(one, algorithm, size) for one in strict.objects(statement.predicate, "resources"))
    _consistent(resources, subject)
    return Manifest(subject.name, resources, tuple(ignored), algorithm, size)


def compare(manifest: Manifest, found: Mapping[str, str], present: Iterable[str], own: Iterable[str]) -> Differences:
    """How files differ from a manifest.

    found: digests by resource name, hashed as the manifest says. present: paths of all files that are there. own: paths of the signatures
    themselves, where they lie inside of the model.
    """
    signed = {one.name: one.digest for one in manifest.resources}
    covered = {_file(name) for name in signed} if manifest.shard_size else signed.keys()
    unsigned = sorted(set(present) - covered - set(own))
    # A manifest that covers only the beginning of a file covers none of it.
    unsigned += sorted(n for n in found if manifest.shard_size and n not in signed and _file(n) in covered)
    return Differences(
        changed=tuple(n for n in signed if n in found and found[n] != signed[n]),
        missing=tuple(n for n in signed if n not in found),
        extra=tuple(n for n in unsigned if not names.below(n, manifest.ignored)),
        left_out=tuple(n for n in unsigned if names.below(n, manifest.ignored)),
    )


def _file(name: str) -> str:
    return name.rsplit(":", 2)[0]


def _order(resource: Resource) -> list[str]:
    # As the paths are compared part by part: `a/b` before `a.b`.
    return resource.name.split("/")


def _shard_size(how: Mapping[str, Any]) -> int:
    size = how.get("shard_size")
    # Protocol buffers write every number as a float.
    if isinstance(size, bool) or not isinstance(size, (int, float)) or not 0 < size < 2**53 or size != int(size):
        raise Wrong("`shard_size` is no size")
    return int(size)


def _resource(document: dict[str, Any], algorithm: str, size: int) -> Resource:
    name, digest = strict.field(document, "name", str), strict.field(document, "digest", str)
    if document.get("algorithm") != (f"{algorithm}-sharded-{size}" if size else algorithm):
        raise Wrong(f"`{name[:100]}` is hashed in another way than the manifest says")
    if len(digest) != _LENGTHS[algorithm] or set(digest) - set("0123456789abcdef"):
        raise Wrong(f"`{name[:100]}` has no digest")
    if size and not _STRETCH.match(name):
        raise Wrong(f"`{name[:100]}` is no stretch of a file")
    if wrong := names.fault(_file(name) if size else name):
        raise Wrong(f"the name `{name[:100]!a}` {wrong}")
    return Resource(name, digest)


def _consistent(resources: tuple[Resource, ...], subject: Subject) -> None:
    paths = [one.name for one in resources]
    if len(set(paths)) != len(paths):
        raise Wrong("lists the same file twice")
    if clash := names.clashes(paths):
        raise Wrong("lists `{}` and `{}`, which some systems take for the same file".format(*clash[0]))
    if subject.digest.get("sha256") != root_digest(resources):
        raise Wrong("the model's digest isn't that of the files it lists")
