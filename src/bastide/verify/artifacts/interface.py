# SPDX-License-Identifier: Apache-2.0
"""What a reader of a format has to be, and what it gets."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Protocol

from bastide.verify.artifacts.model import Finding, Severity, Tier

Buffer = Any
"""bytes, memoryview or mmap: what is read is never written."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds on one file with all that is in it. Reaching one makes the file unknown, never safe."""

    depth: int = 8
    """Archives in archives."""
    members: int = 100_000
    unpacked: int = 4 * 1024**3
    """Bytes that are unpacked from compressed members in all."""
    ratio: int = 1100
    """Unpacked by packed bytes of a member; deflate can't do more than 1032."""
    findings: int = 1000


@dataclass(slots=True)
class Spent:
    """What has been used of the limits; shared by a file and everything in it."""

    members: int = 0
    unpacked: int = 0
    looked: int = 0
    """Bytes that were searched for secrets."""


HEAD = 1024
"""Bytes that are taken once: every reader asks for some of them."""


@dataclass(frozen=True)
class Source:
    """Bytes to be read: a file, or a member of an archive."""

    name: str
    """Path, as the user gave it or as it stands in the archive; only a hint."""
    data: Buffer

    @property
    def size(self) -> int:
        """Bytes."""
        return len(self.data)

    @cached_property
    def extension(self) -> str:
        """Lower case, without the dot: `pkl`."""
        base = self.name.replace("\\", "/").rpartition("/")[2]
        return base.rpartition(".")[2].lower() if "." in base else ""

    @cached_property
    def _beginning(self) -> bytes:
        return bytes(self.data[:HEAD])

    def head(self, count: int = 64) -> bytes:
        """The first bytes."""
        return self._beginning[:count] if count <= HEAD else bytes(self.data[:count])


@dataclass(slots=True)
class Scan:
    """One scan under way: takes findings, and reads what is inside."""

    limits: Limits
    inner: Callable[[Source, Scan], str]
    """Reads a member with all readers; returns its format."""
    member: str = ""
    """Path of the member that is being read; '' for the file itself."""
    depth: int = 0
    findings: list[Finding] = field(default_factory=list)
    spent: Spent = field(default_factory=Spent)

    def add(
        self, id: str, tier: Tier, severity: Severity, message: str, offset: int | None = None, evidence: str = ""
    ) -> None:
        """A finding about what is being read."""
        self.take([Finding(id, tier, severity, message, offset, evidence)])

    def take(self, findings: Sequence[Finding]) -> None:
        """Findings that a part has made; they get the member's path."""
        for finding in findings:
            if len(self.findings) < self.limits.findings:
                self.findings.append(
                    Finding(
                        finding.id,
                        finding.tier,
                        finding.severity,
                        finding.message,
                        finding.offset,
                        finding.evidence,
                        self.member,
                    )
                )

    def unread(self, why: str, offset: int | None = None) -> None:
        """Something was not read, so nothing is known of it."""
        self.add("scan/not-read", Tier.MALFORMED, Severity.MEDIUM, f"not read: {why}", offset)

    def defect(self, problem: Exception) -> None:
        """A reader has failed on this content, which is its fault: nothing is known of the rest."""
        self.unread(f"a defect of Bastide's reader, please report it ({type(problem).__name__})")

    def malformed(self, id: str, message: str, offset: int | None = None, evidence: str = "") -> None:
        """Loaders refuse this, or disagree about it."""
        self.add(id, Tier.MALFORMED, Severity.MEDIUM, message, offset, evidence)

    def below(self, name: str) -> Scan | None:
        """The scan of something inside; None when it lies too deep, which has been reported then."""
        self.spent.members += 1
        if self.depth >= self.limits.depth or self.spent.members > self.limits.members:
            self.unread(f"`{name[:200]}` lies deeper, or comes after more members, than is read")
            return None
        member = f"{self.member}!{name}" if self.member else name
        return Scan(self.limits, self.inner, member, self.depth + 1, self.findings, self.spent)

    def into(self, name: str, data: Buffer) -> str:
        """Reads something inside; returns its format, '' when it lies too deep."""
        below = self.below(name)
        return self.inner(Source(name, data), below) if below else ""


class Reader(Protocol):
    """Reads one format."""

    format: str
    """Its name in reports: `pickle`, `torch`, `gguf`."""

    def claims(self, source: Source) -> bool:
        """Whether the content is of this format. Cheap; goes by content, and by the name only where the content can't tell."""

    def read(self, source: Source, scan: Scan) -> str | None:
        """Finds what is wrong with it. Never raises for anything that the content does.

        Returns the format's exact name where that only shows while it is read (`torch` of a zip archive).
        """
