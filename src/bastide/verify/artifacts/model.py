# SPDX-License-Identifier: Apache-2.0
"""What a scan says: findings with their place, and a verdict for each file."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum


class Tier(StrEnum):
    """What kind of trouble a finding is."""

    EXECUTES = "executes"
    """A real loader lets the file reach code, files or the network."""
    POLICY = "policy"
    """Nothing is executed by the file itself, but it leans on code or settings that somebody has to decide about."""
    MALFORMED = "malformed"
    """The file isn't what its format says: loaders refuse it, disagree about it, or it was not read to its end."""


class Severity(StrEnum):
    """How bad a finding is; it decides the verdict."""

    CRITICAL = "critical"
    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"


class Verdict(StrEnum):
    """What is known of a file."""

    SAFE = "safe"
    """Everything in it was read and understood, and does no harm when it is loaded."""
    UNSAFE = "unsafe"
    UNKNOWN = "unknown"
    """Something in it was not read, not understood, or depends on code that isn't in it."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing about a file."""

    id: str
    """The rule: `pickle/runs-a-program`. Stable between versions."""
    tier: Tier
    severity: Severity
    message: str
    """What it is and what to do, in a sentence."""
    offset: int | None = None
    """Byte in the file or, with `member`, in the member of the archive."""
    evidence: str = ""
    """What stands there: a name, a call."""
    member: str = ""
    """Path inside of an archive; '' for the file itself."""


@dataclass(frozen=True, slots=True)
class FileReport:
    """What is known of one file."""

    path: str
    format: str
    sha256: str
    """Hex; '' when the file could not be read to its end."""
    findings: tuple[Finding, ...] = ()
    seconds: float = field(default=0.0, compare=False)

    @property
    def verdict(self) -> Verdict:
        """Unsafe with any finding of severity high or critical, unknown with a medium one, else safe."""
        return verdict(self.findings)


def verdict(findings: tuple[Finding, ...] | list[Finding]) -> Verdict:
    """The verdict that findings amount to."""
    severities = {f.severity for f in findings}
    if severities & {Severity.HIGH, Severity.CRITICAL}:
        return Verdict.UNSAFE
    return Verdict.UNKNOWN if Severity.MEDIUM in severities else Verdict.SAFE
