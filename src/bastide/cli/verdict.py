# SPDX-License-Identifier: Apache-2.0
"""What a gate says, for the log of a pipeline."""

from __future__ import annotations

from bastide.cli.discovered import weak_settings
from bastide.cli.screen import STYLES, Screen, join, text
from bastide.cli.text import one_line, plural
from bastide.cli.work import Verdict, Work

LINES = 50


def verdict_table(work: Work, verdict: Verdict, threshold: str, new_only: bool, to_screen: bool = True) -> str:
    """The findings and questions that stop, and the verdict in the last line."""
    screen = Screen(to_screen)
    new = "new " if new_only else ""
    screen.rows(
        (text(f.severity.value, STYLES[f.severity.value]), f.id, f"{one_line(f.title)} ({f.location})")
        for f in verdict.failing[:LINES]
    )
    if len(verdict.failing) > LINES:
        screen.add(f"... and {len(verdict.failing) - LINES} more")
    weak_settings(screen, verdict.settings, LINES)
    if verdict.code == 3:
        screen.rows(
            (text("unknown", "yellow"), one_line(f"{q.element}: {q.attribute}"), one_line(f"{q.ask} ({q.location})"))
            for q in verdict.unknown[:LINES]
        )
    name = work.plan.location.file
    if verdict.code == 1:
        counts = [plural(len(verdict.failing), f"{new}open finding")] if verdict.failing else []
        counts += [f"{plural(len(verdict.settings), 'weak setting')}"] if verdict.settings else []
        words = f"{' and '.join(counts)} of severity {threshold} or worse"
        screen.whole(join(text("FAIL ", "bold red"), f"{name}: {words}"))
    elif verdict.code == 3:
        words = f"{plural(len(verdict.unknown), f'{new}open question')} could hide findings of severity {threshold} or worse"
        screen.whole(join(text("UNKNOWN ", "bold yellow"), f"{name}: {words}; answer them, or say --allow-unknown"))
    else:
        screen.whole(
            join(text("PASS ", "bold green"), f"{name}: no {new}open finding of severity {threshold} or worse")
        )
    return screen.text()
