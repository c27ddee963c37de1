# SPDX-License-Identifier: Apache-2.0
"""A compiled policy and an explanation as documents: Cedar text for people and other engines, plain data for JSON."""

from __future__ import annotations

from typing import Any

from bastide.errors import Location
from bastide.guard.model import CLASSES, Meaning, Question
from bastide.guard.policy.cedar import CedarPolicy, literal
from bastide.guard.policy.compile import Compiled
from bastide.guard.policy.explain import Explanation
from bastide.guard.policy.recorded import Recorded
from bastide.plan.vocabulary import TRUST_LEVELS


def policy_cedar(compiled: Compiled) -> str:
    """All policies, under a line that says of which plan and version."""
    plan = compiled.plan
    head = f"// The policy of {literal(plan.id)}, compiled from {literal(plan.location.file or 'its plan')}.\n// {compiled.version}\n\n"
    return head + compiled.text


def policy_data(compiled: Compiled) -> dict[str, Any]:
    """The policies, the schema of requests and what each name means."""
    return {
        "plan": {"id": compiled.plan.id, "file": compiled.plan.location.file, "digest": compiled.plan.digest},
        "version": compiled.version,
        "required_integrity": TRUST_LEVELS[compiled.required],
        "schema": compiled.schema,
        "policies": [_policy(p) for p in compiled.policies],
        "meanings": {name: meaning_data(m) for name, m in sorted(compiled.meanings.items())},
    }


def meaning_data(meaning: Meaning) -> dict[str, Any]:
    """What a name means, in the plan's words."""
    return {
        "component": meaning.component,
        "action": meaning.action.value,
        "side_effect": meaning.side_effect.name.lower(),
        "outbound": meaning.outbound,
        "clearance": CLASSES[meaning.clearance],
        "approval": meaning.approval,
        "result": {"integrity": meaning.result.author, "class": meaning.result.class_},
    }


def explanation_data(found: Explanation) -> dict[str, Any]:
    """An explanation as plain data."""
    flow = found.flow
    return {
        "question": _question(found.question),
        "meaning": meaning_data(found.meaning) if found.meaning else None,
        "effect": found.ruling.effect.value,
        "reason": found.ruling.reason,
        "version": found.ruling.version,
        "policies": [_policy(p) for p in found.policies],
        "flow": {"id": flow.id, "at": _at(flow.location)} if flow else None,
        "changes": [{"when": c.words, "effect": c.effect.value} for c in found.changes],
    }


def recorded_data(one: Recorded) -> dict[str, Any]:
    """A decision from the log as plain data."""
    return {
        "asked_for": one.what,
        "agent": one.agent,
        "user": one.user,
        "effect": one.effect,
        "reason": one.reason,
        "flow": one.flow,
        "version": one.version,
        "current": one.current,
        "influence": one.influence,
        "policies": [{"id": id, "text": policy.text if policy else ""} for id, policy in one.policies],
    }


def _question(question: Question) -> dict[str, Any]:
    caller, label = question.caller, question.label
    return {
        "agent": caller.agent,
        "user": caller.user,
        "actor": caller.actor,
        "tenant": caller.tenant,
        "action": question.action.value,
        "resource": question.resource,
        "tool": question.tool,
        "integrity": label.author,
        "class": label.class_,
        "sources": sorted(label.sources),
        "traced": question.traced,
        "approved": question.approved,
    }


def _policy(policy: CedarPolicy) -> dict[str, Any]:
    return {
        "id": policy.id,
        "effect": "permit" if policy.permits else "forbid",
        "flow": policy.flow,
        "at": _at(policy.location),
        "text": policy.text,
    }


def _at(location: Location) -> str:
    return str(Location(location.file, location.line)) if location.line else ""
