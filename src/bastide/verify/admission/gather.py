# SPDX-License-Identifier: Apache-2.0
"""Reads all that a policy asks for: scans, verifies, describes, hashes. Everything is made now, for the bytes that are there now."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from bastide.errors import UsageError
from bastide.verify.admission.decide import Facts, decide
from bastide.verify.admission.interface import Registry
from bastide.verify.admission.layouts import Found
from bastide.verify.admission.model import Base, Decision, Version
from bastide.verify.admission.policy import Policy
from bastide.verify.artifacts.model import FileReport
from bastide.verify.artifacts.walk import find_files
from bastide.verify.bom.collect import Sources, collect
from bastide.verify.bom.model import Model
from bastide.verify.signing.files import own_documents
from bastide.verify.signing.manifest import make_manifest, root_digest
from bastide.verify.signing.model import Check, Outcome

Scanner = Callable[[Sequence[str]], Iterator[FileReport]]
"""The scan of some files, in their order."""


@dataclass(frozen=True, slots=True)
class Request:
    """What is to be decided."""

    path: Path
    name: str
    stage: str = ""
    by: str = ""
    at: datetime | None = None
    """By default now."""
    ledger: Path | None = None
    promote: bool = False
    """Whether the registered version goes to the stage when all holds."""
    expected: Version | None = None
    """The version that these bytes have to be."""


def admit(request: Request, policy: Policy, scan: Scanner, registry: Registry | None = None) -> Decision:
    """The decision about a model, with all reasons; it is kept in the registry and in the ledger.

    Raises `UsageError` when there is no model, `SettingsError` for a wrong trust policy, `StoreError`, `LedgerError`.
    """
    at = request.at or datetime.now(UTC)
    before, fault = digest_of(request.path)
    version = request.expected
    if version is None and registry is not None:
        version = next((v for v in registry.versions(request.name) if v.digest == before), None)
    facts = Facts(
        name=request.name,
        stage=request.stage,
        at=at,
        version=version,
        approvals=tuple(registry.approvals(version)) if registry is not None and version else (),
        registered=_all(registry),
    )
    facts = _read(facts, request, policy, scan)
    changed = _changed(before, fault, request)
    name = f"{policy.file} (sha256 {policy.digest})" if policy.file else ""
    checks = (*changed, *decide(policy, facts))
    number = version.number if version else 0
    decision = Decision(request.name, request.stage, str(request.path), before, at, checks, name, request.by, number)
    return _kept(decision, request, version, registry)


def _changed(before: str, fault: str, request: Request) -> tuple[Check, ...]:
    """What is wrong with the bytes themselves."""
    if fault or not before:
        return (Check("files", Outcome.UNKNOWN, fault or "could not all be read"),)
    if request.expected is not None and request.expected.digest != before:
        return (Check("files", Outcome.REFUSED, f"aren't those that were registered as {request.expected}"),)
    if digest_of(request.path)[0] != before:
        return (Check("files", Outcome.UNKNOWN, "changed while they were read"),)
    return ()


def _read(facts: Facts, request: Request, policy: Policy, scan: Scanner) -> Facts:
    """What the rules that apply ask for, and nothing else."""
    rules = policy.rules_for(request.name, request.stage)
    if any(rule.scan for rule in rules):
        found = find_files([str(request.path)])
        passed = tuple(f"{one.location.file}: {one.message}" for one in found.passed_over)
        facts = replace(facts, reports=tuple(scan(found.files)), passed_over=passed)
    if any(rule.signature for rule in rules) and policy.trust is not None:
        from bastide.verify.signing.policy_file import load_policy
        from bastide.verify.signing.verify import Options, verify_model

        trust = load_policy(policy.trust)
        told = Options(name=request.name, at=facts.at, ledger=request.ledger)
        facts = replace(facts, verification=verify_model(request.path, trust, told))
    if any(r.card or r.annex or r.metrics or r.licences or r.bases for r in rules):
        facts = replace(facts, description=describe(request.path))
    return facts


def _kept(decision: Decision, request: Request, version: Version | None, registry: Registry | None) -> Decision:
    if request.ledger is not None:
        from bastide.verify.signing.logbook import record

        decision = replace(decision, entry=record(request.ledger, entry_of(decision)))
    if registry is not None and version is not None:
        registry.record(version, decision, promote=request.promote)
    return decision


def entry_of(decision: Decision) -> dict[str, object]:
    """The entry of a decision in a ledger."""
    return {
        "kind": "admission",
        "model": decision.name,
        "version": decision.number,
        "digest": decision.digest,
        "stage": decision.stage,
        "outcome": decision.outcome.value,
        "policy": decision.policy,
        "by": decision.by,
        "at": decision.at.isoformat(),
        "checks": [{"id": c.id, "outcome": c.outcome.value, "reason": c.reason} for c in decision.checks],
    }


def register(found: Found, registry: Registry, by: str, at: datetime | None = None) -> Version:
    """The version of a model that was found, kept in the registry. Raises `UsageError` when it can't be read, `StoreError`."""
    digest, fault = digest_of(found.path)
    if not digest or fault:
        raise UsageError(f"{found.path}: {fault or 'could not be read'}")
    bases = tuple(Base(one.name, one.relation.value) for one in describe(found.path).ancestors)
    return registry.add(
        Version(
            found.name,
            digest,
            str(found.path),
            found.layout,
            found.source,
            bases,
            added=at or datetime.now(UTC),
            added_by=by,
        )
    )


def name_of(path: Path) -> str:
    """How a model is called when nobody says it: as its layout says, or by its path. Raises `UsageError` when there is none."""
    if not path.exists():
        raise UsageError(f"{path}: there is no such file or folder")
    if path.is_dir() and path.resolve().parent.name == "snapshots":
        return path.resolve().parent.parent.name.removeprefix("models--").replace("--", "/")
    return path.resolve().name


def describe(path: Path) -> Model:
    """What is stated about a model."""
    return collect([path], Sources()).models[0]


def digest_of(path: Path) -> tuple[str, str]:
    """The digest of a model, as its signature has it, and why there is none or why it can't be trusted.

    Contents of a hub's cache count under the names of their links. Raises `UsageError` when there is no model.
    """
    found = find_files([str(path)])
    own = set(own_documents(path))
    root = path if path.is_dir() else path.parent
    names = {(Path(f).relative_to(root).as_posix() if path.is_dir() else "."): f for f in found.files}
    try:
        with ThreadPoolExecutor() as pool:
            hashed = dict(zip(names, pool.map(_sha256, names.values()), strict=True))
    except OSError as problem:
        return "", f"{problem.filename}: {problem.strerror}"
    if not hashed:
        return "", "there are no files"
    manifest = make_manifest(path.name, hashed, own)
    left = found.passed_over[0] if found.passed_over else None
    return root_digest(manifest.resources), f"{left.location.file}: {left.message}" if left else ""


def _sha256(path: str) -> str:
    with open(path, "rb") as stream:  # noqa: PTH123 - a path as text
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _all(registry: Registry | None) -> dict[str, tuple[Version, ...]] | None:
    if registry is None:
        return None
    found: dict[str, tuple[Version, ...]] = {}
    for version in registry.versions():
        found[version.name] = (*found.get(version.name, ()), version)
    return found
