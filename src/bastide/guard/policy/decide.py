# SPDX-License-Identifier: Apache-2.0
"""Decides questions with the compiled policy: two Cedar evaluations (the agent's right and the user's), both of which have to say yes.

It is a pure function of the policy and the question, and total: whatever goes wrong, the ruling is DENY. Cedar skips a policy whose
evaluation fails, which for a `forbid` would let a call through; so any error in an evaluation denies too.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from typing import Any, NamedTuple

import cedarpy
import msgspec

from bastide.guard.model import Action, Effect, Meaning, Question, Ruling, SideEffect
from bastide.guard.policy.cedar import entity
from bastide.guard.policy.compile import Compiled
from bastide.guard.policy.own import ANY
from bastide.guard.policy.reasons import Reasons

CACHE = 4096
"""Rulings and entity slices that are kept."""


class _Unfit(ValueError):
    """An argument isn't of the type that the user's policies expect."""


class _Slice(NamedTuple):
    policies: cedarpy.PolicySet
    reads: tuple[str, ...] | None
    """Attributes of the context that they read; None for all."""


class Outcome(msgspec.Struct, frozen=True):
    """What one round of evaluations says."""

    agent: bool
    """Whether the agent may."""
    user: bool
    """Whether the user may; true when there is none."""
    policies: tuple[str, ...]
    """Ids of the determining policies: the permits, or the forbids, or none when nothing permits."""
    errors: tuple[str, ...] = ()

    @property
    def allowed(self) -> bool:
        """Whether both may."""
        return self.agent and self.user and not self.errors


class CompiledPolicy:
    """A compiled plan, ready to decide. `version` names it in rulings and approvals."""

    def __init__(self, compiled: Compiled) -> None:
        self.compiled = compiled
        self.version = compiled.version
        self.policies = {p.id: p for p in compiled.policies}
        self._reasons = Reasons(compiled)
        parsed = json.loads(cedarpy.policies_to_json_str(compiled.text))["staticPolicies"] if compiled.policies else {}
        # Cedar numbers the policies of a text in their order.
        self._trees = {p.id: parsed[f"policy{n}"] for n, p in enumerate(compiled.policies)}
        self._slices: dict[tuple[str, str, Action, str], _Slice] = {}
        self._ruled = lru_cache(CACHE)(self._fresh)

    def decide(self, question: Question) -> Ruling:
        """The ruling. Never raises; a question that can't be evaluated is denied, and the reason says so."""
        try:
            read = {n: question.arguments[n] for n in self.compiled.arguments if n in question.arguments}
            return self._ruled(_without_arguments(question), json.dumps(read) if read else "")
        except Exception as problem:  # noqa: BLE001 - fails closed: whatever went wrong, the answer is no
            return Ruling(
                Effect.DENY, f"the policy could not be evaluated: {type(problem).__name__}", version=self.version
            )

    def meaning(self, question: Question) -> Meaning | None:
        """What the question is about: what its name on the wire means, or else its component; None when neither is known."""
        named = self.compiled.meanings.get(question.tool)
        if named is not None and named.component == question.resource:
            return named
        return self.compiled.components.get(question.resource)

    def evaluate(self, question: Question, meaning: Meaning) -> Outcome:
        """One round of evaluations. Raises whatever Cedar raises; `decide` doesn't."""
        caller = question.caller
        context = self.context(question, meaning)
        asked = [self._ask("Agent", caller.agent, question, context, _NOBODY)]
        if caller.user:
            asked.append(self._ask("User", caller.user, question, context, _person(caller.user, caller.actor)))
        allowed = [r.allowed for r in asked]
        # When one says no, only what it says matters.
        deciding = [r for r in asked if r.allowed == all(allowed)]
        ids = dict.fromkeys(i for r in deciding for i in sorted(r.diagnostics.reasons))
        errors = tuple(str(e) for r in asked for e in r.diagnostics.errors)
        return Outcome(allowed[0], allowed[-1], tuple(ids), errors)

    def _ask(
        self, type_: str, id: str, question: Question, context: Mapping[str, Any], entities: cedarpy.Entities
    ) -> cedarpy.AuthzResult:
        """Evaluates for one principal, with the policies that can apply and the part of the context that they read."""
        kind = self.compiled.types[question.resource]
        chosen = self._slice(type_, question.caller.agent, question.action, entity(kind, question.resource))
        read = context if chosen.reads is None else {name: context[name] for name in chosen.reads if name in context}
        request = {
            "principal": {"type": type_, "id": id},
            "action": {"type": "Action", "id": question.action.value},
            "resource": {"type": kind, "id": question.resource},
            "context": msgspec.json.encode(read).decode(),
        }
        return cedarpy.is_authorized(request, chosen.policies, entities)

    def _fresh(self, asked: tuple[Any, ...], arguments: str) -> Ruling:
        return self._decide(Question(*(*asked, json.loads(arguments) if arguments else {})))

    def _decide(self, question: Question) -> Ruling:
        meaning = self.meaning(question)
        if meaning is None or question.resource not in self.compiled.types:
            return self._ruling(Effect.DENY, self._reasons.unknown(question), Outcome(False, False, ()))
        try:
            outcome = self.evaluate(question, meaning)
        except _Unfit as problem:
            return self._ruling(Effect.DENY, str(problem), Outcome(False, False, ()))
        if outcome.errors:
            reason = f"a policy could not be evaluated, so the call is denied: {outcome.errors[0][:300]}"
            return self._ruling(Effect.DENY, reason, outcome)
        if outcome.allowed:
            return self._ruling(Effect.ALLOW, self._reasons.allowed(question, outcome.policies), outcome)
        if not question.approved:
            again = self.evaluate(msgspec.structs.replace(question, approved=True), meaning)
            if again.allowed:
                reason = self._reasons.approval(question, meaning, outcome.policies)
                merged = Outcome(False, False, (*outcome.policies, *again.policies))
                return self._ruling(Effect.APPROVE, reason, merged)
        return self._ruling(Effect.DENY, self._why_not(question, meaning, outcome), outcome)

    def _why_not(self, question: Question, meaning: Meaning, outcome: Outcome) -> str:
        return self._reasons.denied(question, meaning, outcome.agent, outcome.user, outcome.policies)

    def _ruling(self, effect: Effect, reason: str, outcome: Outcome) -> Ruling:
        flow = ""
        if effect != Effect.DENY:
            flow = next(
                (f for id in outcome.policies if (f := self.policies[id].flow) and self.policies[id].permits), ""
            )
        return Ruling(effect, reason, outcome.policies, flow, self.version)

    def _slice(self, type_: str, agent: str, action: Action, resource: str) -> _Slice:
        """The policies that can apply: evaluation is linear in their number."""
        key = (type_, agent, action, resource)
        found = self._slices.get(key)
        if found is None:
            who = entity("Agent", agent)
            chosen = {
                p.id: self._trees[p.id] for p in self.compiled.policies if p.concerns(type_, who, action, resource)
            }
            text = json.dumps({"staticPolicies": chosen, "templates": {}, "templateLinks": []})
            found = _Slice(cedarpy.PolicySet.from_json_str(text), reads(chosen.values()))
            if len(self._slices) < CACHE:
                self._slices[key] = found
        return found

    def context(self, question: Question, meaning: Meaning) -> dict[str, Any]:
        """What policies may read about a question, as the schema says; in Cedar's JSON."""
        caller, label = question.caller, question.label
        # Asked about something else than what the name is known to do: nothing is known about that.
        usual = question.action in (meaning.action, Action.LIST_TOOLS)
        context = {
            "agent": _uid("Agent", caller.agent),
            "actor": caller.actor,
            "tenant": caller.tenant,
            "team": caller.team,
            "key": caller.key,
            "purpose": caller.purpose,
            "scopes": sorted(caller.scopes),
            "chain": sorted(set(caller.chain)),
            "user_clearance": caller.clearance,
            "tool": question.tool,
            "side_effect": int(meaning.side_effect if usual else SideEffect.IRREVERSIBLE),
            "outbound": meaning.outbound,
            "clearance": meaning.clearance,
            "result_class": meaning.result.confidentiality,
            "class_filtered": bool(meaning.class_field),
            "tenant_filtered": bool(meaning.tenant_argument or meaning.tenant_field),
            "integrity": label.integrity,
            "confidentiality": label.confidentiality,
            "sources": sorted(label.sources),
            "traced": question.traced,
            "approved": question.approved,
            "arguments": self._arguments(question.arguments),
        }
        if caller.user:
            context["user"] = _uid("User", caller.user)
        return context

    def _arguments(self, given: Mapping[str, Any]) -> dict[str, Any]:
        types = self.compiled.arguments
        return {name: typed(name, given[name], type_) for name, type_ in types.items() if name in given}


def _without_arguments(question: Question) -> tuple[Any, ...]:
    """All that a ruling can depend on but the arguments, in the order of the fields."""
    return (
        question.caller, question.action, question.resource, question.tool, question.label, question.traced,
        question.approved,
    )  # fmt: skip


_NOBODY = cedarpy.Entities.from_json_str("[]")


@lru_cache(CACHE)
def _person(user: str, actor: str) -> cedarpy.Entities:
    """The entity slice of a person: who it is, and of which kind."""
    parents = [{"type": "Actor", "id": actor}] if actor else []
    return cedarpy.Entities.from_json_str(
        json.dumps([{"uid": {"type": "User", "id": user}, "attrs": {}, "parents": parents}])
    )


def reads(trees: Iterable[Any]) -> tuple[str, ...] | None:
    """The attributes of the context that some policies read; None when one of them uses the context as a whole."""
    found: set[str] = set()
    todo = list(trees)
    while todo:
        part = todo.pop()
        if isinstance(part, list):
            todo += part
        elif isinstance(part, dict):
            if part == _CONTEXT:
                return None
            for operator, inner in part.items():
                if operator in (".", "has") and isinstance(inner, dict) and inner.get("left") == _CONTEXT:
                    found.add(inner["attr"])
                else:
                    todo.append(inner)
    return tuple(sorted(found))


_CONTEXT = {"Var": "context"}


def typed(name: str, value: Any, type_: str) -> Any:
    """An argument as Cedar's JSON for this type. Raises when it isn't of the type: a policy that can't read it must not be skipped."""
    if type_ == ANY:
        return True
    if type_ == "Bool" and isinstance(value, bool):
        return value
    if type_ == "String" and isinstance(value, str):
        return value
    if type_ == "Long" and isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**63:
        return value
    if type_ == "Set<String>" and isinstance(value, list) and all(isinstance(v, str) for v in value):
        return value
    if type_ == "decimal" and (number := _decimal(value)) is not None:
        return {"__extn": {"fn": "decimal", "arg": number}}
    raise _Unfit(
        f"the argument `{name}` is no {type_}, which a policy of your own expects it to be; so the call is denied"
    )


def _decimal(value: Any) -> str | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str) or len(str(value)) > 40:
        return None
    try:
        number = Decimal(str(value))
        exact = number.quantize(Decimal("0.0001"))
    except InvalidOperation:
        return None
    fits = number.is_finite() and exact == number and abs(number) < Decimal(2**63) / 10_000
    return f"{exact:f}" if fits else None


def _uid(type_: str, id: str) -> dict[str, Any]:
    return {"__entity": {"type": type_, "id": id}}
