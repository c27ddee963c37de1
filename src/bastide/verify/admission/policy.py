# SPDX-License-Identifier: Apache-2.0
"""The admission policy: what has to hold before a model is used, or goes to a stage."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from bastide.errors import Location
from bastide.verify.signing.policy import Demand, Range, matches

Bases = Literal["known", "promoted"]


@dataclass(frozen=True, slots=True)
class Scan:
    """What the scan, made now, has to say."""

    verdicts: tuple[str, ...] = ("safe",)
    formats: tuple[str, ...] = ()
    """Patterns for the formats of files; empty: any."""
    deny: tuple[str, ...] = ()
    """Patterns for findings that no file may have: `secret/*`."""


@dataclass(frozen=True, slots=True)
class Licences:
    """Patterns for SPDX ids, without regard to case."""

    allow: tuple[str, ...] = ()
    """Empty: any that isn't denied."""
    deny: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Approvals:
    """Whose word is needed."""

    by: tuple[str, ...] = ()
    """Names; empty: anybody. Never who registered the version."""
    count: int = 1
    max_age: float | None = None
    """Seconds."""


@dataclass(frozen=True, slots=True)
class Rule:
    """What is asked of some models at some stages. What isn't named isn't asked."""

    models: tuple[str, ...]
    stages: tuple[str, ...] = ()
    """Empty: all."""
    scan: Scan | None = None
    signature: bool = False
    """Whether the trust policy has to hold."""
    card: int = 0
    """Percent of the model card's fields by weight that have to be answered."""
    annex: int = 0
    """Percent of the points of Annex IV."""
    metrics: Mapping[str, Range] = field(default_factory=dict)
    """As the model's description states them."""
    evaluations: tuple[Demand, ...] = ()
    """Attested by signers of the trust policy."""
    licences: Licences | None = None
    bases: Bases | None = None
    """Whether every model it was made from has to be in the registry (`known`), and in a stage that isn't earlier (`promoted`)."""
    approvals: Approvals | None = None
    after: str = ""
    """The stage in which the version has to be before."""
    location: Location = Location()

    def applies(self, name: str, stage: str) -> bool:
        """Whether it is about a model at a stage."""
        return matches(name, self.models) and (not self.stages or stage in self.stages)


@dataclass(frozen=True, slots=True)
class Policy:
    """All rules; those that apply have to hold together."""

    rules: tuple[Rule, ...]
    stages: tuple[str, ...] = ()
    """In their order."""
    trust: Path | None = None
    """The trust policy."""
    file: str = ""
    digest: str = ""

    def rules_for(self, name: str, stage: str) -> tuple[Rule, ...]:
        """The rules about a model at a stage."""
        return tuple(rule for rule in self.rules if rule.applies(name, stage))
