# SPDX-License-Identifier: Apache-2.0
"""What a check of a data set says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class Severity(StrEnum):
    """How bad a finding is."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    CRITICAL = "critical"

    @property
    def rank(self) -> int:
        """0 for low to 3 for critical."""
        return list(Severity).index(self)


class Verdict(StrEnum):
    """What the check amounts to."""

    PASS = "pass"
    FAIL = "fail"
    UNKNOWN = "unknown"
    """Nothing was found at or over the threshold, but something was not read."""


@dataclass(frozen=True, slots=True)
class Place:
    """A row of a file: `row` counts records, or lines of a text, from 1; 0 means the file as a whole."""

    file: str = ""
    row: int = 0

    def __str__(self) -> str:
        """`file:row`."""
        return f"{self.file}:{self.row}" if self.row else self.file


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing about a data set."""

    id: str
    """The rule: `dataset/personal-data`. Stable between versions."""
    severity: Severity
    message: str
    """What it is and what to do, in a sentence or two."""
    field: str = ""
    place: Place = Place()
    """Where it was seen first."""
    count: int = 1
    """Rows (or files, fields) that it is about."""
    rate: float | None = None
    """`count` as a share of the rows that were looked at."""
    evidence: str = ""
    """What was seen, masked: never the secret or the personal value itself."""
    kind: str = ""
    """What exactly: the recogniser (`personal/email`), the category, the phrase's label."""


@dataclass(frozen=True, slots=True)
class FileFacts:
    """One file of the data set."""

    path: str
    format: str
    size: int
    """Bytes."""
    rows: int
    """Records that were read."""
    sha256: str = ""
    """Hex; '' when it was not computed."""
    split: str = ""
    complete: bool = True
    """Whether it was read to its end."""


@dataclass(frozen=True, slots=True)
class FieldFacts:
    """One field over all files."""

    name: str
    role: str
    """`text`, `label`, `split`, `id`, `source`, `licence`, `consent` or ''."""
    types: Mapping[str, int]
    """How many values of each JSON type; `null` for missing ones."""
    longest: int
    """Characters of the longest text."""
    found: Mapping[str, int]
    """Rows in which each recogniser found something: `personal/email`."""


@dataclass(frozen=True, slots=True)
class Card:
    """What was measured, for the data card; None or '' where it was not, which is shown as unknown."""

    purpose: str = ""
    classification: str = ""
    licences: Mapping[str, int] = field(default_factory=dict)
    sources: Mapping[str, int] = field(default_factory=dict)
    """Rows of each source, the largest first."""
    without_source: int | None = None
    labels: Mapping[str, int] = field(default_factory=dict)
    splits: Mapping[str, int] = field(default_factory=dict)
    categories: Mapping[str, int] = field(default_factory=dict)
    """Categories of sensitive data by rows."""
    duplicates: int | None = None
    near_duplicates: int | None = None
    leaked: int | None = None
    consent: Mapping[str, int] = field(default_factory=dict)
    poisoning: Mapping[str, str] = field(default_factory=dict)
    """What was tested on how much, by test."""


@dataclass(frozen=True, slots=True)
class Report:
    """The whole check."""

    files: tuple[FileFacts, ...]
    fields: tuple[FieldFacts, ...]
    findings: tuple[Finding, ...]
    unread: tuple[str, ...]
    """What was not read or not compared; while there is any, the check is not complete."""
    card: Card
    seconds: float = field(default=0.0, compare=False)

    @property
    def rows(self) -> int:
        """Records of the data set."""
        return sum(f.rows for f in self.files if f.split != "against")

    def verdict(self, threshold: Severity) -> Verdict:
        """Fail with a finding at or over the threshold; else unknown while something was not read; else pass."""
        if any(f.severity.rank >= threshold.rank for f in self.findings):
            return Verdict.FAIL
        return Verdict.UNKNOWN if self.unread else Verdict.PASS
