# SPDX-License-Identifier: Apache-2.0
"""Proposals to be approved."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from bastide.guard.events import ToolCall
from bastide.guard.model import Action, Caller, Effect, Influence, Label, Meaning, Ruling, Untraced

ASKER = Caller("assistant", user="ann", tenant="acme", key="k1")
BOSS = Caller("console", user="bea", tenant="acme", key="k2", roles=frozenset({"decide-approvals"}))
ARGUMENTS: dict[str, Any] = {"order_id": "A-17", "amount": 80, "iban": "DE02120300000000202051"}


class Clock:
    """A clock that moves when it is told to."""

    def __init__(self, now: float = 1_800_000_000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


@dataclass(frozen=True)
class Decision:
    """A decision about a call."""

    call: ToolCall
    ruling: Ruling
    influence: Influence
    meaning: Meaning


def proposal(
    tool: str = "refund", arguments: dict[str, Any] | None = None, version: str = "v1", component: str = "payments"
) -> Decision:
    """A refund to an account that a mail named."""
    untraced = (Untraced("iban", "DE02120300000000202051", frozenset({"inbox"})),)
    return Decision(
        ToolCall("c1", tool, ARGUMENTS if arguments is None else arguments),
        Ruling(
            Effect.APPROVE, "`iban` comes from `inbox`, which anybody may write", ("approve-refund",), "f10", version
        ),
        Influence(Label(0), False, untraced),
        Meaning(tool, component, Action.INVOKE_TOOL),
    )
