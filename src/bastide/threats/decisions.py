# SPDX-License-Identifier: Apache-2.0
"""Decisions about findings: read from the plan's side file, applied to the findings, checked for orphans and expiry."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import date

from bastide.catalog import fields
from bastide.errors import Diagnostic, StateError, did_you_mean
from bastide.plan.yamlfile import Node, key_text, parse_documents
from bastide.threats.model import Decision, Finding, FindingState, Question

DECIDABLE = (FindingState.ACCEPTED, FindingState.FALSE_POSITIVE)
_KEYS = ("state", "owner", "reason", "expires")


def read_decisions(text: str, file: str) -> tuple[Decision, ...]:
    """The decisions of a side file.

    Raises `StateError` with every problem: unknown states, missing owner or reason, an acceptance without an expiry, bad dates.
    """
    roots = parse_documents(text, file, StateError)
    if not roots or roots[0].value is None:
        return ()
    root = roots[0]
    found: list[Decision] = []
    if not root.is_map:
        raise StateError(
            root.diagnostic(f"expected a mapping, found {root.describe()}", "such as `findings: {B-0123456789: {...}}`")
        )
    fields.check_keys(root, ("bastide", "findings"), "file of decisions")
    entries = root.get("findings")
    if entries is not None and not entries.is_map and entries.value is not None:
        entries.problem(f"`findings` is a mapping from finding id to decision, found {entries.describe()}")
    for id, key, node in entries.items() if entries is not None else ():
        found.append(_decision(id, key, node))
    if root.document.problems:
        raise StateError(root.document.problems)
    return tuple(found)


def apply_decisions(
    findings: Iterable[Finding], questions: Iterable[Question], decisions: tuple[Decision, ...], today: date | None
) -> tuple[tuple[Finding, ...], tuple[str, ...]]:
    """The findings in their decided states, and the ids of those whose acceptance ran out.

    A decision about a finding that neither exists nor hangs on a question is an orphan. Raises `StateError` for those.
    """
    found = {f.id: f for f in findings}
    possible = {id for q in questions for id in q.could_open}
    orphans = [d for d in decisions if d.finding not in found and d.finding not in possible]
    if orphans:
        # Messages beyond the first hundred are only counted, so that what was meant isn't searched for them.
        raise StateError([_orphan(d, found if n < 100 else ()) for n, d in enumerate(orphans)])
    expired: list[str] = []
    for decision in decisions:
        finding = found.get(decision.finding)
        if finding is None or finding.state is FindingState.MITIGATED:
            continue
        if today is not None and decision.expires and date.fromisoformat(decision.expires) <= today:
            expired.append(finding.id)
        else:
            found[finding.id] = replace(finding, state=decision.state, decision=decision)
    return tuple(found.values()), tuple(expired)


def _orphan(decision: Decision, known: Iterable[str]) -> Diagnostic:
    hint = did_you_mean(decision.finding, known) or "the design changed; remove the entry"
    return Diagnostic(f"there is no finding `{decision.finding[:60]}` any more", decision.location, hint=hint)


def _decision(id: str, key: Node, node: Node) -> Decision:
    if not node.is_map:
        node.problem(
            f"expected a decision, found {node.describe()}",
            "such as `{state: accepted, owner: ..., reason: ..., expires: 2027-06-30}`",
        )
        return Decision(id, FindingState.ACCEPTED, "", "", location=key.location)
    fields.check_keys(node, _KEYS, "decision")
    words = tuple(s.value for s in DECIDABLE)
    state = FindingState(fields.choice(node, "state", words) or words[0])
    expires = fields.text(node, "expires", required=state is FindingState.ACCEPTED)
    if expires:
        _check_date(expires, node.get("expires") or node)
    return Decision(
        finding=id,
        state=state,
        owner=fields.text(node, "owner"),
        reason=fields.text(node, "reason"),
        expires=expires,
        location=key.location,
    )


def _check_date(text: str, node: Node) -> None:
    try:
        # Dates are compared as text too, so that other forms (20270630, 2027-W26-3), which Python reads, won't do.
        well = date.fromisoformat(text).isoformat() == text
    except ValueError:
        well = False
    if not well:
        node.problem(f"`{key_text(node)[:40]}` is no date", "write year-month-day, such as 2027-06-30")
