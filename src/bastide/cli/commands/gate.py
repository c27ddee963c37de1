# SPDX-License-Identifier: Apache-2.0
"""`bastide gate`."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import click

from bastide.cli import options
from bastide.cli.output import keep_inputs, put


@click.command()
@options.plan_argument()
@options.severity_option("--threshold", "The lowest severity that stops.", "high")
@click.option(
    "--baseline", type=click.Path(path_type=Path), metavar="FILE", help="JSON of an earlier assessment, for --new-only."
)
@click.option("--new-only", is_flag=True, help="Count only what the baseline doesn't have.")
@click.option("--allow-unknown", is_flag=True, help="Open questions don't stop.")
@options.format_option("table", "json", default="table")
@options.output_option
@options.pack_option
@options.today_option
@options.quiet_option
@click.pass_context
def gate(
    ctx: click.Context,
    *,
    plan: Path,
    threshold: str,
    baseline: Path | None,
    new_only: bool,
    allow_unknown: bool,
    format_: str,
    output: Path | None,
    packs: tuple[Path, ...],
    today: date | None,
    quiet: bool,
) -> None:
    """Decide for a pipeline whether PLAN (default: bastide.yaml) passes.

    \b
    Exit codes:
      0  no open finding at or over the threshold, and no question that could open one
      1  such findings are open, or settings don't hold in the repository from which the plan was made
      2  the plan, the side file or the call is wrong
      3  none is open, but the answer to an open question could open one: unknown is no pass

    \b
    Examples:
      bastide gate bastide.yaml --threshold high
      bastide gate bastide.yaml --baseline main.json --new-only --allow-unknown
    """
    from bastide.cli.work import baseline_for_gate, examine, judge

    if new_only != (baseline is not None):
        raise click.UsageError("--baseline and --new-only go together")
    keep_inputs([output], plan, baseline)
    known = baseline_for_gate(baseline, threshold) if baseline else None
    work = examine(plan, packs, today)
    verdict = judge(work, threshold, known=known, allow_unknown=allow_unknown)
    if format_ == "json":
        from bastide.report.document import dumps
        from bastide.report.json_ import gate_json
        from bastide.threats.model import Severity

        document = gate_json(
            work.plan, Severity(threshold), verdict.word, verdict.failing, verdict.unknown, verdict.settings
        )
        put(dumps(document), output, quiet)
    elif not (quiet and verdict.code == 0):
        from bastide.cli.verdict import verdict_table

        put(verdict_table(work, verdict, threshold, new_only, to_screen=output is None), output, quiet)
    ctx.exit(verdict.code)
