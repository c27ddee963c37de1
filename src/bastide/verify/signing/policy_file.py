# SPDX-License-Identifier: Apache-2.0
"""Reads a trust policy, as strictly and with the same kind of messages as a plan."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import TypeVar

from bastide.catalog.fields import check_keys
from bastide.errors import PlanError, SettingsError, did_you_mean
from bastide.plan.yamlfile import Node, parse, read_text
from bastide.verify.fields import duration_of, flag_of, listed, mapping, range_of, text_of, texts_of
from bastide.verify.signing.certificates import certificates
from bastide.verify.signing.keys import public_key
from bastide.verify.signing.policy import Demand, Method, Policy, Rule, Signer
from bastide.verify.signing.strict import Wrong

FORMAT = 1
SHORT_TYPES = ("scan", "evaluation", "provenance")
VERDICTS = ("safe", "unsafe", "unknown")
_FINGERPRINT = re.compile(r"sha256:[0-9a-f]{64}\Z")
_DIGEST = re.compile(r"(sha256:)?[0-9a-f]{64}\Z")
_SMALL = 1 << 20
T = TypeVar("T")


def load_policy(path: Path) -> Policy:
    """The policy in a file; relative paths in it are relative to its folder.

    Raises `SettingsError` with everything that is wrong, each with its place.
    """
    return parse_policy(read_text(path, SettingsError), str(path), path.absolute().parent)


def parse_policy(text: str, file: str, folder: Path) -> Policy:
    """The policy in a text. Raises `SettingsError`."""
    root = parse(text, file, SettingsError)
    try:
        policy = _Reader(folder).policy(root, file, hashlib.sha256(text.encode()).hexdigest())
    except PlanError as too_many:
        raise SettingsError(too_many.diagnostics) from None
    if root.document.problems:
        raise SettingsError(sorted(root.document.problems, key=lambda p: (p.location.line, p.location.column)))
    return policy


class _Reader:
    """Turns nodes into a policy; notes problems at the nodes and goes on."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def policy(self, root: Node, file: str, digest: str) -> Policy:
        if not root.is_map:
            root.problem("a trust policy is a mapping")
        check_keys(root, ("bastide-trust", "signers", "rules", "revoked", "ledger-key"), "trust policy")
        version = root.get("bastide-trust")
        if version is None or version.value != FORMAT:
            (version or root).problem(f"`bastide-trust: {FORMAT}` is missing", "write it as the first line")
        signers = {key: self._signer(key, node) for key, _, node in mapping(root, "signers")}
        self._different(root, signers)
        rules = tuple(self._rule(node, signers) for node in listed(root, "rules"))
        if not rules:
            root.problem("there is no rule, so no model could ever hold", "add `rules:`")
        revoked = dict(self._revoked(node) for node in listed(root, "revoked"))
        ledger_key = self._file(root, "ledger-key", lambda data: public_key(data).pem)
        return Policy(signers, rules, revoked, file, digest, ledger_key)

    def _signer(self, name: str, node: Node) -> Signer:
        common = ("models", "not-before", "expires")
        kinds: dict[Method, tuple[str, ...]] = {
            "key": ("key",),
            "certificate": ("certificate", "subject", "alternative-name"),
            "sigstore": ("sigstore", "issuer", "trust-root"),
        }
        chosen: list[Method] = [kind for kind in kinds if node.get(kind) is not None]
        if len(chosen) != 1:
            node.problem(f"signer `{name[:60]}` needs one of `key`, `certificate` and `sigstore`")
            return Signer(name, "key")
        [method] = chosen
        check_keys(node, (*kinds[method], *common), f"signer by {method}")
        if method == "certificate" and node.get("subject") is None and node.get("alternative-name") is None:
            node.problem("`subject` or `alternative-name` is missing: whom does the certificate name?")
        return Signer(
            name=name,
            method=method,
            key=self._file(node, "key", public_key),
            roots=self._file(node, "certificate", certificates) or (),
            subject=text_of(node, "subject"),
            alternative=text_of(node, "alternative-name"),
            identity=text_of(node, "sigstore"),
            issuer=text_of(node, "issuer", required=method == "sigstore"),
            trust_root=self._path(node, "trust-root", required=method == "sigstore"),
            models=texts_of(node, "models") or ("*",),
            not_before=_moment(node, "not-before"),
            expires=_moment(node, "expires"),
            location=node.location,
        )

    def _different(self, root: Node, signers: dict[str, Signer]) -> None:
        seen: dict[str, str] = {}
        for name, signer in signers.items():
            if signer.key is None:
                continue
            first = seen.setdefault(signer.key.fingerprint, name)
            if first != name:
                where = next((key for at, key, _ in mapping(root, "signers") if at == name), root)
                message = f"signers `{first[:60]}` and `{name[:60]}` have the same key"
                where.problem(message, "one signer has one name")

    def _rule(self, node: Node, signers: Iterable[str]) -> Rule:
        known = ("models", "signed-by", "threshold", "same-name", "unsigned", "ledger", "attestations")
        check_keys(node, known, "rule")
        signed_by = self._names(node, "signed-by", signers)
        return Rule(
            models=texts_of(node, "models", required=True),
            signed_by=signed_by,
            threshold=_threshold(node, signed_by),
            same_name=flag_of(node, "same-name", True),
            unsigned=texts_of(node, "unsigned"),
            ledger=flag_of(node, "ledger", False),
            attestations=tuple(self._demand(one, signers) for one in listed(node, "attestations")),
            location=node.location,
        )

    def _demand(self, node: Node, signers: Iterable[str]) -> Demand:
        kinds = {
            "scan": ("verdicts", "min-engine"),
            "evaluation": ("metrics", "datasets"),
            "provenance": ("builders", "materials"),
        }
        type_ = text_of(node, "type", required=True)
        if type_ and type_ not in kinds and ":" not in type_:
            hint = did_you_mean(type_, SHORT_TYPES)
            (node.get("type") or node).problem(f"`{type_[:60]}` is no type of attestation", hint)
        check_keys(node, ("type", "by", "threshold", "max-age", *kinds.get(type_, ())), f"demand for `{type_[:60]}`")
        by = self._names(node, "by", signers)
        verdicts = texts_of(node, "verdicts") or ("safe",)
        for verdict in set(verdicts) - set(VERDICTS):
            (node.get("verdicts") or node).problem(f"`{verdict[:60]}` is no verdict", did_you_mean(verdict, VERDICTS))
        return Demand(
            type=type_,
            by=by,
            threshold=_threshold(node, by),
            max_age=duration_of(node, "max-age"),
            min_engine=text_of(node, "min-engine"),
            verdicts=verdicts,
            metrics={key: range_of(one) for key, _, one in mapping(node, "metrics")},
            datasets=tuple(one.removeprefix("sha256:") for one in _patterned(node, "datasets", _DIGEST)),
            builders=texts_of(node, "builders"),
            materials=texts_of(node, "materials"),
            location=node.location,
        )

    def _revoked(self, node: Node) -> tuple[str, str]:
        check_keys(node, ("fingerprint", "reason"), "revoked key")
        found = _patterned(node, "fingerprint", _FINGERPRINT)
        if not found:
            node.problem("`fingerprint` is missing", "`sha256:` and 64 digits, as `bastide verify` shows it")
        return (found or ("",))[0], text_of(node, "reason") or "no reason is given"

    def _names(self, node: Node, key: str, signers: Iterable[str]) -> tuple[str, ...]:
        found = texts_of(node, key, required=True)
        for name in found:
            if name not in signers:
                (node.get(key) or node).problem(f"there is no signer `{name[:60]}`", did_you_mean(name, signers))
        return tuple(dict.fromkeys(found))

    def _path(self, node: Node, key: str, required: bool = False) -> Path | None:
        text = text_of(node, key, required)
        return self._folder / text if text else None

    def _file(self, node: Node, key: str, read: Callable[[bytes], T]) -> T | None:
        """What a file says that is named in the policy."""
        path = self._path(node, key)
        if path is None:
            return None
        where = node.get(key) or node
        try:
            with path.open("rb") as stream:
                return read(stream.read(_SMALL))
        except (OSError, ValueError) as problem:
            why = str(problem) if isinstance(problem, Wrong) else getattr(problem, "strerror", None) or "can't be read"
            where.problem(f"`{path}`: {why}")
        return None


def _patterned(node: Node, key: str, pattern: re.Pattern[str]) -> tuple[str, ...]:
    found = texts_of(node, key)
    for one in found:
        if not pattern.match(one):
            (node.get(key) or node).problem(f"`{one[:80]}` is no SHA-256", "`sha256:` and 64 hexadecimal digits")
    return found


def _threshold(node: Node, signers: tuple[str, ...]) -> int:
    found = node.get("threshold")
    if found is None:
        return 1
    if not isinstance(found.value, int) or isinstance(found.value, bool) or found.value < 1:
        found.problem(f"`threshold` is a whole number, 1 or more, found {found.describe()}")
        return 1
    if found.value > len(signers):
        found.problem(f"{found.value} signers are asked for and {len(signers)} are named", "no model could ever hold")
    return found.value


def _moment(node: Node, key: str) -> datetime | None:
    text = text_of(node, key)
    if not text:
        return None
    try:
        if len(text) <= 10:
            return datetime.combine(date.fromisoformat(text), time(), UTC)
        found = datetime.fromisoformat(text)
        if found.tzinfo is not None:
            return found
        hint = "say in which time zone, such as `2027-06-30T12:00:00Z`"
    except ValueError:
        hint = "such as `2027-06-30` or `2027-06-30T12:00:00Z`"
    (node.get(key) or node).problem(f"`{text[:40]}` is no date", hint)
    return None
