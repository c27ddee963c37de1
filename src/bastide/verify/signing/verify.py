# SPDX-License-Identifier: Apache-2.0
"""Verifies a model against a trust policy: `verify_model(path, load_policy(Path("trust.yaml"))).outcome`.

Reads the model, its signatures and attestations and the ledger; everything else is decided by pure functions.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from bastide.errors import LimitError
from bastide.verify.signing import files
from bastide.verify.signing.authenticate import authenticate
from bastide.verify.signing.bundle import read_bundle
from bastide.verify.signing.decide import Facts, attested, decide
from bastide.verify.signing.logbook import Logbook, decision_entry, read_logbook, record
from bastide.verify.signing.manifest import PREDICATE_TYPE, compare, from_statement, make_manifest, root_digest
from bastide.verify.signing.model import Decision, Envelope, Manifest, Outcome
from bastide.verify.signing.policy import Demand, Policy
from bastide.verify.signing.statement import read_statement
from bastide.verify.signing.strict import Wrong
from bastide.verify.signing.tree import Tree, hash_stretches, look_again, read_tree


@dataclass(frozen=True, slots=True)
class Options:
    """What a verification may be told."""

    name: str = ""
    """How the policy calls the model; by default the last part of its path."""
    at: datetime | None = None
    """The time for which it is decided; by default now."""
    documents: tuple[Path, ...] | None = None
    """Signatures and attestations; by default those beside the model."""
    ledger: Path | None = None
    """The ledger in which signatures are looked up, and into which the decision is written."""
    ledger_key: bytes | None = None
    """Its public key, PEM; by default the policy's."""
    workers: int | None = None
    """Files that are hashed at a time."""
    tree: Tree | None = None
    """What was read of the model just now; it is listed again, and not hashed again when nothing has changed."""
    demands: tuple[Demand, ...] = ()
    """Attestations that are looked for beside those of the policy; see `Decision.demanded`."""


def verify_model(model: Path, policy: Policy, options: Options = Options()) -> Decision:
    """Whether a model may be used, with all reasons.

    Raises `UsageError` when there is no model, `LedgerError` when the decision can't be logged.
    """
    at = options.at or datetime.now(UTC)
    logbook = _logbook(options, policy)
    tree = read_tree(model, options.workers) if options.tree is None else look_again(options.tree)
    paths = files.beside(model) if options.documents is None else options.documents
    found = [_open(path, policy, at, logbook) for path in dict.fromkeys(paths)]
    own = frozenset(
        name for path, one in zip(dict.fromkeys(paths), found, strict=True)
        if one.outcome is Outcome.HOLDS and files.may_lie_inside(path) and (name := files.inside(model, path))
    )  # fmt: skip
    signatures = tuple(_compared(one, tree, own) for one in found if _is_signature(one))
    attestations = tuple(one for one in found if not _is_signature(one))
    if any(one.manifest and (one.manifest.shard_size or one.manifest.algorithm != "sha256") for one in signatures):
        tree = look_again(tree)
    name = options.name or tree.name
    facts = Facts(name, tree, own, signatures, attestations, at, logbook)
    decision = Decision(
        model=str(model),
        name=name,
        digest=_digest(tree, own, signatures),
        files=len(tree.stamps),
        at=at,
        checks=decide(policy, facts),
        signatures=signatures,
        attestations=attestations,
        unsigned=_unsigned(signatures, own),
        policy=f"{policy.file} (sha256 {policy.digest})" if policy.file else "",
        notes=_notes(options, policy, logbook),
        demanded=attested(options.demands, policy, facts),
    )
    if options.ledger:
        record(options.ledger, decision_entry(decision))
    return decision


def _logbook(options: Options, policy: Policy) -> Logbook | None:
    if options.ledger is None:
        return None
    return read_logbook(options.ledger, options.ledger_key or policy.ledger_key)


def _notes(options: Options, policy: Policy, logbook: Logbook | None) -> tuple[str, ...]:
    if logbook is None:
        return ()
    if logbook.problem:
        return (logbook.problem,)
    if (options.ledger_key or policy.ledger_key) is None:
        return ("the ledger's public key lies beside it, so its times aren't believed",)
    return ()


def _open(path: Path, policy: Policy, at: datetime, logbook: Logbook | None) -> Envelope:
    """A signature or attestation with what it says, as far as it is anybody's."""
    try:
        raw = files.read(path)
        bundle = read_bundle(raw)
    except Wrong as problem:
        return Envelope(str(path), reason=str(problem))
    except OSError as problem:
        return Envelope(str(path), outcome=Outcome.UNKNOWN, reason=f"can't be read: {problem.strerror or problem}")
    answer = authenticate(bundle, raw, policy, at, logbook.time if logbook else lambda *_: None)
    envelope = Envelope(
        str(path), hashlib.sha256(bundle.payload).hexdigest(), None, None, answer.identity, answer.outcome, answer.reason,
        logged=answer.logged,
    )  # fmt: skip
    if answer.outcome is not Outcome.HOLDS:
        # What nobody vouches for isn't read.
        return envelope
    try:
        envelope = replace(envelope, statement=read_statement(bundle.payload))
        if envelope.statement and envelope.statement.predicate_type == PREDICATE_TYPE:
            envelope = replace(envelope, manifest=from_statement(envelope.statement))
    except Wrong as problem:
        return replace(envelope, outcome=Outcome.REFUSED, reason=f"what it signs {problem}")
    return envelope


def _is_signature(envelope: Envelope) -> bool:
    if envelope.statement is None:
        return not envelope.file.endswith(files.ATTESTATION)
    return envelope.statement.predicate_type == PREDICATE_TYPE


def _compared(envelope: Envelope, tree: Tree, own: Iterable[str]) -> Envelope:
    if envelope.manifest is None or envelope.outcome is not Outcome.HOLDS:
        return envelope
    found = _hashed(envelope.manifest, tree)
    return replace(envelope, differences=compare(envelope.manifest, found, tree.stamps, own))


def _hashed(manifest: Manifest, tree: Tree) -> Mapping[str, str]:
    """The digests of the files, hashed as the manifest says."""
    if manifest.algorithm == "sha256" and not manifest.shard_size:
        return tree.digests
    found: dict[str, str] = {}
    for name in tree.digests:
        try:
            found.update(hash_stretches(tree.root, name, manifest.algorithm, manifest.shard_size))
        except (OSError, EOFError, LimitError):
            # Counts as missing.
            continue
    return found


def _digest(tree: Tree, own: Iterable[str], signatures: Iterable[Envelope]) -> str:
    """The model's digest as its first good signature has it; without one that of all files."""
    if not tree.digests or any(fault.kind in ("unreadable", "changed", "limit") for fault in tree.faults):
        return ""
    for one in signatures:
        if one.manifest and one.outcome is Outcome.HOLDS and not (one.differences.changed or one.differences.missing):
            return root_digest(one.manifest.resources)
    return root_digest(make_manifest(tree.name, tree.digests, own).resources)


def _unsigned(signatures: Iterable[Envelope], own: Iterable[str]) -> tuple[str, ...]:
    good = [one.differences for one in signatures if one.outcome is Outcome.HOLDS]
    loose = [{*one.extra, *one.left_out} for one in good]
    return tuple(sorted({*own, *(set.intersection(*loose) if loose else ())}))
