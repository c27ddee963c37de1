# SPDX-License-Identifier: Apache-2.0
"""`bastide bom`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from bastide.cli import options
from bastide.cli.output import keep_inputs, put

if TYPE_CHECKING:
    from datetime import datetime

    from bastide.plan.model import Plan
    from bastide.verify.bom.evidence import Scanner, Verdicts
    from bastide.verify.bom.model import Bill

_FILE = click.Path(path_type=Path)


@click.command()
@click.argument("paths", nargs=-1, required=True, type=_FILE, metavar="PATH...")
@click.option("--plan", type=_FILE, metavar="FILE", help="A plan in which the model is used.")
@click.option("--card", type=_FILE, metavar="FILE", help="What the model's folder doesn't say: YAML, by field.")
@click.option("--scan", "scan_report", type=_FILE, metavar="FILE", help="A report of `bastide scan -f json`, instead of scanning.")  # fmt: skip
@click.option("--no-scan", is_flag=True, help="Neither scan the files nor take a report.")
@click.option(
    "--fail-under",
    type=click.IntRange(0, 100),
    metavar="PERCENT",
    help="Exit with 1 when less of the card or of Annex IV is there.",
)
@click.option("--timestamp", metavar="TIME", help="The time in the bill; else SOURCE_DATE_EPOCH, else now.")
@options.format_option("table", "cyclonedx", "cyclonedx-1.6", "cyclonedx-1.7", "spdx", "json", default="table")
@options.output_option
@options.quiet_option
@click.pass_context
def bom(
    ctx: click.Context,
    *,
    paths: tuple[Path, ...],
    plan: Path | None,
    card: Path | None,
    scan_report: Path | None,
    no_scan: bool,
    fail_under: int | None,
    timestamp: str | None,
    format_: str,
    output: Path | None,
    quiet: bool,
) -> None:
    """Write the bill of materials of models: what each is, was made from, learnt from and needs, and what nobody has said about it.

    A PATH is a model's folder (Hugging Face, MLflow) or one file. Reads the card, configurations, headers of weights, requirements,
    licences, descriptions of data sets and the plan; each statement keeps its file and line. What isn't stated is unknown, and is
    listed with the place where to write it.

    \b
    Exit codes:
      0  all was read
      1  less is there than --fail-under asks for
      2  the call, the card, the plan or the report is wrong, or there is nothing at a path
      3  something was not read, so the bill says that it is incomplete

    \b
    Examples:
      bastide bom model/
      bastide bom model/ --format cyclonedx -o bom.cdx.json
      bastide bom model/ --plan bastide.yaml --card card.yaml --format spdx -o bom.spdx.json
      bastide bom base/ adapter/ --scan scan.json --fail-under 60
    """
    from bastide.report.bom_names import moment
    from bastide.verify.bom.collect import Sources, collect
    from bastide.verify.bom.score import scores

    if scan_report is not None and no_scan:
        raise click.UsageError("--scan and --no-scan exclude each other")
    if card is not None and len(paths) > 1:
        raise click.UsageError("--card describes one model; give one PATH")
    keep_inputs([output], *paths, plan, card, scan_report)
    at = moment(timestamp)
    bill = collect(paths, Sources(card, _plan(plan), _scan(scan_report, no_scan, quiet)))
    put(_written(bill, format_, at, output is None), output, quiet)
    if fail_under is not None and any(one.lowest < fail_under for one in scores(bill)):
        ctx.exit(1)
    ctx.exit(3 if bill.unread else 0)


def _plan(path: Path | None) -> Plan | None:
    if path is None:
        return None
    from bastide.catalog.load import load_catalog
    from bastide.plan.load import load_plan

    return load_plan(path, load_catalog(()).vocabulary)


def _scan(report: Path | None, no_scan: bool, quiet: bool) -> Verdicts | Scanner | None:
    if no_scan:
        return None
    from bastide.cli.scanning import progress
    from bastide.cli.work import processors
    from bastide.verify.artifacts.pool import scan_files
    from bastide.verify.bom.evidence import read_scan

    if report is not None:
        return read_scan(report)
    return lambda paths: progress(scan_files(paths, processors()), len(paths), quiet)


def _written(bill: Bill, format_: str, at: datetime, to_screen: bool) -> str:
    if format_ == "table":
        from bastide.cli.bom import bom_table

        return bom_table(bill, to_screen)
    from bastide.report.document import dumps

    if format_ == "json":
        from bastide.report.bom_json import bom_json

        return dumps(bom_json(bill))
    from bastide.report.bom_check import check_cyclonedx, check_spdx

    if format_ == "spdx":
        from bastide.report.bom_spdx import spdx

        document = spdx(bill, at)
        check_spdx(document)
    else:
        from bastide.report.bom_cyclonedx import cyclonedx

        document = cyclonedx(bill, "1.6" if format_ == "cyclonedx-1.6" else "1.7", at)
        check_cyclonedx(document)
    return dumps(document)
