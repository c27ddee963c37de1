# SPDX-License-Identifier: Apache-2.0
"""What was gathered about a model, and what an answer to a demand is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from fnmatch import fnmatchcase
from typing import NamedTuple

from bastide.verify.admission.model import Approval, Evidence, Version
from bastide.verify.artifacts.model import FileReport
from bastide.verify.bom.model import Model
from bastide.verify.signing.model import Check, Outcome
from bastide.verify.signing.model import Decision as Verification
from bastide.verify.signing.policy import Demand

_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Facts:
    """All that was gathered about a model. None: it wasn't asked for, or there is none."""

    name: str
    stage: str
    at: datetime
    reports: tuple[FileReport, ...] | None = None
    passed_over: tuple[str, ...] = ()
    """What the scan did not read."""
    verification: Verification | None = None
    demanded: tuple[tuple[Demand, Check], ...] = ()
    """What came of each evaluation that the rules demand."""
    present: tuple[Evidence, ...] = ()
    """Signatures and attestations of these bytes that are there now, with a signature that is valid."""
    signers: tuple[str, ...] = ()
    """Whom the trust policy names."""
    description: Model | None = None
    version: Version | None = None
    """As it is registered: the same bytes."""
    approvals: tuple[Approval, ...] = ()
    seen: tuple[Evidence, ...] = ()
    """What the registry has seen of it."""
    registered: Mapping[str, tuple[Version, ...]] | None = None
    """All versions by name; None without a registry."""


class Answer(NamedTuple):
    """Whether a demand holds."""

    outcome: Outcome
    reason: str
    hint: str = ""


def holds(reason: str) -> Answer:
    """It does."""
    return Answer(Outcome.HOLDS, reason)


def refused(reason: str, hint: str = "") -> Answer:
    """It doesn't."""
    return Answer(Outcome.REFUSED, reason, hint)


def unknown(reason: str, hint: str = "") -> Answer:
    """Nobody can tell."""
    return Answer(Outcome.UNKNOWN, reason, hint)


def fits(text: str, patterns: Iterable[str]) -> bool:
    """Whether a text fits one of some patterns; case counts."""
    return any(fnmatchcase(text, pattern) for pattern in patterns)


def some(what: str, things: Sequence[str]) -> str:
    """The first few of some things."""
    more = f" and {len(things) - _SHOWN} more" if len(things) > _SHOWN else ""
    return f"{what}{': ' if what else ''}{'; '.join(things[:_SHOWN])}{more}"
