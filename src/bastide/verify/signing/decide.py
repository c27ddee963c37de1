# SPDX-License-Identifier: Apache-2.0
"""Decides a policy over what was read: each demand holds, is refused or can't be decided, with the reason. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from bastide.verify.signing import predicates
from bastide.verify.signing.logbook import Logbook
from bastide.verify.signing.manifest import digests_of, make_manifest
from bastide.verify.signing.model import Check, Differences, Envelope, Manifest, Outcome, Statement
from bastide.verify.signing.policy import Demand, Policy, Rule, matches
from bastide.verify.signing.tree import Tree

_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Facts:
    """All that was read."""

    name: str
    """Of the model, for the policy."""
    tree: Tree
    own: frozenset[str]
    """Files of the model that are its signatures."""
    signatures: tuple[Envelope, ...]
    attestations: tuple[Envelope, ...]
    at: datetime
    logbook: Logbook | None = None


@dataclass(frozen=True, slots=True)
class _Vote:
    """Whether one signature counts for one rule."""

    outcome: Outcome
    reason: str
    envelope: Envelope
    names: tuple[str, ...] = ()


def decide(policy: Policy, facts: Facts) -> tuple[Check, ...]:
    """Every demand of every rule for the model."""
    checks = [_files(facts.tree)]
    rules = policy.rules_for(facts.name)
    if not rules:
        checks.append(Check("rule", Outcome.REFUSED, f"the policy has no rule for `{facts.name}`"))
    for rule in rules:
        votes = [_vote(one, rule, policy, facts) for one in facts.signatures]
        checks.append(_signatures(votes, rule))
        manifests = [v.envelope.manifest for v in votes if v.outcome is Outcome.HOLDS and v.envelope.manifest]
        own = make_manifest(facts.tree.name, facts.tree.digests, facts.own)
        bound = [m for m in (*manifests, own) if m.algorithm == "sha256" and not m.shard_size]
        checks += [_attestation(demand, policy, facts, bound) for demand in rule.attestations]
    return tuple(checks)


def attested(demands: Iterable[Demand], policy: Policy, facts: Facts) -> tuple[Check, ...]:
    """What comes of attestations that aren't demanded by a rule, about the files that are there."""
    manifests = [make_manifest(facts.tree.name, facts.tree.digests, facts.own)]
    return tuple(_attestation(demand, policy, facts, manifests) for demand in demands)


def distinct(votes: Iterable[tuple[str, Iterable[str]]]) -> int:
    """How many different signers there are: pairs of a key and a name such that no key and no name is in two of them.

    votes: the id of a key and the names that it goes by. The largest such set, by augmenting paths.
    """
    names: dict[str, set[str]] = {}
    for key, known in votes:
        names.setdefault(key, set()).update(known)
    taken: dict[str, str] = {}

    def place(key: str, tried: set[str]) -> bool:
        for name in sorted(names[key] - tried):
            tried.add(name)
            if name not in taken or place(taken[name], tried):
                taken[name] = key
                return True
        return False

    return sum(place(key, set()) for key in sorted(names))


def _files(tree: Tree) -> Check:
    refused = [str(f) for f in tree.faults if f.kind in ("link", "special", "name")]
    if refused:
        return Check("files", Outcome.REFUSED, _some(refused))
    if tree.faults:
        return Check("files", Outcome.UNKNOWN, _some([str(f) for f in tree.faults]))
    if not tree.digests:
        return Check("files", Outcome.REFUSED, "the model has no files")
    return Check("files", Outcome.HOLDS, f"{len(tree.digests)} read, none of them a link")


def _vote(envelope: Envelope, rule: Rule, policy: Policy, facts: Facts) -> _Vote:
    if envelope.outcome is not Outcome.HOLDS or envelope.identity is None or envelope.manifest is None:
        return _Vote(envelope.outcome, envelope.reason, envelope)
    names = tuple(
        n for n in envelope.identity.names if n in rule.signed_by and matches(facts.name, policy.signers[n].models)
    )
    if not names:
        who = ", ".join(envelope.identity.names)
        return _Vote(Outcome.REFUSED, f"{who} may not sign `{facts.name}`", envelope)
    called = facts.name.rstrip("/").rpartition("/")[2]
    if rule.same_name and envelope.manifest.name != called:
        why = f"was made for a model called `{envelope.manifest.name[:100]}`, and this one is called `{called}`"
        return _Vote(Outcome.REFUSED, why, envelope)
    if wrong := describe(envelope.differences, rule.unsigned):
        return _Vote(_differs(envelope.differences, facts.tree), wrong, envelope, names)
    if rule.ledger:
        outcome, why = _logged(envelope, facts.logbook)
        if outcome is not Outcome.HOLDS:
            return _Vote(outcome, why, envelope, names)
    return _Vote(Outcome.HOLDS, ", ".join(names), envelope, names)


def _differs(differences: Differences, tree: Tree) -> Outcome:
    """Refused, unless files seem to be missing only because they could not be read."""
    unread = any(fault.kind in ("unreadable", "limit") for fault in tree.faults)
    found = differences.changed or differences.extra or differences.left_out
    return Outcome.UNKNOWN if unread and not found else Outcome.REFUSED


def describe(differences: Differences, allowed: tuple[str, ...] = ()) -> str:
    """What differs, file by file; '' when nothing does but files that are allowed to be unsigned."""
    left_out = [n for n in differences.left_out if not matches(n, allowed)]
    extra = [n for n in differences.extra if not matches(n, allowed)]
    parts = (
        ("changed since: ", differences.changed),
        ("missing: ", differences.missing),
        ("not signed: ", extra),
        ("not signed, since the signer left them out: ", left_out),
    )
    return "; ".join(f"{words}{_some(files)}" for words, files in parts if files)


def _logged(envelope: Envelope, logbook: Logbook | None) -> tuple[Outcome, str]:
    if logbook is None:
        return Outcome.UNKNOWN, "has to be in the ledger, and none was given"
    if logbook.problem:
        return Outcome.UNKNOWN, logbook.problem
    if envelope.identity is None or not logbook.has(envelope.sha256, envelope.identity.id):
        return Outcome.REFUSED, "isn't in the ledger, or no checkpoint is signed after it"
    return Outcome.HOLDS, ""


def _signatures(votes: Sequence[_Vote], rule: Rule) -> Check:
    good = [v for v in votes if v.outcome is Outcome.HOLDS]
    open_ = [v for v in votes if v.outcome is Outcome.UNKNOWN]
    count = distinct((v.envelope.identity.id, v.names) for v in good if v.envelope.identity)
    who = ", ".join(sorted({name for v in good for name in v.names}))
    said = f"{count} of {rule.threshold} signers"
    if count >= rule.threshold:
        return Check("signatures", Outcome.HOLDS, f"{said}: {who}", rule.location)
    others = _some([f"{v.envelope.file}: {v.reason}" for v in votes if v.outcome is not Outcome.HOLDS])
    outcome = Outcome.UNKNOWN if count + len(open_) >= rule.threshold else Outcome.REFUSED
    reason = "; ".join(filter(None, (f"{said}{': ' if who else ''}{who}", others or "there is no other signature")))
    return Check("signatures", outcome, reason, rule.location)


def _attestation(demand: Demand, policy: Policy, facts: Facts, manifests: Sequence[Manifest]) -> Check:
    """The newest one of each signer counts."""
    id_ = f"attestation/{demand.type}"
    wanted = predicates.TYPES.get(demand.type, demand.type)
    newest: dict[str, tuple[datetime | None, Outcome, str, bool, tuple[str, ...]]] = {}
    others: list[tuple[Outcome, str]] = []
    for envelope in facts.attestations:
        statement, identity = envelope.statement, envelope.identity
        if statement is not None and statement.predicate_type != wanted:
            continue
        if envelope.outcome is not Outcome.HOLDS or statement is None or identity is None:
            others.append((envelope.outcome, f"{envelope.file}: {envelope.reason}"))
            continue
        names = tuple(n for n in identity.names if n in demand.by and matches(facts.name, policy.signers[n].models))
        about = _about(statement, manifests)
        if not names or about is None:
            why = "is about another model" if names else f"{', '.join(identity.names)} may not attest this"
            others.append((Outcome.REFUSED, f"{envelope.file}: {why}"))
            continue
        answer = predicates.examine(demand, statement.predicate, about.resources, facts.at)
        before = newest.get(identity.id)
        same = before is not None and answer.time == before[0]
        if before is None or _later(answer.time, before[0]) or (same and answer.contradicts):
            reason = f"{envelope.file}: {answer.reason}"
            newest[identity.id] = (answer.time, answer.outcome, reason, answer.contradicts, names)
    return _counted(id_, demand, newest, others)


def _later(one: datetime | None, other: datetime | None) -> bool:
    return one is not None and (other is None or one > other)


def _counted(
    id_: str,
    demand: Demand,
    newest: dict[str, tuple[datetime | None, Outcome, str, bool, tuple[str, ...]]],
    others: Sequence[tuple[Outcome, str]],
) -> Check:
    if against := [reason for _, _, reason, contradicts, _ in newest.values() if contradicts]:
        return Check(id_, Outcome.REFUSED, _some(against), demand.location)
    good = {key: found for key, found in newest.items() if found[1] is Outcome.HOLDS}
    count = distinct((key, found[4]) for key, found in good.items())
    if count >= demand.threshold:
        return Check(id_, Outcome.HOLDS, _some([found[2] for found in good.values()]), demand.location)
    rest = [*others, *((found[1], found[2]) for found in newest.values() if found[1] is not Outcome.HOLDS)]
    open_ = sum(outcome is Outcome.UNKNOWN for outcome, _ in rest)
    outcome = Outcome.UNKNOWN if open_ and count + open_ >= demand.threshold else Outcome.REFUSED
    reason = _some([why for _, why in rest]) or "isn't attached"
    said = f"{count} of {demand.threshold}: " if demand.threshold > 1 else ""
    return Check(id_, outcome, f"{said}{reason}", demand.location)


def _about(statement: Statement, manifests: Iterable[Manifest]) -> Manifest | None:
    """The manifest to which a statement is bound."""
    for manifest in manifests:
        known = digests_of(manifest)
        for subject in statement.subjects:
            same = {name for name in known if subject.digest.get(name) == known[name]}
            # Where the digest with the paths is given, it has to be right too.
            if "sha256" in same and ("dirHash" in same or "dirHash" not in subject.digest):
                return manifest
    return None


def _some(items: Sequence[str]) -> str:
    more = f" and {len(items) - _SHOWN} more" if len(items) > _SHOWN else ""
    return f"{', '.join(items[:_SHOWN])}{more}"
