# SPDX-License-Identifier: Apache-2.0
"""The words of approvals: what one is bound to, its states, and what the agent is told about it."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Protocol

from msgspec import Struct

from bastide.guard.approvals.canonical import digest
from bastide.guard.events import ToolCall
from bastide.guard.model import Caller, Influence, Meaning, Ruling, Untraced


class State(StrEnum):
    """The life of an approval; only pending and approved ones can still change."""

    PENDING = "pending"
    APPROVED = "approved"
    DENIED = "denied"
    EXPIRED = "expired"
    USED = "used"


class Binding(Struct, frozen=True):
    """What an approval is good for: this caller, this tool of this component, these arguments, under this policy. Anything else needs its own."""

    agent: str
    user: str
    tenant: str
    component: str
    """The plan's component to which the call goes (an MCP server): two servers may have tools of one name."""
    tool: str
    arguments: str
    """Digest of the arguments."""
    version: str
    """Of the policy that demanded it."""

    @classmethod
    def of(cls, caller: Caller, proposal: Proposal) -> Binding:
        """The binding of a call. Raises `Malformed` when its arguments have no canonical form."""
        call, version = proposal.call, proposal.ruling.version
        return cls(
            caller.agent,
            caller.user,
            caller.tenant,
            proposal.meaning.component,
            call.name,
            digest(call.arguments),
            version,
        )


class Proposal(Protocol):
    """What was decided about a call."""

    @property
    def call(self) -> ToolCall:
        """The call, with the arguments with which it would be made."""
        ...

    @property
    def ruling(self) -> Ruling:
        """Why it needs an approval."""
        ...

    @property
    def influence(self) -> Influence:
        """What may have shaped it."""
        ...

    @property
    def meaning(self) -> Meaning:
        """What the tool means, with the component to which the call goes."""
        ...


class Approval(Struct, frozen=True):
    """A request to a person, and the answer."""

    id: str
    binding: Binding
    state: State
    arguments: Mapping[str, Any]
    """In full, for the person who decides."""
    reason: str
    """Why it needs a person."""
    flow: str
    """The plan's flow that permits it with an approval."""
    untraced: tuple[Untraced, ...]
    key: str
    """Id of the credential of who asks."""
    created: float
    """Unix time, as all times here."""
    expires: float
    decided_by: str = ""
    decided_at: float = 0.0
    note: str = ""
    used_at: float = 0.0
    logged: bool = False
    """Whether the log has the decision; before, it is not in force."""


def for_agent(approval: Approval) -> str:
    """What the agent is told about it, as text of a refused call."""
    tool = f"`{approval.binding.tool[:100]}`"
    match approval.state:
        case State.PENDING:
            return (
                f"{tool} needs a person's approval before it is run: {approval.reason}. Approval {approval.id} was asked for; "
                "propose exactly the same call again when it is given."
            )
        case State.APPROVED:
            return f"Approval {approval.id} for {tool} was given; propose exactly the same call again to use it."
        case State.DENIED:
            note = f" Their note: {approval.note}" if approval.note else ""
            return f"A person said no to {tool} with these arguments (approval {approval.id}); don't propose it again.{note}"
        case State.EXPIRED:
            return f"Nobody decided about {tool} in time, so approval {approval.id} expired; propose the call again to ask anew."
        case State.USED:
            return f"Approval {approval.id} for {tool} was used already; it was good for one call."


def who(caller: Caller) -> str:
    """How a decider is recorded: the user, else the credential's id."""
    return f"{caller.tenant}/{caller.user}" if caller.user and caller.tenant else caller.user or f"key:{caller.key}"


def approval_json(approval: Approval) -> dict[str, Any]:
    """The shape of an approval in the API."""
    binding = approval.binding
    return {
        "id": approval.id,
        "state": approval.state.value,
        "component": binding.component,
        "tool": binding.tool,
        "agent": binding.agent,
        "user": binding.user,
        "tenant": binding.tenant,
        "arguments": approval.arguments,
        "arguments_sha256": binding.arguments,
        "reason": approval.reason,
        "flow": approval.flow,
        "policy_version": binding.version,
        "untraced": [{"path": u.path, "value": u.value, "sources": sorted(u.sources)} for u in approval.untraced],
        "created": approval.created,
        "expires": approval.expires,
        "decided_by": approval.decided_by,
        "decided_at": approval.decided_at,
        "note": approval.note,
        "used_at": approval.used_at,
    }
