# SPDX-License-Identifier: Apache-2.0
"""`bastide assess`: the main command."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bastide.cli import options
from bastide.cli.output import format_of, keep_inputs, put

if TYPE_CHECKING:
    from bastide.cli.work import Work
    from bastide.discover.result import Discovery
    from bastide.threats.diff import Changes

FORMATS = ("table", "json", "html", "sarif", "markdown", "csv")


@click.command()
@options.plan_argument()
@options.format_option(*FORMATS)
@click.option(
    "--output", "-o", "outputs", multiple=True, type=click.Path(path_type=Path), metavar="FILE",
    help="Write this file; its suffix says the format (.html .json .sarif .md .csv .txt). Repeatable; `-` prints.",
)  # fmt: skip
@options.severity_option("--severity-min", "Leave out findings and questions below this severity.")
@options.severity_option(
    "--fail-on", "End with 1 when a finding of this severity or worse is open, with 3 when a question could open one."
)
@click.option(
    "--baseline", type=click.Path(path_type=Path), metavar="FILE",
    help="JSON of an earlier assessment: show what changed since.",
)  # fmt: skip
@options.pack_option
@click.option("--no-hardening", is_flag=True, help="Don't compute the cheapest set of controls.")
@options.severity_option("--harden", "The lowest severity whose paths the set of controls must break.", "high")
@click.option("--all", "everything", is_flag=True, help="In a table: all findings and questions, not only the worst.")
@options.today_option
@options.quiet_option
@click.pass_context
def assess(
    ctx: click.Context,
    *,
    plan: Path,
    format_: str | None,
    outputs: tuple[Path, ...],
    severity_min: str | None,
    fail_on: str | None,
    baseline: Path | None,
    packs: tuple[Path, ...],
    no_hardening: bool,
    harden: str,
    everything: bool,
    today: date | None,
    quiet: bool,
) -> None:
    """Find the threats of PLAN (default: bastide.yaml), with attack paths, fixes and open questions.

    For a folder: of its bastide.yaml, else of the plan that `bastide discover` makes of what is in it.

    \b
    Examples:
      bastide assess bastide.yaml
      bastide assess path/to/repository
      bastide assess bastide.yaml -o report.html -o findings.sarif
      bastide assess bastide.yaml --format json --baseline last.json > now.json
    """
    from bastide.cli.work import at_least, changes_since, examine, judge

    keep_inputs(outputs, plan, baseline)
    targets = [(format_of(path, format_, len(outputs) == 1), path) for path in outputs]
    if not targets:
        targets = [(format_ or "table", Path("-"))]
    work = examine(plan, packs, today, None if no_hardening else harden)
    if work.found is not None and not quiet:
        _say_what_was_read(work.found)
    changes = changes_since(baseline, work.assessment, severity_min) if baseline else None
    for kind, path in targets:
        put(_render(kind, work, changes, severity_min, everything, path), path, quiet)
    if not quiet and Path("-") not in (path for _, path in targets):
        from bastide.cli.table import counts_line

        click.echo(counts_line(at_least(work.assessment, severity_min)), err=True)
    if fail_on:
        ctx.exit(judge(work, fail_on).code)


def _say_what_was_read(found: Discovery) -> None:
    unread = sum(problem.hides for problem in found.problems)
    rest = f"; {unread} could not be read, so the plan is incomplete (`bastide discover` lists them)" if unread else ""
    click.echo(
        f"no bastide.yaml there: a plan was made from {len(found.files)} file{'s' * (len(found.files) != 1)}{rest}",
        err=True,
    )


def _render(
    kind: str, work: Work, changes: Changes | None, severity_min: str | None, everything: bool, path: Path
) -> str:
    """The assessment in one format."""
    from bastide.cli.work import at_least

    plan, catalog, shown = work.plan, work.catalog, at_least(work.assessment, severity_min)
    weak = work.found.weaknesses if work.found is not None else None

    def as_table() -> str:
        from bastide.cli.table import assessment_table

        return assessment_table(work, shown, changes, everything, to_screen=path == Path("-"))

    def as_json() -> str:
        from bastide.report.document import dumps
        from bastide.report.json_ import assessment_json
        from bastide.threats.model import Severity

        least = Severity(severity_min or "low")
        return dumps(
            assessment_json(plan, shown, assessed_on=work.today, severity_min=least, changes=changes, weaknesses=weak)
        )

    def as_html() -> str:
        from bastide.report.html import render_html

        return render_html(
            plan, shown, catalog, changes=changes, generated=work.today.isoformat(), weaknesses=weak or ()
        )

    def as_sarif() -> str:
        from bastide.report.document import dumps
        from bastide.report.sarif import render_sarif

        return dumps(render_sarif(plan, shown, catalog, weak or ()))

    def as_markdown() -> str:
        from bastide.report.markdown import render_markdown

        return render_markdown(plan, shown, changes=changes, weaknesses=weak or ())

    def as_csv() -> str:
        from bastide.report.csv_ import render_csv

        return render_csv(shown)

    formats: dict[str, Callable[[], str]] = {
        "table": as_table, "json": as_json, "html": as_html, "sarif": as_sarif, "markdown": as_markdown, "csv": as_csv,
    }  # fmt: skip
    return formats[kind]()
