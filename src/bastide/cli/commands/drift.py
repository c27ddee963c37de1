# SPDX-License-Identifier: Apache-2.0
"""`bastide drift`."""

from __future__ import annotations

from pathlib import Path

import click

from bastide.cli import options
from bastide.cli.output import keep_inputs, put


@click.command()
@click.argument("plan", type=click.Path(path_type=Path), metavar="PLAN")
@click.argument("folder", type=click.Path(path_type=Path), metavar="DIR")
@options.format_option("table", "json", "patch", default="table")
@options.output_option
@options.pack_option
@options.quiet_option
@click.pass_context
def drift(
    ctx: click.Context,
    *,
    plan: Path,
    folder: Path,
    format_: str,
    output: Path | None,
    packs: tuple[Path, ...],
    quiet: bool,
) -> None:
    """Compare the design in PLAN with what is in the repository DIR, in terms of the design.

    Parts of the design are matched, contradicted (both say something, and not the same), missing, or unverifiable (the files that
    were read don't show them). What is there and in no design is undocumented. `--format patch` proposes what to write into the plan;
    comments stay, and nothing is taken out. `x-found: ID` at a component says which found one it is.

    \b
    Exit codes:
      0  what is there is as designed
      1  something is undocumented, missing or contradicted
      2  the call or the plan is wrong
      3  nothing differs, but files could not be read

    \b
    Examples:
      bastide drift bastide.yaml .
      bastide drift bastide.yaml . --format patch | git apply
    """
    from bastide.catalog.load import load_catalog
    from bastide.cli.work import tidy
    from bastide.discover.discover import discover
    from bastide.discover.merge import Standing, merge
    from bastide.plan.load import load_plan

    keep_inputs([output], plan)
    vocabulary = load_catalog(packs).vocabulary
    written = load_plan(plan, vocabulary)
    found = discover(folder, packs=packs)
    merged = merge(written, found, vocabulary)
    if format_ == "json":
        from bastide.report.discovery_json import drift_json
        from bastide.report.document import dumps

        put(dumps(drift_json(merged, found)), output, quiet)
    elif format_ == "patch":
        from bastide.discover.patch import proposal
        from bastide.plan.yamlfile import read_text

        put(
            proposal(read_text(plan), tidy(plan).as_posix().lstrip("/"), written, found, merged, vocabulary),
            output,
            quiet,
        )
    else:
        from bastide.cli.discovered import drift_table

        put(drift_table(merged, found, to_screen=output is None), output, quiet)
    if merged.of(Standing.UNDOCUMENTED, Standing.MISSING, Standing.CONTRADICTED):
        ctx.exit(1)
    if not found.complete:
        ctx.exit(3)
