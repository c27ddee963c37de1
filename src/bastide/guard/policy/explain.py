# SPDX-License-Identifier: Apache-2.0
"""Why a question is answered as it is, and what would change the answer: found by asking again with one thing changed, then with two."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from itertools import combinations

from msgspec.structs import replace

from bastide.guard.model import CLASSES, Caller, Effect, Label, Meaning, Question, Ruling
from bastide.guard.policy.cedar import CedarPolicy
from bastide.guard.policy.decide import CompiledPolicy
from bastide.plan.model import Flow
from bastide.plan.vocabulary import TRUST_LEVELS

_MILD = (Effect.DENY, Effect.APPROVE, Effect.ALLOW)
Edit = Callable[[Question], Question]


@dataclass(frozen=True, slots=True)
class Change:
    """Something that would make the ruling milder."""

    words: str
    """What has to be different, to be read after "when"."""
    effect: Effect
    """What the ruling would be then."""


@dataclass(frozen=True, slots=True)
class Explanation:
    """A question, its ruling, and what both rest on."""

    question: Question
    meaning: Meaning | None
    """None when nothing is known about what is asked for."""
    ruling: Ruling
    policies: tuple[CedarPolicy, ...]
    """The determining policies."""
    flow: Flow | None
    """The flow that permits it."""
    changes: tuple[Change, ...]


def explain(policy: CompiledPolicy, question: Question) -> Explanation:
    """Everything that there is to say about a question."""
    ruling = policy.decide(question)
    return Explanation(
        question,
        policy.meaning(question),
        ruling,
        tuple(policy.policies[i] for i in ruling.policies if i in policy.policies),
        policy.compiled.plan.flows.get(ruling.flow),
        tuple(changes(policy, question, ruling)),
    )


def name_on_the_wire(policy: CompiledPolicy, name: str) -> Meaning | None:
    """What a tool's, model's or component's name means; patterns of model names count."""
    found = policy.compiled.meanings
    if name in found:
        return found[name]
    patterns = (key for key in found if "*" in key and fnmatchcase(name, key))
    return next((found[p] for p in patterns), None)


def changes(policy: CompiledPolicy, question: Question, ruling: Ruling) -> Iterator[Change]:
    """Single changes that make the ruling milder; pairs of them where no single one leads to ALLOW."""
    rank = _MILD.index
    if rank(ruling.effect) == rank(Effect.ALLOW):
        return
    single = dict(_edits(policy, question))
    effects = {words: policy.decide(edit(question)).effect for words, edit in single.items()}
    yield from (Change(words, effect) for words, effect in effects.items() if rank(effect) > rank(ruling.effect))
    if Effect.ALLOW in effects.values():
        return
    shown: set[str] = set()
    for (one, first), (two, second) in combinations(single.items(), 2):
        if not shown & {one, two} and policy.decide(second(first(question))).effect == Effect.ALLOW:
            shown |= {one, two}
            yield Change(f"{one}, and {two}", Effect.ALLOW)


def _edits(policy: CompiledPolicy, question: Question) -> Iterator[tuple[str, Edit]]:
    """What could be different, in words, and the question with it."""
    label = question.label
    if not question.approved:
        yield "a person agrees to exactly this call", lambda q: replace(q, approved=True)
    if not question.traced:
        yield (
            "all that decides what happens (whom, where, how much) comes from trusted input",
            lambda q: replace(q, traced=True),
        )
    required = policy.compiled.required
    if label.integrity < required:
        words = f"only `{TRUST_LEVELS[required]}` or more trusted authors wrote what shaped it"
        yield words, lambda q: replace(q, label=Label(required, q.label.confidentiality, q.label.sources))
    meaning = policy.meaning(question)
    if meaning is not None and label.confidentiality > meaning.clearance:
        words = f"what is sent is {CLASSES[meaning.clearance]} data at most"
        yield words, lambda q: replace(q, label=Label(q.label.integrity, meaning.clearance, q.label.sources))
    yield from _people(policy, question)


def _people(policy: CompiledPolicy, question: Question) -> Iterator[tuple[str, Edit]]:
    caller = question.caller
    for actor in policy.compiled.actors.get(caller.agent, ()):
        if (not caller.user) or caller.actor != actor:
            words = f"it is done for a `{actor}`"
            yield words, _caller(user=caller.user or "somebody", actor=actor)
    if not caller.tenant:
        yield "the caller's credential names a tenant", _caller(tenant="some-tenant")
    ways = [r for r in policy.compiled.routes if r.resource == question.resource]
    wanted = frozenset(s for r in ways if r.agent == caller.agent for s in r.scopes) - caller.scopes
    if wanted:
        yield f"the credential has the scopes {', '.join(sorted(wanted))}", _caller(scopes=caller.scopes | wanted)
    if caller.clearance < len(CLASSES) - 1:
        meaning = policy.meaning(question)
        needed = meaning.result.confidentiality if meaning else len(CLASSES) - 1
        yield f"the user may see {CLASSES[needed]} data", _caller(clearance=max(needed, caller.clearance))
    for agent in dict.fromkeys(r.agent for r in ways if r.action == question.action and r.agent != caller.agent):
        yield f"`{agent}` calls it instead of `{caller.agent}`", _caller(agent=agent)


def _caller(**different: object) -> Edit:
    def edit(question: Question) -> Question:
        caller: Caller = replace(question.caller, **different)
        return replace(question, caller=caller)

    return edit
