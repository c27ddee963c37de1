# SPDX-License-Identifier: Apache-2.0
"""The check of a data set for a person at a terminal: the worst first, then what was not read, then the numbers."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator

from bastide.cli.screen import STYLES, Screen, join, text
from bastide.cli.text import one_line, plural
from bastide.verify.datasets.model import Finding, Report, Severity, Verdict

SHOWN, UNREAD = 40, 10
_VERDICTS = {Verdict.FAIL: "bold red", Verdict.UNKNOWN: "bold yellow", Verdict.PASS: "green"}


def check_table(report: Report, threshold: Severity, to_screen: bool = True) -> str:
    """The whole summary."""
    screen = Screen(to_screen)
    for finding in report.findings[:SHOWN]:
        _finding(screen, finding)
    if len(report.findings) > SHOWN:
        screen.add(text(f"... and {len(report.findings) - SHOWN} more (--format json)", "dim"))
    if report.unread:
        screen.add(text("Not read, so nothing is known of it:", "bold yellow"))
        screen.add(*(text(one_line(why)) for why in report.unread[:UNREAD]), indent=2)
        if len(report.unread) > UNREAD:
            screen.add(text(f"... and {len(report.unread) - UNREAD} more (--format json)", "dim"), indent=2)
    verdict = report.verdict(threshold)
    counts = [f"{sum(f.severity is s for f in report.findings)} {s}" for s in reversed(Severity)]
    size = f"{plural(report.rows, 'row')} in {plural(len(report.files), 'file')}, {plural(len(report.fields), 'field')}"
    screen.add(
        join(text(verdict.value, _VERDICTS[verdict]), f"  {size}: {', '.join(counts)}  ({report.seconds:.1f} s)")
    )
    return screen.text()


def _finding(screen: Screen, finding: Finding) -> None:
    where = "  ".join(filter(None, (finding.field and f"`{finding.field}`", str(finding.place))))
    share = f" ({finding.rate:.2%})" if finding.rate is not None else ""
    head = f"{finding.id}  {where}  {plural(finding.count, 'time')}{share}"
    screen.add(join(text(finding.severity.value, STYLES[finding.severity.value]), "  ", one_line(head)))
    what = f"{finding.kind}: " if finding.kind else ""
    evidence = f"  {finding.evidence}" if finding.evidence else ""
    screen.add(text(one_line(f"{what}{finding.message}{evidence}")), indent=2)


@contextlib.contextmanager
def progress(quiet: bool) -> Iterator[Callable[[int, int], None] | None]:
    """A bar on a terminal."""
    if quiet or not sys.stderr or not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("reading", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
