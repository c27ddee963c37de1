# SPDX-License-Identifier: Apache-2.0
"""Scan reports for a person at a terminal: what is unsafe and why, what is unknown, and how much is safe."""

from __future__ import annotations

from collections.abc import Sequence

from bastide.cli.screen import STYLES, Screen, join, text
from bastide.cli.text import one_line, plural
from bastide.verify.artifacts.model import FileReport, Finding, Verdict

SHOWN = 5
"""Findings of one file."""
_VERDICTS = {Verdict.UNSAFE: "bold red", Verdict.UNKNOWN: "bold yellow", Verdict.SAFE: "green"}


def scan_table(reports: Sequence[FileReport], to_screen: bool = True) -> str:
    """The worst first; safe files are only counted, when there is more than one."""
    screen = Screen(to_screen)
    for verdict in (Verdict.UNSAFE, Verdict.UNKNOWN):
        for report in (r for r in reports if r.verdict is verdict):
            _report(screen, report)
    safe = [r for r in reports if r.verdict is Verdict.SAFE]
    if len(reports) == 1 and safe:
        _report(screen, safe[0])
    counts = [f"{sum(r.verdict is v for r in reports)} {v}" for v in (Verdict.UNSAFE, Verdict.UNKNOWN, Verdict.SAFE)]
    screen.add(text(f"{plural(len(reports), 'file')}: {', '.join(counts)}", "bold"))
    return screen.text()


def _report(screen: Screen, report: FileReport) -> None:
    screen.add(
        join(text(report.verdict.value, _VERDICTS[report.verdict]), f"  {one_line(report.path)}  ({report.format})")
    )
    for finding in report.findings[:SHOWN]:
        screen.add(
            join("  ", text(finding.severity.value, STYLES.get(finding.severity.value, "")), f"  {_sentence(finding)}")
        )
    if len(report.findings) > SHOWN:
        screen.add(text(f"  and {len(report.findings) - SHOWN} more (--format json)", "dim"))
    screen.add("")


def _sentence(finding: Finding) -> str:
    evidence = f": {finding.evidence}" if finding.evidence else ""
    return one_line(f"{finding.message}{evidence}  [{finding.id}{_where(finding)}]")


def _where(finding: Finding) -> str:
    """`, member@offset` or `, byte offset`; nothing of what no byte says, like a file that can't be read."""
    if finding.offset is None:
        return f", {finding.member}" if finding.member else ""
    return f", {finding.member}@{finding.offset}" if finding.member else f", byte {finding.offset}"
