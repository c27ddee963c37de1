# SPDX-License-Identifier: Apache-2.0
"""Reads an admission policy, as strictly as a trust policy."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import Any

from bastide.catalog.fields import check_keys
from bastide.errors import PlanError, SettingsError, did_you_mean
from bastide.plan.yamlfile import Node, parse, read_text
from bastide.verify.admission.policy import Approvals, Licences, Policy, Rule, Scan
from bastide.verify.fields import duration_of, flag_of, listed, mapping, range_of, text_of, texts_of
from bastide.verify.signing.policy import Demand

FORMAT = 1
VERDICTS = ("safe", "unknown")
"""An unsafe file can't be allowed by a policy."""
BASES = ("known", "promoted")
_DIGEST = re.compile(r"(sha256:)?[0-9a-f]{64}\Z")


def load_policy(path: Path) -> Policy:
    """The policy in a file; the trust policy that it names is relative to its folder.

    Raises `SettingsError` with everything that is wrong, each with its place.
    """
    return parse_policy(read_text(path, SettingsError), str(path), path.absolute().parent)


def parse_policy(text: str, file: str, folder: Path) -> Policy:
    """The policy in a text. Raises `SettingsError`."""
    root = parse(text, file, SettingsError)
    try:
        policy = _policy(root, file, folder, hashlib.sha256(text.encode()).hexdigest())
    except PlanError as too_many:
        raise SettingsError(too_many.diagnostics) from None
    if root.document.problems:
        raise SettingsError(sorted(root.document.problems, key=lambda p: (p.location.line, p.location.column)))
    return policy


def _policy(root: Node, file: str, folder: Path, digest: str) -> Policy:
    if not root.is_map:
        root.problem("an admission policy is a mapping")
    check_keys(root, ("bastide-admission", "stages", "trust", "rules"), "admission policy")
    version = root.get("bastide-admission")
    if version is None or version.value != FORMAT:
        (version or root).problem(f"`bastide-admission: {FORMAT}` is missing", "write it as the first line")
    stages = texts_of(root, "stages")
    if len(set(stages)) < len(stages):
        (root.get("stages") or root).problem("a stage stands twice")
    trust = text_of(root, "trust")
    rules = tuple(_rule(node, stages, bool(trust)) for node in listed(root, "rules"))
    if not rules:
        root.problem("there is no rule, so no model could ever be admitted", "add `rules:`")
    return Policy(rules, stages, folder / trust if trust else None, file, digest)


def _rule(node: Node, stages: tuple[str, ...], has_trust: bool) -> Rule:
    known = (
        "models",
        "stages",
        "scan",
        "signature",
        "card",
        "annex-iv",
        "metrics",
        "evaluations",
        "licences",
        "bases",
        "approvals",
        "after",
    )
    check_keys(node, known, "rule")
    _nothing_empty(node)
    asked = _stages(node, "stages", stages)
    signature = flag_of(node, "signature", False)
    evaluations = tuple(_evaluation(one) for one in listed(node, "evaluations"))
    if (signature or evaluations) and not has_trust:
        (node.get("signature") or node.get("evaluations") or node).problem(
            "nobody says whose signature counts", "name the trust policy: `trust: trust.yaml`"
        )
    bases = text_of(node, "bases")
    if bases and bases not in BASES:
        (node.get("bases") or node).problem(f"`bases` is {' or '.join(BASES)}", did_you_mean(bases, BASES))
    after = _stages(node, "after", stages)
    found: dict[str, Any] = {"bases": bases or None} if bases in ("", *BASES) else {}
    return Rule(
        models=texts_of(node, "models", required=True),
        stages=asked,
        scan=_scan(node),
        signature=signature,
        card=_percent(node, "card"),
        annex=_percent(node, "annex-iv"),
        metrics={key: range_of(one) for key, _, one in mapping(node, "metrics")},
        evaluations=evaluations,
        licences=_licences(node),
        approvals=_approvals(node),
        after=_one(node, "after", after),
        location=node.location,
        **found,
    )


def _nothing_empty(node: Node) -> None:
    """A demand without a value isn't silently none."""
    for key, _, one in node.items():
        empty = (
            one.value is None
            or (one.is_list and not one.value)
            or (key == "metrics" and one.is_map and not list(one.items()))
        )
        if empty and not key.startswith("x-"):
            one.problem(
                f"`{key}` says nothing", "write what is demanded, or leave it out; `{}` stands for the defaults"
            )


def _stages(node: Node, key: str, stages: tuple[str, ...]) -> tuple[str, ...]:
    found = texts_of(node, key)
    for one in found:
        if one not in stages:
            (node.get(key) or node).problem(
                f"there is no stage `{one[:60]}`", did_you_mean(one, stages) or "name it in `stages:`"
            )
    return found


def _one(node: Node, key: str, found: tuple[str, ...]) -> str:
    if len(found) > 1:
        (node.get(key) or node).problem(f"`{key}` is one stage", "several rules may each name one")
    return found[0] if found else ""


def _map(node: Node, key: str) -> Node | None:
    found = node.get(key)
    if found is None or found.value is None:
        return None
    if not found.is_map:
        found.problem(f"`{key}` is a mapping, found {found.describe()}")
        return None
    return found


def _scan(node: Node) -> Scan | None:
    found = _map(node, "scan")
    if found is None:
        return None
    check_keys(found, ("verdicts", "formats", "deny"), "demand for a scan")
    verdicts = texts_of(found, "verdicts") or ("safe",)
    for verdict in set(verdicts) - set(VERDICTS):
        (found.get("verdicts") or found).problem(f"`{verdict[:60]}` can't be allowed", f"{' or '.join(VERDICTS)}")
    return Scan(verdicts, texts_of(found, "formats"), texts_of(found, "deny"))


def _evaluation(node: Node) -> Demand:
    check_keys(node, ("by", "metrics", "datasets", "max-age"), "demand for an evaluation")
    datasets = texts_of(node, "datasets")
    for one in datasets:
        if not _DIGEST.match(one):
            (node.get("datasets") or node).problem(f"`{one[:80]}` is no SHA-256", "`sha256:` and 64 hexadecimal digits")
    metrics = {key: range_of(one) for key, _, one in mapping(node, "metrics")}
    if not metrics:
        node.problem("`metrics` is missing", "such as `metrics: {accuracy: {min: 0.9}}`")
    return Demand(
        type="evaluation",
        by=tuple(dict.fromkeys(texts_of(node, "by", required=True))),
        max_age=duration_of(node, "max-age"),
        metrics=metrics,
        datasets=tuple(one.removeprefix("sha256:") for one in datasets),
        location=node.location,
    )


def _licences(node: Node) -> Licences | None:
    found = _map(node, "licences")
    if found is None:
        return None
    check_keys(found, ("allow", "deny"), "demand for licences")
    return Licences(texts_of(found, "allow"), texts_of(found, "deny"))


def _approvals(node: Node) -> Approvals | None:
    found = _map(node, "approvals")
    if found is None:
        return None
    check_keys(found, ("by", "count", "max-age"), "demand for approvals")
    by = tuple(dict.fromkeys(texts_of(found, "by")))
    count = _number(found, "count", 1, 1, 100)
    if by and count > len(by):
        (found.get("count") or found).problem(
            f"{count} are asked for and {len(by)} are named", "no model could ever be admitted"
        )
    return Approvals(by, count, duration_of(found, "max-age"))


def _percent(node: Node, key: str) -> int:
    return _number(node, key, 0, 0, 100)


def _number(node: Node, key: str, default: int, least: int, most: int) -> int:
    found = node.get(key)
    if found is None:
        return default
    value = found.value
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        found.problem(f"`{key}` is a whole number from {least} to {most}, found {found.describe()}")
        return default
    return value
