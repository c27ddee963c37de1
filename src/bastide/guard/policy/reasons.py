# SPDX-License-Identifier: Apache-2.0
"""Sentences that a developer can act on: what was asked, why the answer is what it is, where in the plan that stands, what would change it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from bastide.errors import Location, did_you_mean
from bastide.guard.model import CLASSES, Action, Meaning, Question
from bastide.guard.policy.cedar import CedarPolicy
from bastide.guard.policy.compile import Compiled
from bastide.plan.vocabulary import TRUST_LEVELS

_VERBS = {
    Action.INVOKE_MODEL: "send this to", Action.EMBED: "embed with", Action.INVOKE_TOOL: "call", Action.RETRIEVE: "read",
    Action.DELEGATE: "hand a task to", Action.LIST_TOOLS: "list the tools of",
}  # fmt: skip
_DRAWN = {
    Action.RETRIEVE: "retrieve",
    Action.DELEGATE: "delegate",
    Action.INVOKE_TOOL: "invoke",
    Action.LIST_TOOLS: "invoke",
}
_TRUSTED = frozenset({"system", "developer", "user", "assistant"})
_NAMES, _LONG = 5, 100


class Reasons:
    """Writes the reasons of one compiled plan's rulings."""

    def __init__(self, compiled: Compiled) -> None:
        self._compiled = compiled
        self._policies = {p.id: p for p in compiled.policies}

    def unknown(self, question: Question) -> str:
        """The plan has no such tool, model or store, or nobody may use it."""
        if question.resource in self._compiled.types:
            return self._no_flow(question)
        name = (question.tool or question.resource)[:_LONG]
        hint = did_you_mean(name, self._compiled.meanings)
        what = f"`{name}` is denied: neither the plan nor the settings know it"
        return (
            f"{what}; {hint}"
            if hint.startswith("did")
            else f"{what}. Add it to `tools:` with `is:` and the component that it is"
        )

    def allowed(self, question: Question, ids: Iterable[str]) -> str:
        """A flow permits it, or only a policy of the user's own does."""
        permits = [self._policies[i] for i in ids if i in self._policies and self._policies[i].permits]
        flows = [p for p in permits if p.flow]
        if flows:
            agreed = ", and a person has agreed" if question.approved else ""
            people = any(p.id.startswith("user:") for p in permits)
            beyond = (
                "" if people or not question.caller.user else f"; for this user beyond the plan, by {_several(permits)}"
            )
            return f"permitted by {_flow(flows[0])}{agreed}{beyond}"
        return f"permitted beyond the plan, by {_several(permits)}: no flow of the plan lets {self._who_what(question)}"

    def approval(self, question: Question, meaning: Meaning, ids: Sequence[str]) -> str:
        """What makes a person's agreement necessary."""
        because = "; ".join(self._forbidden(question, meaning, i) for i in ids) or "a policy demands it"
        return f"a person has to agree before `{question.caller.agent}` may {_asked(question)}: {because}"

    def denied(self, question: Question, meaning: Meaning, agent: bool, user: bool, ids: Sequence[str]) -> str:
        """What forbids it, or that nothing permits it. agent, user: who of them may."""
        forbids = [i for i in ids if i in self._policies and not self._policies[i].permits]
        if forbids:
            because = "; ".join(self._forbidden(question, meaning, i) for i in forbids)
            return f"`{question.caller.agent}` may not {_asked(question)}: {because}"
        return self._user_lacks(question) if agent and not user else self._no_flow(question)

    def _no_flow(self, question: Question) -> str:
        agent, resource = question.caller.agent, question.resource
        if agent not in self._compiled.plan.components:
            hint = (
                did_you_mean(agent, self._compiled.actors)
                or "name a component of the plan with the caller's key or token"
            )
            return f"the caller `{agent}` is no component of the plan; {hint}"
        others = list(dict.fromkeys(r.agent for r in self._compiled.routes if r.resource == resource))
        drawn = f"{resource} -> {agent}" if question.action == Action.RETRIEVE else f"{agent} -> {resource}"
        verb = _DRAWN.get(question.action)
        line = f"`- {drawn}: {{verb: {verb}}}`" if verb else f"`- {agent} <-> {resource}`"
        also = f" ({', '.join(f'`{o}`' for o in others[:_NAMES])} may use it)" if others and agent not in others else ""
        return f"no flow of the plan lets {self._who_what(question)}{also}; if it should, draw {line} in {self._file()}"

    def _user_lacks(self, question: Question) -> str:
        caller = question.caller
        people = self._compiled.actors.get(caller.agent, ())
        reach = f"only {', '.join(f'`{p}`' for p in people)} reach" if people else "no person reaches"
        if not caller.actor:
            return (
                f"`{caller.agent}` may, but the user has no right of their own: the credential doesn't say what kind of person they are "
                f"(`actor:` of the key or issuer), and {reach} this agent in the plan"
            )
        return f"`{caller.agent}` may, but its user, a `{caller.actor}`, may not: {reach} this agent by the flows of the plan"

    def _forbidden(self, question: Question, meaning: Meaning, id: str) -> str:
        policy = self._policies.get(id)
        if policy is None:
            return f"the policy `{id}` forbids it"
        kind = id.partition(":")[0]
        writer = {
            "rule:influence": self._influence, "rule:clearance": self._clearance, "rule:user-clearance": self._user_clearance,
        }.get(id)  # fmt: skip
        if writer is not None:
            return writer(question, meaning)
        if id == "rule:tenant-filter":
            return (
                f"the results of `{meaning.name}` are filtered by tenant, and the caller's credential names no tenant"
            )
        if kind == "tenant":
            return f"its data is of many tenants{_at(policy.location)}, and the caller names neither tenant nor user"
        if kind == "delegation":
            return (
                f"`{question.caller.agent}` acts on behalf of a user{_at(policy.location)}, and the call names none "
                "(a fixed `user:` of the key, a token with a subject, or `may-name-user: true` and `x-bastide-user`)"
            )
        if kind == "approval":
            return f"{_flow(policy)} demands that a person agrees to each call (`approval: human`)"
        if kind in ("scopes", "terms"):
            return f"{_flow(policy)} demands {self._terms(policy)}"
        return f"your own policy {_own(policy)} forbids it"

    def _influence(self, question: Question, meaning: Meaning) -> str:
        required = TRUST_LEVELS[self._compiled.required]
        what = f"`{meaning.name}` is {meaning.side_effect.name.lower()}" if meaning.side_effect >= 2 else ""
        out = f"{'and ' if what else f'`{meaning.name}` '}sends things outside" if meaning.outbound else ""
        return (
            f"{' '.join(filter(None, (what, out)))}, and what it is called with can be the doing of {question.label.author} text"
            f"{_from(question)}. It goes through when what decides it (whom, where, how much) comes from `{required}` or more trusted text, "
            "or when a person agrees"
        )

    def _clearance(self, question: Question, meaning: Meaning) -> str:
        ways = [r for r in self._compiled.routes if r.resource == meaning.component]
        flow = next((r.flows[-1] for r in sorted(ways, key=lambda r: r.agent != question.caller.agent)), None)
        drawn = f" by the flow `{flow.id}`{_at(flow.location)}" if flow is not None else ""
        return (
            f"it would send {question.label.class_} data{_from(question)} to `{meaning.component}`, outside, which gets "
            f"{CLASSES[meaning.clearance]} data at most{drawn}. It goes through without that data, or when the flow carries "
            f"{question.label.class_} data in the plan"
        )

    def _user_clearance(self, question: Question, meaning: Meaning) -> str:
        return (
            f"`{meaning.name}` returns {meaning.result.class_} data, and the user may see {CLASSES[question.caller.clearance]} data at most "
            "(`clearance` of the credential). It goes through when `class-field:` of the tool says which items are of which class"
        )

    def _terms(self, policy: CedarPolicy) -> str:
        ids = policy.id.partition(":")[2].split(" | ")
        found = [r for r in self._compiled.routes if r.id in ids]
        said = [
            " and ".join(
                ["a person's agreement"] * r.approval + [f"the scopes {', '.join(sorted(r.scopes))}"] * bool(r.scopes)
            )
            for r in found
        ]
        return " or ".join(dict.fromkeys(said)) or "more"

    def _who_what(self, question: Question) -> str:
        return f"`{question.caller.agent}` {_asked(question)}"

    def _file(self) -> str:
        return self._compiled.plan.location.file or "the plan"


def _asked(question: Question) -> str:
    name = f"`{(question.tool or question.resource)[:_LONG]}`"
    if question.tool and question.tool.replace("_", "-") != question.resource.replace("_", "-"):
        name += f" (`{question.resource}`)"
    return f"{_VERBS[question.action]} {name}"


def _from(question: Question) -> str:
    # What the program and the user said is never what lowers the level.
    sources = sorted(question.label.sources - _TRUSTED) or sorted(question.label.sources)
    shown = ", ".join(f"`{s}`" for s in sources[:_NAMES]) + (
        f" and {len(sources) - _NAMES} more" if len(sources) > _NAMES else ""
    )
    return f" (from {shown})" if sources else ""


def _at(location: Location) -> str:
    return f" ({Location(location.file, location.line)})" if location.line else ""


def _flow(policy: CedarPolicy) -> str:
    return f"the flow `{policy.flow}`{_at(policy.location)}"


def _own(policy: CedarPolicy) -> str:
    return f"`{policy.id}`{_at(policy.location)}"


def _several(policies: Sequence[CedarPolicy]) -> str:
    return "your own policy " + ", ".join(_own(p) for p in policies if p.id.startswith("own:"))
