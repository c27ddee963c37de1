# SPDX-License-Identifier: Apache-2.0
"""Whose signature is it? A bundle against the signers of a policy."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from fnmatch import fnmatchcase

from bastide.verify.signing import certificates, keyless
from bastide.verify.signing.bundle import Bundle, Chain, Key, encoded
from bastide.verify.signing.model import Identity, Outcome
from bastide.verify.signing.policy import Policy, Signer
from bastide.verify.signing.strict import Wrong

Logged = Callable[[str, str], datetime | None]
"""Payload's SHA-256 and signer's id -> when that signature was written into a ledger that can be believed."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a check of a signature found."""

    outcome: Outcome
    reason: str
    identity: Identity | None = None
    logged: datetime | None = None


def authenticate(bundle: Bundle, raw: bytes, policy: Policy, at: datetime, logged: Logged) -> Answer:
    """Whether the signature over the payload is valid, and of which signers.

    raw: the bundle as it was read. at: the time at which certificates and signers have to be valid, unless the ledger proves an earlier one.
    """
    digest = hashlib.sha256(bundle.payload).hexdigest()
    try:
        if isinstance(bundle.material, Key):
            identity = _by_key(bundle, bundle.material, policy)
        elif isinstance(bundle.material, Chain):
            identity, logged_at = _by_certificate(bundle, bundle.material, policy, (at, digest, logged))
            return _at_the_time(identity, policy, at, logged_at)
        else:
            identity = _by_sigstore(bundle, raw, policy)
    except Wrong as problem:
        return Answer(Outcome.REFUSED, str(problem))
    except keyless.Undecided as problem:
        return Answer(Outcome.UNKNOWN, str(problem))
    return _at_the_time(identity, policy, at, logged(digest, identity.id))


def _by_key(bundle: Bundle, material: Key, policy: Policy) -> Identity:
    known = [s for s in policy.signers.values() if s.key and material.hint in ("", s.key.hint)]
    message = encoded(bundle.payload)
    good = [s for s in known if s.key and s.key.verifies(bundle.signature, message)]
    if good and good[0].key:
        return Identity("key", good[0].key.fingerprint, tuple(s.name for s in good))
    if known and material.hint:
        raise Wrong("the signature isn't valid: what it covers was changed, or it belongs to something else")
    raise Wrong("is by a key that isn't known")


def _by_certificate(
    bundle: Bundle, material: Chain, policy: Policy, when: tuple[datetime, str, Logged]
) -> tuple[Identity, datetime | None]:
    at, digest, logged = when
    chain = certificates.parse_chain(material.certificates)
    holder = certificates.holder(chain[0])
    if not holder.key.verifies(bundle.signature, encoded(bundle.payload)):
        raise Wrong("the signature isn't valid: what it covers was changed, or it belongs to something else")
    for authority in certificates.authority_keys(chain):
        if authority in policy.revoked:
            raise Wrong(f"its authority's key {authority} was revoked: {policy.revoked[authority]}")
    logged_at = logged(digest, holder.key.fingerprint)
    fitting = [s for s in policy.signers.values() if s.method == "certificate" and _names(s, holder)]
    if not fitting:
        raise Wrong(f"is by a certificate for `{holder.subject[:200]}`, which is no signer that is known")
    names, problems = [], []
    for signer in fitting:
        try:
            certificates.check_path(chain, signer.roots, logged_at or at)
            names.append(signer.name)
        except Wrong as problem:
            problems.append(problem)
    if not names:
        raise problems[0]
    identity = Identity(
        "certificate", holder.key.fingerprint, tuple(names), holder.fingerprint, holder.subject, holder.issuer,
        holder.valid_from, holder.valid_until,
    )  # fmt: skip
    return identity, logged_at


def _names(signer: Signer, holder: certificates.Holder) -> bool:
    subject = not signer.subject or fnmatchcase(holder.subject, signer.subject)
    return subject and (not signer.alternative or _any(holder.alternative, signer.alternative))


def _any(values: Iterable[str], pattern: str) -> bool:
    return any(fnmatchcase(value, pattern) for value in values)


def _by_sigstore(bundle: Bundle, raw: bytes, policy: Policy) -> Identity:
    problem: Wrong | keyless.Undecided = Wrong("is by an account of Sigstore, and no such signer is known")
    for signer in policy.signers.values():
        if signer.method == "sigstore" and signer.trust_root is not None:
            try:
                keyless.verify(raw, bundle.payload, signer.identity, signer.issuer, signer.trust_root)
            except (Wrong, keyless.Undecided) as other:
                # That it couldn't be checked is worth more than that another signer isn't it.
                problem = other if isinstance(other, keyless.Undecided) or isinstance(problem, Wrong) else problem
                continue
            same = [
                s.name
                for s in policy.signers.values()
                if (s.identity, s.issuer, s.trust_root) == (signer.identity, signer.issuer, signer.trust_root)
            ]
            account = f"{signer.identity} ({signer.issuer})"
            return Identity("sigstore", account, tuple(same), subject=signer.identity, issuer=signer.issuer)
    raise problem


def _at_the_time(identity: Identity, policy: Policy, at: datetime, logged: datetime | None) -> Answer:
    """What the policy says about the key and about when its signers count."""
    if identity.id in policy.revoked:
        why = f"its key {identity.id} was revoked: {policy.revoked[identity.id]}"
        return Answer(Outcome.REFUSED, why, replace(identity, names=()), logged)
    when = logged or at
    reasons = {name: _outside(policy.signers[name], when) for name in identity.names}
    names = tuple(name for name, reason in reasons.items() if not reason)
    if not names:
        return Answer(Outcome.REFUSED, next(iter(reasons.values())), replace(identity, names=()), logged)
    who = ", ".join(names)
    return Answer(Outcome.HOLDS, f"valid, by {who}", replace(identity, names=names), logged)


def _outside(signer: Signer, when: datetime) -> str:
    if signer.not_before and when < signer.not_before:
        return f"signer `{signer.name}` counts only from {signer.not_before:%Y-%m-%d %H:%M} on"
    if signer.expires and when >= signer.expires:
        return f"signer `{signer.name}` expired at {signer.expires:%Y-%m-%d %H:%M}"
    return ""
