# SPDX-License-Identifier: Apache-2.0
"""The words of the guard: labels, callers, questions to the policy, rulings, detections and verdicts."""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum, StrEnum
from typing import Any

from msgspec import Struct

from bastide.plan.vocabulary import TRUST_LEVELS
from bastide.recognise.model import Detection

CLASSES: tuple[str, ...] = ("public", "internal", "confidential", "restricted")
"""Data classes, from least to most sensitive; the same as the attribute `class` of data assets."""


class Label(Struct, frozen=True):
    """Where some content may come from and how sensitive it may be. Labels form a lattice; `join` is its least upper bound.

    Source: D. Denning, "A lattice model of secure information flow" (CACM 19(5), 1976); both directions as in Biba and Bell-LaPadula.
    """

    integrity: int = len(TRUST_LEVELS) - 1
    """Index into `TRUST_LEVELS` of the least trusted author who may have written a part of it."""
    confidentiality: int = 0
    """Index into `CLASSES` of the most sensitive data that may be in it."""
    sources: frozenset[str] = frozenset()
    """Where it came from: plan component ids, or `user`, `system`, `assistant`."""

    def join(self, other: Label) -> Label:
        """The label of content that both may have influenced."""
        if other is self:
            return self
        return Label(
            min(self.integrity, other.integrity),
            max(self.confidentiality, other.confidentiality),
            self.sources | other.sources,
        )

    @property
    def author(self) -> str:
        """The name of the integrity level."""
        return TRUST_LEVELS[self.integrity]

    @property
    def class_(self) -> str:
        """The name of the confidentiality level."""
        return CLASSES[self.confidentiality]


class Caller(Struct, frozen=True):
    """Who is calling, from verified credentials only."""

    agent: str
    """Plan component that calls (an agent, a chain, an app)."""
    user: str = ""
    """Subject of the person it acts for; '' when nobody."""
    actor: str = ""
    """Plan component of that person's kind (`customer`); '' when nobody."""
    tenant: str = ""
    team: str = ""
    key: str = ""
    """Id of the API key or of the token's issuer; never a secret."""
    scopes: frozenset[str] = frozenset()
    purpose: str = ""
    clearance: int = len(CLASSES) - 1
    """Highest class of data that the user may see."""
    chain: tuple[str, ...] = ()
    """The actors of RFC 8693's nested `act` claims, outermost first."""
    roles: frozenset[str] = frozenset()
    """`decide-approvals`, `operate` (metrics, reload)."""


class Action(StrEnum):
    """What a caller can ask for; the verbs of Cedar requests."""

    INVOKE_MODEL = "invoke_model"
    EMBED = "embed"
    INVOKE_TOOL = "invoke_tool"
    RETRIEVE = "retrieve"
    DELEGATE = "delegate"
    LIST_TOOLS = "list_tools"


class SideEffect(IntEnum):
    """What a call changes, from nothing to what can't be undone."""

    NONE = 0
    READ = 1
    REVERSIBLE = 2
    IRREVERSIBLE = 3


class Meaning(Struct, frozen=True):
    """What a tool, model or store means for the policy: the plan's facts and the settings about one name on the wire, resolved.

    Everything that nobody stated has its most cautious value.
    """

    name: str
    """Name on the wire."""
    component: str
    """Plan component; the name itself when the plan has none."""
    action: Action
    known: bool = True
    """Whether the plan has it."""
    side_effect: SideEffect = SideEffect.IRREVERSIBLE
    outbound: bool = True
    """Whether what is sent there can leave the system."""
    clearance: int = 0
    """Highest class of data that may be sent there, when it is outbound."""
    approval: bool = False
    """Whether the plan demands a person's approval for each call."""
    result: Label = Label(0, len(CLASSES) - 1)
    """Label of what it returns."""
    fields: Mapping[str, int] = {}
    """Dotted path or key of a result's field -> integrity, where it differs from `result`."""
    arguments: Mapping[str, str] = {}
    """Argument -> target, content or free; unlisted ones are judged by name and value."""
    endorses: int | None = None
    """Level to which a sanitiser raises its result."""
    tenant_argument: str = ""
    tenant_field: str = ""
    class_field: str = ""
    memory: str = ""


class Untraced(Struct, frozen=True):
    """An argument that decides what happens and whose value doesn't come from trusted input."""

    path: str
    value: str
    """Shortened."""
    sources: frozenset[str]
    """Where the value does occur; empty when nowhere (the model made it up)."""


class Influence(Struct, frozen=True):
    """What may have shaped a proposed call."""

    label: Label
    """Of what is sent: value by value where every argument can be traced, else of the whole session."""
    traced: bool
    untraced: tuple[Untraced, ...] = ()


class Question(Struct, frozen=True):
    """One access request: may this caller do this to this resource, given what may have influenced it?"""

    caller: Caller
    action: Action
    resource: str
    """Plan component id; a tool or model that the plan doesn't know is asked about by its wire name and denied."""
    tool: str = ""
    """The name on the wire."""
    label: Label = Label()
    """The label of what is sent: of the arguments where they can be traced, of the whole session otherwise."""
    traced: bool = True
    """Whether every argument that decides what happens (whom, where, which, how much) comes from trusted input."""
    approved: bool = False
    """Whether a valid approval for exactly this call was presented."""
    arguments: Mapping[str, Any] = {}
    """For the user's own policies, such as a limit on an amount."""


class Effect(StrEnum):
    """What happens to a request."""

    ALLOW = "allow"
    APPROVE = "approve"
    """A person has to agree first."""
    DENY = "deny"


class Ruling(Struct, frozen=True):
    """The policy's answer, with what decided it."""

    effect: Effect
    reason: str
    """A sentence for the developer: why, and what would change it."""
    policies: tuple[str, ...] = ()
    """Ids of the determining Cedar policies."""
    flow: str = ""
    """Id of the plan's flow that permits it; '' when none does."""
    version: str = ""
    """Digest of the policy set that decided."""


class Outcome(StrEnum):
    """What happens to a text, from mild to strict."""

    ALLOW = "allow"
    FLAG = "flag"
    REDACT = "redact"
    BLOCK = "block"


class Verdict(Struct, frozen=True):
    """What the content guards say about one text."""

    outcome: Outcome
    score: float = 0.0
    """The calibrated probability of an attack."""
    detections: tuple[Detection, ...] = ()
    text: str | None = None
    """The text to pass on instead, when `outcome` is REDACT."""
    scanned: bool = True
    """False when a check could not be completed (overload, a bound was reached): never logged as clean."""
    cause: Detection | None = None
    """What decided the outcome; None where nothing did."""

    @property
    def reason(self) -> str:
        """What decided the outcome, in words; the detection with the highest score where nothing did."""
        best = self.cause or max(self.detections, key=lambda d: d.score, default=None)
        return f"{best.detector}: {best.why}" if best else ""
