# SPDX-License-Identifier: Apache-2.0
"""Reads all that a policy asks for: scans, verifies, describes, hashes. Everything is made now, for the bytes that are there now."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from bastide.errors import Diagnostic, LedgerError, SettingsError, StoreError, UsageError, did_you_mean
from bastide.verify.admission.contents import Contents, read_contents
from bastide.verify.admission.decide import decide
from bastide.verify.admission.facts import Facts
from bastide.verify.admission.interface import ChangedMeanwhile, Registry
from bastide.verify.admission.layouts import Found
from bastide.verify.admission.model import Action, Approval, Base, Decision, Evidence, Version
from bastide.verify.admission.policy import Policy, Rule
from bastide.verify.artifacts.model import FileReport
from bastide.verify.artifacts.scan import readable
from bastide.verify.bom import evidence as bom
from bastide.verify.bom.collect import Sources, collect
from bastide.verify.bom.folder import Limits
from bastide.verify.bom.model import Model
from bastide.verify.signing.manifest import PREDICATE_TYPE
from bastide.verify.signing.model import Check, Envelope, Outcome
from bastide.verify.signing.predicates import TYPES

Scanner = Callable[[Sequence[str]], Iterator[FileReport]]
"""The scan of some files, in their order."""
_TRIES = 20
_LIMITS = Limits(files=100_000, weights=4096)
_TYPES = {PREDICATE_TYPE: "signature", **{address: name for name, address in TYPES.items()}}
_LONGEST = 300


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
    action: Action = "admit"
    """`promote`: the registered version goes to the stage when all holds."""
    expected: Version | None = None
    """The version that these bytes have to be."""


def admit(request: Request, policy: Policy, scan: Scanner, registry: Registry | None = None) -> Decision:
    """The decision about a model, with all reasons; it is kept in the registry and in the ledger.

    Raises `UsageError` when there is no model, `SettingsError` for a wrong policy, `StoreError`, `LedgerError`.
    """
    contents = read_contents(request.path)
    facts = Facts(request.name, request.stage, request.at or datetime.now(UTC))
    facts = _read(facts, request, policy, scan, contents)
    wrong = _bytes(contents, request, facts)
    for _ in range(_TRIES):
        facts = _standing(facts, request, contents, registry)
        decision = Decision(
            name=request.name,
            stage=request.stage,
            path=str(request.path.absolute()),
            digest=contents.digest,
            at=facts.at,
            checks=(*wrong, *decide(policy, facts)),
            policy=f"{policy.file} (sha256 {policy.digest})" if policy.file else "",
            by=request.by,
            number=facts.version.number if facts.version else 0,
            action=request.action,
            paths=contents.paths,
        )
        try:
            return _kept(decision, request.ledger, facts, registry)
        except ChangedMeanwhile:
            continue
    raise StoreError(f"{request.name}: others change it all the time, so nothing could be decided; try again")


def retire(version: Version, by: str, reason: str, registry: Registry, ledger: Path | None = None) -> Decision:
    """Takes a version out of its stage, whatever a policy says. Raises `StoreError`, `LedgerError`."""
    check = Check("retired", Outcome.HOLDS, reason or f"was in {version.stage or 'no stage'}")
    decision = Decision(
        version.name, version.stage, version.path, version.digest, datetime.now(UTC), (check,), by=by,
        number=version.number, action="retire", paths=version.paths,
    )  # fmt: skip
    return registry.record(version, decision, log=_written(ledger, entry_of(decision)))


def approve(version: Version, approval: Approval, registry: Registry, ledger: Path | None = None) -> None:
    """Keeps an approval, in the ledger too. Raises `StoreError`, `LedgerError`."""
    entry = {
        "kind": "approval",
        "model": version.name,
        "version": version.number,
        "digest": version.digest,
        "dirHash": version.paths,
        "stage": approval.stage,
        "by": approval.by,
        "reason": approval.reason,
        "withdrawn": approval.withdrawn,
        "at": approval.at.isoformat(),
    }
    registry.approve(version, approval, _written(ledger, entry))


def register(found: Found, registry: Registry, by: str, ledger: Path | None = None) -> Version:
    """The version of a model that was found, kept in the registry. Raises `UsageError` when it can't be read, `StoreError`, `LedgerError`."""
    name = found.name
    if not name or len(name) > _LONGEST or not name.isprintable() or name != name.strip():
        raise UsageError(f"{found.path}: `{name[:60]}` can't be the name of a model; say --name")
    contents = read_contents(found.path)
    if contents.fault:
        raise UsageError(f"{found.path}: {contents.fault}")
    bases = tuple(Base(one.name, one.relation.value, one.revision) for one in describe(found.path).ancestors)
    version = Version(
        found.name, contents.digest, contents.paths, str(found.path.absolute()), found.layout, found.source, bases,
        added=datetime.now(UTC), added_by=by,
    )  # fmt: skip
    if ledger is None:
        return registry.add(version)
    return registry.add(version, lambda made: _append(ledger, _registration(made)))


def describe(path: Path, scan: bom.Scanner | None = None) -> Model:
    """What is stated about a model; the scan is stated too."""
    return collect([path], Sources(scan=scan, limits=_LIMITS)).models[0]


def _again(reports: Sequence[FileReport] | None, scan: Scanner) -> bom.Scanner | None:
    """The reports that there are, so that nothing is read twice; what has none is scanned."""
    if reports is None:
        return None
    known = {os.path.realpath(one.path): one for one in reports}

    def again(paths: list[Path]) -> Iterator[FileReport]:
        for path in paths:
            found = known.get(os.path.realpath(path))
            yield found if found is not None else next(scan([str(path)]))

    return again


def entry_of(decision: Decision) -> dict[str, object]:
    """The entry of a decision in a ledger."""
    return {
        "kind": "admission",
        "action": decision.action,
        "model": decision.name,
        "version": decision.number,
        "digest": decision.digest,
        "dirHash": decision.paths,
        "stage": decision.stage,
        "outcome": decision.outcome.value,
        "policy": decision.policy,
        "by": decision.by,
        "at": decision.at.isoformat(),
        "checks": [{"id": c.id, "outcome": c.outcome.value, "reason": c.reason} for c in decision.checks],
    }


def _bytes(contents: Contents, request: Request, facts: Facts) -> tuple[Check, ...]:
    """What is wrong with the bytes themselves, after everything was read."""
    if contents.fault:
        hint = "take links and the like out of the model; from a hub's cache, name the revision's folder"
        return (Check("files", Outcome.UNKNOWN, contents.fault, hint=hint),)
    expected = request.expected
    if expected is not None and not expected.same_bytes(contents.digest, contents.paths):
        hint = "`bastide models add` makes them a version of their own"
        return (Check("files", Outcome.REFUSED, f"aren't those that were registered as {expected}", hint=hint),)
    # Reports show the bytes of a path that are no UTF-8.
    known = {readable(path): digest for path, digest in contents.files.items()}
    other = [one for one in facts.reports or () if one.sha256 not in ("", known.get(one.path))]
    if other or contents.changed():
        return (Check("files", Outcome.UNKNOWN, "changed while they were read", hint="decide where nobody writes"),)
    return ()


def _read(facts: Facts, request: Request, policy: Policy, scan: Scanner, contents: Contents) -> Facts:
    """What the rules that apply ask for, and nothing else."""
    rules = policy.rules_for(request.name, request.stage)
    if any(rule.scan for rule in rules):
        passed = (contents.fault,) if contents.fault else ()
        facts = replace(facts, reports=tuple(scan(sorted(contents.files))), passed_over=passed)
    if any(rule.signature or rule.evaluations for rule in rules) and policy.trust is not None:
        facts = _verified(facts, request, policy, rules, contents)
    if any(r.card or r.annex or r.metrics or r.licences or r.bases for r in rules):
        facts = replace(facts, description=describe(request.path, _again(facts.reports, scan)))
    return facts


def _verified(facts: Facts, request: Request, policy: Policy, rules: Iterable[Rule], contents: Contents) -> Facts:
    from bastide.verify.signing.policy_file import load_policy
    from bastide.verify.signing.verify import Options, verify_model

    assert policy.trust is not None
    trust = load_policy(policy.trust)
    demands = tuple(demand for rule in rules for demand in rule.evaluations)
    for demand in demands:
        for name in demand.by:
            if name not in trust.signers:
                hint = did_you_mean(name, trust.signers)
                why = f"{policy.trust} names no signer `{name[:60]}`"
                raise SettingsError(Diagnostic(why, demand.location, hint=hint))
    # Only who asks for the ledger needs it here: the decision about admission is written into it anyway.
    ledger = request.ledger if any(rule.ledger for rule in trust.rules) or trust.ledger_key else None
    found = verify_model(
        request.path, trust, Options(name=request.name, at=facts.at, ledger=ledger, tree=contents.tree, demands=demands)
    )
    return replace(
        facts,
        verification=found,
        demanded=tuple(zip(demands, found.demanded, strict=True)),
        present=tuple(_present((*found.signatures, *found.attestations), contents, facts.at)),
        signers=tuple(trust.signers),
    )


def _present(envelopes: Iterable[Envelope], contents: Contents, at: datetime) -> Iterator[Evidence]:
    """What has a valid signature and is about these bytes, as far as anybody can tell; whether it counts is for the trust policy."""
    known = {"sha256": contents.digest, "dirHash": contents.paths}
    for one in envelopes:
        if one.identity is None:
            continue
        type_ = ""  # Of a signer who doesn't count any more: what that one says isn't read.
        if one.statement is not None:
            digests = [subject.digest for subject in one.statement.subjects]
            if not any("sha256" in digest and known.items() <= {**known, **digest}.items() for digest in digests):
                continue
            type_ = _TYPES.get(one.statement.predicate_type, one.statement.predicate_type)[:_LONGEST]
        yield Evidence(type_, one.sha256, one.identity.id, one.identity.names, at)


def _standing(facts: Facts, request: Request, contents: Contents, registry: Registry | None) -> Facts:
    """What the registry says now."""
    if registry is None:
        return facts
    registered: dict[str, tuple[Version, ...]] = {}
    for one in registry.versions():
        registered[one.name] = (*registered.get(one.name, ()), one)
    own = registered.get(request.name, ())
    if request.expected is not None:
        version = next((one for one in own if one.number == request.expected.number), None)
    else:
        version = next((one for one in own if one.same_bytes(contents.digest, contents.paths)), None)
    if version is None:
        return replace(facts, version=None, approvals=(), seen=(), registered=registered)
    return replace(
        facts,
        version=version,
        approvals=tuple(registry.approvals(version)),
        seen=tuple(registry.evidence(version)),
        registered=registered,
    )


def _kept(decision: Decision, ledger: Path | None, facts: Facts, registry: Registry | None) -> Decision:
    log = _written(ledger, entry_of(decision))
    if registry is not None and facts.version is not None:
        same = facts.version.same_bytes(decision.digest, decision.paths)
        seen = [one for one in facts.present if one.type] if same else []
        return registry.record(facts.version, decision, seen, log)
    return replace(decision, entry=log()) if log else decision


def _written(ledger: Path | None, entry: Mapping[str, object]) -> Callable[[], int] | None:
    """What writes an entry into the ledger; None without one."""
    if ledger is None:
        return None

    return lambda: _append(ledger, entry)


def _append(ledger: Path, entry: Mapping[str, object]) -> int:
    from bastide.verify.signing.logbook import record

    try:
        return record(ledger, entry)
    except ModuleNotFoundError:
        raise LedgerError(
            "what is decided goes into the ledger, which needs the package cryptography: pip install 'bastide[signing]'"
        ) from None


def _registration(version: Version) -> dict[str, object]:
    return {
        "kind": "registration",
        "model": version.name,
        "version": version.number,
        "digest": version.digest,
        "dirHash": version.paths,
        "path": version.path,
        "by": version.added_by,
        "at": version.added.isoformat() if version.added else "",
    }
