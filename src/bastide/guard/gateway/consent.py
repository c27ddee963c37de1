# SPDX-License-Identifier: Apache-2.0
"""Decides a call together with the people who may agree to it: an approval counts for exactly one call, once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bastide.guard.approvals.book import Approval, Binding, for_agent
from bastide.guard.conversation import CallDecision, Conversation
from bastide.guard.events import ToolCall
from bastide.guard.model import Effect

if TYPE_CHECKING:
    from bastide.guard.gateway.runtime import Runtime


class Consent:
    """Decisions of one conversation, with approvals."""

    def __init__(self, runtime: Runtime, conversation: Conversation) -> None:
        self._approvals = runtime.approvals
        self._of = conversation

    def decide(self, call: ToolCall, component: str = "") -> CallDecision:
        """The decision; an approval that was given for exactly this call is used up by it. Raises `OverLimit`, `Malformed`."""
        decision = self._of.decide(call, component=component)
        if decision.ruling.effect is Effect.APPROVE:
            binding = Binding.of(self._of.caller, decision)
            if self._approvals.consume(binding) is not None:
                return self._of.decide(call, component=component, approved=True)
        return decision

    def ask(self, decision: CallDecision) -> Approval | None:
        """Asks for an approval where one is needed."""
        if decision.ruling.effect is not Effect.APPROVE:
            return None
        return self._approvals.request(self._of.caller, decision)


def explain(decision: CallDecision, asked: Approval | None) -> str:
    """What the model is told in the place of a call that isn't made."""
    said = for_agent(asked) if asked else f"`{decision.call.name}` was not run: {decision.ruling.reason}"
    return f"[guard] {said}"
