# SPDX-License-Identifier: Apache-2.0
"""`bastide dataset check`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from bastide.cli import options
from bastide.cli.output import keep_inputs, put

if TYPE_CHECKING:
    from bastide.verify.datasets.describe import Description

_FILE = click.Path(path_type=Path)


@click.command()
@click.argument("paths", nargs=-1, required=True, type=_FILE, metavar="PATH...")
@click.option("--against", multiple=True, type=_FILE, metavar="PATH", help="Test data that must not be in the data set; repeatable.")  # fmt: skip
@click.option("--description", "-d", type=_FILE, metavar="FILE", help="What it is said to be: YAML, JSON or Croissant.")  # fmt: skip
@click.option("--purpose", default="", metavar="TEXT", help="What it is for.")
@click.option("--fields", default="", metavar="A,B", help="The fields that the purpose needs; all others are findings.")
@click.option("--classification", type=click.Choice(("public", "internal", "confidential", "restricted")), help="How it is classified.")  # fmt: skip
@click.option("--plan", type=_FILE, metavar="FILE", help="A plan whose data asset this is; with --asset.")
@click.option("--asset", default="", metavar="ID", help="The id of the data asset in the plan.")
@click.option("--label", default="", metavar="FIELD", help="The field with the label; told by its name otherwise.")
@click.option(
    "--text", "text_", default="", metavar="FIELD", help="The field with the text; told by its values otherwise."
)
@click.option("--split", default="", metavar="FIELD", help="The field with the split; told by names otherwise.")  # fmt: skip
@click.option("--presidio", default="", metavar="PACKAGE", help="Also look by Presidio with this spaCy package; slow.")  # fmt: skip
@options.severity_option("--fail-on", "The lowest severity that makes the exit code 1.", "high")
@click.option("--card", type=_FILE, metavar="FILE", help="Write a data card, in Markdown.")
@click.option("--jobs", "-j", type=click.IntRange(1, 256), default=None, help="Processes; as many as there are processors.")  # fmt: skip
@click.option("--ray", "cluster", default="", metavar="ADDRESS", help="Do it on this Ray cluster; `local` makes one here.")  # fmt: skip
@options.format_option("table", "json", default="table")
@options.output_option
@options.quiet_option
@click.pass_context
def check(
    ctx: click.Context,
    *,
    paths: tuple[Path, ...],
    against: tuple[Path, ...],
    description: Path | None,
    purpose: str,
    fields: str,
    classification: str | None,
    plan: Path | None,
    asset: str,
    label: str,
    text_: str,
    split: str,
    presidio: str,
    fail_on: str,
    card: Path | None,
    jobs: int | None,
    cluster: str,
    format_: str,
    output: Path | None,
    quiet: bool,
) -> None:
    """Find out what is in a data set, and whether it is what it is said to be.

    Reads JSON lines, JSON, CSV, TSV, Parquet, Arrow, Feather, documents (text, Markdown, HTML) and pictures' metadata, and looks for
    personal data and secrets, an understated classification, fields that the purpose doesn't need, missing or forbidding licences,
    refused consent, duplicates, test rows in training data, poisoned labels, and words for a model in texts. What wasn't read is
    unknown, never clean.

    \b
    Exit codes:
      0  no finding at or over --fail-on, and all of it was read
      1  such findings
      2  the call or a description is wrong, or there is nothing at a path
      3  no such finding, but something was not read

    \b
    Examples:
      bastide dataset check data/
      bastide dataset check train.parquet --against test.parquet --card card.md
      bastide dataset check tickets.jsonl --purpose "routes tickets" --fields text,label --classification internal
      bastide dataset check data/ --plan bastide.yaml --asset kb-docs --format json -o data.json
    """
    from bastide.cli.dataset import check_table, progress
    from bastide.cli.work import processors
    from bastide.verify.datasets.check import Settings
    from bastide.verify.datasets.check import check as run
    from bastide.verify.datasets.describe import with_options
    from bastide.verify.datasets.model import Severity, Verdict

    keep_inputs([output, card], *paths, *against, description, plan)
    roles = {"label": label, "text": text_, "split": split}
    stated = with_options(
        _stated(plan, asset),
        purpose=purpose,
        classification=classification or "",
        fields=fields,
        roles=roles,
    )
    settings = Settings(stated, against, jobs or processors(), presidio, cluster=cluster, described_by=description)
    with progress(quiet) as advance:
        # Other machines have no working folder of ours.
        report = run(tuple(p.absolute() for p in paths) if cluster else paths, settings, advance)
    threshold = Severity(fail_on)
    if card is not None:
        from bastide.report.dataset_card import data_card

        put(data_card(report), card, quiet)
    if format_ == "table":
        put(check_table(report, threshold, to_screen=output is None), output, quiet)
    else:
        from bastide.report.dataset_json import dataset_json
        from bastide.report.document import dumps

        put(dumps(dataset_json(report, threshold)), output, quiet)
    ctx.exit({Verdict.PASS: 0, Verdict.FAIL: 1, Verdict.UNKNOWN: 3}[report.verdict(threshold)])


def _stated(plan: Path | None, asset: str) -> Description:
    """What a plan says about its data asset."""
    from bastide.verify.datasets.describe import Description, of_asset

    if (plan is None) != (not asset):
        raise click.UsageError("--plan and --asset go together")
    return of_asset(plan, asset) if plan is not None else Description()
