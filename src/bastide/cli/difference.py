# SPDX-License-Identifier: Apache-2.0
"""What a design change does, for a terminal."""

from __future__ import annotations

from bastide.cli.screen import Screen, join, text
from bastide.cli.table import changes_table
from bastide.cli.text import one_line
from bastide.cli.work import Work
from bastide.plan.diff import PlanChanges
from bastide.report.markdown import plan_lines
from bastide.threats.diff import Changes


def difference_table(
    before: Work, after: Work, plan_changes: PlanChanges, changes: Changes, to_screen: bool = True
) -> str:
    """Threats first, then the parts of the plan."""
    screen = Screen(to_screen)
    screen.add(join(text(before.plan.location.file, "bold"), " → ", text(after.plan.location.file, "bold")))
    open_before, open_after = len(before.assessment.open), len(after.assessment.open)
    asked_before, asked_after = len(before.assessment.questions), len(after.assessment.questions)
    screen.add(f"open findings {open_before} → {open_after}, open questions {asked_before} → {asked_after}")
    changes_table(screen, changes, everything=True)
    lines = list(plan_lines(plan_changes))
    screen.heading("In the plan" if lines else "The plans are the same")
    screen.rows([("-", one_line(line)) for line in lines], indent=2)
    return screen.text()
