# SPDX-License-Identifier: Apache-2.0
"""Cedar as text: literals, one policy with the scope that says to which requests it can apply, the schema of the guard's requests."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from bastide.errors import Location
from bastide.guard.model import CLASSES, Action
from bastide.plan.vocabulary import TRUST_LEVELS

RESOURCES = ("Agent", "Model", "Store", "Tool")
ACTING = (Action.INVOKE_TOOL, Action.RETRIEVE, Action.DELEGATE)
"""Actions that can change something or bring something out; a model's answer alone does neither."""
EVERY = tuple(Action)


@dataclass(frozen=True, slots=True)
class CedarPolicy:
    """One policy."""

    id: str
    """Its `@id`: `flow:...`, `user:...`, `rule:...`, `approval:...`, `scopes:...`, `tenant:...`, `delegation:...`, `own:...`."""
    text: str
    permits: bool
    actions: frozenset[str]
    principal: str = ""
    """`Agent::"x"`, `Agent` or `User`; '' for anybody."""
    resource: str = ""
    """`Tool::"x"`; '' for anything."""
    flow: str = ""
    """The plan's flow that it is made from."""
    location: Location = Location()
    """Where in the plan, or in a file of the user's own."""
    through: str = ""
    """The agent through which a user has to come; '' for any."""

    def concerns(self, type_: str, agent: str, action: str, resource: str) -> bool:
        """Whether it can apply when this agent, or a user through it, asks. Leaving out those that can't changes no decision."""
        return (
            action in self.actions
            and self.principal in ("", type_, agent if type_ == "Agent" else type_)
            and self.resource in ("", resource)
            and self.through in ("", agent)
        )


def literal(text: str) -> str:
    """A Cedar string."""
    escaped = (c if c.isascii() and c.isprintable() and c not in '"\\' else _escape(c) for c in text)
    return '"' + "".join(escaped) + '"'


def _escape(character: str) -> str:
    return "\\" + character if character in '"\\' else f"\\u{{{ord(character):x}}}"


def entity(type_: str, id: str) -> str:
    """An entity, such as `Tool::"refund"`."""
    return f"{type_}::{literal(id)}"


def policy_text(
    effect: str, annotations: Mapping[str, str], scope: tuple[str, Collection[str], str], when: str = ""
) -> str:
    """A policy; scope: the condition on the principal, the actions, the condition on the resource."""
    principal, actions, resource = scope
    notes = [f"@{name}({literal(value)})" for name, value in annotations.items() if value]
    named = [f"Action::{literal(a)}" for a in EVERY if a in actions]
    if len(named) == len(EVERY):
        action = "action"
    elif len(named) == 1:
        action = f"action == {named[0]}"
    else:
        action = f"action in [{', '.join(named)}]"
    lines = [*notes, f"{effect} (", f"    {principal},", f"    {action},", f"    {resource}", ")"]
    if when:
        lines.append(f"when {{ {when} }}")
    return "\n".join(lines) + ";"


def schema_text(system: str, arguments: Mapping[str, str]) -> str:
    """The schema of requests. arguments: name -> Cedar type, of those that the user's own policies read."""
    levels = ", ".join(f"{n} {name}" for n, name in enumerate(TRUST_LEVELS))
    classes = ", ".join(f"{n} {name}" for n, name in enumerate(CLASSES))
    # Of type `any` is what policies only ask for with `has`; it is there as `true`.
    types = {name: "Bool" if type_ == "any" else type_ for name, type_ in arguments.items()}
    fields = _record((f"{literal(name)}?", type_) for name, type_ in sorted(types.items()))
    actions = ", ".join(literal(a) for a in EVERY)
    return f"""// Requests to the guard of {system!r}. Components of the plan are agents when they act, and models, stores, tools or agents when used.
entity Actor;
entity User in [Actor];
entity Agent, Model, Store, Tool;

type Question = {{
    "agent": Agent,             // who calls
    "user"?: User,              // for whom; absent: for nobody
    "actor": String,            // what kind of person that is, as a component of the plan
    "tenant": String,           // "": none
    "team": String,
    "key": String,
    "purpose": String,
    "scopes": Set<String>,
    "chain": Set<String>,       // the other agents on whose behalf it is done
    "user_clearance": Long,     // highest class of data that the user may see: {classes}
    "tool": String,             // the name on the wire
    "side_effect": Long,        // 0 none, 1 read, 2 reversible, 3 irreversible
    "outbound": Bool,           // whether what is sent can leave the system
    "clearance": Long,          // highest class that may be sent there when it is outbound
    "result_class": Long,       // highest class of what comes back
    "class_filtered": Bool,     // whether results over the user's clearance are taken out
    "tenant_filtered": Bool,    // whether results of other tenants are taken out
    "integrity": Long,          // least trusted author of what shaped the call: {levels}
    "confidentiality": Long,    // highest class of what is sent
    "sources": Set<String>,     // where that came from
    "traced": Bool,             // whether all that decides what happens comes from trusted input
    "approved": Bool,           // whether a person has agreed to exactly this call
    "arguments": {fields},
}};

action {actions} appliesTo {{
    principal: [Agent, User],
    resource: [{", ".join(RESOURCES)}],
    context: Question,
}};
"""


def _record(fields: Iterable[tuple[str, str]]) -> str:
    return "{" + ", ".join(f"{name}: {type_}" for name, type_ in fields) + "}"
