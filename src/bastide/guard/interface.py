# SPDX-License-Identifier: Apache-2.0
"""The seams of the guard: what the engine needs from its parts. Each has one implementation per file, and fakes in the tests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from bastide.guard.model import Caller, Question, Ruling, Verdict
from bastide.recognise.model import Detection, Direction

if TYPE_CHECKING:
    from bastide.guard.content.stream import Check, StreamScanner


class Detector(Protocol):
    """Says how likely a text is an attack. Pure; called in the hot path, so it has to be fast or say that it isn't."""

    def detect(self, text: str, direction: Direction) -> Sequence[Detection]:
        """Everything that it sees in the text, already normalised."""
        ...


class Scanner(Protocol):
    """All content checks together."""

    def scan(self, text: str, direction: Direction, vault: Any = None) -> Verdict:
        """The verdict about a text; `vault` keeps what is redacted reversibly, for one session."""
        ...

    def argument(self, text: str) -> Verdict:
        """The verdict about what a proposed call sends to a tool."""
        ...

    def stream(self, vault: Any = None, checks: Sequence[Check] = ()) -> StreamScanner:
        """A scanner for one answer, whole or streamed."""
        ...


class Policy(Protocol):
    """The compiled policy of a plan."""

    version: str

    def decide(self, question: Question) -> Ruling:
        """The ruling; denies when anything goes wrong."""
        ...


class Authenticator(Protocol):
    """Turns credentials into a caller."""

    async def authenticate(self, headers: Mapping[str, str], peer: str) -> Caller:
        """The caller, from lower-case header names and the peer's address. Raises `Unauthenticated`."""
        ...


class Limits(Protocol):
    """Budgets and rates."""

    async def reserve(self, caller: Caller, tokens: int, cost: float) -> Any:
        """Takes from every budget at once what a call may need; returns a reservation. Raises `OverLimit`."""
        ...

    async def settle(self, reservation: Any, tokens: int, cost: float) -> None:
        """Replaces what was reserved by what was used."""
        ...
