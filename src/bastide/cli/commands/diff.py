# SPDX-License-Identifier: Apache-2.0
"""`bastide diff`."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import click

from bastide.cli import options
from bastide.cli.output import format_of, keep_inputs, put


@click.command()
@options.plan_argument("old", None)
@options.plan_argument("new", None)
@options.format_option("table", "json", "markdown")
@options.output_option
@options.pack_option
@options.today_option
@options.quiet_option
def diff(
    *,
    old: Path,
    new: Path,
    format_: str | None,
    output: Path | None,
    packs: tuple[Path, ...],
    today: date | None,
    quiet: bool,
) -> None:
    """Show what the change from plan OLD to plan NEW does: threats opened, closed and changed, and what changed in the plan.

    \b
    Examples:
      bastide diff before.yaml after.yaml
      bastide diff before.yaml after.yaml --format markdown -o comment.md
    """
    from bastide.cli.work import examine
    from bastide.plan.diff import compare_plans
    from bastide.threats.diff import compare

    kind = format_of(output, format_, alone=True) if output else format_ or "table"
    keep_inputs([output], old, new)
    before, after = (examine(path, packs, today) for path in (old, new))
    changes = compare(before.assessment, after.assessment)
    plan_changes = compare_plans(before.plan, after.plan)
    if kind == "json":
        from bastide.report.document import dumps
        from bastide.report.json_ import diff_json

        text = dumps(diff_json(before.plan, after.plan, plan_changes, changes))
    elif kind == "markdown":
        from bastide.report.markdown import render_diff

        text = render_diff(after.plan, plan_changes, changes)
    elif kind == "table":
        from bastide.cli.difference import difference_table

        text = difference_table(before, after, plan_changes, changes, to_screen=output is None)
    else:
        raise click.UsageError(f"a difference can't be written as {kind}; use table, json or markdown")
    put(text, output, quiet)
